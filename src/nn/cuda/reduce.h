/* Sums of many terms into one scalar: a partial sum in double for each block, added in order by a last block, so that
 * the bits are the same each time. */
#ifndef NN_CUDA_REDUCE_H
#define NN_CUDA_REDUCE_H

#include "nn/cuda/launch.h"

struct reduction {
    double *partial;
    unsigned blocks;
    double scale;
    float *result; /* scale * sum */
};

/* `count` terms: a partial sum for each block of cuda_launch_sum. */
static inline size_t reduction_workspace(size_t count) { return cuda_flat_blocks(count) * sizeof(double); }

static inline reduction reduction_of(const nn_call *call, size_t count, double scale)
{
    reduction r = {(double *)call->workspace, cuda_flat_blocks(count), scale, call->output[0]};
    return r;
}

/* The end of the first kernel. */
__device__ static inline void reduction_store(const reduction &r, double sum)
{
    __shared__ double shared[CUDA_BLOCK];
    sum = cuda_block_sum(sum, shared);
    if (threadIdx.x == 0) r.partial[blockIdx.x] = sum;
}

static __global__ void reduction_finish(reduction r)
{
    __shared__ double shared[CUDA_BLOCK];
    double sum = 0;
    for (unsigned i = threadIdx.x; i < r.blocks; i += CUDA_BLOCK) sum += r.partial[i];
    sum = cuda_block_sum(sum, shared);
    if (threadIdx.x == 0) *r.result = (float)(r.scale * sum);
}

static inline void reduction_launch_finish(const nn_call *call, const reduction &r)
{
    cuda_launch(call, CUDA_TOGETHER, reduction_finish, r, dim3(1), dim3(CUDA_BLOCK));
}

#endif
