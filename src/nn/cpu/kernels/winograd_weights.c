/* Winograd's transforms of weights and to their gradients, along channels out. */
#include <string.h>

#include "nn/cpu/kernels/winograd_lines.h"

enum { MOST_KERNEL = 4 /* side */ };

/* Weights of WIDTH outputs and up to GROUP inputs: [in][kernel * a + b][out]. They are moved between this and the tensor
 * one by one, apart from the arithmetic: vectors filled or emptied by the lane would wait for every store. */
typedef float weight_group[GROUP][MOST_KERNEL * MOST_KERNEL][WIDTH];

INLINE void gather_weights(const winograd_weight *w, const size_t kernel, size_t out, size_t in, size_t count,
                           weight_group group)
{
    const size_t taps = kernel * kernel;
    size_t lanes = w->out - out < WIDTH ? w->out - out : WIDTH;
    if (lanes < WIDTH) memset(group, 0, sizeof(weight_group));
    for (size_t lane = 0; lane < lanes; lane++)
        for (size_t k = 0; k < count; k++) {
            const float *from = w->w + (out + lane) * w->out_step + (in + k) * w->in_step;
            if (w->flip)
                for (size_t i = 0; i < taps; i++) group[k][taps - 1 - i][lane] = from[i];
            else
                for (size_t i = 0; i < taps; i++) group[k][i][lane] = from[i];
        }
}

/* Of input k of a group, from lane `half`. */
INLINE void transform_weight(line_transform *line, const size_t kernel, weight_group group, size_t k, size_t half,
                             vector *t)
{
    vector g[MOST_KERNEL * MOST_KERNEL];
    for (size_t i = 0; i < kernel * kernel; i++) g[i] = load(group[k][i] + half);
    transform(line, (int)kernel, PATCH, g, t);
}

/* The same inputs as they are: to[tap * tap_step]. `other` is NULL after the last. */
INLINE void store_taps(const size_t kernel, const float (*taps)[WIDTH], const float (*other)[WIDTH], size_t half,
                       product_number *to, size_t tap_step)
{
    for (size_t i = 0; i < kernel * kernel; i++)
        store_pairs(load(taps[i] + half), other ? load(other[i] + half) : (vector){0}, to + i * tap_step);
}

INLINE void transform_weights(line_transform *line, const size_t kernel, const winograd_weight *w, size_t panel,
                              size_t begin, size_t end, product_number *u, size_t point_step, product_number *ring)
{
    size_t rows = (w->in + PAIR - 1) / PAIR, panels = (w->out + WIDTH - 1) / WIDTH;
    for (size_t in = begin; in < end; in += GROUP) {
        size_t count = end - in < GROUP ? end - in : GROUP;
        weight_group group;
        gather_weights(w, kernel, panel * WIDTH, in, count, group);
        for (size_t k = 0; k < count; k += PAIR)
            for (size_t half = 0; half < WIDTH; half += LANES) {
                vector t[POINTS], other[POINTS] = {{0}};
                transform_weight(line, kernel, group, k, half, t);
                bool paired = PAIR > 1 && k + 1 < count;
                if (paired) transform_weight(line, kernel, group, k + 1, half, other);
                size_t place = ((panel * rows + (in + k) / PAIR) * WIDTH + half) * PAIR;
                store_point_pairs(t, other, u + place, point_step);
                if (ring)
                    store_taps(kernel, group[k], paired ? group[k + 1] : NULL, half, ring + place,
                               panels * rows * WIDTH * PAIR);
            }
    }
}

void CPU_NAME(cpu_winograd_from_weight)(const winograd_weight *w, size_t panel, size_t begin, size_t end,
                                        product_number *u, size_t point_step, product_number *ring)
{
    if (w->kernel == 3)
        transform_weights(line_from_weight_3, 3, w, panel, begin, end, u, point_step, ring);
    else
        transform_weights(line_from_weight_4, 4, w, panel, begin, end, u, point_step, ring);
}

INLINE void scatter_weights(const winograd_shape *s, const size_t kernel, size_t out, size_t in, size_t count,
                            weight_group group, float *dw)
{
    const size_t taps = kernel * kernel;
    size_t lanes = s->oc - out < WIDTH ? s->oc - out : WIDTH;
    for (size_t lane = 0; lane < lanes; lane++) {
        float *to = dw + ((out + lane) * s->ic + in) * taps;
        for (size_t k = 0; k < count; k++, to += taps)
            for (size_t i = 0; i < taps; i++) to[i] = group[k][i][lane];
    }
}

INLINE void transform_to_weights(line_transform *line, const size_t kernel, const winograd_shape *s, const float *du,
                                 size_t point_step, size_t panel, size_t begin, size_t end, float *dw)
{
    size_t panels = (s->oc + WIDTH - 1) / WIDTH;
    for (size_t in = begin; in < end; in += GROUP) {
        size_t count = end - in < GROUP ? end - in : GROUP;
        weight_group group;
        for (size_t k = 0; k < count; k++)
            for (size_t half = 0; half < WIDTH; half += LANES) {
                size_t row = ((in + k) / WIDTH * panels + panel) * WIDTH + (in + k) % WIDTH;
                vector d[POINTS], t[MOST_KERNEL * MOST_KERNEL];
                load_points(du + row * WIDTH + half, point_step, d);
                transform(line, PATCH, (int)kernel, d, t);
                for (size_t i = 0; i < kernel * kernel; i++) *(vector_in_memory *)(group[k][i] + half) = t[i];
            }
        scatter_weights(s, kernel, panel * WIDTH, in, count, group, dw);
    }
}

void CPU_NAME(cpu_winograd_to_weight)(const winograd_shape *s, const float *du, size_t point_step, size_t panel,
                                      size_t begin, size_t end, float *dw)
{
    if (s->tile == 4)
        transform_to_weights(line_to_weight_3, 3, s, du, point_step, panel, begin, end, dw);
    else
        transform_to_weights(line_to_weight_4, 4, s, du, point_step, panel, begin, end, dw);
}
