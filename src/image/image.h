/* Pictures as 8-bit RGB, with or without alpha, in memory; reading, writing, resampling.
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

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum image_format { IMAGE_UNKNOWN, IMAGE_PNG, IMAGE_JPEG, IMAGE_WEBP } image_format;
/* "unknown", "PNG", "JPEG", "WebP": for messages. */
extern const char *const image_format_names[];

/* pixels: (height, width, 3) bytes, rows without padding. {0} is empty. What a file has beside its colours is carried
 * along by image_copy_extras: alpha, and the ICC profile, which is not applied. */
typedef struct image {
    size_t width, height;
    uint8_t *pixels;
    uint8_t *alpha;       /* (height, width), 255 is opaque; NULL: opaque everywhere */
    uint8_t *profile;     /* ICC profile; NULL: none, which means sRGB */
    size_t profile_bytes;
    int orientation;      /* what EXIF said, 1 to 8, and was applied; 0: it said nothing */
    image_format format;  /* of the file that it was decoded from, by content; IMAGE_UNKNOWN: from none */
} image;

/* In every function that fills an `out`: what it held is overwritten, not freed; it is no input of the same call; it
 * is empty after a failure; the caller frees it with image_free. */
status image_create(image *out, size_t width, size_t height, error *err); /* not cleared */
void image_free(image *picture);                                          /* leaves it empty */

/* Gives `to`, which has none, copies of the alpha and the profile of `from`, which is as large. */
status image_copy_extras(const image *from, image *to, error *err);

typedef struct image_limits {
    size_t max_pixels; /* width * height that may be decoded; 0: the default of 256 million */
    double max_bytes;  /* that reading may take, with 4 for each pixel of the result; 0: what is available */
    double taken_bytes; /* of these, before */
    /* Told the size once it is known and within the limit, before memory for it is taken; may wait. NULL: nobody is. */
    void (*admit)(void *context, size_t width, size_t height);
    void *context;
    /* Becomes non-zero when reading is to be given up: STATUS_INTERRUPTED. It is looked at row by row, but not while libwebp
     * decodes (half a second for 4096x4096). May be NULL. */
    const volatile sig_atomic_t *stop;
} image_limits;

/* PNG, JPEG or WebP, by content and not by name. Grey is spread to RGB, 16 bits are rounded to 8, CMYK is taken as
 * Adobe writes it, EXIF's orientation is applied. Alpha that is not 255 everywhere is kept, and so is an ICC profile
 * for RGB (of a grey or CMYK file it would be wrong for the result). A PNG with a gAMA chunk, but neither a profile nor
 * an sRGB chunk, whose gamma is over 5 % from 1/2.2 is brought to 1/2.2, as browsers do.
 *
 * A truncated or damaged file and an animation are errors, and so is a picture over the limits, or of more bytes than are
 * available (STATUS_NO_MEMORY), for which nothing is allocated. Decoding takes up to 13 bytes a pixel (the result: 3, or 4
 * with alpha), and the file's size where it is a WebP, of which others are in memory piece by piece. Not counted are
 * what else a PNG holds, 16 MiB at most, and Huffman tables, of which a WebP made for it can have libwebp take 1.4 GB.
 * limits may be NULL. */
status image_read(const char *path, const image_limits *limits, image *out, error *err);
/* The same from memory; `name` is for messages. */
status image_decode(const char *name, const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                    error *err);

typedef struct image_write_options {
    int quality; /* JPEG and WebP, 1 to 100; 0: 95. At 100 WebP is lossless. */
    /* Becomes non-zero when encoding is to be given up: STATUS_INTERRUPTED, and nothing is written. May be NULL. */
    const volatile sig_atomic_t *stop;
} image_write_options;
/* PNG, JPEG or WebP by extension (.png .jpg .jpeg .webp), atomically; the same bytes for the same picture. The profile
 * is written; so is alpha, but in JPEG, which has none: there the picture is laid over white. A JPEG's sides are at most
 * 65500 pixels, a WebP's 16383. options may be NULL. */
status image_write(const char *path, const image *picture, const image_write_options *options, error *err);
/* Bytes of memory that writing a picture of so many pixels takes for each of them, beside the picture: the file, and what
 * the encoder keeps (for WebP of a photograph; of noise up to twice as much). quality: as in the options. */
double image_write_bytes(image_format format, int quality, size_t pixels);
/* The same into new memory, which the caller frees with free(); `path` says the format and is for messages. */
status image_encode(const char *path, const image *picture, const image_write_options *options, uint8_t **bytes,
                    size_t *size, error *err);
/* By the extension, whatever its case; IMAGE_UNKNOWN for others. */
image_format image_format_of(const char *path);
/* Whether image_write knows the extension / image_read is worth trying on the name. */
bool image_extension_known(const char *path);

/* Antialiased bicubic (a = -0.5) as Pillow's Image.resize(BICUBIC): horizontal then vertical pass, 8 bits between;
 * with alpha on colours multiplied by it, so that what cannot be seen does not bleed in. Resizing, cropping and
 * flipping take alpha and profile along. */
status image_resize(const image *in, size_t width, size_t height, image *out, error *err);
status image_crop(const image *in, size_t left, size_t top, size_t width, size_t height, image *out, error *err);
void image_flip_horizontal(image *picture);

/* Pixels as networks see them, and back (base/pixels.h). floats: (height, width, 3). */
void image_to_floats(const image *in, float *floats);
void image_from_floats(const float *floats, image *out); /* out has its size already */

#endif
