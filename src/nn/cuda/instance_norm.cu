/* Instance normalisation (Ulyanov, Vedaldi, Lempitsky 2016), with the activation behind it, and its gradient:
 *
 *     y  = act((x - mean) * rstd)             rstd = 1 / sqrt(mean of (x - mean)^2 + eps)
 *     dx = rstd * (g - mean of g - xhat * mean of g * xhat)        g = dy * act'(xhat), xhat = (x - mean) * rstd
 *
 * x is read twice: once for mean and variance together, once to normalise. E[x^2] - mean^2 would cancel; instead eight
 * values at a time get their own mean and squares about it, which are merged as Chan, Golub and LeVeque (1983) do.
 */
#include "nn/cuda/columns.h"

struct normalisation {
    columns v;
    const float *x, *dy;
    float *statistics; /* (images, 1, 2, c): mean, rstd */
    float *partial;    /* (images, chunks, 2, c): mean and squares about it; or sums of g and of g * xhat */
    float *means;      /* (images, 2, c), gradient: of g, of g * xhat */
    float *y;
    float epsilon, slope;
    unsigned width, rows; /* of a row; rows of an image */
};

/* Mean of `count` values, and the sum of squares about it. */
struct moments {
    float count, mean, squares;
};

__device__ static inline moments merge(moments a, moments b)
{
    if (b.count == 0) return a;
    float count = a.count + b.count, difference = b.mean - a.mean, share = b.count / count;
    moments m = {count, a.mean + difference * share, a.squares + b.squares + difference * difference * a.count * share};
    return m;
}

enum { BATCH = 8 };

/* Moments of one thread's pixels of a chunk. */
__device__ static inline moments moments_of(const normalisation &n, const float *x, size_t channel)
{
    moments all = {0, 0, 0};
    size_t end = columns_end(n.v), step = COLUMNS_DEEP;
    for (size_t p = columns_begin(n.v) + threadIdx.y; p < end; p += BATCH * step) {
        float value[BATCH], sum = 0, squares = 0;
        int count = 0;
#pragma unroll
        for (int i = 0; i < BATCH; i++) {
            bool inside = p + i * step < end;
            value[i] = inside ? x[(p + i * step) * n.v.c + channel] : 0;
            sum += value[i];
            count += inside;
        }
        float mean = sum / (float)count;
#pragma unroll
        for (int i = 0; i < BATCH; i++)
            if (i < count) squares += (value[i] - mean) * (value[i] - mean);
        moments batch = {(float)count, mean, squares};
        all = merge(all, batch);
    }
    return all;
}

static __global__ void find_moments(normalisation n)
{
    __shared__ moments shared[COLUMNS_DEEP][COLUMNS_WIDE];
    size_t channel = columns_channel();
    moments m = {0, 0, 0};
    if (channel < n.v.c) m = moments_of(n, n.x + blockIdx.z * n.v.pixels * n.v.c, channel);
    shared[threadIdx.y][threadIdx.x] = m;
    __syncthreads();
    if (threadIdx.y > 0 || channel >= n.v.c) return;
    for (int i = 1; i < COLUMNS_DEEP; i++) m = merge(m, shared[i][threadIdx.x]);
    float *out = n.partial + (blockIdx.z * n.v.chunks + blockIdx.y) * 2 * n.v.c + channel;
    out[0] = m.mean;
    out[n.v.c] = m.squares;
}

static __global__ void merge_moments(normalisation n)
{
    for (size_t i = cuda_first(); i < n.v.images * n.v.c; i += cuda_step()) {
        size_t image = i / n.v.c, channel = i % n.v.c;
        const float *partial = n.partial + image * n.v.chunks * 2 * n.v.c + channel;
        double count = 0, mean = 0, squares = 0;
        for (size_t chunk = 0; chunk < n.v.chunks; chunk++, partial += 2 * n.v.c) {
            size_t rest = n.v.pixels - chunk * n.v.chunk;
            double added = (double)(rest < n.v.chunk ? rest : n.v.chunk), difference = partial[0] - mean;
            count += added;
            mean += difference * added / count;
            squares += partial[n.v.c] + difference * difference * added * (count - added) / count;
        }
        n.statistics[image * 2 * n.v.c + channel] = (float)mean;
        n.statistics[(image * 2 + 1) * n.v.c + channel] = (float)(1 / sqrt(squares / count + (double)n.epsilon));
    }
}

static __global__ void normalise(normalisation n)
{
    size_t row = blockIdx.x * (size_t)n.width;
    const float *mean = n.statistics + blockIdx.x / n.rows * 2 * n.v.c, *rstd = mean + n.v.c;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(n.width); i < end; i += CUDA_BLOCK) {
        unsigned channel = i % (unsigned)n.v.c;
        float xhat = (n.x[row + i] - mean[channel]) * rstd[channel];
        n.y[row + i] = cuda_rectify(xhat, xhat, n.slope);
    }
}

static __global__ void sum_gradients(normalisation n)
{
    __shared__ float shared[COLUMNS_DEEP][COLUMNS_WIDE];
    size_t channel = columns_channel(), image = blockIdx.z * n.v.pixels * n.v.c;
    float sum = 0, product = 0;
    if (channel < n.v.c) {
        const float *statistics = n.statistics + blockIdx.z * 2 * n.v.c + channel;
        float mean = statistics[0], rstd = statistics[n.v.c];
        for (size_t p = columns_begin(n.v) + threadIdx.y; p < columns_end(n.v); p += COLUMNS_DEEP) {
            size_t at = image + p * n.v.c + channel;
            float xhat = (n.x[at] - mean) * rstd, g = cuda_rectify(xhat, n.dy[at], n.slope);
            sum += g;
            product += g * xhat;
        }
    }
    sum = columns_fold(sum, shared);
    product = columns_fold(product, shared);
    if (threadIdx.y > 0 || channel >= n.v.c) return;
    float *out = n.partial + (blockIdx.z * n.v.chunks + blockIdx.y) * 2 * n.v.c + channel;
    out[0] = sum;
    out[n.v.c] = product;
}

/* (image, which of the two, channel) */
static __global__ void mean_gradients(normalisation n)
{
    for (size_t i = cuda_first(); i < n.v.images * 2 * n.v.c; i += cuda_step()) {
        const float *partial = n.partial + i / (2 * n.v.c) * n.v.chunks * 2 * n.v.c + i % (2 * n.v.c);
        double sum = 0;
        for (size_t chunk = 0; chunk < n.v.chunks; chunk++) sum += partial[chunk * 2 * n.v.c];
        n.means[i] = (float)(sum / (double)n.v.pixels);
    }
}

static __global__ void input_gradient(normalisation n)
{
    size_t row = blockIdx.x * (size_t)n.width, image = blockIdx.x / n.rows * 2 * n.v.c;
    const float *mean = n.statistics + image, *rstd = mean + n.v.c, *mean_g = n.means + image,
                *mean_product = mean_g + n.v.c;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(n.width); i < end; i += CUDA_BLOCK) {
        unsigned channel = i % (unsigned)n.v.c;
        float xhat = (n.x[row + i] - mean[channel]) * rstd[channel], g = cuda_rectify(xhat, n.dy[row + i], n.slope);
        n.y[row + i] = rstd[channel] * (g - mean_g[channel] - xhat * mean_product[channel]);
    }
}

static normalisation normalisation_of(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    normalisation n = {};
    n.v = columns_of(s.dim[NN_N], s.dim[NN_H] * s.dim[NN_W], s.dim[NN_C]);
    n.x = call->input[0];
    n.y = call->output[0];
    n.partial = (float *)call->workspace;
    n.epsilon = call->attr.epsilon;
    n.slope = cuda_slope(&call->attr);
    n.width = (unsigned)(s.dim[NN_W] * s.dim[NN_C]);
    n.rows = (unsigned)s.dim[NN_H];
    return n;
}

/* Inputs x: (n, h, w, c). Outputs y: like x, and statistics. y may be x. */
static void run_instance_norm(const nn_call *call)
{
    normalisation n = normalisation_of(call);
    n.statistics = call->output[1];
    cuda_launch(call, CUDA_TOGETHER, find_moments, n, columns_grid(&n.v), columns_block());
    cuda_launch_flat(call, merge_moments, n, n.v.images * n.v.c);
    cuda_launch_rows(call, normalise, n, n.v.images * n.rows, n.width);
}

/* Inputs x, statistics, dy: like x. Output dx: like x; it may be x or dy. */
static void run_instance_norm_grad(const nn_call *call)
{
    normalisation n = normalisation_of(call);
    n.statistics = nn_call_mutable(call, 1); /* read only */
    n.dy = call->input[2];
    n.means = n.partial + n.v.images * n.v.chunks * 2 * n.v.c;
    cuda_launch(call, CUDA_TOGETHER, sum_gradients, n, columns_grid(&n.v), columns_block());
    cuda_launch_flat(call, mean_gradients, n, n.v.images * 2 * n.v.c);
    cuda_launch_rows(call, input_gradient, n, n.v.images * n.rows, n.width);
}

static size_t workspace(const nn_call *call)
{
    normalisation n = normalisation_of(call);
    return n.v.images * (n.v.chunks + 1) * 2 * n.v.c * sizeof(float);
}

const nn_kernel cuda_instance_norm = {run_instance_norm, workspace},
                       cuda_instance_norm_grad = {run_instance_norm_grad, workspace};
