/* Convolutions that give few channels from many where no rows are filtered (conv_lines.h): the last layers of
 * discriminators. Weights are in plain layout. */
#ifndef NN_CPU_KERNELS_CONV_THIN_H
#define NN_CPU_KERNELS_CONV_THIN_H

#include "nn/cpu/cpu.h"

enum { CPU_THIN_CHANNELS = 4, CPU_THIN_LANES = 8 };

/* Whether the thin kernel of call->op can serve this call. */
static inline bool cpu_conv_thin_fits(const nn_call *call)
{
    size_t many, few;
    switch (call->op) {
    case NN_CONV2D:
        many = call->input_shape[0].dim[NN_C];
        few = call->output_shape[0].dim[NN_C];
        break;
    case NN_CONV2D_WEIGHT_GRAD:
        many = call->input_shape[0].dim[NN_C];
        few = call->input_shape[1].dim[NN_C];
        break;
    case NN_CONV2D_DATA_GRAD: /* at stride 1 this is a convolution, padded by kernel - 1 - padding */
        many = call->input_shape[0].dim[NN_C];
        few = call->output_shape[0].dim[NN_C];
        if (call->attr.stride != 1 || call->attr.padding >= call->input_shape[1].dim[NN_KH] ||
            call->attr.padding >= call->input_shape[1].dim[NN_KW])
            return false;
        break;
    default: return false;
    }
    return few <= CPU_THIN_CHANNELS && many > CPU_THIN_CHANNELS && many % CPU_THIN_LANES == 0;
}

#endif
