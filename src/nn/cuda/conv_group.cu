/* conv_tensor.h's convolution on Hopper: blocks of 16x8 pixels times 64 channels of the result, of which two groups of
 * threads multiply 8x8 pixels each.
 *
 * As in conv_tensor.cu a block reads the pixels that its taps meet into shared memory once for 64 channels, and the weight
 * tap by tap. The eight pixels beside one another that a product takes as rows are neighbours in a plane of granules,
 * from whatever pixel a tap begins. Pictures come in planes and weights in blocks, as shared memory has them: copies in
 * another order took three times as long as the products (H200).
 *
 * What bounded it were copies from the second-level cache (for 64x64x256 a block takes 92 KB of the picture and 295 of the
 * weight), asked for by the threads that multiply. So copies have warps of their own, as far ahead as shared memory reaches:
 * 16.9 to 11.6 us for that layer on an H200. Blocks of 128 channels, and clusters of blocks that bring each other the weight,
 * were slower there. Three kinds of warps meet at barriers in shared memory (bulk.h):
 *
 *   MULTIPLIERS  copy the first 64 channels of the picture, multiply all, store
 *   COPIERS      the picture's other channels. By granules: its rows are 160 bytes long, too many pieces for bulk copies,
 *                which threads of a warp issue one after the other
 *   one          the weight, by bulk copies: a stage for each tap of 64 channels
 *   one          the bias
 *
 * The data gradient of a convolution of stride 2 (the forward pass of a transposed one) is four convolutions of stride 1, a
 * phase each: results of odd or even rows and columns, which meet every second tap of the kernel down and across. Where
 * blocks of a phase each fill the device more than once, one block has all four: a window is then copied once for all taps and
 * not for a quarter of them (a block of a phase, with 2.25 taps of 3x3, took 15 us of an H200, as long as one of stride 1 with
 * nine). Its sums leave room for no second block, so that shared memory is all its own. Else a block has one phase, those with
 * the most taps first. The picture comes by pixels and without a border, as the weight gradient that reads it too multiplies
 * it, so that both have the same copy, or a norm's kernel writes it for both. Planes are an odd number of granules in shared
 * memory there, so that those of a pixel go to different banks.
 *
 * Where so many fill the device, a block has twice as many pixels and 128 channels, which ask the second-level cache for half
 * of the bytes (for eight pictures of 64x64x256 two blocks on each multiprocessor took 5.6 TB/s, all that it gave), and read
 * pixels from shared memory once for two blocks of the weight. It has a multiprocessor for itself, as has one of all phases.
 * Nobody else computes there while such a block begins or stores. So it takes tile after tile, and the next one's windows and
 * weights are copied while it stores; and its warps share out the registers, of which those that copy need few.
 *
 * A norm behind it gets moments of each block's pixels (conv_moments.h).
 */
#include "nn/cuda/conv_group.h"

#include "nn/cuda/conv_moments.h"
#include "nn/cuda/conv_result.h"
#include "nn/cuda/launch.h"

/* The result and its moments lie where a window of the picture and the least stages of the weight were. */
static_assert((int)MULTIPLIERS == MOMENTS_WARPS && (int)ROWS == MOMENTS_CHANNELS && (int)TILE_W * 2 == RESULT_ROWS);

/* One block's place and memory: barriers, the picture's windows, the weight's stages. moments: of the result are wanted.
 * Its sums have `parts`, of a phase each or of one half of a group's pixels; part p is what loops over them, unrolled, have. */
template <pixels kind, bool moments> struct tile {
    enum {
        phases = is_phases(kind),
        runs = is_runs(kind),
        height = height_of(kind),
        width = width_of(kind),
        columns = ROWS * width,
        parts = parts_of(kind),
        turns = parts / height,
        goes_on = is_alone(kind)
    };
    typedef tensor_group_sums<columns> sums_of_turn[height]; /* of what meets the same weight; of all parts, turn by turn */
    typedef tensor_group_sums<columns> sums_of_block[parts];
    const grouped &d;
    phase down, across; /* of the window */
    size_t image;
    unsigned top, left, first; /* in the picture, or in the phase's part of the result; first: channel of the result */
    unsigned run;              /* of runs: the first pixel of the picture */
    unsigned number;           /* of all images' tiles */
    unsigned warp, lane;
    tensor_address barriers, halo, weights;

    __device__ tile(const grouped &v) : d(v)
    {
        number = blockIdx.x, first = blockIdx.y * columns;
        warp = tensor_warp(), lane = threadIdx.x % WARP;
        barriers = tensor_shared(CUDA_SHARED());
        halo = barriers + BARRIER_BYTES + BIAS_BYTES + result_space(kind, d.v.halves);
        weights = halo + d.windows * halo_bytes(d);
        find_place();
        if (phases) {
            down = kind == PHASES ? down_of(0) : phases_of(d.v.kh, d.v.padding);
            across = kind == PHASES ? across_of(0) : phases_of(d.v.kw, d.v.padding);
        }
    }

    __device__ void find_place()
    {
        tensor_tile at = tensor_tile_at(number, d.rows, d.columns, TILE_H * height, TILE_W);
        image = at.image, top = at.top, left = at.left;
        run = at.top * TILE_W; /* d.columns is 1 */
    }

    /* Whether there is one. */
    __device__ bool go_to_next()
    {
        if (!goes_on) return false;
        number += gridDim.x;
        find_place();
        return number < d.tiles;
    }

    /* Part p's phase. */
    __device__ unsigned phase_number(unsigned p) const { return kind == ALL_PHASES ? p : blockIdx.z; }
    __device__ phase down_of(unsigned p) const { return phase_of(phase_number(p) / 2, d.v.kh, d.v.padding); }
    __device__ phase across_of(unsigned p) const { return phase_of(phase_number(p) % 2, d.v.kw, d.v.padding); }

    /* Taps that its results meet, and the width of a window for those of all parts. */
    __device__ unsigned taps_down(unsigned p) const { return phases ? down_of(p).taps : d.v.kh; }
    __device__ unsigned taps_across(unsigned p) const { return phases ? across_of(p).taps : d.v.kw; }
    __device__ unsigned halo_w() const { return phases ? TILE_W + across.taps - 1 : d.halo_w; }
    __device__ unsigned halo_pixels() const { return phases ? (TILE_H + down.taps - 1) * halo_w() : d.halo_pixels; }
    __device__ unsigned halo_step() const { return d.halo_step * TENSOR_GRANULE_BYTES; }

    /* A stage's weight is there; this block is done with it. */
    __device__ tensor_address full(unsigned stage) const { return barriers + stage * BULK_BARRIER_BYTES; }
    __device__ tensor_address empty(unsigned stage) const { return full(MOST_STAGES + stage); }
    /* A window's pixels are there; this block is done with them. */
    __device__ tensor_address halo_full(unsigned window) const { return full(2 * MOST_STAGES + window); }
    __device__ tensor_address halo_empty(unsigned window) const { return halo_full(MOST_WINDOWS + window); }
    __device__ tensor_address after_halos(unsigned i) const { return halo_full(2 * MOST_WINDOWS + i); }
    /* All products of the block are done; all warps have left their moments; these are put together. */
    __device__ tensor_address multiplied() const { return after_halos(0); }
    __device__ tensor_address moments_left() const { return after_halos(1); }
    __device__ tensor_address moments_empty() const { return after_halos(2); }
    __device__ tensor_address bias_there() const { return after_halos(3); }
    __device__ float *bias() const { return (float *)(void *)(CUDA_SHARED() + BARRIER_BYTES); }

    __device__ void make_barriers() const
    {
        for (unsigned i = 0; i < d.stages; i++) {
            bulk_make(full(i), 1);
            bulk_make(empty(i), MULTIPLIERS * BULK_WARP);
        }
        for (unsigned i = 0; i < d.windows; i++) {
            bulk_make(halo_full(i), MULTIPLIERS * BULK_WARP);
            bulk_make(halo_empty(i), MULTIPLIERS * BULK_WARP);
        }
        bulk_make(bias_there(), BULK_WARP);
        bulk_make(multiplied(), MULTIPLIERS * BULK_WARP);
        if (moments) {
            bulk_make(moments_left(), MULTIPLIERS * BULK_WARP);
            bulk_make(moments_empty(), MULTIPLIERS * BULK_WARP);
        }
        bulk_made();
    }

    /* A warp's part of the pixels that the taps meet, 64 channels of them, if `of` warps copy them, to a window. Zeros where
     * there are none. */
    template <unsigned of> __device__ void copy_halo(unsigned chunk, unsigned window, unsigned part) const
    {
        if (phases)
            copy_pixels<of>(chunk, window, part);
        else
            copy_planes<of>(chunk, window, part);
        tensor_commit();
    }

    /* Every `of`-th plane. */
    template <unsigned of> __device__ void copy_planes(unsigned chunk, unsigned window, unsigned plane) const
    {
        const picture &p = d.v.p;
        const size_t pixels = (size_t)p.h * p.w;
        const unsigned step = halo_step(), number = chunk * CHUNK + plane;
        const uint4 *planes = (const uint4 *)(const void *)p.data + (image * d.granules + number) * pixels;
        const tensor_address to = halo + window * halo_bytes(d) + plane * step;
        for (unsigned pixel = lane; pixel < d.halo_pixels; pixel += WARP) {
            unsigned i = top + pixel / d.halo_w, j = left + pixel % d.halo_w;
            bool inside = runs ? run + pixel < pixels : i < p.h && j < p.w;
            const uint4 *from = planes + (!inside ? 0 : runs ? run + pixel : (size_t)i * p.w + j);
#pragma unroll
            for (unsigned k = 0; k < CHUNK; k += of) {
                bool there = inside && number + k < d.granules;
                tensor_copy(to + k * step + pixel * TENSOR_GRANULE_BYTES,
                            there ? from + k * pixels : (const uint4 *)(const void *)p.data, !there);
            }
        }
    }

    /* Of a picture by pixels: a lane has a granule of every APART-th pixel. What it does for each is little: two warps copy for
     * all. */
    template <unsigned of> __device__ void copy_pixels(unsigned chunk, unsigned window, unsigned part) const
    {
        enum { AT_ONCE = WARP / CHUNK, APART = of * AT_ONCE };
        const picture &p = d.v.p;
        const unsigned w = halo_w(), end = halo_pixels(), rows_on = APART / w, columns_on = APART % w;
        const unsigned number = chunk * CHUNK + lane % CHUNK, rows = number < d.granules ? p.h : 0;
        const uint4 *data = (const uint4 *)(const void *)p.data;
        const tensor_address to = halo + window * halo_bytes(d) + lane % CHUNK * halo_step();
        const size_t to_right = d.granules, to_below = p.w * to_right, wrap = to_below - w * to_right;
        const size_t on = rows_on * to_below + columns_on * to_right;
        unsigned pixel = part * AT_ONCE + lane / CHUNK, column = pixel % w;
        /* Above and to the left of the picture they wrap around, and so does `from`. */
        unsigned i = top + (unsigned)down.shift + pixel / w, j = left + (unsigned)across.shift + column;
        size_t from = (image * p.h + (size_t)(int)i) * to_below + (size_t)(int)j * to_right + number;
        while (pixel < end) {
            const bool there = i < rows && j < p.w;
            tensor_copy(to + pixel * TENSOR_GRANULE_BYTES, data + (there ? from : 0), !there);
            pixel += APART, i += rows_on, j += columns_on, column += columns_on, from += on;
            if (column >= w) column -= w, j -= w, i++, from += wrap;
        }
    }

    /* What the warp has copied, but for its latest `pending` windows, is there. */
    template <unsigned of, int pending> __device__ void publish_halo(unsigned window) const
    {
        tensor_wait<pending>();
        tensor_publish();
        __syncwarp();
        bulk_arrive_warp(lane, halo_full(window), CHUNK / of); /* for each plane */
    }

    /* COPIERS, of all windows but the first. Where there are many, one is published when the next one is under way. */
    __device__ void bring_picture()
    {
        const bool ahead = d.windows > 2;
        turn now = {}, before = {};
        now.advance(d.windows);
        unsigned chunk = 1;
        bool under_way = false;
        do {
            for (; chunk < d.chunks; chunk++) {
                bulk_wait(halo_empty(now.at), now.parity ^ 1);
                copy_halo<COPIERS>(chunk, now.at, warp - MULTIPLIERS);
                if (!ahead) publish_halo<COPIERS, 0>(now.at);
                if (ahead && under_way) publish_halo<COPIERS, 1>(before.at);
                under_way = true, before = now;
                now.advance(d.windows);
            }
            chunk = 0;
        } while (go_to_next());
        if (ahead && under_way) publish_halo<COPIERS, 0>(before.at);
    }

    /* The warp beside them. */
    __device__ void bring_bias() const
    {
        result_bring_bias<columns>(d.v, first, bias(), lane, WARP);
        __syncwarp();
        bulk_arrive_warp(lane, bias_there());
    }

    /* The kernel's tap for tap (a, b) of part p's window. */
    __device__ unsigned tap_at(unsigned p, unsigned a, unsigned b) const
    {
        if (phases) return (down_of(p).last - 2 * a) * d.v.kw + across_of(p).last - 2 * b;
        unsigned tap = a * d.v.kw + b;
        return d.v.backwards ? d.v.kh * d.v.kw - 1 - tap : tap;
    }

    /* One thread, or a warp: bring_stage's. */
    __device__ void bring_weight()
    {
        const unsigned taps = d.v.kh * d.v.kw;
        const unsigned char *weight = (const unsigned char *)d.v.weight;
        const size_t apart = (size_t)d.chunks * taps * BLOCK_BYTES;
        weight += blockIdx.y * width * apart;
        turn now = {};
        do {
            for (unsigned chunk = 0; chunk < d.chunks; chunk++)
                for (unsigned p = 0; p < turns; p++)
                    for (unsigned a = 0; a < taps_down(p); a++)
                        for (unsigned b = 0; b < taps_across(p); b++) {
                            const size_t block = chunk * taps + tap_at(p, a, b);
                            bulk_wait(empty(now.at), now.parity ^ 1);
                            bring_stage<width>(weights + now.at * stage_bytes(kind), weight + block * BLOCK_BYTES, apart,
                                               full(now.at));
                            now.advance(d.stages);
                        }
        } while (go_to_next());
    }

    /* Rows of a tile: the first of this group's, pixels of a line of them. */
    __device__ unsigned group_row() const { return warp / (TENSOR_GROUP / WARP) * (TILE_H / GROUPS * height); }
    __device__ unsigned line() const { return runs ? (unsigned)TILE_W : halo_w(); }

    /* The pixels that part p's first tap meets, or the first part's, of this group's and a window. */
    __device__ tensor_matrix pixels_at(unsigned window, unsigned p) const
    {
        unsigned first_pixel = group_row() * line();
        if (kind == ALL_PHASES)
            first_pixel += (unsigned)(down_of(p).shift - down.shift) * line() + (unsigned)(across_of(p).shift - across.shift);
        return tensor_matrix_at(halo + window * halo_bytes(d) + first_pixel * TENSOR_GRANULE_BYTES, halo_step(),
                                line() * TENSOR_GRANULE_BYTES);
    }

    /* This warp is done with a stage of the weight; one that leaves a window gives it back, too. */
    __device__ void give_back(unsigned stage, bool leaves, unsigned window) const
    {
        __syncwarp();
        bulk_arrive_warp(lane, empty(stage));
        if (leaves) bulk_arrive_warp(lane, halo_empty(window));
    }

    /* MULTIPLIERS, a tile. A tap's products run while the next one's are started; what they have read is given back then.
     * Loops that might not be entered would leave sums that are no products', and the compiler would then wait for each
     * product. */
    __device__ void multiply_all(sums_of_block &sums, turn &stage, turn &window) const
    {
        turn stage_before = stage, window_before = window;
        unsigned chunk = 0;
        do {
            bulk_wait(halo_full(window.at), window.parity);
#pragma unroll
            for (unsigned p = 0; p < turns; p++)
                multiply_taps(*(sums_of_turn *)&sums[p * height], chunk, p, stage, stage_before, window.at, window_before.at);
            window_before = window;
            window.advance(d.windows);
        } while (++chunk < d.chunks);
        tensor_group_wait<0>();
        if (goes_on) give_back(stage_before.at, true, window_before.at);
    }

    __device__ void multiply_taps(sums_of_turn &sums, unsigned chunk, unsigned p, turn &stage, turn &before, unsigned window,
                                  unsigned window_before) const
    {
        const unsigned across = taps_across(p), taps = taps_down(p) * across, apart = TILE_H / GROUPS * line() * TENSOR_GRANULE_BYTES;
        tensor_matrix pixels = pixels_at(window, p);
        unsigned tap = 0, b = 0;
        do {
            bulk_wait(full(stage.at), stage.parity);
            multiply_stage<width>(sums, pixels, apart, halo_step(), weights + stage.at * stage_bytes(kind));
            tensor_group_wait<1>();
            if (chunk + p + tap > 0) give_back(before.at, p + tap == 0, window_before);
            before = stage;
            stage.advance(d.stages);
            bool last = ++b == across;
            pixels = tensor_matrix_moved(pixels, (last ? halo_w() + 1 - across : 1) * TENSOR_GRANULE_BYTES);
            if (last) b = 0;
        } while (++tap < taps);
    }

    /* Number `k` of this warp's 16 pixels of part p: whether it exists, and which it is of y. */
    __device__ bool find(unsigned p, unsigned k, size_t *pixel) const
    {
        unsigned own = warp * 2 + k / TILE_W, row = top, column = left + k % TILE_W;
        if (height > 1) own += (warp / (TENSOR_GROUP / WARP) + p) * (TILE_H / GROUPS);
        row += own;
        if (phases) row = 2 * row + down_of(p).parity, column = 2 * column + across_of(p).parity;
        if (runs) {
            unsigned place = run + own * TILE_W + k % TILE_W;
            row = place / d.v.p.w, column = place % d.v.p.w;
        }
        *pixel = (image * d.v.h + row) * d.v.w + column;
        return row < d.v.h && column < d.v.w;
    }

    /* Of all images' parts; phases in the order of their parities: an image's first one has pixels. */
    __device__ size_t part_number() const
    {
        if (kind != PHASES) return number;
        const unsigned tiles = d.rows * d.columns, phase = down.parity * 2 + across.parity;
        return (image * ALL + phase) * tiles + number % tiles;
    }

    /* What is stored goes through shared memory. A block of one tile has the picture's and the weight's place for it when all
     * warps have read them. */
    __device__ unsigned char *await_space() const
    {
        bulk_wait(bias_there(), 0);
        if (!goes_on) {
            __syncwarp();
            bulk_arrive_warp(lane, multiplied());
            bulk_wait(multiplied(), 0);
        }
        return CUDA_SHARED() + BARRIER_BYTES + BIAS_BYTES;
    }

    /* MULTIPLIERS. */
    __device__ void multiply_tiles()
    {
        turn stage = {}, window = {};
        unsigned parity = 0;
        do {
            sums_of_block sums = {};
            multiply_all(sums, stage, window);
            finish_tile<moments>(*this, d.v, sums, await_space(), parity, part_number());
            parity ^= 1;
        } while (go_to_next());
    }
};

/* blockIdx.x: the first tile; blockIdx.y: channels of the result; blockIdx.z: the phase, where a block has one. */
template <pixels kind, bool moments>
static __global__ void __launch_bounds__(THREADS, is_alone(kind) ? 1 : 2) convolve_grouped(grouped d)
{
    typedef tile<kind, moments> tile;
    tile t(d);
    if (threadIdx.x == THREADS - 1) t.make_barriers();
    cuda_wait_for_others();
    if (t.warp < MULTIPLIERS) t.template copy_halo<CHUNK>(0, 0, t.warp);
    __syncthreads();
    if (is_alone(kind) && t.warp >= MULTIPLIERS) tensor_group_give_registers<COPIER_REGISTERS>();
    if (t.warp < MULTIPLIERS) {
        if (is_alone(kind)) tensor_group_take_registers<MULTIPLIER_REGISTERS>();
        t.template publish_halo<CHUNK, 0>(0);
        t.multiply_tiles();
    } else if (t.warp < MULTIPLIERS + COPIERS) {
        t.bring_picture();
    } else if (t.warp == MULTIPLIERS + COPIERS) {
        t.bring_bias();
    } else if (threadIdx.x >= THREADS - (tile::width > 1 ? WARP : 1)) {
        t.bring_weight();
    }
}

template <pixels kind> static void launch(const nn_call *call, const grouped &d)
{
    void (*kernel)(grouped) = d.v.moments ? convolve_grouped<kind, true> : convolve_grouped<kind, false>;
    if (is_alone(kind) && !has_launch_registers(call, kernel)) return;
    cuda_launch_early(call, kernel, d,
                      dim3(d.places, (unsigned)cuda_divide_up(d.v.c, ROWS * width_of(kind)), kind == PHASES ? ALL : 1),
                      dim3(THREADS), fixed_bytes(d, kind) + d.stages * stage_bytes(kind));
}

void tensor_conv_run_grouped(const nn_call *call, const tensor_conv *conv)
{
    pixels kind;
    const grouped d = plan_grouped(call, conv, &kind);
    switch (kind) {
    case TILES: launch<TILES>(call, d); break;
    case RUNS: launch<RUNS>(call, d); break;
    case WIDE_TILES: launch<WIDE_TILES>(call, d); break;
    case WIDE_RUNS: launch<WIDE_RUNS>(call, d); break;
    case PHASES: launch<PHASES>(call, d); break;
    case ALL_PHASES: launch<ALL_PHASES>(call, d); break;
    }
}
