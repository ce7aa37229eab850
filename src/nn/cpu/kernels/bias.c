/* y = x + b per channel, and the gradient of b: the sum of dy over images and pixels. */
#include "nn/cpu/kernels/channels.h"
#include "nn/cpu/kernels/kernels.h"

static size_t pixels_of(nn_shape s) { return s.dim[NN_N] * s.dim[NN_H] * s.dim[NN_W]; }

static void add_bias(const cpu_walk *walk, cpu_rows *rows)
{
    const float *bias = rows->vector[0];
    size_t width = rows->width;
    for (size_t i = 0; i < rows->count; i++) {
        const float *x = walk->a + rows->offset + i * rows->stride;
        float *y = walk->y + rows->offset + i * rows->stride;
#pragma omp simd
        for (size_t j = 0; j < width; j++) y[j] = x[j] + bias[j];
    }
}

static void run_bias(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    cpu_channels v = cpu_channels_of(pixels_of(s), s.dim[NN_C]);
    cpu_walk walk = {.a = call->input[0], .y = call->output[0], .vector = {call->input[1]}};
#pragma omp parallel for num_threads(call->threads) if (v.chunks > 1)
    for (size_t chunk = 0; chunk < v.chunks; chunk++) cpu_channels_walk(&v, &walk, chunk, add_bias, 0, NULL);
}

/* partial: (chunks, c) */
static size_t bias_grad_workspace(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    return cpu_channels_of(pixels_of(s), s.dim[NN_C]).chunks * s.dim[NN_C] * sizeof(double);
}

static void run_bias_grad(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    size_t c = s.dim[NN_C];
    cpu_channels v = cpu_channels_of(pixels_of(s), c);
    cpu_walk walk = {.a = call->input[0]};
    double *partial = call->workspace;
#pragma omp parallel for num_threads(call->threads) if (v.chunks > 1)
    for (size_t chunk = 0; chunk < v.chunks; chunk++)
        cpu_channels_walk(&v, &walk, chunk, cpu_rows_sum, 1, partial + chunk * c);
    for (size_t begin = 0; begin < c; begin += CPU_LANES) {
        size_t end = begin + CPU_LANES < c ? begin + CPU_LANES : c;
        double sum[CPU_LANES];
        cpu_channels_total(partial, v.chunks, c, begin, end, sum);
        for (size_t i = begin; i < end; i++) call->output[0][i] = (float)sum[i - begin];
    }
}

const nn_kernel CPU_NAME(cpu_bias) = {.run = run_bias};
const nn_kernel CPU_NAME(cpu_bias_grad) = {.run = run_bias_grad, .workspace = bias_grad_workspace};
