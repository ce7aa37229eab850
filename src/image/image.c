#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/pixels.h"
#include "image/codec.h"

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

status image_interrupted(const char *name, error *err)
{
    return error_set(err, STATUS_INTERRUPTED, "%s: interrupted", name);
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

status image_copy_profile(const image *from, image *to, error *err)
{
    TRY(copy_bytes(from->profile, from->profile_bytes, &to->profile, err));
    if (to->profile) to->profile_bytes = from->profile_bytes;
    return STATUS_OK;
}

status image_copy_extras(const image *from, image *to, error *err)
{
    TRY(copy_bytes(from->alpha, from->width * from->height, &to->alpha, err));
    return image_copy_profile(from, to, err);
}

status image_alpha_create(image *picture, error *err)
{
    picture->alpha = malloc(picture->width * picture->height);
    return picture->alpha ? STATUS_OK : error_no_memory(err, "a picture", picture->width * picture->height);
}

/* ICC.1:2010, 7.2: the header's size at 0, colour space at 16, signature at 36; a tag count follows the header. */
status image_keep_profile(image *picture, const uint8_t *profile, size_t size, error *err)
{
    enum { MOST = 255 * 65519 }; /* what JPEG has room for: 255 segments */
    if (size < 132 || size > MOST) return STATUS_OK;
    if (memcmp(profile + 16, "RGB ", 4) != 0 || memcmp(profile + 36, "acsp", 4) != 0) return STATUS_OK;
    size_t stated = (size_t)profile[0] << 24 | (size_t)profile[1] << 16 | (size_t)profile[2] << 8 | profile[3];
    if (stated != size) return STATUS_OK;
    const image from = {.profile = (uint8_t *)profile, .profile_bytes = size};
    return image_copy_profile(&from, picture, err);
}

status image_crop(const image *in, size_t left, size_t top, size_t width, size_t height, image *out, error *err)
{
    *out = (image){0};
    /* Differences rather than sums: a sum could wrap. */
    if (left > in->width || width > in->width - left || top > in->height || height > in->height - top)
        return error_set(err, STATUS_FAILED, "a crop of %zux%zu at (%zu, %zu) does not lie in a picture of %zux%zu",
                         width, height, left, top, in->width, in->height);
    status result;
    TRY_OR(error, image_create(out, width, height, err));
    if (in->alpha) TRY_OR(error, image_alpha_create(out, err));
    TRY_OR(error, image_copy_profile(in, out, err));
    for (size_t y = 0; y < height; y++) {
        size_t from = (top + y) * in->width + left;
        memcpy(out->pixels + y * width * 3, in->pixels + from * 3, width * 3);
        if (in->alpha) memcpy(out->alpha + y * width, in->alpha + from, width);
    }
error:
    if (result != STATUS_OK) image_free(out);
    return result;
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
        uint8_t *alpha = picture->alpha ? picture->alpha + y * picture->width : NULL;
        for (size_t x = 0; alpha && x < picture->width / 2; x++) {
            uint8_t kept = alpha[x];
            alpha[x] = alpha[picture->width - 1 - x];
            alpha[picture->width - 1 - x] = kept;
        }
    }
}

void image_to_floats(const image *in, float *floats) { pixels_to_floats(in->pixels, in->width * in->height * 3, floats); }

void image_from_floats(const float *floats, image *out)
{
    pixels_from_floats(floats, out->width * out->height * 3, out->pixels);
}
