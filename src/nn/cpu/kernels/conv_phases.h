/* Convolutions of stride 2 with 3x3 and 4x4 kernels by minimal filtering, in fp32 on plain NHWC tensors. Along a side,
 * a kernel of stride 2 is a sum over two phases: its even taps meet every other pixel, its odd ones those between, and
 * either is a convolution of stride 1 with two taps or with one. A tile of 4 results of two taps takes 5 products at
 * the points 0, 1, -1, 2 and infinity (Winograd's F(4, 2)), of one tap 4, its direct ones; squares of them nest, as in
 * winograd.h. For 4x4 results, where the direct sums are 144 products for 3x3 and 256 for 4x4 kernels:
 *
 *     3x3: 25 + 20 + 20 + 16 = 81 for phases of 2x2, 2x1, 1x2 and 1x1 taps
 *     4x4: 4 * 25 = 100
 *
 *     y  = the sum over phases of A^T [sum over channels (G w G^T) . (B^T x B)] A
 *     dx = a phase's pixels each: A^T [sum over channels (G w G^T) . (B^T dy B)] A, with its taps backwards
 *
 * where the matrix of a side with one tap is 1. Of a 4x4 kernel's y, all phases have the same A: they are added before
 * it is applied, as so many more channels. The error, relative in L2 to the exact result, is 1e-6 to 4e-6 at 64 to 512
 * channels and below 1e-5.
 *
 * conv_phases_transform.c applies A and B to pictures, conv_phases_weights.c G to weights; the sums over channels are
 * Winograd's (cpu_winograd_multiply); conv_phases.c splits the work over tiles and threads.
 */
#ifndef NN_CPU_KERNELS_CONV_PHASES_H
#define NN_CPU_KERNELS_CONV_PHASES_H

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/product.h"

enum {
    PHASES_STRIDE = 2,
    PHASES = PHASES_STRIDE * PHASES_STRIDE,
    PHASES_TILE = 4,   /* side */
    PHASES_WINDOW = 5, /* side, with two taps */
    PHASES_SHIFT = 16  /* floats: a cache line, which keeps matrices off each other's sets */
};

/* The windows of a picture (h, w, channels): element (i, j) of the tile's in row r and column c of tiles is pixel
 * (step (TILE r + i) + top, step (TILE c + j) + left), or 0 where there is none. */
typedef struct phases_grid {
    size_t h, w, channels, step;
    ptrdiff_t top, left;
} phases_grid;

/* Tiles are numbered over images, rows and columns. */
typedef struct phases_tiles {
    size_t rows, columns, count; /* of an image, of an image, of all */
} phases_tiles;

/* `down` x `along` taps, 1 or 2 each, which are the kernel's (row, column) and what is tap_step from it. */
typedef struct phase {
    size_t down, along, row, column;
    ptrdiff_t tap_step;
    phases_grid in, out;
} phase;

/* A window's points: a side with two taps has a matrix for each of its 5 points; one with one tap has the same matrix
 * for its 4 points, which are rows of it. */
static inline size_t phases_matrices(const phase *p)
{
    return (p->down == 2 ? PHASES_WINDOW : 1) * (p->along == 2 ? PHASES_WINDOW : 1);
}
static inline size_t phases_rows(const phase *p)
{
    return (p->down == 2 ? 1 : PHASES_TILE) * (p->along == 2 ? 1 : PHASES_TILE);
}

/* Where the channels of transformed tiles go or come from: those of tile t's point, matrix m and row r, begin at
 * data[m * matrix_step + (t * phases_rows + r) * row_step]. */
typedef struct phases_place {
    float *data;
    size_t matrix_step, row_step;
} phases_place;

/* B^T window B of `count` tiles from `first`; after the channels zeros follow, up to a whole vector. */
void CPU_NAME(cpu_phases_from_picture)(const phases_tiles *t, const phase *p, const float *picture, size_t first,
                                       size_t count, phases_place to);
/* picture = A^T m A + bias, with `add` added to what it has; bias may be NULL. */
void CPU_NAME(cpu_phases_to_picture)(const phases_tiles *t, const phase *p, phases_place m, size_t first, size_t count,
                                     const float *bias, bool add, float *picture);

/* Where element (out, in, a, b) of a weight tensor lies: w[out * out_step + in * in_step + kernel * a + b]. */
typedef struct phases_weight {
    const float *w;
    size_t kernel, out_step, in_step, out, in;
} phases_weight;

/* Where a phase's G w G^T goes: u[matrix * step + (panel * rows + row + in) * WIDTH + out % WIDTH]. */
typedef struct phases_matrix {
    float *u;
    size_t step, rows, row;
} phases_matrix;

/* All phases of outputs [panel * WIDTH, + WIDTH) and inputs [begin, end). */
void CPU_NAME(cpu_phases_from_weight)(const phases_weight *w, const phase phases[PHASES],
                                      const phases_matrix to[PHASES], size_t panel, size_t begin, size_t end);

#endif
