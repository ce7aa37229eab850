/* Operations to kernels. */
#include "nn/cuda/kernels.h"

const nn_kernel *cuda_kernel(const nn_backend *backend, nn_op op)
{
    (void)backend;
    switch (op) {
    case NN_CONV2D: return &cuda_conv2d;
    case NN_CONV2D_DATA_GRAD: return &cuda_conv2d_data_grad;
    case NN_CONV2D_WEIGHT_GRAD: return &cuda_conv2d_weight_grad;
    case NN_GRAM: return &cuda_gram;
    case NN_GRAM_GRAD: return &cuda_gram_grad;
    case NN_BIAS: return &cuda_bias;
    case NN_BIAS_GRAD: return &cuda_bias_grad;
    case NN_INSTANCE_NORM: return &cuda_instance_norm;
    case NN_INSTANCE_NORM_GRAD: return &cuda_instance_norm_grad;
    case NN_ACTIVATION: return &cuda_activation;
    case NN_ACTIVATION_GRAD: return &cuda_activation_grad;
    case NN_ADD: return &cuda_add;
    case NN_MULTIPLY: return &cuda_multiply;
    case NN_SCALE: return &cuda_scale;
    case NN_PAD: return &cuda_pad;
    case NN_PAD_GRAD: return &cuda_pad_grad;
    case NN_CONCAT: return &cuda_concat;
    case NN_SLICE: return &cuda_slice;
    case NN_SLICE_GRAD: return &cuda_slice_grad;
    case NN_COPY: return &cuda_copy;
    case NN_AUGMENT: return &cuda_augment;
    case NN_AUGMENT_GRAD: return &cuda_augment_grad;
    case NN_REORDER: return &cuda_reorder;
    case NN_RESIZE_NEAREST: return &cuda_resize_nearest;
    case NN_RESIZE_NEAREST_GRAD: return &cuda_resize_nearest_grad;
    case NN_RESIZE_BILINEAR: return &cuda_resize_bilinear;
    case NN_RESIZE_BILINEAR_GRAD: return &cuda_resize_bilinear_grad;
    case NN_MAX_POOL: return &cuda_max_pool;
    case NN_MAX_POOL_GRAD: return &cuda_max_pool_grad;
    case NN_AVERAGE_POOL: return &cuda_average_pool;
    case NN_AVERAGE_POOL_GRAD: return &cuda_average_pool_grad;
    case NN_MEAN_ABS: return &cuda_mean_abs;
    case NN_MEAN_ABS_GRAD: return &cuda_mean_abs_grad;
    case NN_MEAN_SQUARE: return &cuda_mean_square;
    case NN_MEAN_SQUARE_GRAD: return &cuda_mean_square_grad;
    case NN_BCE_LOGITS: return &cuda_bce_logits;
    case NN_BCE_LOGITS_GRAD: return &cuda_bce_logits_grad;
    case NN_TOTAL_VARIATION: return &cuda_total_variation;
    case NN_TOTAL_VARIATION_GRAD: return &cuda_total_variation_grad;
    case NN_CONSTANT: return &cuda_constant;
    case NN_SQUARED_NORM: return &cuda_squared_norm;
    case NN_ALL_FINITE: return &cuda_all_finite;
    case NN_ADAM: return &cuda_adam;
    case NN_EMA: return &cuda_ema;
    case NN_POOL_SWAP: return &cuda_pool_swap;
    case NN_OP_COUNT: break;
    }
    return NULL;
}
