/* See conv_stride.h. As in conv_group.cu two groups of threads multiply windows of the picture, in shared memory, tap by tap,
 * while other warps copy; the barriers are the same, and so is the order of granules.
 *
 * Rows of a product have to be neighbours in a window, and results that are neighbours meet every second pixel. So a block
 * takes the picture for four: its odd or even rows and columns, of which each is met, at stride 1, by every second tap down and
 * across: those of 3x3 are 2x2, 2x1, 1x2 and 1x1. A window is of 64 channels of one of the four, and the next window's are of
 * the next one. All are about as large, but some have four taps and some one: four windows are in shared memory at once, so
 * that copies go on all the time. A gathered matrix has 2.25 times as many bytes as the picture, which are written and read
 * once more: for eight pictures, 128x128x128 of 256x256x64, gathers took 78 us of an H200 and products another 50.
 *
 * A block takes 16x8 pixels times 64 channels of the result, and two share a multiprocessor. That is 145 KB to copy for
 * 9.4 MFLOP of 3x3 from 64 channels, 300 MB for the pictures above, which take the second-level cache 54 us. So where they
 * fill the device, blocks are of 32x8 pixels times 128 channels, 288 KB for four times the work, and have a multiprocessor
 * each. Their products read shared memory less as well: 6 KB for 64x128x16 where others read 4 KB for half of that. No other
 * block computes while one of these begins or stores. So it takes tile after tile, and the next one's windows and weights are
 * copied while it stores.
 */
#include "nn/cuda/conv_stride.h"

#include "nn/cuda/conv_group.h"
#include "nn/cuda/conv_moments.h"
#include "nn/cuda/conv_result.h"
#include "nn/cuda/launch.h"

enum {
    PARITIES = 4, /* of a picture's rows and columns */
    LEAST_WINDOWS = 3,
    LEAST_STAGES = 4,
    MOST_AHEAD = 8, /* stages of the weight */
    WINDOW_BARRIERS = 2 * MOST_AHEAD,
    LAST_BARRIERS = WINDOW_BARRIERS + 2 * MOST_WINDOWS,
    STRIDE_BARRIER_BYTES = 224 /* with what aligns the rest */
};
static_assert((LAST_BARRIERS + 4) * BULK_BARRIER_BYTES <= STRIDE_BARRIER_BYTES);

struct striding {
    tensor_conv v;
    unsigned rows, columns;    /* tiles of an image */
    unsigned tiles, places;    /* of all images; so many at once, where a block takes one after the other */
    unsigned granules, chunks; /* of a pixel of the picture */
    unsigned plane;            /* granules of a window from plane to plane */
    unsigned windows, stages;  /* of the picture and of the weight, in shared memory */
};

/* One side of a window: taps that are met by the pixels of that parity. */
__host__ __device__ static inline unsigned taps_of(unsigned kernel, unsigned parity) { return (kernel + 1 - parity) / 2; }

__host__ __device__ static inline unsigned window_bytes(const striding &d)
{
    return CHUNK * d.plane * TENSOR_GRANULE_BYTES;
}

/* One block's place and memory. A thread has `size` groups of 8x8 pixels, `size` times 64 channels of each. */
template <unsigned size, bool moments> struct stride_tile {
    enum { COLUMNS = size * ROWS, STAGE_BYTES = size * BLOCK_BYTES, RESULT_AT = STRIDE_BARRIER_BYTES + COLUMNS * sizeof(float) };
    static_assert(size == 1 || size == 2);
    typedef tensor_group_sums<COLUMNS> sums_of_tile[size];
    const striding &d;
    unsigned tile, first; /* first: channel of the result */
    unsigned warp, lane;
    tensor_address barriers, windows, weights;

    __device__ stride_tile(const striding &v) : d(v)
    {
        tile = blockIdx.x, first = blockIdx.y * COLUMNS;
        warp = tensor_warp(), lane = threadIdx.x % WARP;
        barriers = tensor_shared(CUDA_SHARED());
        windows = barriers + first_window(v.v.halves);
        weights = windows + d.windows * window_bytes(d);
    }

    /* In the result. */
    __device__ tensor_tile place() const { return tensor_tile_at(tile, d.rows, d.columns, TILE_H * size, TILE_W); }

    /* Whether there is one. */
    __device__ bool go_to_next()
    {
        tile += gridDim.x;
        return tile < d.tiles;
    }

    /* Behind barriers and bias, and what is stored and its moments where a block goes on meanwhile, where 32 banks begin. */
    __host__ __device__ static unsigned first_window(bool halves)
    {
        const unsigned banks = 128, result = MULTIPLIERS * result_bytes(halves);
        const unsigned more = moments ? size * (unsigned)sizeof(conv_moments_shared) : 0;
        return (RESULT_AT + (size > 1 ? result + more : 0) + banks - 1) / banks * banks;
    }

    /* Of window `number`: taps, and pixels of a line. */
    __device__ unsigned count() const { return d.chunks * PARITIES; }
    __device__ unsigned taps_down(unsigned number) const { return taps_of(d.v.kh, number / 2 % 2); }
    __device__ unsigned taps_across(unsigned number) const { return taps_of(d.v.kw, number % 2); }
    __device__ unsigned line(unsigned number) const { return TILE_W + taps_across(number) - 1; }
    __device__ unsigned plane_bytes() const { return d.plane * TENSOR_GRANULE_BYTES; }

    /* A stage's weight is there; this block is done with it. The same of a window. */
    __device__ tensor_address full(unsigned stage) const { return barriers + stage * BULK_BARRIER_BYTES; }
    __device__ tensor_address empty(unsigned stage) const { return full(MOST_AHEAD + stage); }
    __device__ tensor_address window_full(unsigned at) const { return full(WINDOW_BARRIERS + at); }
    __device__ tensor_address window_empty(unsigned at) const { return window_full(MOST_WINDOWS + at); }
    /* All warps have left their moments; all have put them together. */
    __device__ tensor_address moments_left() const { return full(LAST_BARRIERS); }
    __device__ tensor_address moments_empty() const { return full(LAST_BARRIERS + 1); }
    __device__ tensor_address bias_there() const { return full(LAST_BARRIERS + 2); }
    /* All products of a block with one tile are done. */
    __device__ tensor_address multiplied() const { return full(LAST_BARRIERS + 3); }
    __device__ float *bias() const { return (float *)(void *)(CUDA_SHARED() + STRIDE_BARRIER_BYTES); }

    __device__ void make_barriers() const
    {
        for (unsigned i = 0; i < d.stages; i++) {
            bulk_make(full(i), 1);
            bulk_make(empty(i), MULTIPLIERS * BULK_WARP);
        }
        for (unsigned i = 0; i < d.windows; i++) {
            bulk_make(window_full(i), MULTIPLIERS * BULK_WARP);
            bulk_make(window_empty(i), MULTIPLIERS * BULK_WARP);
        }
        bulk_make(bias_there(), BULK_WARP);
        bulk_make(multiplied(), MULTIPLIERS * BULK_WARP);
        if (moments) {
            bulk_make(moments_left(), MULTIPLIERS * BULK_WARP);
            bulk_make(moments_empty(), MULTIPLIERS * BULK_WARP);
        }
        bulk_made();
    }

    /* A warp's part of a window's pixels if `of` warps copy it: a lane has a granule of every APART-th pixel. Zeros where
     * there are none. What a lane does for each is little: two warps have all windows to copy. */
    template <unsigned of> __device__ void copy_window(unsigned number, unsigned at, unsigned part) const
    {
        enum { AT_ONCE = WARP / CHUNK, APART = of * AT_ONCE };
        const picture &p = d.v.p;
        const tensor_tile tile_at = place();
        const unsigned granule = number / PARITIES * CHUNK + lane % CHUNK;
        const unsigned i = 2 * tile_at.top + number / 2 % 2, j = 2 * tile_at.left + number % 2; /* its first pixel */
        const unsigned rows = i < p.h && granule < d.granules ? (p.h - i + 1) / 2 : 0, columns = j < p.w ? (p.w - j + 1) / 2 : 0;
        const unsigned w = line(number), rows_on = APART / w, columns_on = APART % w;
        const unsigned end = (TILE_H * size + taps_down(number) - 1) * w;
        unsigned pixel = part * AT_ONCE + lane / CHUNK, row = pixel / w, column = pixel % w;
        const size_t to_right = 2 * d.granules, to_below = p.w * to_right, wrap = to_below - w * to_right;
        const size_t on = rows_on * to_below + columns_on * to_right;
        size_t from = ((tile_at.image * p.h + i) * p.w + j) * d.granules + granule + row * to_below + column * to_right;
        const uint4 *data = (const uint4 *)(const void *)p.data;
        const tensor_address to = windows + at * window_bytes(d) + lane % CHUNK * plane_bytes();
        while (pixel < end) {
            const bool there = row < rows && column < columns;
            tensor_copy(to + pixel * TENSOR_GRANULE_BYTES, data + (there ? from : 0), !there);
            pixel += APART, row += rows_on, column += columns_on, from += on;
            if (column >= w) column -= w, row++, from += wrap;
        }
        tensor_commit();
    }

    /* What the warp has copied, but for its latest `pending` windows, is there: window `at` of them. */
    template <unsigned of, int pending> __device__ void publish_window(unsigned at) const
    {
        tensor_wait<pending>();
        tensor_publish();
        __syncwarp();
        bulk_arrive_warp(lane, window_full(at), MULTIPLIERS / of);
    }

    /* COPIERS, of all windows but the first. One is published when the next one is under way: what that one waits for, the
     * end of products with the window in its place before, needs no more than the LEAST_WINDOWS - 1 before it. */
    __device__ void bring_picture()
    {
        turn now = {1, 0}, before = {};
        unsigned number = 1;
        bool under_way = false;
        do {
            for (; number < count(); number++) {
                bulk_wait(window_empty(now.at), now.parity ^ 1);
                copy_window<COPIERS>(number, now.at, warp - MULTIPLIERS);
                if (under_way) publish_window<COPIERS, 1>(before.at);
                under_way = true, before = now;
                now.advance(d.windows);
            }
            number = 0;
        } while (go_to_next());
        publish_window<COPIERS, 0>(before.at);
    }

    /* The warp beside them. */
    __device__ void bring_bias() const
    {
        result_bring_bias<COLUMNS>(d.v, first, bias(), lane, WARP);
        __syncwarp();
        bulk_arrive_warp(lane, bias_there());
    }

    /* One thread, or a warp: bring_stage's. */
    __device__ void bring_weight()
    {
        const unsigned taps = d.v.kh * d.v.kw;
        const size_t apart = (size_t)d.chunks * taps * BLOCK_BYTES;
        const unsigned char *weight = (const unsigned char *)d.v.weight + blockIdx.y * size * apart;
        turn now = {};
        do {
            for (unsigned number = 0; number < count(); number++)
                for (unsigned a = number / 2 % 2; a < d.v.kh; a += 2)
                    for (unsigned b = number % 2; b < d.v.kw; b += 2) {
                        const size_t block = number / PARITIES * taps + a * d.v.kw + b;
                        bulk_wait(empty(now.at), now.parity ^ 1);
                        bring_stage<size>(weights + now.at * STAGE_BYTES, weight + block * BLOCK_BYTES, apart, full(now.at));
                        now.advance(d.stages);
                    }
        } while (go_to_next());
    }

    /* The pixels that a window's first tap meets, of this group's. */
    __device__ tensor_matrix pixels_at(unsigned number, unsigned at) const
    {
        const unsigned first_pixel = warp / (TENSOR_GROUP / WARP) * (TILE_H / GROUPS * size) * line(number);
        return tensor_matrix_at(windows + at * window_bytes(d) + first_pixel * TENSOR_GRANULE_BYTES, plane_bytes(),
                                line(number) * TENSOR_GRANULE_BYTES);
    }

    /* This warp is done with them; one that leaves a window gives it back with the stage. */
    __device__ void give_back(unsigned stage, bool leaves, unsigned window) const
    {
        __syncwarp();
        bulk_arrive_warp(lane, empty(stage));
        if (leaves) bulk_arrive_warp(lane, window_empty(window));
    }

    /* A tile. A tap's products run while the next one's are started; what they have read is given back then. Loops are such
     * as conv_group.cu's. */
    __device__ void multiply_all(sums_of_tile &sums, turn &stage, turn &window) const
    {
        turn stage_before = stage, window_before = window;
        unsigned number = 0;
        do {
            const unsigned width = taps_across(number), taps = taps_down(number) * width;
            const unsigned apart = TILE_H / GROUPS * line(number) * TENSOR_GRANULE_BYTES;
            tensor_matrix pixels = pixels_at(number, window.at);
            unsigned tap = 0, b = 0;
            bulk_wait(window_full(window.at), window.parity);
            do {
                bulk_wait(full(stage.at), stage.parity);
                multiply_stage<size>(sums, pixels, apart, plane_bytes(), weights + stage.at * STAGE_BYTES);
                tensor_group_wait<1>();
                if (number + tap > 0) give_back(stage_before.at, tap == 0, window_before.at);
                stage_before = stage;
                stage.advance(d.stages);
                bool last = ++b == width;
                pixels = tensor_matrix_moved(pixels, (last ? line(number) + 1 - width : 1) * TENSOR_GRANULE_BYTES);
                if (last) b = 0;
            } while (++tap < taps);
            window_before = window;
            window.advance(d.windows);
        } while (++number < count());
        tensor_group_wait<0>();
        give_back(stage_before.at, true, window_before.at);
    }

    /* Number `k` of this warp's 16 pixels of group `part`: whether it exists, and which it is of y. */
    __device__ bool find(unsigned part, unsigned k, size_t *pixel) const
    {
        const unsigned group = warp / (TENSOR_GROUP / WARP), rows = TILE_H / GROUPS;
        const tensor_tile at = place();
        const unsigned row = at.top + (group * size + part) * rows + warp % (TENSOR_GROUP / WARP) * 2 + k / TILE_W;
        const unsigned column = at.left + k % TILE_W;
        *pixel = (at.image * d.v.h + row) * d.v.w + column;
        return row < d.v.h && column < d.v.w;
    }

    /* Where the result goes through. A block of one tile has the windows' place for it when all warps have read them. */
    __device__ unsigned char *await_space() const
    {
        bulk_wait(bias_there(), 0);
        if (size > 1) return CUDA_SHARED() + RESULT_AT;
        __syncwarp();
        bulk_arrive_warp(lane, multiplied());
        bulk_wait(multiplied(), 0);
        return CUDA_SHARED() + first_window(d.v.halves);
    }

    /* MULTIPLIERS. */
    __device__ void multiply_tiles()
    {
        turn stage = {}, window = {};
        unsigned parity = 0;
        do {
            sums_of_tile sums = {};
            multiply_all(sums, stage, window);
            finish_tile<moments>(*this, d.v, sums, await_space(), parity, tile);
            parity ^= 1;
        } while (go_to_next());
    }
};

/* blockIdx.x: the first tile; blockIdx.y: channels of the result. */
template <unsigned size, bool moments>
static __global__ void __launch_bounds__(THREADS, size == 1 ? 2 : 1) convolve_strided(striding d)
{
    stride_tile<size, moments> t(d);
    if (threadIdx.x == THREADS - 1) t.make_barriers();
    cuda_wait_for_others();
    if (t.warp < MULTIPLIERS) t.template copy_window<MULTIPLIERS>(0, 0, t.warp);
    __syncthreads();
    if (size > 1 && t.warp >= MULTIPLIERS) tensor_group_give_registers<COPIER_REGISTERS>();
    if (t.warp < MULTIPLIERS) {
        if (size > 1) tensor_group_take_registers<MULTIPLIER_REGISTERS>();
        t.template publish_window<MULTIPLIERS, 0>(0);
        t.multiply_tiles();
    } else if (t.warp < MULTIPLIERS + COPIERS) {
        t.bring_picture();
    } else if (t.warp == MULTIPLIERS + COPIERS) {
        t.bring_bias();
    } else if (threadIdx.x >= THREADS - (size > 1 ? WARP : 1)) {
        t.bring_weight();
    }
}

enum { LARGE = 2 };

static striding plan_of_size(const nn_call *call, const tensor_conv &conv, unsigned size)
{
    striding d = {};
    d.v = conv;
    d.rows = (unsigned)cuda_divide_up(conv.h, TILE_H * size), d.columns = (unsigned)cuda_divide_up(conv.w, TILE_W);
    d.tiles = d.places = conv.p.images * d.rows * d.columns;
    const size_t at_once = cuda_of(call)->multiprocessors / cuda_divide_up(conv.c, size * ROWS);
    if (size == LARGE && at_once < d.tiles) d.places = at_once > 0 ? (unsigned)at_once : 1;
    d.granules = conv.p.c / TENSOR_GRANULE, d.chunks = (unsigned)cuda_divide_up(d.granules, CHUNK);
    /* Odd, so that granules of a pixel go to different banks. */
    d.plane = ((TILE_H * size + taps_of(conv.kh, 0) - 1) * (TILE_W + taps_of(conv.kw, 0) - 1)) | 1;
    /* There is room for three stages where blocks are small: of kernels that tensor_conv_suits lets pass none has windows of
     * more than 225 pixels (2x13). */
    const unsigned shared = size == 1 ? MOST_SHARED - stride_tile<1, true>::first_window(conv.halves)
                                      : MOST_SHARED_ALONE - stride_tile<LARGE, true>::first_window(conv.halves);
    const unsigned stage = size * BLOCK_BYTES;
    d.windows = MOST_WINDOWS * window_bytes(d) + LEAST_STAGES * stage <= shared ? (unsigned)MOST_WINDOWS : (unsigned)LEAST_WINDOWS;
    d.stages = (shared - d.windows * window_bytes(d)) / stage;
    if (d.stages > MOST_AHEAD) d.stages = MOST_AHEAD;
    return d;
}

/* Whether windows leave room for so much of the weight that a stage is free when products with the next one have begun: those
 * of 2x13 do not. Of a result in floats: a norm asks for parts before it is known whether it is. */
static bool large_fit(const striding &large)
{
    enum { NEEDED_STAGES = 2 };
    return stride_tile<LARGE, true>::first_window(false) + LEAST_WINDOWS * window_bytes(large) + NEEDED_STAGES * LARGE * BLOCK_BYTES <=
           MOST_SHARED_ALONE;
}

static size_t blocks_of(const striding &d, unsigned size) { return d.tiles * cuda_divide_up(d.v.c, size * ROWS); }

/* Large blocks where hardly any pixels or channels of theirs are for nothing, where with the last ones a quarter of the
 * device is idle at most, and where there is room. */
static striding plan_strided(const nn_call *call, const tensor_conv *conv, unsigned *size)
{
    enum { WASTED = 8 /* one of so many */ };
    const striding small = plan_of_size(call, *conv, 1), large = plan_of_size(call, *conv, LARGE);
    const size_t processors = cuda_of(call)->multiprocessors, blocks = blocks_of(large, LARGE);
    const size_t needed = blocks_of(small, 1), taken = blocks * LARGE * LARGE;
    const bool fills = 4 * blocks >= 3 * cuda_divide_up(large.tiles, large.places) * processors;
    const bool whole = cuda_divide_up(conv->c, ROWS) % LARGE == 0 && taken <= needed + needed / WASTED;
    *size = fills && whole && large_fit(large) ? LARGE : 1;
    return *size == LARGE ? large : small;
}

/* A block takes a third of a microsecond of an H200 for a tap of 64 channels. A gather, a product that shares its sums among
 * blocks and the sum of those take 12 at least: longer than few blocks unless these have many taps. */
bool stride_conv_suits(const nn_call *call, const tensor_conv *conv)
{
    enum { FEW = 4, SHORT = 36 };
    if (!tensor_phases_suit(call, conv->p.c, conv->c, conv->kh, conv->kw)) return false;
    const striding d = plan_of_size(call, *conv, 1);
    return d.chunks * conv->kh * conv->kw <= SHORT || FEW * blocks_of(d, 1) >= cuda_of(call)->multiprocessors;
}

template <unsigned size, bool moments> static void launch(const nn_call *call, const striding &d)
{
    if (size > 1 && !has_launch_registers(call, convolve_strided<size, moments>)) return;
    cuda_launch_early(call, convolve_strided<size, moments>, d,
                      dim3(d.places, (unsigned)cuda_divide_up(d.v.c, size * ROWS)), dim3(THREADS),
                      stride_tile<size, moments>::first_window(d.v.halves) + d.windows * window_bytes(d) + d.stages * size * BLOCK_BYTES);
}

void stride_conv_run(const nn_call *call, const tensor_conv *conv)
{
    unsigned size;
    const striding d = plan_strided(call, conv, &size);
    if (size == LARGE)
        conv->moments ? launch<LARGE, true>(call, d) : launch<LARGE, false>(call, d);
    else
        conv->moments ? launch<1, true>(call, d) : launch<1, false>(call, d);
}

size_t stride_conv_parts(const nn_call *call, const tensor_conv *conv)
{
    unsigned size;
    const striding d = plan_strided(call, conv, &size);
    return (size_t)d.rows * d.columns;
}
