/* Convolutions with at most four channels on the side of the result: vectors run along the many channels.
 *
 * A block of sums, (pixels, few channels) of vectors each, stays in registers; the vector type is GCC's for that. The
 * same eight lanes serve every instruction set, so that the rule in conv_thin.h depends on shapes alone.
 */
#include "nn/cpu/kernels/conv_thin.h"

#include <string.h>

#include "nn/cpu/kernels/kernels.h"

enum { LANES = CPU_THIN_LANES, FEW = CPU_THIN_CHANNELS, MOST_SUMS = 8, MOST_PARTS = 32 };

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
/* The same, in memory that is not aligned for it. */
typedef float vector_in_memory __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* y[n, i, j, f] = bias[f] + sum over (u, v, c) of x[n, i stride - top + u, j stride - left + v, c] w[u, v, f, c] */
typedef struct thin {
    const float *x; /* (n, h, width, many) */
    float *y;       /* (n, rows, columns, few) */
    float *w;       /* (kh, kw, few, many); for the weight gradient (parts, kh, kw, few, many) */
    const float *bias;
    size_t n, h, width, many, few, rows, columns, kh, kw, stride, top, left;
} thin;

static size_t weight_count(const thin *t) { return t->kh * t->kw * t->few * t->many; }

/* Columns j of y whose tap v lies in the picture: begin <= j < end. */
static void columns_of_tap(const thin *t, size_t v, size_t *begin, size_t *end)
{
    *begin = v < t->left ? (t->left - v + t->stride - 1) / t->stride : 0;
    *end = t->width + t->left > v ? least((t->width + t->left - v - 1) / t->stride + 1, t->columns) : 0;
    if (*begin > *end) *begin = *end;
}

/* Forward. */

/* Adds taps [first, last) of one row of the kernel to `pixels` neighbours in a row of y. x is the first pixel's tap
 * `first`, w the row's weights. `few` and `pixels` are constants where this is inlined. */
ALWAYS_INLINE void add_block(const thin *t, size_t few, size_t pixels, const float *x, const float *w, size_t first,
                             size_t last, float *y)
{
    const size_t step = t->stride * t->many, many = t->many;
    vector sum[MOST_SUMS][FEW] = {{{0}}};
    w += first * few * many;
    /* The taps' pixels are contiguous, but each has its own run of weights. */
    for (size_t v = first; v < last; v++, x += many, w += few * many)
        for (size_t c = 0; c < many; c += LANES) {
            vector weight[FEW];
#pragma GCC unroll 4
            for (size_t f = 0; f < few; f++) weight[f] = *(const vector_in_memory *)(w + f * many + c);
#pragma GCC unroll 8
            for (size_t p = 0; p < pixels; p++) {
                vector value = *(const vector_in_memory *)(x + p * step + c);
#pragma GCC unroll 4
                for (size_t f = 0; f < few; f++) sum[p][f] += value * weight[f];
            }
        }
#pragma GCC unroll 8
    for (size_t p = 0; p < pixels; p++)
#pragma GCC unroll 4
        for (size_t f = 0; f < few; f++) {
            vector s = sum[p][f];
            y[p * few + f] += ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
        }
}

/* One row of y, one row of x under it. Columns [begin, end) have all their taps inside the picture. */
ALWAYS_INLINE void add_row(const thin *t, size_t few, size_t pixels, const float *x, const float *w, float *y)
{
    size_t begin, end, none;
    columns_of_tap(t, 0, &begin, &none);
    columns_of_tap(t, t->kw - 1, &none, &end);
    if (begin > end) begin = end = t->columns;
    size_t j = 0;
    while (j < t->columns) {
        if (j == begin)
            for (; j + pixels <= end; j += pixels)
                add_block(t, few, pixels, x + (j * t->stride - t->left) * t->many, w, 0, t->kw, y + j * few);
        if (j >= t->columns) break;
        size_t origin = j * t->stride; /* of the window, left columns too far to the right */
        size_t first = origin < t->left ? t->left - origin : 0;
        size_t last = t->width + t->left > origin ? least(t->width + t->left - origin, t->kw) : 0;
        if (first < last) add_block(t, few, 1, x + (origin + first - t->left) * t->many, w, first, last, y + j * few);
        j++;
    }
}

static void add_row_1(const thin *t, const float *x, const float *w, float *y) { add_row(t, 1, 8, x, w, y); }
static void add_row_2(const thin *t, const float *x, const float *w, float *y) { add_row(t, 2, 6, x, w, y); }
static void add_row_3(const thin *t, const float *x, const float *w, float *y) { add_row(t, 3, 4, x, w, y); }
static void add_row_4(const thin *t, const float *x, const float *w, float *y) { add_row(t, 4, 3, x, w, y); }

static void correlate(const thin *t, int threads)
{
    static void (*const add[FEW])(const thin *, const float *, const float *, float *) = {add_row_1, add_row_2,
                                                                                          add_row_3, add_row_4};
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t row = 0; row < t->n * t->rows; row++) {
        float *y = t->y + row * t->columns * t->few;
        for (size_t i = 0; i < t->columns * t->few; i++) y[i] = t->bias ? t->bias[i % t->few] : 0;
        const size_t origin = row % t->rows * t->stride;
        for (size_t u = 0; u < t->kh; u++) {
            if (origin + u < t->top || origin + u - t->top >= t->h) continue;
            const float *x = t->x + (row / t->rows * t->h + origin + u - t->top) * t->width * t->many;
            add[t->few - 1](t, x, t->w + u * t->kw * t->few * t->many, y);
        }
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
            for (size_t k = 0; k < taps; k++)
                t.w[(k * t.few + f) * t.many + c] = call->input[1][(f * t.many + c) * taps + k];
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
            for (size_t k = 0; k < taps; k++)
                t.w[((taps - 1 - k) * t.few + f) * t.many + c] = call->input[1][(c * t.few + f) * taps + k];
    t.top = t.kh - 1 - call->attr.padding;
    t.left = t.kw - 1 - call->attr.padding;
    t.y = call->output[0];
    t.bias = call->input_count > 2 ? call->input[2] : NULL;
    correlate(&t, call->threads);
}

const nn_kernel CPU_NAME(cpu_conv2d_thin) = {.run = conv2d_run, .workspace = weight_workspace};
const nn_kernel CPU_NAME(cpu_conv2d_data_grad_thin) = {.run = data_grad_run, .workspace = weight_workspace};

/* Weight gradient: rows of y in parts, of which each has a gradient of its own; their sum is the result. */

static size_t parts_of(const nn_call *call)
{
    return least(call->input_shape[1].dim[NN_N] * call->input_shape[1].dim[NN_H], MOST_PARTS);
}

/* Columns [begin, end) of a row: w (few, many) += y (columns, few) x (columns, many), at channels c to
 * c + vectors * LANES. x is at the first column's tap. */
ALWAYS_INLINE void add_products(const thin *t, size_t few, size_t vectors, const float *x, const float *y, size_t count,
                                size_t c, float *w)
{
    const size_t step = t->stride * t->many;
    vector sum[FEW][MOST_SUMS] = {{{0}}};
    for (size_t j = 0; j < count; j++) {
        vector value[MOST_SUMS];
#pragma GCC unroll 8
        for (size_t i = 0; i < vectors; i++) value[i] = *(const vector_in_memory *)(x + j * step + c + i * LANES);
#pragma GCC unroll 4
        for (size_t f = 0; f < few; f++)
#pragma GCC unroll 8
            for (size_t i = 0; i < vectors; i++) sum[f][i] += y[j * few + f] * value[i];
    }
#pragma GCC unroll 4
    for (size_t f = 0; f < few; f++)
#pragma GCC unroll 8
        for (size_t i = 0; i < vectors; i++) *(vector_in_memory *)(w + f * t->many + c + i * LANES) += sum[f][i];
}

/* One row of y with the row of x under it: the gradient w (kw, few, many) of one row of the kernel. */
ALWAYS_INLINE void add_row_products(const thin *t, size_t few, size_t vectors, const float *x, const float *y, float *w)
{
    for (size_t c = 0; c < t->many;) {
        const bool whole = c + vectors * LANES <= t->many;
        for (size_t v = 0; v < t->kw; v++) {
            size_t begin, end;
            columns_of_tap(t, v, &begin, &end);
            if (begin == end) continue;
            const float *from = x + (begin * t->stride + v - t->left) * t->many;
            if (whole)
                add_products(t, few, vectors, from, y + begin * few, end - begin, c, w + v * few * t->many);
            else
                add_products(t, few, 1, from, y + begin * few, end - begin, c, w + v * few * t->many);
        }
        c += whole ? vectors * LANES : LANES;
    }
}

static void add_row_products_1(const thin *t, const float *x, const float *y, float *w)
{
    add_row_products(t, 1, 8, x, y, w);
}
static void add_row_products_2(const thin *t, const float *x, const float *y, float *w)
{
    add_row_products(t, 2, 4, x, y, w);
}
static void add_row_products_3(const thin *t, const float *x, const float *y, float *w)
{
    add_row_products(t, 3, 4, x, y, w);
}
static void add_row_products_4(const thin *t, const float *x, const float *y, float *w)
{
    add_row_products(t, 4, 2, x, y, w);
}

static void add_part(const thin *t, size_t part, size_t parts, const float *dy)
{
    static void (*const add[FEW])(const thin *, const float *, const float *, float *) = {
        add_row_products_1, add_row_products_2, add_row_products_3, add_row_products_4};
    const size_t all = t->n * t->rows;
    float *w = t->w + part * weight_count(t);
    memset(w, 0, weight_count(t) * sizeof *w);
    for (size_t row = all * part / parts; row < all * (part + 1) / parts; row++) {
        const size_t origin = row % t->rows * t->stride;
        for (size_t u = 0; u < t->kh; u++) {
            if (origin + u < t->top || origin + u - t->top >= t->h) continue;
            const float *x = t->x + (row / t->rows * t->h + origin + u - t->top) * t->width * t->many;
            add[t->few - 1](t, x, dy + row * t->columns * t->few, w + u * t->kw * t->few * t->many);
        }
    }
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
