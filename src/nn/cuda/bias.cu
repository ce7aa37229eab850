/* y = x + b per channel, and the gradient of b: the sum of dy over images and pixels. */
#include "nn/cuda/columns.h"

struct bias {
    const float *x, *b;
    float *y, *partial; /* partial: (chunks, c) */
    unsigned w, c;
    columns v;
};

template <int N> static __global__ void add_bias(bias a)
{
    cuda_pixel p = cuda_this_pixel<N>();
    if (p.column >= a.w || p.channel >= a.c) return;
    size_t at = (p.row * (size_t)a.w + p.column) * a.c + p.channel;
    cuda_few<N> few = cuda_load<N>(a.x + at), b = cuda_load<N>(a.b + p.channel);
    for (int k = 0; k < N; k++) few.v[k] += b.v[k];
    cuda_store(a.y + at, few);
}

template <int N> static __global__ COLUMNS_BOUNDS void sum_columns(bias a)
{
    enum { AT_ONCE = 8 };
    __shared__ columns_shared<N, 1> shared;
    size_t channel = columns_channel<N>(), end = columns_end(a.v, channel);
    cuda_few<N> sum[1] = {};
    for (size_t p = columns_first(a.v); p < end; p += AT_ONCE * COLUMNS_DEEP) {
        cuda_few<N> few[AT_ONCE];
        columns_load(a.x + channel, a.v.c, p, end, few);
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            for (int k = 0; k < N; k++) sum[0].v[k] += few[i].v[k];
    }
    columns_sum(sum, shared);
    if (threadIdx.y == 0 && channel < a.v.c) cuda_store(a.partial + blockIdx.y * a.v.c + channel, sum[0]);
}

static __global__ COLUMNS_BOUNDS void sum_chunks(bias a)
{
    __shared__ columns_shared<1, 1> shared;
    size_t channel = columns_channel<1>();
    cuda_few<1> sum[1];
    columns_total(a.v, a.partial, channel, sum, shared);
    if (threadIdx.y == 0 && channel < a.v.c) cuda_store(a.y + channel, sum[0]);
}

static size_t pixels_of(nn_shape s) { return s.dim[NN_N] * s.dim[NN_H] * s.dim[NN_W]; }

static bias bias_of(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    bias a = {};
    a.x = call->input[0];
    a.y = call->output[0];
    a.w = (unsigned)s.dim[NN_W];
    a.c = (unsigned)s.dim[NN_C];
    a.v = columns_of(1, pixels_of(s), s.dim[NN_C]); /* images are one long column */
    return a;
}

/* y may be x. */
static void run_bias(const nn_call *call)
{
    bias a = bias_of(call);
    a.b = call->input[1];
    cuda_launch_pixels(call, cuda_aligned(a.x) && cuda_aligned(a.b) && cuda_aligned(a.y), add_bias<CUDA_WIDE>, add_bias<1>,
                       a, a.v.pixels / a.w, a.w, a.c);
}

static size_t bias_grad_workspace(const nn_call *call)
{
    bias a = bias_of(call);
    return a.v.chunks * a.v.c * sizeof(float);
}

static void run_bias_grad(const nn_call *call)
{
    bias a = bias_of(call);
    a.partial = (float *)call->workspace;
    if (a.c % CUDA_WIDE == 0 && cuda_aligned(a.x) && cuda_aligned(a.partial))
        columns_launch<CUDA_WIDE>(call, sum_columns<CUDA_WIDE>, a, a.v, a.v.chunks);
    else
        columns_launch<1>(call, sum_columns<1>, a, a.v, a.v.chunks);
    columns_launch<1>(call, sum_chunks, a, a.v, 1);
}

const nn_kernel cuda_bias = {run_bias}, cuda_bias_grad = {run_bias_grad, bias_grad_workspace};
