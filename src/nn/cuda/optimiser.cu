/* What a training step does to memory that outlives it: Adam, moving averages, and the checks that gate both. The gate
 * and the rates are read on the device, so that nothing waits for the host. */
#include "nn/cuda/reduce.h"

struct squares {
    const float *g;
    size_t count;
    reduction sum;
};

static __global__ void squared_norm(squares s)
{
    double sum = 0;
    for (size_t i = cuda_first(); i < s.count; i += cuda_step()) sum += (double)s.g[i] * (double)s.g[i];
    reduction_store(s.sum, sum);
}

struct scalars {
    const float *value[NN_MAX_INPUTS];
    size_t count;
    float *flag;
};

static __global__ void all_finite(scalars s)
{
    bool finite = true;
    for (size_t i = 0; i < s.count; i++) finite = finite && isfinite(*s.value[i]);
    *s.flag = finite ? 1 : 0;
}

struct adam {
    float *p, *m, *v;
    const float *g, *rates, *flag, *squared_norm;
    float beta1, beta2, rest1, rest2, epsilon, clip; /* rest: 1 - beta, rounded once */
    size_t count;
};

/* rates: lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t). Clipping as torch.nn.utils.clip_grad_norm_. */
static __global__ void adam_step(adam a)
{
    if (*a.flag == 0) return;
    float rate = a.rates[0], root_rate = a.rates[1], scale = 1;
    double norm = sqrt((double)*a.squared_norm);
    if (a.clip > 0 && norm > (double)a.clip) scale = (float)((double)a.clip / (norm + 1e-6));
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) {
        float gradient = a.g[i] * scale;
        float mean = a.beta1 * a.m[i] + a.rest1 * gradient;
        float square = a.beta2 * a.v[i] + a.rest2 * gradient * gradient;
        a.m[i] = mean;
        a.v[i] = square;
        a.p[i] -= rate * mean / (sqrtf(square) * root_rate + a.epsilon);
    }
}

struct average {
    float *average;
    const float *p, *rate, *flag;
    size_t count;
};

static __global__ void move_average(average a)
{
    if (*a.flag == 0) return;
    float rate = *a.rate;
    for (size_t i = cuda_first(); i < a.count; i += cuda_step()) a.average[i] += rate * (a.p[i] - a.average[i]);
}

static void run_squared_norm(const nn_call *call)
{
    size_t count = nn_count(call->input_shape[0]);
    squares s = {call->input[0], count, reduction_of(call, count, 1)};
    cuda_launch_sum(call, squared_norm, s, count);
    reduction_launch_finish(call, s.sum);
}

static size_t squared_norm_workspace(const nn_call *call) { return reduction_workspace(nn_count(call->input_shape[0])); }

static void run_all_finite(const nn_call *call)
{
    scalars s = {};
    s.count = call->input_count;
    for (size_t i = 0; i < s.count; i++) s.value[i] = call->input[i];
    s.flag = call->output[0];
    cuda_launch(call, CUDA_APART, all_finite, s, dim3(1), dim3(1));
}

static void run_adam(const nn_call *call)
{
    const nn_attributes *attr = &call->attr;
    adam a = {nn_call_mutable(call, 0),
              nn_call_mutable(call, 2),
              nn_call_mutable(call, 3),
              call->input[1],
              call->input[4],
              call->input[5],
              call->input[6],
              (float)attr->beta1,
              (float)attr->beta2,
              (float)(1 - attr->beta1),
              (float)(1 - attr->beta2),
              attr->epsilon,
              attr->clip,
              nn_count(call->input_shape[0])};
    cuda_launch_flat(call, adam_step, a, a.count);
}

static void run_ema(const nn_call *call)
{
    average a = {nn_call_mutable(call, 0), call->input[1], call->input[2], call->input[3],
                 nn_count(call->input_shape[0])};
    cuda_launch_flat(call, move_average, a, a.count);
}

const nn_kernel cuda_squared_norm = {run_squared_norm, squared_norm_workspace}, cuda_all_finite = {run_all_finite},
                cuda_adam = {run_adam}, cuda_ema = {run_ema};
