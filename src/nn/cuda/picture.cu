/* See picture.h. A thread moves a granule: 16 bytes of a picture. */
#include "nn/cuda/picture.h"

#include "nn/cuda/launch.h"
#include "nn/cuda/tensor.h"

enum { PICTURE_LAYOUT = 1 << 16, REFLECT_BIT = 1 << 8, PLANES_BIT = 1 << 9, BORDER_BITS = 4 };

nn_layout picture_layout(picture_border b, picture_order order)
{
    return PICTURE_LAYOUT | (unsigned)order * PLANES_BIT | (unsigned)b.reflect * REFLECT_BIT | b.top << BORDER_BITS | b.left;
}

bool is_picture_layout(nn_layout layout) { return layout >> 16 == 1; }

static picture_border border_of(nn_layout layout)
{
    picture_border b = {layout >> BORDER_BITS & PICTURE_MOST_BORDER, layout & PICTURE_MOST_BORDER,
                        (layout & REFLECT_BIT) != 0};
    return b;
}

static picture describe(nn_layout layout, nn_shape shape, const void *data)
{
    picture_border b = border_of(layout);
    picture p = {(const __nv_bfloat16 *)data, (unsigned)shape.dim[NN_N], (unsigned)shape.dim[NN_H] + 2 * b.top,
                 (unsigned)shape.dim[NN_W] + 2 * b.left, (unsigned)cuda_padded(shape.dim[NN_C])};
    return p;
}

size_t picture_bytes(nn_layout layout, nn_shape shape)
{
    picture p = describe(layout, shape, NULL);
    return (size_t)p.images * p.h * p.w * p.c * sizeof *p.data;
}

picture picture_of(const nn_call *call, size_t number)
{
    return describe(call->input_layout[number], call->input_shape[number], call->input[number]);
}

/* Eight numbers. */
struct granule {
    uint4 bits;
};

struct bordering {
    const float *from;
    granule *to;
    unsigned source_h, source_w, c; /* of the plain picture */
    unsigned h, w, granules;        /* with the border; granules of a pixel */
    picture_border border;
};

/* The plain picture's row or column, or -1 where a border has zeros. */
__device__ static inline int source_place(const bordering &b, unsigned at, unsigned border, unsigned size)
{
    int place = (int)at - (int)border;
    if (place >= 0 && place < (int)size) return place;
    return !b.border.reflect ? -1 : place < 0 ? -place : 2 * ((int)size - 1) - place;
}

/* Granule `number` of column j; from: the plain row, or NULL for zeros. wide: channels come in whole granules, so loads are
 * of 16 bytes. */
template <bool wide>
__device__ static inline granule bordered(const bordering &b, const float *from, unsigned j, unsigned number)
{
    unsigned channel = number * TENSOR_GRANULE;
    int column = source_place(b, j, b.border.left, b.source_w);
    float v[TENSOR_GRANULE] = {};
    if (from && column >= 0) {
        const float *at = from + (size_t)(unsigned)column * b.c + channel;
        if (wide) {
            const float4 *four = (const float4 *)(const void *)at;
            float4 low = four[0], high = four[1];
            v[0] = low.x, v[1] = low.y, v[2] = low.z, v[3] = low.w;
            v[4] = high.x, v[5] = high.y, v[6] = high.z, v[7] = high.w;
        } else {
#pragma unroll
            for (unsigned k = 0; k < TENSOR_GRANULE; k++)
                if (channel + k < b.c) v[k] = at[k];
        }
    }
    granule g = {{tensor_pair(v[0], v[1]), tensor_pair(v[2], v[3]), tensor_pair(v[4], v[5]), tensor_pair(v[6], v[7])}};
    return g;
}

/* blockIdx.x: a row with its border. In order of planes eight neighbouring threads take neighbouring columns, which lie
 * beside one another in the result and are 32 bytes each of the plain row. */
template <bool wide, bool planes> static __global__ void add_border(bordering b)
{
    unsigned i = blockIdx.x % b.h, image = blockIdx.x / b.h;
    int row = source_place(b, i, b.border.top, b.source_h);
    const float *from = row < 0 ? NULL : b.from + ((size_t)image * b.source_h + (unsigned)row) * b.source_w * b.c;
    if (!planes) {
        granule *to = b.to + (size_t)blockIdx.x * b.w * b.granules;
        for (unsigned e = cuda_row_first(), end = cuda_row_end(b.w * b.granules); e < end; e += CUDA_BLOCK)
            to[e] = bordered<wide>(b, from, e / b.granules, e % b.granules);
        return;
    }
    enum { COLUMNS = 8 };
    granule *to = b.to + ((size_t)image * b.granules * b.h + i) * b.w;
    unsigned columns = (b.w + COLUMNS - 1) / COLUMNS * COLUMNS;
    for (unsigned e = cuda_row_first(), end = cuda_row_end(columns * b.granules); e < end; e += CUDA_BLOCK) {
        unsigned part = e / (COLUMNS * b.granules), rest = e - part * COLUMNS * b.granules;
        unsigned number = rest / COLUMNS, j = part * COLUMNS + rest % COLUMNS;
        if (j < b.w) to[(size_t)number * b.h * b.w + j] = bordered<wide>(b, from, j, number);
    }
}

void picture_reorder(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    picture p = describe(call->output_layout[0], s, call->output[0]);
    bordering b = {};
    b.from = call->input[0];
    b.to = (granule *)(void *)call->output[0];
    b.source_h = (unsigned)s.dim[NN_H], b.source_w = (unsigned)s.dim[NN_W], b.c = (unsigned)s.dim[NN_C];
    b.h = p.h, b.w = p.w, b.granules = p.c / TENSOR_GRANULE;
    b.border = border_of(call->output_layout[0]);
    bool wide = b.c % TENSOR_GRANULE == 0, planes = (call->output_layout[0] & PLANES_BIT) != 0;
    if (planes)
        cuda_launch_rows(call, wide ? add_border<true, true> : add_border<false, true>, b, (size_t)p.images * p.h,
                         ((size_t)b.w + 7) / 8 * 8 * b.granules);
    else
        cuda_launch_rows(call, wide ? add_border<true, false> : add_border<false, false>, b, (size_t)p.images * p.h,
                         (size_t)b.w * b.granules);
}

enum { GATHER_PIXELS = 8, GATHER_GRANULES = 1024 };

struct picture_gathering {
    picture p;
    picture_grid grid;
    granule *rows;
    unsigned granules, row; /* of a pixel, of a row */
    size_t first, count;
};

/* Granules from a pixel's first tap to granule k of its row. */
__device__ static inline unsigned tap_offset(const picture_gathering &g, unsigned k)
{
    unsigned tap = k / g.granules, a, b;
    if (g.grid.backwards) tap = g.grid.kh * g.grid.kw - 1 - tap;
    a = tap / g.grid.kw, b = tap % g.grid.kw;
    return (a * g.p.w + b) * g.granules + k % g.granules;
}

__device__ static inline size_t first_tap(const picture_gathering &g, size_t pixel)
{
    size_t line = pixel / g.grid.w, image = line / g.grid.h;
    size_t i = line % g.grid.h * g.grid.stride + g.grid.top, j = pixel % g.grid.w * g.grid.stride + g.grid.left;
    return ((image * g.p.h + i) * g.p.w + j) * g.granules;
}

/* blockIdx.x: GATHER_PIXELS pixels; blockIdx.y: GATHER_GRANULES of their rows. */
static __global__ void gather_granules(picture_gathering g)
{
    __shared__ unsigned offset[GATHER_GRANULES];
    __shared__ size_t start[GATHER_PIXELS];
    unsigned begin = blockIdx.y * GATHER_GRANULES, end = begin + GATHER_GRANULES;
    size_t pixel = (size_t)blockIdx.x * GATHER_PIXELS;
    unsigned pixels = g.count - pixel < GATHER_PIXELS ? (unsigned)(g.count - pixel) : (unsigned)GATHER_PIXELS;
    if (end > g.row) end = g.row;
    const unsigned part = end - begin;
    for (unsigned k = threadIdx.x; k < part; k += CUDA_BLOCK) offset[k] = tap_offset(g, begin + k);
    if (threadIdx.x < pixels) start[threadIdx.x] = first_tap(g, g.first + pixel + threadIdx.x);
    __syncthreads();
    const granule *from = (const granule *)(const void *)g.p.data;
    granule *to = g.rows + pixel * g.row + begin;
    unsigned n = threadIdx.x / part, k = threadIdx.x % part;
    for (; n < pixels;) {
        to[(size_t)n * g.row + k] = from[start[n] + offset[k]];
        for (k += CUDA_BLOCK; k >= part; k -= part) n++;
    }
}

void picture_gather(const nn_call *call, const picture *p, const picture_grid *grid, size_t first, size_t count,
                    void *rows)
{
    unsigned granules = p->c / TENSOR_GRANULE;
    picture_gathering g = {*p, *grid, (granule *)rows, granules, grid->kh * grid->kw * granules, first, count};
    cuda_launch(call, CUDA_TOGETHER, gather_granules, g,
                dim3((unsigned)cuda_divide_up(count, GATHER_PIXELS),
                     (unsigned)cuda_divide_up(g.row, GATHER_GRANULES)),
                dim3(CUDA_BLOCK));
}
