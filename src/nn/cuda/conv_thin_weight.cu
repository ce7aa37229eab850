/* Weight gradients of conv_thin.h: blocks of 64 wide channels at all taps, two groups of threads with four rows of taps
 * each. Eight taps of a row are the columns of a product, 8 thin channels each. Every block has a share of the tiles of 16x8
 * pixels; the shares' sums are added by a second kernel, always in the same order. */
#include "nn/cuda/conv_thin.h"

#include "nn/cuda/launch.h"
#include "nn/cuda/tensor_group.h"

enum {
    TILE_H = 16,
    TILE_W = 8,
    TILE = TILE_H * TILE_W,
    HALO_W = TILE_W + THIN_TAPS - 1,
    WIDE_PLANES = THIN_ROWS / TENSOR_GRANULE,
    PLANE_BYTES = TILE * TENSOR_GRANULE_BYTES,
    GROUPS = 2,
    GROUP_TAPS = 4, /* rows of taps */
    THREADS = GROUPS * TENSOR_GROUP,
    STAGES = 4,
    AHEAD = STAGES - 2,
    ROW = THIN_TAPS * TENSOR_GRANULE /* sums of a row of taps */
};

typedef tensor_group_sums<ROW> row_sums;

struct thin_weighing {
    thin_weight_grad v;
    float *sums;            /* (splits, wide_c, kh, 8, 8) */
    unsigned rows, columns; /* tiles of an image */
    unsigned tiles, share, splits;
    unsigned halo; /* pixels */
    size_t count;  /* of one share's sums */
};

__host__ __device__ static inline unsigned stage_bytes(const thin_weighing &g)
{
    return WIDE_PLANES * PLANE_BYTES + g.halo * TENSOR_GRANULE_BYTES;
}

__device__ static inline tensor_address stage(const thin_weighing &g, unsigned number)
{
    return tensor_shared(CUDA_SHARED()) + number % STAGES * stage_bytes(g);
}

/* A warp for each plane of the wide picture, whose pixels beside the grid are zeros; all threads for the thin one, of which
 * any pixels that there are meet those. */
__device__ static inline void copy_tile(const thin_weighing &g, unsigned number)
{
    tensor_tile at = tensor_tile_at(number, g.rows, g.columns, TILE_H, TILE_W);
    const picture &wide = g.v.wide, &narrow = g.v.thin;
    unsigned lane = threadIdx.x % 32, part = threadIdx.x / 32, channel = blockIdx.x * WIDE_PLANES + part;
    unsigned granules = wide.c / TENSOR_GRANULE, row = at.top + lane / TILE_W, column = at.left + lane % TILE_W;
    const uint4 *first = (const uint4 *)(const void *)wide.data, *from = first;
    from += ((at.image * granules + channel) * wide.h + row + g.v.top) * wide.w + column + g.v.left;
    tensor_address to = stage(g, number) + part * PLANE_BYTES + lane * TENSOR_GRANULE_BYTES;
#pragma unroll
    for (unsigned k = 0; k < TILE / 32; k++) {
        unsigned down = k * (32 / TILE_W);
        bool there = channel < granules && column < g.v.w && row + down < g.v.h;
        tensor_copy(to + k * 32 * TENSOR_GRANULE_BYTES, there ? from + (size_t)down * wide.w : first, !there);
    }
    from = (const uint4 *)(const void *)narrow.data + at.image * narrow.h * narrow.w;
    to = stage(g, number) + WIDE_PLANES * PLANE_BYTES;
    for (unsigned i = threadIdx.x; i < g.halo; i += THREADS) {
        row = at.top + i / HALO_W, column = at.left + i % HALO_W;
        row = row < narrow.h ? row : narrow.h - 1, column = column < narrow.w ? column : narrow.w - 1;
        tensor_copy(to + i * TENSOR_GRANULE_BYTES, from + (size_t)row * narrow.w + column, false);
    }
}

__device__ static inline void multiply_tile(const thin_weighing &g, row_sums *sums, unsigned number)
{
    unsigned first = threadIdx.x / TENSOR_GROUP * GROUP_TAPS;
    tensor_address from = stage(g, number), pixels = from + WIDE_PLANES * PLANE_BYTES;
    tensor_matrix wide = tensor_matrix_at(from, TILE_W * TENSOR_GRANULE_BYTES, PLANE_BYTES);
    tensor_matrix narrow = tensor_matrix_at(pixels + first * HALO_W * TENSOR_GRANULE_BYTES,
                                            HALO_W * TENSOR_GRANULE_BYTES, TENSOR_GRANULE_BYTES);
#pragma unroll 1
    for (unsigned i = 0; i < TILE_H; i += 2) {
        tensor_group_begin();
#pragma unroll
        for (unsigned tap = 0; tap < GROUP_TAPS; tap++) /* rows behind the last are not stored */
            tensor_group_multiply<true>(sums[tap], wide,
                                        tensor_matrix_moved(narrow, tap * HALO_W * TENSOR_GRANULE_BYTES));
        wide = tensor_matrix_moved(wide, 2 * TILE_W * TENSOR_GRANULE_BYTES);
        narrow = tensor_matrix_moved(narrow, 2 * HALO_W * TENSOR_GRANULE_BYTES);
    }
    tensor_group_commit();
}

__device__ static inline void store_sums(const thin_weighing &g, const row_sums *sums)
{
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x % TENSOR_GROUP / 32;
    unsigned first = threadIdx.x / TENSOR_GROUP * GROUP_TAPS;
#pragma unroll
    for (unsigned half = 0; half < 2; half++) {
        unsigned channel = blockIdx.x * THIN_ROWS + warp * 16 + lane / 4 + half * 8;
        if (channel >= g.v.wide_c) continue;
#pragma unroll
        for (unsigned tap = 0; tap < GROUP_TAPS; tap++) {
            if (first + tap >= g.v.kh) continue;
            float *to = g.sums + blockIdx.y * g.count + ((size_t)channel * g.v.kh + first + tap) * ROW + lane % 4 * 2;
#pragma unroll
            for (unsigned j = 0; j < ROW / 8; j++) {
                float2 both = {sums[tap].part[j * 4 + half * 2], sums[tap].part[j * 4 + half * 2 + 1]};
                *(float2 *)(void *)(to + j * 8) = both;
            }
        }
    }
}

/* blockIdx: wide channels, share of the tiles. */
static __global__ void __launch_bounds__(THREADS) weigh_thin(thin_weighing g)
{
    row_sums sums[GROUP_TAPS] = {};
    unsigned begin = blockIdx.y * g.share, end = begin + g.share < g.tiles ? begin + g.share : g.tiles;
    for (unsigned i = begin; i < begin + AHEAD; i++) {
        if (i < end) copy_tile(g, i);
        tensor_commit();
    }
    for (unsigned i = begin; i < end; i++) {
        tensor_wait<AHEAD - 1>();
        tensor_publish();
        __syncthreads();
        multiply_tile(g, sums, i);
        if (i + AHEAD < end) copy_tile(g, i + AHEAD);
        tensor_commit();
        tensor_group_wait<1>();
    }
    tensor_group_wait<0>();
    store_sums(g, sums);
}

enum { ADD_COLUMNS = 32, ADD_DEEP = 8 };

/* Four sums of all shares a thread: rows of threads take every eighth share, and then their sums are added. */
static __global__ void add_shares(thin_weighing g)
{
    __shared__ float4 part[ADD_DEEP][ADD_COLUMNS];
    size_t at = blockIdx.x * (size_t)ADD_COLUMNS + threadIdx.x;
    float4 sum = {0, 0, 0, 0};
    if (at < g.count / 4) {
        const float4 *from = (const float4 *)(const void *)g.sums + at;
#pragma unroll 4
        for (unsigned s = threadIdx.y; s < g.splits; s += ADD_DEEP) {
            float4 more = from[s * (g.count / 4)];
            sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
        }
    }
    part[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || at >= g.count / 4) return;
    for (unsigned i = 1; i < ADD_DEEP; i++) {
        float4 more = part[i][threadIdx.x];
        sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
    }
    ((float4 *)(void *)g.v.sums)[at] = sum;
}

static thin_weighing weighing_of(const nn_call *call, const thin_weight_grad *grad)
{
    thin_weighing g = {};
    g.v = *grad;
    g.rows = (unsigned)cuda_divide_up(grad->h, TILE_H), g.columns = (unsigned)cuda_divide_up(grad->w, TILE_W);
    g.tiles = grad->wide.images * g.rows * g.columns;
    g.halo = (TILE_H + GROUPS * GROUP_TAPS - 1) * HALO_W;
    g.count = (size_t)grad->wide_c * grad->kh * ROW;
    size_t blocks = cuda_divide_up(grad->wide_c, THIN_ROWS), places = cuda_of(call)->multiprocessors;
    size_t splits = blocks < places ? places / blocks : 1;
    g.share = (unsigned)cuda_divide_up(g.tiles, splits < g.tiles ? splits : g.tiles);
    g.splits = (unsigned)cuda_divide_up(g.tiles, g.share);
    return g;
}

size_t thin_weight_grad_workspace(const nn_call *call, const thin_weight_grad *grad)
{
    thin_weighing g = weighing_of(call, grad);
    return g.splits > 1 ? g.splits * g.count * sizeof(float) : 0;
}

void thin_weight_grad_run(const nn_call *call, const thin_weight_grad *grad)
{
    thin_weighing g = weighing_of(call, grad);
    g.sums = g.splits > 1 ? (float *)call->workspace : grad->sums;
    cuda_launch_shared(call, weigh_thin, g, dim3((unsigned)cuda_divide_up(grad->wide_c, THIN_ROWS), g.splits), dim3(THREADS),
                       STAGES * (size_t)stage_bytes(g) + TENSOR_GROUP_SLACK);
    if (g.splits > 1)
        cuda_launch(call, CUDA_TOGETHER, add_shares, g, dim3((unsigned)cuda_divide_up(g.count / 4, ADD_COLUMNS)),
                    dim3(ADD_COLUMNS, ADD_DEEP));
}
