/* Sums of many terms into one scalar: a partial sum in double for each block, added in order by a last block, so that
 * the bits are the same each time. Few terms are one block's, which needs no other.
 *
 *     reduction_launch(call, kernel, arguments, r)     the kernel ends with reduction_store(r, its thread's sum)
 */
#ifndef NN_CUDA_REDUCE_H
#define NN_CUDA_REDUCE_H

#include "nn/cuda/wide.h"

enum { REDUCTION_ALONE = 4096 }; /* terms that one block adds up sooner than two kernels would */

struct reduction {
    double *partial;
    unsigned blocks;
    double scale;
    float *result; /* scale * sum */
};

static inline unsigned reduction_blocks(size_t count)
{
    return count <= REDUCTION_ALONE ? 1 : cuda_flat_blocks(cuda_divide_up(count, CUDA_WIDE));
}

/* `count` terms. */
static inline size_t reduction_workspace(size_t count) { return reduction_blocks(count) * sizeof(double); }

static inline reduction reduction_of(const nn_call *call, size_t count, double scale)
{
    reduction r = {(double *)call->workspace, reduction_blocks(count), scale, call->output[0]};
    return r;
}

/* Sum of f(a[i]) over this thread's elements. */
template <typename F> __device__ static inline double reduction_map(size_t count, const float *a, F f)
{
    double sum = 0;
    size_t wide = cuda_aligned(a) ? count / CUDA_WIDE : 0;
    for (size_t i = cuda_first(); i < wide; i += cuda_step()) {
        cuda_few<CUDA_WIDE> few = cuda_load<CUDA_WIDE>(a + i * CUDA_WIDE);
        for (int k = 0; k < CUDA_WIDE; k++) sum += f(few.v[k]);
    }
    for (size_t i = wide * CUDA_WIDE + cuda_first(); i < count; i += cuda_step()) sum += f(a[i]);
    return sum;
}

/* Of f(a[i], b[i]). */
template <typename F> __device__ static inline double reduction_map(size_t count, const float *a, const float *b, F f)
{
    double sum = 0;
    size_t wide = cuda_aligned(a) && cuda_aligned(b) ? count / CUDA_WIDE : 0;
    for (size_t i = cuda_first(); i < wide; i += cuda_step()) {
        cuda_few<CUDA_WIDE> few = cuda_load<CUDA_WIDE>(a + i * CUDA_WIDE),
                            other = cuda_load<CUDA_WIDE>(b + i * CUDA_WIDE);
        for (int k = 0; k < CUDA_WIDE; k++) sum += f(few.v[k], other.v[k]);
    }
    for (size_t i = wide * CUDA_WIDE + cuda_first(); i < count; i += cuda_step()) sum += f(a[i], b[i]);
    return sum;
}

/* The end of the first kernel. */
__device__ static inline void reduction_store(const reduction &r, double sum)
{
    __shared__ double shared[CUDA_BLOCK];
    sum = cuda_block_sum(sum, shared);
    if (threadIdx.x > 0) return;
    if (r.blocks == 1)
        *r.result = (float)(r.scale * sum);
    else
        r.partial[blockIdx.x] = sum;
}

static __global__ void reduction_finish(reduction r)
{
    __shared__ double shared[CUDA_BLOCK];
    double sum = 0;
    for (unsigned i = threadIdx.x; i < r.blocks; i += CUDA_BLOCK) sum += r.partial[i];
    sum = cuda_block_sum(sum, shared);
    if (threadIdx.x == 0) *r.result = (float)(r.scale * sum);
}

template <typename A>
static void reduction_launch(const nn_call *call, void (*kernel)(A), const A &arguments, const reduction &r)
{
    cuda_launch(call, CUDA_TOGETHER, kernel, arguments, dim3(r.blocks), dim3(CUDA_BLOCK));
    if (r.blocks > 1) cuda_launch(call, CUDA_TOGETHER, reduction_finish, r, dim3(1), dim3(CUDA_BLOCK));
}

#endif
