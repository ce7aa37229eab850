/* Convolutions of stride 2 on Hopper, without a matrix between picture and product: conv_stride.cu. */
#ifndef NN_CUDA_CONV_STRIDE_H
#define NN_CUDA_CONV_STRIDE_H

#include "nn/cuda/conv_tensor.h"

/* Whether that is what takes conv (but for its pointers), a convolution to conv->c channels whose picture is by pixels and has
 * the border; the weight is in blocks then. y (i, j) meets at tap (a, b) the picture's pixel (2 i + a, 2 j + b). */
bool stride_conv_suits(const nn_call *call, const tensor_conv *conv);
void stride_conv_run(const nn_call *call, const tensor_conv *conv);
/* Of how many parts of an image it gives moments. */
size_t stride_conv_parts(const nn_call *call, const tensor_conv *conv);

#endif
