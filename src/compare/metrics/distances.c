#include <math.h>
#include <stdlib.h>

#include "compare/metrics/pairs.h"
#include "compare/metrics/vectors.h"

static double distance(const float *a, const float *b, size_t dimension)
{
    double sum = 0;
    for (size_t i = 0; i < dimension; i++) {
        double d = (double)a[i] - b[i];
        sum += d * d;
    }
    return sqrt(sum / (double)dimension);
}

void compare_distances(const compare_vectors *a, const compare_vectors *b, double *out)
{
#pragma omp parallel for schedule(dynamic)
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            out[i * b->count + j] = distance(a->values + i * a->dimension, b->values + j * b->dimension, a->dimension);
}

/* compare_distances into new memory. */
static status distances(const compare_vectors *a, const compare_vectors *b, double **out, error *err)
{
    size_t bytes = a->count * b->count * sizeof **out;
    *out = malloc(bytes);
    if (!*out) return error_no_memory(err, "a table of distances", bytes);
    compare_distances(a, b, *out);
    return STATUS_OK;
}

status compare_diversity(const compare_vectors *set, compare_estimate *out, error *err)
{
    double *table;
    TRY(distances(set, set, &table, err));
    compare_pairs p;
    status result = compare_pairs_within(table, set->count, &p, err);
    free(table);
    TRY(result);
    *out = compare_positive(compare_normal(p.mean, compare_pairs_variance(&p), set->count, 0));
    compare_pairs_free(&p);
    return STATUS_OK;
}

/* Of a row; skip: an index that is passed over, `count` for none. */
static size_t nearest_of(const double *row, size_t count, size_t skip)
{
    size_t best = skip == 0 ? 1 : 0;
    for (size_t j = best + 1; j < count; j++)
        if (j != skip && row[j] < row[best]) best = j;
    return best;
}

status compare_nearest(const compare_vectors *outputs, const compare_vectors *targets, double *nearest,
                       compare_estimate *out, error *err)
{
    double *table;
    TRY(distances(outputs, targets, &table, err));
    size_t count = targets->count;
    for (size_t i = 0; i < outputs->count; i++)
        nearest[i] = table[i * count + nearest_of(table + i * count, count, count)];
    *out = compare_positive(compare_mean(nearest, outputs->count));
    free(table);
    return STATUS_OK;
}

/* The set less `mean`: (dimension) floats, in new memory. */
static status centred(const compare_vectors *set, const double *mean, float **out, error *err)
{
    size_t size = set->count * set->dimension;
    float *values = *out = malloc(size * sizeof *values);
    if (!values) return error_no_memory(err, "vectors about their mean", size * sizeof *values);
    for (size_t i = 0; i < size; i++) values[i] = (float)(set->values[i] - mean[i % set->dimension]);
    return STATUS_OK;
}

static double dot(const float *a, const float *b, size_t dimension)
{
    double sum = 0;
    for (size_t i = 0; i < dimension; i++) sum += (double)a[i] * b[i];
    return sum / (double)dimension;
}

/* y: (n, d) outputs and t: (m, d) targets less the targets' mean. The mean without target j lies at -t_j / (m - 1). */
static void distances_to_mean(const float *y, size_t n, const float *t, size_t m, size_t d, double *to_mean,
                              double *without)
{
    double step = 1 / (double)(m - 1);
    for (size_t i = 0; i < n; i++) to_mean[i] = sqrt(dot(y + i * d, y + i * d, d));
#pragma omp parallel for
    for (size_t j = 0; j < m; j++) {
        double own = dot(t + j * d, t + j * d, d), sum = 0;
        for (size_t i = 0; i < n; i++) {
            double square = to_mean[i] * to_mean[i] + 2 * step * dot(y + i * d, t + j * d, d) + step * step * own;
            sum += sqrt(fmax(square, 0));
        }
        without[j] = sum / (double)n;
    }
}

static status to_mean_with(const compare_vectors *outputs, const compare_vectors *targets, const double *mean,
                           double *scratch, compare_estimate *out, error *err)
{
    size_t n = outputs->count, m = targets->count;
    float *y = NULL, *t = NULL;
    status result = centred(outputs, mean, &y, err);
    if (result == STATUS_OK) result = centred(targets, mean, &t, err);
    if (result == STATUS_OK) {
        distances_to_mean(y, n, t, m, targets->dimension, scratch, scratch + n);
        double variance = compare_variance_of_mean(scratch, n) + compare_jackknife(scratch + n, m);
        *out = compare_positive(compare_normal(compare_mean(scratch, n).value, variance, n, m));
    }
    free(y);
    free(t);
    return result;
}

status compare_to_mean(const compare_vectors *outputs, const compare_vectors *targets, compare_estimate *out,
                       error *err)
{
    size_t d = targets->dimension, scratch = outputs->count + targets->count;
    double *mean = calloc(d + scratch, sizeof *mean);
    if (!mean) return error_no_memory(err, "a mean of vectors", (d + scratch) * sizeof *mean);
    for (size_t i = 0; i < targets->count * d; i++) mean[i % d] += targets->values[i];
    for (size_t i = 0; i < d; i++) mean[i] /= (double)targets->count;
    status result = to_mean_with(outputs, targets, mean, mean + d, out, err);
    free(mean);
    return result;
}

double compare_relative(const float *a, const float *b, size_t count)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double d = (double)a[i] - b[i];
        difference += d * d;
        size += (double)a[i] * a[i];
    }
    return difference > 0 ? sqrt(difference / size) : 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The 5 % quantile of the distances above 0; 0 when there are none. Sorts them. */
static double low_quantile(double *values, size_t count)
{
    size_t first = 0;
    qsort(values, count, sizeof *values, ascending);
    while (first < count && !(values[first] > 0)) first++;
    if (first == count) return 0;
    double place = 0.05 * (double)(count - 1 - first);
    size_t below = first + (size_t)place, above = below + 1 < count ? below + 1 : below;
    return values[below] + (place - floor(place)) * (values[above] - values[below]);
}

static status threshold_of(const compare_vectors *training, double *out, error *err)
{
    size_t n = training->count;
    double *table;
    TRY(distances(training, training, &table, err));
    for (size_t i = 0; i < n; i++) /* row 0 has been read when entry 1 is written */
        table[i] = table[i * n + nearest_of(table + i * n, n, i)];
    *out = low_quantile(table, n);
    free(table);
    return STATUS_OK;
}

status compare_memorised(const compare_vectors *outputs, const compare_vectors *training,
                         compare_neighbour *neighbours, compare_memorisation *out, error *err)
{
    size_t n = outputs->count, m = training->count, close = 0;
    TRY(threshold_of(training, &out->threshold, err));
    double *table;
    TRY(distances(outputs, training, &table, err));
    for (size_t i = 0; i < n; i++) {
        compare_neighbour *found = &neighbours[i];
        found->nearest = nearest_of(table + i * m, m, m);
        found->distance = table[i * m + found->nearest];
        found->close = found->distance < out->threshold || found->distance == 0;
        close += found->close;
    }
    for (size_t i = 0; i < n; i++) table[i] = neighbours[i].distance;
    out->distance = compare_positive(compare_mean(table, n));
    out->close = compare_proportion(close, n);
    free(table);
    return STATUS_OK;
}
