/* What the kernels of an instance normalisation share (instance_norm.cu): those of the first pass, which find its sums,
 * and of the second, which write a plain result or a picture (instance_norm_picture.cu).
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
    float *partial;    /* (images, chunks, 2, c): mean and squares about it; or sums of g and of g * xhat */
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
       AT_ONCE = BATCH / 2 }; /* of x and dy each */

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

/* Statistics from all chunks, by sums about the first one's mean. That one is some pixels' share of the variance, so
 * what cancels is at most a factor of as many chunks as there are. fmaf, so that no compiler's choice decides about bits:
 * kernels of either kind call this. */
template <int N>
__device__ static inline void merge_chunks(const normalisation &n, size_t channel, pair<N> &s,
                                           columns_shared<N, 2> &shared)
{
    enum { CHUNKS = N > 1 ? AT_ONCE : BATCH };
    const float *partial = n.partial + pair_of(n, blockIdx.z * n.v.chunks) + channel;
    size_t chunks = channel < n.v.c ? n.v.chunks : 0;
    cuda_few<N> base = {};
    if (chunks > 0) base = cuda_load<N>(partial);
    s[0] = {}, s[1] = {};
    for (size_t chunk = threadIdx.y; chunk < chunks; chunk += CHUNKS * COLUMNS_DEEP) {
        cuda_few<N> mean[CHUNKS], squares[CHUNKS];
        columns_load(partial, 2 * n.v.c, chunk, chunks, mean);
        columns_load(partial + n.v.c, 2 * n.v.c, chunk, chunks, squares);
#pragma unroll
        for (int i = 0; i < CHUNKS; i++) {
            float count = columns_count(n.v, chunk + i * COLUMNS_DEEP);
            for (int k = 0; k < N; k++) {
                float difference = mean[i].v[k] - base.v[k];
                s[0].v[k] = fmaf(count, difference, s[0].v[k]);
                s[1].v[k] += fmaf(count * difference, difference, squares[i].v[k]);
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
