/* Tiles, runs or phases: which of conv_group.cu's kernels takes a convolution. */
#include "nn/cuda/conv_group.h"

static void plan_tiles(grouped *d)
{
    const tensor_conv &v = d->v;
    d->rows = (unsigned)cuda_divide_up(v.h, TILE_H), d->columns = (unsigned)cuda_divide_up(v.w, TILE_W);
    d->halo_w = TILE_W + v.kw - 1, d->halo_pixels = (TILE_H + v.kh - 1) * d->halo_w;
    d->halo_step = d->halo_pixels;
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

/* Tiles of the most pixels that a phase can have, and windows of the most taps; of all phases', where blocks of one each would
 * be more than run at once. */
static pixels plan_phases(const cuda_backend *cuda, grouped *d)
{
    enum { AT_ONCE = 2 };
    const tensor_conv &v = d->v;
    d->rows = (unsigned)cuda_divide_up(v.h, 2 * TILE_H), d->columns = (unsigned)cuda_divide_up(v.w, 2 * TILE_W);
    const size_t tiles = (size_t)v.p.images * d->rows * d->columns * cuda_divide_up(v.c, ROWS);
    const pixels kind = tiles * ALL > AT_ONCE * cuda->multiprocessors ? ALL_PHASES : PHASES;
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
    if (conv->stride == 2) {
        *kind = plan_phases(cuda_of(call), &d);
    } else {
        plan_tiles(&d);
        *kind = plan_runs(&d) ? RUNS : TILES;
    }
    /* Three at least: of kernels that tensor_conv_suits lets pass none needs a tile's window of more than 352 pixels (1x15). */
    const unsigned shared = *kind == ALL_PHASES ? MOST_SHARED_ALONE : MOST_SHARED;
    const unsigned most = *kind == ALL_PHASES ? MOST_STAGES : MOST_STAGES / 2;
    const unsigned stages = (shared - fixed_bytes(d)) / BLOCK_BYTES;
    d.stages = stages < most ? stages : most;
    return d;
}

/* The same whichever kind it is. */
size_t tensor_conv_parts(const nn_call *call, const tensor_conv *conv)
{
    pixels kind;
    const grouped d = plan_grouped(call, conv, &kind);
    return (is_phases(kind) ? ALL : 1) * (size_t)d.rows * d.columns;
}
