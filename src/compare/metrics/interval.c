#include "compare/metrics/interval.h"

#include <math.h>

static const double pi = 3.14159265358979323846, normal_quantile = 1.959963984540054; /* 97.5 % */

/* P(|T| <= t): the finite series of Abramowitz and Stegun 26.7.3 and 26.7.4. */
static double within(double t, size_t degrees)
{
    double angle = atan2(t, sqrt((double)degrees)), cosine = cos(angle), sine = sin(angle);
    double term = degrees % 2 ? cosine : 1, sum = degrees == 1 ? 0 : term;
    for (size_t k = degrees % 2 ? 3 : 2; k + 2 <= degrees; k += 2) {
        term *= cosine * cosine * (double)(k - 1) / (double)k;
        sum += term;
    }
    return degrees % 2 ? 2 / pi * (angle + sine * sum) : sine * sum;
}

double compare_student(size_t degrees)
{
    if (degrees > 10000) return normal_quantile + 2.372 / (double)degrees; /* two terms of its expansion */
    double low = 1.9, high = 13;
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2;
        if (within(middle, degrees) < 0.95)
            low = middle;
        else
            high = middle;
    }
    return (low + high) / 2;
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    return sum / (double)n;
}

static double squares_of(const double *values, size_t n, double mean)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (values[i] - mean) * (values[i] - mean);
    return sum;
}

double compare_variance_of_mean(const double *values, size_t n)
{
    return squares_of(values, n, mean_of(values, n)) / ((double)n * (double)(n - 1));
}

compare_estimate compare_mean(const double *values, size_t n)
{
    return compare_normal(mean_of(values, n), compare_variance_of_mean(values, n), n, 0);
}

compare_estimate compare_proportion(size_t k, size_t n)
{
    double z = normal_quantile, z2 = z * z, size = (double)n, p = (double)k / size;
    double centre = (p + z2 / (2 * size)) / (1 + z2 / size);
    double half = z / (1 + z2 / size) * sqrt(p * (1 - p) / size + z2 / (4 * size * size));
    return (compare_estimate){.value = p, .low = k == 0 ? 0 : centre - half,
                              .high = k == n ? 1 : centre + half, .n = n}; /* there it is 0 or 1 but for rounding */
}

double compare_jackknife(const double *without, size_t groups)
{
    return squares_of(without, groups, mean_of(without, groups)) * (double)(groups - 1) / (double)groups;
}

compare_estimate compare_normal(double value, double variance, size_t n, size_t m)
{
    size_t fewer = m && m < n ? m : n;
    double half = compare_student(fewer - 1) * sqrt(variance);
    return (compare_estimate){.value = value, .low = value - half, .high = value + half, .n = n, .m = m};
}

compare_estimate compare_within(compare_estimate e, double least, double most)
{
    if (e.low < least) e.low = least;
    if (e.high > most) e.high = most;
    return e;
}

compare_estimate compare_positive(compare_estimate e) { return compare_within(e, 0, INFINITY); }
