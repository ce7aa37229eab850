/* Convolutions by products of tiles. */
#include "nn/cpu/kernels/conv_tiles.h"

const cpu_kernel_table CPU_NAME(cpu_kernels) = {.tiles = {[NN_CONV2D] = &CPU_NAME(cpu_conv2d_tiles),
                                                          [NN_CONV2D_DATA_GRAD] = &CPU_NAME(cpu_conv2d_data_grad_tiles),
                                                          [NN_CONV2D_WEIGHT_GRAD] = &CPU_NAME(cpu_conv2d_weight_grad_tiles)},
                                              .tiles_parts = CPU_NAME(cpu_tiles_parts)};
