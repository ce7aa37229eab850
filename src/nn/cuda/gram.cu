/* Gram matrices g = scale * x^T x of each image, and their gradient dx = x S, S = scale * (dg + dg^T). Style losses live
 * on small differences: bf16 would be too coarse, so operands are at most TF32. */
#include "nn/cuda/launch.h"
#include "nn/cuda/product.h"

struct symmetric {
    const float *dg;
    float *s; /* (images, c, c), both */
    size_t c, count;
    float scale;
};

static __global__ void add_transposed(symmetric a)
{
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) {
        size_t image = i / (a.c * a.c) * a.c * a.c, row = i / a.c % a.c, column = i % a.c;
        a.s[i] = a.scale * (a.dg[i] + a.dg[image + column * a.c + row]);
    }
}

static cuda_operands operands_of(const nn_call *call)
{
    return cuda_of(call)->tf32 ? CUDA_TF32 : CUDA_FP32;
}

static void run_gram(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    size_t c = s.dim[NN_C], pixels = s.dim[NN_H] * s.dim[NN_W];
    for (size_t n = 0; n < s.dim[NN_N]; n++) {
        const float *x = call->input[0] + n * pixels * c;
        cuda_product p = {operands_of(call), true, false, c, c, pixels, x, x, c, c, c, call->output[0] + n * c * c,
                          call->attr.scale, 0, NULL};
        cuda_multiply_matrices(call, &p);
    }
}

static size_t gram_grad_workspace(const nn_call *call) { return nn_count(call->input_shape[1]) * sizeof(float); }

static void run_gram_grad(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    size_t c = s.dim[NN_C], pixels = s.dim[NN_H] * s.dim[NN_W];
    symmetric a = {call->input[1], (float *)call->workspace, c, nn_count(call->input_shape[1]), call->attr.scale};
    cuda_launch_flat(call, add_transposed, a, a.count);
    for (size_t n = 0; n < s.dim[NN_N]; n++) {
        cuda_product p = {operands_of(call), false, false, pixels, c, c, call->input[0] + n * pixels * c,
                          a.s + n * c * c, c, c, c, call->output[0] + n * pixels * c, 1, 0, NULL};
        cuda_multiply_matrices(call, &p);
    }
}

const nn_kernel cuda_gram = {run_gram}, cuda_gram_grad = {run_gram_grad, gram_grad_workspace};
