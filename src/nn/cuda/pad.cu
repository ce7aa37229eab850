/* Padding of rows and columns with zeros, by reflection, or by the edge; its gradient is the exact adjoint. */
#include "nn/cuda/launch.h"

struct padding {
    const float *x;
    float *y;
    unsigned h, w, c;                  /* of the unpadded side */
    unsigned top, left, padded_h, padded_w;
    nn_pad_mode mode;
};

/* Where element i of a padded side comes from, i counted from the first element of the source; -1 for a zero.
 * Reflection leaves the edge out and goes to and fro where the padding is longer than the side. */
__device__ static inline int source_of(int i, int size, nn_pad_mode mode)
{
    int last = size - 1;
    if (i >= 0 && i <= last) return i;
    if (mode == NN_PAD_ZERO) return -1;
    if (mode == NN_PAD_EDGE) return i < 0 ? 0 : last;
    if (last == 0) return 0;
    int distance = (i < 0 ? -i : i) % (2 * last);
    return distance > last ? 2 * last - distance : distance;
}

static __global__ void pad(padding p)
{
    unsigned width = p.padded_w * p.c, image = blockIdx.x / p.padded_h, row = blockIdx.x % p.padded_h;
    int from = source_of((int)row - (int)p.top, (int)p.h, p.mode);
    const float *x = p.x + (image * (size_t)p.h + (from < 0 ? 0 : from)) * p.w * p.c;
    float *y = p.y + blockIdx.x * (size_t)width;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(width); i < end; i += CUDA_BLOCK) {
        int column = source_of((int)(i / p.c) - (int)p.left, (int)p.w, p.mode);
        y[i] = from < 0 || column < 0 ? 0 : x[(unsigned)column * p.c + i % p.c];
    }
}

/* Sum of what a padded row owes to one element of the source's row. */
__device__ static inline float gather(const padding &p, const float *row, unsigned column, unsigned channel)
{
    float sum = row[(p.left + column) * p.c + channel];
    if (p.mode == NN_PAD_ZERO) return sum;
    for (unsigned i = 0; i < p.padded_w; i++) {
        if (i == p.left) i += p.w; /* over the middle */
        if (i < p.padded_w && source_of((int)i - (int)p.left, (int)p.w, p.mode) == (int)column)
            sum += row[i * p.c + channel];
    }
    return sum;
}

/* x: dy, padded; y: dx. Each element of dx gathers what was copied from it. */
static __global__ void pad_grad(padding p)
{
    unsigned width = p.w * p.c, image = blockIdx.x / p.h, row = blockIdx.x % p.h;
    size_t line = (size_t)p.padded_w * p.c;
    const float *x = p.x + image * (size_t)p.padded_h * line;
    float *y = p.y + blockIdx.x * (size_t)width;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(width); i < end; i += CUDA_BLOCK) {
        unsigned column = i / p.c, channel = i % p.c;
        float sum = gather(p, x + (p.top + row) * line, column, channel);
        for (unsigned j = 0; p.mode != NN_PAD_ZERO && j < p.padded_h; j++) {
            if (j == p.top) j += p.h;
            if (j < p.padded_h && source_of((int)j - (int)p.top, (int)p.h, p.mode) == (int)row)
                sum += gather(p, x + j * line, column, channel);
        }
        y[i] = sum;
    }
}

static padding padding_of(const nn_call *call, nn_shape in, nn_shape out)
{
    padding p = {call->input[0],
                 call->output[0],
                 (unsigned)in.dim[NN_H],
                 (unsigned)in.dim[NN_W],
                 (unsigned)in.dim[NN_C],
                 (unsigned)call->attr.top,
                 (unsigned)call->attr.left,
                 (unsigned)out.dim[NN_H],
                 (unsigned)out.dim[NN_W],
                 call->attr.mode};
    return p;
}

static void run_pad(const nn_call *call)
{
    nn_shape out = call->output_shape[0];
    cuda_launch_rows(call, pad, padding_of(call, call->input_shape[0], out), out.dim[NN_N] * out.dim[NN_H],
                     out.dim[NN_W] * out.dim[NN_C]);
}

static void run_pad_grad(const nn_call *call)
{
    nn_shape in = call->output_shape[0];
    cuda_launch_rows(call, pad_grad, padding_of(call, in, call->input_shape[0]), in.dim[NN_N] * in.dim[NN_H],
                     in.dim[NN_W] * in.dim[NN_C]);
}

const nn_kernel cuda_pad = {run_pad}, cuda_pad_grad = {run_pad_grad};
