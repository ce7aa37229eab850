/* Padding of rows and columns with zeros, by reflection, or by the edge; its gradient is the exact adjoint. */
#include <string.h>

#include "nn/cpu/kernels/bf16.h"
#include "nn/cpu/kernels/kernels.h"

/* Where element i of a padded side comes from, i counted from the first element of the source (so from -before to size +
 * after - 1); SIZE_MAX for a zero. Reflection leaves the edge out and is a triangle wave: it goes on to and fro where the
 * padding is longer than the side, and a side of one element repeats it. */
static size_t source_of(ptrdiff_t i, size_t size, nn_pad_mode mode)
{
    ptrdiff_t last = (ptrdiff_t)size - 1;
    if (i >= 0 && i <= last) return (size_t)i;
    if (mode == NN_PAD_ZERO) return SIZE_MAX;
    if (mode == NN_PAD_EDGE) return i < 0 ? 0 : (size_t)last;
    if (last == 0) return 0;
    ptrdiff_t distance = (i < 0 ? -i : i) % (2 * last);
    return (size_t)(distance > last ? 2 * last - distance : distance);
}

/* memmove: without padding, the output may be the input. */
static void pad_row(const nn_call *call, const float *x, float *y)
{
    const nn_attributes *attr = &call->attr;
    size_t width = call->input_shape[0].dim[NN_W], c = call->input_shape[0].dim[NN_C];
    memmove(y + attr->left * c, x, width * c * sizeof(float));
    for (size_t i = 0; i < attr->left + attr->right; i++) {
        size_t column = i < attr->left ? i : i + width;
        size_t source = source_of((ptrdiff_t)column - (ptrdiff_t)attr->left, width, attr->mode);
        for (size_t j = 0; j < c; j++) y[column * c + j] = source == SIZE_MAX ? 0 : x[source * c + j];
    }
}

/* The same, rounded to bf16; x is floats, or in bf16 already. */
static void pad_row_bf16(const nn_call *call, const void *x, uint16_t *y)
{
    const nn_attributes *attr = &call->attr;
    size_t width = call->input_shape[0].dim[NN_W], c = call->input_shape[0].dim[NN_C];
    if (call->input_layout[0] == NN_LAYOUT_BF16)
        memmove(y + attr->left * c, x, width * c * sizeof *y);
    else
        cpu_narrow(x, width * c, y + attr->left * c);
    for (size_t i = 0; i < attr->left + attr->right; i++) {
        size_t column = i < attr->left ? i : i + width;
        size_t source = source_of((ptrdiff_t)column - (ptrdiff_t)attr->left, width, attr->mode);
        if (source == SIZE_MAX)
            memset(y + column * c, 0, c * sizeof *y);
        else
            memcpy(y + column * c, y + (attr->left + source) * c, c * sizeof *y);
    }
}

static void run_pad(const nn_call *call)
{
    nn_shape in = call->input_shape[0], out = call->output_shape[0];
    size_t height = out.dim[NN_H], in_row = in.dim[NN_W] * in.dim[NN_C], out_row = out.dim[NN_W] * out.dim[NN_C];
    bool bf16 = call->output_layout[0] == NN_LAYOUT_BF16;
    size_t row_bytes = out_row * (bf16 ? sizeof(uint16_t) : sizeof(float));
    size_t x_bytes = in_row * (call->input_layout[0] == NN_LAYOUT_BF16 ? sizeof(uint16_t) : sizeof(float));
#pragma omp parallel for num_threads(call->threads)
    for (size_t task = 0; task < out.dim[NN_N] * height; task++) {
        size_t image = task / height, row = task % height;
        size_t source = source_of((ptrdiff_t)row - (ptrdiff_t)call->attr.top, in.dim[NN_H], call->attr.mode);
        const unsigned char *from = (const unsigned char *)call->input[0];
        const unsigned char *x = source == SIZE_MAX ? NULL : from + (image * in.dim[NN_H] + source) * x_bytes;
        unsigned char *y = (unsigned char *)call->output[0] + task * row_bytes;
        if (!x)
            memset(y, 0, row_bytes);
        else if (bf16)
            pad_row_bf16(call, x, (uint16_t *)(void *)y);
        else
            pad_row(call, (const float *)(const void *)x, (float *)(void *)y);
    }
}

/* Adds what a padded row's elements owe to the row dx; `first` sets dx instead, padding apart. */
static void gather_row(const nn_call *call, const float *dy, bool first, float *dx)
{
    const nn_attributes *attr = &call->attr;
    size_t width = call->output_shape[0].dim[NN_W], c = call->output_shape[0].dim[NN_C];
    const float *middle = dy + attr->left * c;
    if (first) {
        memmove(dx, middle, width * c * sizeof(float));
    } else {
#pragma omp simd
        for (size_t j = 0; j < width * c; j++) dx[j] += middle[j];
    }
    if (attr->mode == NN_PAD_ZERO) return;
    for (size_t i = 0; i < attr->left + attr->right; i++) {
        size_t column = i < attr->left ? i : i + width;
        size_t source = source_of((ptrdiff_t)column - (ptrdiff_t)attr->left, width, attr->mode);
#pragma omp simd
        for (size_t j = 0; j < c; j++) dx[source * c + j] += dy[column * c + j];
    }
}

static void add_row(const float *s, size_t count, float *dx)
{
#pragma omp simd
    for (size_t j = 0; j < count; j++) dx[j] += s[j];
}

/* Inputs dy, padded, and perhaps s, like the output dx, which is added last. Row by row of dx, so that no two threads add
 * to one element. */
static void run_pad_grad(const nn_call *call)
{
    nn_shape in = call->input_shape[0], out = call->output_shape[0];
    const nn_attributes *attr = &call->attr;
    size_t height = out.dim[NN_H], in_row = in.dim[NN_W] * in.dim[NN_C], out_row = out.dim[NN_W] * out.dim[NN_C];
#pragma omp parallel for num_threads(call->threads)
    for (size_t task = 0; task < out.dim[NN_N] * height; task++) {
        size_t image = task / height, row = task % height;
        const float *dy = call->input[0] + image * in.dim[NN_H] * in_row;
        float *dx = call->output[0] + task * out_row;
        gather_row(call, dy + (attr->top + row) * in_row, true, dx);
        size_t beside = attr->mode == NN_PAD_ZERO ? 0 : attr->top + attr->bottom;
        for (size_t i = 0; i < beside; i++) {
            size_t padded = i < attr->top ? i : i + height;
            if (source_of((ptrdiff_t)padded - (ptrdiff_t)attr->top, height, attr->mode) == row)
                gather_row(call, dy + padded * in_row, false, dx);
        }
        if (call->input_count > 1) add_row(call->input[1] + task * out_row, out_row, dx);
    }
}

const nn_kernel CPU_NAME(cpu_pad) = {.run = run_pad};
const nn_kernel CPU_NAME(cpu_pad_grad) = {.run = run_pad_grad};
