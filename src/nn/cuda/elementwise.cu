/* Sums, products, multiples, copies and constants, element by element. Output 0 may be any of the inputs. */
#include "nn/cuda/wide.h"

struct elementwise {
    const float *a, *b;
    float *y;
    size_t count;
    float scale;
};

static __global__ void add(elementwise e)
{
    cuda_map(e.count, e.a, e.b, e.y, [](float a, float b) { return a + b; });
}

static __global__ void multiply(elementwise e)
{
    cuda_map(e.count, e.a, e.b, e.y, [](float a, float b) { return a * b; });
}

static __global__ void scale(elementwise e)
{
    float factor = e.scale;
    cuda_map(e.count, e.a, e.y, [=](float a) { return factor * a; });
}

static __global__ void fill(elementwise e)
{
    for (size_t i = cuda_first(); i < e.count; i += cuda_step()) e.y[i] = e.scale;
}

static elementwise of(const nn_call *call)
{
    elementwise e = {call->input[0], call->input[1], call->output[0], cuda_floats(call), call->attr.scale};
    return e;
}

static void run_add(const nn_call *call) { cuda_launch_map(call, add, of(call), cuda_floats(call)); }
static void run_multiply(const nn_call *call) { cuda_launch_map(call, multiply, of(call), cuda_floats(call)); }
static void run_scale(const nn_call *call) { cuda_launch_map(call, scale, of(call), cuda_floats(call)); }
static void run_constant(const nn_call *call) { cuda_launch_flat(call, fill, of(call), cuda_floats(call)); }

static void run_copy(const nn_call *call)
{
    if (call->output[0] == call->input[0]) return;
    cuda_note_call(call, "cudaMemcpyAsync",
                   cudaMemcpyAsync(call->output[0], call->input[0], cuda_floats(call) * sizeof(float),
                                   cudaMemcpyDeviceToDevice, cuda_of(call)->stream));
    cuda_of(call)->may_begin_early = false; /* behind what is no kernel */
}

const nn_kernel cuda_add = {run_add}, cuda_multiply = {run_multiply}, cuda_scale = {run_scale},
                       cuda_constant = {run_constant}, cuda_copy = {run_copy};
