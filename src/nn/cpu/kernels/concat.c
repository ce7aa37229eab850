/* Concatenation and slices along images or channels. Each moves a block of columns between two matrices: along channels
 * the rows are pixels; along images they are rows of pictures, and the block is the whole width. */
#include <string.h>

#include "nn/cpu/kernels/kernels.h"

enum { GROUP = 32768, SHORT = 16 }; /* bytes that a thread takes at once; floats too few to call memmove for */

/* Rows of `shape`, and the floats of a row. */
static size_t rows_of(nn_shape s, size_t axis) { return s.dim[NN_N] * s.dim[NN_H] * (axis == NN_C ? s.dim[NN_W] : 1); }
static size_t width_of(nn_shape s, size_t axis) { return s.dim[NN_C] * (axis == NN_C ? 1 : s.dim[NN_W]); }

/* Copies a (rows, width) block, or zeros where from is NULL; strides in floats. `to` may be `from`. */
static void copy_block(int threads, const float *from, size_t from_stride, float *to, size_t to_stride, size_t rows,
                       size_t width)
{
    size_t group = GROUP / (width * sizeof(float)) + 1, groups = (rows + group - 1) / group;
#pragma omp parallel for num_threads(threads) if (groups > 1)
    for (size_t g = 0; g < groups; g++) {
        size_t end = (g + 1) * group < rows ? (g + 1) * group : rows;
        for (size_t row = g * group; row < end; row++) {
            float *target = to + row * to_stride;
            if (!from)
                memset(target, 0, width * sizeof(float));
            else if (width < SHORT)
                for (size_t j = 0; j < width; j++) target[j] = from[row * from_stride + j];
            else
                memmove(target, from + row * from_stride, width * sizeof(float));
        }
    }
}

static void run_concat(const nn_call *call)
{
    size_t axis = call->attr.axis, y_width = width_of(call->output_shape[0], axis);
    float *y = call->output[0];
    for (size_t i = 0; i < call->input_count; i++) {
        size_t rows = rows_of(call->input_shape[i], axis), width = width_of(call->input_shape[i], axis);
        copy_block(call->threads, call->input[i], width, y, y_width, rows, width);
        y += axis == NN_C ? width : rows * width;
    }
}

/* Where the slice [begin, ...) starts in the whole. */
static size_t slice_offset(const nn_call *call, nn_shape whole)
{
    if (call->attr.axis == NN_C) return call->attr.begin;
    return call->attr.begin * whole.dim[NN_H] * whole.dim[NN_W] * whole.dim[NN_C];
}

static void run_slice(const nn_call *call)
{
    size_t axis = call->attr.axis;
    nn_shape whole = call->input_shape[0], part = call->output_shape[0];
    copy_block(call->threads, call->input[0] + slice_offset(call, whole), width_of(whole, axis), call->output[0],
               width_of(part, axis), rows_of(part, axis), width_of(part, axis));
}

/* Zeros before the slice, the slice, zeros after it. */
static void run_slice_grad(const nn_call *call)
{
    size_t axis = call->attr.axis, offset = slice_offset(call, call->output_shape[0]);
    nn_shape part = call->input_shape[0], whole = call->output_shape[0];
    size_t stride = width_of(whole, axis), width = width_of(part, axis), rows = rows_of(part, axis);
    float *dx = call->output[0];
    copy_block(call->threads, call->input[0], width, dx + offset, stride, rows, width);
    if (axis == NN_C) {
        size_t after = stride - width - offset;
        if (offset > 0) copy_block(call->threads, NULL, 0, dx, stride, rows, offset);
        if (after > 0) copy_block(call->threads, NULL, 0, dx + offset + width, stride, rows, after);
    } else {
        size_t before = offset / stride, after = rows_of(whole, axis) - before - rows;
        copy_block(call->threads, NULL, 0, dx, stride, before, stride);
        copy_block(call->threads, NULL, 0, dx + (before + rows) * stride, stride, after, stride);
    }
}

const nn_kernel CPU_NAME(cpu_concat) = {.run = run_concat};
const nn_kernel CPU_NAME(cpu_slice) = {.run = run_slice};
const nn_kernel CPU_NAME(cpu_slice_grad) = {.run = run_slice_grad};
