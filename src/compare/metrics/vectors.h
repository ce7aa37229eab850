/* Sets of vectors, one for each picture (features, Gram matrices, small pictures), and the measures that are made of
 * distances between them.
 *
 *     compare_vectors real = {real_features, 60, 512}, fake = {fake_features, 40, 512};
 *     compare_estimate kid;
 *     TRY(compare_kid(&real, &fake, &kid, err));
 *
 * The distance of two vectors is the root of their mean squared difference, in the unit of their elements.
 */
#ifndef COMPARE_METRICS_VECTORS_H
#define COMPARE_METRICS_VECTORS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "compare/metrics/interval.h"

typedef struct compare_vectors {
    const float *values; /* (count, dimension) */
    size_t count, dimension;
} compare_vectors;

/* KID (Binkowski, Sutherland, Arbel, Gretton 2018): the squared maximum mean discrepancy with the kernel
 * (x.y / dimension + 1)^3, estimated without bias, so that it may fall below 0. Its variance is the jackknife's over
 * pictures of both sets, the excess of pairs.h taken off. Sets of COMPARE_FEWEST or more, of one dimension; the two
 * must share no picture, for what they share is a pair of a picture with itself. Three kernel matrices of doubles are
 * held. */
status compare_kid(const compare_vectors *real, const compare_vectors *fake, compare_estimate *out, error *err);

/* Distances between all pairs; out: (a.count, b.count). */
void compare_distances(const compare_vectors *a, const compare_vectors *b, double *out);

/* Diversity: mean distance between two different vectors of a set of COMPARE_FEWEST or more. */
status compare_diversity(const compare_vectors *set, compare_estimate *out, error *err);

/* Mean over the outputs of the distance to the nearest target. The interval is over outputs, the targets being as they
 * are. At least 2 outputs, 1 target. nearest: (outputs.count), each output's distance. */
status compare_nearest(const compare_vectors *outputs, const compare_vectors *targets, double *nearest,
                       compare_estimate *out, error *err);

/* Mean over the outputs of the distance to the mean of the targets; the interval is over both sets, of COMPARE_FEWEST
 * or more. */
status compare_to_mean(const compare_vectors *outputs, const compare_vectors *targets, compare_estimate *out,
                       error *err);

/* ||a - b|| / ||a||: by how much b differs from a; 0 when both are 0. */
double compare_relative(const float *a, const float *b, size_t count);

typedef struct compare_neighbour {
    size_t nearest; /* training picture */
    double distance;
    bool close; /* closer than real pictures are to each other */
} compare_neighbour;

typedef struct compare_memorisation {
    double threshold;          /* below it, or at distance 0, an output counts as close */
    compare_estimate distance; /* mean distance of an output to its nearest training picture */
    compare_estimate close;    /* share of outputs that are close */
} compare_memorisation;

/* Memorisation: nearest training picture of each output. The threshold is the 5 % quantile of the distances of training
 * pictures to the nearest other one (copies among them, at distance 0, left out): of pictures that are new to the
 * training set, and as varied, about one in twenty is that close by chance. The interval is over outputs. At least 2 of
 * both; neighbours: (outputs.count). */
status compare_memorised(const compare_vectors *outputs, const compare_vectors *training,
                         compare_neighbour *neighbours, compare_memorisation *out, error *err);

#endif
