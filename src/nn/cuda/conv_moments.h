/* Moments of a convolution's result for the instance norm behind it, (images, parts, 3, c): of each part of an image's pixels
 * how many there are, their mean, and the sum of squares about it; zeros of a part without pixels. A part is what one block
 * has of an image, and the values are those that it stores: where these are in bf16, the rounded ones.
 *
 * For blocks of eight warps with sums of tensor_group.h, each of two rows of eight pixels by 64 channels, or of as many more:
 * a thread has two pixels or more at 16 channels, whose squares are summed about their mean. Lanes and warps are put together
 * as Chan, Golub and LeVeque (1983) do, in an order that is always the same; nowhere is anything E[x^2] - mean^2.
 */
#ifndef NN_CUDA_CONV_MOMENTS_H
#define NN_CUDA_CONV_MOMENTS_H

#include "nn/cuda/conv_tensor.h"
#include "nn/cuda/tensor_group.h"

enum { MOMENTS_WARPS = 8, MOMENTS_CHANNELS = 64, MOMENTS_OWN = 16 /* channels of a thread */ };

/* What the warps of a block leave each other, in shared memory. */
struct alignas(16) conv_moments_shared {
    float count[MOMENTS_WARPS];
    float mean[MOMENTS_WARPS][MOMENTS_CHANNELS], squares[MOMENTS_WARPS][MOMENTS_CHANNELS];
};

/* A thread's: means, and squares about them, of `count` pixels. Value e is of channel
 * e / 2 * 8 + lane % 4 * 2 + e % 2. */
struct conv_moments {
    float count, mean[MOMENTS_OWN], squares[MOMENTS_OWN];
};

__device__ static inline float moments_rounded(float value) { return __bfloat162float(__float2bfloat16(value)); }

/* Of a thread's pixels, two to each of `parts` sums, where they exist, at 64 of the columns from `at` on: as they are stored
 * (conv_result.h). */
template <unsigned at, unsigned parts, int columns>
__device__ static inline void moments_begin(const tensor_conv &v, const tensor_group_sums<columns> (&sums)[parts],
                                            const bool (&exists)[parts][2], conv_moments &m)
{
    m.count = 0;
#pragma unroll
    for (unsigned i = 0; i < 2 * parts; i++) m.count += (float)exists[i / 2][i % 2];
    const float share = m.count > 0 ? 1 / m.count : 0;
#pragma unroll
    for (unsigned e = 0; e < MOMENTS_OWN; e++) {
        float value[2 * parts], base = 0, sum = 0;
#pragma unroll
        for (unsigned i = 2 * parts; i-- > 0;) {
            value[i] = sums[i / 2].part[at / 2 + e / 2 * 4 + i % 2 * 2 + e % 2];
            if (v.halves) value[i] = moments_rounded(value[i]);
            if (exists[i / 2][i % 2]) base = value[i];
        }
        /* About one of them, so that of equal ones the mean is exact. */
#pragma unroll
        for (unsigned i = 0; i < 2 * parts; i++) {
            value[i] = exists[i / 2][i % 2] ? value[i] - base : 0;
            sum += value[i];
        }
        const float shift = sum * share;
        m.mean[e] = base + shift;
        m.squares[e] = 0;
#pragma unroll
        for (unsigned i = 0; i < 2 * parts; i++) {
            const float difference = exists[i / 2][i % 2] ? value[i] - shift : 0;
            m.squares[e] += difference * difference;
        }
    }
}

/* Puts this lane's together with those of the one that `apart` tells from it: each takes half of the channels, the latter the
 * second one. */
template <unsigned half> __device__ static inline void moments_halve(conv_moments &m, unsigned apart)
{
    const bool second = threadIdx.x & apart;
    const float count = __shfl_xor_sync(0xFFFFFFFF, m.count, apart), both = m.count + count;
    const float share = both > 0 ? count / both : 0, weight = m.count * share;
#pragma unroll
    for (unsigned e = 0; e < half; e++) {
        const float mean = __shfl_xor_sync(0xFFFFFFFF, second ? m.mean[e] : m.mean[e + half], apart);
        const float squares = __shfl_xor_sync(0xFFFFFFFF, second ? m.squares[e] : m.squares[e + half], apart);
        const float own = second ? m.mean[e + half] : m.mean[e], difference = mean - own;
        m.squares[e] = (second ? m.squares[e + half] : m.squares[e]) + squares + difference * difference * weight;
        m.mean[e] = own + difference * share;
    }
    m.count = both;
}

/* Of the warp's pixels: a lane gets them of the block's channels 2 lane and 2 lane + 1, as values 0 and 1. */
__device__ static inline void moments_of_warp(conv_moments &m)
{
    moments_halve<8>(m, 16);
    moments_halve<4>(m, 8);
    moments_halve<2>(m, 4);
}

__device__ static inline void moments_leave(const conv_moments &m, conv_moments_shared &shared)
{
    const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (lane == 0) shared.count[warp] = m.count;
    const float2 mean = {m.mean[0], m.mean[1]}, squares = {m.squares[0], m.squares[1]};
    *(float2 *)(void *)&shared.mean[warp][lane * 2] = mean;
    *(float2 *)(void *)&shared.squares[warp][lane * 2] = squares;
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
