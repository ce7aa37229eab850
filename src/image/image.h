/* Pictures as 8-bit RGB in memory; reading, writing, resampling.
 *
 *     image picture = {0};
 *     TRY(image_read("snack.jpg", NULL, &picture, err));
 *     image small = {0};
 *     TRY(image_resize(&picture, 286, 286, &small, err));
 *     TRY(image_write("snack.png", &small, NULL, err));       the format follows the extension
 *     image_free(&picture); image_free(&small);
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* pixels: (height, width, 3) bytes, rows without padding. {0} is empty. What a file has beside its colours is carried
 * along by image_copy_extras: alpha, and the ICC profile, which is not applied. */
typedef struct image {
    size_t width, height;
    uint8_t *pixels;
    uint8_t *alpha;       /* (height, width), 255 is opaque; NULL: opaque everywhere */
    uint8_t *profile;     /* ICC profile; NULL: none, which means sRGB */
    size_t profile_bytes;
    int orientation;      /* what EXIF said, 1 to 8, and was applied; 0: it said nothing */
} image;

/* In every function that fills an `out`: what it held is overwritten, not freed; it is no input of the same call; it
 * is empty after a failure; the caller frees it with image_free. */
status image_create(image *out, size_t width, size_t height, error *err); /* not cleared */
void image_free(image *picture);                                          /* leaves it empty */

/* Gives `to`, which has none, copies of the alpha and the profile of `from`, which is as large. */
status image_copy_extras(const image *from, image *to, error *err);

typedef struct image_limits {
    size_t max_pixels; /* width * height that may be decoded; 0: the default of 256 million */
} image_limits;

/* PNG or JPEG, by content and not by name; any PNG colour type and depth (alpha is dropped, 16 bits are rounded to 8,
 * gamma is left alone), grey is spread to RGB, CMYK is taken as Adobe writes it, a JPEG's EXIF orientation is
 * applied. A truncated or damaged file is an error, and so is one over the limits. limits may be NULL. */
status image_read(const char *path, const image_limits *limits, image *out, error *err);
/* The same from memory; `name` is for messages. */
status image_decode(const char *name, const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                    error *err);

typedef struct image_write_options {
    int quality; /* JPEG, 1 to 100; 0: 95 */
} image_write_options;
/* PNG or JPEG by extension (.png .jpg .jpeg), atomically; the same bytes for the same pixels. options may be NULL. */
status image_write(const char *path, const image *picture, const image_write_options *options, error *err);
typedef enum image_format { IMAGE_UNKNOWN, IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP } image_format;
/* By the extension, whatever its case; IMAGE_UNKNOWN for others. */
image_format image_format_of(const char *path);
/* Whether image_write knows the extension / image_read is worth trying on the name. */
bool image_extension_known(const char *path);

/* Antialiased bicubic (a = -0.5) as Pillow's Image.resize(BICUBIC): horizontal then vertical pass, 8 bits between. */
status image_resize(const image *in, size_t width, size_t height, image *out, error *err);
status image_crop(const image *in, size_t left, size_t top, size_t width, size_t height, image *out, error *err);
void image_flip_horizontal(image *picture);

/* Pixels as floats in [-1, 1], v / 127.5 - 1, and back with rounding and clipping. floats: (height, width, 3). */
void image_to_floats(const image *in, float *floats);
void image_from_floats(const float *floats, image *out); /* out has its size already */

#endif
