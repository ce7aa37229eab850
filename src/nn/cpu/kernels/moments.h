/* Moments of a convolution's result, which an instance norm would read it twice for: (n, parts, 3, c). For each part of an
 * image's pixels and each channel how many there are, their mean, and the sum of squares about it.
 *
 * A part is a run of neighbouring tiles in a row of them, or, by products of tiles, a chunk (conv_tiles_plan.c): by the
 * shape alone. moments_take.h takes them while the results
 * are in registers, one thread a whole run in its order; instance_norm.c puts them together. */
#ifndef NN_CPU_KERNELS_MOMENTS_H
#define NN_CPU_KERNELS_MOMENTS_H

#include "nn/cpu/kernels/sizes.h"

enum {
    CPU_MOMENTS_ROWS = 3, /* of a part */
    CPU_RUN = 8           /* tiles of a run, at most */
};

/* Rows of tiles, numbered row after row, and their runs likewise. */
typedef struct cpu_runs {
    size_t columns; /* tiles of a row */
    size_t tiles;   /* of a run; a row's last one may have fewer */
    size_t each;    /* runs of a row */
    size_t count;   /* of all rows */
} cpu_runs;

static inline cpu_runs cpu_runs_of(size_t rows, size_t columns)
{
    size_t tiles = cpu_divide_up(columns, cpu_divide_up(columns, CPU_RUN)), each = cpu_divide_up(columns, tiles);
    return (cpu_runs){columns, tiles, each, rows * each};
}

/* The first tile of a run, which may be the one after the last. */
static inline size_t cpu_runs_begin(const cpu_runs *r, size_t run)
{
    return run / r->each * r->columns + run % r->each * r->tiles;
}

/* Runs of a block, when blocks have up to `most` tiles, and are as many as keep all threads busy to the end. */
static inline size_t cpu_runs_block(const cpu_runs *r, size_t most, size_t threads)
{
    return cpu_divide_up(r->count, cpu_round_up(cpu_divide_up(r->count, most / r->tiles), threads));
}

#endif
