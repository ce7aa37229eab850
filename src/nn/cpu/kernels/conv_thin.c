/* Convolutions with at most four channels on the side of the result: vectors run along the many channels.
 *
 * A block of sums, (pixels, few channels) or (taps, few channels) of vectors each, stays in registers; the vector type
 * is GCC's for that. The rule in conv_thin.h has eight lanes for every instruction set, so that it depends on shapes
 * alone: where vectors have sixteen, the last eight channels may fill half of one.
 */
#include "nn/cpu/kernels/conv_thin.h"

#include <string.h>

#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/product.h"
#include "nn/cpu/kernels/sizes.h"

/* Sums are as many as registers hold beside their factors: in pixels for 1 to 4 channels, and at most. */
enum { FEW = CPU_THIN_CHANNELS, MOST_PIXELS = 8, MOST_BLOCKS = 4, MOST_TAPS = 8, MOST_PARTS = 32 };
#if defined(__AVX512F__)
enum { LANES = 16, MOST_SUMS = 24, PIXELS_1 = 8, PIXELS_2 = 8, PIXELS_3 = 8, PIXELS_4 = 6 };
#elif defined(__AVX2__)
enum { LANES = 8, MOST_SUMS = 12, PIXELS_1 = 8, PIXELS_2 = 6, PIXELS_3 = 4, PIXELS_4 = 3 };
#else
enum { LANES = 4, MOST_SUMS = 12, PIXELS_1 = 8, PIXELS_2 = 6, PIXELS_3 = 4, PIXELS_4 = 3 };
#endif

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
/* The same, in memory that is not aligned for it. */
typedef float vector_in_memory __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static inline size_t most(size_t a, size_t b) { return a > b ? a : b; }

/* `half`: as many lanes as that, where channels end so. It is a constant where these are inlined. */
ALWAYS_INLINE vector load(const float *from, bool half)
{
    if (!half) return *(const vector_in_memory *)from;
    vector v = {0};
    memcpy(&v, from, sizeof v / 2);
    return v;
}

ALWAYS_INLINE void add_to(float *to, vector v, bool half)
{
    v += load(to, half);
    if (half)
        memcpy(to, &v, sizeof v / 2);
    else
        *(vector_in_memory *)to = v;
}

static inline float total(const vector *v)
{
    typedef float quarter __attribute__((vector_size(4 * sizeof(float)), may_alias));
    const quarter *q = (const quarter *)v;
    quarter sum = q[0];
    for (size_t i = 1; i < LANES / 4; i++) sum += q[i];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* y[n, i, j, f] = bias[f] + sum over (u, v, c) of x[n, i stride - top + u, j stride - left + v, c] w[u, v, f, c] */
typedef struct thin {
    const float *x; /* (n, h, width, many) */
    float *y;       /* (n, rows, columns, few) */
    float *w;       /* (kh, few, kw, many); for the weight gradient (parts, kh, kw, few, many) */
    const float *bias;
    size_t n, h, width, many, few, rows, columns, kh, kw, stride, top, left;
} thin;

static size_t weight_count(const thin *t) { return t->kh * t->kw * t->few * t->many; }

/* Columns j of y whose tap v lies in the picture: begin <= j < end. */
static void columns_of_tap(const thin *t, size_t v, size_t *begin, size_t *end)
{
    *begin = v < t->left ? (t->left - v + t->stride - 1) / t->stride : 0;
    *end = t->width + t->left > v ? cpu_least((t->width + t->left - v - 1) / t->stride + 1, t->columns) : 0;
    if (*begin > *end) *begin = *end;
}

/* Forward. */

/* Which of a window's taps lie in the picture: rows [top, bottom), columns [left, right). */
typedef struct window {
    size_t top, bottom, left, right;
} window;

/* LANES numbers of a row of taps, or half of them, for `pixels` neighbours in a row of y. w: (few, kw, many).
 * `few`, `pixels` and `half` are constants where this is inlined. */
ALWAYS_INLINE void add_taps(const thin *t, size_t few, size_t pixels, bool half, const float *x, const float *w,
                            vector sum[MOST_PIXELS][FEW])
{
    const size_t step = t->stride * t->many, row = t->kw * t->many;
    vector weight[FEW];
#pragma GCC unroll 4
    for (size_t f = 0; f < few; f++) weight[f] = load(w + f * row, half);
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++) {
        vector value = load(x + p * step, half);
        PRODUCT_IN_REGISTER(value);
#pragma GCC unroll 4
        for (size_t f = 0; f < few; f++) sum[p][f] += value * weight[f];
    }
}

/* `count` numbers of a row of taps, which are contiguous. Sums are of these alone before they are added to `all`, so
 * that they lose few bits. */
ALWAYS_INLINE void add_run(const thin *t, size_t few, size_t pixels, const float *x, const float *w, size_t count,
                           vector *all)
{
    vector sum[MOST_PIXELS][FEW] = {{{0}}};
    size_t k = 0;
    for (; k + LANES <= count; k += LANES) add_taps(t, few, pixels, false, x + k, w + k, sum);
    if (k < count) add_taps(t, few, pixels, true, x + k, w + k, sum);
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++)
#pragma GCC unroll 4
        for (size_t f = 0; f < few; f++) all[p * few + f] += sum[p][f];
}

/* For each number of channels a function for a block and one for a single pixel. Not inlined, since gcc would rather
 * have `all` in registers than `sum`. */
typedef void tap_sums(const thin *t, const float *x, const float *w, size_t count, vector *all);
#define TAP_SUMS(few, pixels)                                                                                         \
    static __attribute__((noinline)) void block_##few(const thin *t, const float *x, const float *w, size_t count,    \
                                                      vector *all)                                                    \
    {                                                                                                                 \
        add_run(t, few, pixels, x, w, count, all);                                                            \
    }                                                                                                                 \
    static __attribute__((noinline)) void pixel_##few(const thin *t, const float *x, const float *w, size_t count,    \
                                                      vector *all)                                                    \
    {                                                                                                                 \
        add_run(t, few, 1, x, w, count, all);                                                                 \
    }
TAP_SUMS(1, PIXELS_1)
TAP_SUMS(2, PIXELS_2)
TAP_SUMS(3, PIXELS_3)
TAP_SUMS(4, PIXELS_4)
static tap_sums *const block_sums[FEW] = {block_1, block_2, block_3, block_4};
static tap_sums *const pixel_sums[FEW] = {pixel_1, pixel_2, pixel_3, pixel_4};
static const size_t block_pixels[FEW] = {PIXELS_1, PIXELS_2, PIXELS_3, PIXELS_4};

/* Columns [begin, end) of a row of y, all of which have the same taps in the picture, in blocks, of which the last may
 * compute again what is there; that the blocks share a row of weights keeps it in the first-level cache. x is the first
 * row in the picture. */
static void few_blocks(const thin *t, tap_sums *add, size_t pixels, size_t begin, size_t end, const float *x, window in,
                       float *y)
{
    enum { RUN = 64 * LANES };
    vector all[MOST_BLOCKS][MOST_SUMS] = {{{0}}};
    const size_t count = (end - begin + pixels - 1) / pixels, numbers = (in.right - in.left) * t->many;
    for (size_t u = in.top; u < in.bottom; u++, x += t->width * t->many)
        for (size_t from = 0; from < numbers; from += RUN)
            for (size_t k = 0; k < count; k++) {
                const size_t j = cpu_least(begin + k * pixels, end - pixels);
                add(t, x + (j * t->stride + in.left - t->left) * t->many + from,
                    t->w + (u * t->few * t->kw + in.left) * t->many + from, cpu_least(numbers - from, RUN), all[k]);
            }
    for (size_t k = 0; k < count; k++) {
        float *to = y + cpu_least(begin + k * pixels, end - pixels) * t->few;
        for (size_t i = 0; i < pixels * t->few; i++) to[i] = (t->bias ? t->bias[i % t->few] : 0) + total(&all[k][i]);
    }
}

/* Columns [begin, end) of y have all their taps in the picture and go in blocks if they fill one. */
static void one_row(const thin *t, const float *x, window in, float *y)
{
    const size_t pixels = block_pixels[t->few - 1];
    size_t begin, end, none;
    columns_of_tap(t, 0, &begin, &none);
    columns_of_tap(t, t->kw - 1, &none, &end);
    const bool blocks = begin + pixels <= end;
    for (size_t j = 0; j < t->columns;) {
        if (blocks && j >= begin && j < end) {
            const size_t to = cpu_least(j + MOST_BLOCKS * pixels, end);
            in.left = 0;
            in.right = t->kw;
            few_blocks(t, block_sums[t->few - 1], pixels, j, to, x, in, y);
            j = to;
        } else {
            const size_t origin = j * t->stride; /* of the window, left columns too far to the right */
            in.left = cpu_least(origin < t->left ? t->left - origin : 0, t->kw);
            in.right = t->width + t->left > origin ? cpu_least(t->width + t->left - origin, t->kw) : 0;
            in.right = most(in.left, in.right);
            few_blocks(t, pixel_sums[t->few - 1], 1, j, j + 1, x, in, y);
            j++;
        }
    }
}

static void correlate(const thin *t, int threads)
{
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t row = 0; row < t->n * t->rows; row++) {
        const size_t origin = row % t->rows * t->stride; /* of the window, top rows too far down */
        window in = {.top = origin < t->top ? t->top - origin : 0,
                   .bottom = t->h + t->top > origin ? cpu_least(t->h + t->top - origin, t->kh) : 0};
        const float *x = t->x + row / t->rows * t->h * t->width * t->many;
        if (in.top < in.bottom) x += (origin + in.top - t->top) * t->width * t->many;
        one_row(t, x, in, t->y + row * t->columns * t->few);
    }
}

static thin thin_of(const nn_call *call, const nn_shape *x, const nn_shape *y, const nn_shape *w)
{
    return (thin){.n = x->dim[NN_N], .h = x->dim[NN_H], .width = x->dim[NN_W], .many = x->dim[NN_C],
                  .few = y->dim[NN_C], .rows = y->dim[NN_H], .columns = y->dim[NN_W], .kh = w->dim[NN_KH],
                  .kw = w->dim[NN_KW], .stride = call->attr.stride, .top = call->attr.padding,
                  .left = call->attr.padding, .x = call->input[0], .w = call->workspace};
}

static size_t weight_workspace(const nn_call *call) { return nn_count(call->input_shape[1]) * sizeof(float); }

static void conv2d_run(const nn_call *call)
{
    thin t = thin_of(call, &call->input_shape[0], &call->output_shape[0], &call->input_shape[1]);
    const size_t taps = t.kh * t.kw;
    for (size_t f = 0; f < t.few; f++)
        for (size_t c = 0; c < t.many; c++)
            for (size_t k = 0; k < taps; k++) {
                const size_t u = k / t.kw, v = k % t.kw;
                t.w[((u * t.few + f) * t.kw + v) * t.many + c] = call->input[1][(f * t.many + c) * taps + k];
            }
    t.y = call->output[0];
    t.bias = call->input_count > 2 ? call->input[2] : NULL;
    correlate(&t, call->threads);
}

/* The roles of the weight's channels are exchanged, its taps reversed. */
static void data_grad_run(const nn_call *call)
{
    thin t = thin_of(call, &call->input_shape[0], &call->output_shape[0], &call->input_shape[1]);
    const size_t taps = t.kh * t.kw;
    for (size_t c = 0; c < t.many; c++)
        for (size_t f = 0; f < t.few; f++)
            for (size_t k = 0; k < taps; k++) {
                const size_t u = t.kh - 1 - k / t.kw, v = t.kw - 1 - k % t.kw;
                t.w[((u * t.few + f) * t.kw + v) * t.many + c] = call->input[1][(c * t.few + f) * taps + k];
            }
    t.top = t.kh - 1 - call->attr.padding;
    t.left = t.kw - 1 - call->attr.padding;
    t.y = call->output[0];
    t.bias = call->input_count > 2 ? call->input[2] : NULL;
    correlate(&t, call->threads);
}

const nn_kernel CPU_NAME(cpu_conv2d_thin) = {.run = conv2d_run, .workspace = weight_workspace};
const nn_kernel CPU_NAME(cpu_conv2d_data_grad_thin) = {.run = data_grad_run, .workspace = weight_workspace};

/* Weight gradient: rows of x in parts, of which each has a gradient of its own; their sum is the result. */

enum { TILE_BYTES = 24576, LEAST_TILE = 32 }; /* of x, for all taps: half of a first-level cache, but columns enough */

static size_t parts_of(const nn_call *call)
{
    return cpu_least(call->input_shape[0].dim[NN_N] * call->input_shape[0].dim[NN_H], MOST_PARTS);
}

/* w (count, few, many) += y (columns, few) x (columns, count, many), for LANES channels or half of them. `few`, `count`
 * and `half` are constants where this is inlined. */
ALWAYS_INLINE void add_channels(const thin *t, size_t few, size_t count, bool half, const float *x, const float *y,
                                size_t columns, float *w)
{
    const size_t step = t->stride * t->many;
    vector sum[MOST_TAPS][FEW] = {{{0}}};
    for (size_t j = 0; j < columns; j++) {
        vector factor[FEW];
#pragma GCC unroll 4
        for (size_t f = 0; f < few; f++) factor[f] = y[j * few + f] - (vector){0}; /* in all lanes */
#pragma GCC unroll 8
        for (size_t v = 0; v < count; v++) {
            vector value = load(x + j * step + v * t->many, half);
            PRODUCT_IN_REGISTER(value);
#pragma GCC unroll 4
            for (size_t f = 0; f < few; f++) sum[v][f] += factor[f] * value;
        }
    }
#pragma GCC unroll 8
    for (size_t v = 0; v < count; v++)
#pragma GCC unroll 4
        for (size_t f = 0; f < few; f++) add_to(w + (v * few + f) * t->many, sum[v][f], half);
}

ALWAYS_INLINE void add_products(const thin *t, size_t few, size_t count, const float *x, const float *y,
                                size_t columns, float *w)
{
    size_t c = 0;
    for (; c + LANES <= t->many; c += LANES) add_channels(t, few, count, false, x + c, y, columns, w + c);
    if (c < t->many) add_channels(t, few, count, true, x + c, y, columns, w + c);
}

/* A function for each number of channels and taps, so that sums are in registers. */
typedef void products(const thin *t, const float *x, const float *y, size_t columns, float *w);
#define PRODUCTS(few, count)                                                                                          \
    static void products_##few##_##count(const thin *t, const float *x, const float *y, size_t columns, float *w)     \
    {                                                                                                                 \
        add_products(t, few, count, x, y, columns, w);                                                                \
    }
#define ALL_PRODUCTS(few)                                                                                             \
    PRODUCTS(few, 1)                                                                                                  \
    PRODUCTS(few, 2)                                                                                                  \
    PRODUCTS(few, 3)                                                                                                  \
    PRODUCTS(few, 4)                                                                                                  \
    PRODUCTS(few, 5)                                                                                                  \
    PRODUCTS(few, 6)                                                                                                  \
    PRODUCTS(few, 7)                                                                                                  \
    PRODUCTS(few, 8)
#define NAMES(few)                                                                                                    \
    {                                                                                                                 \
        products_##few##_1, products_##few##_2, products_##few##_3, products_##few##_4, products_##few##_5,           \
            products_##few##_6, products_##few##_7, products_##few##_8                                                \
    }
ALL_PRODUCTS(1)
ALL_PRODUCTS(2)
ALL_PRODUCTS(3)
ALL_PRODUCTS(4)
static products *const all_products[FEW][MOST_TAPS] = {NAMES(1), NAMES(2), NAMES(3), NAMES(4)};

/* Columns [begin, end) of y, which have taps [v, v + count) in the picture. x, y: a row; w: (kw, few, many). */
static void add_columns(const thin *t, size_t v, size_t count, size_t begin, size_t end, const float *x, const float *y,
                        float *w)
{
    if (begin >= end) return;
    all_products[t->few - 1][count - 1](t, x + (begin * t->stride + v - t->left) * t->many, y + begin * t->few,
                                        end - begin, w + v * t->few * t->many);
}

/* Columns [from, to) of a row of y: some lack some taps, and these go one by one. */
static void add_tile(const thin *t, size_t from, size_t to, const float *x, const float *y, float *w)
{
    const size_t most_taps = cpu_least(MOST_TAPS, MOST_SUMS / t->few);
    const size_t groups = (t->kw + most_taps - 1) / most_taps;
    for (size_t g = 0; g < groups; g++) {
        const size_t first = t->kw * g / groups, last = t->kw * (g + 1) / groups;
        size_t begin, end, none;
        columns_of_tap(t, first, &begin, &none);
        columns_of_tap(t, last - 1, &none, &end);
        begin = cpu_least(most(begin, from), to);
        end = most(cpu_least(end, to), begin);
        add_columns(t, first, last - first, begin, end, x, y, w);
        for (size_t v = first; v < last; v++) {
            size_t left, right;
            columns_of_tap(t, v, &left, &right);
            add_columns(t, v, 1, most(left, from), cpu_least(right, begin), x, y, w);
            add_columns(t, v, 1, most(left, end), cpu_least(right, to), x, y, w);
        }
    }
}

/* What one row of x, in all rows of the kernel, gives w (kh, kw, few, many): a tile of columns at a time, so that x is
 * read from afar once. */
static void add_row(const thin *t, size_t row, const float *dy, float *w)
{
    const float *x = t->x + row * t->width * t->many;
    const size_t tile = most(TILE_BYTES / (t->many * t->stride * sizeof(float)), LEAST_TILE);
    const size_t tiles = (t->columns + tile - 1) / tile;
    for (size_t k = 0; k < tiles; k++)
        for (size_t u = 0; u < t->kh; u++) {
            const size_t below = row % t->h + t->top; /* stride times the row of y, and u */
            if (below < u || (below - u) % t->stride != 0 || (below - u) / t->stride >= t->rows) continue;
            const float *y = dy + (row / t->h * t->rows + (below - u) / t->stride) * t->columns * t->few;
            add_tile(t, t->columns * k / tiles, t->columns * (k + 1) / tiles, x, y,
                     w + u * t->kw * t->few * t->many);
        }
}

static void add_part(const thin *t, size_t part, size_t parts, const float *dy)
{
    const size_t all = t->n * t->h;
    float *w = t->w + part * weight_count(t);
    memset(w, 0, weight_count(t) * sizeof *w);
    for (size_t row = all * part / parts; row < all * (part + 1) / parts; row++) add_row(t, row, dy, w);
}

static void weight_grad_run(const nn_call *call)
{
    const thin t = thin_of(call, &call->input_shape[0], &call->input_shape[1], &call->output_shape[0]);
    const size_t parts = parts_of(call), count = weight_count(&t), taps = t.kh * t.kw;
#pragma omp parallel for num_threads(call->threads) schedule(dynamic)
    for (size_t part = 0; part < parts; part++) add_part(&t, part, parts, call->input[1]);
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (size_t kf = 0; kf < taps * t.few; kf++) {
        float *sum = t.w + kf * t.many;
        for (size_t part = 1; part < parts; part++) {
            const float *other = sum + part * count;
#pragma omp simd
            for (size_t c = 0; c < t.many; c++) sum[c] += other[c];
        }
        for (size_t c = 0; c < t.many; c++)
            call->output[0][(kf % t.few * t.many + c) * taps + kf / t.few] = sum[c];
    }
}

static size_t weight_grad_workspace(const nn_call *call)
{
    return parts_of(call) * nn_count(call->output_shape[0]) * sizeof(float);
}

const nn_kernel CPU_NAME(cpu_conv2d_weight_grad_thin) = {.run = weight_grad_run, .workspace = weight_grad_workspace};
