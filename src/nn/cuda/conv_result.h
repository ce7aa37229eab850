/* What becomes of a convolution's sums by groups (tensor_group.h): they get the bias, are stored, and a norm behind it gets
 * their moments (conv_moments.h).
 *
 * A thread has pairs of channels of many pixels, so a warp that stored them as they lie would write four bytes here and there.
 * So the sums of 16 pixels and 64 channels go to shared memory, and from there to y in whole lines. Nearly all of it is a loop
 * over such slices, of which there are up to four: code for each sum was 100 KB long, ran once for each block, and waited for
 * instructions most of the time. With a load of the bias in front of each store it took 16 of the 40 us that a block of
 * 256 pixels and 128 channels had (H200).
 */
#ifndef NN_CUDA_CONV_RESULT_H
#define NN_CUDA_CONV_RESULT_H

#include "nn/cuda/conv_moments.h"
#include "nn/cuda/conv_tensor.h"
#include "nn/cuda/tensor_group.h"

enum {
    RESULT_CHANNELS = MOMENTS_CHANNELS, /* of a slice */
    RESULT_ROWS = MOMENTS_ROWS,         /* its pixels */
    RESULT_STEP = RESULT_CHANNELS + 8   /* numbers from row to row, so that neither stores nor loads meet in a bank */
};

/* Of shared memory, of a warp. */
__host__ __device__ static inline unsigned result_bytes(bool halves)
{
    return RESULT_ROWS * RESULT_STEP * (unsigned)(halves ? sizeof(uint16_t) : sizeof(float));
}

/* The bias of a block's channels, zeros where there is none, to shared memory: by `count` threads, of which this is number i. */
template <int columns>
__device__ static inline void result_bring_bias(const tensor_conv &v, unsigned first, float *shared, unsigned i, unsigned count)
{
    for (; i < columns; i += count) shared[i] = tensor_bias(v, first + i);
}

/* Number `wanted` of the slices: parts first, then columns. Each number of each is looked at, since registers have no
 * addresses: of branches that take one the compiler makes a pointer, and sums would go to memory. */
template <int columns, unsigned parts>
__device__ static inline void result_take(const tensor_group_sums<columns> (&sums)[parts], unsigned wanted,
                                          tensor_group_sums<RESULT_CHANNELS> &slice)
{
    enum { SLICE = RESULT_CHANNELS / 2 };
    slice = {};
#pragma unroll
    for (unsigned s = 0; s < columns / RESULT_CHANNELS * parts; s++)
#pragma unroll
        for (unsigned i = 0; i < SLICE; i++) {
            const float number = sums[s % parts].part[s / parts * SLICE + i];
            slice.part[i] = s == wanted ? number : slice.part[i];
        }
}

/* To a warp's shared memory. Not before the products are done does anything but these touch sums: the compiler would wait for
 * each of them. */
template <bool halves>
__device__ static inline void result_stage(const tensor_group_sums<RESULT_CHANNELS> &slice, const float *bias, unsigned char *to)
{
    enum { PAIRS = RESULT_CHANNELS / 8 };
    const unsigned lane = threadIdx.x % 32;
    float2 b[PAIRS]; /* all of them before anything is stored: for all that is known they could lie there */
#pragma unroll
    for (unsigned j = 0; j < PAIRS; j++) b[j] = *(const float2 *)(const void *)(bias + j * 8 + lane % 4 * 2);
#pragma unroll
    for (unsigned j = 0; j < PAIRS; j++) {
        const unsigned column = j * 8 + lane % 4 * 2;
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            const float2 pair = {slice.part[j * 4 + half * 2] + b[j].x, slice.part[j * 4 + half * 2 + 1] + b[j].y};
            const unsigned at = ((half * 8 + lane / 4) * RESULT_STEP + column) / 2;
            if (halves)
                ((uint32_t *)(void *)to)[at] = tensor_pair(pair.x, pair.y);
            else
                ((float2 *)(void *)to)[at] = pair;
        }
    }
}

/* What the warp's rows are of y: block.find (part, row, &pixel) tells whether row number `row` of part `part` exists. */
template <bool halves, typename B>
__device__ static inline void result_store(const B &block, const tensor_conv &v, unsigned part, unsigned first,
                                           const unsigned char *from)
{
    enum { BYTES = halves ? sizeof(uint16_t) : sizeof(float), FEW = sizeof(uint4) / BYTES, FEWS = RESULT_CHANNELS / FEW };
    unsigned char *y = (unsigned char *)(void *)v.y;
    const bool whole = v.c % FEW == 0 && (uintptr_t)y % sizeof(uint4) == 0; /* blocks have values at any number's place */
    for (unsigned i = threadIdx.x % 32; i < RESULT_ROWS * FEWS; i += 32) {
        const unsigned row = i / FEWS, k = i % FEWS * FEW, channel = first + k;
        size_t pixel;
        if (!block.find(part, row, &pixel) || channel >= v.c) continue;
        const unsigned char *own = from + (row * RESULT_STEP + k) * BYTES;
        unsigned char *to = y + (pixel * v.c + channel) * BYTES;
        if (whole)
            *(uint4 *)(void *)to = *(const uint4 *)(const void *)own;
        else
            for (unsigned e = 0; e < FEW && channel + e < v.c; e++)
                if (halves)
                    ((uint16_t *)(void *)to)[e] = ((const uint16_t *)(const void *)own)[e];
                else
                    ((float *)(void *)to)[e] = ((const float *)(const void *)own)[e];
    }
}

template <bool halves> __device__ static inline float2 result_pair(const unsigned char *from, unsigned row, unsigned lane)
{
    const unsigned at = row * (RESULT_STEP / 2) + lane;
    if (!halves) return ((const float2 *)(const void *)from)[at];
    const uint32_t bits = ((const uint32_t *)(const void *)from)[at];
    return {__uint_as_float(bits << 16), __uint_as_float(bits & 0xFFFF0000)};
}

/* The same rows' moments: a thread's of channels 2 lane and the next. Nearly always all rows exist, and then there is half as
 * much to do. */
template <bool halves, typename B>
__device__ static inline conv_moments result_moments(const B &block, unsigned part, const unsigned char *from)
{
    enum : unsigned { ALL = (1u << RESULT_ROWS) - 1 };
    const unsigned lane = threadIdx.x % 32;
    size_t pixel;
    const unsigned exists = __ballot_sync(0xFFFFFFFF, block.find(part, lane % RESULT_ROWS, &pixel)) & ALL;
    if (exists == 0) return {};
    float2 x[RESULT_ROWS];
#pragma unroll
    for (unsigned r = 0; r < RESULT_ROWS; r++) x[r] = result_pair<halves>(from, r, lane);
    if (exists == ALL) return moments_about<true>(x, exists, x[0]);
    return moments_about<false>(x, exists, result_pair<halves>(from, (unsigned)__ffs((int)exists) - 1, lane));
}

template <bool halves, bool moments, int columns, unsigned parts, typename B>
__device__ static inline void result_slices(const B &block, const tensor_conv &v, const tensor_group_sums<columns> (&sums)[parts],
                                            const float *bias, unsigned first, unsigned char *own, conv_moments_shared *shared)
{
    enum { WIDTH = columns / RESULT_CHANNELS };
#pragma unroll 1
    for (unsigned k = 0; k < WIDTH; k++) {
        conv_moments all = {};
#pragma unroll 1
        for (unsigned p = 0; p < parts; p++) {
            tensor_group_sums<RESULT_CHANNELS> slice;
            result_take(sums, k * parts + p, slice);
            result_stage<halves>(slice, bias + k * RESULT_CHANNELS, own);
            __syncwarp();
            result_store<halves>(block, v, p, first + k * RESULT_CHANNELS, own);
            if (moments) {
                const conv_moments more = result_moments<halves>(block, p, own);
                if (parts > 1)
                    moments_merge(all, more);
                else
                    all = more;
            }
            __syncwarp(); /* before others come in its place */
        }
        if (moments) moments_leave(all, shared[k]);
    }
}

/* A warp's sums, `parts` times 16 pixels, of channels from `first` on. own: result_bytes of shared memory of the warp. moments:
 * are left to the block's other warps, those of 64 channels each in `shared`. All threads of the warp. */
template <bool moments, int columns, unsigned parts, typename B>
__device__ static inline void result_finish(const B &block, const tensor_conv &v, const tensor_group_sums<columns> (&sums)[parts],
                                            const float *bias, unsigned first, unsigned char *own, conv_moments_shared *shared)
{
    if (v.halves)
        result_slices<true, moments>(block, v, sums, bias, first, own, shared);
    else
        result_slices<false, moments>(block, v, sums, bias, first, own, shared);
}

#endif
