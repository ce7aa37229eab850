/* The phases' transforms of pictures: see conv_phases.h. */
#include <string.h>

#include "nn/cpu/kernels/conv_phases.h"
#include "nn/cpu/kernels/sizes.h"

enum { LANES = PRODUCT_LANES, WIDTH = PRODUCT_WIDTH, TILE = PHASES_TILE, WINDOW = PHASES_WINDOW };

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;

#define INLINE PRODUCT_INLINE

/* A side with one tap: its 4 points are the values themselves. */
INLINE void copy_line(const vector *in, vector *out)
{
#pragma GCC unroll 4
    for (int i = 0; i < TILE; i++) out[i] = in[i];
}

/* B^T: 5 -> 5. */
INLINE void line_from_window(const size_t taps, const vector *d, vector *t)
{
    if (taps == 1) {
        copy_line(d, t);
        return;
    }
    vector step = d[3] - d[1];
    t[0] = 2 * (d[0] - d[2]) + step;
    t[1] = step - (d[1] + d[2]);
    t[2] = step + 3 * (d[1] - d[2]);
    t[3] = step;
    t[4] = d[4] - d[2] - 2 * step;
}

/* A: 4 -> 5. */
INLINE void line_from_tile(const size_t taps, const vector *d, vector *t)
{
    if (taps == 1) {
        copy_line(d, t);
        return;
    }
    vector even = d[0] + d[2], odd = d[1] + d[3];
    t[0] = d[0];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = d[0] + 2 * d[1] + 4 * (d[2] + 2 * d[3]);
    t[4] = d[3];
}

/* A^T: 5 -> 4. */
INLINE void line_to_tile(const size_t taps, const vector *m, vector *t)
{
    if (taps == 1) {
        copy_line(m, t);
        return;
    }
    vector even = m[1] + m[2], odd = m[1] - m[2];
    t[0] = m[0] + even + m[3];
    t[1] = odd + 2 * m[3];
    t[2] = even + 4 * m[3];
    t[3] = odd + 8 * m[3] + m[4];
}

INLINE vector load(const float *from) { return *(const vector_in_memory *)from; }
INLINE void store(vector v, float *to) { *(vector_in_memory *)to = v; }

/* What follows works on LANES channels of one tile, of which all elements exist; by way of pointers to these functions,
 * lest their many addresses are kept instead of computed. What is the same for all tiles is handed down by pointers: a
 * structure made anew would be read while the stores of its parts wait behind all others. A square's element (i, j) is
 * at i * row + j * column. */
typedef struct square {
    ptrdiff_t row, column;
} square;

/* Where point (i, j) of a tile lies after its first one. */
INLINE size_t point_of(const size_t down, const size_t along, const phases_place *place, size_t i, size_t j)
{
    size_t matrix = (down == 2 ? i : 0) * (along == 2 ? WINDOW : 1) + (along == 2 ? j : 0);
    size_t row = (down == 2 ? 0 : i) * (along == 2 ? 1 : TILE) + (along == 2 ? 0 : j);
    return matrix * place->matrix_step + row * place->row_step;
}

/* Points of a window; asks for the pixels that the next tile's window has and this one has not. Where the row or the
 * tensor ends, in vain. */
typedef void window_transform(const float *from, const square *step, const phases_place *place, float *to);

/* `is_tile`: by A, of the tile's own pixels. */
INLINE void transform_window(const bool is_tile, const size_t down, const size_t along, const float *from,
                             const square *step, const phases_place *place, float *to)
{
    const size_t rows = down + 3, columns = along + 3, from_rows = is_tile ? TILE : rows;
    const size_t from_columns = is_tile ? TILE : columns;
    vector half[WINDOW][WINDOW];
#pragma GCC unroll 5
    for (size_t j = 0; j < from_columns; j++) {
        vector column[WINDOW], points[WINDOW];
#pragma GCC unroll 5
        for (size_t i = 0; i < from_rows; i++) {
            const float *pixel = from + (ptrdiff_t)i * step->row + (ptrdiff_t)j * step->column;
            if (j + TILE >= from_columns) __builtin_prefetch(pixel + TILE * step->column);
            column[i] = load(pixel);
        }
        (is_tile ? line_from_tile : line_from_window)(down, column, points);
#pragma GCC unroll 5
        for (size_t i = 0; i < rows; i++) half[i][j] = points[i];
    }
#pragma GCC unroll 5
    for (size_t i = 0; i < rows; i++) {
        vector points[WINDOW];
        (is_tile ? line_from_tile : line_from_window)(along, half[i], points);
#pragma GCC unroll 5
        for (size_t j = 0; j < columns; j++) store(points[j], to + point_of(down, along, place, i, j));
    }
}

/* The tile of points, + bias or added to what there is. */
typedef void tile_transform(const phases_place *place, const float *m, const float *bias, bool add, float *to,
                            const square *step);

INLINE void transform_tile(const size_t down, const size_t along, const phases_place *place, const float *m,
                           const float *bias, bool add, float *to, const square *step)
{
    const size_t rows = down + 3, columns = along + 3;
    vector half[TILE][WINDOW];
#pragma GCC unroll 5
    for (size_t j = 0; j < columns; j++) {
        vector column[WINDOW], results[TILE];
#pragma GCC unroll 5
        for (size_t i = 0; i < rows; i++) column[i] = load(m + point_of(down, along, place, i, j));
        line_to_tile(down, column, results);
#pragma GCC unroll 4
        for (size_t i = 0; i < TILE; i++) half[i][j] = results[i];
    }
    vector b = bias ? load(bias) : (vector){0};
#pragma GCC unroll 4
    for (size_t i = 0; i < TILE; i++) {
        vector results[TILE];
        line_to_tile(along, half[i], results);
#pragma GCC unroll 4
        for (size_t j = 0; j < TILE; j++) {
            float *pixel = to + (ptrdiff_t)i * step->row + (ptrdiff_t)j * step->column;
            if (!add) __builtin_prefetch(pixel + TILE * step->column, 1);
            store(results[j] + (add ? load(pixel) : b), pixel);
        }
    }
}

#define PHASE(down, along)                                                                                            \
    static void window_##down##along(const float *from, const square *step, const phases_place *place, float *to)     \
    {                                                                                                                 \
        transform_window(false, down, along, from, step, place, to);                                                  \
    }                                                                                                                 \
    static void own_##down##along(const float *from, const square *step, const phases_place *place, float *to)        \
    {                                                                                                                 \
        transform_window(true, down, along, from, step, place, to);                                                   \
    }                                                                                                                 \
    static void tile_##down##along(const phases_place *place, const float *m, const float *bias, bool add, float *to, \
                                   const square *step)                                                                \
    {                                                                                                                 \
        transform_tile(down, along, place, m, bias, add, to, step);                                                   \
    }
PHASE(1, 1)
PHASE(1, 2)
PHASE(2, 1)
PHASE(2, 2)

/* By taps down - 1, along - 1. */
static window_transform *const windows[2][2] = {{window_11, window_12}, {window_21, window_22}};
static window_transform *const own_pixels[2][2] = {{own_11, own_12}, {own_21, own_22}};
static tile_transform *const tiles[2][2] = {{tile_11, tile_12}, {tile_21, tile_22}};

typedef struct tile {
    size_t image, row, column;
} tile;

static tile tile_of(const phases_tiles *t, size_t number)
{
    size_t each = t->rows * t->columns;
    return (tile){number / each, number % each / t->columns, number % t->columns};
}

static void step_on(const phases_tiles *t, tile *at)
{
    if (++at->column < t->columns) return;
    at->column = 0;
    if (++at->row < t->rows) return;
    at->row = 0;
    at->image++;
}

/* A tile's rows x columns pixels in a picture, whose element `corner` its first one is, where there is one. Those exist
 * that lie in [first, last) both ways, all of a whole one. */
typedef struct window {
    ptrdiff_t corner;
    bool whole;
    size_t first_row, last_row, first_column, last_column;
} window;

static void clip(ptrdiff_t begin, size_t step, size_t length, size_t *first, size_t *last)
{
    *first = begin < 0 ? cpu_divide_up((size_t)-begin, step) : 0;
    *last = begin < (ptrdiff_t)length ? cpu_divide_up((size_t)((ptrdiff_t)length - begin), step) : 0;
}

static bool is_within(ptrdiff_t begin, size_t step, size_t count, size_t length)
{
    return begin >= 0 && (size_t)begin + (count - 1) * step < length;
}

static square step_of(const phases_grid *g)
{
    return (square){(ptrdiff_t)(g->step * g->w * g->channels), (ptrdiff_t)(g->step * g->channels)};
}

static window window_of(const phases_grid *g, const tile *t, size_t rows, size_t columns)
{
    ptrdiff_t row = (ptrdiff_t)(t->row * g->step * TILE) + g->top;
    ptrdiff_t column = (ptrdiff_t)(t->column * g->step * TILE) + g->left;
    ptrdiff_t pixel = ((ptrdiff_t)(t->image * g->h) + row) * (ptrdiff_t)g->w + column;
    window at = {.corner = pixel * (ptrdiff_t)g->channels,
                 .whole = is_within(row, g->step, rows, g->h) && is_within(column, g->step, columns, g->w),
                 .last_row = rows, .last_column = columns};
    if (at.whole) return at; /* most are: it saves divisions */
    clip(row, g->step, g->h, &at.first_row, &at.last_row);
    clip(column, g->step, g->w, &at.first_column, &at.last_column);
    return at;
}

static bool has_pixel(const window *at, size_t i, size_t j)
{
    return i >= at->first_row && i < at->last_row && j >= at->first_column && j < at->last_column;
}

/* A window that is not whole, or has less than LANES channels: zeros for what there is not. */
typedef float part[WINDOW][WINDOW][LANES];
static const square in_part = {WINDOW * LANES, LANES};

/* `from`: the corner, where there is one. */
INLINE void gather_part(const float *from, const square *step, const window *at, size_t width, part to)
{
    for (size_t i = 0; i < WINDOW; i++)
        for (size_t j = 0; j < WINDOW; j++) {
            vector v = {0};
            if (width > 0 && has_pixel(at, i, j))
                memcpy(&v, from + (ptrdiff_t)i * step->row + (ptrdiff_t)j * step->column, width * sizeof(float));
            store(v, to[i][j]);
        }
}

INLINE void scatter_part(part from, const square *step, const window *at, size_t width, bool add, float *corner)
{
    for (size_t i = 0; i < TILE; i++)
        for (size_t j = 0; j < TILE; j++) {
            if (!has_pixel(at, i, j)) continue;
            float *to = corner + (ptrdiff_t)i * step->row + (ptrdiff_t)j * step->column;
            for (size_t k = 0; k < width; k++) to[k] = from[i][j][k] + (add ? to[k] : 0);
        }
}

/* Of windows of rows x columns pixels; tiles' points are tile_step apart. */
static void transform_windows(window_transform *transform, size_t rows, size_t columns, const phases_tiles *t,
                              const phases_grid *g, const float *picture, const phases_run *run,
                              const phases_place *to, size_t tile_step)
{
    const square step = step_of(g);
    tile next = tile_of(t, run->first);
    float *points = to->data;
    for (size_t i = 0; i < run->count; i++, step_on(t, &next), points += tile_step) {
        window at = window_of(g, &next, rows, columns);
        for (size_t c = run->begin; c < run->end; c += LANES) {
            size_t width = c < g->channels ? cpu_least(LANES, g->channels - c) : 0, place = c - run->begin;
            const float *from = picture + at.corner + (ptrdiff_t)c;
            float *place_of_c = points + place / WIDTH * to->panel_step + place % WIDTH;
            if (at.whole && width == LANES) {
                transform(from, &step, to, place_of_c);
            } else {
                part gathered;
                if (width == LANES)
                    gather_part(from, &step, &at, LANES, gathered);
                else
                    gather_part(from, &step, &at, width, gathered);
                transform(gathered[0][0], &in_part, to, place_of_c);
            }
        }
    }
}

void CPU_NAME(cpu_phases_from_picture)(const phases_tiles *t, const phase *p, const float *picture,
                                       const phases_run *run, const phases_place *to)
{
    transform_windows(windows[p->down - 1][p->along - 1], p->down + TILE - 1, p->along + TILE - 1, t, &p->in, picture,
                      run, to, phases_rows(p) * to->row_step);
}

void CPU_NAME(cpu_phases_from_dy)(const phases_tiles *t, const phase *p, const float *dy, const phases_run *run,
                                  const phases_place *to)
{
    transform_windows(own_pixels[p->down - 1][p->along - 1], TILE, TILE, t, &p->out, dy, run, to,
                      phases_rows(p) * to->row_step);
}

/* The moments of LANES channels from `c` of a tile, its first pixel's at `corner`. */
static void take_tile(const float *corner, const square *step, const window *at, const cpu_moments *m, size_t c)
{
    vector pixel[TILE * TILE];
#pragma GCC unroll 4
    for (size_t i = 0; i < TILE; i++)
#pragma GCC unroll 4
        for (size_t j = 0; j < TILE; j++) {
            const float *from = corner + (ptrdiff_t)i * step->row + (ptrdiff_t)j * step->column;
            pixel[i * TILE + j] = load(at->whole || has_pixel(at, i, j) ? from : corner);
        }
    cpu_moments_take(m, c, pixel, TILE * TILE);
}

/* Whether the tile has pixels, for whose moments `m` is then ready. */
static bool expect_tile(const phases_tiles *t, const tile *next, const window *at, const phases_result *to, size_t c,
                        cpu_moments *m)
{
    if (next->column % to->runs->tiles == 0) {
        size_t row = next->image * t->rows + next->row, run = row * to->runs->each + next->column / to->runs->tiles;
        m->to = to->moments + run * CPU_MOMENTS_ROWS * m->channels;
        m->pixels = to->more ? (size_t)m->to[c] : 0;
    }
    size_t pixels = cpu_least(at->last_row, TILE) * cpu_least(at->last_column, TILE);
    if (pixels > 0) cpu_moments_expect(m, pixels);
    return pixels > 0;
}

/* LANES channels, or `width`, of a tile whose first pixel's are at `corner`. */
INLINE void tile_to_picture(tile_transform *transform, const phases_place *m, const float *from, const phases_result *to,
                            const square *step, const window *at, size_t c, size_t width, float *corner)
{
    if (at->whole && width == LANES) {
        transform(m, from, to->bias ? to->bias + c : NULL, to->add, corner, step);
        return;
    }
    float b[LANES] = {0};
    if (to->bias) memcpy(b, to->bias + c, width * sizeof *b);
    part results;
    transform(m, from, b, false, results[0][0], &in_part);
    if (width == LANES)
        scatter_part(results, step, at, LANES, to->add, corner);
    else
        scatter_part(results, step, at, width, to->add, corner);
}

void CPU_NAME(cpu_phases_to_picture)(const phases_tiles *t, const phase *p, const phases_place *m,
                                     const phases_run *run, const phases_result *to)
{
    tile_transform *transform = tiles[p->down - 1][p->along - 1];
    const square step = step_of(&p->out);
    size_t tile_step = phases_rows(p) * m->row_step;
    tile next = tile_of(t, run->first);
    const float *points = m->data;
    cpu_moments moments = {.channels = p->out.channels};
    for (size_t i = 0; i < run->count; i++, step_on(t, &next), points += tile_step) {
        window at = window_of(&p->out, &next, TILE, TILE);
        bool takes = to->moments && expect_tile(t, &next, &at, to, run->begin, &moments);
        for (size_t c = run->begin; c < run->end; c += LANES) {
            size_t width = cpu_least(LANES, run->end - c);
            float *corner = to->picture + at.corner + (ptrdiff_t)c;
            tile_to_picture(transform, m, points + (c - run->begin), to, &step, &at, c, width, corner);
            if (takes) take_tile(corner, &step, &at, &moments, c);
        }
    }
}
