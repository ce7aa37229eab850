/* See conv_thin.h. A block keeps the weight of 64 channels in shared memory and goes through tiles of 16x8 pixels, two groups
 * of threads with 8x8 each; the pixels of the next tile are copied beside the products of this one. A norm behind it gets
 * moments of each tile (conv_moments.h). */
#include "nn/cuda/conv_thin.h"

#include "nn/cuda/conv_moments.h"
#include "nn/cuda/conv_result.h"
#include "nn/cuda/launch.h"

enum {
    TILE_H = 16,
    TILE_W = 8,
    HALO_W = TILE_W + THIN_TAPS - 1,
    GROUPS = 2,
    THREADS = GROUPS * TENSOR_GROUP,
    PLANE_BYTES = THIN_ROWS * TENSOR_GRANULE_BYTES,
    MOST_KERNEL = 8, /* rows of taps */
    LEAST_WIDE = 32
};

static_assert(THREADS / 32 == MOMENTS_WARPS && (int)THIN_ROWS == MOMENTS_CHANNELS && (int)TILE_W * 2 == RESULT_ROWS);

struct thin {
    tensor_conv v;
    unsigned rows, columns, tiles; /* tiles of an image in both directions, and of all images */
    unsigned halo;                 /* pixels */
    unsigned bias_at, result_at, moments_at; /* bytes of shared memory before them */
};

__device__ static inline void copy_weight(const thin &t, tensor_address to)
{
    unsigned count = t.v.kh * THIN_TAPS * THIN_ROWS;
    const uint4 *from = (const uint4 *)t.v.weight + (size_t)blockIdx.y * count;
    for (unsigned i = threadIdx.x; i < count; i += THREADS) tensor_copy(to + i * TENSOR_GRANULE_BYTES, from + i, false);
}

__device__ static inline void copy_pixels(const thin &t, tensor_address to, unsigned number)
{
    const picture &p = t.v.p;
    tensor_tile at = tensor_tile_at(number, t.rows, t.columns, TILE_H, TILE_W);
    const uint4 *from = (const uint4 *)(const void *)p.data + at.image * p.h * p.w;
    for (unsigned i = threadIdx.x; i < t.halo; i += THREADS) {
        unsigned row = at.top + i / HALO_W, column = at.left + i % HALO_W;
        bool there = row < p.h && column < p.w;
        tensor_copy(to + i * TENSOR_GRANULE_BYTES, there ? from + (size_t)row * p.w + column : from, !there);
    }
}

typedef tensor_group_sums<THIN_ROWS> sums_of_tile[1];

__device__ static inline void multiply(const thin &t, tensor_group_sums<THIN_ROWS> &sums, tensor_address pixels,
                                       tensor_address weights)
{
    unsigned group = threadIdx.x / TENSOR_GROUP;
    tensor_matrix a = tensor_matrix_at(pixels + group * (TILE_H / GROUPS) * HALO_W * TENSOR_GRANULE_BYTES,
                                       TENSOR_GRANULE_BYTES, HALO_W * TENSOR_GRANULE_BYTES);
    tensor_matrix b = tensor_matrix_at(weights, PLANE_BYTES, 8 * TENSOR_GRANULE_BYTES);
#pragma unroll 1
    for (unsigned row = 0; row < t.v.kh; row++) {
        tensor_group_begin();
#pragma unroll
        for (unsigned k = 0; k < THIN_TAPS; k += 2)
            tensor_group_multiply<false>(sums, tensor_matrix_moved(a, k * TENSOR_GRANULE_BYTES),
                                         tensor_matrix_moved(b, k * PLANE_BYTES));
        a = tensor_matrix_moved(a, HALO_W * TENSOR_GRANULE_BYTES);
        b = tensor_matrix_moved(b, THIN_TAPS * PLANE_BYTES);
    }
    tensor_group_commit();
}

typedef tensor_group_sums<THIN_ROWS> sums_of_tile[1];

/* Of a tile: which pixels a warp's rows are (conv_result.h). */
struct thin_place {
    const tensor_conv &v;
    size_t image;
    unsigned top, left; /* the warp's first */

    __device__ bool find(unsigned, unsigned k, size_t *pixel) const
    {
        const unsigned row = top + k / TILE_W, column = left + k % TILE_W;
        *pixel = (image * v.h + row) * v.w + column;
        return row < v.h && column < v.w;
    }
};

template <bool moments>
__device__ static inline void finish(const thin &t, const sums_of_tile &sums, unsigned number)
{
    const unsigned first = blockIdx.y * THIN_ROWS, warp = tensor_warp(), bytes = result_bytes(t.v.halves);
    const tensor_tile at = tensor_tile_at(number, t.rows, t.columns, TILE_H, TILE_W);
    const thin_place place = {t.v, at.image, at.top + warp * 2, at.left};
    const float *bias = (const float *)(const void *)(CUDA_SHARED() + t.bias_at);
    conv_moments_shared *shared = (conv_moments_shared *)(void *)(CUDA_SHARED() + t.moments_at);
    result_finish<moments>(place, t.v, sums, bias, first, CUDA_SHARED() + t.result_at + warp * bytes, shared);
    if (!moments) return;
    __syncthreads();
    if (threadIdx.x < MOMENTS_CHANNELS) moments_store(t.v, *shared, first, threadIdx.x, number);
}

/* blockIdx.x: the first of this block's tiles; blockIdx.y: 64 channels of the result. moments: of the result are wanted. */
template <bool moments> static __global__ void __launch_bounds__(THREADS, 2) convolve_thin(thin t)
{
    tensor_address weights = tensor_shared(CUDA_SHARED()), pixels = weights + t.v.kh * THIN_TAPS * PLANE_BYTES;
    unsigned halo_bytes = t.halo * TENSOR_GRANULE_BYTES, turn = 0;
    cuda_wait_for_others();
    copy_weight(t, weights);
    copy_pixels(t, pixels, blockIdx.x);
    tensor_commit();
    result_bring_bias<THIN_ROWS>(t.v, blockIdx.y * THIN_ROWS, (float *)(void *)(CUDA_SHARED() + t.bias_at), threadIdx.x, THREADS);
    for (unsigned number = blockIdx.x; number < t.tiles; number += gridDim.x, turn ^= 1) {
        tensor_wait<0>();
        tensor_publish();
        __syncthreads();
        sums_of_tile sums = {};
        multiply(t, sums[0], pixels + turn * halo_bytes, weights);
        if (number + gridDim.x < t.tiles) copy_pixels(t, pixels + (turn ^ 1) * halo_bytes, number + gridDim.x);
        tensor_commit();
        tensor_group_wait<0>();
        finish<moments>(t, sums, number);
    }
}

bool thin_suits(const nn_call *call, size_t thin_c, size_t wide_c, size_t kh, size_t kw)
{
    return tensor_by_groups(call) && thin_c <= TENSOR_GRANULE && wide_c >= LEAST_WIDE && kh <= MOST_KERNEL &&
           kw <= THIN_TAPS;
}

static thin plan_of(const tensor_conv *conv)
{
    thin t = {};
    t.v = *conv;
    t.rows = (unsigned)cuda_divide_up(conv->h, TILE_H), t.columns = (unsigned)cuda_divide_up(conv->w, TILE_W);
    t.tiles = conv->p.images * t.rows * t.columns;
    t.halo = (TILE_H + conv->kh - 1) * HALO_W;
    t.bias_at = conv->kh * THIN_TAPS * PLANE_BYTES + 2 * t.halo * TENSOR_GRANULE_BYTES;
    t.result_at = t.bias_at + THIN_ROWS * (unsigned)sizeof(float);
    t.moments_at = t.result_at + THREADS / 32 * result_bytes(t.v.halves);
    return t;
}

size_t thin_conv_parts(const tensor_conv *conv)
{
    const thin t = plan_of(conv);
    return (size_t)t.rows * t.columns;
}

void thin_conv_run(const nn_call *call, const tensor_conv *conv)
{
    const thin t = plan_of(conv);
    const size_t behind = conv->moments ? sizeof(conv_moments_shared) : 0, slack = TENSOR_GROUP_SLACK;
    const size_t shared = t.moments_at + (behind > slack ? behind : slack);
    unsigned blocks = 2 * (unsigned)cuda_of(call)->multiprocessors; /* of one, two fit */
    cuda_launch_early(call, conv->moments ? convolve_thin<true> : convolve_thin<false>, t,
                       dim3(t.tiles < blocks ? t.tiles : blocks, (unsigned)cuda_divide_up(conv->c, THIN_ROWS)),
                       dim3(THREADS), shared);
}
