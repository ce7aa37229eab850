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

__device__ static inline double distance(float a, float b) { return (double)fabsf(a - b); }

__device__ static inline double square(float a, float b)
{
    double difference = a - b;
    return difference * difference;
}

static __global__ void mean_abs(loss l)
{
    float target = l.target;
    reduction_store(l.sum, l.b ? reduction_map(l.count, l.a, l.b, distance)
                               : reduction_map(l.count, l.a, [=](float a) { return distance(a, target); }));
}

static __global__ void mean_square(loss l)
{
    float target = l.target;
    reduction_store(l.sum, l.b ? reduction_map(l.count, l.a, l.b, square)
                               : reduction_map(l.count, l.a, [=](float a) { return square(a, target); }));
}

/* In double throughout: scores are few, and sigmoid(x) - 1 keeps digits that float would cancel. */
static __global__ void bce_logits(loss l)
{
    double target = (double)l.target;
    reduction_store(l.sum, reduction_map(l.count, l.a, [=](float a) {
                        double v = a;
                        return (v > 0 ? v : 0) - v * target + log1p(exp(-fabs(v)));
                    }));
}

__device__ static inline float factor_of(const loss &l) { return (float)(l.power * (double)*l.flow / (double)l.count); }

__device__ static inline float sign_of(float difference)
{
    float sign = difference > 0 ? 1.0f : difference < 0 ? -1.0f : 0.0f;
    return difference != difference ? difference : sign; /* NaN for NaN */
}

static __global__ void mean_abs_grad(loss l)
{
    float factor = factor_of(l), target = l.target;
    if (l.b)
        cuda_map(l.count, l.a, l.b, l.da, [=](float a, float b) { return factor * sign_of(a - b); });
    else
        cuda_map(l.count, l.a, l.da, [=](float a) { return factor * sign_of(a - target); });
}

static __global__ void mean_square_grad(loss l)
{
    float factor = factor_of(l), target = l.target;
    if (l.b)
        cuda_map(l.count, l.a, l.b, l.da, [=](float a, float b) { return factor * (a - b); });
    else
        cuda_map(l.count, l.a, l.da, [=](float a) { return factor * (a - target); });
}

static __global__ void bce_logits_grad(loss l)
{
    double factor = factor_of(l), target = (double)l.target;
    cuda_map(l.count, l.a, l.da, [=](float a) {
        double v = a, e = exp(-fabs(v)), sigmoid = (v >= 0 ? 1 : e) / (1 + e);
        return (float)(factor * (sigmoid - target));
    });
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
    reduction_launch(call, kernel, l, l.sum);
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
    cuda_launch_map(call, kernel, l, l.count);
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
