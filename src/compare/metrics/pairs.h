/* Means over pairs of pictures (U-statistics), their values without each picture, and the part of their variance that
 * belongs to pairs and not to single pictures.
 *
 *     compare_pairs p;
 *     TRY(compare_pairs_within(distance, n, &p, err));      mean over i != j of an (n, n) matrix
 *     double variance = compare_pairs_variance(&p);
 *     compare_pairs_free(&p);
 *
 * The jackknife counts the variance of pairs twice (Efron and Stein 1981), which matters where pictures of both sets
 * come from one source: there nothing else is left of KID's variance. So that part is estimated by itself, without
 * bias, from the doubly centred matrix (Szekely and Rizzo 2014, "Partial distance correlation", their U-centred
 * matrices), and the excess is taken off.
 */
#ifndef COMPARE_METRICS_PAIRS_H
#define COMPARE_METRICS_PAIRS_H

#include <stddef.h>

#include "base/status.h"

typedef struct compare_pairs {
    double mean;
    size_t n, m;                  /* m is 0 for pairs within one set */
    double *without;              /* (n + m): the mean without each picture of the first set, then of the second */
    double counted, excess;       /* variance of the mean that belongs to pairs; how much more the jackknife finds */
} compare_pairs;

/* matrix: (n, n), symmetric, n >= 4; its diagonal, which pairs a picture with itself, is not looked at. */
status compare_pairs_within(const double *matrix, size_t n, compare_pairs *out, error *err);
/* matrix: (n, m), both >= 2. */
status compare_pairs_between(const double *matrix, size_t n, size_t m, compare_pairs *out, error *err);
void compare_pairs_free(compare_pairs *p);

/* Of the mean: the jackknife's variance without its excess, and at least that of the pairs. */
double compare_pairs_variance(const compare_pairs *p);

#endif
