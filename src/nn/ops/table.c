#include "nn/ops/ops.h"

static const nn_op_def *const definitions[NN_OP_COUNT] = {
    [NN_CONV2D] = &nn_def_conv2d,
    [NN_CONV2D_DATA_GRAD] = &nn_def_conv2d_data_grad,
    [NN_CONV2D_WEIGHT_GRAD] = &nn_def_conv2d_weight_grad,
    [NN_GRAM] = &nn_def_gram,
    [NN_GRAM_GRAD] = &nn_def_gram_grad,
    [NN_BIAS] = &nn_def_bias,
    [NN_BIAS_GRAD] = &nn_def_bias_grad,
    [NN_INSTANCE_NORM] = &nn_def_instance_norm,
    [NN_INSTANCE_NORM_GRAD] = &nn_def_instance_norm_grad,
    [NN_ACTIVATION] = &nn_def_activation,
    [NN_ACTIVATION_GRAD] = &nn_def_activation_grad,
    [NN_ADD] = &nn_def_add,
    [NN_MULTIPLY] = &nn_def_multiply,
    [NN_SCALE] = &nn_def_scale,
    [NN_PAD] = &nn_def_pad,
    [NN_PAD_GRAD] = &nn_def_pad_grad,
    [NN_CONCAT] = &nn_def_concat,
    [NN_SLICE] = &nn_def_slice,
    [NN_SLICE_GRAD] = &nn_def_slice_grad,
    [NN_COPY] = &nn_def_copy,
    [NN_AUGMENT] = &nn_def_augment,
    [NN_AUGMENT_GRAD] = &nn_def_augment_grad,
    [NN_REORDER] = &nn_def_reorder,
    [NN_RESIZE_NEAREST] = &nn_def_resize_nearest,
    [NN_RESIZE_NEAREST_GRAD] = &nn_def_resize_nearest_grad,
    [NN_RESIZE_BILINEAR] = &nn_def_resize_bilinear,
    [NN_RESIZE_BILINEAR_GRAD] = &nn_def_resize_bilinear_grad,
    [NN_MAX_POOL] = &nn_def_max_pool,
    [NN_MAX_POOL_GRAD] = &nn_def_max_pool_grad,
    [NN_AVERAGE_POOL] = &nn_def_average_pool,
    [NN_AVERAGE_POOL_GRAD] = &nn_def_average_pool_grad,
    [NN_MEAN_ABS] = &nn_def_mean_abs,
    [NN_MEAN_ABS_GRAD] = &nn_def_mean_abs_grad,
    [NN_MEAN_SQUARE] = &nn_def_mean_square,
    [NN_MEAN_SQUARE_GRAD] = &nn_def_mean_square_grad,
    [NN_BCE_LOGITS] = &nn_def_bce_logits,
    [NN_BCE_LOGITS_GRAD] = &nn_def_bce_logits_grad,
    [NN_TOTAL_VARIATION] = &nn_def_total_variation,
    [NN_TOTAL_VARIATION_GRAD] = &nn_def_total_variation_grad,
    [NN_CONSTANT] = &nn_def_constant,
    [NN_SQUARED_NORM] = &nn_def_squared_norm,
    [NN_ALL_FINITE] = &nn_def_all_finite,
    [NN_ADAM] = &nn_def_adam,
    [NN_EMA] = &nn_def_ema,
    [NN_POOL_SWAP] = &nn_def_pool_swap,
};

const nn_op_def *nn_op_def_of(nn_op op) { return definitions[op]; }

const char *nn_op_name(nn_op op)
{
    return (unsigned)op < NN_OP_COUNT ? definitions[op]->name : "unknown operation";
}
