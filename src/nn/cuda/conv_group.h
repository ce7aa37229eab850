/* What conv_group.cu's kernels and the choice among them share: tiles, windows, phases. */
#ifndef NN_CUDA_CONV_GROUP_H
#define NN_CUDA_CONV_GROUP_H

#include "nn/cuda/bulk.h"
#include "nn/cuda/conv_result.h"
#include "nn/cuda/tensor_group.h"

enum {
    TILE_H = 16, /* twice that where it is wide */
    TILE_W = 8,
    CHUNK = 8, /* granules of a pixel that are there at once: 64 channels */
    WARP = 32,
    GROUPS = 2,
    MULTIPLIERS = GROUPS * TENSOR_GROUP / WARP,
    COPIERS = 2,
    THREADS = (GROUPS + 1) * TENSOR_GROUP,
    LAUNCH_REGISTERS = 168,                /* of each thread of a block that is alone: 65536 over THREADS, in eights */
    MULTIPLIER_REGISTERS = 232,            /* then: all that three groups have */
    COPIER_REGISTERS = 40,
    ROWS = 64,                             /* channels of the result in a block of the weight */
    PLANE_BYTES = ROWS * TENSOR_GRANULE_BYTES,
    BLOCK_BYTES = CHUNK * PLANE_BYTES,
    ALL = 4,          /* phases */
    MOST_STAGES = 16, /* of the weight */
    MOST_WINDOWS = 4, /* of the picture */
    BARRIERS = 2 * MOST_STAGES + 2 * MOST_WINDOWS + 4,
    BARRIER_BYTES = 512,     /* with what aligns the rest */
    BIAS_BYTES = 512,
    MOST_SHARED = 113 << 10, /* two blocks: of a multiprocessor's 228 KiB 1 for each is the system's */
    MOST_SHARED_ALONE = 227 << 10
};
static_assert(BARRIERS * BULK_BARRIER_BYTES <= BARRIER_BYTES && MULTIPLIERS == CHUNK && MULTIPLIERS % COPIERS == 0);
static_assert(GROUPS * MULTIPLIER_REGISTERS + COPIER_REGISTERS <= (GROUPS + 1) * LAUNCH_REGISTERS);
static_assert(MULTIPLIERS + COPIERS + 2 == THREADS / WARP && 2 * ROWS * (int)sizeof(float) <= BIAS_BYTES);

/* Whether a block of this kernel starts with so many. With fewer, what its copiers give is less than its multipliers take, and
 * these would wait for ever. Launch bounds only say the most that ptxas may use, and nothing the least: so the device is asked
 * about the very code that it is to run, whichever compiler it is from, before each launch (a replay asks no more). */
template <typename A> static bool has_launch_registers(const nn_call *call, void (*kernel)(A))
{
    cudaFuncAttributes found = {};
    error *failure = &cuda_of(call)->failure;
    if (!cuda_note_call(call, "cudaFuncGetAttributes", cudaFuncGetAttributes(&found, kernel))) return false;
    if (found.numRegs < LAUNCH_REGISTERS && failure->code == STATUS_OK)
        error_set(failure, STATUS_FAILED, "cuda: %s: its kernel was compiled to %d registers a thread and would hang with fewer "
                  "than %d: build it with another nvcc", nn_op_name(call->op), found.numRegs, LAUNCH_REGISTERS);
    return found.numRegs >= LAUNCH_REGISTERS;
}

struct grouped {
    tensor_conv v;
    unsigned rows, columns;    /* tiles of an image */
    unsigned granules, chunks; /* of a pixel of the picture */
    unsigned halo_w, halo_pixels, halo_step; /* of a window; step: granules from plane to plane */
    unsigned tiles, places;    /* of all images; so many at once, where a block takes one after the other */
    unsigned windows, stages;  /* of the picture and of the weight, in shared memory */
};

/* Stages of the weight or windows of the picture in turn, and the parity of their uses. */
struct turn {
    unsigned at, parity;
    __device__ void advance(unsigned count)
    {
        if (++at == count) at = 0, parity ^= 1;
    }
};

/* A stage's weight: one tap of 64 channels for `width` blocks of the result's, which are `apart` bytes from one another and come
 * to lie as one with more rows. By one thread; of more than one block by a warp, whose lanes bring a plane each. */
template <unsigned width>
__device__ static inline void bring_stage(tensor_address to, const unsigned char *from, size_t apart, tensor_address full)
{
    if (width == 1) {
        bulk_expect(full, BLOCK_BYTES);
        bulk_copy(to, from, BLOCK_BYTES, full);
        return;
    }
    const unsigned lane = threadIdx.x % WARP;
    if (lane == 0) bulk_expect(full, width * BLOCK_BYTES);
    __syncwarp();
    from += lane % width * apart + lane / width * PLANE_BYTES;
    if (lane < CHUNK * width) bulk_copy(to + lane * PLANE_BYTES, from, PLANE_BYTES, full);
}

/* sums += pixels times a stage's weight, of `width` blocks beside one another, for each group of 8x8 pixels, which lie `apart`
 * bytes from one another; plane: bytes from granule to granule of a pixel. Started, as one group of products. */
template <unsigned width, unsigned height>
__device__ static inline void multiply_stage(tensor_group_sums<width * ROWS> (&sums)[height], tensor_matrix pixels, unsigned apart,
                                             unsigned plane, tensor_address stage)
{
    const tensor_matrix weight = tensor_matrix_at(stage, width * PLANE_BYTES, 8 * TENSOR_GRANULE_BYTES);
    tensor_group_begin();
#pragma unroll
    for (unsigned part = 0; part < height; part++)
#pragma unroll
        for (unsigned k = 0; k < CHUNK; k += 2)
            tensor_group_multiply<false>(sums[part], tensor_matrix_moved(pixels, part * apart + k * plane),
                                         tensor_matrix_moved(weight, k * width * PLANE_BYTES));
    tensor_group_commit();
}

/* Stores a tile's result, and its moments as part number `number` of all images', through `space` in shared memory: of each
 * warp's result_bytes, then of moments. By MULTIPLIERS; parity: of the block's tiles, that what the one before left is gone. */
template <bool moments, typename B, int columns, unsigned parts>
__device__ static inline void finish_tile(const B &block, const tensor_conv &v, const tensor_group_sums<columns> (&sums)[parts],
                                          unsigned char *space, unsigned parity, size_t number)
{
    const unsigned bytes = result_bytes(v.halves);
    conv_moments_shared *shared = (conv_moments_shared *)(void *)(space + MULTIPLIERS * bytes);
    if (moments) bulk_wait(block.moments_empty(), parity ^ 1);
    result_finish<moments>(block, v, sums, block.bias(), block.first, space + block.warp * bytes, shared);
    if (!moments) return;
    __syncwarp();
    bulk_arrive_warp(block.lane, block.moments_left());
    if (block.warp < columns / WARP) {
        const unsigned k = threadIdx.x / MOMENTS_CHANNELS, own = threadIdx.x % MOMENTS_CHANNELS;
        bulk_wait(block.moments_left(), parity);
        moments_store(v, shared[k], block.first + k * MOMENTS_CHANNELS, own, number);
    }
    __syncwarp();
    bulk_arrive_warp(block.lane, block.moments_empty());
}

/* One side of a phase. Result pixel x = 2 i + parity meets source pixel o at tap a where x = 2 o + a - padding: at the taps
 * first, first + 2, ... last, where first is 0 or 1 and makes parity + padding - first even, the source's pixels
 * i + (parity + padding - a) / 2. So a window of `taps` pixels begins at i + shift with the last tap. */
struct phase {
    unsigned parity, taps, last;
    int shift;
};

__host__ __device__ static inline phase phase_of(unsigned first, unsigned kernel, unsigned padding)
{
    phase p = {};
    p.parity = (first + padding) % 2;
    p.taps = (kernel + 1 - first) / 2;
    p.last = first + 2 * (p.taps - 1);
    p.shift = ((int)(p.parity + padding) - (int)p.last) / 2; /* which is even */
    return p;
}

/* The same side of both: where a window of `taps` pixels begins that has those of either. */
__host__ __device__ static inline phase phases_of(unsigned kernel, unsigned padding)
{
    const phase a = phase_of(0, kernel, padding), b = phase_of(1, kernel, padding);
    const int a_end = a.shift + (int)a.taps, b_end = b.shift + (int)b.taps;
    phase both = {};
    both.shift = a.shift < b.shift ? a.shift : b.shift;
    both.taps = (unsigned)((a_end > b_end ? a_end : b_end) - both.shift);
    return both;
}

__host__ __device__ static inline unsigned halo_bytes(const grouped &d)
{
    return CHUNK * d.halo_step * TENSOR_GRANULE_BYTES;
}

/* What a block's pixels are: a tile; as many that follow on one another in the picture, beyond whose row's end come some
 * that no result belongs to; twice as many of either, times twice as many channels; a tile of a phase; the same tile of all
 * phases. */
enum pixels { TILES, RUNS, WIDE_TILES, WIDE_RUNS, PHASES, ALL_PHASES };

__host__ __device__ static constexpr bool is_runs(pixels kind) { return kind == RUNS || kind == WIDE_RUNS; }
__host__ __device__ static constexpr bool is_wide(pixels kind) { return kind == WIDE_TILES || kind == WIDE_RUNS; }
__host__ __device__ static constexpr bool is_phases(pixels kind) { return kind == PHASES || kind == ALL_PHASES; }
/* Groups of 8x8 pixels of a thread group that meet the same weight. */
__host__ __device__ static constexpr unsigned height_of(pixels kind) { return is_wide(kind) ? 2 : 1; }
/* Blocks of the weight beside one another, 64 channels each. */
__host__ __device__ static constexpr unsigned width_of(pixels kind) { return is_wide(kind) ? 2 : 1; }
/* Sums of 64 pixels that a thread group has. */
__host__ __device__ static constexpr unsigned parts_of(pixels kind) { return kind == ALL_PHASES ? (unsigned)ALL : height_of(kind); }
/* Whether a block has a multiprocessor for itself. It takes tile after tile then. */
__host__ __device__ static constexpr bool is_alone(pixels kind) { return parts_of(kind) > 1; }

/* What is stored and its moments, where the next tile's windows and weights come meanwhile; elsewhere it takes their place. */
__host__ __device__ static inline unsigned result_space(pixels kind, bool halves)
{
    if (!is_alone(kind)) return 0;
    return MULTIPLIERS * result_bytes(halves) + width_of(kind) * (unsigned)sizeof(conv_moments_shared);
}

static inline unsigned fixed_bytes(const grouped &d, pixels kind)
{
    return BARRIER_BYTES + BIAS_BYTES + result_space(kind, d.v.halves) + d.windows * halo_bytes(d);
}

/* Bytes of the weight that are there at once: one tap of 64 channels. */
__host__ __device__ static constexpr unsigned stage_bytes(pixels kind) { return BLOCK_BYTES * width_of(kind); }

/* Which kernel takes it, and how: conv_group_plan.cu. */
grouped plan_grouped(const nn_call *call, const tensor_conv *conv, pixels *kind);

#endif
