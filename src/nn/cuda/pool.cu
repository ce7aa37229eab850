/* Maximum and average pooling; a window that reaches over the edge (ceil_mode) is cut to the image. In the gradients
 * each element of dx visits the windows that it lies in, so that nothing is added by two threads. */
#include "nn/cuda/launch.h"

struct pooling {
    const float *x, *dy;
    float *y; /* dx in the gradients */
    unsigned h, w, c, out_h, out_w, kernel, stride;
};

struct window {
    unsigned top, bottom, left, right; /* bottom and right: one past the end */
};

__device__ static inline window window_at(const pooling &p, unsigned oy, unsigned ox)
{
    unsigned top = oy * p.stride, left = ox * p.stride, bottom = top + p.kernel, right = left + p.kernel;
    window at = {top, bottom < p.h ? bottom : p.h, left, right < p.w ? right : p.w};
    return at;
}

/* The place of the maximum, (row, column) as one number: the first in row order, the last NaN if there is one, as in
 * PyTorch. x: the image's, at the channel. */
__device__ static inline unsigned maximum_of(const pooling &p, const float *x, window at)
{
    unsigned best = at.top * p.w + at.left;
    for (unsigned iy = at.top; iy < at.bottom; iy++)
        for (unsigned ix = at.left; ix < at.right; ix++) {
            float value = x[(size_t)(iy * p.w + ix) * p.c];
            if (value > x[(size_t)best * p.c] || value != value) best = iy * p.w + ix;
        }
    return best;
}

static __global__ void max_pool(pooling p)
{
    unsigned width = p.out_w * p.c, image = blockIdx.x / p.out_h, oy = blockIdx.x % p.out_h;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(width); i < end; i += CUDA_BLOCK) {
        const float *x = p.x + image * (size_t)p.h * p.w * p.c + i % p.c;
        p.y[blockIdx.x * (size_t)width + i] = x[(size_t)maximum_of(p, x, window_at(p, oy, i / p.c)) * p.c];
    }
}

static __global__ void average_pool(pooling p)
{
    unsigned width = p.out_w * p.c, image = blockIdx.x / p.out_h, oy = blockIdx.x % p.out_h;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(width); i < end; i += CUDA_BLOCK) {
        const float *x = p.x + image * (size_t)p.h * p.w * p.c + i % p.c;
        window at = window_at(p, oy, i / p.c);
        float sum = 0;
        for (unsigned iy = at.top; iy < at.bottom; iy++)
            for (unsigned ix = at.left; ix < at.right; ix++) sum += x[(size_t)(iy * p.w + ix) * p.c];
        p.y[blockIdx.x * (size_t)width + i] = sum / (float)((at.bottom - at.top) * (at.right - at.left));
    }
}

/* First window that reaches element i of a side. */
__device__ static inline unsigned first_window(unsigned i, unsigned kernel, unsigned stride)
{
    return i + 1 > kernel ? (i - kernel) / stride + 1 : 0;
}

/* The gradient of element (iy, ix) of an image; dy: the image's, at the channel. */
__device__ static inline float gather(const pooling &p, const float *x, const float *dy, unsigned iy, unsigned ix)
{
    float sum = 0;
    for (unsigned oy = first_window(iy, p.kernel, p.stride); oy < p.out_h && oy * p.stride <= iy; oy++)
        for (unsigned ox = first_window(ix, p.kernel, p.stride); ox < p.out_w && ox * p.stride <= ix; ox++) {
            window at = window_at(p, oy, ox);
            float flow = dy[(size_t)(oy * p.out_w + ox) * p.c];
            if (!x)
                sum += flow / (float)((at.bottom - at.top) * (at.right - at.left));
            else if (maximum_of(p, x, at) == iy * p.w + ix)
                sum += flow;
        }
    return sum;
}

static __global__ void pool_grad(pooling p)
{
    unsigned width = p.w * p.c, image = blockIdx.x / p.h, iy = blockIdx.x % p.h;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(width); i < end; i += CUDA_BLOCK) {
        unsigned channel = i % p.c;
        const float *x = p.x ? p.x + image * (size_t)p.h * p.w * p.c + channel : NULL;
        const float *dy = p.dy + image * (size_t)p.out_h * p.out_w * p.c + channel;
        p.y[blockIdx.x * (size_t)width + i] = gather(p, x, dy, iy, i / p.c);
    }
}

static pooling pooling_of(const nn_call *call, nn_shape in, nn_shape out)
{
    pooling p = {};
    p.x = call->input[0];
    p.y = call->output[0];
    p.h = (unsigned)in.dim[NN_H];
    p.w = (unsigned)in.dim[NN_W];
    p.c = (unsigned)in.dim[NN_C];
    p.out_h = (unsigned)out.dim[NN_H];
    p.out_w = (unsigned)out.dim[NN_W];
    p.kernel = (unsigned)call->attr.kernel;
    p.stride = (unsigned)call->attr.stride;
    return p;
}

static void run_forward(const nn_call *call, void (*kernel)(pooling))
{
    nn_shape out = call->output_shape[0];
    cuda_launch_rows(call, kernel, pooling_of(call, call->input_shape[0], out), out.dim[NN_N] * out.dim[NN_H],
                     out.dim[NN_W] * out.dim[NN_C]);
}

static void run_max_pool(const nn_call *call) { run_forward(call, max_pool); }
static void run_average_pool(const nn_call *call) { run_forward(call, average_pool); }

static void run_grad(const nn_call *call, const float *x, size_t dy)
{
    nn_shape in = call->output_shape[0];
    pooling p = pooling_of(call, in, call->input_shape[dy]);
    p.x = x;
    p.dy = call->input[dy];
    cuda_launch_rows(call, pool_grad, p, in.dim[NN_N] * in.dim[NN_H], in.dim[NN_W] * in.dim[NN_C]);
}

static void run_max_pool_grad(const nn_call *call) { run_grad(call, call->input[0], 1); }
static void run_average_pool_grad(const nn_call *call) { run_grad(call, NULL, 0); }

const nn_kernel cuda_max_pool = {run_max_pool}, cuda_max_pool_grad = {run_max_pool_grad},
                cuda_average_pool = {run_average_pool}, cuda_average_pool_grad = {run_average_pool_grad};
