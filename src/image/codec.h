/* What the format files and decode.c and write.c share; internal to src/image.
 *
 * libpng and libjpeg leave by longjmp. Each of their functions here keeps its whole state in one struct in its
 * caller's frame, so that no local is lost on the way out.
 */
#ifndef IMAGE_CODEC_H
#define IMAGE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "image/image.h"
#include "image/source.h"

/* STATUS_FAILED when width x height is over the limit, STATUS_NO_MEMORY when its bytes are, or are not there; else
 * limits->admit is told. beside: bytes that decoding takes beside 4 for each pixel. To be called once, before any of that is
 * allocated. */
status image_check_limits(const char *name, size_t width, size_t height, double beside, const image_limits *limits,
                          error *err);

/* The orientation, 1 to 8, that an EXIF block (after its "Exif\0\0") tells; 0 when it tells none. */
int image_exif_orientation(const uint8_t *exif, size_t size);

static inline bool image_stopped(const volatile sig_atomic_t *stop) { return stop && *stop; }
/* Sets that error. */
status image_interrupted(const char *name, error *err);

/* Gives the picture, which has none, room for alpha, not cleared. */
status image_alpha_create(image *picture, error *err);

/* Gives the picture, which has none, a copy of this profile when it is one for RGB. Other profiles (of a CMYK or grey
 * file, or damaged ones) do not describe the pixels that are handed out, and are left. */
status image_keep_profile(image *picture, const uint8_t *profile, size_t size, error *err);
status image_copy_profile(const image *from, image *to, error *err);

/* A decoder leaves *out with the orientation as EXIF has it and not yet applied, and may leave an alpha that is opaque
 * everywhere. */
status image_png_decode(const char *name, image_source *source, const image_limits *limits, image *out, error *err);
status image_jpeg_decode(const char *name, image_source *source, const image_limits *limits, image *out, error *err);
/* It starts with a whole RIFF header. */
status image_webp_decode(const char *name, image_source *source, const image_limits *limits, image *out, error *err);

/* Pixels of a JPEG that gets Huffman codes of its own, 5 to 10 % smaller than with the standard's: until they are known all
 * coefficients are kept, 6 bytes a pixel. */
enum { IMAGE_JPEG_MOST_OPTIMISED = 1 << 24 };

/* The whole file in new memory, which the caller frees with free(); `name` is for messages. options: with a quality. */
status image_png_encode(const char *name, const image *picture, const image_write_options *options, uint8_t **bytes,
                        size_t *size, error *err);
status image_jpeg_encode(const char *name, const image *picture, const image_write_options *options, uint8_t **bytes,
                         size_t *size, error *err);
status image_webp_encode(const char *name, const image *picture, const image_write_options *options, uint8_t **bytes,
                         size_t *size, error *err);

#endif
