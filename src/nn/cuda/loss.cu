/* Mean losses and their gradients; sums are kept in double. b may be absent: a is then compared with `target`. */
#include "nn/cuda/reduce.h"

struct loss {
    const float *a, *b, *flow; /* flow: the scalar's gradient */
    float *da;
    float target;
    double power; /* the constant that differentiation brings down */
    size_t count;
    reduction sum;
};

__device__ static inline float other(const loss &l, size_t i) { return l.b ? l.b[i] : l.target; }

static __global__ void mean_abs(loss l)
{
    double sum = 0;
    for (size_t i = cuda_first(); i < l.count; i += cuda_step()) sum += (double)fabsf(l.a[i] - other(l, i));
    reduction_store(l.sum, sum);
}

static __global__ void mean_square(loss l)
{
    double sum = 0;
    for (size_t i = cuda_first(); i < l.count; i += cuda_step()) {
        double difference = l.a[i] - other(l, i);
        sum += difference * difference;
    }
    reduction_store(l.sum, sum);
}

/* In double throughout: scores are few, and sigmoid(x) - 1 keeps digits that float would cancel. */
static __global__ void bce_logits(loss l)
{
    double sum = 0;
    for (size_t i = cuda_first(); i < l.count; i += cuda_step()) {
        double v = l.a[i];
        sum += (v > 0 ? v : 0) - v * (double)l.target + log1p(exp(-fabs(v)));
    }
    reduction_store(l.sum, sum);
}

__device__ static inline float factor_of(const loss &l) { return (float)(l.power * (double)*l.flow / (double)l.count); }

static __global__ void mean_abs_grad(loss l)
{
    float factor = factor_of(l);
    for (size_t i = cuda_first(); i < l.count; i += cuda_step()) {
        float difference = l.a[i] - other(l, i);
        float sign = difference > 0 ? 1.0f : difference < 0 ? -1.0f : 0.0f;
        l.da[i] = factor * (difference != difference ? difference : sign); /* NaN for NaN */
    }
}

static __global__ void mean_square_grad(loss l)
{
    float factor = factor_of(l);
    for (size_t i = cuda_first(); i < l.count; i += cuda_step()) l.da[i] = factor * (l.a[i] - other(l, i));
}

static __global__ void bce_logits_grad(loss l)
{
    float factor = factor_of(l);
    for (size_t i = cuda_first(); i < l.count; i += cuda_step()) {
        double v = l.a[i], e = exp(-fabs(v)), sigmoid = (v >= 0 ? 1 : e) / (1 + e);
        l.da[i] = (float)((double)factor * (sigmoid - (double)l.target));
    }
}

static size_t workspace(const nn_call *call) { return reduction_workspace(nn_count(call->input_shape[0])); }

static void run(const nn_call *call, void (*kernel)(loss))
{
    loss l = {};
    l.count = nn_count(call->input_shape[0]);
    l.a = call->input[0];
    l.b = call->input_count > 1 ? call->input[1] : NULL;
    l.target = call->attr.target;
    l.sum = reduction_of(call, l.count, 1 / (double)l.count);
    cuda_launch_sum(call, kernel, l, l.count);
    reduction_launch_finish(call, l.sum);
}

static void run_grad(const nn_call *call, void (*kernel)(loss), double power)
{
    size_t last = call->input_count - 1;
    loss l = {};
    l.count = nn_count(call->input_shape[0]);
    l.a = call->input[0];
    l.b = last > 1 ? call->input[1] : NULL;
    l.flow = call->input[last];
    l.da = call->output[0];
    l.target = call->attr.target;
    l.power = power;
    cuda_launch_flat(call, kernel, l, l.count);
}

static void run_mean_abs(const nn_call *call) { run(call, mean_abs); }
static void run_mean_square(const nn_call *call) { run(call, mean_square); }
static void run_bce_logits(const nn_call *call) { run(call, bce_logits); }
static void run_mean_abs_grad(const nn_call *call) { run_grad(call, mean_abs_grad, 1); }
static void run_mean_square_grad(const nn_call *call) { run_grad(call, mean_square_grad, 2); }
static void run_bce_logits_grad(const nn_call *call) { run_grad(call, bce_logits_grad, 1); }

const nn_kernel cuda_mean_abs = {run_mean_abs, workspace}, cuda_mean_abs_grad = {run_mean_abs_grad},
                cuda_mean_square = {run_mean_square, workspace}, cuda_mean_square_grad = {run_mean_square_grad},
                cuda_bce_logits = {run_bce_logits, workspace}, cuda_bce_logits_grad = {run_bce_logits_grad};
