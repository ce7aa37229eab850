/* See winograd.h. Matrices between the kernels are (16, tiles, channels); neighbouring threads take neighbouring
 * channels, so that every access is a whole line of memory, and a thread has 16 loads on their way at once. Tiles are
 * taken in chunks whose matrices stay in the second-level cache. */
#include "nn/cuda/winograd.h"

#include "nn/cuda/launch.h"
#include "nn/cuda/product.h"

enum { N = CUDA_WINOGRAD_PRODUCTS, PATCH = 4, TAPS = 9, LEAST_CHANNELS = 16, LEAST_TILES = 16, CHUNK_BYTES = 40 << 20 };

/* A picture, and its grid of 2x2 tiles from `shift` on: tile (i, j) begins at (2 i + shift, 2 j + shift). */
struct grid {
    float *data; /* (images, h, w, c) */
    const float *bias;
    float *matrices; /* (16, count, c) */
    unsigned h, w, c, rows, columns; /* rows, columns: of tiles */
    int shift;
    bool reflect; /* beside the picture are its mirrored pixels instead of zeros */
    size_t first, count; /* of the chunk's tiles */
};

/* 4x4 places of this block's tile, inside the picture or not. */
struct place {
    const grid &g;
    size_t image;
    int top, left;
    __device__ place(const grid &v) : g(v)
    {
        size_t tile = v.first + blockIdx.x, line = tile / v.columns;
        image = line / v.rows;
        top = 2 * (int)(line % v.rows) + v.shift;
        left = 2 * (int)(tile % v.columns) + v.shift;
    }
    __device__ bool inside(int i, int j) const
    {
        return top + i >= 0 && top + i < (int)g.h && left + j >= 0 && left + j < (int)g.w;
    }
    __device__ float *at(int i, int j, unsigned channel) const
    {
        return g.data + ((image * g.h + (size_t)(top + i)) * g.w + (size_t)(left + j)) * g.c + channel;
    }
    /* Row i of the picture, or its mirror's, and where column j begins in it; NULL and -1 beside a picture without
     * mirrors. What is further than its mirror meets no result. */
    __device__ const float *line(int i) const
    {
        int row = source(top + i, (int)g.h);
        return row < 0 ? NULL : g.data + (image * g.h + (size_t)row) * g.w * g.c;
    }
    __device__ int start(int j) const
    {
        int column = source(left + j, (int)g.w);
        return column < 0 ? -1 : column * (int)g.c;
    }
    __device__ int source(int place, int size) const
    {
        if (place >= 0 && place < size) return place;
        int mirrored = place < 0 ? -place : 2 * (size - 1) - place;
        return !g.reflect ? -1 : mirrored < 0 ? 0 : mirrored;
    }
};

__device__ static inline float *entry(const grid &g, int number, unsigned channel)
{
    return g.matrices + ((size_t)number * g.count + blockIdx.x) * g.c + channel;
}

/* B^T of four numbers, `step` apart. */
__device__ static inline void transform_patch(float *d, int step)
{
    float a = d[0], b = d[step], c = d[2 * step], e = d[3 * step];
    d[0] = a - c, d[step] = b + c, d[2 * step] = c - b, d[3 * step] = b - e;
}

/* blockIdx.x: the tile of the chunk; blockIdx.y: a part of the channels, here and below. */
static __global__ void patches(grid g)
{
    place p(g);
    const float *line[PATCH];
    int start[PATCH];
    for (int i = 0; i < PATCH; i++) line[i] = p.line(i), start[i] = p.start(i);
    for (unsigned channel = cuda_row_first(), end = cuda_row_end(g.c); channel < end; channel += CUDA_BLOCK) {
        float d[N];
#pragma unroll
        for (int k = 0; k < N; k++) {
            int i = k / PATCH, j = k % PATCH;
            d[k] = line[i] && start[j] >= 0 ? line[i][(unsigned)start[j] + channel] : 0;
        }
#pragma unroll
        for (int i = 0; i < PATCH; i++) transform_patch(d + i, PATCH);
#pragma unroll
        for (int i = 0; i < PATCH; i++) transform_patch(d + PATCH * i, 1);
#pragma unroll
        for (int k = 0; k < N; k++) *entry(g, k, channel) = d[k];
    }
}

/* A^T of four numbers: two. */
__device__ static inline void transform_products(const float *m, int step, float *y0, float *y1)
{
    *y0 = m[0] + m[step] + m[2 * step];
    *y1 = m[step] - m[2 * step] - m[3 * step];
}

static __global__ void results(grid g)
{
    place p(g);
    for (unsigned channel = cuda_row_first(), end = cuda_row_end(g.c); channel < end; channel += CUDA_BLOCK) {
        float m[N], half[2][PATCH], y[2][2];
        float bias = g.bias ? g.bias[channel] : 0;
#pragma unroll
        for (int k = 0; k < N; k++) m[k] = *entry(g, k, channel);
#pragma unroll
        for (int j = 0; j < PATCH; j++) transform_products(m + j, PATCH, &half[0][j], &half[1][j]);
#pragma unroll
        for (int i = 0; i < 2; i++) transform_products(half[i], 1, &y[i][0], &y[i][1]);
#pragma unroll
        for (int k = 0; k < 4; k++)
            if (p.inside(k / 2, k % 2)) *p.at(k / 2, k % 2, channel) = y[k / 2][k % 2] + bias;
    }
}

/* A of two numbers: four. */
__device__ static inline void transform_gradient(float y0, float y1, float *m, int step)
{
    m[0] = y0, m[step] = y0 + y1, m[2 * step] = y0 - y1, m[3 * step] = -y1;
}

static __global__ void gradients(grid g)
{
    place p(g);
    for (unsigned channel = cuda_row_first(), end = cuda_row_end(g.c); channel < end; channel += CUDA_BLOCK) {
        float y[2][2], half[2][PATCH], m[N];
#pragma unroll
        for (int k = 0; k < 4; k++) y[k / 2][k % 2] = p.inside(k / 2, k % 2) ? *p.at(k / 2, k % 2, channel) : 0;
#pragma unroll
        for (int i = 0; i < 2; i++) transform_gradient(y[i][0], y[i][1], half[i], 1);
#pragma unroll
        for (int j = 0; j < PATCH; j++) transform_gradient(half[0][j], half[1][j], m + j, PATCH);
#pragma unroll
        for (int k = 0; k < N; k++) *entry(g, k, channel) = m[k];
    }
}

struct weights {
    float *plain; /* (out, in, 3, 3) */
    float *matrices; /* (16, rows, columns) */
    unsigned rows, columns, in;
    bool turned; /* rows are in, columns out */
};

__device__ static inline float *plain_of(const weights &v, unsigned row, unsigned column)
{
    return v.plain + (v.turned ? (size_t)column * v.in + row : (size_t)row * v.in + column) * TAPS;
}

/* G of three numbers, `step` apart: four, 1 apart. */
__device__ static inline void transform_weight(const float *w, int step, float *u)
{
    float sum = 0.5f * (w[0] + w[2 * step]), middle = 0.5f * w[step];
    u[0] = w[0], u[1] = sum + middle, u[2] = sum - middle, u[3] = w[2 * step];
}

/* blockIdx.x: the row. */
static __global__ void transform_weights(weights v)
{
    for (unsigned column = cuda_row_first(), end = cuda_row_end(v.columns); column < end; column += CUDA_BLOCK) {
        const float *plain = plain_of(v, blockIdx.x, column);
        float w[TAPS], half[3][PATCH], u[PATCH];
#pragma unroll
        for (int k = 0; k < TAPS; k++) w[k] = plain[v.turned ? TAPS - 1 - k : k];
#pragma unroll
        for (int j = 0; j < 3; j++) transform_weight(w + j, 3, half[j]); /* half[j][i]: row i of G w, column j */
#pragma unroll
        for (int i = 0; i < PATCH; i++) {
            float line[3] = {half[0][i], half[1][i], half[2][i]};
            transform_weight(line, 1, u);
#pragma unroll
            for (int j = 0; j < PATCH; j++)
                v.matrices[((size_t)(PATCH * i + j) * v.rows + blockIdx.x) * v.columns + column] = u[j];
        }
    }
}

/* G^T of four numbers, `step` apart: three, `to_step` apart. */
__device__ static inline void transform_weight_grad(const float *s, int step, float *w, int to_step)
{
    float sum = 0.5f * (s[step] + s[2 * step]);
    w[0] = s[0] + sum, w[to_step] = 0.5f * (s[step] - s[2 * step]), w[2 * to_step] = sum + s[3 * step];
}

static __global__ void weight_gradients(weights v)
{
    for (unsigned column = cuda_row_first(), end = cuda_row_end(v.columns); column < end; column += CUDA_BLOCK) {
        float s[N], half[3 * PATCH], w[TAPS];
        float *plain = plain_of(v, blockIdx.x, column);
#pragma unroll
        for (int k = 0; k < N; k++) s[k] = v.matrices[((size_t)k * v.rows + blockIdx.x) * v.columns + column];
#pragma unroll
        for (int j = 0; j < PATCH; j++) transform_weight_grad(s + j, PATCH, half + j, PATCH);
#pragma unroll
        for (int i = 0; i < 3; i++) transform_weight_grad(half + PATCH * i, 1, w + 3 * i, 1);
#pragma unroll
        for (int k = 0; k < TAPS; k++) plain[k] = w[k];
    }
}

/* How one call is done: from `source` (patches, c channels) to the tiled picture (o channels). */
struct tiling {
    nn_shape source, tiled;
    size_t c, o, rows, columns, tiles, chunk;
    int shift; /* of patches: minus the padding */
};

static tiling tiling_of(const nn_call *call)
{
    bool weight_grad = call->op == NN_CONV2D_WEIGHT_GRAD;
    tiling p = {};
    p.source = call->input_shape[0];
    p.tiled = weight_grad ? call->input_shape[1] : call->output_shape[0];
    p.c = p.source.dim[NN_C], p.o = p.tiled.dim[NN_C];
    p.rows = cuda_divide_up(p.tiled.dim[NN_H], 2), p.columns = cuda_divide_up(p.tiled.dim[NN_W], 2);
    p.tiles = p.tiled.dim[NN_N] * p.rows * p.columns;
    p.shift = call->op == NN_CONV2D_DATA_GRAD ? (int)call->attr.padding - 2 : -(int)call->attr.padding;
    size_t fit = CHUNK_BYTES / (N * (p.c + p.o) * sizeof(float));
    p.chunk = fit < p.tiles ? fit : p.tiles;
    if (p.chunk < 1) p.chunk = 1;
    return p;
}

/* The rule of winograd.h: extra bytes against operations saved. */
static bool pays(const tiling *p, cuda_operands operands)
{
    double operations_a_byte = operands == CUDA_FP32 ? 20 : 130, c = (double)p->c, o = (double)p->o;
    return 32 * (c + o) - 72 * c <= 10 * c * o / operations_a_byte;
}

static bool fits(const nn_call *call, const tiling *p)
{
    nn_shape w = call->op == NN_CONV2D_WEIGHT_GRAD ? call->output_shape[0] : call->input_shape[1];
    return w.dim[NN_KH] == 3 && w.dim[NN_KW] == 3 && call->attr.stride == 1 && call->attr.padding <= 2 &&
           p->c >= LEAST_CHANNELS && p->o >= LEAST_CHANNELS && p->tiles >= LEAST_TILES;
}

static float *matrices_of(const nn_call *call, const tiling *p, int number)
{
    size_t first = N * p->chunk * p->c, second = N * p->chunk * p->o;
    return (float *)call->workspace + (number > 0 ? first : 0) + (number > 1 ? second : 0);
}

static grid grid_of(const tiling *p, nn_shape picture, const float *data, float *matrices, int shift, size_t first)
{
    grid g = {};
    g.data = (float *)(uintptr_t)data;
    g.matrices = matrices;
    g.h = (unsigned)picture.dim[NN_H], g.w = (unsigned)picture.dim[NN_W], g.c = (unsigned)picture.dim[NN_C];
    g.rows = (unsigned)p->rows, g.columns = (unsigned)p->columns;
    g.shift = shift;
    g.first = first;
    g.count = p->tiles - first < p->chunk ? p->tiles - first : p->chunk;
    return g;
}

static cuda_product product_of(const nn_call *call)
{
    cuda_product product = {};
    product.operands = cuda_operands_of(call);
    product.alpha = 1;
    product.batch = N;
    return product;
}

static void run(const nn_call *call)
{
    tiling p = tiling_of(call);
    for (size_t first = 0; first < p.tiles; first += p.chunk) {
        grid from = grid_of(&p, p.source, call->input[0], matrices_of(call, &p, 0), p.shift, first);
        grid to = grid_of(&p, p.tiled, call->output[0], matrices_of(call, &p, 1), 0, first);
        to.bias = call->input_count > 2 ? call->input[2] : NULL;
        from.reflect = call->attr.mode == NN_PAD_REFLECT;
        cuda_launch_rows(call, patches, from, from.count, p.c);
        cuda_product product = product_of(call);
        product.transpose_b = true;
        product.m = from.count, product.n = p.o, product.k = p.c;
        product.a = from.matrices, product.lda = p.c, product.stride_a = from.count * p.c;
        product.b = call->input[1], product.ldb = p.c, product.stride_b = p.o * p.c;
        product.c = to.matrices, product.ldc = p.o, product.stride_c = from.count * p.o;
        cuda_multiply_matrices(call, &product);
        cuda_launch_rows(call, results, to, to.count, p.o);
    }
}

static void run_weight_grad(const nn_call *call)
{
    tiling p = tiling_of(call);
    float *sums = matrices_of(call, &p, 2);
    for (size_t first = 0; first < p.tiles; first += p.chunk) {
        grid from = grid_of(&p, p.source, call->input[0], matrices_of(call, &p, 0), p.shift, first);
        grid by = grid_of(&p, p.tiled, call->input[1], matrices_of(call, &p, 1), 0, first);
        from.reflect = call->attr.mode == NN_PAD_REFLECT;
        cuda_launch_rows(call, patches, from, from.count, p.c);
        cuda_launch_rows(call, gradients, by, by.count, p.o);
        cuda_product product = product_of(call);
        product.transpose_a = true;
        product.m = p.o, product.n = p.c, product.k = from.count;
        product.a = by.matrices, product.lda = p.o, product.stride_a = from.count * p.o;
        product.b = from.matrices, product.ldb = p.c, product.stride_b = from.count * p.c;
        product.c = sums, product.ldc = p.c, product.stride_c = p.o * p.c;
        product.beta = first > 0 ? 1 : 0;
        cuda_multiply_matrices(call, &product);
    }
    weights v = {call->output[0], sums, (unsigned)p.o, (unsigned)p.c, (unsigned)p.c, false};
    cuda_launch_rows(call, weight_gradients, v, p.o, p.c);
}

bool cuda_winograd_prepare(nn_call *call)
{
    tiling p = tiling_of(call);
    cuda_operands operands = cuda_operands_of(call);
    if (operands == CUDA_BF16 || !fits(call, &p) || !pays(&p, operands)) return false;
    call->workspace_bytes = N * p.chunk * (p.c + p.o) * sizeof(float);
    if (call->op == NN_CONV2D_WEIGHT_GRAD) {
        call->workspace_bytes += N * p.c * p.o * sizeof(float);
        call->run = run_weight_grad;
    } else {
        call->input_layout[1] = call->op == NN_CONV2D ? CUDA_WINOGRAD_OUT : CUDA_WINOGRAD_IN;
        call->run = run;
    }
    return true;
}

void cuda_winograd_weight(const nn_call *call)
{
    nn_shape w = call->input_shape[0];
    weights v = {};
    v.plain = nn_call_mutable(call, 0);
    v.matrices = call->output[0];
    v.turned = call->output_layout[0] == CUDA_WINOGRAD_IN;
    v.rows = (unsigned)w.dim[v.turned ? NN_IN : NN_OUT];
    v.columns = (unsigned)w.dim[v.turned ? NN_OUT : NN_IN];
    v.in = (unsigned)w.dim[NN_IN];
    cuda_launch_rows(call, transform_weights, v, v.rows, v.columns);
}
