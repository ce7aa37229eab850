/* Winograd's transforms, vectorised along channels: each applies a small matrix to the columns, then to the rows. */
#include <string.h>

#include "nn/cpu/kernels/winograd.h"

enum {
    LANES = PRODUCT_LANES,
    WIDTH = PRODUCT_WIDTH,
    PATCH = WINOGRAD_PATCH,
    MOST_TILE = 4,   /* sides */
    MOST_KERNEL = 4,
    POINTS = WINOGRAD_POINTS,
    PAIR = PRODUCT_PAIR,
    TAKES_BF16 = PRODUCT_PAIR > 1, /* tensors */
    GROUP = 8, /* weights in, or tiles, that are worked on together */
    LINE = 16  /* floats of a cache line */
};

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;

#define INLINE PRODUCT_INLINE

/* The points are 0, P, -P, Q, -Q and infinity. */
#if defined(WINOGRAD_BF16)
#define P (2.0F / 3)
#define Q (3.0F / 2)
#else
#define P 1.0F
#define Q 2.0F
#endif
#define PP (P * P)
#define QQ (Q * Q)
/* Of the rows of G: 1 / the product of the distances to the other points. */
#define AT_ZERO (1 / (PP * QQ))
#define AT_P (1 / (2 * PP * (PP - QQ)))
#define AT_Q (1 / (2 * QQ * (QQ - PP)))

/* A matrix times a line of values. */
typedef void line_transform(const vector *in, vector *out);

/* B^T: 6 -> 6. */
INLINE void line_from_x(const vector *d, vector *t)
{
    vector even = d[4] - QQ * d[2], odd = P * (d[3] - QQ * d[1]);
    vector even2 = d[4] - PP * d[2], odd2 = Q * (d[3] - PP * d[1]);
    t[0] = PP * QQ * d[0] - (PP + QQ) * d[2] + d[4];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = PP * QQ * d[1] - (PP + QQ) * d[3] + d[5];
}

/* A^T: 6 -> 4, for 3x3 kernels. */
INLINE void line_to_y_4(const vector *m, vector *t)
{
    vector even = m[1] + m[2], odd = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4];
    t[0] = m[0] + even + even2;
    t[1] = P * odd + Q * odd2;
    t[2] = PP * even + QQ * even2;
    t[3] = P * PP * odd + Q * QQ * odd2 + m[5];
}

/* The same for 4x4 kernels: 6 -> 3. */
INLINE void line_to_y_3(const vector *m, vector *t)
{
    vector even = m[1] + m[2], even2 = m[3] + m[4];
    t[0] = m[0] + even + even2;
    t[1] = P * (m[1] - m[2]) + Q * (m[3] - m[4]);
    t[2] = PP * even + QQ * even2 + m[5];
}

/* A: 4 -> 6. */
INLINE void line_from_dy_4(const vector *d, vector *t)
{
    vector even = d[0] + PP * d[2], odd = P * d[1] + P * PP * d[3];
    vector even2 = d[0] + QQ * d[2], odd2 = Q * d[1] + Q * QQ * d[3];
    t[0] = d[0];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = d[3];
}

/* 3 -> 6. */
INLINE void line_from_dy_3(const vector *d, vector *t)
{
    vector even = d[0] + PP * d[2], odd = P * d[1], even2 = d[0] + QQ * d[2], odd2 = Q * d[1];
    t[0] = d[0];
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = d[2];
}

/* G: 3 -> 6. */
INLINE void line_from_weight_3(const vector *g, vector *t)
{
    vector even = (g[0] + PP * g[2]) * AT_P, odd = g[1] * (P * AT_P);
    vector even2 = g[0] * AT_Q + g[2] * (QQ * AT_Q), odd2 = g[1] * (Q * AT_Q);
    t[0] = g[0] * AT_ZERO;
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = g[2];
}

/* 4 -> 6. */
INLINE void line_from_weight_4(const vector *g, vector *t)
{
    vector even = (g[0] + PP * g[2]) * AT_P, odd = (g[1] + PP * g[3]) * (P * AT_P);
    vector even2 = (g[0] + QQ * g[2]) * AT_Q, odd2 = (g[1] + QQ * g[3]) * (Q * AT_Q);
    t[0] = g[0] * AT_ZERO;
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
    t[5] = g[3];
}

/* G^T: 6 -> 3. */
INLINE void line_to_weight_3(const vector *m, vector *t)
{
    vector even = (m[1] + m[2]) * AT_P, odd = (m[1] - m[2]) * (P * AT_P);
    vector even2 = m[3] + m[4], odd2 = (m[3] - m[4]) * (Q * AT_Q);
    t[0] = m[0] * AT_ZERO + even + even2 * AT_Q;
    t[1] = odd + odd2;
    t[2] = even2 * (QQ * AT_Q) + PP * even + m[5];
}

/* 6 -> 4. */
INLINE void line_to_weight_4(const vector *m, vector *t)
{
    vector even = (m[1] + m[2]) * AT_P, odd = (m[1] - m[2]) * (P * AT_P);
    vector even2 = (m[3] + m[4]) * AT_Q, odd2 = (m[3] - m[4]) * (Q * AT_Q);
    t[0] = m[0] * AT_ZERO + even + even2;
    t[1] = odd + odd2;
    t[2] = PP * even + QQ * even2;
    t[3] = PP * odd + QQ * odd2 + m[5];
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

/* One number of each lane. */
INLINE void store(vector v, product_number *to)
{
#if defined(WINOGRAD_BF16)
    _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    *(vector_in_memory *)to = v;
#endif
}

/* PAIR numbers of each lane: `second` counts where PAIR is 2. */
INLINE void store_pairs(vector first, vector second, product_number *to)
{
#if defined(WINOGRAD_BF16)
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)first));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)second));
    _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
#else
    (void)second;
    store(first, to);
#endif
}

INLINE void store_points(const vector *t, product_number *to, size_t point_step)
{
#pragma GCC unroll 36
    for (size_t point = 0; point < POINTS; point++) store(t[point], to + point * point_step);
}

INLINE void store_point_pairs(const vector *first, const vector *second, product_number *to, size_t point_step)
{
#pragma GCC unroll 36
    for (size_t point = 0; point < POINTS; point++) store_pairs(first[point], second[point], to + point * point_step);
}

/* A square of a tensor's pixels: (i, j) begins at element row[i] + column[j] and is zero where either is NOWHERE, which
 * nothing is in a whole one. Whether the tensor is in bf16 is handed down apart, as a constant. */
typedef struct window {
    const void *images;
    size_t row[PATCH], column[PATCH];
    size_t channels;
    bool whole;
} window;

static const size_t NOWHERE = SIZE_MAX;

/* Where pixel `place` of a side lies, `before` of which come before its first one. */
static inline size_t place_of(size_t place, size_t before, size_t length, bool reflect)
{
    if (place >= before && place - before < length) return place - before;
    if (!reflect) return NOWHERE;
    return place < before ? before - place : place - before == length ? length - 2 : NOWHERE;
}

/* The window of side `side` whose corner is `before` rows and columns before pixel (y, x). */
static window window_at(const void *images, size_t h, size_t w, size_t channels, size_t image, size_t y, size_t x,
                        size_t before, bool reflect, size_t side)
{
    window at = {.images = images, .channels = channels};
    at.whole = y >= before && y + side <= h + before && x >= before && x + side <= w + before;
    for (size_t i = 0; i < side; i++) {
        size_t row = place_of(y + i, before, h, reflect), column = place_of(x + i, before, w, reflect);
        at.row[i] = row == NOWHERE ? NOWHERE : (image * h + row) * w * channels;
        at.column[i] = column == NOWHERE ? NOWHERE : column * channels;
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
            else if (at->row[i] == NOWHERE || at->column[j] == NOWHERE || width == 0)
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
                            const void *images, size_t h, size_t w, size_t channels, size_t before, bool reflect,
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
                              reflect, (size_t)side);
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
        transform_tiles(line_from_x, true, PATCH, s, x, s->h, s->w, s->ic, s->padding, s->reflect, first, count, to,
                        tile_step);
    else
        transform_tiles(line_from_x, false, PATCH, s, x, s->h, s->w, s->ic, s->padding, s->reflect, first, count, to,
                        tile_step);
}

INLINE void transform_dy(const winograd_shape *s, const bool bf16, const void *dy, size_t first, size_t count,
                         winograd_place to, size_t tile_step)
{
    if (s->tile == 4)
        transform_tiles(line_from_dy_4, bf16, 4, s, dy, s->oh, s->ow, s->oc, 0, false, first, count, to, tile_step);
    else
        transform_tiles(line_from_dy_3, bf16, 3, s, dy, s->oh, s->ow, s->oc, 0, false, first, count, to, tile_step);
}

void CPU_NAME(cpu_winograd_from_dy)(const winograd_shape *s, const void *dy, size_t first, size_t count,
                                    winograd_place to, size_t tile_step)
{
    if (TAKES_BF16 && s->y_bf16)
        transform_dy(s, true, dy, first, count, to, tile_step);
    else
        transform_dy(s, false, dy, first, count, to, tile_step);
}

/* `width` lanes to the elements from number `element` of y. */
INLINE void store_elements(vector v, size_t width, void *y, const bool bf16, size_t element)
{
    if (bf16) {
        product_number *to = (product_number *)y + element, part[LANES];
        store(v, width == LANES ? to : part);
        if (width < LANES) memcpy(to, part, width * sizeof *to);
    } else {
        float *to = (float *)y + element;
        if (width == LANES)
            *(vector_in_memory *)to = v;
        else
            memcpy(to, &v, width * sizeof *to);
    }
}

/* Channels [c, c + width) of the tile whose corner is element `corner` of y; of it, rows x columns exist. */
INLINE void store_tile(const vector *t, const winograd_shape *s, const bool bf16, const size_t tile, size_t rows,
                       size_t columns, size_t c, size_t width, void *y, size_t corner)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            store_elements(t[i * tile + j], width, y, bf16, corner + (i * s->ow + j) * s->oc + c);
}

INLINE void transform_to_y(line_transform *line, const bool bf16, const size_t tile, const winograd_shape *s,
                           const float *m, size_t point_step, size_t oc_step, size_t first, size_t count,
                           const float *bias, void *y)
{
    size_t each = s->tile_rows * s->tile_columns;
    for (size_t i = first; i < first + count; i++, m += oc_step) {
        size_t row = i % each / s->tile_columns * tile, column = i % s->tile_columns * tile;
        size_t rows = s->oh - row, columns = s->ow - column;
        size_t corner = ((i / each * s->oh + row) * s->ow + column) * s->oc;
        for (size_t c = 0; c < s->oc; c += LANES) {
            size_t width = s->oc - c < LANES ? s->oc - c : LANES;
            vector d[POINTS], t[MOST_TILE * MOST_TILE];
            load_points(m + c, point_step, d);
            transform(line, PATCH, (int)tile, d, t);
            if (bias) {
                vector b = load_part(bias, false, c, width);
                for (size_t k = 0; k < tile * tile; k++) t[k] += b;
            }
            if (rows >= tile && columns >= tile && width == LANES)
                store_tile(t, s, bf16, tile, tile, tile, c, LANES, y, corner);
            else
                store_tile(t, s, bf16, tile, rows < tile ? rows : tile, columns < tile ? columns : tile, c, width, y,
                           corner);
        }
    }
}

INLINE void transform_to_tensor(const winograd_shape *s, const bool bf16, const float *m, size_t point_step,
                                size_t oc_step, size_t first, size_t count, const float *bias, void *y)
{
    if (s->tile == 4)
        transform_to_y(line_to_y_4, bf16, 4, s, m, point_step, oc_step, first, count, bias, y);
    else
        transform_to_y(line_to_y_3, bf16, 3, s, m, point_step, oc_step, first, count, bias, y);
}

void CPU_NAME(cpu_winograd_to_y)(const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                                 size_t first, size_t count, const float *bias, void *y)
{
    if (TAKES_BF16 && s->y_bf16)
        transform_to_tensor(s, true, m, point_step, oc_step, first, count, bias, y);
    else
        transform_to_tensor(s, false, m, point_step, oc_step, first, count, bias, y);
}

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
