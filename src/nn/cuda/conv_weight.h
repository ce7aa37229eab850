/* What the two kernels of conv_tensor.h's weight gradient share: tiles, copies, sums. */
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
    unsigned splits;
    size_t count; /* of dw */
};

/* How a kernel cuts the work up: pixels of a tile; granules of channels of a block; threads; bytes of shared memory. */
typedef struct weight_blocks {
    unsigned tile_h, tile_w, dy_granules, x_granules, threads, shared;
    void (*kernel)(weighing);
} weight_blocks;

extern const weight_blocks weight_blocks_warps, weight_blocks_grouped;

struct weight_tile {
    size_t image;
    unsigned top, left;
};

__device__ static inline weight_tile weight_tile_of(const weighing &g, unsigned number, unsigned h, unsigned w)
{
    unsigned per_image = g.rows * g.columns, image = number / per_image, at = number - image * per_image;
    weight_tile t = {image, at / g.columns * h, at % g.columns * w};
    return t;
}

__device__ static inline void weight_copy_granule(tensor_address to, const picture &p, size_t image, unsigned row,
                                                  unsigned column, unsigned number, bool inside)
{
    const uint4 *from = (const uint4 *)(const void *)p.data;
    unsigned granules = p.c / TENSOR_GRANULE;
    bool there = inside && row < p.h && column < p.w && number < granules;
    tensor_copy(to, there ? from + ((image * p.h + row) * p.w + column) * granules + number : from, !there);
}

/* Granule `number` of pixel (i, j) of a tile. Beside the picture are zeros, in x as well: what lies there may not be a
 * number. */
__device__ static inline void weight_copy_dy(const weighing &g, const weight_tile &t, tensor_address to, unsigned i,
                                             unsigned j, unsigned number)
{
    unsigned row = t.top + i, column = t.left + j;
    weight_copy_granule(to, g.v.dy, t.image, row + g.v.top, column + g.v.left, number, row < g.v.h && column < g.v.w);
}

__device__ static inline void weight_copy_x(const weighing &g, const weight_tile &t, tensor_address to, unsigned i,
                                            unsigned j, unsigned number)
{
    weight_copy_granule(to, g.v.x, t.image, t.top + i, t.left + j, number, true);
}

/* Channel `row` of dy, and `column` and the next of x, in this block's share. */
__device__ static inline void weight_store_pair(const weighing &g, unsigned row, unsigned tap, unsigned column, float low,
                                                float high)
{
    if (row >= g.v.dy_c || column >= g.v.x.c) return;
    float2 both = {low, high};
    float *to = g.sums + blockIdx.z * g.count + ((size_t)row * WEIGHT_TAPS + tap) * g.v.x.c + column;
    *(float2 *)(void *)to = both;
}

#endif
