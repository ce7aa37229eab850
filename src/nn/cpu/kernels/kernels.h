/* The kernels of one instruction set: cpu_<operation>, each defined in its operation's file. */
#ifndef NN_CPU_KERNELS_KERNELS_H
#define NN_CPU_KERNELS_KERNELS_H

#include "nn/cpu/cpu.h"

extern const nn_kernel CPU_NAME(cpu_conv2d_thin), CPU_NAME(cpu_conv2d_data_grad_thin),
    CPU_NAME(cpu_conv2d_weight_grad_thin);
extern const nn_kernel CPU_NAME(cpu_conv2d_direct), CPU_NAME(cpu_conv2d_data_grad_direct),
    CPU_NAME(cpu_conv2d_weight_grad_direct);
extern const nn_kernel CPU_NAME(cpu_conv2d_phases), CPU_NAME(cpu_conv2d_data_grad_phases),
    CPU_NAME(cpu_conv2d_weight_grad_phases);
extern const nn_kernel CPU_NAME(cpu_conv_lines_to_many), CPU_NAME(cpu_conv_lines_to_few),
    CPU_NAME(cpu_conv_lines_weight);
extern const nn_kernel CPU_NAME(cpu_gram), CPU_NAME(cpu_gram_grad), CPU_NAME(cpu_bias), CPU_NAME(cpu_bias_grad),
    CPU_NAME(cpu_instance_norm), CPU_NAME(cpu_instance_norm_grad), CPU_NAME(cpu_activation),
    CPU_NAME(cpu_activation_grad), CPU_NAME(cpu_add), CPU_NAME(cpu_multiply), CPU_NAME(cpu_scale), CPU_NAME(cpu_pad),
    CPU_NAME(cpu_pad_grad), CPU_NAME(cpu_augment), CPU_NAME(cpu_augment_grad), CPU_NAME(cpu_concat), CPU_NAME(cpu_slice), CPU_NAME(cpu_slice_grad), CPU_NAME(cpu_copy),
    CPU_NAME(cpu_resize_nearest), CPU_NAME(cpu_resize_nearest_grad), CPU_NAME(cpu_resize_bilinear),
    CPU_NAME(cpu_resize_bilinear_grad), CPU_NAME(cpu_max_pool), CPU_NAME(cpu_max_pool_grad),
    CPU_NAME(cpu_average_pool), CPU_NAME(cpu_average_pool_grad), CPU_NAME(cpu_mean_abs), CPU_NAME(cpu_mean_abs_grad),
    CPU_NAME(cpu_mean_square), CPU_NAME(cpu_mean_square_grad), CPU_NAME(cpu_bce_logits),
    CPU_NAME(cpu_bce_logits_grad), CPU_NAME(cpu_total_variation), CPU_NAME(cpu_total_variation_grad),
    CPU_NAME(cpu_constant), CPU_NAME(cpu_squared_norm), CPU_NAME(cpu_all_finite), CPU_NAME(cpu_adam),
    CPU_NAME(cpu_ema), CPU_NAME(cpu_pool_swap), CPU_NAME(cpu_winograd), CPU_NAME(cpu_winograd_data_grad),
    CPU_NAME(cpu_winograd_weight_grad);

#endif
