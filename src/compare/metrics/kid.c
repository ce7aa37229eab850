#include <math.h>
#include <stdlib.h>

#include "compare/metrics/pairs.h"
#include "compare/metrics/vectors.h"

static double kernel(const float *x, const float *y, size_t dimension)
{
    double dot = 0;
    for (size_t i = 0; i < dimension; i++) dot += (double)x[i] * y[i];
    double base = dot / (double)dimension + 1;
    return base * base * base;
}

/* New memory, (a.count, b.count); NULL without memory. */
static double *kernel_matrix(const compare_vectors *a, const compare_vectors *b)
{
    double *matrix = malloc(a->count * b->count * sizeof *matrix);
    if (!matrix) return NULL;
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            matrix[i * b->count + j] =
                kernel(a->values + i * a->dimension, b->values + j * b->dimension, a->dimension);
    return matrix;
}

static status pairs_of(const compare_vectors *a, const compare_vectors *b, compare_pairs *out, error *err)
{
    double *matrix = kernel_matrix(a, b);
    if (!matrix) return error_no_memory(err, "the kernel matrix", a->count * b->count * sizeof *matrix);
    status result = a == b ? compare_pairs_within(matrix, a->count, out, err)
                           : compare_pairs_between(matrix, a->count, b->count, out, err);
    free(matrix);
    return result;
}

/* From the means over pairs within x, within y, and between them. */
static compare_estimate combine(const compare_pairs *xx, const compare_pairs *yy, compare_pairs *xy)
{
    double *without = xy->without; /* becomes KID without each picture */
    for (size_t i = 0; i < xy->n; i++) without[i] = xx->without[i] + yy->mean - 2 * without[i];
    for (size_t j = 0; j < xy->m; j++) without[xy->n + j] = xx->mean + yy->without[j] - 2 * without[xy->n + j];
    compare_pairs kid = {.mean = xx->mean + yy->mean - 2 * xy->mean,
                         .n = xy->n,
                         .m = xy->m,
                         .without = without,
                         .counted = xx->counted + yy->counted + 4 * xy->counted,
                         .excess = xx->excess + yy->excess + 4 * xy->excess};
    return compare_normal(kid.mean, compare_pairs_variance(&kid), kid.n, kid.m);
}

status compare_kid(const compare_vectors *real, const compare_vectors *fake, compare_estimate *out, error *err)
{
    compare_pairs xx = {0}, yy = {0}, xy = {0};
    status result = pairs_of(real, real, &xx, err);
    if (result == STATUS_OK) result = pairs_of(fake, fake, &yy, err);
    if (result == STATUS_OK) {
        compare_vectors second = *fake; /* another address even when one set is compared with itself */
        result = pairs_of(real, &second, &xy, err);
    }
    if (result == STATUS_OK) *out = combine(&xx, &yy, &xy);
    compare_pairs_free(&xx);
    compare_pairs_free(&yy);
    compare_pairs_free(&xy);
    return result;
}
