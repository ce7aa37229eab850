/* What the two kernels of conv_tensor.h's weight gradient share: how the work is cut up, and where sums go. */
#ifndef NN_CUDA_CONV_WEIGHT_H
#define NN_CUDA_CONV_WEIGHT_H

#include "nn/cuda/conv_tensor.h"
#include "nn/cuda/launch.h"
#include "nn/cuda/tensor.h"

enum { WEIGHT_KERNEL = 3, WEIGHT_TAPS = 9 };

struct weighing {
    tensor_weight_grad v;
    float *sums;            /* (splits, dy_c, 9, x.c) */
    unsigned rows, columns; /* tiles of an image */
    unsigned tiles, share;  /* of all images; of a block */
    unsigned shares, cluster; /* blocks that share the tiles; of these, blocks that add their sums themselves */
    unsigned splits;          /* sums that are left then */
    size_t count;             /* of dw */
};

/* How a kernel cuts the work up: pixels of a tile; granules of channels of a block; threads; bytes of shared memory; blocks
 * of a cluster at most, a power of two. Without clusters blockIdx.z is the share, with them blockIdx.x. */
typedef struct weight_blocks {
    unsigned tile_h, tile_w, dy_granules, x_granules, threads, shared, most_cluster;
    void (*kernel)(weighing);
} weight_blocks;

extern const weight_blocks weight_blocks_warps, weight_blocks_grouped;

/* Channel `row` of dy, and `column` and the next of x. */
__device__ static inline void weight_store_pair(const weighing &g, unsigned split, unsigned row, unsigned tap,
                                                unsigned column, float low, float high)
{
    if (row >= g.v.dy_c || column >= g.v.x.c) return;
    float2 both = {low, high};
    float *to = g.sums + split * g.count + ((size_t)row * WEIGHT_TAPS + tap) * g.v.x.c + column;
    *(float2 *)(void *)to = both;
}

#endif
