/* Winograd's minimal filtering F(4x4, 3x3) and F(3x3, 4x4) for convolutions of stride 1 (Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks", 2016), in fp32 on plain NHWC tensors. For each tile of y, 4x4 for 3x3
 * kernels and 3x3 for 4x4 ones, and 6x6 patch of x:
 *
 *     y  = A^T [sum over channels (G w G^T) . (B^T x B)] A        36 products where the direct sum takes 144
 *     dx = the same with w rotated by 180 degrees, in and out exchanged, padding kernel - 1 - p
 *     dw = G^T [sum over tiles (B^T x B) . (A dy A^T)] G
 *
 * at the points 0, 1, -1, 2, -2 and infinity. The error, relative in L2 to the exact result, is about 2e-6 at 256
 * channels and below 1e-5: some eight times that of the direct sum.
 *
 * The same files are compiled once more with WINOGRAD_BF16: transformed operands are then rounded to bf16 and their
 * products added up in fp32, two at a time (AVX512-BF16). Transforms and the sums themselves stay fp32. At the points
 * above the error would be 2.5e-2; at 0, 2/3, -2/3, 3/2, -3/2 and infinity, whose powers are closer together, it is
 * 1.1e-2 and below 2e-2 (direct sums of bf16 products: 1.7e-3), in all three directions.
 *
 * winograd_lines.h has the small matrices A, B, G, which winograd_transform.c and winograd_weights.c apply;
 * winograd_product.c has the sums over channels or tiles, one matrix product for each of the 36 points; winograd_ring.c
 * what a mirrored picture's data gradient has beside the picture; winograd_enlarged.c F(5x5, 2x2) for pictures that are
 * enlarged before they are convolved; winograd.c splits the work over tiles and threads.
 */
#ifndef NN_CPU_KERNELS_WINOGRAD_H
#define NN_CPU_KERNELS_WINOGRAD_H

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/moments_take.h"
#include "nn/cpu/kernels/product.h"

enum {
    WINOGRAD_PATCH = 6,
    WINOGRAD_POINTS = 36,
    WINOGRAD_SIDES = 4, /* of a picture: top, bottom, left, right */
    WINOGRAD_PHASES = 4, WINOGRAD_ENLARGED_TAPS = 2, /* of an enlarged picture, and of the side of a phase's kernel */
    WINOGRAD_SHIFT = 64 / sizeof(product_number) /* a cache line: keeps the points' matrices off each other's sets */
};

/* The tiles of a convolution x -> y; they are numbered over images, rows and columns. */
typedef struct winograd_shape {
    size_t images, h, w, ic; /* of x */
    size_t oh, ow, oc;       /* of y */
    size_t padding, tile;    /* tile: side of one, 7 - the kernel's */
    nn_pad_mode border;   /* what is beside x: zeros; its mirrored pixels, one row and column of padding; its outermost ones */
    bool enlarged;        /* x is convolved at twice its size: see winograd_enlarged.c; tile: of a phase */
    size_t columns;       /* of the products: oc, times the phases */
    bool x_bf16, y_bf16; /* tensors in NN_LAYOUT_BF16, which WINOGRAD_BF16 alone can read and write */
    size_t tile_rows, tile_columns, tiles; /* tiles: of all images */
    cpu_runs runs;                         /* of all images */
} winograd_shape;

/* Where results go. */
typedef struct winograd_result {
    const float *bias; /* that they get first, or NULL */
    void *y;
    float *moments; /* (runs, CPU_MOMENTS_ROWS, oc), or NULL; oc is a multiple of LANES then */
} winograd_result;

/* Where element (out, in, a, b) of a weight tensor lies: w[out * out_step + in * in_step + kernel * a + b], for `flip`
 * with kernel - 1 - a and kernel - 1 - b. */
typedef struct winograd_weight {
    const float *w;
    size_t kernel, out_step, in_step, out, in;
    bool flip;
} winograd_weight;

/* Where the channels of a transformed tile go, for each point: channel c to
 * data[point * point_step + c / panel * panel_step + c % panel]; up to a whole number of panels, zeros follow.
 * `paired` (no other value where PAIR is 1): two tiles share a place, of which tile t takes the numbers
 * t % 2 + 2 * (c % panel); after an odd number of tiles, zeros follow. */
typedef struct winograd_place {
    product_number *data;
    size_t point_step, panel, panel_step;
    bool paired;
} winograd_place;

/* `count` patches B^T x B from tile `first`, `tile_step` numbers apart (a pair: twice as far). */
void CPU_NAME(cpu_winograd_from_x)(const winograd_shape *s, const void *x, size_t first, size_t count,
                                   winograd_place to, size_t tile_step);
/* The same for A dy A^T. */
void CPU_NAME(cpu_winograd_from_dy)(const winograd_shape *s, const void *dy, size_t first, size_t count,
                                    winograd_place to, size_t tile_step);
/* y = A^T m A + bias of `count` runs from `first`, m: (point, tile, oc_step). */
void CPU_NAME(cpu_winograd_to_y)(const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                                 size_t first, size_t count, const winograd_result *to);
/* G w G^T of outputs [panel * WIDTH, + WIDTH) and inputs [begin, end), begin even: u is (point, panel, in / PAIR rounded
 * up, WIDTH, PAIR). `ring`, unless NULL, gets w itself: (tap, panel, in / PAIR rounded up, WIDTH, PAIR). */
void CPU_NAME(cpu_winograd_from_weight)(const winograd_weight *w, size_t panel, size_t begin, size_t end,
                                        product_number *u, size_t point_step, product_number *ring);
/* The same two for an enlarged picture: m has the channels of phase after phase, and panels are of those. oc is a multiple
 * of LANES. */
void CPU_NAME(cpu_winograd_to_enlarged_y)(const winograd_shape *s, const float *m, size_t point_step, size_t oc_step,
                                          size_t first, size_t count, const winograd_result *to);
void CPU_NAME(cpu_winograd_from_enlarged_weight)(const winograd_weight *w, size_t panel, size_t begin, size_t end,
                                                 product_number *u, size_t point_step);
/* dw (oc, ic, kernel, kernel) = G^T du G for outputs of a panel and inputs [begin, end); du is (point, in / WIDTH,
 * out / WIDTH, WIDTH in, WIDTH out), rounded up. */
void CPU_NAME(cpu_winograd_to_weight)(const winograd_shape *s, const float *du, size_t point_step, size_t panel,
                                      size_t begin, size_t end, float *dw);

/* A 3x3 convolution of a picture with one mirrored row and column on each side has a data gradient whose ring, beside the
 * picture, belongs to the pixels that it mirrors. As a part of the padded gradient it would cost whole rows and columns
 * of tiles, 13 % of them at 64x64 and 27 % at 32x32: it is summed directly. Here x and y of a shape are dy and dx. */
typedef struct winograd_ring {
    product_number *w;  /* rotated: see cpu_winograd_from_weight */
    product_number *dy; /* (images, sides, line, row): the outermost pixels of dy, zeros before and after them */
} winograd_ring;

/* Places of a line of winograd_ring.dy, numbers of a place; add_ring's sums are a line of WIDTH floats. */
size_t CPU_NAME(cpu_winograd_ring_line)(const winograd_shape *s);
size_t CPU_NAME(cpu_winograd_ring_row)(const winograd_shape *s);
/* Fills a line of winograd_ring.dy. */
void CPU_NAME(cpu_winograd_pack_ring)(const winograd_shape *s, const void *dy, size_t image, size_t side,
                                      product_number *to);
/* Adds an image's ring to dx, (n, oh, ow, oc) in fp32, sides of 2 and more, in a panel of its channels. */
void CPU_NAME(cpu_winograd_add_ring)(const winograd_shape *s, const winograd_ring *r, size_t image, size_t panel,
                                     float *sums, float *dx);

/* m (tiles, panels * WIDTH) = v (tiles, ic) u (panels, ic / PAIR, WIDTH, PAIR); rows of v are v_step apart. Rows of v
 * and m are read and written up to a whole number of units. */
void CPU_NAME(cpu_winograd_multiply)(const product_number *v, size_t v_step, const product_number *u, size_t tiles,
                                     size_t ic, size_t panels, float *m);
/* c (WIDTH, WIDTH) = or += the sum over k < count of a[k][i] * b[k][j]; a, b: (count / PAIR, WIDTH, PAIR). */
void CPU_NAME(cpu_winograd_accumulate)(const product_number *a, const product_number *b, size_t count, bool add,
                                       float *c);

#endif
