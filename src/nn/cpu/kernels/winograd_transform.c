/* Winograd's transforms, vectorised along channels: each applies a small matrix to the columns, then to the rows. */
#include <string.h>

#include "nn/cpu/kernels/winograd.h"

enum {
    LANES = WINOGRAD_LANES,
    WIDTH = WINOGRAD_WIDTH,
    TILE = WINOGRAD_TILE,
    PATCH = WINOGRAD_PATCH,
    POINTS = WINOGRAD_POINTS,
    KERNEL = 3,
    GROUP = 8, /* weights in, or tiles, that are worked on together */
    LINE = 16  /* floats of a cache line */
};

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
/* The same, in memory that is not aligned for it. */
typedef float vector_in_memory __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* A matrix times a line of values. */
typedef void line_transform(const vector *in, vector *out);

/* B^T: 6 -> 6. */
INLINE void line_from_x(const vector *d, vector *t)
{
    vector even = d[4] - 4 * d[2], odd = d[3] - 4 * d[1];
    vector even2 = d[4] - d[2], odd2 = 2 * (d[3] - d[1]);
    t[0] = 4 * d[0] - 5 * d[2] + d[4];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = 4 * d[1] - 5 * d[3] + d[5];
}

/* A^T: 6 -> 4. */
INLINE void line_to_y(const vector *m, vector *t)
{
    vector even = m[1] + m[2], odd = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4];
    t[0] = m[0] + even + even2;
    t[1] = odd + 2 * odd2;
    t[2] = even + 4 * even2;
    t[3] = odd + 8 * odd2 + m[5];
}

/* A: 4 -> 6. */
INLINE void line_from_dy(const vector *d, vector *t)
{
    vector even = d[0] + d[2], odd = d[1] + d[3], even2 = d[0] + 4 * d[2], odd2 = 2 * d[1] + 8 * d[3];
    t[0] = d[0];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = d[3];
}

/* G: 3 -> 6. */
INLINE void line_from_weight(const vector *g, vector *t)
{
    vector even = (g[0] + g[2]) * (-1.0F / 6), odd = g[1] * (1.0F / 6);
    vector even2 = g[0] * (1.0F / 24) + g[2] * (1.0F / 6), odd2 = g[1] * (1.0F / 12);
    t[0] = g[0] * 0.25F;
    t[1] = even - odd;
    t[2] = even + odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = g[2];
}

/* G^T: 6 -> 3. */
INLINE void line_to_weight(const vector *m, vector *t)
{
    vector even = (m[1] + m[2]) * (1.0F / 6), odd = (m[2] - m[1]) * (1.0F / 6);
    vector even2 = m[3] + m[4], odd2 = (m[3] - m[4]) * (1.0F / 12);
    t[0] = m[0] * 0.25F - even + even2 * (1.0F / 24);
    t[1] = odd + odd2;
    t[2] = even2 * (1.0F / 6) - even + m[5];
}

/* T in T^t for in (from, from): out is (to, to). */
INLINE void transform(line_transform *line, const int from, const int to, const vector *in, vector *out)
{
    vector half[POINTS]; /* (to, from) */
#pragma GCC unroll 6
    for (int j = 0; j < from; j++) {
        vector column[PATCH], result[PATCH];
#pragma GCC unroll 6
        for (int i = 0; i < from; i++) column[i] = in[i * from + j];
        line(column, result);
#pragma GCC unroll 6
        for (int i = 0; i < to; i++) half[i * from + j] = result[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < to; i++) line(half + i * from, out + i * to);
}

INLINE vector load(const float *from) { return *(const vector_in_memory *)from; }

INLINE void load_points(const float *from, size_t point_step, vector *t)
{
#pragma GCC unroll 36
    for (size_t point = 0; point < POINTS; point++) t[point] = load(from + point * point_step);
}

INLINE void store_points(const vector *t, float *to, size_t point_step)
{
#pragma GCC unroll 36
    for (size_t point = 0; point < POINTS; point++) *(vector_in_memory *)(to + point * point_step) = t[point];
}

/* A square of a tensor's pixels, of which rows [top, bottom) and columns [left, right) exist; the others are zero. */
typedef struct window {
    const float *pixels; /* (top, left) */
    size_t row_step, channels;
    size_t top, bottom, left, right;
} window;

/* The window of side `side` whose corner is `before` rows and columns before (4 row, 4 column). */
static window window_at(const float *images, size_t h, size_t w, size_t channels, size_t image, size_t row,
                        size_t column, size_t before, size_t side)
{
    window at = {.row_step = w * channels, .channels = channels};
    size_t y = TILE * row, x = TILE * column;
    at.top = y < before ? before - y : 0;
    at.left = x < before ? before - x : 0;
    at.bottom = h + before - y < side ? h + before - y : side;
    at.right = w + before - x < side ? w + before - x : side;
    if (at.top < at.bottom && at.left < at.right)
        at.pixels = images + ((image * h + y + at.top - before) * w + x + at.left - before) * channels;
    else
        at.bottom = at.top = 0; /* all padding */
    return at;
}

INLINE vector load_part(const float *from, size_t count)
{
    float part[LANES] = {0};
    memcpy(part, from, count * sizeof *part);
    return load(part);
}

/* Channels [c, c + width) of a window; `whole`: all of its pixels exist and width is LANES. */
INLINE void load_window(const window *at, const int side, bool whole, size_t c, size_t width, vector *d)
{
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            size_t row = (size_t)i, column = (size_t)j;
            if (whole) {
                d[i * side + j] = load(at->pixels + row * at->row_step + column * at->channels + c);
            } else if (row >= at->top && row < at->bottom && column >= at->left && column < at->right && width > 0) {
                d[i * side + j] =
                    load_part(at->pixels + (row - at->top) * at->row_step + (column - at->left) * at->channels + c,
                              width);
            } else {
                d[i * side + j] = (vector){0};
            }
        }
}

/* Asks for the cache lines at channel c of the columns that the next tile's window has and this one has not; where
 * the row or the tensor ends, in vain. */
INLINE void prefetch_next(const window *at, const int side, size_t c)
{
#pragma GCC unroll 6
    for (int i = 0; i < side; i++)
#pragma GCC unroll 4
        for (int j = side; j < side + TILE; j++)
            __builtin_prefetch(at->pixels + (size_t)i * at->row_step + (size_t)j * at->channels + c);
}

INLINE void transform_window(line_transform *line, const int side, const window *at, bool whole, size_t c,
                             size_t width, float *to, size_t point_step)
{
    vector d[POINTS], t[POINTS];
    if (whole && c % LINE == 0) prefetch_next(at, side, c);
    load_window(at, side, whole, c, width, d);
    transform(line, side, PATCH, d, t);
    store_points(t, to, point_step);
}

/* A panel of a window, from channel `begin`. */
INLINE void transform_panel(line_transform *line, const int side, const window *at, size_t begin, winograd_place to)
{
    size_t n = (size_t)side;
    bool whole = at->top == 0 && at->left == 0 && at->bottom == n && at->right == n;
    for (size_t i = 0; i < to.panel; i += LANES) {
        size_t c = begin + i, left = c < at->channels ? at->channels - c : 0;
        if (whole && left >= LANES)
            transform_window(line, side, at, true, c, LANES, to.data + i, to.point_step);
        else
            transform_window(line, side, at, false, c, left < LANES ? left : LANES, to.data + i, to.point_step);
    }
}

/* Up to GROUP windows, panel by panel: a panel's tiles lie side by side, so that pages change seldom. */
INLINE void transform_windows(line_transform *line, const int side, const window *at, size_t count, winograd_place to,
                              size_t tile_step)
{
    for (size_t begin = 0; begin < at->channels; begin += to.panel, to.data += to.panel_step)
        for (size_t i = 0; i < count; i++) {
            winograd_place place = to;
            place.data += i * tile_step;
            transform_panel(line, side, &at[i], begin, place);
        }
}

/* `count` windows of a tensor's tiles; they begin `before` rows and columns before the tile. */
INLINE void transform_tiles(line_transform *line, const int side, const winograd_shape *s, const float *images,
                            size_t h, size_t w, size_t channels, size_t before, size_t first, size_t count,
                            winograd_place to, size_t tile_step)
{
    size_t each = s->tile_rows * s->tile_columns;
    for (size_t done = 0; done < count; done += GROUP) {
        size_t n = count - done < GROUP ? count - done : GROUP;
        window at[GROUP];
        for (size_t i = 0; i < n; i++) {
            size_t tile = first + done + i;
            at[i] = window_at(images, h, w, channels, tile / each, tile % each / s->tile_columns,
                              tile % s->tile_columns, before, (size_t)side);
        }
        winograd_place place = to;
        place.data += done * tile_step;
        transform_windows(line, side, at, n, place, tile_step);
    }
}

void CPU_NAME(cpu_winograd_from_x)(const winograd_shape *s, const float *x, size_t first, size_t count,
                                   winograd_place to, size_t tile_step)
{
    transform_tiles(line_from_x, PATCH, s, x, s->h, s->w, s->ic, s->padding, first, count, to, tile_step);
}

void CPU_NAME(cpu_winograd_from_dy)(const winograd_shape *s, const float *dy, size_t first, size_t count,
                                    winograd_place to, size_t tile_step)
{
    transform_tiles(line_from_dy, TILE, s, dy, s->oh, s->ow, s->oc, 0, first, count, to, tile_step);
}

/* Channels [c, c + width) of the tile at `y`, of which rows x columns exist. */
INLINE void store_tile(const vector *t, const winograd_shape *s, size_t rows, size_t columns, size_t c, size_t width,
                       float *y)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            float *to = y + (i * s->ow + j) * s->oc + c;
            if (width == LANES)
                *(vector_in_memory *)to = t[i * TILE + j];
            else
                memcpy(to, &t[i * TILE + j], width * sizeof *to);
        }
}

void CPU_NAME(cpu_winograd_to_y)(const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                                 size_t first, size_t count, const float *bias, float *y)
{
    size_t each = s->tile_rows * s->tile_columns;
    for (size_t tile = first; tile < first + count; tile++, m += oc_step) {
        size_t row = tile % each / s->tile_columns * TILE, column = tile % s->tile_columns * TILE;
        size_t rows = s->oh - row, columns = s->ow - column;
        float *corner = y + ((tile / each * s->oh + row) * s->ow + column) * s->oc;
        for (size_t c = 0; c < s->oc; c += LANES) {
            size_t width = s->oc - c < LANES ? s->oc - c : LANES;
            vector d[POINTS], t[TILE * TILE];
            load_points(m + c, point_step, d);
            transform(line_to_y, PATCH, TILE, d, t);
            if (bias) {
                vector b = load_part(bias + c, width);
                for (size_t i = 0; i < TILE * TILE; i++) t[i] += b;
            }
            if (rows >= TILE && columns >= TILE && width == LANES)
                store_tile(t, s, TILE, TILE, c, LANES, corner);
            else
                store_tile(t, s, rows < TILE ? rows : TILE, columns < TILE ? columns : TILE, c, width, corner);
        }
    }
}

/* Weights of WIDTH outputs and up to GROUP inputs: [in][3 * a + b][out]. They are moved between this and the tensor one
 * by one, apart from the arithmetic: vectors filled or emptied by the lane would wait for every store. */
typedef float weight_group[GROUP][KERNEL * KERNEL][WIDTH];

static void gather_weights(const winograd_weight *w, size_t out, size_t in, size_t count, weight_group group)
{
    size_t lanes = w->out - out < WIDTH ? w->out - out : WIDTH;
    if (lanes < WIDTH) memset(group, 0, sizeof(weight_group));
    for (size_t lane = 0; lane < lanes; lane++)
        for (size_t k = 0; k < count; k++) {
            const float *from = w->w + (out + lane) * w->out_step + (in + k) * w->in_step;
            if (w->flip)
                for (size_t i = 0; i < KERNEL * KERNEL; i++) group[k][KERNEL * KERNEL - 1 - i][lane] = from[i];
            else
                for (size_t i = 0; i < KERNEL * KERNEL; i++) group[k][i][lane] = from[i];
        }
}

void CPU_NAME(cpu_winograd_from_weight)(const winograd_weight *w, size_t panel, size_t begin, size_t end, float *u,
                                        size_t point_step)
{
    for (size_t in = begin; in < end; in += GROUP) {
        size_t count = end - in < GROUP ? end - in : GROUP;
        weight_group group;
        gather_weights(w, panel * WIDTH, in, count, group);
        for (size_t k = 0; k < count; k++)
            for (size_t half = 0; half < WIDTH; half += LANES) {
                vector g[KERNEL * KERNEL], t[POINTS];
                for (size_t i = 0; i < KERNEL * KERNEL; i++) g[i] = load(group[k][i] + half);
                transform(line_from_weight, KERNEL, PATCH, g, t);
                store_points(t, u + (panel * w->in + in + k) * WIDTH + half, point_step);
            }
    }
}

static void scatter_weights(const winograd_shape *s, size_t out, size_t in, size_t count, const weight_group group,
                            float *dw)
{
    size_t lanes = s->oc - out < WIDTH ? s->oc - out : WIDTH;
    for (size_t lane = 0; lane < lanes; lane++) {
        float *to = dw + ((out + lane) * s->ic + in) * KERNEL * KERNEL;
        for (size_t k = 0; k < count; k++, to += KERNEL * KERNEL)
            for (size_t i = 0; i < KERNEL * KERNEL; i++) to[i] = group[k][i][lane];
    }
}

void CPU_NAME(cpu_winograd_to_weight)(const winograd_shape *s, const float *du, size_t point_step, size_t panel,
                                      size_t begin, size_t end, float *dw)
{
    size_t panels = (s->oc + WIDTH - 1) / WIDTH;
    for (size_t in = begin; in < end; in += GROUP) {
        size_t count = end - in < GROUP ? end - in : GROUP;
        weight_group group;
        for (size_t k = 0; k < count; k++)
            for (size_t half = 0; half < WIDTH; half += LANES) {
                size_t row = ((in + k) / WIDTH * panels + panel) * WIDTH + (in + k) % WIDTH;
                vector d[POINTS], t[KERNEL * KERNEL];
                load_points(du + row * WIDTH + half, point_step, d);
                transform(line_to_weight, PATCH, KERNEL, d, t);
                for (size_t i = 0; i < KERNEL * KERNEL; i++) *(vector_in_memory *)(group[k][i] + half) = t[i];
            }
        scatter_weights(s, panel * WIDTH, in, count, (const float(*)[KERNEL * KERNEL][WIDTH])group, dw);
    }
}
