/* Convolutions of bf16 operands that read pictures (picture.h). */
#ifndef NN_CUDA_CONV_BF16_H
#define NN_CUDA_CONV_BF16_H

#include "nn/cuda/cuda.h"

/* Sets call->run, layouts and workspace of a convolution, data gradient or weight gradient and returns true; or false
 * where conv2d.cu's way is the better or the only one: products that are folded, and what has no picture. */
bool cuda_conv_bf16_prepare(nn_call *call);
/* Whether the kernel of a convolution or a data gradient can write its result in NN_LAYOUT_BF16. */
bool cuda_conv_writes_bf16(const nn_call *call);
/* Of how many parts of an image it gives moments of its result (conv_moments.h); 0: none. */
size_t cuda_conv_moment_parts(const nn_call *call);

#endif
