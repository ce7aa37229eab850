#include "compare/metrics/patches.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compare/metrics/wasserstein.h"

enum { SIDE = 7, AREA = SIDE * SIDE, MOST_OF_PICTURE = 128, MOST_OF_SET = 16384 };

void compare_patches_free(compare_patches *p)
{
    free(p->values);
    free(p->sums);
    *p = (compare_patches){0};
}

static status create(compare_patches *p, size_t pictures, size_t each, error *err)
{
    *p = (compare_patches){.count = pictures * each, .pictures = pictures};
    p->values = malloc(p->count * COMPARE_PATCH * sizeof *p->values);
    p->sums = calloc(pictures * 6, sizeof *p->sums);
    if (!p->values || !p->sums) return error_no_memory(err, "patches", p->count * COMPARE_PATCH * sizeof *p->values);
    return STATUS_OK;
}

/* level: (side, side, 3) of picture `index`. */
static void take(compare_patches *p, const float *level, size_t side, size_t index, uint64_t seed, uint64_t step)
{
    size_t each = p->count / p->pictures, row = SIDE * 3;
    double *sums = p->sums + index * 6;
    for (size_t i = index * each; i < (index + 1) * each; i++) {
        uint32_t places = (uint32_t)(side - SIDE + 1);
        size_t top = rng_below(seed, RNG_METRICS, step, (uint32_t)(2 * i), places);
        size_t left = rng_below(seed, RNG_METRICS, step, (uint32_t)(2 * i + 1), places);
        float *patch = p->values + i * COMPARE_PATCH;
        for (size_t y = 0; y < SIDE; y++)
            memcpy(patch + y * row, level + ((top + y) * side + left) * 3, row * sizeof *patch);
        for (size_t k = 0; k < COMPARE_PATCH; k++) {
            sums[k % 3] += patch[k];
            sums[3 + k % 3] += (double)patch[k] * patch[k];
        }
    }
}

/* Memory of a thread: the levels one after the other (4/3 of the first), then what compare_laplacian works in. */
static size_t pyramid_floats(size_t side)
{
    return side * side * 3 * 3;
}

static void take_picture(const compare_pictures *set, size_t which, size_t levels, size_t index, uint64_t seed,
                         float *memory, compare_patches *out)
{
    float *level[COMPARE_LEVELS];
    for (size_t l = 0; l < levels; l++) {
        level[l] = memory;
        memory += (set->side >> l) * (set->side >> l) * 3;
    }
    compare_laplacian(compare_picture(set, index), set->side, levels, level, memory);
    for (size_t l = 0; l < levels; l++)
        take(&out[l], level[l], set->side >> l, index, seed, which * COMPARE_LEVELS + l);
}

status compare_patches_take(const compare_pictures *set, size_t which, size_t levels, size_t each, uint64_t seed,
                            compare_patches *out, error *err)
{
    if (each == 0) each = MOST_OF_SET / set->count < MOST_OF_PICTURE ? MOST_OF_SET / set->count : MOST_OF_PICTURE;
    if (each == 0) each = 1;
    for (size_t l = 0; l < levels; l++) TRY(create(&out[l], set->count, each, err));
    size_t floats = pyramid_floats(set->side), bytes = (size_t)omp_get_max_threads() * floats * sizeof(float);
    float *memory = malloc(bytes);
    if (!memory) return error_no_memory(err, "Laplacian pyramids", bytes);
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < set->count; i++)
        take_picture(set, which, levels, i, seed, memory + (size_t)omp_get_thread_num() * floats, out);
    free(memory);
    return STATUS_OK;
}

void compare_patches_project(const compare_patches *p, const float *direction, float *partial)
{
    for (size_t i = 0; i < p->count; i++) {
        const float *patch = p->values + i * COMPARE_PATCH;
        float sum[3] = {0};
        for (size_t k = 0; k < AREA; k++)
            for (size_t c = 0; c < 3; c++) sum[c] += patch[k * 3 + c] * direction[k * 3 + c];
        memcpy(partial + i * 3, sum, sizeof sum);
    }
}

/* Pictures first .. end-1 make up a group. */
static void group_range(const compare_patches *p, size_t groups, size_t group, size_t *first, size_t *end)
{
    *first = group * p->pictures / groups;
    *end = group == groups ? *first : (group + 1) * p->pictures / groups;
}

/* value = sum of partial * scale + shift. */
typedef struct normalisation {
    float scale[3], shift;
} normalisation;

static normalisation normalise(const compare_patches *p, size_t first, size_t end, const float *direction)
{
    double sums[6] = {0}, weights[3] = {0}, shift = 0;
    size_t pictures = p->pictures - (end - first);
    for (size_t i = 0; i < p->pictures; i++)
        for (size_t k = 0; k < 6 && (i < first || i >= end); k++) sums[k] += p->sums[i * 6 + k];
    for (size_t k = 0; k < COMPARE_PATCH; k++) weights[k % 3] += direction[k];
    normalisation n;
    for (size_t c = 0; c < 3; c++) {
        double count = (double)(pictures * (p->count / p->pictures) * AREA), mean = sums[c] / count;
        double variance = sums[3 + c] / count - mean * mean;
        double scale = variance > 1e-9 * (mean * mean + 1e-9) ? 1 / sqrt(variance) : 1; /* else of rounding only */
        n.scale[c] = (float)scale;
        shift -= mean * scale * weights[c];
    }
    n.shift = (float)shift;
    return n;
}

size_t compare_patches_combine(const compare_patches *p, size_t groups, size_t left_out, const float *direction,
                               const float *partial, float *out)
{
    size_t first, end, each = p->count / p->pictures, written = 0;
    group_range(p, groups, left_out, &first, &end);
    normalisation n = normalise(p, first, end, direction);
    for (size_t i = 0; i < p->count; i++) {
        if (i == first * each && end > first) i = end * each; /* past the group */
        if (i >= p->count) break;
        const float *x = partial + i * 3;
        out[written++] = x[0] * n.scale[0] + x[1] * n.scale[1] + x[2] * n.scale[2] + n.shift;
    }
    return written;
}
