/* conv_tensor.h's weight gradient on Hopper: blocks of 64 channels of dy times 64 of x at all nine taps, two groups of
 * threads with five and four of the taps.
 *
 * The sum runs over tiles of 16x8 pixels, which are read into shared memory once, x with the border that its taps meet, in
 * planes as in conv_group.cu; a product takes two rows of eight pixels, x's moved by the tap. What bounds products is how much
 * of shared memory they read, 128 bytes a clock: those of 64x32 wait for it, those of 64x64 would read 4 KB in the 32 clocks
 * that they take, and half of that with dy in registers, which leaves the rest to the copies.
 *
 * Shares of the tiles are summed up by different blocks, those of a cluster by up to eight. Each of these gets its part of
 * the others' sums, into the memory where the tiles were, and adds them in the order of ranks. Sums of several clusters are
 * added in order by conv_tensor_weight.cu's second kernel.
 */
#include "nn/cuda/conv_weight.h"

#include "nn/cuda/bulk.h"
#include "nn/cuda/tensor_group.h"

enum {
    TILE_H = 16,
    TILE_W = 8,
    TILE = TILE_H * TILE_W,
    HALO_W = TILE_W + WEIGHT_KERNEL - 1,
    HALO = (TILE_H + WEIGHT_KERNEL - 1) * HALO_W,
    DY_GRANULES = 8,
    X_GRANULES = 8,
    GROUPS = 2,
    THREADS = GROUPS * TENSOR_GROUP, /* a warp for each plane of dy, and of x */
    GROUP_TAPS = (WEIGHT_TAPS + GROUPS - 1) / GROUPS, /* the second group has the rest */
    DY_PLANE = TILE * TENSOR_GRANULE_BYTES,
    X_PLANE = HALO * TENSOR_GRANULE_BYTES,
    STAGE_BYTES = DY_GRANULES * DY_PLANE + X_GRANULES * X_PLANE,
    STAGES = 4,
    AHEAD = STAGES - 2,
    RUNNING = 2, /* pairs of rows whose products run while the next dy is read into registers */
    MOST_CLUSTER = 8,
    PARTS = WEIGHT_TAPS * X_GRANULES, /* of a block's sums: 8 channels of x at a tap */
    PART = TENSOR_GROUP,              /* in units of four sums, one of each thread of a group */
};
static_assert(PARTS * PART * sizeof(float4) <= STAGES * STAGE_BYTES && X_GRANULES % MOST_CLUSTER == 0);

typedef tensor_group_sums<X_GRANULES * TENSOR_GRANULE> weight_sums;

__device__ static inline tensor_address stage(unsigned number)
{
    return tensor_shared(CUDA_SHARED()) + number % STAGES * STAGE_BYTES;
}

/* Pixels of dy beside the picture are zeros; those of x that then meet them are any that there are. A warp copies a plane
 * of each, its lanes neighbouring pixels. */
__device__ static inline void copy_tile(const weighing &g, unsigned number)
{
    tensor_tile t = tensor_tile_at(number, g.rows, g.columns, TILE_H, TILE_W);
    const picture &dy = g.v.dy, &x = g.v.x;
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    unsigned granules = dy.c / TENSOR_GRANULE, channel = blockIdx.y * DY_GRANULES + warp;
    unsigned row = t.top + lane / TILE_W, column = t.left + lane % TILE_W;
    const uint4 *first = (const uint4 *)(const void *)dy.data, *from = first;
    from += ((t.image * granules + channel) * dy.h + row + g.v.top) * dy.w + column + g.v.left;
    tensor_address to = stage(number) + warp * DY_PLANE + lane * TENSOR_GRANULE_BYTES;
#pragma unroll
    for (unsigned k = 0; k < TILE / 32; k++) {
        unsigned down = k * (32 / TILE_W);
        bool there = channel < granules && column < g.v.w && row + down < g.v.h;
        tensor_copy(to + k * 32 * TENSOR_GRANULE_BYTES, there ? from + (size_t)down * dy.w : first, !there);
    }
    granules = x.c / TENSOR_GRANULE, channel = blockIdx.z * X_GRANULES + warp; /* past the last: not stored */
    from = (const uint4 *)(const void *)x.data;
    from += (t.image * granules + (channel < granules ? channel : granules - 1)) * x.h * x.w;
    to = stage(number) + DY_GRANULES * DY_PLANE + warp * X_PLANE;
#pragma unroll
    for (unsigned pixel = lane; pixel < HALO; pixel += 32) {
        row = t.top + pixel / HALO_W, column = t.left + pixel % HALO_W;
        row = row < x.h ? row : x.h - 1, column = column < x.w ? column : x.w - 1;
        tensor_copy(to + pixel * TENSOR_GRANULE_BYTES, from + (row * x.w + column), false);
    }
}

/* Unrolled, since `again` is known then but for the first products: whether sums of an earlier tile are there. */
template <unsigned first, unsigned taps>
__device__ static inline void multiply_tile(weight_sums *sums, unsigned number, bool again)
{
    tensor_address dy = stage(number);
    tensor_matrix x = tensor_matrix_at(dy + DY_GRANULES * DY_PLANE, HALO_W * TENSOR_GRANULE_BYTES, X_PLANE);
#pragma unroll
    for (unsigned i = 0; i < TILE_H; i += 2) {
        tensor_group_rows rows = tensor_group_load_across(dy + i * TILE_W * TENSOR_GRANULE_BYTES,
                                                          TILE_W * TENSOR_GRANULE_BYTES, DY_PLANE);
        tensor_group_begin();
#pragma unroll
        for (unsigned k = 0; k < taps; k++) {
            unsigned tap = first + k, moved = (i + tap / WEIGHT_KERNEL) * HALO_W + tap % WEIGHT_KERNEL;
            tensor_group_multiply<true>(sums[k], rows, tensor_matrix_moved(x, moved * TENSOR_GRANULE_BYTES), again || i > 0);
        }
        tensor_group_commit();
        tensor_group_wait<RUNNING>();
    }
}

/* To the block that adds them, in shared memory that nobody multiplies any more: part p goes to block p % cluster, where the
 * parts of the same place in all blocks follow on one another. */
template <unsigned first, unsigned taps>
__device__ static inline void hand_over(const weighing &g, const weight_sums *sums)
{
    unsigned thread = threadIdx.x % TENSOR_GROUP, rank = cluster_rank();
#pragma unroll
    for (unsigned j = 0; j < X_GRANULES; j++) {
        unsigned owner = j & (g.cluster - 1), part = first * X_GRANULES + j - owner + rank;
        tensor_address place = tensor_shared(CUDA_SHARED()) + (part * PART + thread) * (unsigned)sizeof(float4);
        tensor_address to = bulk_there(place, owner);
#pragma unroll
        for (unsigned k = 0; k < taps; k++) {
            const float *four = sums[k].part + j * 4;
            float4 v = {four[0], four[1], four[2], four[3]};
            cluster_store(to + k * X_GRANULES * PART * (unsigned)sizeof v, v);
        }
    }
}

/* The parts that this block was given by those of its cluster that had tiles; each group adds every second. */
__device__ static inline void add_and_store(const weighing &g)
{
    unsigned thread = threadIdx.x % TENSOR_GROUP, rank = cluster_rank(), split = blockIdx.x / g.cluster;
    unsigned given = g.shares - split * g.cluster;
    if (given > g.cluster) given = g.cluster;
    unsigned row = blockIdx.y * DY_GRANULES * TENSOR_GRANULE + thread / 32 * 16 + thread % 32 / 4;
    for (unsigned i = threadIdx.x / TENSOR_GROUP * g.cluster; i < PARTS; i += GROUPS * g.cluster) {
        const float4 *from = (const float4 *)(const void *)CUDA_SHARED() + i * PART + thread;
        float4 sum = *from;
        for (unsigned s = 1; s < given; s++) {
            float4 more = from[s * PART];
            sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
        }
        unsigned part = i + rank, tap = part / X_GRANULES;
        unsigned column = (blockIdx.z * X_GRANULES + part % X_GRANULES) * TENSOR_GRANULE + thread % 4 * 2;
        weight_store_pair(g, split, row, tap, column, sum.x, sum.y);
        weight_store_pair(g, split, row + 8, tap, column, sum.z, sum.w);
    }
}

/* A group's part of the block's work: all of it but for the other taps. Both groups meet at each barrier, which counts
 * warps, wherever they come from (PTX ISA, bar.sync). */
template <unsigned first, unsigned taps> __device__ static inline void weigh_taps(const weighing &g)
{
    weight_sums sums[taps];
    unsigned begin = blockIdx.x * g.share, end = begin + g.share < g.tiles ? begin + g.share : g.tiles;
    for (unsigned i = begin; i < begin + AHEAD; i++) {
        if (i < end) copy_tile(g, i);
        tensor_commit();
    }
    for (unsigned i = begin; i < end; i++) {
        tensor_wait<AHEAD - 1>();
        tensor_publish();
        __syncthreads();
        multiply_tile<first, taps>(sums, i, i > begin);
        if (i + AHEAD < end) copy_tile(g, i + AHEAD);
        tensor_commit();
    }
    tensor_group_wait<0>();
    cluster_meet();
    if (begin < end) hand_over<first, taps>(g, sums);
    cluster_meet();
}

/* blockIdx: share of the tiles, channels of dy, channels of x. */
static __global__ void __launch_bounds__(THREADS) weigh_grouped(weighing g)
{
    if (tensor_warp() < TENSOR_GROUP / 32) /* by threadIdx alone products would be done one by one */
        weigh_taps<0, GROUP_TAPS>(g);
    else
        weigh_taps<GROUP_TAPS, WEIGHT_TAPS - GROUP_TAPS>(g);
    add_and_store(g);
}

const weight_blocks weight_blocks_grouped = {TILE_H,  TILE_W,               DY_GRANULES,  X_GRANULES,
                                             THREADS, STAGES *STAGE_BYTES, MOST_CLUSTER, weigh_grouped};
