/* See picture.h. A thread moves a granule: 16 bytes of a picture. */
#include "nn/cuda/picture_frame.h"

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

picture_frame picture_frame_of(const nn_call *call)
{
    nn_layout layout = call->output_layout[0];
    nn_shape s = call->output_shape[0];
    picture p = describe(layout, s, NULL);
    picture_frame f = {};
    f.to = (granule *)(void *)call->output[0];
    f.source_h = (unsigned)s.dim[NN_H], f.source_w = (unsigned)s.dim[NN_W], f.c = (unsigned)s.dim[NN_C];
    f.h = p.h, f.w = p.w, f.granules = p.c / TENSOR_GRANULE;
    f.border = border_of(layout);
    f.planes = (layout & PLANES_BIT) != 0;
    return f;
}

struct bordering {
    picture_frame f;
    const float *from;
};

/* Granule `number` of column j; from: the plain row, or NULL for zeros. wide: channels come in whole granules. */
template <bool wide>
__device__ static inline granule bordered(const picture_frame &f, const float *from, unsigned j, unsigned number)
{
    unsigned channel = number * TENSOR_GRANULE;
    int column = picture_source(f, j, f.border.left, f.source_w);
    cuda_few<TENSOR_GRANULE> few = {};
    if (from && column >= 0) few = granule_load<wide>(from + (size_t)(unsigned)column * f.c + channel, f.c - channel);
    return granule_of(few);
}

/* blockIdx.x: a row with its border. In order of planes eight neighbouring threads take neighbouring columns, which lie
 * beside one another in the result and are 32 bytes each of the plain row. */
template <bool wide, bool planes> static __global__ void add_border(bordering b)
{
    const picture_frame &f = b.f;
    unsigned i = blockIdx.x % f.h, image = blockIdx.x / f.h;
    int row = picture_source(f, i, f.border.top, f.source_h);
    const float *from = row < 0 ? NULL : b.from + ((size_t)image * f.source_h + (unsigned)row) * f.source_w * f.c;
    if (!planes) {
        granule *to = f.to + (size_t)blockIdx.x * f.w * f.granules;
        for (unsigned e = cuda_row_first(), end = cuda_row_end(f.w * f.granules); e < end; e += CUDA_BLOCK)
            to[e] = bordered<wide>(f, from, e / f.granules, e % f.granules);
        return;
    }
    enum { COLUMNS = 8 };
    granule *to = f.to + ((size_t)image * f.granules * f.h + i) * f.w;
    unsigned columns = (f.w + COLUMNS - 1) / COLUMNS * COLUMNS;
    for (unsigned e = cuda_row_first(), end = cuda_row_end(columns * f.granules); e < end; e += CUDA_BLOCK) {
        unsigned part = e / (COLUMNS * f.granules), rest = e - part * COLUMNS * f.granules;
        unsigned number = rest / COLUMNS, j = part * COLUMNS + rest % COLUMNS;
        if (j < f.w) to[(size_t)number * f.h * f.w + j] = bordered<wide>(f, from, j, number);
    }
}

void picture_reorder(const nn_call *call)
{
    bordering b = {picture_frame_of(call), call->input[0]};
    const picture_frame &f = b.f;
    size_t rows = call->input_shape[0].dim[NN_N] * f.h;
    bool wide = f.c % TENSOR_GRANULE == 0;
    if (f.planes)
        cuda_launch_rows(call, wide ? add_border<true, true> : add_border<false, true>, b, rows,
                         ((size_t)f.w + 7) / 8 * 8 * f.granules);
    else
        cuda_launch_rows(call, wide ? add_border<true, false> : add_border<false, false>, b, rows,
                         (size_t)f.w * f.granules);
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
