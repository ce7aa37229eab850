#include "compare/metrics/wasserstein.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compare/metrics/patches.h"

enum { MOST_GROUPS = 60, JACKKNIFED_DIRECTIONS = 64, DIRECTIONS = 512 };

double compare_wasserstein_sorted(const float *a, size_t n, const float *b, size_t m)
{
    /* The quantile functions are steps of 1/n and 1/m; `at` counts in units of 1/(n m). */
    size_t i = 0, j = 0, at = 0;
    double sum = 0;
    while (i < n && j < m) {
        size_t end_a = (i + 1) * m, end_b = (j + 1) * n, next = end_a < end_b ? end_a : end_b;
        sum += fabs((double)a[i] - b[j]) * (double)(next - at);
        at = next;
        if (end_a == next) i++;
        if (end_b == next) j++;
    }
    return sum / ((double)n * (double)m);
}

/* What measuring one level needs. */
typedef struct level_job {
    const compare_patches *set[2];
    size_t groups[2], directions, columns; /* of `table`: the distance, then it without each group of both sets */
    uint64_t seed, step;
    double *table; /* (directions, columns) */
    float *scratch;
    size_t scratch_floats; /* of one thread */
    uint32_t *keys;
    size_t key_count; /* of one thread */
} level_job;

static void random_direction(const level_job *job, size_t direction, float out[COMPARE_PATCH])
{
    double squares = 0;
    for (size_t i = 0; i < COMPARE_PATCH; i++) {
        out[i] = rng_normal(job->seed, RNG_METRICS, job->step, (uint32_t)(direction * COMPARE_PATCH + i));
        squares += (double)out[i] * out[i];
    }
    for (size_t i = 0; i < COMPARE_PATCH; i++) out[i] = (float)(out[i] / sqrt(squares));
}

/* One direction: the distance and, for the first directions, the jackknife's. */
static void measure_direction(const level_job *job, size_t direction)
{
    size_t thread = (size_t)omp_get_thread_num();
    float w[COMPARE_PATCH], *partial[2], *sorted[2], *fewer, *scratch = job->scratch + thread * job->scratch_floats;
    uint32_t *keys = job->keys + thread * job->key_count;
    double *row = job->table + direction * job->columns;
    random_direction(job, direction, w);
    for (int s = 0; s < 2; s++) {
        size_t n = job->set[s]->count;
        partial[s] = scratch;
        sorted[s] = scratch + 3 * n;
        scratch += 4 * n;
        compare_patches_project(job->set[s], w, partial[s]);
        compare_patches_combine(job->set[s], job->groups[s], job->groups[s], w, partial[s], sorted[s]);
        compare_sort(sorted[s], keys, n);
    }
    fewer = scratch;
    *row++ = compare_wasserstein_sorted(sorted[0], job->set[0]->count, sorted[1], job->set[1]->count);
    if (direction >= JACKKNIFED_DIRECTIONS) return;
    for (int s = 0; s < 2; s++)
        for (size_t g = 0; g < job->groups[s]; g++) {
            size_t n = compare_patches_combine(job->set[s], job->groups[s], g, w, partial[s], fewer);
            compare_sort(fewer, keys, n);
            *row++ = compare_wasserstein_sorted(fewer, n, sorted[!s], job->set[!s]->count);
        }
}

/* Adds the level's distance and its values without each group, divided by `levels`, to total: (columns). */
static compare_estimate finish_level(const level_job *job, const size_t pictures[2], double levels, double *total,
                                     double *own)
{
    size_t few = job->directions < JACKKNIFED_DIRECTIONS ? job->directions : JACKKNIFED_DIRECTIONS;
    for (size_t c = 0; c < job->columns; c++) {
        size_t directions = c ? few : job->directions;
        own[c] = 0;
        for (size_t d = 0; d < directions; d++) own[c] += job->table[d * job->columns + c];
        own[c] *= 1000 / (double)directions;
        total[c] += own[c] / levels;
    }
    double variance = compare_jackknife(own + 1, job->groups[0]) +
                      compare_jackknife(own + 1 + job->groups[0], job->groups[1]);
    return compare_positive(compare_normal(own[0], variance, pictures[0], pictures[1]));
}

static status measure_levels(level_job *job, const compare_patches *const patches[2], const size_t pictures[2],
                             compare_wasserstein *out, error *err)
{
    double *total = calloc(2 * job->columns, sizeof *total);
    if (!total) return error_no_memory(err, "sliced Wasserstein distance", 2 * job->columns * sizeof *total);
    for (size_t l = 0; l < out->levels; l++) {
        job->step = 2 * COMPARE_LEVELS + l;
        for (int s = 0; s < 2; s++) job->set[s] = &patches[s][l];
#pragma omp parallel for schedule(dynamic)
        for (size_t d = 0; d < job->directions; d++) measure_direction(job, d);
        out->level[l] = finish_level(job, pictures, (double)out->levels, total, total + job->columns);
    }
    double variance = compare_jackknife(total + 1, job->groups[0]) +
                      compare_jackknife(total + 1 + job->groups[0], job->groups[1]);
    out->mean = compare_positive(compare_normal(total[0], variance, pictures[0], pictures[1]));
    free(total);
    return STATUS_OK;
}

static status measure_patches(const compare_patches *const patches[2], const size_t pictures[2],
                              const compare_wasserstein_options *o, compare_wasserstein *out, error *err)
{
    size_t threads = (size_t)omp_get_max_threads(), n = patches[0][0].count, m = patches[1][0].count;
    size_t larger = n > m ? n : m;
    level_job job = {.directions = o->directions ? o->directions : DIRECTIONS,
                     .seed = o->seed,
                     .scratch_floats = 4 * (n + m) + larger,
                     .key_count = 2 * larger};
    for (int s = 0; s < 2; s++) job.groups[s] = pictures[s] < MOST_GROUPS ? pictures[s] : MOST_GROUPS;
    job.columns = 1 + job.groups[0] + job.groups[1];
    job.table = malloc(job.directions * job.columns * sizeof *job.table);
    job.scratch = malloc(threads * job.scratch_floats * sizeof *job.scratch);
    job.keys = malloc(threads * job.key_count * sizeof *job.keys);
    status result = job.table && job.scratch && job.keys
                        ? measure_levels(&job, patches, pictures, out, err)
                        : error_no_memory(err, "sliced Wasserstein distance",
                                          threads * job.scratch_floats * sizeof *job.scratch);
    free(job.table);
    free(job.scratch);
    free(job.keys);
    return result;
}

static status check(const compare_pictures *real, const compare_pictures *fake, error *err)
{
    size_t side = real->side;
    if (side != fake->side || side < COMPARE_SMALLEST_LEVEL || side > COMPARE_SMALLEST_LEVEL << (COMPARE_LEVELS - 1) ||
        (side & (side - 1)))
        return error_set(err, STATUS_FAILED,
                         "sliced Wasserstein distance: pictures of %zu and %zu pixels, expected one power of two from "
                         "%d to %d",
                         side, fake->side, COMPARE_SMALLEST_LEVEL, COMPARE_SMALLEST_LEVEL << (COMPARE_LEVELS - 1));
    if (real->count < 2 || fake->count < 2)
        return error_set(err, STATUS_FAILED, "sliced Wasserstein distance: sets of %zu and %zu pictures, expected 2 or "
                         "more of each", real->count, fake->count);
    return STATUS_OK;
}

status compare_wasserstein_measure(const compare_pictures *real, const compare_pictures *fake,
                                   const compare_wasserstein_options *options, compare_wasserstein *out, error *err)
{
    const compare_pictures *sets[2] = {real, fake};
    const size_t pictures[2] = {real->count, fake->count};
    compare_patches patches[2][COMPARE_LEVELS] = {0};
    TRY(check(real, fake, err));
    *out = (compare_wasserstein){0};
    for (size_t side = real->side; side >= COMPARE_SMALLEST_LEVEL; side /= 2) out->side[out->levels++] = side;
    status result = STATUS_OK;
    for (size_t s = 0; s < 2 && result == STATUS_OK; s++)
        result = compare_patches_take(sets[s], s, out->levels, options->patches, options->seed, patches[s], err);
    const compare_patches *const taken[2] = {patches[0], patches[1]};
    if (result == STATUS_OK) result = measure_patches(taken, pictures, options, out, err);
    for (size_t s = 0; s < 2; s++)
        for (size_t l = 0; l < out->levels; l++) compare_patches_free(&patches[s][l]);
    return result;
}
