/* Minimising a function of many floats whose gradient is at hand: L-BFGS and Adam.
 *
 *     status loss_of(void *context, const float *x, double *loss, float *gradient, error *err) { ... }
 *     style_minimisation m = {.count = n, .objective = loss_of, .context = &mine, .iterations = 200};
 *     style_minimum found;
 *     TRY(style_lbfgs(&m, &(style_lbfgs_options){.history = 20}, x, &found, err));     x: start, then result
 *
 * Vectors are floats in the host's memory; sums over them are doubles.
 */
#ifndef STYLE_OPTIMISE_H
#define STYLE_OPTIMISE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

/* The loss at x and its gradient there. A loss that is not finite is a place that the line search turns away from. */
typedef status (*style_objective)(void *context, const float *x, double *loss, float *gradient, error *err);
/* After each iteration (from 1), at its x. Another status than STATUS_OK ends the minimisation with it. */
typedef status (*style_iterated)(void *context, size_t iteration, double loss, const float *x, error *err);

typedef struct style_minimisation {
    size_t count; /* of variables */
    style_objective objective;
    style_iterated iterated; /* may be NULL */
    void *context;
    size_t iterations; /* at most */
    double gradient_tolerance; /* ends when no component is larger; 0: only when all are 0 */
    double change_tolerance;   /* ends when the loss falls by less than this part of itself; 0: never */
} style_minimisation;

typedef struct style_minimum {
    double loss;
    size_t iterations, evaluations; /* one evaluation is one loss with its gradient */
    bool exhausted; /* ended early: converged, or no step in floats goes lower any more */
} style_minimum;

typedef struct style_lbfgs_options {
    size_t history; /* pairs of steps and gradient changes; each takes 8 bytes a variable. 0: 20 */
} style_lbfgs_options;

/* L-BFGS (Nocedal and Wright 2006, algorithms 7.4 and 7.5), its steps by style_line_search. STATUS_NOT_FINITE when the
 * loss at the start is not. */
status style_lbfgs(const style_minimisation *m, const style_lbfgs_options *options, float *x, style_minimum *found,
                   error *err);

typedef struct style_adam_options {
    double learning_rate, beta1, beta2, epsilon; /* 0: 0.02, 0.9, 0.999, 1e-8 */
} style_adam_options;

/* Adam (Kingma and Ba 2015) in PyTorch's form. STATUS_NOT_FINITE when a loss is not finite. */
status style_adam(const style_minimisation *m, const style_adam_options *options, float *x, style_minimum *found,
                  error *err);

#endif
