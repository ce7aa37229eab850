#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "style/line_search.h"

enum { DEFAULT_HISTORY = 20, PLACES = 3 };

typedef struct lbfgs {
    const style_minimisation *m;
    size_t history, pairs, next;   /* pairs that are there; where the next goes */
    float *memory;                 /* all vectors */
    float *steps, *changes;        /* (history, count) each */
    double *inverse, *alpha;       /* 1 / (s.y) of each pair; of the recursion */
    float *direction;
    style_place places[PLACES];    /* current, best and another one of the line search */
    size_t evaluations;
} lbfgs;

static status allocate(lbfgs *l, error *err)
{
    size_t count = l->m->count, vectors = 2 * l->history + 1 + 2 * PLACES;
    if (count > SIZE_MAX / sizeof(float) / vectors) return error_no_memory(err, "L-BFGS", SIZE_MAX);
    l->memory = malloc(vectors * count * sizeof(float));
    l->inverse = malloc(2 * l->history * sizeof(double));
    if (!l->memory || !l->inverse) return error_no_memory(err, "L-BFGS", vectors * count * sizeof(float));
    l->alpha = l->inverse + l->history;
    float *next = l->memory;
    l->steps = next;
    l->changes = next += l->history * count;
    l->direction = next += l->history * count;
    for (size_t i = 0; i < PLACES; i++) {
        l->places[i].x = next += count;
        l->places[i].gradient = next += count;
    }
    return STATUS_OK;
}

/* Number of the pair of `age`, 0 the youngest. */
static size_t pair_of(const lbfgs *l, size_t age) { return (l->next + l->history - 1 - age) % l->history; }

static void add_scaled(float *to, double factor, const float *x, size_t count)
{
    for (size_t i = 0; i < count; i++) to[i] = (float)(to[i] + factor * x[i]);
}

/* direction = -H gradient by the two loops of algorithm 7.4, with H0 = (s.y / y.y) I of the youngest pair. */
static void find_direction(lbfgs *l)
{
    size_t n = l->m->count;
    float *d = l->direction;
    for (size_t i = 0; i < n; i++) d[i] = -l->places[0].gradient[i];
    for (size_t age = 0; age < l->pairs; age++) {
        size_t k = pair_of(l, age);
        l->alpha[k] = l->inverse[k] * style_dot(l->steps + k * n, d, n);
        add_scaled(d, -l->alpha[k], l->changes + k * n, n);
    }
    if (l->pairs) {
        size_t k = pair_of(l, 0);
        double scale = 1 / (l->inverse[k] * style_dot(l->changes + k * n, l->changes + k * n, n));
        for (size_t i = 0; i < n; i++) d[i] = (float)(d[i] * scale);
    }
    for (size_t age = l->pairs; age-- > 0;) {
        size_t k = pair_of(l, age);
        double beta = l->inverse[k] * style_dot(l->changes + k * n, d, n);
        add_scaled(d, l->alpha[k] - beta, l->steps + k * n, n);
    }
}

/* Keeps the pair of the last step, unless its curvature is lost in rounding. */
static void remember(lbfgs *l, const style_place *from, const style_place *to)
{
    size_t n = l->m->count;
    float *s = l->steps + l->next * n, *y = l->changes + l->next * n;
    for (size_t i = 0; i < n; i++) {
        s[i] = to->x[i] - from->x[i];
        y[i] = to->gradient[i] - from->gradient[i];
    }
    double curvature = style_dot(s, y, n);
    if (!(curvature > 1e-10 * sqrt(style_dot(s, s, n) * style_dot(y, y, n)))) return;
    l->inverse[l->next] = 1 / curvature;
    l->next = (l->next + 1) % l->history;
    if (l->pairs < l->history) l->pairs++;
}

static double largest(const float *x, size_t count)
{
    double most = 0;
    for (size_t i = 0; i < count; i++) most = fmax(most, fabs((double)x[i]));
    return most;
}

/* One iteration; *moved is false when nothing lower was found. */
static status step(lbfgs *l, bool *moved, error *err)
{
    style_place *current = &l->places[0];
    size_t n = l->m->count;
    *moved = false;
    for (int attempt = 0; attempt < 2 && !*moved; attempt++) {
        bool fresh = l->pairs == 0;
        if (attempt && fresh) break;
        if (attempt) l->pairs = 0; /* once more, along the gradient */
        find_direction(l);
        current->step = 0;
        current->slope = style_dot(current->gradient, l->direction, n);
        if (!(current->slope < 0)) continue;
        /* Without knowledge of the curvature: at most a step of length 1. */
        double first = l->pairs ? 1 : fmin(1, 1 / sqrt(-current->slope));
        style_line line = {l->m, l->direction, current, 0};
        status result = style_line_search(&line, first, &l->places[1], &l->places[2], err);
        l->evaluations += line.evaluations;
        if (result != STATUS_OK) return result;
        *moved = l->places[1].step > 0 && l->places[1].loss < current->loss;
    }
    if (!*moved) return STATUS_OK;
    remember(l, current, &l->places[1]);
    style_place kept = l->places[0];
    l->places[0] = l->places[1];
    l->places[1] = kept;
    return STATUS_OK;
}

static status iterate(lbfgs *l, style_minimum *found, error *err)
{
    const style_minimisation *m = l->m;
    while (found->iterations < m->iterations && !found->exhausted) {
        double before = l->places[0].loss;
        bool moved;
        if (largest(l->places[0].gradient, m->count) <= m->gradient_tolerance) {
            found->exhausted = true;
            break;
        }
        TRY(step(l, &moved, err));
        if (!moved) {
            found->exhausted = true;
            break;
        }
        found->iterations++;
        found->loss = l->places[0].loss;
        if (m->iterated) TRY(m->iterated(m->context, found->iterations, found->loss, l->places[0].x, err));
        found->exhausted = before - found->loss < m->change_tolerance * fabs(before);
    }
    return STATUS_OK;
}

status style_lbfgs(const style_minimisation *m, const style_lbfgs_options *options, float *x, style_minimum *found,
                   error *err)
{
    lbfgs l = {.m = m, .history = options->history ? options->history : DEFAULT_HISTORY};
    status result = allocate(&l, err);
    *found = (style_minimum){0};
    if (result == STATUS_OK) {
        style_place *start = &l.places[0];
        memcpy(start->x, x, m->count * sizeof *x);
        l.evaluations = 1;
        result = m->objective(m->context, start->x, &start->loss, start->gradient, err);
        found->loss = start->loss;
        if (result == STATUS_OK && !isfinite(start->loss))
            result = error_set(err, STATUS_NOT_FINITE, "the loss at the start is %g", start->loss);
    }
    if (result == STATUS_OK) result = iterate(&l, found, err);
    if (result == STATUS_OK) memcpy(x, l.places[0].x, m->count * sizeof *x);
    found->evaluations = l.evaluations;
    free(l.memory);
    free(l.inverse);
    return result;
}
