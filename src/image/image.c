#include "image/image.h"

#include <stdlib.h>
#include <string.h>

status image_create(image *out, size_t width, size_t height, error *err)
{
    *out = (image){0};
    if (width == 0 || height == 0)
        return error_set(err, STATUS_FAILED, "a picture needs at least 1x1 pixels, not %zux%zu", width, height);
    if (width > SIZE_MAX / 3 / height)
        return error_set(err, STATUS_NO_MEMORY, "a picture of %zux%zu pixels does not fit into memory", width, height);
    uint8_t *pixels = malloc(width * height * 3);
    if (!pixels) return error_no_memory(err, "a picture", width * height * 3);
    *out = (image){.width = width, .height = height, .pixels = pixels};
    return STATUS_OK;
}

void image_free(image *picture)
{
    free(picture->pixels);
    free(picture->alpha);
    free(picture->profile);
    *picture = (image){0};
}

static status copy_bytes(const uint8_t *from, size_t size, uint8_t **to, error *err)
{
    if (!from) return STATUS_OK;
    *to = malloc(size);
    if (!*to) return error_no_memory(err, "a picture", size);
    memcpy(*to, from, size);
    return STATUS_OK;
}

status image_copy_extras(const image *from, image *to, error *err)
{
    TRY(copy_bytes(from->alpha, from->width * from->height, &to->alpha, err));
    TRY(copy_bytes(from->profile, from->profile_bytes, &to->profile, err));
    if (to->profile) to->profile_bytes = from->profile_bytes;
    return STATUS_OK;
}

status image_crop(const image *in, size_t left, size_t top, size_t width, size_t height, image *out, error *err)
{
    *out = (image){0};
    /* Differences rather than sums: a sum could wrap. */
    if (left > in->width || width > in->width - left || top > in->height || height > in->height - top)
        return error_set(err, STATUS_FAILED, "a crop of %zux%zu at (%zu, %zu) does not lie in a picture of %zux%zu",
                         width, height, left, top, in->width, in->height);
    TRY(image_create(out, width, height, err));
    for (size_t y = 0; y < height; y++)
        memcpy(out->pixels + y * width * 3, in->pixels + ((top + y) * in->width + left) * 3, width * 3);
    return STATUS_OK;
}

void image_flip_horizontal(image *picture)
{
    for (size_t y = 0; y < picture->height; y++) {
        uint8_t *row = picture->pixels + y * picture->width * 3;
        for (size_t x = 0; x < picture->width / 2; x++) {
            uint8_t *a = row + x * 3, *b = row + (picture->width - 1 - x) * 3, kept[3];
            memcpy(kept, a, 3);
            memcpy(a, b, 3);
            memcpy(b, kept, 3);
        }
    }
}

void image_to_floats(const image *in, float *floats)
{
    size_t count = in->width * in->height * 3;
    for (size_t i = 0; i < count; i++) floats[i] = (float)in->pixels[i] / 127.5f - 1.0f;
}

void image_from_floats(const float *floats, image *out)
{
    size_t count = out->width * out->height * 3;
    for (size_t i = 0; i < count; i++) {
        float value = (floats[i] + 1.0f) * 127.5f + 0.5f;
        /* In this form NaN becomes 0; converting it to an integer would be undefined. */
        out->pixels[i] = value > 0.0f ? (value < 255.0f ? (uint8_t)value : 255) : 0;
    }
}
