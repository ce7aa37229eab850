/* What the kernels of an instance normalisation share (instance_norm.cu): those of the first pass, which find its sums,
 * and of the second, which write a plain result or a picture (instance_norm_picture.cu).
 *
 * Moments are (images, parts, 3, c): of each part of an image's pixels how many there are, alike for all channels, their mean,
 * and the sum of squares about it. A convolution gives them (conv_moments.h), or the first pass: its chunks are the parts.
 */
#ifndef NN_CUDA_INSTANCE_NORM_H
#define NN_CUDA_INSTANCE_NORM_H

#include "nn/cuda/columns.h"

struct normalisation {
    columns v;
    const void *x; /* floats, or halves: X of the kernels */
    const float *dy;
    const float *added; /* forward, to y: like x, or NULL */
    float *statistics; /* (images, 1, 2, c): mean, rstd */
    const float *moments; /* forward: x's */
    size_t parts;
    float *partial;    /* forward: where chunks' moments go; gradient: (images, chunks, 2, c), sums of g and of g * xhat */
    float *means;      /* (images, 2, c), gradient: of g, of g * xhat */
    float *y; /* NULL: a picture alone is written */
    float epsilon, slope, share; /* share: 1 / pixels */
    bool merged; /* statistics or means are there, none are left to the second pass */
    bool halves;
};

/* The input from this thread's channel on, `first` numbers behind its begin. */
template <typename X> __device__ static inline const X *input_at(const normalisation &n, size_t first)
{
    return (const X *)n.x + first;
}

enum { BATCH = 8, /* pixels of a thread that are on their way at once */
       AT_ONCE = BATCH / 2, /* of x and dy each */
       MOMENTS = 3 };

/* A picture's of an array of pairs (2, c) for each. */
__device__ static inline size_t pair_of(const normalisation &n, size_t picture) { return picture * 2 * n.v.c; }

/* Two values for each of N channels of this block's picture. */
enum { MEAN, RSTD };        /* statistics */
enum { OF_G, OF_PRODUCT };  /* sums or means of g, of g * xhat */
template <int N> using pair = cuda_few<N>[2];

template <int N>
__device__ static inline void load_pair(const normalisation &n, const float *pairs, size_t channel, pair<N> &p)
{
    cuda_few<N> zeros = {};
    pairs += pair_of(n, blockIdx.z) + channel;
    for (int m = 0; m < 2; m++) p[m] = channel < n.v.c ? cuda_load<N>(pairs + m * n.v.c) : zeros;
}

template <int N>
__device__ static inline void store_pair(const normalisation &n, float *pairs, size_t channel, const pair<N> &p)
{
    if (threadIdx.y > 0 || blockIdx.y > 0 || channel >= n.v.c) return;
    pairs += pair_of(n, blockIdx.z) + channel;
    for (int m = 0; m < 2; m++) cuda_store(pairs + m * n.v.c, p[m]);
}

/* Statistics from all parts, by sums about the first one's mean. That one is some pixels' share of the variance, and hardly
 * any other has more pixels, so what cancels is at most a factor of about as many parts as there are. fmaf, so that no
 * compiler's choice decides about bits: kernels of either kind call this. */
template <int N>
__device__ static inline void merge_parts(const normalisation &n, size_t channel, pair<N> &s,
                                          columns_shared<N, 2> &shared)
{
    enum { PARTS = N > 1 ? AT_ONCE : BATCH };
    const size_t c = n.v.c, parts = channel < c ? n.parts : 0;
    const float *counts = n.moments + blockIdx.z * n.parts * MOMENTS * c, *means = counts + c + channel;
    cuda_few<N> base = {};
    if (parts > 0) base = cuda_load<N>(means);
    s[0] = {}, s[1] = {};
    for (size_t part = threadIdx.y; part < parts; part += PARTS * COLUMNS_DEEP) {
        cuda_few<1> count[PARTS];
        cuda_few<N> mean[PARTS], squares[PARTS];
        columns_load(counts, MOMENTS * c, part, parts, count);
        columns_load(means, MOMENTS * c, part, parts, mean);
        columns_load(means + c, MOMENTS * c, part, parts, squares);
#pragma unroll
        for (int i = 0; i < PARTS; i++) {
            for (int k = 0; k < N; k++) {
                float difference = mean[i].v[k] - base.v[k];
                s[0].v[k] = fmaf(count[i].v[0], difference, s[0].v[k]);
                s[1].v[k] += fmaf(count[i].v[0] * difference, difference, squares[i].v[k]);
            }
        }
    }
    columns_sum(s, shared);
    for (int k = 0; k < N; k++) {
        float difference = s[0].v[k] * n.share, variance = fmaf(s[1].v[k], n.share, -difference * difference);
        s[MEAN].v[k] = fmaf(s[0].v[k], n.share, base.v[k]);
        s[RSTD].v[k] = rsqrtf((variance < 0 ? 0 : variance) + n.epsilon);
    }
}

/* y in place of x. */
template <int N> __device__ static inline void normalise_few(const normalisation &n, const pair<N> &s, cuda_few<N> &x)
{
    for (int k = 0; k < N; k++) {
        float xhat = (x.v[k] - s[MEAN].v[k]) * s[RSTD].v[k];
        x.v[k] = cuda_rectify(xhat, xhat, n.slope);
    }
}

/* Rounded after the product, as by two kernels: no multiply-add. */
template <int N> __device__ static inline void add_few(cuda_few<N> &y, const cuda_few<N> &added)
{
    for (int k = 0; k < N; k++) y.v[k] = __fadd_rn(y.v[k], added.v[k]);
}

/* xhat in place of x, g in place of dy. */
template <int N>
__device__ static inline void differentiate(const normalisation &n, const pair<N> &s, cuda_few<N> &x, cuda_few<N> &dy)
{
    for (int k = 0; k < N; k++) {
        x.v[k] = (x.v[k] - s[MEAN].v[k]) * s[RSTD].v[k];
        dy.v[k] = cuda_rectify(x.v[k], dy.v[k], n.slope);
    }
}

/* dx in place of dy, xhat in place of x. */
template <int N>
__device__ static inline void gradient_few(const normalisation &n, const pair<N> &s, const pair<N> &mean,
                                           cuda_few<N> &x, cuda_few<N> &dy)
{
    differentiate<N>(n, s, x, dy);
    for (int k = 0; k < N; k++)
        dy.v[k] = s[RSTD].v[k] * (dy.v[k] - mean[OF_G].v[k] - x.v[k] * mean[OF_PRODUCT].v[k]);
}

template <int N>
__device__ static inline void find_means(const normalisation &n, size_t channel, pair<N> &mean,
                                         columns_shared<N, 2> &shared)
{
    columns_total(n.v, n.partial + pair_of(n, blockIdx.z * n.v.chunks), channel, mean, shared);
    for (int k = 0; k < N; k++) mean[OF_G].v[k] *= n.share, mean[OF_PRODUCT].v[k] *= n.share;
}

/* The second pass where the result is a picture. Whether granules are loaded as they lie; else n.merged must hold. */
bool norm_picture_is_wide(const normalisation &n);
void norm_picture(const nn_call *call, const normalisation &n);
void norm_picture_grad(const nn_call *call, const normalisation &n);

#endif
