/* Total variation with an exponent, and its gradient.
 *
 * At every pixel that has a right and a lower neighbour, per channel: dx = x[y][x+1] - x[y][x],
 * dy = x[y+1][x] - x[y][x], base = dx^2 + dy^2 + epsilon; the value is scale * sum base^(exponent/2).
 */
#include "nn/cuda/reduce.h"

struct variation {
    const float *x, *flow;
    float *dx;
    unsigned h, w, c;
    float exponent, epsilon, scale;
    size_t count; /* elements of x */
    reduction sum;
};

/* base^power; a base of 0 stays 0, because dx = dy = 0 there and an infinite power would only bring in NaN. */
__device__ static inline float power_of(float base, float power)
{
    if (power == 0) return 1;
    if (power == 1) return base;
    if (base == 0) return 0;
    if (power == 0.5f) return sqrtf(base);
    if (power == 0.25f) return sqrtf(sqrtf(base));
    if (power == 1.25f) return base * sqrtf(sqrtf(base));
    if (power == -0.5f) return 1 / sqrtf(base);
    return powf(base, power);
}

/* Differences to the right and to below of the element at x; both pixels exist. */
struct slope {
    float right, below;
};

__device__ static inline slope slope_at(const variation &v, const float *x)
{
    slope s = {x[v.c] - *x, x[(size_t)v.w * v.c] - *x};
    return s;
}

__device__ static inline float base_of(const variation &v, slope s)
{
    return s.right * s.right + s.below * s.below + v.epsilon;
}

static __global__ void total_variation(variation v)
{
    double sum = 0;
    unsigned line = v.w * v.c;
    for (size_t i = cuda_first(); i < v.count; i += cuda_step()) {
        unsigned column = (unsigned)(i % line) / v.c, row = (unsigned)(i / line % v.h);
        if (column + 1 < v.w && row + 1 < v.h)
            sum += (double)power_of(base_of(v, slope_at(v, v.x + i)), v.exponent / 2);
    }
    reduction_store(v.sum, sum);
}

/* An element takes part at its own pixel, and at those to its left and above it. */
static __global__ void total_variation_grad(variation v)
{
    unsigned line = v.w * v.c;
    float factor = (float)((double)v.scale * (double)v.exponent * (double)*v.flow), power = v.exponent / 2 - 1;
    for (size_t i = cuda_first(); i < v.count; i += cuda_step()) {
        unsigned column = (unsigned)(i % line) / v.c, row = (unsigned)(i / line % v.h);
        float sum = 0;
        if (row + 1 < v.h && column + 1 < v.w) {
            slope s = slope_at(v, v.x + i);
            sum -= factor * power_of(base_of(v, s), power) * (s.right + s.below);
        }
        if (row + 1 < v.h && column > 0) {
            slope s = slope_at(v, v.x + i - v.c);
            sum += factor * power_of(base_of(v, s), power) * s.right;
        }
        if (row > 0 && column + 1 < v.w) {
            slope s = slope_at(v, v.x + i - line);
            sum += factor * power_of(base_of(v, s), power) * s.below;
        }
        v.dx[i] = sum;
    }
}

static variation variation_of(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    variation v = {};
    v.x = call->input[0];
    v.h = (unsigned)s.dim[NN_H];
    v.w = (unsigned)s.dim[NN_W];
    v.c = (unsigned)s.dim[NN_C];
    v.exponent = call->attr.exponent;
    v.epsilon = call->attr.epsilon;
    v.scale = call->attr.scale;
    v.count = nn_count(s);
    return v;
}

static void run_total_variation(const nn_call *call)
{
    variation v = variation_of(call);
    v.sum = reduction_of(call, v.count, (double)v.scale);
    reduction_launch(call, total_variation, v, v.sum);
}

static size_t workspace(const nn_call *call) { return reduction_workspace(nn_count(call->input_shape[0])); }

static void run_total_variation_grad(const nn_call *call)
{
    variation v = variation_of(call);
    v.flow = call->input[1];
    v.dx = call->output[0];
    cuda_launch_flat(call, total_variation_grad, v, v.count);
}

const nn_kernel cuda_total_variation = {run_total_variation, workspace},
                cuda_total_variation_grad = {run_total_variation_grad};
