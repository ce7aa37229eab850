/* The rules of each operation family, gathered by table.c. */
#ifndef NN_OPS_OPS_H
#define NN_OPS_OPS_H

#include "nn/graph_internal.h"

extern const nn_op_def nn_def_conv2d, nn_def_conv2d_data_grad, nn_def_conv2d_weight_grad;
extern const nn_op_def nn_def_gram, nn_def_gram_grad;
extern const nn_op_def nn_def_bias, nn_def_bias_grad;
extern const nn_op_def nn_def_instance_norm, nn_def_instance_norm_grad;
extern const nn_op_def nn_def_activation, nn_def_activation_grad;
extern const nn_op_def nn_def_add, nn_def_multiply, nn_def_scale, nn_def_copy, nn_def_reorder, nn_def_constant;
extern const nn_op_def nn_def_pad, nn_def_pad_grad;
extern const nn_op_def nn_def_augment, nn_def_augment_grad;
extern const nn_op_def nn_def_concat, nn_def_slice, nn_def_slice_grad;
extern const nn_op_def nn_def_resize_nearest, nn_def_resize_nearest_grad;
extern const nn_op_def nn_def_resize_bilinear, nn_def_resize_bilinear_grad;
extern const nn_op_def nn_def_max_pool, nn_def_max_pool_grad, nn_def_average_pool, nn_def_average_pool_grad;
extern const nn_op_def nn_def_mean_abs, nn_def_mean_abs_grad, nn_def_mean_square, nn_def_mean_square_grad;
extern const nn_op_def nn_def_bce_logits, nn_def_bce_logits_grad;
extern const nn_op_def nn_def_total_variation, nn_def_total_variation_grad;
extern const nn_op_def nn_def_squared_norm, nn_def_all_finite, nn_def_adam, nn_def_ema, nn_def_pool_swap;

#endif
