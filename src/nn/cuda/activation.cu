/* Activations, and their gradients from y. The output may be any of the inputs. */
#include "nn/cuda/launch.h"

struct activation {
    const float *x, *dy; /* x: y in the gradient */
    float *y;
    size_t count;
    float slope;
};

static __global__ void rectify(activation a)
{
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) a.y[i] = cuda_rectify(a.x[i], a.x[i], a.slope);
}

static __global__ void tangent(activation a)
{
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) a.y[i] = tanhf(a.x[i]);
}

/* By exp(-|x|), which cannot overflow. */
static __global__ void sigmoid(activation a)
{
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) {
        float x = a.x[i], e = expf(-fabsf(x));
        a.y[i] = (x < 0 ? e : 1) / (1 + e);
    }
}

/* y has the sign of x. */
static __global__ void rectify_grad(activation a)
{
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) a.y[i] = cuda_rectify(a.x[i], a.dy[i], a.slope);
}

static __global__ void tangent_grad(activation a)
{
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) a.y[i] = a.dy[i] * (1 - a.x[i] * a.x[i]);
}

static __global__ void sigmoid_grad(activation a)
{
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) a.y[i] = a.dy[i] * (a.x[i] * (1 - a.x[i]));
}

static void run_activation(const nn_call *call)
{
    nn_activation kind = call->attr.activation;
    size_t count = nn_count(call->input_shape[0]);
    activation a = {call->input[0], NULL, call->output[0], count, cuda_slope(&call->attr)};
    cuda_launch_flat(call, kind == NN_TANH ? tangent : kind == NN_SIGMOID ? sigmoid : rectify, a, count);
}

/* Inputs: y, dy. */
static void run_activation_grad(const nn_call *call)
{
    nn_activation kind = call->attr.activation;
    size_t count = nn_count(call->input_shape[0]);
    activation a = {call->input[0], call->input[1], call->output[0], count, cuda_slope(&call->attr)};
    cuda_launch_flat(call, kind == NN_TANH ? tangent_grad : kind == NN_SIGMOID ? sigmoid_grad : rectify_grad, a, count);
}

const nn_kernel cuda_activation = {run_activation}, cuda_activation_grad = {run_activation_grad};
