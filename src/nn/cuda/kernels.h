/* The kernels of the CUDA backend: cuda_<operation>, each defined in its operation's file. */
#ifndef NN_CUDA_KERNELS_H
#define NN_CUDA_KERNELS_H

#include "nn/cuda/cuda.h"

extern const nn_kernel cuda_conv2d, cuda_conv2d_data_grad, cuda_conv2d_weight_grad, cuda_gram, cuda_gram_grad,
    cuda_bias, cuda_bias_grad, cuda_instance_norm, cuda_instance_norm_grad, cuda_activation, cuda_activation_grad,
    cuda_add, cuda_multiply, cuda_scale, cuda_pad, cuda_pad_grad, cuda_concat, cuda_slice, cuda_slice_grad, cuda_copy, cuda_augment, cuda_augment_grad,
    cuda_reorder, cuda_resize_nearest, cuda_resize_nearest_grad, cuda_resize_bilinear, cuda_resize_bilinear_grad,
    cuda_max_pool, cuda_max_pool_grad, cuda_average_pool, cuda_average_pool_grad, cuda_mean_abs, cuda_mean_abs_grad,
    cuda_mean_square, cuda_mean_square_grad, cuda_bce_logits, cuda_bce_logits_grad, cuda_total_variation,
    cuda_total_variation_grad, cuda_constant, cuda_squared_norm, cuda_all_finite, cuda_adam, cuda_ema, cuda_pool_swap;

#endif
