/* Numbers with their 95 % confidence intervals, over pictures.
 *
 *     compare_estimate e = compare_mean(ssim_of_pair, pairs);
 *     printf("%g [%g, %g], n = %zu\n", e.value, e.low, e.high, e.n);
 *
 * A measure that is no mean of independent values is given an interval by the jackknife: the same measure without one
 * picture at a time. Pictures are left out, never drawn twice: a doubled picture would meet itself in the pairs of KID
 * and diversity.
 */
#ifndef COMPARE_METRICS_INTERVAL_H
#define COMPARE_METRICS_INTERVAL_H

#include <stddef.h>

enum { COMPARE_FEWEST = 4 }; /* pictures of a set: fewer give the variance of a mean over pairs no degree of freedom */

typedef struct compare_estimate {
    double value, low, high; /* the interval: 95 % */
    size_t n, m;             /* pictures (or pairs of an input and its output), and of the other set; 0: none */
} compare_estimate;

/* The 97.5 % quantile of Student's t; degrees at least 1. */
double compare_student(size_t degrees);

/* Mean of n >= 2 independent values, with Student's interval. */
compare_estimate compare_mean(const double *values, size_t n);
double compare_variance_of_mean(const double *values, size_t n);

/* k of n >= 1, with Wilson's score interval (1927), which is sound at 0 and n too. */
compare_estimate compare_proportion(size_t k, size_t n);

/* The jackknife's variance from a measure's values without each of `groups` >= 2 pictures (or groups of them of nearly
 * one size): (g - 1) / g * sum (without - mean(without))^2 (Efron and Stein 1981). Those of independent sets add up. */
double compare_jackknife(const double *without, size_t groups);

/* value -+ t * sqrt(variance), t with min(n, m) - 1 degrees of freedom (n - 1 when m is 0). */
compare_estimate compare_normal(double value, double variance, size_t n, size_t m);

/* The interval cut to where the measured number can be. Its true value is there too, so that the interval contains it
 * as often as before; few pictures give intervals that reach far beyond. */
compare_estimate compare_within(compare_estimate e, double least, double most);
/* The same for what cannot be below 0: any distance. */
compare_estimate compare_positive(compare_estimate e);

#endif
