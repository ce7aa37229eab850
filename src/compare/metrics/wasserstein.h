/* Sliced Wasserstein distance between patches of two sets of pictures, level by level of their Laplacian pyramids
 * (Karras, Aila, Laine, Lehtinen 2018, section 5; their sliced_wasserstein.py). It needs no network.
 *
 *     compare_wasserstein_options options = {.seed = 1};
 *     compare_wasserstein swd;
 *     TRY(compare_wasserstein_measure(&real, &fake, &options, &swd, err));
 *     for (size_t l = 0; l < swd.levels; l++) printf("%zu: %g\n", swd.side[l], swd.level[l].value);
 *
 * Per level: patches of 7 x 7 x 3 at random places; each colour of a set's patches less its mean, over its standard
 * deviation; projected on random directions; per direction the Wasserstein-1 distance of the two sets of numbers; the
 * mean over directions, times 1000 as the paper prints it. As every distance between samples it is above 0 for two sets
 * from one source too, and falls as sets grow: compare numbers of sets of the same sizes.
 */
#ifndef COMPARE_METRICS_WASSERSTEIN_H
#define COMPARE_METRICS_WASSERSTEIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "compare/metrics/interval.h"
#include "compare/metrics/pictures.h"

enum { COMPARE_LEVELS = 8, COMPARE_SMALLEST_LEVEL = 16, COMPARE_PATCH = 7 * 7 * 3 };

typedef struct compare_wasserstein_options {
    size_t patches;    /* of a picture and level; 0: 128, but at most 16384 of a set */
    size_t directions; /* 0: 512 */
    uint64_t seed;
} compare_wasserstein_options;

typedef struct compare_wasserstein {
    size_t levels, side[COMPARE_LEVELS];      /* from the finest, the pictures' side, to 16 */
    compare_estimate level[COMPARE_LEVELS];
    compare_estimate mean; /* over the levels */
} compare_wasserstein;

/* Pictures of one side, a power of two from 16 to 2048; sets of at least 2. Intervals are the jackknife's over pictures
 * (60 groups of them in larger sets), a picture with all its patches, over the first 64 directions; they are for the
 * measure's expectation at these set sizes. The result is the same for any number of threads. */
status compare_wasserstein_measure(const compare_pictures *real, const compare_pictures *fake,
                                   const compare_wasserstein_options *options, compare_wasserstein *out, error *err);

/* Wasserstein-1 distance of two samples in ascending order, of any sizes. */
double compare_wasserstein_sorted(const float *a, size_t n, const float *b, size_t m);

/* Sorts numbers that are not NaN; `scratch` has room for twice as many. */
void compare_sort(float *values, uint32_t *scratch, size_t count);

/* Of the whole pyramid of a picture (side, side, 3): level l at levels[l], (side >> l, side >> l, 3), the last a
 * low-pass. Taps 1 4 6 4 1 / 16, mirrored at edges without repeating them. */
void compare_laplacian(const uint8_t *picture, size_t side, size_t count, float *const *levels, float *scratch);

#endif
