/* Winograd's transforms of x, dy and y: each applies a small matrix to the columns, then to the rows. */
#include <string.h>

#include "nn/cpu/kernels/border.h"
#include "nn/cpu/kernels/winograd_lines.h"

enum {
    MOST_TILE = 4,                 /* side */
    TAKES_BF16 = PRODUCT_PAIR > 1, /* tensors */
    LINE = 16                      /* floats of a cache line */
};

/* A square of a tensor's pixels: (i, j) begins at element row[i] + column[j] and is zero where either is CPU_NOWHERE, which
 * nothing is in a whole one. Whether the tensor is in bf16 is handed down apart, as a constant. */
typedef struct window {
    const void *images;
    size_t row[PATCH], column[PATCH];
    size_t channels;
    bool whole;
} window;

/* The window of side `side` whose corner is `before` rows and columns before pixel (y, x). */
static window window_at(const void *images, size_t h, size_t w, size_t channels, size_t image, size_t y, size_t x,
                        size_t before, nn_pad_mode border, size_t side)
{
    window at = {.images = images, .channels = channels};
    at.whole = y >= before && y + side <= h + before && x >= before && x + side <= w + before;
    for (size_t i = 0; i < side; i++) {
        size_t row = cpu_place_of(y + i, before, h, border), column = cpu_place_of(x + i, before, w, border);
        at.row[i] = row == CPU_NOWHERE ? CPU_NOWHERE : (image * h + row) * w * channels;
        at.column[i] = column == CPU_NOWHERE ? CPU_NOWHERE : column * channels;
    }
    return at;
}

/* LANES elements from number `element`. */
INLINE vector load_elements(const void *tensor, const bool bf16, size_t element)
{
#if defined(WINOGRAD_BF16)
    if (bf16) {
        __m256i upper = _mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)tensor + element));
        return (vector)_mm512_slli_epi32(_mm512_cvtepu16_epi32(upper), 16);
    }
#endif
    (void)bf16;
    return load((const float *)tensor + element);
}

/* `count` elements, and zeros. */
INLINE vector load_part(const void *tensor, const bool bf16, size_t element, size_t count)
{
    uint32_t part[LANES] = {0};
    if (bf16)
        memcpy(part, (const uint16_t *)tensor + element, count * sizeof(uint16_t));
    else
        memcpy(part, (const float *)tensor + element, count * sizeof(float));
    return load_elements(part, bf16, 0);
}

/* Channels [c, c + width) of a window; `whole`: all of its pixels exist and width is LANES. */
INLINE void load_window(const window *at, const bool bf16, const int side, bool whole, size_t c, size_t width, vector *d)
{
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            size_t element = at->row[i] + at->column[j] + c;
            if (whole)
                d[i * side + j] = load_elements(at->images, bf16, at->row[0] + (size_t)i * (at->row[1] - at->row[0]) +
                                                                      at->column[0] + (size_t)j * at->channels + c);
            else if (at->row[i] == CPU_NOWHERE || at->column[j] == CPU_NOWHERE || width == 0)
                d[i * side + j] = (vector){0};
            else if (width == LANES)
                d[i * side + j] = load_elements(at->images, bf16, element);
            else
                d[i * side + j] = load_part(at->images, bf16, element, width);
        }
}

/* Asks for the cache lines at channel c of the columns that the next tile's window has and this one has not; where
 * the row or the tensor ends, in vain. */
INLINE void prefetch_next(const window *at, const bool bf16, const int side, size_t c)
{
    size_t size = bf16 ? sizeof(uint16_t) : sizeof(float);
    const unsigned char *first = (const unsigned char *)at->images + (at->column[0] + c) * size;
#pragma GCC unroll 6
    for (int i = 0; i < side; i++)
#pragma GCC unroll 4
        for (int j = side; j < side + MOST_TILE; j++)
            __builtin_prefetch(first + (at->row[i] + (size_t)j * at->channels) * size);
}

/* The points of LANES channels from `c`, of which the tensor may have fewer. */
INLINE void transform_window(line_transform *line, const bool bf16, const int side, const window *at, size_t c,
                             vector *t)
{
    size_t left = c < at->channels ? at->channels - c : 0;
    bool whole = at->whole && left >= LANES;
    vector d[POINTS];
    if (whole) {
        if (c % (bf16 ? 2 * LINE : LINE) == 0) prefetch_next(at, bf16, side, c);
        load_window(at, bf16, side, true, c, LANES, d);
    } else {
        load_window(at, bf16, side, false, c, left < LANES ? left : LANES, d);
    }
    transform(line, side, PATCH, d, t);
}

/* A panel of a window, from channel `begin`; `second`, for a paired place, is NULL after the last window. */
INLINE void transform_panel(line_transform *line, const bool bf16, const int side, const window *at,
                            const window *second, size_t begin, winograd_place to)
{
    for (size_t i = 0; i < to.panel; i += LANES) {
        vector t[POINTS];
        transform_window(line, bf16, side, at, begin + i, t);
        if (to.paired) {
            vector other[POINTS] = {{0}};
            if (second) transform_window(line, bf16, side, second, begin + i, other);
            store_point_pairs(t, other, to.data + 2 * i, to.point_step);
        } else {
            store_points(t, to.data + i, to.point_step);
        }
    }
}

/* Up to GROUP windows, panel by panel: a panel's tiles lie side by side, so that pages change seldom. */
INLINE void transform_windows(line_transform *line, const bool bf16, const int side, const window *at, size_t count,
                              winograd_place to, size_t tile_step)
{
    size_t step = to.paired ? 2 : 1;
    for (size_t begin = 0; begin < at->channels; begin += to.panel, to.data += to.panel_step)
        for (size_t i = 0; i < count; i += step) {
            winograd_place place = to;
            place.data += i * tile_step;
            transform_panel(line, bf16, side, &at[i], i + 1 < count ? &at[i + 1] : NULL, begin, place);
        }
}

/* `count` windows of a tensor's tiles; they begin `before` rows and columns before the tile. */
INLINE void transform_tiles(line_transform *line, const bool bf16, const int side, const winograd_shape *s,
                            const void *images, size_t h, size_t w, size_t channels, size_t before, nn_pad_mode border,
                            size_t first, size_t count, winograd_place to, size_t tile_step)
{
    size_t each = s->tile_rows * s->tile_columns;
    for (size_t done = 0; done < count; done += GROUP) {
        size_t n = count - done < GROUP ? count - done : GROUP;
        window at[GROUP];
        for (size_t i = 0; i < n; i++) {
            size_t tile = first + done + i;
            size_t row = tile % each / s->tile_columns, column = tile % s->tile_columns;
            at[i] = window_at(images, h, w, channels, tile / each, s->tile * row, s->tile * column, before,
                              border, (size_t)side);
        }
        winograd_place place = to;
        place.data += done * tile_step;
        transform_windows(line, bf16, side, at, n, place, tile_step);
    }
}

void CPU_NAME(cpu_winograd_from_x)(const winograd_shape *s, const void *x, size_t first, size_t count,
                                   winograd_place to, size_t tile_step)
{
    if (TAKES_BF16 && s->x_bf16)
        transform_tiles(line_from_x, true, PATCH, s, x, s->h, s->w, s->ic, s->padding, s->border, first, count, to,
                        tile_step);
    else
        transform_tiles(line_from_x, false, PATCH, s, x, s->h, s->w, s->ic, s->padding, s->border, first, count, to,
                        tile_step);
}

INLINE void transform_dy(const winograd_shape *s, const bool bf16, const void *dy, size_t first, size_t count,
                         winograd_place to, size_t tile_step)
{
    if (s->tile == 4)
        transform_tiles(line_from_dy_4, bf16, 4, s, dy, s->oh, s->ow, s->oc, 0, NN_PAD_ZERO, first, count, to, tile_step);
    else
        transform_tiles(line_from_dy_3, bf16, 3, s, dy, s->oh, s->ow, s->oc, 0, NN_PAD_ZERO, first, count, to, tile_step);
}

void CPU_NAME(cpu_winograd_from_dy)(const winograd_shape *s, const void *dy, size_t first, size_t count,
                                    winograd_place to, size_t tile_step)
{
    if (TAKES_BF16 && s->y_bf16)
        transform_dy(s, true, dy, first, count, to, tile_step);
    else
        transform_dy(s, false, dy, first, count, to, tile_step);
}

/* Channels [c, c + width) of the tile whose corner is element `corner` of y; of it, rows x columns exist. */
INLINE void store_tile(const vector *t, const winograd_shape *s, const bool bf16, const size_t tile, size_t rows,
                       size_t columns, size_t c, size_t width, void *y, size_t corner)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            store_elements(t[i * tile + j], width, y, bf16, corner + (i * s->ow + j) * s->oc + c);
}

/* Its moments. */
INLINE void take_tile(const vector *t, const size_t tile, size_t rows, size_t columns, const cpu_moments *m, size_t c)
{
    if (rows == tile && columns == tile) {
        cpu_moments_take(m, c, t, tile * tile);
        return;
    }
    vector there[MOST_TILE * MOST_TILE];
    for (size_t i = 0; i < tile; i++)
        for (size_t j = 0; j < tile; j++) there[i * tile + j] = t[i < rows && j < columns ? i * tile + j : 0];
    cpu_moments_take(m, c, there, tile * tile);
}

/* Tile number `number`, and its moments, unless they are NULL. */
INLINE void transform_tile(line_transform *line, const bool bf16, const size_t tile, const winograd_shape *s,
                           const float *m, size_t point_step, size_t number, const winograd_result *to,
                           cpu_moments *moments)
{
    size_t each = s->tile_rows * s->tile_columns;
    size_t row = number % each / s->tile_columns * tile, column = number % s->tile_columns * tile;
    size_t rows = cpu_least(tile, s->oh - row), columns = cpu_least(tile, s->ow - column);
    size_t corner = ((number / each * s->oh + row) * s->ow + column) * s->oc;
    if (moments) cpu_moments_expect(moments, rows * columns);
    for (size_t c = 0; c < s->oc; c += LANES) {
        size_t width = s->oc - c < LANES ? s->oc - c : LANES;
        vector d[POINTS], t[MOST_TILE * MOST_TILE];
        load_points(m + c, point_step, d);
        transform(line, PATCH, (int)tile, d, t);
        if (to->bias) {
            vector b = load_part(to->bias, false, c, width);
            for (size_t k = 0; k < tile * tile; k++) t[k] += b;
        }
        if (rows == tile && columns == tile && width == LANES)
            store_tile(t, s, bf16, tile, tile, tile, c, LANES, to->y, corner);
        else
            store_tile(t, s, bf16, tile, rows, columns, c, width, to->y, corner);
        if (moments) take_tile(t, tile, rows, columns, moments, c);
    }
}

INLINE void transform_to_y(line_transform *line, const bool bf16, const size_t tile, const winograd_shape *s,
                           const float *m, size_t point_step, size_t oc_step, size_t first, size_t count,
                           const winograd_result *to)
{
    for (size_t run = first; run < first + count; run++) {
        size_t begin = cpu_runs_begin(&s->runs, run), end = cpu_runs_begin(&s->runs, run + 1);
        cpu_moments moments = {.channels = s->oc};
        if (to->moments) moments.to = to->moments + run * CPU_MOMENTS_ROWS * s->oc;
        for (size_t i = begin; i < end; i++, m += oc_step)
            transform_tile(line, bf16, tile, s, m, point_step, i, to, to->moments ? &moments : NULL);
    }
}

INLINE void transform_to_tensor(const winograd_shape *s, const bool bf16, const float *m, size_t point_step,
                                size_t oc_step, size_t first, size_t count, const winograd_result *to)
{
    if (s->tile == 4)
        transform_to_y(line_to_y_4, bf16, 4, s, m, point_step, oc_step, first, count, to);
    else
        transform_to_y(line_to_y_3, bf16, 3, s, m, point_step, oc_step, first, count, to);
}

void CPU_NAME(cpu_winograd_to_y)(const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                                 size_t first, size_t count, const winograd_result *to)
{
    if (TAKES_BF16 && s->y_bf16)
        transform_to_tensor(s, true, m, point_step, oc_step, first, count, to);
    else
        transform_to_tensor(s, false, m, point_step, oc_step, first, count, to);
}
