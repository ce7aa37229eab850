/* Activations, and their gradients from y. The output may be any of the inputs. */
#include "nn/cuda/wide.h"

struct activation {
    const float *x, *dy; /* x: y in the gradient */
    float *y;
    size_t count;
    float slope;
};

static __global__ void rectify(activation a)
{
    float slope = a.slope;
    cuda_map(a.count, a.x, a.y, [=](float x) { return cuda_rectify(x, x, slope); });
}

static __global__ void tangent(activation a)
{
    cuda_map(a.count, a.x, a.y, [](float x) { return tanhf(x); });
}

/* By exp(-|x|), which cannot overflow. */
static __global__ void sigmoid(activation a)
{
    cuda_map(a.count, a.x, a.y, [](float x) {
        float e = expf(-fabsf(x));
        return (x < 0 ? e : 1) / (1 + e);
    });
}

/* y has the sign of x. */
static __global__ void rectify_grad(activation a)
{
    float slope = a.slope;
    cuda_map(a.count, a.x, a.dy, a.y, [=](float y, float dy) { return cuda_rectify(y, dy, slope); });
}

static __global__ void tangent_grad(activation a)
{
    cuda_map(a.count, a.x, a.dy, a.y, [](float y, float dy) { return dy * (1 - y * y); });
}

static __global__ void sigmoid_grad(activation a)
{
    cuda_map(a.count, a.x, a.dy, a.y, [](float y, float dy) { return dy * (y * (1 - y)); });
}

static void run_activation(const nn_call *call)
{
    nn_activation kind = call->attr.activation;
    size_t count = nn_count(call->input_shape[0]);
    activation a = {call->input[0], NULL, call->output[0], count, cuda_slope(&call->attr)};
    cuda_launch_map(call, kind == NN_TANH ? tangent : kind == NN_SIGMOID ? sigmoid : rectify, a, count);
}

/* Inputs: y, dy. */
static void run_activation_grad(const nn_call *call)
{
    nn_activation kind = call->attr.activation;
    size_t count = nn_count(call->input_shape[0]);
    activation a = {call->input[0], call->input[1], call->output[0], count, cuda_slope(&call->attr)};
    cuda_launch_map(call, kind == NN_TANH ? tangent_grad : kind == NN_SIGMOID ? sigmoid_grad : rectify_grad, a, count);
}

const nn_kernel cuda_activation = {run_activation}, cuda_activation_grad = {run_activation_grad};
