#include <math.h>
#include <stdlib.h>

#include "style/optimise.h"

/* Moments and x, each a vector. */
typedef struct adam {
    style_adam_options o;
    float *gradient, *m, *v;
} adam;

static void update(const adam *a, size_t step, float *x, size_t count)
{
    double rate = a->o.learning_rate / (1 - pow(a->o.beta1, (double)step));
    double root = 1 / sqrt(1 - pow(a->o.beta2, (double)step));
    for (size_t i = 0; i < count; i++) {
        double g = a->gradient[i], m = a->o.beta1 * a->m[i] + (1 - a->o.beta1) * g;
        double v = a->o.beta2 * a->v[i] + (1 - a->o.beta2) * g * g;
        a->m[i] = (float)m;
        a->v[i] = (float)v;
        x[i] = (float)(x[i] - rate * m / (sqrt(v) * root + a->o.epsilon));
    }
}

static status evaluate(const style_minimisation *m, const adam *a, const float *x, style_minimum *found, error *err)
{
    found->evaluations++;
    TRY(m->objective(m->context, x, &found->loss, a->gradient, err));
    if (isfinite(found->loss)) return STATUS_OK;
    return error_set(err, STATUS_NOT_FINITE, "iteration %zu: the loss is %g; a lower learning rate may help",
                     found->iterations, found->loss);
}

static bool converged(const style_minimisation *m, const adam *a, double before, double loss)
{
    double most = 0;
    for (size_t i = 0; i < m->count; i++) most = fmax(most, fabs((double)a->gradient[i]));
    return most <= m->gradient_tolerance || fabs(before - loss) < m->change_tolerance * fabs(before);
}

static status iterate(const style_minimisation *m, const adam *a, float *x, style_minimum *found, error *err)
{
    TRY(evaluate(m, a, x, found, err));
    while (found->iterations < m->iterations && !found->exhausted) {
        double before = found->loss;
        update(a, ++found->iterations, x, m->count);
        TRY(evaluate(m, a, x, found, err));
        if (m->iterated) TRY(m->iterated(m->context, found->iterations, found->loss, x, err));
        found->exhausted = converged(m, a, before, found->loss);
    }
    return STATUS_OK;
}

status style_adam(const style_minimisation *m, const style_adam_options *options, float *x, style_minimum *found,
                  error *err)
{
    adam a = {.o = *options};
    if (a.o.learning_rate == 0) a.o.learning_rate = 0.02;
    if (a.o.beta1 == 0) a.o.beta1 = 0.9;
    if (a.o.beta2 == 0) a.o.beta2 = 0.999;
    if (a.o.epsilon == 0) a.o.epsilon = 1e-8;
    *found = (style_minimum){0};
    a.gradient = calloc(m->count ? 3 * m->count : 1, sizeof(float));
    if (!a.gradient) return error_no_memory(err, "Adam", 3 * m->count * sizeof(float));
    a.m = a.gradient + m->count;
    a.v = a.m + m->count;
    status result = iterate(m, &a, x, found, err);
    free(a.gradient);
    return result;
}
