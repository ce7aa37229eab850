/* Moments of a convolution's result for the instance norm behind it, (images, parts, 3, c): of each part of an image's pixels
 * how many there are, their mean, and the sum of squares about it; zeros of a part without pixels. A part is what one block
 * has of an image, and the values are those that it stores: where these are in bf16, the rounded ones.
 *
 * For blocks of eight warps, which have 16 pixels by 64 channels at a time in shared memory (conv_result.h): a thread has two
 * channels. Squares are summed about the mean of those pixels; what follows, and warps, are put together as Chan, Golub and
 * LeVeque (1983) do, in an order that is always the same. Nowhere is anything E[x^2] - mean^2.
 */
#ifndef NN_CUDA_CONV_MOMENTS_H
#define NN_CUDA_CONV_MOMENTS_H

#include "nn/cuda/conv_tensor.h"

enum { MOMENTS_WARPS = 8, MOMENTS_CHANNELS = 64, MOMENTS_ROWS = 16 };

/* What the warps of a block leave each other, in shared memory. */
struct alignas(16) conv_moments_shared {
    float count[MOMENTS_WARPS];
    float mean[MOMENTS_WARPS][MOMENTS_CHANNELS], squares[MOMENTS_WARPS][MOMENTS_CHANNELS];
};

/* Of a thread's two channels. */
struct conv_moments {
    float count;
    float2 mean, squares;
};

/* Of the rows whose bit in `exists` is one, all of them or not. x: the thread's values; base: one of them: of equal ones the
 * mean is exact. */
template <bool all>
__device__ static inline conv_moments moments_about(const float2 (&x)[MOMENTS_ROWS], unsigned exists, float2 base)
{
    conv_moments m = {};
    m.count = (float)__popc(exists);
    float2 sum = {};
#pragma unroll
    for (unsigned r = 0; r < MOMENTS_ROWS; r++)
        if (all || (exists >> r & 1)) sum.x += x[r].x - base.x, sum.y += x[r].y - base.y;
    const float share = 1 / m.count;
    m.mean.x = base.x + sum.x * share, m.mean.y = base.y + sum.y * share;
#pragma unroll
    for (unsigned r = 0; r < MOMENTS_ROWS; r++) {
        const float2 off = {x[r].x - m.mean.x, x[r].y - m.mean.y};
        if (all || (exists >> r & 1)) m.squares.x += off.x * off.x, m.squares.y += off.y * off.y;
    }
    return m;
}

/* m: of those of both. */
__device__ static inline void moments_merge(conv_moments &m, const conv_moments &other)
{
    const float both = m.count + other.count, share = both > 0 ? other.count / both : 0, weight = m.count * share;
    const float2 difference = {other.mean.x - m.mean.x, other.mean.y - m.mean.y};
    m.mean.x += difference.x * share, m.mean.y += difference.y * share;
    m.squares.x += other.squares.x + difference.x * difference.x * weight;
    m.squares.y += other.squares.y + difference.y * difference.y * weight;
    m.count = both;
}

__device__ static inline void moments_leave(const conv_moments &m, conv_moments_shared &shared)
{
    const unsigned warp = threadIdx.x / 32 % MOMENTS_WARPS, lane = threadIdx.x % 32;
    if (lane == 0) shared.count[warp] = m.count;
    *(float2 *)(void *)&shared.mean[warp][lane * 2] = m.mean;
    *(float2 *)(void *)&shared.squares[warp][lane * 2] = m.squares;
}

/* By MOMENTS_CHANNELS threads, of a channel each (`own` of the block's), when all warps have left theirs. part: of all images
 * in one count. */
__device__ static inline void moments_store(const tensor_conv &v, const conv_moments_shared &shared, unsigned first,
                                            unsigned own, size_t part)
{
    const float base = shared.mean[0][own];
    float count = 0, mean = 0, squares = 0;
    if (first + own >= v.c) return;
#pragma unroll
    for (unsigned warp = 0; warp < MOMENTS_WARPS; warp++) {
        count += shared.count[warp];
        mean += shared.count[warp] * (shared.mean[warp][own] - base);
    }
    mean = base + (count > 0 ? mean / count : 0);
#pragma unroll
    for (unsigned warp = 0; warp < MOMENTS_WARPS; warp++) {
        const float difference = shared.mean[warp][own] - mean;
        squares += shared.squares[warp][own] + shared.count[warp] * (difference * difference);
    }
    float *to = v.moments + part * 3 * v.c + first + own;
    to[0] = count, to[v.c] = mean, to[2 * v.c] = squares;
}

#endif
