/* Strided convolutions in fp32 by the direct sum, on plain NHWC tensors: a block of pixels x output channels of sums
 * stays in registers (product.h) while it runs over taps and channels in, whose pixels are read where they lie (as in
 * Dukhan, "The Indirect Convolution Algorithm", 2019, with computed addresses in place of pointers). Only the weights
 * are packed, and windows that reach beyond the picture.
 *
 * conv_direct.c has the convolution and its data gradient, which is stride * stride convolutions of stride 1;
 * conv_direct_weight.c the weight gradient.
 */
#ifndef NN_CPU_KERNELS_CONV_DIRECT_H
#define NN_CPU_KERNELS_CONV_DIRECT_H

#include "nn/cpu/cpu.h"

/* What conv2d.c sends here; conv_direct.c takes smaller ones too, and conv_direct_weight.c any. */
enum { CPU_DIRECT_STRIDE = 2 };

#endif
