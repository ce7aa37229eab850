/* A step along a direction that satisfies the strong Wolfe conditions
 *
 *     f(x + t d) <= f(x) + c1 t d.g(x)     |d.g(x + t d)| <= c2 |d.g(x)|     c1 = 1e-4, c2 = 0.9
 *
 * by bracketing and zooming (Nocedal and Wright 2006, algorithms 3.5 and 3.6) with cubic interpolation.
 */
#ifndef STYLE_LINE_SEARCH_H
#define STYLE_LINE_SEARCH_H

#include "style/optimise.h"

/* A place on the line: its step, loss, slope d.g, and vectors x and gradient. */
typedef struct style_place {
    double step, loss, slope;
    float *x, *gradient;
} style_place;

typedef struct style_line {
    const style_minimisation *m;
    const float *direction;
    const style_place *start; /* step 0 */
    size_t evaluations;       /* counted on */
} style_line;

double style_dot(const float *a, const float *b, size_t count);

/* step: the first to try. best, other: room for vectors, exchanged at will; *best is the place to go to. It is one that
 * satisfies both conditions, or after 25 evaluations the lowest that satisfies the first, or, with step 0, none: then
 * nothing along the line is lower. */
status style_line_search(style_line *line, double step, style_place *best, style_place *other, error *err);

#endif
