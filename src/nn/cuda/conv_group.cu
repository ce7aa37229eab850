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
 *
 * The data gradient of a convolution of stride 2 (the forward pass of a transposed one) is four convolutions of stride 1, a
 * phase each: results of odd or even rows and columns, which meet every second tap of the kernel down and across. Blocks of
 * all phases are one launch, those with the most taps first. Their picture comes by pixels and without a border, as the weight
 * gradient that reads it too multiplies it, so that both have the same copy, or a norm's kernel writes it for both. Planes
 * are an odd number of granules in shared memory there, so that those of a pixel go to different banks.
 *
 * A norm behind it gets moments of each block's tile or run (conv_moments.h), of all phases' in one count.
 */
#include "nn/cuda/bulk.h"
#include "nn/cuda/conv_moments.h"

#include "nn/cuda/launch.h"
#include "nn/cuda/tensor_group.h"

enum {
    TILE_H = 16,
    TILE_W = 8,
    CHUNK = 8, /* granules of a pixel that are there at once: 64 channels */
    WARP = 32,
    GROUPS = 2,
    MULTIPLIERS = GROUPS * TENSOR_GROUP / WARP,
    COPIERS = 2,
    THREADS = (GROUPS + 1) * TENSOR_GROUP, /* a warp has nothing to do: registers are counted by groups */
    ROWS = 64,                             /* channels of the result in a block of the weight */
    PLANE_BYTES = ROWS * TENSOR_GRANULE_BYTES,
    BLOCK_BYTES = CHUNK * PLANE_BYTES,
    MOST_STAGES = 8, /* of the weight */
    BARRIERS = 2 * MOST_STAGES + 6,
    BARRIER_BYTES = 256,     /* with what aligns the rest */
    MOST_SHARED = 113 << 10 /* two blocks: of a multiprocessor's 228 KiB 1 for each is the system's */
};
static_assert(BARRIERS * BULK_BARRIER_BYTES <= BARRIER_BYTES && MULTIPLIERS == CHUNK && MULTIPLIERS % COPIERS == 0);
/* Moments lie where the picture was: CHUNK planes of a tile's pixels at least. */
static_assert((int)MULTIPLIERS == MOMENTS_WARPS && (int)ROWS == MOMENTS_CHANNELS &&
              sizeof(conv_moments_shared) <= CHUNK * TILE_H * TILE_W * TENSOR_GRANULE_BYTES);

struct grouped {
    tensor_conv v;
    unsigned rows, columns;    /* tiles of an image */
    unsigned granules, chunks; /* of a pixel of the picture */
    unsigned halo_w, halo_pixels, halo_step; /* of a window; step: granules from plane to plane */
    unsigned stages;
};

/* One side of a phase. Result pixel x = 2 i + parity meets source pixel o at tap a where x = 2 o + a - padding: at the taps
 * first, first + 2, ... last, where first is 0 or 1 and makes parity + padding - first even, the source's pixels
 * i + (parity + padding - a) / 2. So a window of `taps` pixels begins at i + shift with the last tap. */
struct phase {
    unsigned parity, taps, last;
    unsigned shift; /* may be negative: what is added to it wraps around */
};

__host__ __device__ static inline phase phase_of(unsigned first, unsigned kernel, unsigned padding)
{
    phase p = {};
    p.parity = (first + padding) % 2;
    p.taps = (kernel + 1 - first) / 2;
    p.last = first + 2 * (p.taps - 1);
    p.shift = (unsigned)(((int)(p.parity + padding) - (int)p.last) / 2);
    return p;
}

__host__ __device__ static inline unsigned halo_bytes(const grouped &d)
{
    return CHUNK * d.halo_step * TENSOR_GRANULE_BYTES;
}

__host__ __device__ static inline unsigned halo_buffers(const grouped &d) { return d.chunks > 1 ? 2 : 1; }

/* The weight's stages in turn, and the parity of their uses. */
struct turn {
    unsigned stage, parity;
    __device__ void advance(unsigned stages)
    {
        if (++stage == stages) stage = 0, parity ^= 1;
    }
};

/* What a block's pixels are: a tile; as many that follow on one another in the picture, beyond whose row's end come some
 * that no result belongs to; a tile of a phase. */
enum pixels { TILES, RUNS, PHASES };

/* One block's place and memory: barriers, the picture's windows, the weight's stages. moments: of the result are wanted. */
template <pixels kind, bool moments> struct tile {
    enum { phases = kind == PHASES, runs = kind == RUNS };
    const grouped &d;
    phase down, across;
    size_t image;
    unsigned top, left, first; /* in the picture, or in the phase's part of the result; first: channel of the result */
    unsigned run;              /* RUNS: the first pixel of the picture */
    unsigned warp, lane;
    tensor_address barriers, halo, weights;

    __device__ tile(const grouped &v) : d(v)
    {
        tensor_tile at = tensor_tile_at(blockIdx.x, d.rows, d.columns, TILE_H, TILE_W);
        image = at.image, top = at.top, left = at.left;
        run = at.top * TILE_W; /* d.columns is 1 */
        first = blockIdx.y * ROWS;
        warp = tensor_warp(), lane = threadIdx.x % WARP;
        barriers = tensor_shared(CUDA_SHARED());
        halo = barriers + BARRIER_BYTES;
        weights = halo + halo_buffers(d) * halo_bytes(d);
        if (phases) {
            down = phase_of(blockIdx.z / 2, d.v.kh, d.v.padding);
            across = phase_of(blockIdx.z % 2, d.v.kw, d.v.padding);
        }
    }

    /* Taps that this block's results meet, and the width of a window for them. */
    __device__ unsigned taps_down() const { return phases ? down.taps : d.v.kh; }
    __device__ unsigned taps_across() const { return phases ? across.taps : d.v.kw; }
    __device__ unsigned halo_w() const { return phases ? TILE_W + across.taps - 1 : d.halo_w; }
    __device__ unsigned halo_pixels() const { return phases ? (TILE_H + down.taps - 1) * halo_w() : d.halo_pixels; }
    __device__ unsigned halo_step() const { return d.halo_step * TENSOR_GRANULE_BYTES; }

    /* A stage's weight is there; this block is done with it. */
    __device__ tensor_address full(unsigned stage) const { return barriers + stage * BULK_BARRIER_BYTES; }
    __device__ tensor_address empty(unsigned stage) const { return full(MOST_STAGES + stage); }
    /* A chunk's pixels are there; this block is done with them. */
    __device__ tensor_address halo_full(unsigned chunk) const { return full(2 * MOST_STAGES + chunk % 2); }
    __device__ tensor_address halo_empty(unsigned chunk) const { return full(2 * MOST_STAGES + 2 + chunk % 2); }
    /* All products of the block are done; all warps have left their moments. */
    __device__ tensor_address multiplied() const { return full(2 * MOST_STAGES + 4); }
    __device__ tensor_address moments_left() const { return full(2 * MOST_STAGES + 5); }

    __device__ void make_barriers() const
    {
        for (unsigned i = 0; i < d.stages; i++) {
            bulk_make(full(i), 1);
            bulk_make(empty(i), MULTIPLIERS);
        }
        for (unsigned i = 0; i < 2; i++) {
            bulk_make(halo_full(i), MULTIPLIERS);
            bulk_make(halo_empty(i), MULTIPLIERS);
        }
        if (moments) {
            bulk_make(multiplied(), MULTIPLIERS);
            bulk_make(moments_left(), MULTIPLIERS);
        }
        bulk_made();
    }

    /* A warp's part of the pixels that the taps meet, 64 channels of them, if `of` warps copy them. Zeros where there are
     * none. */
    template <unsigned of> __device__ void copy_halo(unsigned chunk, unsigned part) const
    {
        if (phases)
            copy_pixels<of>(chunk, part);
        else
            copy_planes<of>(chunk, part);
        tensor_commit();
    }

    /* Every `of`-th plane. */
    template <unsigned of> __device__ void copy_planes(unsigned chunk, unsigned plane) const
    {
        const picture &p = d.v.p;
        const size_t pixels = (size_t)p.h * p.w;
        const unsigned step = halo_step(), number = chunk * CHUNK + plane;
        const uint4 *planes = (const uint4 *)(const void *)p.data + (image * d.granules + number) * pixels;
        const tensor_address to = halo + chunk % 2 * halo_bytes(d) + plane * step;
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

    /* Of a picture by pixels: a lane has a granule of every APART-th pixel. */
    template <unsigned of> __device__ void copy_pixels(unsigned chunk, unsigned part) const
    {
        enum { AT_ONCE = WARP / CHUNK, APART = of * AT_ONCE };
        const picture &p = d.v.p;
        const unsigned w = halo_w(), end = halo_pixels(), rows_on = APART / w, columns_on = APART % w;
        const unsigned number = chunk * CHUNK + lane % CHUNK;
        const uint4 *data = (const uint4 *)(const void *)p.data, *from = data + image * p.h * p.w * d.granules + number;
        const tensor_address to = halo + chunk % 2 * halo_bytes(d) + lane % CHUNK * halo_step();
        unsigned pixel = part * AT_ONCE + lane / CHUNK, row = pixel / w, column = pixel % w;
        while (pixel < end) {
            unsigned i = top + down.shift + row, j = left + across.shift + column;
            bool there = i < p.h && j < p.w && number < d.granules;
            tensor_copy(to + pixel * TENSOR_GRANULE_BYTES, there ? from + ((size_t)i * p.w + j) * d.granules : data, !there);
            pixel += APART, row += rows_on, column += columns_on;
            if (column >= w) column -= w, row++;
        }
    }

    /* What the warp has copied is there. */
    template <unsigned of> __device__ void publish_halo(unsigned chunk) const
    {
        tensor_wait<0>();
        tensor_publish();
        __syncwarp();
        if (lane < CHUNK / of) bulk_arrive(halo_full(chunk)); /* for each plane */
    }

    /* COPIERS. */
    __device__ void bring_picture() const
    {
        for (unsigned chunk = 1; chunk < d.chunks; chunk++) {
            bulk_wait(halo_empty(chunk), (chunk / 2 + 1) % 2);
            copy_halo<COPIERS>(chunk, warp - MULTIPLIERS);
            publish_halo<COPIERS>(chunk);
        }
    }

    /* The kernel's tap for tap (a, b) of the window. */
    __device__ unsigned tap_at(unsigned a, unsigned b) const
    {
        if (phases) return (down.last - 2 * a) * d.v.kw + across.last - 2 * b;
        unsigned tap = a * d.v.kw + b;
        return d.v.backwards ? d.v.kh * d.v.kw - 1 - tap : tap;
    }

    /* One thread. */
    __device__ void bring_weight() const
    {
        const unsigned taps = d.v.kh * d.v.kw;
        const unsigned char *weight = (const unsigned char *)d.v.weight;
        weight += blockIdx.y * ((size_t)d.chunks * taps * BLOCK_BYTES);
        turn now = {};
        for (unsigned chunk = 0; chunk < d.chunks; chunk++)
            for (unsigned a = 0; a < taps_down(); a++)
                for (unsigned b = 0; b < taps_across(); b++) {
                    const size_t number = chunk * taps + tap_at(a, b);
                    bulk_wait(empty(now.stage), now.parity ^ 1);
                    bulk_expect(full(now.stage), BLOCK_BYTES);
                    bulk_copy(weights + now.stage * BLOCK_BYTES, weight + number * BLOCK_BYTES, BLOCK_BYTES,
                              full(now.stage));
                    now.advance(d.stages);
                }
    }

    /* The pixels that the first tap meets, of this group's and a chunk. */
    __device__ tensor_matrix pixels_at(unsigned chunk) const
    {
        unsigned group = warp / (TENSOR_GROUP / WARP), line = runs ? (unsigned)TILE_W : halo_w();
        return tensor_matrix_at(halo + chunk % 2 * halo_bytes(d) + group * (TILE_H / GROUPS) * line * TENSOR_GRANULE_BYTES,
                                halo_step(), line * TENSOR_GRANULE_BYTES);
    }

    /* sums += pixels, moved by a tap, times the tap's weight. */
    __device__ void multiply(tensor_group_sums<ROWS> &sums, tensor_matrix pixels, unsigned stage) const
    {
        tensor_matrix weight = tensor_matrix_at(weights + stage * BLOCK_BYTES, PLANE_BYTES, 8 * TENSOR_GRANULE_BYTES);
        tensor_group_begin();
#pragma unroll
        for (unsigned k = 0; k < CHUNK; k += 2)
            tensor_group_multiply<false>(sums, tensor_matrix_moved(pixels, k * halo_step()),
                                         tensor_matrix_moved(weight, k * PLANE_BYTES));
        tensor_group_commit();
    }

    /* MULTIPLIERS. A tap's products run while the next one's are started; what they have read is given back then. */
    __device__ void multiply_all(tensor_group_sums<ROWS> &sums) const
    {
        const unsigned taps = taps_down() * taps_across();
        turn now = {}, before = {};
        for (unsigned chunk = 0; chunk < d.chunks; chunk++) {
            bulk_wait(halo_full(chunk), chunk / 2 % 2);
            tensor_matrix pixels = pixels_at(chunk);
            for (unsigned tap = 0, b = 0; tap < taps; tap++) {
                bulk_wait(full(now.stage), now.parity);
                multiply(sums, pixels, now.stage);
                tensor_group_wait<1>();
                if (chunk + tap > 0) {
                    __syncwarp();
                    if (lane == 0) bulk_arrive(empty(before.stage));
                    if (tap == 0 && lane == 0) bulk_arrive(halo_empty(chunk - 1));
                    before.advance(d.stages);
                }
                now.advance(d.stages);
                bool last = ++b == taps_across();
                pixels = tensor_matrix_moved(pixels, (last ? halo_w() + 1 - taps_across() : 1) * TENSOR_GRANULE_BYTES);
                if (last) b = 0;
            }
        }
        tensor_group_wait<0>();
    }

    /* Where the thread's first or second pixel is in the result. */
    __device__ void find_pixel(unsigned half, unsigned *row, unsigned *column) const
    {
        *row = top + warp * 2 + half, *column = left + lane / 4;
        if (phases) *row = 2 * *row + down.parity, *column = 2 * *column + across.parity;
        if (runs) {
            unsigned place = run + (warp * 2 + half) * TILE_W + lane / 4;
            *row = place / d.v.p.w, *column = place % d.v.p.w;
        }
    }

    __device__ void store(const tensor_group_sums<ROWS> &sums) const
    {
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            unsigned row, column;
            find_pixel(half, &row, &column);
            if (row >= d.v.h || column >= d.v.w) continue;
            const size_t pixel = (image * d.v.h + row) * d.v.w + column;
#pragma unroll
            for (unsigned j = 0; j < ROWS / 8; j++)
                tensor_store_pair(d.v, pixel, first + j * 8 + lane % 4 * 2, sums.part[j * 4 + half * 2],
                                  sums.part[j * 4 + half * 2 + 1]);
        }
    }

    /* This warp's products are done. */
    __device__ void publish_products() const
    {
        __syncwarp();
        if (lane == 0) bulk_arrive(multiplied());
    }

    /* Phases in the order of their parities: image's first part has pixels. */
    __device__ size_t part() const
    {
        const unsigned tiles = d.rows * d.columns, phase = phases ? down.parity * 2 + across.parity : 0;
        return (image * (phases ? 4 : 1) + phase) * tiles + blockIdx.x % tiles;
    }

    /* MULTIPLIERS, after publish_products. Nothing is on its way to shared memory any more. */
    __device__ void store_moments(const tensor_group_sums<ROWS> &sums) const
    {
        conv_moments_shared &shared = *(conv_moments_shared *)(void *)(CUDA_SHARED() + BARRIER_BYTES);
        bool exists[2];
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            unsigned row, column;
            find_pixel(half, &row, &column);
            exists[half] = row < d.v.h && column < d.v.w;
        }
        conv_moments own;
        moments_begin(d.v, sums, first, exists, own);
        moments_of_warp(own);
        bulk_wait(multiplied(), 0);
        moments_leave(own, shared);
        __syncwarp();
        if (lane == 0) bulk_arrive(moments_left());
        if (warp >= MOMENTS_CHANNELS / WARP) return;
        bulk_wait(moments_left(), 0);
        moments_store(d.v, shared, first, part());
    }
};

/* blockIdx.x: image and tile; blockIdx.y: channels of the result; blockIdx.z: the phase. */
template <pixels kind, bool moments> static __global__ void __launch_bounds__(THREADS, 2) convolve_grouped(grouped d)
{
    const tile<kind, moments> t(d);
    if (threadIdx.x == THREADS - 1) t.make_barriers();
    if (t.warp < MULTIPLIERS) t.template copy_halo<CHUNK>(0, t.warp);
    __syncthreads();
    if (t.warp < MULTIPLIERS) {
        tensor_group_sums<ROWS> sums = {};
        t.template publish_halo<CHUNK>(0);
        t.multiply_all(sums);
        if (moments) t.publish_products();
        t.store(sums);
        if (moments) t.store_moments(sums);
    } else if (t.warp < MULTIPLIERS + COPIERS) {
        t.bring_picture();
    } else if (threadIdx.x == THREADS - 1) {
        t.bring_weight();
    }
}

static unsigned fixed_bytes(const grouped &d) { return BARRIER_BYTES + halo_buffers(d) * halo_bytes(d); }

static void plan_tiles(grouped *d, bool phases)
{
    const tensor_conv &v = d->v;
    /* The most pixels and the most taps that a phase can have. */
    const unsigned h = phases ? (v.h + 1) / 2 : v.h, w = phases ? (v.w + 1) / 2 : v.w;
    const unsigned kh = phases ? (v.kh + 1) / 2 : v.kh, kw = phases ? (v.kw + 1) / 2 : v.kw;
    d->rows = (unsigned)cuda_divide_up(h, TILE_H), d->columns = (unsigned)cuda_divide_up(w, TILE_W);
    d->halo_w = TILE_W + kw - 1, d->halo_pixels = (TILE_H + kh - 1) * d->halo_w;
    d->halo_step = phases ? d->halo_pixels | 1 : d->halo_pixels;
}

/* Where runs are fewer than tiles and their windows leave room for a few taps: 66x66 pixels are 36 runs, 45 tiles. */
static bool plan_runs(grouped *d)
{
    enum { RUN = TILE_H * TILE_W, LEAST_STAGES = 4 };
    const tensor_conv &v = d->v;
    grouped runs = *d;
    runs.rows = (unsigned)cuda_divide_up((size_t)(v.h - 1) * v.p.w + v.w, RUN), runs.columns = 1;
    runs.halo_w = v.p.w, runs.halo_pixels = runs.halo_step = RUN + (v.kh - 1) * v.p.w + v.kw - 1;
    if (runs.rows >= d->rows * d->columns || fixed_bytes(runs) + LEAST_STAGES * BLOCK_BYTES > MOST_SHARED) return false;
    *d = runs;
    return true;
}

static grouped plan_of(const tensor_conv *conv, pixels *kind)
{
    grouped d = {};
    d.v = *conv;
    d.granules = conv->p.c / TENSOR_GRANULE, d.chunks = (unsigned)cuda_divide_up(d.granules, CHUNK);
    *kind = conv->stride == 2 ? PHASES : TILES;
    plan_tiles(&d, *kind == PHASES);
    if (*kind == TILES && plan_runs(&d)) *kind = RUNS;
    /* Three at least: of kernels that tensor_conv_suits lets pass none needs a tile's window of more than 352 pixels (1x15). */
    unsigned stages = (MOST_SHARED - fixed_bytes(d)) / BLOCK_BYTES;
    d.stages = stages < MOST_STAGES ? stages : (unsigned)MOST_STAGES;
    return d;
}

size_t tensor_conv_parts(const tensor_conv *conv)
{
    pixels kind;
    const grouped d = plan_of(conv, &kind);
    return (kind == PHASES ? 4 : 1) * (size_t)d.rows * d.columns;
}

template <pixels kind> static void launch(const nn_call *call, const grouped &d)
{
    cuda_launch_shared(call, d.v.moments ? convolve_grouped<kind, true> : convolve_grouped<kind, false>, d,
                       dim3(d.v.p.images * d.rows * d.columns, (unsigned)cuda_divide_up(d.v.c, ROWS), kind == PHASES ? 4 : 1),
                       dim3(THREADS), fixed_bytes(d) + d.stages * BLOCK_BYTES);
}

void tensor_conv_run_grouped(const nn_call *call, const tensor_conv *conv)
{
    pixels kind;
    const grouped d = plan_of(conv, &kind);
    switch (kind) {
    case TILES: launch<TILES>(call, d); break;
    case RUNS: launch<RUNS>(call, d); break;
    case PHASES: launch<PHASES>(call, d); break;
    }
}
