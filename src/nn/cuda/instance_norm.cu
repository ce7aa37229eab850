/* Instance normalisation (Ulyanov, Vedaldi, Lempitsky 2016), with the activation behind it, and its gradient:
 *
 *     y  = act((x - mean) * rstd) [+ r]       rstd = 1 / sqrt(mean of (x - mean)^2 + eps)
 *     dx = rstd * (g - mean of g - xhat * mean of g * xhat)        g = dy * act'(xhat), xhat = (x - mean) * rstd
 *
 * x is read twice: once for mean and variance together, once to normalise. E[x^2] - mean^2 would cancel; instead eight
 * values at a time get their own mean and squares about it, which are merged as Chan, Golub and LeVeque (1983) do.
 *
 * Between the two passes the parts' results become those of the picture. Where they are few, every block of the second pass
 * does that for itself, which is less than launching a kernel for it. Where the convolution that made x gives its moments,
 * there is no first pass.
 */
#include "nn/cuda/instance_norm.h"

#include "nn/cuda/picture.h"

enum { FEW_PARTS = 128 };

/* Means of values at N channels, and sums of the squares about them. */
template <int N> struct moments {
    float count;
    cuda_few<N> mean, squares;
};

template <int N> __device__ static inline moments<N> merge(const moments<N> &a, const moments<N> &b)
{
    if (a.count == 0) return b;
    moments<N> m = {a.count + b.count, {}, {}};
    float share = b.count / m.count;
    for (int k = 0; k < N; k++) {
        float difference = b.mean.v[k] - a.mean.v[k];
        m.mean.v[k] = a.mean.v[k] + difference * share;
        m.squares.v[k] = a.squares.v[k] + b.squares.v[k] + difference * difference * a.count * share;
    }
    return m;
}

/* Of the first `count`, all if there are more. */
template <int N> __device__ static inline moments<N> moments_of(const cuda_few<N> (&value)[BATCH], size_t count)
{
    moments<N> m = {count < BATCH ? (float)count : (float)BATCH, {}, {}};
    float share = 1 / m.count;
#pragma unroll
    for (int k = 0; k < N; k++) {
        float sum = 0, squares = 0;
#pragma unroll
        for (int i = 0; i < BATCH; i++) sum += value[i].v[k];
        float mean = sum * share;
#pragma unroll
        for (int i = 0; i < BATCH; i++) {
            float difference = value[i].v[k] - mean;
            squares += (size_t)i < count ? difference * difference : 0;
        }
        m.mean.v[k] = mean;
        m.squares.v[k] = squares;
    }
    return m;
}

/* Moments of this thread's pixels of a chunk. */
template <int N, typename X> __device__ static inline moments<N> find_own(const normalisation &n, size_t channel)
{
    const X *x = input_at<X>(n, blockIdx.z * n.v.pixels * n.v.c + channel);
    size_t end = columns_end(n.v, channel);
    moments<N> all = {};
    for (size_t p = columns_first(n.v); p < end; p += BATCH * COLUMNS_DEEP) {
        cuda_few<N> value[BATCH];
        columns_load(x, n.v.c, p, end, value);
        all = merge(all, moments_of(value, (end - p + COLUMNS_DEEP - 1) / COLUMNS_DEEP));
    }
    return all;
}

template <int N, typename X> static __global__ COLUMNS_BOUNDS void find_moments(normalisation n)
{
    __shared__ columns_shared<N, 1> shared;
    size_t channel = columns_channel<N>();
    moments<N> own = find_own<N, X>(n, channel);
    float share = own.count / columns_count(n.v, blockIdx.y);
    cuda_few<N> mean[1], squares[1];
    for (int k = 0; k < N; k++) mean[0].v[k] = own.mean.v[k] * share;
    columns_sum(mean, shared);
    for (int k = 0; k < N; k++) {
        float difference = own.mean.v[k] - mean[0].v[k];
        squares[0].v[k] = own.squares.v[k] + own.count * (difference * difference);
    }
    columns_sum(squares, shared);
    if (threadIdx.y > 0 || channel >= n.v.c) return;
    float *out = n.partial + (blockIdx.z * n.v.chunks + blockIdx.y) * MOMENTS * n.v.c + channel;
    cuda_few<N> count;
    for (int k = 0; k < N; k++) count.v[k] = columns_count(n.v, blockIdx.y);
    cuda_store(out, count);
    cuda_store(out + n.v.c, mean[0]);
    cuda_store(out + 2 * n.v.c, squares[0]);
}

static __global__ COLUMNS_BOUNDS void merge_moments(normalisation n)
{
    __shared__ columns_shared<1, 2> shared;
    size_t channel = columns_channel<1>();
    pair<1> s;
    merge_parts<1>(n, channel, s, shared);
    store_pair<1>(n, n.statistics, channel, s);
}

template <int N, bool adds, typename X> static __global__ COLUMNS_BOUNDS void normalise(normalisation n)
{
    enum { COUNT = adds ? AT_ONCE : BATCH };
    __shared__ columns_shared<N, 2> shared;
    size_t channel = columns_channel<N>(), image = blockIdx.z * n.v.pixels * n.v.c + channel,
           first = columns_first(n.v), end = columns_end(n.v, channel);
    cuda_few<N> value[COUNT], added[COUNT]; /* on their way while statistics are found */
    pair<N> s;
    columns_load(input_at<X>(n, image), n.v.c, first, end, value);
    if (adds) columns_load(n.added + image, n.v.c, first, end, added);
    if (n.merged) {
        load_pair<N>(n, n.statistics, channel, s);
    } else {
        merge_parts<N>(n, channel, s, shared);
        store_pair<N>(n, n.statistics, channel, s);
    }
    for (size_t p = first; p < end; p += COUNT * COLUMNS_DEEP) {
        if (p > first) columns_load(input_at<X>(n, image), n.v.c, p, end, value);
        if (adds && p > first) columns_load(n.added + image, n.v.c, p, end, added);
#pragma unroll
        for (int i = 0; i < COUNT; i++) {
            normalise_few<N>(n, s, value[i]);
            if (adds) add_few(value[i], added[i]);
            if (p + i * COLUMNS_DEEP < end) cuda_store(n.y + image + (p + i * COLUMNS_DEEP) * n.v.c, value[i]);
        }
    }
}

template <int N, typename X> static __global__ COLUMNS_BOUNDS void sum_gradients(normalisation n)
{
    __shared__ columns_shared<N, 2> shared;
    size_t channel = columns_channel<N>(), image = blockIdx.z * n.v.pixels * n.v.c + channel,
           end = columns_end(n.v, channel);
    pair<N> s, sum = {};
    load_pair<N>(n, n.statistics, channel, s);
    for (size_t p = columns_first(n.v); p < end; p += AT_ONCE * COLUMNS_DEEP) {
        cuda_few<N> xhat[AT_ONCE], g[AT_ONCE]; /* g past the end: 0 */
        columns_load(input_at<X>(n, image), n.v.c, p, end, xhat);
        columns_load(n.dy + image, n.v.c, p, end, g);
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            differentiate<N>(n, s, xhat[i], g[i]);
            for (int k = 0; k < N; k++) {
                sum[OF_G].v[k] += g[i].v[k];
                sum[OF_PRODUCT].v[k] += g[i].v[k] * xhat[i].v[k];
            }
        }
    }
    columns_sum(sum, shared);
    if (threadIdx.y > 0 || channel >= n.v.c) return;
    float *out = n.partial + pair_of(n, blockIdx.z * n.v.chunks + blockIdx.y) + channel;
    for (int m = 0; m < 2; m++) cuda_store(out + m * n.v.c, sum[m]);
}

static __global__ COLUMNS_BOUNDS void mean_gradients(normalisation n)
{
    __shared__ columns_shared<1, 2> shared;
    size_t channel = columns_channel<1>();
    pair<1> mean;
    find_means<1>(n, channel, mean, shared);
    store_pair<1>(n, n.means, channel, mean);
}

template <int N, typename X> static __global__ COLUMNS_BOUNDS void input_gradient(normalisation n)
{
    __shared__ columns_shared<N, 2> shared;
    size_t channel = columns_channel<N>(), image = blockIdx.z * n.v.pixels * n.v.c + channel,
           first = columns_first(n.v), end = columns_end(n.v, channel);
    cuda_few<N> x[AT_ONCE], g[AT_ONCE]; /* on their way while means are found */
    pair<N> s, mean;
    columns_load(input_at<X>(n, image), n.v.c, first, end, x);
    columns_load(n.dy + image, n.v.c, first, end, g);
    load_pair<N>(n, n.statistics, channel, s);
    if (n.merged)
        load_pair<N>(n, n.means, channel, mean);
    else
        find_means<N>(n, channel, mean, shared);
    for (size_t p = first; p < end; p += AT_ONCE * COLUMNS_DEEP) {
        if (p > first) {
            columns_load(input_at<X>(n, image), n.v.c, p, end, x);
            columns_load(n.dy + image, n.v.c, p, end, g);
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            gradient_few<N>(n, s, mean, x[i], g[i]);
            if (p + i * COLUMNS_DEEP < end) cuda_store(n.y + image + (p + i * COLUMNS_DEEP) * n.v.c, g[i]);
        }
    }
}

static normalisation normalisation_of(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    normalisation n = {};
    n.v = columns_of(s.dim[NN_N], s.dim[NN_H] * s.dim[NN_W], s.dim[NN_C]);
    n.x = call->input[0];
    n.halves = call->input_layout[0] == NN_LAYOUT_BF16;
    if (!is_picture_layout(call->output_layout[0]))
        n.y = call->output[0];
    else if (call->output_count > 2)
        n.y = call->output[2];
    n.partial = (float *)call->workspace;
    n.epsilon = call->attr.epsilon;
    n.slope = cuda_slope(&call->attr);
    n.share = 1 / (float)n.v.pixels;
    n.moments = n.partial, n.parts = n.v.chunks;
    if (call->attr.has_moments) {
        n.moments = call->input[call->input_count - 1];
        n.parts = call->input_shape[call->input_count - 1].dim[NN_H];
    }
    n.merged = n.parts > FEW_PARTS; /* else by the second pass, whose blocks have one image each */
    return n;
}

static bool is_wide(const normalisation &n)
{
    return n.v.c % CUDA_WIDE == 0 && cuda_aligned(n.x) && cuda_aligned(n.y) && cuda_aligned(n.dy) &&
           cuda_aligned(n.added) && cuda_aligned(n.statistics) && cuda_aligned(n.partial) && cuda_aligned(n.moments);
}

/* Blocks that write a picture merge what they need where they load whole granules; else it has to be there. */
static void merge_for_picture(const nn_call *call, normalisation &n)
{
    if (is_picture_layout(call->output_layout[0]) && !norm_picture_is_wide(n)) n.merged = true;
}

template <int N, typename X> static void launch_forward(const nn_call *call, const normalisation &n)
{
    if (!call->attr.has_moments) columns_launch<N>(call, find_moments<N, X>, n, n.v, n.v.chunks);
    if (n.merged) columns_launch<1>(call, merge_moments, n, n.v, 1);
    if (is_picture_layout(call->output_layout[0]))
        norm_picture(call, n);
    else
        columns_launch<N>(call, n.added ? normalise<N, true, X> : normalise<N, false, X>, n, n.v, n.v.chunks);
}

/* Inputs x: (n, h, w, c), which may be in bf16, perhaps r, like x, perhaps x's moments. Outputs y: like x, or a picture;
 * statistics; and perhaps, beside a picture, y like x. The first may be x or r. */
static void run_instance_norm(const nn_call *call)
{
    normalisation n = normalisation_of(call);
    n.statistics = call->output[1];
    n.added = call->input_count - call->attr.has_moments > 1 ? call->input[1] : NULL;
    merge_for_picture(call, n);
    if (n.halves)
        is_wide(n) ? launch_forward<CUDA_WIDE, cuda_half>(call, n) : launch_forward<1, cuda_half>(call, n);
    else
        is_wide(n) ? launch_forward<CUDA_WIDE, float>(call, n) : launch_forward<1, float>(call, n);
}

template <int N, typename X> static void launch_gradient(const nn_call *call, const normalisation &n)
{
    columns_launch<N>(call, sum_gradients<N, X>, n, n.v, n.v.chunks);
    if (n.merged) columns_launch<1>(call, mean_gradients, n, n.v, 1);
    if (is_picture_layout(call->output_layout[0]))
        norm_picture_grad(call, n);
    else
        columns_launch<N>(call, input_gradient<N, X>, n, n.v, n.v.chunks);
}

/* Inputs x, statistics, dy: like x. Output dx: like x, which may be x or dy; or a picture. */
static void run_instance_norm_grad(const nn_call *call)
{
    normalisation n = normalisation_of(call);
    n.statistics = nn_call_mutable(call, 1); /* read only */
    n.dy = call->input[2];
    n.means = n.partial + n.v.images * n.v.chunks * 2 * n.v.c;
    merge_for_picture(call, n);
    if (n.halves)
        is_wide(n) ? launch_gradient<CUDA_WIDE, cuda_half>(call, n) : launch_gradient<1, cuda_half>(call, n);
    else
        is_wide(n) ? launch_gradient<CUDA_WIDE, float>(call, n) : launch_gradient<1, float>(call, n);
}

static size_t workspace(const nn_call *call)
{
    normalisation n = normalisation_of(call);
    return call->attr.has_moments ? 0 : n.v.images * n.v.chunks * MOMENTS * n.v.c * sizeof(float);
}

static size_t workspace_grad(const nn_call *call)
{
    normalisation n = normalisation_of(call);
    return n.v.images * (n.v.chunks + 1) * 2 * n.v.c * sizeof(float);
}

const nn_kernel cuda_instance_norm = {run_instance_norm, workspace},
                       cuda_instance_norm_grad = {run_instance_norm_grad, workspace_grad};
