/* Convolutions on tensor cores without a matrix between picture and product: bf16 operands, sums in float. */
#ifndef NN_CUDA_CONV_TENSOR_H
#define NN_CUDA_CONV_TENSOR_H

#include "nn/cuda/picture.h"
#include "nn/cuda/tensor.h"

/* Whether the call's device multiplies by groups; pictures are in planes then (of stride 2 by pixels) and weights in blocks,
 * else pictures by pixels and weights in rows of taps. */
static inline bool tensor_by_groups(const nn_call *call) { return cuda_has_groups(cuda_of(call)); }

/* y (images, h, w, c) = sum over taps of the picture's pixel (i + a, j + b) times weight row n at tap (a, b), or at the
 * opposite one, + bias (c), which may be NULL. weight: (c, kh, kw, p.c) of bf16, or in blocks.
 *
 * Of stride 2 (by groups alone) the other way: the data gradient of such a convolution, or a transposed one. At tap (a, b)
 * the picture's pixel is ((i + padding - a) / 2, (j + padding - b) / 2), where both are whole and in the picture. */
typedef struct tensor_conv {
    picture p;
    const void *weight;
    const float *bias;
    float *y;
    bool halves; /* y is in bf16, where it lies */
    unsigned h, w, c, kh, kw, stride;
    unsigned padding; /* of stride 2 */
    bool backwards;   /* of stride 1 */
    float *moments;   /* of y, for a norm: conv_moments.h; NULL: none */
} tensor_conv;

__device__ static inline float tensor_bias(const tensor_conv &v, unsigned channel)
{
    return v.bias && channel < v.c ? v.bias[channel] : 0;
}

/* Stores channels `channel` and the next of pixel number `pixel` of y, where they exist. */
__device__ static inline void tensor_store_pair(const tensor_conv &v, size_t pixel, unsigned channel, float low, float high)
{
    if (channel >= v.c) return;
    const size_t at = pixel * v.c + channel;
    const bool both = channel + 1 < v.c;
    if (v.halves) {
        uint32_t bits = tensor_pair(low, high);
        uint16_t *y = (uint16_t *)(void *)v.y + at;
        if (v.c % 2 == 0) {
            *(uint32_t *)(void *)y = bits;
            return;
        }
        y[0] = (uint16_t)bits;
        if (both) y[1] = (uint16_t)(bits >> 16);
        return;
    }
    float *y = v.y + at;
    if (v.c % 2 == 0 && (uintptr_t)v.y % sizeof(float2) == 0) { /* blocks have values at any number's place */
        float2 numbers = {low, high};
        *(float2 *)(void *)y = numbers;
        return;
    }
    y[0] = low;
    if (both) y[1] = high;
}

/* Tile `number` of all images', which are cut into rows x columns tiles of h x w pixels each: where it is. */
struct tensor_tile {
    size_t image; /* what follows from it may not fit into 32 bits */
    unsigned top, left;
};

__host__ __device__ static inline tensor_tile tensor_tile_at(unsigned number, unsigned rows, unsigned columns, unsigned h, unsigned w)
{
    unsigned per_image = rows * columns, image = number / per_image, at = number - image * per_image;
    tensor_tile t = {image, at / columns * h, at % columns * w};
    return t;
}

/* Whether pictures of so many channels (to so many) by so large a kernel are what this is good for, at stride 1. */
bool tensor_conv_suits(size_t from, size_t to, size_t kh, size_t kw);
/* The same of stride 2: all phases have taps. */
static inline bool tensor_phases_suit(const nn_call *call, size_t from, size_t to, size_t kh, size_t kw)
{
    return tensor_by_groups(call) && kh > 1 && kw > 1 && tensor_conv_suits(from, to, kh, kw);
}
void tensor_conv_run(const nn_call *call, const tensor_conv *conv);
/* The same for devices that have groups: conv_group.cu. */
void tensor_conv_run_grouped(const nn_call *call, const tensor_conv *conv);
/* Of how many parts of an image it gives moments; conv: but for its pointers. */
size_t tensor_conv_parts(const nn_call *call, const tensor_conv *conv);

/* dw (dy's channels, 3, 3, x.c) of float = sum over the h x w pixels (i, j) of every image of
 * dy (i + top, j + left) times x (i + a, j + b). x.c: padded; dy_c: dy's channels without padding. */
typedef struct tensor_weight_grad {
    picture x, dy;
    float *dw;
    unsigned h, w, dy_c, top, left;
} tensor_weight_grad;

bool tensor_weight_grad_suits(size_t x_channels, size_t dy_channels, size_t kh, size_t kw);
size_t tensor_weight_grad_workspace(const nn_call *call, const tensor_weight_grad *grad);
void tensor_weight_grad_run(const nn_call *call, const tensor_weight_grad *grad);

/* Weights in blocks: (rows / 64, other / 64, taps, 8, 64, 8), both padded with zeros: for 64 rows and 64 others at a tap
 * eight planes of granules. NN_REORDER from plain order; bytes. */
size_t weight_blocks_bytes(nn_layout layout, nn_shape weight);
void weight_blocks_reorder(const nn_call *call);
static inline bool is_weight_blocks(nn_layout layout) { return layout == CUDA_OUT_BLOCKS || layout == CUDA_IN_BLOCKS; }

#endif
