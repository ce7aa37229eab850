#include "nn/tensor.h"

#include <stdio.h>

const char *nn_shape_print(nn_shape s, nn_shape_text *buffer)
{
    snprintf(buffer->data, sizeof buffer->data, "%zux%zux%zux%zu", s.dim[0], s.dim[1], s.dim[2], s.dim[3]);
    return buffer->data;
}
