/* See conv_thin.h. A block keeps the weight of 64 channels in shared memory, and up to four teams of two groups of threads go
 * through tiles of 16x8 pixels, each at its own pace: a group has 8x8 of them. What a team does for a tile waits for what it
 * has just done, so the multiprocessor is busy only with the other teams' tiles, and as many of these as fit share a weight.
 * The pixels of a team's next tile are copied beside the products of this one. A norm behind it gets moments of each tile
 * (conv_moments.h), which are put together beside the next tile's products. */
#include "nn/cuda/conv_thin.h"

#include "nn/cuda/conv_moments.h"
#include "nn/cuda/conv_result.h"
#include "nn/cuda/launch.h"

enum {
    TILE_H = 16,
    TILE_W = 8,
    HALO_W = TILE_W + THIN_TAPS - 1,
    GROUPS = 2, /* of a team */
    TEAM = GROUPS * TENSOR_GROUP,
    TEAM_WARPS = TEAM / 32,
    MOST_TEAMS = 4,
    PLANE_BYTES = THIN_ROWS * TENSOR_GRANULE_BYTES,
    ROW_BYTES = HALO_W * TENSOR_GRANULE_BYTES, /* of a tile's pixels */
    TAPS_BYTES = THIN_TAPS * PLANE_BYTES,      /* of a row of the weight's */
    MOST_KERNEL = 8,                           /* rows of taps */
    LEAST_WIDE = 32
};

static_assert((int)TEAM_WARPS == MOMENTS_WARPS && (int)THIN_ROWS == MOMENTS_CHANNELS && (int)TILE_W * 2 == RESULT_ROWS);

struct thin {
    tensor_conv v;
    unsigned rows, columns, tiles; /* tiles of an image in both directions, and of all images */
    tensor_tile step;              /* from a team's tile to its next: so many images, pixels down and to the right */
    unsigned halo;                 /* pixels */
    unsigned bias_at, teams_at;    /* bytes of shared memory before them */
    unsigned result_at, moments_at, team_bytes; /* of a team's, which begins with the pixels of two tiles */
};

/* A thread's team, of how many in the block and in the grid, and its number there. */
struct thin_team {
    unsigned own, thread, count, number;
    unsigned char *shared;
};

__device__ static inline thin_team team_of(const thin &t)
{
    const unsigned own = tensor_warp() / TEAM_WARPS, in_block = blockDim.x / TEAM;
    return {own, threadIdx.x % TEAM, in_block * gridDim.x, own * gridDim.x + blockIdx.x,
            CUDA_SHARED() + t.teams_at + own * t.team_bytes};
}

__device__ static inline void copy_weight(const thin &t, tensor_address to)
{
    unsigned count = t.v.kh * THIN_TAPS * THIN_ROWS;
    const uint4 *from = (const uint4 *)t.v.weight + (size_t)blockIdx.y * count;
    for (unsigned i = threadIdx.x; i < count; i += blockDim.x) tensor_copy(to + i * TENSOR_GRANULE_BYTES, from + i, false);
}

__device__ static inline void copy_pixels(const thin &t, tensor_address to, const tensor_tile &at, unsigned thread)
{
    const picture &p = t.v.p;
    const uint4 *from = (const uint4 *)(const void *)p.data + at.image * p.h * p.w;
#pragma unroll 1
    for (unsigned i = thread; i < t.halo; i += TEAM) {
        unsigned row = at.top + i / HALO_W, column = at.left + i % HALO_W;
        bool there = row < p.h && column < p.w;
        tensor_copy(to + i * TENSOR_GRANULE_BYTES, there ? from + (size_t)row * p.w + column : from, !there);
    }
}

/* Divisions are as long as a tenth of all that is done for a tile. */
__device__ static inline void advance(const thin &t, tensor_tile *at)
{
    at->left += t.step.left;
    if (at->left >= t.columns * TILE_W) at->left -= t.columns * TILE_W, at->top += TILE_H;
    at->top += t.step.top;
    if (at->top >= t.rows * TILE_H) at->top -= t.rows * TILE_H, at->image++;
    at->image += t.step.image;
}

typedef tensor_group_sums<THIN_ROWS> sums_of_tile[1];

/* pixels: the group's. Pairs of taps beside one another; of 7x7 ones the last of each row remains, and these make pairs of two
 * rows, that of the last row with zeros: 25 products, not 28. Products in branches or in loops within loops the compiler would
 * wait for one by one. */
template <bool seven>
__device__ static inline void multiply(const thin &t, tensor_group_sums<THIN_ROWS> &sums, tensor_address pixels,
                                       tensor_address weights)
{
    enum { TAPS = seven ? 6 : THIN_TAPS };
    const unsigned rows = seven ? 7 : t.v.kh;
    tensor_matrix a = tensor_matrix_at(pixels, TENSOR_GRANULE_BYTES, ROW_BYTES);
    tensor_matrix b = tensor_matrix_at(weights, PLANE_BYTES, 8 * TENSOR_GRANULE_BYTES);
#pragma unroll 1
    for (unsigned row = 0; row < rows; row++) {
        tensor_group_begin();
#pragma unroll
        for (unsigned k = 0; k < TAPS; k += 2)
            tensor_group_multiply<false>(sums, tensor_matrix_moved(a, k * TENSOR_GRANULE_BYTES),
                                         tensor_matrix_moved(b, k * PLANE_BYTES));
        a = tensor_matrix_moved(a, ROW_BYTES);
        b = tensor_matrix_moved(b, TAPS_BYTES);
    }
    if (seven) {
        pixels += TAPS * TENSOR_GRANULE_BYTES, weights += TAPS * PLANE_BYTES;
        tensor_group_begin();
#pragma unroll
        for (unsigned row = 0; row < 7; row += 2) {
            const unsigned next_a = row < 6 ? (unsigned)ROW_BYTES : (unsigned)TENSOR_GRANULE_BYTES;
            const unsigned next_b = row < 6 ? (unsigned)TAPS_BYTES : (unsigned)PLANE_BYTES;
            a = tensor_matrix_at(pixels + row * ROW_BYTES, next_a, ROW_BYTES);
            b = tensor_matrix_at(weights + row * TAPS_BYTES, next_b, 8 * TENSOR_GRANULE_BYTES);
            tensor_group_multiply<false>(sums, a, b);
        }
    }
    tensor_group_commit();
}

/* Of a tile: which pixels a warp's rows are (conv_result.h). */
struct thin_place {
    const tensor_conv &v;
    size_t image;
    unsigned top, left; /* the warp's first */

    __device__ bool find(unsigned, unsigned k, size_t *pixel) const
    {
        const unsigned row = top + k / TILE_W, column = left + k % TILE_W;
        *pixel = (image * v.h + row) * v.w + column;
        return row < v.h && column < v.w;
    }
};

template <bool moments>
__device__ static inline void finish(const thin &t, const thin_team &team, const sums_of_tile &sums, const tensor_tile &at,
                                     conv_moments_shared *shared)
{
    const unsigned warp = tensor_warp() % TEAM_WARPS, bytes = result_bytes(t.v.halves);
    const thin_place place = {t.v, at.image, at.top + warp * 2, at.left};
    const float *bias = (const float *)(const void *)(CUDA_SHARED() + t.bias_at);
    result_finish<moments>(place, t.v, sums, bias, blockIdx.y * THIN_ROWS, team.shared + t.result_at + warp * bytes, shared);
}

/* What the team's warps left of tile `number`: after a barrier of theirs. */
__device__ static inline void store_moments(const thin &t, const thin_team &team, const conv_moments_shared &left, unsigned number)
{
    if (team.thread < MOMENTS_CHANNELS) moments_store(t.v, left, blockIdx.y * THIN_ROWS, team.thread, number);
}

/* blockIdx.x: the first tile of the block's first team; blockIdx.y: 64 channels of the result. moments: of the result are wanted.
 * seven: taps in both directions. */
template <bool moments, bool seven> static __global__ void __launch_bounds__(MOST_TEAMS * TEAM, 1) convolve_thin(thin t)
{
    const thin_team team = team_of(t);
    const tensor_address weights = tensor_shared(CUDA_SHARED()), pixels = tensor_shared(team.shared);
    const unsigned halo_bytes = t.halo * TENSOR_GRANULE_BYTES;
    const unsigned group_at = tensor_warp() / (TENSOR_GROUP / 32) % GROUPS * (TILE_H / GROUPS) * ROW_BYTES;
    conv_moments_shared *left = (conv_moments_shared *)(void *)(team.shared + t.moments_at);
    unsigned number = team.number, turn = 0;
    cuda_wait_for_others();
    copy_weight(t, weights);
    tensor_tile here = tensor_tile_at(number, t.rows, t.columns, TILE_H, TILE_W);
    if (number < t.tiles) copy_pixels(t, pixels, here, team.thread);
    tensor_commit();
    result_bring_bias<THIN_ROWS>(t.v, blockIdx.y * THIN_ROWS, (float *)(void *)(CUDA_SHARED() + t.bias_at), threadIdx.x,
                                 blockDim.x);
    tensor_wait<0>();
    tensor_publish();
    __syncthreads(); /* the weight is everybody's */
    for (; number < t.tiles; turn ^= 1) {
        tensor_wait<0>();
        tensor_publish();
        tensor_groups_meet<GROUPS>(team.own);
        sums_of_tile sums = {};
        multiply<seven>(t, sums[0], pixels + turn * halo_bytes + group_at, weights);
        const unsigned next = number + team.count;
        tensor_tile there = here;
        advance(t, &there);
        if (next < t.tiles) copy_pixels(t, pixels + (turn ^ 1) * halo_bytes, there, team.thread);
        tensor_commit();
        if (moments && number != team.number) store_moments(t, team, left[turn ^ 1], number - team.count);
        tensor_group_wait<0>();
        finish<moments>(t, team, sums, here, &left[turn]);
        number = next, here = there;
    }
    if (!moments || number == team.number) return;
    tensor_groups_meet<GROUPS>(team.own);
    store_moments(t, team, left[turn ^ 1], number - team.count);
}

bool thin_suits(const nn_call *call, size_t thin_c, size_t wide_c, size_t kh, size_t kw)
{
    return tensor_by_groups(call) && thin_c <= TENSOR_GRANULE && wide_c >= LEAST_WIDE && kh <= MOST_KERNEL &&
           kw <= THIN_TAPS;
}

static thin plan_of(const tensor_conv *conv)
{
    thin t = {};
    t.v = *conv;
    t.rows = (unsigned)cuda_divide_up(conv->h, TILE_H), t.columns = (unsigned)cuda_divide_up(conv->w, TILE_W);
    t.tiles = conv->p.images * t.rows * t.columns;
    t.halo = (TILE_H + conv->kh - 1) * HALO_W;
    t.bias_at = conv->kh * TAPS_BYTES;
    t.teams_at = t.bias_at + THIN_ROWS * (unsigned)sizeof(float);
    t.result_at = 2 * t.halo * TENSOR_GRANULE_BYTES;
    t.moments_at = t.result_at + TEAM_WARPS * result_bytes(t.v.halves);
    t.team_bytes = t.moments_at + (conv->moments ? 2 * (unsigned)sizeof(conv_moments_shared) : 0);
    return t;
}

size_t thin_conv_parts(const tensor_conv *conv)
{
    const thin t = plan_of(conv);
    return (size_t)t.rows * t.columns;
}

void thin_conv_run(const nn_call *call, const tensor_conv *conv)
{
    thin t = plan_of(conv);
    const cuda_backend *cuda = cuda_of(call);
    const unsigned wide = (unsigned)cuda_divide_up(conv->c, THIN_ROWS), processors = (unsigned)cuda->multiprocessors;
    /* A block for each multiprocessor, and then as many teams as have tiles and fit. */
    unsigned blocks = processors > wide ? processors / wide : 1;
    if (blocks > t.tiles) blocks = t.tiles;
    size_t teams = cuda_divide_up(t.tiles, blocks), fit = (cuda->shared_bytes - t.teams_at) / t.team_bytes;
    if (teams > MOST_TEAMS) teams = MOST_TEAMS;
    if (teams > fit) teams = fit;
    t.step = tensor_tile_at(blocks * (unsigned)teams, t.rows, t.columns, TILE_H, TILE_W);
    void (*kernel)(thin) = conv->moments ? convolve_thin<true, false> : convolve_thin<false, false>;
    if (conv->kh == 7 && conv->kw == 7) kernel = conv->moments ? convolve_thin<true, true> : convolve_thin<false, true>;
    cuda_launch_early(call, kernel, t, dim3(blocks, wide), dim3((unsigned)teams * TEAM), t.teams_at + teams * t.team_bytes);
}
