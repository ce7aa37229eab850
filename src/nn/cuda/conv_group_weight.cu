/* conv_tensor.h's weight gradient on Hopper: blocks of 64 channels of dy times 32 of x at all nine taps, one group of
 * threads each.
 *
 * The sum runs over tiles of 16x8 pixels, which are read into shared memory once, x with the border that its taps meet, in
 * planes as in conv_group.cu; a product takes two rows of eight pixels, x's moved by the tap. Shares of the tiles are summed
 * up by different blocks and added in order by conv_tensor_weight.cu's second kernel.
 */
#include "nn/cuda/conv_weight.h"

#include "nn/cuda/tensor_group.h"

enum {
    TILE_H = 16,
    TILE_W = 8,
    TILE = TILE_H * TILE_W,
    HALO_W = TILE_W + WEIGHT_KERNEL - 1,
    HALO = (TILE_H + WEIGHT_KERNEL - 1) * HALO_W,
    DY_GRANULES = 8,
    X_GRANULES = 4,
    DY_PLANE = TILE * TENSOR_GRANULE_BYTES,
    X_PLANE = HALO * TENSOR_GRANULE_BYTES,
    STAGE_BYTES = DY_GRANULES * DY_PLANE + X_GRANULES * X_PLANE,
    STAGES = 4,
    AHEAD = STAGES - 2
};

typedef tensor_group_sums<X_GRANULES * TENSOR_GRANULE> weight_sums;

__device__ static inline tensor_address stage(unsigned number)
{
    return tensor_shared(CUDA_SHARED()) + number % STAGES * STAGE_BYTES;
}

/* A warp copies every fourth plane, its lanes neighbouring pixels. Pixels of dy beside the picture are zeros; those of x
 * that then meet them are any that there are. */
__device__ static inline void copy_tile(const weighing &g, unsigned number)
{
    enum { WARPS = TENSOR_GROUP / 32 };
    tensor_tile t = tensor_tile_at(number, g.rows, g.columns, TILE_H, TILE_W);
    const picture &dy = g.v.dy, &x = g.v.x;
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, granules = dy.c / TENSOR_GRANULE;
    const uint4 *first = (const uint4 *)(const void *)dy.data;
    unsigned row = t.top + lane / TILE_W, column = t.left + lane % TILE_W;
    size_t offset = (size_t)(row + g.v.top) * dy.w + column + g.v.left, step = (size_t)(32 / TILE_W) * dy.w;
#pragma unroll
    for (unsigned part = warp; part < DY_GRANULES; part += WARPS) {
        unsigned channel = blockIdx.x * DY_GRANULES + part;
        const uint4 *from = first + (t.image * granules + channel) * dy.h * dy.w + offset;
        tensor_address to = stage(number) + part * DY_PLANE + lane * TENSOR_GRANULE_BYTES;
#pragma unroll
        for (unsigned k = 0; k < TILE / 32; k++) {
            bool there = channel < granules && column < g.v.w && row + k * (32 / TILE_W) < g.v.h;
            tensor_copy(to + k * 32 * TENSOR_GRANULE_BYTES, there ? from + k * step : first, !there);
        }
    }
    granules = x.c / TENSOR_GRANULE;
    unsigned channel = blockIdx.y * X_GRANULES + warp; /* past the last: not stored */
    const uint4 *from = (const uint4 *)(const void *)x.data;
    from += (t.image * granules + (channel < granules ? channel : granules - 1)) * x.h * x.w;
#pragma unroll
    for (unsigned pixel = lane; pixel < HALO; pixel += 32) {
        row = t.top + pixel / HALO_W, column = t.left + pixel % HALO_W;
        row = row < x.h ? row : x.h - 1, column = column < x.w ? column : x.w - 1;
        tensor_copy(stage(number) + DY_GRANULES * DY_PLANE + warp * X_PLANE + pixel * TENSOR_GRANULE_BYTES,
                    from + (row * x.w + column), false);
    }
}

__device__ static inline void multiply_tile(weight_sums *sums, unsigned number)
{
    tensor_matrix dy = tensor_matrix_at(stage(number), TILE_W * TENSOR_GRANULE_BYTES, DY_PLANE);
    tensor_matrix x = tensor_matrix_at(stage(number) + DY_GRANULES * DY_PLANE, HALO_W * TENSOR_GRANULE_BYTES, X_PLANE);
#pragma unroll 1
    for (unsigned i = 0; i < TILE_H; i += 2) {
        tensor_group_begin();
#pragma unroll
        for (unsigned tap = 0; tap < WEIGHT_TAPS; tap++) {
            unsigned moved = tap / WEIGHT_KERNEL * HALO_W + tap % WEIGHT_KERNEL;
            tensor_group_multiply<true>(sums[tap], dy, tensor_matrix_moved(x, moved * TENSOR_GRANULE_BYTES));
        }
        dy = tensor_matrix_moved(dy, 2 * TILE_W * TENSOR_GRANULE_BYTES);
        x = tensor_matrix_moved(x, 2 * HALO_W * TENSOR_GRANULE_BYTES);
    }
    tensor_group_commit();
}

__device__ static inline void store_sums(const weighing &g, const weight_sums *sums)
{
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    unsigned row = blockIdx.x * DY_GRANULES * TENSOR_GRANULE + warp * 16 + lane / 4;
    unsigned column = blockIdx.y * X_GRANULES * TENSOR_GRANULE + lane % 4 * 2;
#pragma unroll
    for (unsigned half = 0; half < 2; half++)
#pragma unroll
        for (unsigned tap = 0; tap < WEIGHT_TAPS; tap++)
#pragma unroll
            for (unsigned j = 0; j < X_GRANULES; j++)
                weight_store_pair(g, row + half * 8, tap, column + j * 8, sums[tap].part[j * 4 + half * 2],
                                  sums[tap].part[j * 4 + half * 2 + 1]);
}

/* blockIdx: channels of dy, channels of x, share of the tiles. */
static __global__ void __launch_bounds__(TENSOR_GROUP) weigh_grouped(weighing g)
{
    weight_sums sums[WEIGHT_TAPS] = {};
    unsigned begin = blockIdx.z * g.share, end = begin + g.share < g.tiles ? begin + g.share : g.tiles;
    for (unsigned i = begin; i < begin + AHEAD; i++) {
        if (i < end) copy_tile(g, i);
        tensor_commit();
    }
    for (unsigned i = begin; i < end; i++) {
        tensor_wait<AHEAD - 1>();
        tensor_publish();
        __syncthreads();
        multiply_tile(sums, i);
        if (i + AHEAD < end) copy_tile(g, i + AHEAD);
        tensor_commit();
        tensor_group_wait<1>();
    }
    tensor_group_wait<0>();
    store_sums(g, sums);
}

const weight_blocks weight_blocks_grouped = {TILE_H,       TILE_W,       DY_GRANULES,          X_GRANULES,
                                             TENSOR_GROUP, STAGES *STAGE_BYTES, weigh_grouped};
