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
    reduction_store(s.sum, reduction_map(s.count, s.g, [](float g) { return (double)g * (double)g; }));
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

/* N elements from the i-th. */
template <int N> __device__ static inline void update(const adam &a, size_t i, float scale, float rate, float root_rate)
{
    cuda_few<N> p = cuda_load<N>(a.p + i), m = cuda_load<N>(a.m + i), v = cuda_load<N>(a.v + i),
                g = cuda_load<N>(a.g + i);
    for (int k = 0; k < N; k++) {
        float gradient = g.v[k] * scale;
        m.v[k] = a.beta1 * m.v[k] + a.rest1 * gradient;
        v.v[k] = a.beta2 * v.v[k] + a.rest2 * gradient * gradient;
        p.v[k] -= rate * m.v[k] / (sqrtf(v.v[k]) * root_rate + a.epsilon);
    }
    cuda_store(a.m + i, m);
    cuda_store(a.v + i, v);
    cuda_store(a.p + i, p);
}

/* rates: lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t). Clipping as torch.nn.utils.clip_grad_norm_. */
static __global__ void adam_step(adam a)
{
    if (*a.flag == 0) return;
    float rate = a.rates[0], root_rate = a.rates[1], scale = 1;
    if (a.clip > 0) {
        double norm = sqrt((double)*a.squared_norm);
        if (norm > (double)a.clip) scale = (float)((double)a.clip / (norm + 1e-6));
    }
    bool aligned = cuda_aligned(a.p) && cuda_aligned(a.m) && cuda_aligned(a.v) && cuda_aligned(a.g);
    size_t wide = aligned ? a.count / CUDA_WIDE : 0;
    for (size_t i = cuda_first(); i < wide; i += cuda_step()) update<CUDA_WIDE>(a, i * CUDA_WIDE, scale, rate, root_rate);
    for (size_t i = wide * CUDA_WIDE + cuda_first(); i < a.count; i += cuda_step())
        update<1>(a, i, scale, rate, root_rate);
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
    cuda_map(a.count, a.average, a.p, a.average, [=](float average, float p) { return average + rate * (p - average); });
}

static void run_squared_norm(const nn_call *call)
{
    size_t count = nn_count(call->input_shape[0]);
    squares s = {call->input[0], count, reduction_of(call, count, 1)};
    reduction_launch(call, squared_norm, s, s.sum);
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
    cuda_launch_map(call, adam_step, a, a.count);
}

static void run_ema(const nn_call *call)
{
    average a = {nn_call_mutable(call, 0), call->input[1], call->input[2], call->input[3],
                 nn_count(call->input_shape[0])};
    cuda_launch_map(call, move_average, a, a.count);
}

const nn_kernel cuda_squared_norm = {run_squared_norm, squared_norm_workspace}, cuda_all_finite = {run_all_finite},
                cuda_adam = {run_adam}, cuda_ema = {run_ema};
