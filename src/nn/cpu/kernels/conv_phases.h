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
 *     dw = a phase's taps each: G^T [sum over tiles (B^T x B) . (A dy A^T)] G
 *
 * where the matrix of a side with one tap is 1. Of a 4x4 kernel's y, all phases have the same A: they are added before
 * it is applied, as so many more channels. The error, relative in L2 to the exact result, is 1e-6 to 4e-6 at 64 to 512
 * channels and below 1e-5.
 *
 * conv_phases_transform.c applies A and B to pictures, conv_phases_weights.c G to weights; the sums over channels and
 * tiles are Winograd's (winograd_product.c); conv_phases.c and, for weight gradients, conv_phases_gradient.c split the
 * work over tiles and threads.
 */
#ifndef NN_CPU_KERNELS_CONV_PHASES_H
#define NN_CPU_KERNELS_CONV_PHASES_H

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/moments_take.h"
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

/* `down` x `along` taps, 1 or 2 each, which are the kernel's (row, column) and what is tap_step from it; the windows
 * that they meet, and the tiles of results. */
typedef struct phase {
    size_t down, along, row, column;
    ptrdiff_t tap_step;
    phases_grid in, out;
} phase;

/* How many taps of a kernel's side are of phase `remainder`. */
static inline size_t phases_taps(size_t remainder, size_t kernel)
{
    return (kernel - remainder + PHASES_STRIDE - 1) / PHASES_STRIDE;
}

/* Phase (i, j) of y = conv2d(x, w). */
static inline phase phases_of_conv2d(nn_shape x, nn_shape w, nn_shape y, size_t padding, size_t i, size_t j)
{
    return (phase){.down = phases_taps(i, w.dim[NN_KH]), .along = phases_taps(j, w.dim[NN_KW]), .row = i, .column = j,
                   .tap_step = PHASES_STRIDE,
                   .in = {.h = x.dim[NN_H], .w = x.dim[NN_W], .channels = x.dim[NN_C], .step = PHASES_STRIDE,
                          .top = (ptrdiff_t)i - (ptrdiff_t)padding, .left = (ptrdiff_t)j - (ptrdiff_t)padding},
                   .out = {.h = y.dim[NN_H], .w = y.dim[NN_W], .channels = y.dim[NN_C], .step = 1}};
}

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

/* Where the channels of transformed tiles go or come from: the first one of tile t's point, matrix m and row r, is at
 * data[m * matrix_step + (t * phases_rows + r) * row_step], and panels of WIDTH channels are panel_step apart. */
typedef struct phases_place {
    float *data;
    size_t matrix_step, row_step, panel_step;
} phases_place;

/* `count` tiles from `first`, and channels [begin, end), begin a whole panel's, end a whole vector's: after the
 * picture's channels come zeros. */
typedef struct phases_run {
    size_t first, count, begin, end;
} phases_run;

/* B^T window B. */
void CPU_NAME(cpu_phases_from_picture)(const phases_tiles *t, const phase *p, const float *picture,
                                       const phases_run *run, const phases_place *to);
/* A dy A^T. */
void CPU_NAME(cpu_phases_from_dy)(const phases_tiles *t, const phase *p, const float *dy, const phases_run *run,
                                  const phases_place *to);
/* Where results go. */
typedef struct phases_result {
    float *picture;
    const float *bias; /* that they get first, or NULL */
    bool add;          /* they are added to what the picture has */
    const cpu_runs *runs; /* of all tiles: whole ones come */
    float *moments;       /* of the picture (runs, CPU_MOMENTS_ROWS, channels), channels a multiple of LANES; or NULL */
    bool more;            /* the pixels, beside those of earlier phases */
} phases_result;

/* A^T m A. Channels are of one panel, end its last one or the picture's. */
void CPU_NAME(cpu_phases_to_picture)(const phases_tiles *t, const phase *p, const phases_place *m,
                                     const phases_run *run, const phases_result *to);

/* Where element (out, in, a, b) of a weight tensor lies: w[out * out_step + in * in_step + kernel * a + b]. */
typedef struct phases_weight {
    const float *w;
    size_t kernel, out_step, in_step, out, in;
} phases_weight;

/* Where a phase's G w G^T goes: u[panel * panel_step + matrix * step + (row + in) * WIDTH + out % WIDTH]. */
typedef struct phases_matrix {
    float *u;
    size_t step, panel_step, row;
} phases_matrix;

/* All phases of outputs [panel * WIDTH, + WIDTH) and inputs [begin, end). */
void CPU_NAME(cpu_phases_from_weight)(const phases_weight *w, const phase phases[PHASES],
                                      const phases_matrix to[PHASES], size_t panel, size_t begin, size_t end);

/* Where a phase's sums of a weight gradient lie: du[matrix * step + (in / WIDTH * panels + out / WIDTH) * unit_step
 * + in % WIDTH * WIDTH + out % WIDTH], panels of out; the gradient is the sum over `parts`, part_step apart. */
typedef struct phases_sums {
    const float *du;
    size_t step, unit_step, part_step, parts, panels;
} phases_sums;

/* dw = G^T du G of all phases, outputs of a panel and inputs [begin, end). dw lies as w would, which may be NULL. */
void CPU_NAME(cpu_phases_to_weight)(const phases_weight *w, const phase phases[PHASES], const phases_sums from[PHASES],
                                    size_t panel, size_t begin, size_t end, float *dw);

#endif
