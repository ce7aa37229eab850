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

/* Pixels `first`, first + STRIDE, ... of a side of y, which a phase's tile has: [begin, end) of them exist. */
typedef struct side {
    size_t first, begin, end;
} side;

static side side_of(size_t tile, size_t phase, size_t length)
{
    size_t first = tile * STRIDE * TILE - phase, begin = first > length; /* -1 */
    return (side){first, begin, cpu_least(TILE, cpu_divide_up(length - first, STRIDE))};
}

static bool is_on(const side *s, size_t i) { return i >= s->begin && i < s->end; }

/* Of one phase, LANES channels whose first one is element `first` of y in pixel (0, 0), which need not exist; pixels are
 * `row` and `column` elements apart. */
INLINE void store_phase(const vector *t, const bool bf16, const bool whole, const side *down, const side *along, void *y,
                        size_t first, size_t row, size_t column)
{
#pragma GCC unroll 5
    for (size_t i = 0; i < TILE; i++, first += row) {
        if (!whole && !is_on(down, i)) continue;
#pragma GCC unroll 5
        for (size_t j = 0; j < TILE; j++)
            if (whole || is_on(along, j)) store_elements(t[i * TILE + j], LANES, y, bf16, first + j * column);
    }
}

/* The moments of one that is not whole. */
INLINE void take_part(const vector *t, const side *down, const side *along, const cpu_moments *m, size_t c)
{
    vector there[TILE * TILE];
    for (size_t i = 0; i < TILE; i++)
        for (size_t j = 0; j < TILE; j++)
            there[i * TILE + j] = t[is_on(down, i) && is_on(along, j) ? i * TILE + j : down->begin * TILE + along->begin];
    cpu_moments_take(m, c, there, TILE * TILE);
}

/* A phase of tile number `number`, and its moments, unless they are NULL. */
INLINE void transform_phase(const bool bf16, const winograd_shape *s, const float *m, size_t point_step, size_t number,
                            size_t phase, const winograd_result *to, cpu_moments *moments)
{
    size_t each = s->tile_rows * s->tile_columns;
    const side down = side_of(number % each / s->tile_columns, phase / STRIDE, s->oh);
    const side along = side_of(number % s->tile_columns, phase % STRIDE, s->ow);
    const size_t pixels = (down.end - down.begin) * (along.end - along.begin), oc = s->oc;
    const size_t column = STRIDE * oc, row = s->ow * column;
    const size_t first = ((number / each * s->oh + down.first) * s->ow + along.first) * oc;
    if (pixels == 0) return;
    if (moments) cpu_moments_expect(moments, pixels);
    for (size_t c = 0; c < oc; c += LANES) {
        vector d[POINTS], t[TILE * TILE];
        load_points(m + c, point_step, d);
        transform(line_to_y_5, PATCH, TILE, d, t);
        for (size_t k = 0; to->bias && k < TILE * TILE; k++) t[k] += load(to->bias + c);
        if (pixels == TILE * TILE) {
            store_phase(t, bf16, true, &down, &along, to->y, first + c, row, column);
            if (moments) cpu_moments_take(moments, c, t, TILE * TILE);
        } else {
            store_phase(t, bf16, false, &down, &along, to->y, first + c, row, column);
            if (moments) take_part(t, &down, &along, moments, c);
        }
    }
}

INLINE void transform_to_y(const bool bf16, const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                           size_t first, size_t count, const winograd_result *to)
{
    for (size_t run = first; run < first + count; run++) {
        size_t begin = cpu_runs_begin(&s->runs, run), end = cpu_runs_begin(&s->runs, run + 1);
        cpu_moments moments = {.channels = s->oc};
        if (to->moments) moments.to = to->moments + run * CPU_MOMENTS_ROWS * s->oc;
        for (size_t i = begin; i < end; i++, m += oc_step)
            for (size_t phase = 0; phase < WINOGRAD_PHASES; phase++)
                transform_phase(bf16, s, m + phase * s->oc, point_step, i, phase, to, to->moments ? &moments : NULL);
    }
}

void CPU_NAME(cpu_winograd_to_enlarged_y)(const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                                          size_t first, size_t count, const winograd_result *to)
{
    if (PAIR > 1 && s->y_bf16)
        transform_to_y(true, s, m, point_step, oc_step, first, count, to);
    else
        transform_to_y(false, s, m, point_step, oc_step, first, count, to);
}
