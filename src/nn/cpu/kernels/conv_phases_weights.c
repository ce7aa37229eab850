/* The phases' transforms of weights, along channels out: see conv_phases.h. */
#include <string.h>

#include "nn/cpu/kernels/conv_phases.h"
#include "nn/cpu/kernels/sizes.h"

enum {
    LANES = PRODUCT_LANES,
    WIDTH = PRODUCT_WIDTH,
    WINDOW = PHASES_WINDOW,
    MOST_TAPS = 16,
    GROUP = 8 /* channels in that are worked on together */
};

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;

/* Weights of WIDTH outputs and up to GROUP inputs: [in][tap][out]. They are moved between this and the tensor one by
 * one, apart from the arithmetic: vectors filled by the lane would wait for every store. */
typedef float weight_group[GROUP][MOST_TAPS][WIDTH];

static void gather_weights(const phases_weight *w, size_t panel, size_t in, size_t count, weight_group group)
{
    size_t lanes = cpu_least(WIDTH, w->out - panel * WIDTH), taps = w->kernel * w->kernel;
    if (lanes < WIDTH) memset(group, 0, sizeof(weight_group));
    for (size_t lane = 0; lane < lanes; lane++)
        for (size_t k = 0; k < count; k++) {
            const float *from = w->w + (panel * WIDTH + lane) * w->out_step + (in + k) * w->in_step;
            for (size_t i = 0; i < taps; i++) group[k][i][lane] = from[i];
        }
}

/* G: 2 -> 5 values `step` apart, or one value as it is. */
static inline void line_from_taps(size_t taps, const vector *g, size_t step, vector *t)
{
    if (taps == 1) {
        t[0] = g[0];
        return;
    }
    vector first = g[0], second = g[step];
    t[0] = 0.5F * first;
    t[1] = -0.5F * (first + second);
    t[2] = (1 / 6.0F) * (second - first);
    t[3] = (1 / 6.0F) * (first + 2 * second);
    t[4] = second;
}

/* LANES outputs of an input: its taps lie WIDTH apart. */
static void transform_phase(const phase *p, size_t kernel, const float *taps, phases_matrix to, float *u)
{
    size_t rows = p->down == 2 ? WINDOW : 1, columns = p->along == 2 ? WINDOW : 1;
    vector half[2 * WINDOW] = {{0}}; /* (along, rows) */
    for (size_t b = 0; b < p->along; b++) {
        vector column[2] = {{0}};
        for (size_t a = 0; a < p->down; a++) {
            ptrdiff_t row = (ptrdiff_t)p->row + (ptrdiff_t)a * p->tap_step;
            ptrdiff_t tap = row * (ptrdiff_t)kernel + (ptrdiff_t)p->column + (ptrdiff_t)b * p->tap_step;
            column[a] = *(const vector_in_memory *)(taps + tap * WIDTH);
        }
        line_from_taps(p->down, column, 1, half + b * WINDOW);
    }
    for (size_t i = 0; i < rows; i++) {
        vector line[WINDOW];
        line_from_taps(p->along, half + i, WINDOW, line);
        for (size_t j = 0; j < columns; j++) *(vector_in_memory *)(u + (i * columns + j) * to.step) = line[j];
    }
}

void CPU_NAME(cpu_phases_from_weight)(const phases_weight *w, const phase phases[PHASES],
                                      const phases_matrix to[PHASES], size_t panel, size_t begin, size_t end)
{
    for (size_t in = begin; in < end; in += GROUP) {
        size_t count = cpu_least(GROUP, end - in);
        weight_group group;
        gather_weights(w, panel, in, count, group);
        for (size_t i = 0; i < PHASES; i++)
            for (size_t k = 0; k < count; k++)
                for (size_t half = 0; half < WIDTH; half += LANES)
                    transform_phase(&phases[i], w->kernel, group[k][0] + half, to[i],
                                    to[i].u + panel * to[i].panel_step + (to[i].row + in + k) * WIDTH + half);
    }
}

/* G^T: 5 values `step` apart -> 2, or one value as it is. */
static inline void line_to_taps(size_t taps, const vector *m, size_t step, vector *g)
{
    if (taps == 1) {
        g[0] = m[0];
        return;
    }
    vector one = 0.5F * m[step], minus_one = (1 / 6.0F) * m[2 * step], two = (1 / 6.0F) * m[3 * step];
    g[0] = 0.5F * m[0] - one - minus_one + two;
    g[1] = minus_one - one + 2 * two + m[4 * step];
}

/* LANES outputs of an input, whose sums begin at `du`: the phase's taps, WIDTH apart. */
static void transform_sums(const phase *p, size_t kernel, const phases_sums *from, const float *du, float *taps)
{
    size_t rows = p->down == 2 ? WINDOW : 1, columns = p->along == 2 ? WINDOW : 1;
    vector half[2 * WINDOW] = {{0}}; /* (rows, along) */
    for (size_t i = 0; i < rows; i++) {
        vector line[WINDOW] = {{0}};
        for (size_t j = 0; j < columns; j++)
            for (size_t part = 0; part < from->parts; part++)
                line[j] += *(const vector_in_memory *)(du + (i * columns + j) * from->step + part * from->part_step);
        line_to_taps(p->along, line, 1, half + i * p->along);
    }
    for (size_t b = 0; b < p->along; b++) {
        vector column[2];
        line_to_taps(p->down, half + b, p->along, column);
        for (size_t a = 0; a < p->down; a++) {
            size_t row = p->row + a * PHASES_STRIDE, tap = row * kernel + p->column + b * PHASES_STRIDE;
            *(vector_in_memory *)(taps + tap * WIDTH) = column[a];
        }
    }
}

static void scatter_weights(const phases_weight *w, size_t panel, size_t in, size_t count, weight_group group,
                            float *dw)
{
    size_t lanes = cpu_least(WIDTH, w->out - panel * WIDTH), taps = w->kernel * w->kernel;
    for (size_t lane = 0; lane < lanes; lane++)
        for (size_t k = 0; k < count; k++) {
            float *to = dw + (panel * WIDTH + lane) * w->out_step + (in + k) * w->in_step;
            for (size_t i = 0; i < taps; i++) to[i] = group[k][i][lane];
        }
}

void CPU_NAME(cpu_phases_to_weight)(const phases_weight *w, const phase phases[PHASES], const phases_sums from[PHASES],
                                    size_t panel, size_t begin, size_t end, float *dw)
{
    for (size_t in = begin; in < end; in += GROUP) {
        size_t count = cpu_least(GROUP, end - in);
        weight_group group;
        for (size_t i = 0; i < PHASES; i++)
            for (size_t k = 0; k < count; k++)
                for (size_t half = 0; half < WIDTH; half += LANES) {
                    size_t unit = (in + k) / WIDTH * from[i].panels + panel;
                    transform_sums(&phases[i], w->kernel, &from[i],
                                   from[i].du + unit * from[i].unit_step + (in + k) % WIDTH * WIDTH + half,
                                   group[k][0] + half);
                }
        scatter_weights(w, panel, in, count, group, dw);
    }
}
