#include "style/picture.h"

#include <stdlib.h>

void style_size(size_t *width, size_t *height, size_t shorter)
{
    size_t least = *width < *height ? *width : *height;
    *width = (*width * shorter + least / 2) / least;
    *height = (*height * shorter + least / 2) / least;
}

status style_resize(const image *in, size_t shorter, image *out, error *err)
{
    size_t width = in->width, height = in->height;
    style_size(&width, &height, shorter);
    return image_resize(in, width, height, out, err);
}

status style_to_floats(const image *in, float **out, error *err)
{
    size_t bytes = in->width * in->height * 3 * sizeof(float);
    *out = malloc(bytes);
    if (!*out) return error_no_memory(err, "a picture", bytes);
    image_to_floats(in, *out);
    return STATUS_OK;
}

status style_from_floats(const float *floats, size_t width, size_t height, image *out, error *err)
{
    TRY(image_create(out, width, height, err));
    image_from_floats(floats, out);
    return STATUS_OK;
}
