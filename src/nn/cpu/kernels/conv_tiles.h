/* Convolutions in bf16 as sums of products of tiles (tiles.h), for all three directions: direct sums, so that the error,
 * relative in L2, is that of rounding the operands, 1.7e-3.
 *
 * conv2d and conv2d_data_grad are one algorithm. The source (x, or dy) is read from a copy in bf16 with a border and
 * channels filled up to a multiple of 32, or as it is where it has all that. A result is a sum over taps, each a pixel of
 * the source times a matrix of channels in by channels out. Results are taken in phases, in each of which all have the same
 * taps, at the same distances:
 *
 *     conv2d                     one phase, all taps
 *     conv2d_data_grad           stride^2 phases: pixels that are equal modulo the stride meet the same taps
 *     conv2d of an enlarged x    four phases, for even and odd rows and columns, of 2x2 taps whose matrices are sums
 *                                (winograd_enlarged.c has why)
 *
 * A tile is 16 results of a row, or of a column where that wastes less. Three tiles and 32 channels out are summed at a
 * time, in six of the processor's tiles; the other two are for operands.
 *
 * conv_tiles_plan.c has the phases, conv_tiles_pack.c the copies of source and weights, conv_tiles.c the sums,
 * conv_tiles_weight.c the gradient of weights.
 */
#ifndef NN_CPU_KERNELS_CONV_TILES_H
#define NN_CPU_KERNELS_CONV_TILES_H

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/tiles.h"

enum {
    TILES_MOST_TAPS = 7,   /* along a side: the largest kernel */
    TILES_MOST_STRIDE = 2,
    TILES_MOST_PHASES = 4,
    TILES_SIDES = 4, /* of a picture: top, bottom, left, right */
    TILES_PANEL = 2 * TILES_COLUMNS, /* channels out that are summed at a time */
    TILES_SUMMED = 3,                /* tiles of results that are summed at a time */
    TILES_STEP = TILES_PANEL * TILES_TERMS /* numbers of a tap's matrix for a panel and 32 channels in */
};

/* A tap along one side: result i has pixel i * from_step + `from` of the source, times the sum of the kernel's lines
 * [first, first + count). */
typedef struct tiles_tap {
    size_t from, first, count;
} tiles_tap;

/* The results of a phase along one side: number i is line i * to_step + `to`. */
typedef struct tiles_axis {
    size_t results, to, to_step, from_step, taps;
    tiles_tap tap[TILES_MOST_TAPS];
} tiles_axis;

typedef struct tiles_phase {
    tiles_axis rows, columns;
    bool down;           /* tiles have 16 results of a column, not of a row */
    size_t lines, tiles; /* of an image: tile t begins at line t % lines, result 16 (t / lines) of it */
    size_t chunk;        /* tiles of one */
    size_t chunks;       /* of an image */
    size_t first_part;   /* of an image's moments: one for each chunk */
    size_t weights;      /* numbers before its own */
} tiles_phase;

typedef struct tiles_plan {
    size_t images, h, w, in;                    /* of the source */
    size_t before, padded_h, padded_w, channels; /* of its copy; channels: a multiple of TILES_TERMS */
    nn_pad_mode border;
    size_t oh, ow, out; /* of the result */
    bool from_bf16, to_bf16; /* tensors in NN_LAYOUT_BF16 */
    bool in_place;           /* the source needs no copy */
    size_t groups, panels;   /* of TILES_TERMS channels in, of TILES_PANEL out */
    size_t phases, parts;
    tiles_phase phase[TILES_MOST_PHASES];
    /* Of a mirrored picture's data gradient: what lies beside it, in lines of the padded picture, is added to the pixels
     * that it mirrors. They have the first phase's weights. */
    bool has_ring;
    tiles_phase side[TILES_SIDES];
    size_t source_numbers, weight_numbers; /* of the copies */
} tiles_plan;

/* Of a conv2d or conv2d_data_grad whose shapes, attributes and layouts are set. */
tiles_plan CPU_NAME(cpu_tiles_plan_of)(const nn_call *call);

/* In how many parts of an image it gives moments: 0 where a ring is added to a result. */
size_t CPU_NAME(cpu_tiles_parts)(const nn_call *call);

/* Row `row` of the source's copy, (images, padded_h, padded_w, channels). */
void CPU_NAME(cpu_tiles_pack_row)(const tiles_plan *p, const void *source, size_t row, uint16_t *copy);

/* Where element (out, in, a, b) of a weight tensor lies: w[out * out_step + in * in_step + kernel * a + b]. */
typedef struct tiles_weight {
    const float *w;
    size_t kernel, out_step, in_step;
} tiles_weight;

/* A phase's matrices for one panel and group: (taps, 2, TILES_TERMS / 2, TILES_COLUMNS, 2). They lie panel by panel, then
 * group by group. */
void CPU_NAME(cpu_tiles_pack_weight)(const tiles_plan *p, const tiles_phase *phase, const tiles_weight *w, size_t panel,
                                     size_t group, uint16_t *to);

extern const nn_kernel CPU_NAME(cpu_conv2d_tiles), CPU_NAME(cpu_conv2d_data_grad_tiles),
    CPU_NAME(cpu_conv2d_weight_grad_tiles);

#endif
