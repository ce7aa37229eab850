#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"
#include "image/codec.h"
#include "image/image.h"

enum { DEFAULT_QUALITY = 95 };

const char *const image_format_names[] = {[IMAGE_UNKNOWN] = "unknown", [IMAGE_PNG] = "PNG", [IMAGE_JPEG] = "JPEG",
                                          [IMAGE_WEBP] = "WebP"};

image_format image_format_of(const char *path)
{
    if (text_ends_with_ignoring_case(path, ".png")) return IMAGE_PNG;
    if (text_ends_with_ignoring_case(path, ".webp")) return IMAGE_WEBP;
    bool jpeg = text_ends_with_ignoring_case(path, ".jpg") || text_ends_with_ignoring_case(path, ".jpeg");
    return jpeg ? IMAGE_JPEG : IMAGE_UNKNOWN;
}

bool image_extension_known(const char *path)
{
    return image_format_of(path) != IMAGE_UNKNOWN;
}

static status encode(const char *path, const image *picture, const image_write_options *options, uint8_t **bytes,
                     size_t *size, error *err)
{
    switch (image_format_of(path)) {
    case IMAGE_PNG: return image_png_encode(path, picture, options, bytes, size, err);
    case IMAGE_JPEG: return image_jpeg_encode(path, picture, options, bytes, size, err);
    case IMAGE_WEBP: return image_webp_encode(path, picture, options, bytes, size, err);
    default:
        return error_set(err, STATUS_FAILED,
                         "%s: cannot write this kind of picture: expected .png, .jpg, .jpeg or .webp", path);
    }
}

status image_encode(const char *path, const image *picture, const image_write_options *options, uint8_t **bytes,
                    size_t *size, error *err)
{
    image_write_options o = options ? *options : (image_write_options){0};
    if (!o.quality) o.quality = DEFAULT_QUALITY;
    if (o.quality < 1 || o.quality > 100)
        return error_set(err, STATUS_FAILED, "%s: the quality is 1 to 100, not %d", path, o.quality);
    if (!picture->pixels) return error_set(err, STATUS_FAILED, "%s: the picture to write is empty", path);
    return encode(path, picture, &o, bytes, size, err);
}

double image_write_bytes(image_format format, int quality, size_t pixels)
{
    if (format == IMAGE_WEBP) return quality == 100 ? 36 : 20;
    return format == IMAGE_JPEG && pixels <= IMAGE_JPEG_MOST_OPTIMISED ? 8 : 4;
}

status image_write(const char *path, const image *picture, const image_write_options *options, error *err)
{
    uint8_t *bytes;
    size_t size;
    TRY(image_encode(path, picture, options, &bytes, &size, err));
    status result = file_write_all(path, bytes, size, err);
    free(bytes);
    return result;
}
