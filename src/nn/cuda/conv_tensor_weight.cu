/* Weight gradient of a 3x3 convolution of stride 1, by blocks of 64 channels of dy times 32 of x at all nine taps.
 *
 * The sum runs over pixels: tiles of 8x16 of them, with the border of x that the taps meet, are read into shared memory once
 * and multiplied nine times, x moved by a tap each. A block sums up its share of the tiles (`splits` shares fill the device);
 * the shares' sums are added in order by a second kernel, so that the bits are the same each time.
 *
 * Bytes from the second-level cache: for each of (dy_c / 64) (x.c / 32) blocks 64 channels of dy and 1.4 times 32 of x; of
 * the shares' sums (splits + 1) 4 dy_c 9 x.c written and read.
 */
#include "nn/cuda/conv_weight.h"

enum {
    TILE_H = 8,
    TILE_W = 16,
    HALO_W = TILE_W + WEIGHT_KERNEL - 1,
    HALO_PIXELS = (TILE_H + WEIGHT_KERNEL - 1) * HALO_W,
    DY_GRANULES = 8, /* of a block: 64 channels */
    X_GRANULES = 4,
    DY_BYTES = TILE_H * TILE_W * DY_GRANULES * TENSOR_GRANULE_BYTES,
    X_BYTES = HALO_PIXELS * X_GRANULES * TENSOR_GRANULE_BYTES,
    STAGES = 3,
    THREADS = 128, /* warps: 2 of 32 channels of dy, 2 of 16 of x */
    LEAST_CHANNELS = 32
};

/* Where a granule lies: 8 neighbouring pixels' in different banks. */
__device__ static inline unsigned dy_place(unsigned pixel, unsigned granule)
{
    return (pixel * DY_GRANULES + (granule ^ (pixel % DY_GRANULES))) * TENSOR_GRANULE_BYTES;
}

__device__ static inline unsigned x_place(unsigned pixel, unsigned granule)
{
    return (pixel * X_GRANULES + (granule ^ (pixel / 2 % X_GRANULES))) * TENSOR_GRANULE_BYTES;
}

__device__ static inline tensor_address stage(unsigned number)
{
    return tensor_shared(CUDA_SHARED()) + number % STAGES * (DY_BYTES + X_BYTES);
}

__device__ static inline void copy_granule(tensor_address to, const picture &p, size_t image, unsigned row,
                                           unsigned column, unsigned number, bool inside)
{
    const uint4 *from = (const uint4 *)(const void *)p.data;
    unsigned granules = p.c / TENSOR_GRANULE;
    bool there = inside && row < p.h && column < p.w && number < granules;
    tensor_copy(to, there ? from + ((image * p.h + row) * p.w + column) * granules + number : from, !there);
}

/* Granule `number` of pixel (i, j) of a tile. Beside the picture are zeros, in x as well: what lies there may not be a
 * number. */
__device__ static inline void copy_dy(const weighing &g, const tensor_tile &t, tensor_address to, unsigned i,
                                      unsigned j, unsigned number)
{
    unsigned row = t.top + i, column = t.left + j;
    copy_granule(to, g.v.dy, t.image, row + g.v.top, column + g.v.left, number, row < g.v.h && column < g.v.w);
}

__device__ static inline void copy_x(const weighing &g, const tensor_tile &t, tensor_address to, unsigned i,
                                     unsigned j, unsigned number)
{
    copy_granule(to, g.v.x, t.image, t.top + i, t.left + j, number, true);
}

__device__ static inline void copy_tile(const weighing &g, unsigned number)
{
    tensor_tile t = tensor_tile_at(number, g.rows, g.columns, TILE_H, TILE_W);
    tensor_address to = stage(number);
    unsigned part = threadIdx.x % DY_GRANULES;
#pragma unroll
    for (unsigned i = 0; i < TILE_H; i++) {
        unsigned j = threadIdx.x / DY_GRANULES;
        copy_dy(g, t, to + dy_place(i * TILE_W + j, part), i, j, blockIdx.x * DY_GRANULES + part);
    }
    to += DY_BYTES;
    part = threadIdx.x % X_GRANULES;
    for (unsigned pixel = threadIdx.x / X_GRANULES; pixel < HALO_PIXELS; pixel += THREADS / X_GRANULES)
        copy_x(g, t, to + x_place(pixel, part), pixel / HALO_W, pixel % HALO_W, blockIdx.y * X_GRANULES + part);
}

__device__ static inline void multiply_tile(tensor_sums (*sums)[2][2], unsigned number)
{
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    tensor_address dy = stage(number), x = dy + DY_BYTES;
#pragma unroll 1
    for (unsigned i = 0; i < TILE_H; i++) {
        tensor_fragment of_dy[2];
#pragma unroll
        for (unsigned m = 0; m < 2; m++)
            of_dy[m] = tensor_load_transposed(dy + dy_place(i * TILE_W + lane / 16 * 8 + lane % 8,
                                                            warp % 2 * 4 + m * 2 + lane / 8 % 2));
#pragma unroll
        for (unsigned tap = 0; tap < WEIGHT_TAPS; tap++) {
            unsigned pixel = (i + tap / WEIGHT_KERNEL) * HALO_W + tap % WEIGHT_KERNEL + lane % 16;
            tensor_fragment of_x = tensor_load_transposed(x + x_place(pixel, warp / 2 * 2 + lane / 16));
#pragma unroll
            for (unsigned m = 0; m < 2; m++)
#pragma unroll
                for (unsigned n = 0; n < 2; n++) tensor_multiply(sums[tap][m][n], of_dy[m], of_x, (int)n);
        }
    }
}

__device__ static inline void store_sums(const weighing &g, const tensor_sums (*sums)[2][2])
{
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    unsigned row = blockIdx.x * DY_GRANULES * TENSOR_GRANULE + warp % 2 * 32 + lane / 4;
    unsigned column = blockIdx.y * X_GRANULES * TENSOR_GRANULE + warp / 2 * 16 + lane % 4 * 2;
#pragma unroll
    for (unsigned m = 0; m < 4; m++) /* of 8 rows */
#pragma unroll
        for (unsigned tap = 0; tap < WEIGHT_TAPS; tap++)
#pragma unroll
            for (unsigned n = 0; n < 2; n++) {
                const float *part = sums[tap][m / 2][n].part + m % 2 * 2;
                weight_store_pair(g, blockIdx.z, row + m * 8, tap, column + n * 8, part[0], part[1]);
            }
}

/* blockIdx: channels of dy, channels of x, share of the tiles. */
static __global__ void __launch_bounds__(THREADS) weigh(weighing g)
{
    tensor_sums sums[WEIGHT_TAPS][2][2] = {};
    unsigned begin = blockIdx.z * g.share, end = begin + g.share < g.tiles ? begin + g.share : g.tiles;
    for (unsigned i = begin; i < begin + STAGES - 1; i++) {
        if (i < end) copy_tile(g, i);
        tensor_commit();
    }
    for (unsigned i = begin; i < end; i++) {
        tensor_wait<STAGES - 2>();
        __syncthreads();
        if (i + STAGES - 1 < end) copy_tile(g, i + STAGES - 1);
        tensor_commit();
        multiply_tile(sums, i);
    }
    store_sums(g, sums);
}

static __global__ void add_shares(weighing g)
{
    for (size_t i = cuda_first(); i < g.count / 4; i += cuda_step()) {
        float4 sum = ((const float4 *)(const void *)g.sums)[i];
        for (unsigned s = 1; s < g.splits; s++) {
            float4 more = ((const float4 *)(const void *)(g.sums + s * g.count))[i];
            sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
        }
        ((float4 *)(void *)g.v.dw)[i] = sum;
    }
}

const weight_blocks weight_blocks_warps = {TILE_H,  TILE_W,                        DY_GRANULES, X_GRANULES,
                                           THREADS, STAGES *(DY_BYTES + X_BYTES), 1,           weigh};

bool tensor_weight_grad_suits(size_t x_channels, size_t dy_channels, size_t kh, size_t kw)
{
    return kh == WEIGHT_KERNEL && kw == WEIGHT_KERNEL && x_channels >= LEAST_CHANNELS && dy_channels >= LEAST_CHANNELS;
}

static const weight_blocks *blocks_for(const nn_call *call)
{
    return cuda_has_groups(cuda_of(call)) ? &weight_blocks_grouped : &weight_blocks_warps;
}

static size_t blocks_of(size_t channels, size_t granules)
{
    return cuda_divide_up(channels, granules * TENSOR_GRANULE);
}

/* Shares that fill the device where `pairs` blocks have one each. */
static size_t shares_of(const nn_call *call, const weight_blocks *cut, size_t pairs, unsigned cluster)
{
    size_t places = cluster > 1 ? cuda_clusters_at_once(call, cut->kernel, dim3(cut->threads), cut->shared, cluster)
                                : cuda_of(call)->multiprocessors;
    return places / pairs * cluster;
}

/* The largest clusters that do not make a share longer by more than an eighth. */
static void cut_shares(const nn_call *call, const weight_blocks *cut, size_t pairs, weighing *g)
{
    size_t most = shares_of(call, cut, pairs, 1), shortest = cuda_divide_up(g->tiles, most > 0 ? most : 1);
    for (g->cluster = cut->most_cluster;; g->cluster /= 2) {
        size_t shares = shares_of(call, cut, pairs, g->cluster);
        g->share = (unsigned)cuda_divide_up(g->tiles, shares > 0 ? shares : 1);
        if (g->cluster == 1 || (shares > 0 && g->share * 8 <= shortest * 9)) break;
    }
    g->shares = (unsigned)cuda_divide_up(g->tiles, g->share);
    g->splits = (unsigned)cuda_divide_up(g->shares, g->cluster);
}

static weighing weighing_of(const nn_call *call, const weight_blocks *cut, const tensor_weight_grad *grad)
{
    weighing g = {};
    g.v = *grad;
    g.rows = (unsigned)cuda_divide_up(grad->h, cut->tile_h), g.columns = (unsigned)cuda_divide_up(grad->w, cut->tile_w);
    g.tiles = grad->x.images * g.rows * g.columns;
    g.count = (size_t)grad->dy_c * WEIGHT_TAPS * grad->x.c;
    cut_shares(call, cut, blocks_of(grad->dy_c, cut->dy_granules) * blocks_of(grad->x.c, cut->x_granules), &g);
    return g;
}

size_t tensor_weight_grad_workspace(const nn_call *call, const tensor_weight_grad *grad)
{
    weighing g = weighing_of(call, blocks_for(call), grad);
    return g.splits > 1 ? g.splits * g.count * sizeof(float) : 0;
}

void tensor_weight_grad_run(const nn_call *call, const tensor_weight_grad *grad)
{
    const weight_blocks *cut = blocks_for(call);
    weighing g = weighing_of(call, cut, grad);
    unsigned of_dy = (unsigned)blocks_of(grad->dy_c, cut->dy_granules);
    unsigned of_x = (unsigned)blocks_of(grad->x.c, cut->x_granules);
    g.sums = g.splits > 1 ? (float *)call->workspace : grad->dw;
    if (cut->most_cluster > 1)
        cuda_launch_cluster(call, cut->kernel, g, dim3(g.splits * g.cluster, of_dy, of_x), dim3(cut->threads), cut->shared,
                            g.cluster);
    else
        cuda_launch_shared(call, cut->kernel, g, dim3(of_dy, of_x, g.shares), dim3(cut->threads), cut->shared);
    if (g.splits > 1) cuda_launch_flat(call, add_shares, g, g.count / 4);
}
