/* Patches of a level of Laplacian pyramids, and their projections with and without groups of pictures; what the sliced
 * Wasserstein distance (wasserstein.h) is computed from.
 *
 *     compare_patches patches[COMPARE_LEVELS] = {0};
 *     TRY(compare_patches_take(&set, 0, levels, 128, seed, patches, err));
 *     compare_patches_project(&patches[0], direction, partial);
 *     size_t n = compare_patches_combine(&patches[0], 60, 7, direction, partial, values);     without group 7 of 60
 */
#ifndef COMPARE_METRICS_PATCHES_H
#define COMPARE_METRICS_PATCHES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "compare/metrics/pictures.h"

typedef struct compare_patches {
    float *values; /* (pictures, count / pictures, 7, 7, 3) */
    size_t count, pictures;
    double *sums; /* (pictures, 2, 3): sum and sum of squares of each colour, over a picture's patches */
} compare_patches;

/* Patches of each level, `each` a picture (0: as wasserstein.h says), at places drawn for (seed, which set, level).
 * Free every level with compare_patches_free, after a failure too. */
status compare_patches_take(const compare_pictures *set, size_t which, size_t levels, size_t each, uint64_t seed,
                            compare_patches *out, error *err);
void compare_patches_free(compare_patches *p);

/* Sum of products with the direction, colour by colour; partial: (count, 3). */
void compare_patches_project(const compare_patches *p, const float *direction, float *partial);

/* Projections of the patches, each colour less its mean and over its standard deviation (or not scaled, where that is
 * 0), without those of group `left_out` of `groups` of successive pictures, whose part in mean and deviation is left
 * out too; left_out == groups: of all. How many there are. */
size_t compare_patches_combine(const compare_patches *p, size_t groups, size_t left_out, const float *direction,
                               const float *partial, float *out);

#endif
