/* 3x3 convolutions of a picture that is enlarged twofold first, each pixel to four, and whose outermost rows and columns
 * are then mirrored. Along a side, with what is beside x as its outermost pixel:
 *
 *     y[2 i]     =  w0       x[i - 1] + (w1 + w2) x[i]
 *     y[2 i + 1] = (w0 + w1) x[i]     +  w2       x[i + 1]
 *
 * Either phase is a convolution of x itself with two taps, five results of which take six products (F(5, 2), at
 * Winograd's points). The six pixels from 5 t - 1 on serve both: even results 10 t, ..., 10 t + 8 and odd ones 10 t - 1,
 * ..., 10 t + 7. In two dimensions 36 products give 25 results of each of four phases, 1.44 a result where F(4x4, 3x3) of
 * the enlarged picture has 2.25; and a quarter of the pixels are transformed, which are never enlarged. */
#include "nn/cpu/kernels/winograd_lines.h"

enum {
    TAPS = 9,
    STRIDE = 2, /* from a phase's pixel to the next */
    TILE = PATCH + 1 - WINOGRAD_ENLARGED_TAPS
};

/* A^T: 6 -> 5. */
INLINE void line_to_y_5(const vector *m, vector *t)
{
    vector even = m[1] + m[2], odd = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4];
    t[0] = m[0] + even + even2;
    t[1] = P * odd + Q * odd2;
    t[2] = PP * even + QQ * even2;
    t[3] = P * PP * odd + Q * QQ * odd2;
    t[4] = PP * PP * even + QQ * QQ * even2 + m[5];
}

/* G: 2 -> 6. */
INLINE void line_from_weight_2(vector first, vector second, vector *t)
{
    at_points(first * AT_P, second * (P * AT_P), first * AT_Q, second * (Q * AT_Q), t);
    t[0] = first * AT_ZERO;
    t[5] = second;
}

/* The two taps of even results, and of odd ones, from three. */
INLINE void line_from_weight_even(const vector *g, vector *t) { line_from_weight_2(g[0], g[1] + g[2], t); }
INLINE void line_from_weight_odd(const vector *g, vector *t) { line_from_weight_2(g[0] + g[1], g[2], t); }

/* Weights of LANES outputs and up to GROUP inputs: [in][tap][out]. */
typedef float weight_group[GROUP][TAPS][LANES];

static void gather(const winograd_weight *w, size_t out, size_t in, size_t count, weight_group group)
{
    for (size_t lane = 0; lane < LANES; lane++)
        for (size_t k = 0; k < count; k++) {
            const float *from = w->w + (out + lane) * w->out_step + (in + k) * w->in_step;
            for (size_t i = 0; i < TAPS; i++) group[k][i][lane] = from[i];
        }
}

/* phase: 2 * (of the rows: 1 for the odd ones) + (of the columns). */
INLINE void transform_weight(size_t phase, const float (*taps)[LANES], vector *t)
{
    vector g[TAPS];
    for (size_t i = 0; i < TAPS; i++) g[i] = load(taps[i]);
    switch (phase) {
    case 0: transform_sides(line_from_weight_even, line_from_weight_even, 3, PATCH, g, t); break;
    case 1: transform_sides(line_from_weight_even, line_from_weight_odd, 3, PATCH, g, t); break;
    case 2: transform_sides(line_from_weight_odd, line_from_weight_even, 3, PATCH, g, t); break;
    default: transform_sides(line_from_weight_odd, line_from_weight_odd, 3, PATCH, g, t); break;
    }
}

void CPU_NAME(cpu_winograd_from_enlarged_weight)(const winograd_weight *w, size_t panel, size_t begin, size_t end,
                                                 product_number *u, size_t point_step)
{
    size_t rows = (w->in + PAIR - 1) / PAIR;
    for (size_t in = begin; in < end; in += GROUP)
        for (size_t half = 0; half < WIDTH; half += LANES) {
            size_t count = end - in < GROUP ? end - in : GROUP, column = panel * WIDTH + half;
            weight_group group;
            gather(w, column % w->out, in, count, group);
            for (size_t k = 0; k < count; k += PAIR) {
                vector t[POINTS], other[POINTS] = {{0}};
                transform_weight(column / w->out, group[k], t);
                if (PAIR > 1 && k + 1 < count) transform_weight(column / w->out, group[k + 1], other);
                store_point_pairs(t, other, u + ((panel * rows + (in + k) / PAIR) * WIDTH + half) * PAIR, point_step);
            }
        }
}

/* Of one phase, LANES channels whose first one in pixel (0, 0) is element `first` of y: t[i][j] goes to pixel
 * (row + STRIDE i, column + STRIDE j), where there is one. */
INLINE void store_phase(const vector *t, const winograd_shape *s, const bool bf16, size_t row, size_t column, void *y,
                        size_t first)
{
#pragma GCC unroll 5
    for (size_t i = 0; i < TILE; i++) {
        if (row + STRIDE * i >= s->oh) continue; /* before 0, too */
#pragma GCC unroll 5
        for (size_t j = 0; j < TILE; j++)
            if (column + STRIDE * j < s->ow)
                store_elements(t[i * TILE + j], LANES, y, bf16,
                               first + ((row + STRIDE * i) * s->ow + column + STRIDE * j) * s->oc);
    }
}

INLINE void transform_to_y(const bool bf16, const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                           size_t first, size_t count, const float *bias, void *y)
{
    size_t each = s->tile_rows * s->tile_columns;
    for (size_t i = first; i < first + count; i++, m += oc_step) {
        size_t row = i % each / s->tile_columns * STRIDE * TILE, column = i % s->tile_columns * STRIDE * TILE;
        for (size_t phase = 0; phase < WINOGRAD_PHASES; phase++)
            for (size_t c = 0; c < s->oc; c += LANES) {
                vector d[POINTS], t[TILE * TILE];
                load_points(m + phase * s->oc + c, point_step, d);
                transform(line_to_y_5, PATCH, TILE, d, t);
                for (size_t k = 0; bias && k < TILE * TILE; k++) t[k] += load(bias + c);
                store_phase(t, s, bf16, row - phase / STRIDE, column - phase % STRIDE, y,
                            i / each * s->oh * s->ow * s->oc + c);
            }
    }
}

void CPU_NAME(cpu_winograd_to_enlarged_y)(const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                                          size_t first, size_t count, const float *bias, void *y)
{
    if (PAIR > 1 && s->y_bf16)
        transform_to_y(true, s, m, point_step, oc_step, first, count, bias, y);
    else
        transform_to_y(false, s, m, point_step, oc_step, first, count, bias, y);
}
