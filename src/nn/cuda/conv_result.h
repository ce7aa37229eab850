/* What becomes of a convolution's sums by groups (tensor_group.h): they get the bias and are stored, 16 bytes at once.
 *
 * A thread has a pair of neighbouring channels of each granule. Stored as they lie, they are instructions of 4 bytes whose
 * warps write to eight lines at once; and a bias that is loaded for each of them, and that y might overlap, comes when the store
 * before is done. That took longer than the products of a block that has few (H200, 7x7 taps of 3 channels). So four lanes
 * exchange their pairs for whole granules first.
 */
#ifndef NN_CUDA_CONV_RESULT_H
#define NN_CUDA_CONV_RESULT_H

#include "nn/cuda/conv_tensor.h"
#include "nn/cuda/tensor_group.h"

enum { RESULT_CHANNELS = 64 }; /* that are stored together */

/* The bias of a block's channels, zeros where there is none, to shared memory: by `count` threads, of which this is number i. */
template <int columns>
__device__ static inline void result_bring_bias(const tensor_conv &v, unsigned first, float *shared, unsigned i, unsigned count)
{
    for (; i < columns; i += count) shared[i] = v.bias && first + i < v.c ? v.bias[first + i] : 0;
}

/* Not before the products: sums that begin with something else than zeros make the compiler wait for each of these. */
template <int columns> __device__ static inline void result_add_bias(tensor_group_sums<columns> &sums, const float *shared)
{
#pragma unroll
    for (unsigned i = 0; i < columns / 2; i += 4) {
        const float2 bias = *(const float2 *)(const void *)(shared + i * 2 + threadIdx.x % 4 * 2);
        sums.part[i] += bias.x, sums.part[i + 1] += bias.y;
        sums.part[i + 2] += bias.x, sums.part[i + 3] += bias.y;
    }
}

/* Of two lanes that `apart` tells from one another the first one gets both `a`, the second one both `b`, the first one's first. */
__device__ static inline void result_exchange(uint32_t &a, uint32_t &b, unsigned apart)
{
    const bool second = threadIdx.x & apart;
    const uint32_t other = __shfl_xor_sync(0xFFFFFFFF, second ? a : b, apart);
    second ? a = other : b = other;
}

/* Of one pixel: granule number lane % 4 of each four, in bf16. */
template <unsigned half>
__device__ static inline void result_store_halves(const tensor_conv &v, const float *sums, unsigned first, size_t pixel,
                                                  bool exists)
{
#pragma unroll
    for (unsigned j = 0; j < RESULT_CHANNELS / 8; j += 4) {
        uint32_t pair[4];
#pragma unroll
        for (unsigned k = 0; k < 4; k++) {
            const float *own = sums + (j + k) * 4 + half * 2;
            pair[k] = tensor_pair(own[0], own[1]);
        }
        result_exchange(pair[0], pair[1], 1), result_exchange(pair[2], pair[3], 1);
        result_exchange(pair[0], pair[2], 2), result_exchange(pair[1], pair[3], 2);
        const unsigned channel = first + (j + threadIdx.x % 4) * 8;
        const uint4 granule = {pair[0], pair[1], pair[2], pair[3]};
        if (exists && channel < v.c) *(uint4 *)(void *)((uint16_t *)(void *)v.y + pixel * v.c + channel) = granule;
    }
}

/* The same in floats: half of granule number lane % 2 of each two. */
template <unsigned half>
__device__ static inline void result_store_floats(const tensor_conv &v, const float *sums, unsigned first, size_t pixel,
                                                  bool exists)
{
#pragma unroll
    for (unsigned j = 0; j < RESULT_CHANNELS / 8; j += 2) {
        uint32_t own[2][2];
#pragma unroll
        for (unsigned k = 0; k < 4; k++) own[k / 2][k % 2] = __float_as_uint(sums[(j + k / 2) * 4 + half * 2 + k % 2]);
        result_exchange(own[0][0], own[1][0], 1), result_exchange(own[0][1], own[1][1], 1);
        const unsigned lane = threadIdx.x % 4, channel = first + (j + lane % 2) * 8 + lane / 2 * 4;
        const uint4 four = {own[0][0], own[0][1], own[1][0], own[1][1]};
        if (exists && channel < v.c) *(uint4 *)(void *)(v.y + pixel * v.c + channel) = four;
    }
}

template <unsigned half>
__device__ static inline void result_store_half(const tensor_conv &v, const float *sums, unsigned first, size_t pixel, bool exists)
{
    if (v.c % 8 == 0) {
        if (v.halves)
            result_store_halves<half>(v, sums, first, pixel, exists);
        else
            result_store_floats<half>(v, sums, first, pixel, exists);
        return;
    }
    if (!exists) return;
#pragma unroll
    for (unsigned j = 0; j < RESULT_CHANNELS / 8; j++) {
        const float *own = sums + j * 4 + half * 2;
        tensor_store_pair(v, pixel, first + j * 8 + threadIdx.x % 4 * 2, own[0], own[1]);
    }
}

/* A thread's two pixels, where they exist, at 64 channels from `first` on. All threads of a warp. sums: of tensor_group_sums,
 * from those of the first of these channels on. */
__device__ static inline void result_store(const tensor_conv &v, const float *sums, unsigned first, const size_t (&pixel)[2],
                                           const bool (&exists)[2])
{
    result_store_half<0>(v, sums, first, pixel[0], exists[0]);
    result_store_half<1>(v, sums, first, pixel[1], exists[1]);
}

#endif
