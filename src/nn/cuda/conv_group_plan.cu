/* Tiles, runs or phases: which of conv_group.cu's kernels takes a convolution. */
#include "nn/cuda/conv_group.h"

static void plan_tiles(grouped *d, unsigned height)
{
    const tensor_conv &v = d->v;
    const unsigned tile_h = TILE_H * height;
    d->rows = (unsigned)cuda_divide_up(v.h, tile_h), d->columns = (unsigned)cuda_divide_up(v.w, TILE_W);
    d->halo_w = TILE_W + v.kw - 1, d->halo_pixels = (tile_h + v.kh - 1) * d->halo_w;
    d->halo_step = d->halo_pixels;
}

static void plan_runs(grouped *d, unsigned height)
{
    const tensor_conv &v = d->v;
    const unsigned run = TILE_H * TILE_W * height;
    d->rows = (unsigned)cuda_divide_up((size_t)(v.h - 1) * v.p.w + v.w, run), d->columns = 1;
    d->halo_w = v.p.w, d->halo_pixels = d->halo_step = run + (v.kh - 1) * v.p.w + v.kw - 1;
}

static unsigned shared_bytes(pixels kind) { return is_alone(kind) ? MOST_SHARED_ALONE : MOST_SHARED; }

/* Windows of 64 channels that are there at once, and whether there is room for a few taps beside them. */
static bool fits(grouped *d, pixels kind, unsigned windows)
{
    enum { LEAST_STAGES = 4 };
    d->windows = windows;
    return fixed_bytes(*d, kind) + LEAST_STAGES * stage_bytes(kind) <= shared_bytes(kind);
}

/* Products of all phases with one window take about as long as a copy is on its way. */
static bool fits(grouped *d, pixels kind)
{
    return (kind == ALL_PHASES && fits(d, kind, MOST_WINDOWS)) || fits(d, kind, is_alone(kind) || d->chunks > 1 ? 2 : 1);
}

static size_t blocks_of(const grouped &d, pixels kind)
{
    return (size_t)d.v.p.images * d.rows * d.columns * cuda_divide_up(d.v.c, ROWS * width_of(kind));
}

/* Of blocks that have a multiprocessor each, the last ones leave a quarter of the device idle at most. */
static bool fill(const cuda_backend *cuda, size_t blocks)
{
    const size_t most = cuda_divide_up(blocks, cuda->multiprocessors) * cuda->multiprocessors;
    return 4 * blocks >= 3 * most;
}

/* Runs where they are fewer than tiles: 66x66 pixels are 36 runs, 45 tiles. Four times as large where so many fill the device,
 * and hardly any pixels are for nothing. */
static pixels plan_one_phase(const cuda_backend *cuda, grouped *d)
{
    enum { WASTED = 8 }; /* one of so many */
    plan_tiles(d, 1);
    grouped runs = *d;
    plan_runs(&runs, 1);
    const bool in_runs = runs.rows < d->rows * d->columns && fits(&runs, RUNS);
    if (in_runs) *d = runs;
    const pixels small = in_runs ? RUNS : TILES, wide = in_runs ? WIDE_RUNS : WIDE_TILES;
    grouped large = *d;
    in_runs ? plan_runs(&large, height_of(wide)) : plan_tiles(&large, height_of(wide));
    /* A norm asks for parts before it is known whether the result is in bf16. It mostly is; floats leave two stages at least. */
    large.v.halves = true;
    const size_t blocks = blocks_of(*d, small), quarter = blocks_of(large, wide);
    if (4 * quarter > blocks + blocks / WASTED || cuda_divide_up(d->v.c, ROWS) % width_of(wide) != 0 || !fill(cuda, quarter) ||
        !fits(&large, wide))
        return small;
    large.v.halves = d->v.halves;
    *d = large;
    return wide;
}

/* Tiles of the most pixels that a phase can have, and windows of the most taps; of all phases', where blocks of one each would
 * be more than run at once. */
static pixels plan_phases(const cuda_backend *cuda, grouped *d)
{
    enum { AT_ONCE = 2 };
    const tensor_conv &v = d->v;
    d->rows = (unsigned)cuda_divide_up(v.h, 2 * TILE_H), d->columns = (unsigned)cuda_divide_up(v.w, 2 * TILE_W);
    const pixels kind = blocks_of(*d, PHASES) * ALL > AT_ONCE * cuda->multiprocessors ? ALL_PHASES : PHASES;
    const unsigned down = kind == PHASES ? (v.kh + 1) / 2 : phases_of(v.kh, v.padding).taps;
    const unsigned across = kind == PHASES ? (v.kw + 1) / 2 : phases_of(v.kw, v.padding).taps;
    d->halo_w = TILE_W + across - 1, d->halo_pixels = (TILE_H + down - 1) * d->halo_w;
    d->halo_step = d->halo_pixels | 1;
    return kind;
}

grouped plan_grouped(const nn_call *call, const tensor_conv *conv, pixels *kind)
{
    grouped d = {};
    d.v = *conv;
    d.granules = conv->p.c / TENSOR_GRANULE, d.chunks = (unsigned)cuda_divide_up(d.granules, CHUNK);
    *kind = conv->stride == 2 ? plan_phases(cuda_of(call), &d) : plan_one_phase(cuda_of(call), &d);
    /* Three at least in blocks that share: of kernels that tensor_conv_suits lets pass none needs a tile's window of more than
     * 352 pixels (1x15). */
    fits(&d, *kind);
    const unsigned most = is_alone(*kind) ? MOST_STAGES : MOST_STAGES / 2;
    const unsigned stages = (shared_bytes(*kind) - fixed_bytes(d, *kind)) / stage_bytes(*kind);
    d.stages = stages < most ? stages : most;
    d.tiles = d.places = conv->p.images * d.rows * d.columns;
    const size_t at_once = cuda_of(call)->multiprocessors / cuda_divide_up(conv->c, ROWS * width_of(*kind));
    if (is_alone(*kind) && at_once < d.tiles) d.places = at_once > 0 ? (unsigned)at_once : 1;
    return d;
}

size_t tensor_conv_parts(const nn_call *call, const tensor_conv *conv)
{
    pixels kind;
    const grouped d = plan_grouped(call, conv, &kind);
    return (kind == PHASES ? (unsigned)ALL : 1) * (size_t)d.rows * d.columns;
}
