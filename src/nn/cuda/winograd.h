/* 3x3 convolutions of stride 1 by Winograd's F(2x2, 3x3) (Lavin and Gray, "Fast algorithms for convolutional neural
 * networks", CVPR 2016): all three directions, on float operands (fp32 or TF32), by 16 products at once.
 *
 *     result tile (2x2) = A^T [ (G g G^T) * (B^T d B) ] A       g: 3x3 of the weight, d: the 4x4 that the tile meets
 *
 * Whether it pays follows from two numbers a pixel, with c channels in and o out:
 *
 *                                      gather (conv2d.cu)    F(2x2)
 *     operations                       18 c o                8 c o
 *     bytes between its kernels        72 c                  32 (c + o)
 *
 * With c = o both are fewer, the operations by 2.25; the residual blocks, 83 % of a step, are such. With o > c the bytes
 * are more, and the operations must make up for them: in fp32 at some 20 operations for a byte of the second-level
 * cache, in TF32 at 130. bf16 has no use for it: its operands halve the gather's bytes to 36 c, but the results of
 * products stay float, so that F(2x2) moves 8 c + 8 c + 16 o + 16 o, more than it saves at 250 operations for a byte;
 * and its rounding doubles.
 *
 * Relative error of a result: fp32 about 5e-7, TF32 about twice that of a single product.
 */
#ifndef NN_CUDA_WINOGRAD_H
#define NN_CUDA_WINOGRAD_H

#include "nn/cuda/cuda.h"

enum { CUDA_WINOGRAD_PRODUCTS = 16 };

static inline bool cuda_is_winograd(nn_layout layout) { return layout == CUDA_WINOGRAD_OUT || layout == CUDA_WINOGRAD_IN; }

/* When it pays for this call (of one of the three convolutions): prepares it, and returns true. */
bool cuda_winograd_prepare(nn_call *call);

/* A reorder's call: (out, in, 3, 3) to CUDA_WINOGRAD_OUT, (16, out, in), or for the data gradient, which is a convolution
 * with the weight turned around, to CUDA_WINOGRAD_IN, (16, in, out). */
void cuda_winograd_weight(const nn_call *call);

#endif
