/* y = x + b per channel, and the gradient of b: the sum of dy over images and pixels. */
#include "nn/cuda/columns.h"

struct bias {
    const float *x, *b;
    float *y, *partial; /* partial: (chunks, c) */
    unsigned width;     /* of a row */
    columns v;
};

static __global__ void add_bias(bias a)
{
    size_t row = blockIdx.x * (size_t)a.width;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(a.width); i < end; i += CUDA_BLOCK)
        a.y[row + i] = a.x[row + i] + a.b[i % (unsigned)a.v.c];
}

static __global__ void sum_columns(bias a)
{
    __shared__ float shared[COLUMNS_DEEP][COLUMNS_WIDE];
    size_t channel = columns_channel();
    float sum = 0;
    if (channel < a.v.c)
        for (size_t p = columns_begin(a.v) + threadIdx.y; p < columns_end(a.v); p += COLUMNS_DEEP)
            sum += a.x[p * a.v.c + channel];
    sum = columns_fold(sum, shared);
    if (threadIdx.y == 0 && channel < a.v.c) a.partial[blockIdx.y * a.v.c + channel] = sum;
}

static __global__ void sum_chunks(bias a)
{
    for (size_t i = cuda_first(); i < a.v.c; i += cuda_step()) {
        double sum = 0;
        for (size_t chunk = 0; chunk < a.v.chunks; chunk++) sum += a.partial[chunk * a.v.c + i];
        a.y[i] = (float)sum;
    }
}

static size_t pixels_of(nn_shape s) { return s.dim[NN_N] * s.dim[NN_H] * s.dim[NN_W]; }

static void run_bias(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    bias a = {call->input[0], call->input[1], call->output[0], NULL, (unsigned)(s.dim[NN_W] * s.dim[NN_C]),
              columns_of(1, pixels_of(s), s.dim[NN_C])};
    cuda_launch_rows(call, add_bias, a, s.dim[NN_N] * s.dim[NN_H], a.width);
}

static size_t bias_grad_workspace(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    return columns_of(1, pixels_of(s), s.dim[NN_C]).chunks * s.dim[NN_C] * sizeof(float);
}

/* Images are one long column here. */
static void run_bias_grad(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    bias a = {call->input[0], NULL, call->output[0], (float *)call->workspace, 0,
              columns_of(1, pixels_of(s), s.dim[NN_C])};
    cuda_launch(call, CUDA_TOGETHER, sum_columns, a, columns_grid(&a.v), columns_block());
    cuda_launch_flat(call, sum_chunks, a, a.v.c);
}

const nn_kernel cuda_bias = {run_bias}, cuda_bias_grad = {run_bias_grad, bias_grad_workspace};
