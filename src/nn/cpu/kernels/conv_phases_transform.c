/* The phases' transforms of pictures: see conv_phases.h. */
#include <string.h>

#include "nn/cpu/kernels/conv_phases.h"
#include "nn/cpu/kernels/sizes.h"

enum { LANES = PRODUCT_LANES, TILE = PHASES_TILE, WINDOW = PHASES_WINDOW, SQUARE = WINDOW * WINDOW };

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
 * lest their many addresses are kept instead of computed. A square's element (i, j) is at i * row + j * column. */
typedef struct square {
    ptrdiff_t row, column;
} square;

/* Point (i, j) of a tile that begins at `data`. */
INLINE float *point_of(const size_t down, const size_t along, phases_place place, size_t i, size_t j)
{
    size_t matrix = (down == 2 ? i : 0) * (along == 2 ? WINDOW : 1) + (along == 2 ? j : 0);
    size_t row = (down == 2 ? 0 : i) * (along == 2 ? 1 : TILE) + (along == 2 ? 0 : j);
    return place.data + matrix * place.matrix_step + row * place.row_step;
}

/* Points of a window; asks for the pixels that the next tile's window has and this one has not. Where the row or the
 * tensor ends, in vain. */
typedef void window_transform(const float *from, square step, phases_place to);

INLINE void transform_window(const size_t down, const size_t along, const float *from, square step, phases_place to)
{
    const size_t rows = down + 3, columns = along + 3;
    vector half[WINDOW][WINDOW];
#pragma GCC unroll 5
    for (size_t j = 0; j < columns; j++) {
        vector column[WINDOW], points[WINDOW];
#pragma GCC unroll 5
        for (size_t i = 0; i < rows; i++) {
            const float *pixel = from + (ptrdiff_t)i * step.row + (ptrdiff_t)j * step.column;
            if (j + TILE >= columns) __builtin_prefetch(pixel + TILE * step.column);
            column[i] = load(pixel);
        }
        line_from_window(down, column, points);
#pragma GCC unroll 5
        for (size_t i = 0; i < rows; i++) half[i][j] = points[i];
    }
#pragma GCC unroll 5
    for (size_t i = 0; i < rows; i++) {
        vector points[WINDOW];
        line_from_window(along, half[i], points);
#pragma GCC unroll 5
        for (size_t j = 0; j < columns; j++) store(points[j], point_of(down, along, to, i, j));
    }
}

/* The tile of points, + bias or added to what there is. */
typedef void tile_transform(phases_place m, const float *bias, bool add, float *to, square step);

INLINE void transform_tile(const size_t down, const size_t along, phases_place m, const float *bias, bool add,
                           float *to, square step)
{
    const size_t rows = down + 3, columns = along + 3;
    vector half[TILE][WINDOW];
#pragma GCC unroll 5
    for (size_t j = 0; j < columns; j++) {
        vector column[WINDOW], results[TILE];
#pragma GCC unroll 5
        for (size_t i = 0; i < rows; i++) column[i] = load(point_of(down, along, m, i, j));
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
            float *pixel = to + (ptrdiff_t)i * step.row + (ptrdiff_t)j * step.column;
            if (!add) __builtin_prefetch(pixel + TILE * step.column, 1);
            store(results[j] + (add ? load(pixel) : b), pixel);
        }
    }
}

#define PHASE(down, along)                                                                                            \
    static void window_##down##along(const float *from, square step, phases_place to)                                 \
    {                                                                                                                 \
        transform_window(down, along, from, step, to);                                                                \
    }                                                                                                                 \
    static void tile_##down##along(phases_place m, const float *bias, bool add, float *to, square step)               \
    {                                                                                                                 \
        transform_tile(down, along, m, bias, add, to, step);                                                          \
    }
PHASE(1, 1)
PHASE(1, 2)
PHASE(2, 1)
PHASE(2, 2)

/* By taps down - 1, along - 1. */
static window_transform *const windows[2][2] = {{window_11, window_12}, {window_21, window_22}};
static tile_transform *const tiles[2][2] = {{tile_11, tile_12}, {tile_21, tile_22}};

/* A tile's pixels in a picture: element corner + i * step.row + j * step.column, of which those exist that lie in
 * [first, last) both ways. */
typedef struct window {
    ptrdiff_t corner;
    square step;
    size_t first_row, last_row, first_column, last_column;
} window;

static void clip(ptrdiff_t begin, size_t step, size_t length, size_t *first, size_t *last)
{
    *first = begin < 0 ? cpu_divide_up((size_t)-begin, step) : 0;
    *last = begin < (ptrdiff_t)length ? cpu_divide_up((size_t)((ptrdiff_t)length - begin), step) : 0;
}

static window window_of(const phases_tiles *t, const phases_grid *g, size_t tile)
{
    size_t each = t->rows * t->columns, step = g->step * TILE;
    ptrdiff_t row = (ptrdiff_t)(tile % each / t->columns * step) + g->top;
    ptrdiff_t column = (ptrdiff_t)(tile % t->columns * step) + g->left;
    ptrdiff_t pixel = ((ptrdiff_t)(tile / each * g->h) + row) * (ptrdiff_t)g->w + column;
    window at = {.corner = pixel * (ptrdiff_t)g->channels,
                 .step = {(ptrdiff_t)(g->step * g->w * g->channels), (ptrdiff_t)(g->step * g->channels)}};
    clip(row, g->step, g->h, &at.first_row, &at.last_row);
    clip(column, g->step, g->w, &at.first_column, &at.last_column);
    return at;
}

/* Its pixel (i, j). */
static ptrdiff_t element_of(const window *at, size_t i, size_t j)
{
    return at->corner + (ptrdiff_t)i * at->step.row + (ptrdiff_t)j * at->step.column;
}

static bool is_whole(const window *at, size_t rows, size_t columns)
{
    return at->first_row == 0 && at->first_column == 0 && at->last_row >= rows && at->last_column >= columns;
}

static bool has_pixel(const window *at, size_t i, size_t j)
{
    return i >= at->first_row && i < at->last_row && j >= at->first_column && j < at->last_column;
}

/* A window that is not whole, or has less than LANES channels: zeros for what there is not. */
typedef float part[WINDOW][WINDOW][LANES];
static const square in_part = {WINDOW * LANES, LANES};

INLINE void gather_part(const float *picture, const window *at, size_t c, size_t width, part to)
{
    for (size_t i = 0; i < WINDOW; i++)
        for (size_t j = 0; j < WINDOW; j++) {
            vector v = {0};
            if (has_pixel(at, i, j)) memcpy(&v, picture + element_of(at, i, j) + (ptrdiff_t)c, width * sizeof(float));
            store(v, to[i][j]);
        }
}

void CPU_NAME(cpu_phases_from_picture)(const phases_tiles *t, const phase *p, const float *picture, size_t first,
                                       size_t count, phases_place to)
{
    window_transform *transform = windows[p->down - 1][p->along - 1];
    size_t channels = p->in.channels, tile_step = phases_rows(p) * to.row_step;
    for (size_t tile = first; tile < first + count; tile++, to.data += tile_step) {
        window at = window_of(t, &p->in, tile);
        bool whole = is_whole(&at, p->down + TILE - 1, p->along + TILE - 1);
        phases_place place = to;
        for (size_t c = 0; c < channels; c += LANES, place.data += LANES) {
            if (whole && channels - c >= LANES) {
                transform(picture + at.corner + (ptrdiff_t)c, at.step, place);
            } else {
                part gathered;
                if (channels - c >= LANES)
                    gather_part(picture, &at, c, LANES, gathered);
                else
                    gather_part(picture, &at, c, channels - c, gathered);
                transform(gathered[0][0], in_part, place);
            }
        }
    }
}

/* Of channels [c, c + width). */
INLINE void scatter_part(part from, const window *at, size_t c, size_t width, bool add, float *picture)
{
    for (size_t i = 0; i < TILE; i++)
        for (size_t j = 0; j < TILE; j++) {
            if (!has_pixel(at, i, j)) continue;
            float *to = picture + element_of(at, i, j) + (ptrdiff_t)c;
            for (size_t k = 0; k < width; k++) to[k] = from[i][j][k] + (add ? to[k] : 0);
        }
}

void CPU_NAME(cpu_phases_to_picture)(const phases_tiles *t, const phase *p, phases_place m, size_t first, size_t count,
                                     const float *bias, bool add, float *picture)
{
    tile_transform *transform = tiles[p->down - 1][p->along - 1];
    size_t channels = p->out.channels, tile_step = phases_rows(p) * m.row_step;
    for (size_t tile = first; tile < first + count; tile++, m.data += tile_step) {
        window at = window_of(t, &p->out, tile);
        bool whole = is_whole(&at, TILE, TILE);
        phases_place place = m;
        for (size_t c = 0; c < channels; c += LANES, place.data += LANES) {
            size_t width = cpu_least(LANES, channels - c);
            if (whole && width == LANES) {
                transform(place, bias ? bias + c : NULL, add, picture + at.corner + (ptrdiff_t)c, at.step);
            } else {
                float b[LANES] = {0};
                if (bias) memcpy(b, bias + c, width * sizeof *b);
                part results;
                transform(place, b, false, results[0][0], in_part);
                if (width == LANES)
                    scatter_part(results, &at, c, LANES, add, picture);
                else
                    scatter_part(results, &at, c, width, add, picture);
            }
        }
    }
}
