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

/* The greatest stride that conv_direct.c takes. */
enum { CPU_DIRECT_STRIDE = 2 };

static inline size_t cpu_least(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t cpu_divide_up(size_t a, size_t b) { return (a + b - 1) / b; }
static inline size_t cpu_round_up(size_t a, size_t b) { return cpu_divide_up(a, b) * b; }

#endif
