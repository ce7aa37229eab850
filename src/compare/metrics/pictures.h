/* A set of pictures of one size, for measures that compare sets, and the measures that look at pixels.
 *
 *     compare_pictures set;                              60 squares of 256 pixels
 *     TRY(compare_pictures_create(&set, 60, 256, err));
 *     TRY(compare_pictures_put(&set, 0, &picture, err));
 *     double s;
 *     TRY(compare_ssim(compare_picture(&set, 0), other, set.side, &s, err));
 *     compare_pictures_free(&set);
 */
#ifndef COMPARE_METRICS_PICTURES_H
#define COMPARE_METRICS_PICTURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "image/image.h"

typedef struct compare_pictures {
    uint8_t *pixels; /* (count, side, side, 3) */
    size_t count, side;
} compare_pictures;

status compare_pictures_create(compare_pictures *set, size_t count, size_t side, error *err);
void compare_pictures_free(compare_pictures *set);
/* Lays the picture over white where it is transparent, takes the largest square in its middle, and scales that to
 * side x side, its shape kept: a distorted texture would be another one. */
status compare_pictures_put(compare_pictures *set, size_t index, const image *picture, error *err);
/* (side, side, 3) */
const uint8_t *compare_picture(const compare_pictures *set, size_t index);

/* Means over blocks, as floats 0 to 255; out: (count, small, small, 3). `small` divides the side. */
void compare_pictures_shrink(const compare_pictures *set, size_t small, float *out);

/* Mean structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004) of the luminances 0.299 R + 0.587 G + 0.114 B of
 * two pictures (side, side, 3): Gaussian window of 11 x 11 with sigma 1.5, K1 0.01, K2 0.03, range 255, biased
 * covariances, over the windows that lie within; side at least 11. 1 for equal pictures. */
status compare_ssim(const uint8_t *a, const uint8_t *b, size_t side, double *out, error *err);

#endif
