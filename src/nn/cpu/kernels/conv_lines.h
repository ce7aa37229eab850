/* Convolutions of stride 1 with kernels seven wide and few channels on one side, the first and last layers of generators
 * and their gradients, by minimal filtering along rows (Winograd, "Arithmetic Complexity of Computations", 1980),
 * in fp32 on NHWC tensors. Four neighbours in a row of y take ten products where the direct sum takes 28, F(4, 7):
 *
 *     y = A^T [sum over the kernel's rows and channels (G w) . (B^T x)]
 *
 * at the points 0, +-2/5, +-4/5, +-5/4, +-5/2 and infinity: with a point its reciprocal keeps the powers of all close
 * together. The error, relative in L2 to the exact result, is 1e-6 from 3 channels, 3e-6 from 32 and, without fused
 * multiply-adds, 8e-6 from 256, and below 1e-5 where the sums do not cancel, as those of a weight gradient do whose
 * picture is flat; at 0, +-1, +-2, +-1/2, +-3 and infinity it would be three times that. Squares of such tiles would take
 * fewer products still, but with few channels what they save is spent on transforms.
 *
 * conv_lines.c has what all directions share, conv_lines_rows.c the points of rows with few channels,
 * conv_lines_strips.c of those with many, conv_lines_to_many.c the sums that go from few channels to many,
 * conv_lines_to_few.c those from many to few, conv_lines_weight.c weight gradients.
 */
#ifndef NN_CPU_KERNELS_CONV_LINES_H
#define NN_CPU_KERNELS_CONV_LINES_H

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/product.h"

enum {
    LINES_TAPS = 7,
    LINES_TILE = 4, /* pixels of y */
    LINES_POINTS = 10,
    LINES_FEW = 4 /* channels, at most */
};

/* y[n, i, j, o] = bias[o] + the sum over u < kh, v < 7, c of x[n, i - before + u, j - before + v, c] w(o, c, u, v). */
typedef struct conv_lines {
    size_t n, h, w, ic;  /* of x */
    size_t oh, ow, oc;   /* of y */
    size_t kh, before;
    nn_pad_mode border; /* what is beside x: zeros or its mirrored pixels */
    size_t tiles;       /* of a row of y */
    const float *x, *bias; /* bias may be NULL */
    void *y;
    bool y_bf16; /* y is in NN_LAYOUT_BF16: to many channels alone */
    const float *weight; /* w(o, c, u, v) is weight[o * weight_out + c * weight_in + 7 u + v] ... */
    size_t weight_out, weight_in;
    bool backwards; /* ... or, of a data gradient, that with kh - 1 - u and 6 - v */
    int threads;
} conv_lines;

/* conv2d or conv2d_data_grad; without tensors, what has the shapes. */
conv_lines CPU_NAME(cpu_conv_lines_of)(const nn_call *call);
/* G w of a row of taps: to[0], to[step], ..., for the ten points. */
void CPU_NAME(cpu_conv_lines_from_weight)(const conv_lines *l, size_t o, size_t c, size_t u, float *to, size_t step);

/* Pictures with at most LINES_FEW channels, (n, h, w, channels), `before` rows and columns of what is beside them in front.
 * Tile t of a row is the ten pixels from 4 t on, or, of `results`, the four of which A takes the points (for weight
 * gradients). */
typedef struct conv_lines_rows {
    const float *pixels;
    size_t h, w, channels, before;
    nn_pad_mode border;
    size_t tiles;
    bool results;
} conv_lines_rows;

/* Floats from one of a row's points to the next, (tiles, channels) of each; and of scratch. */
size_t CPU_NAME(cpu_conv_lines_row_point)(const conv_lines_rows *r);
size_t CPU_NAME(cpu_conv_lines_row_scratch)(const conv_lines_rows *r);
/* The points of row `row`, counted from the first in front of the picture; zeros where there is none. */
void CPU_NAME(cpu_conv_lines_row)(const conv_lines_rows *r, size_t image, size_t row, float *scratch, float *v);

/* Pictures with many channels, a multiple of 16, likewise, in strips of `tiles`. */
enum { LINES_STRIP = 8 }; /* tiles, at most */
typedef struct conv_lines_strips {
    const float *pixels;
    size_t h, w, channels, before;
    nn_pad_mode border;
    size_t tiles;
    bool results;
    size_t point, step; /* floats from a point to the next; from a vector of channels to the next, for each of them */
} conv_lines_strips;
/* Where a strip's pixels lie in a row: elements, or CPU_NOWHERE. */
typedef size_t conv_lines_strip_columns[LINES_STRIP * LINES_TILE + LINES_POINTS - LINES_TILE];

void CPU_NAME(cpu_conv_lines_columns)(const conv_lines_strips *s, size_t strip, conv_lines_strip_columns column);
/* The points of a strip in row `row`: for each point and vector of channels (tiles, LANES). */
void CPU_NAME(cpu_conv_lines_strip)(const conv_lines_strips *s, const conv_lines_strip_columns column, size_t image,
                                    size_t row, float *to);

/* The points other than 0 and infinity are +-P0, ..., +-P3, and these their squares. */
#define LINES_P0 0.4
#define LINES_P1 0.8
#define LINES_P2 1.25
#define LINES_P3 2.5
#define LINES_S0 (LINES_P0 * LINES_P0)
#define LINES_S1 (LINES_P1 * LINES_P1)
#define LINES_S2 (LINES_P2 * LINES_P2)
#define LINES_S3 (LINES_P3 * LINES_P3)
/* Symmetric polynomials. */
#define LINES_SUM(a, b, c) ((a) + (b) + (c))
#define LINES_PAIRS(a, b, c) ((a) * (b) + (a) * (c) + (b) * (c))
#define LINES_PRODUCT(a, b, c) ((a) * (b) * (c))
/* Rows of G are the powers of a point over the product of its distances to the others: that of 0 begins with the first,
 * those of +-p have the second, where s is p^2. */
#define LINES_SCALE_0 (1 / (LINES_PRODUCT(LINES_S0, LINES_S1, LINES_S2) * LINES_S3))
#define LINES_SCALE(s, a, b, c) (1 / (2 * (s) * LINES_PRODUCT((s) - (a), (s) - (b), (s) - (c))))

/* The points +p and -p of a line, where a, b and c are the squares of the others: with z = x^2, the coefficients of
 * x (x +- p) (z - a) (z - b) (z - c). */
PRODUCT_INLINE void conv_lines_pair(const product_vector *d, double p, double a, double b, double c, product_vector *t)
{
    const float one = (float)-LINES_PRODUCT(a, b, c), two = (float)LINES_PAIRS(a, b, c), three = (float)-LINES_SUM(a, b, c);
    product_vector even = one * d[2] + two * d[4] + three * d[6] + d[8];
    product_vector odd = (float)p * (one * d[1] + two * d[3] + three * d[5] + d[7]);
    t[0] = even + odd;
    t[1] = even - odd;
}

/* d[0], d[2], ..., d[8] by the coefficients of (z - S0) (z - S1) (z - S2) (z - S3). */
PRODUCT_INLINE product_vector conv_lines_end(const product_vector *d)
{
    const float zero = (float)(LINES_PRODUCT(LINES_S0, LINES_S1, LINES_S2) * LINES_S3);
    const float one = (float)-(LINES_PRODUCT(LINES_S0, LINES_S1, LINES_S2) +
                               LINES_PAIRS(LINES_S0, LINES_S1, LINES_S2) * LINES_S3);
    const float two = (float)(LINES_PAIRS(LINES_S0, LINES_S1, LINES_S2) +
                              LINES_SUM(LINES_S0, LINES_S1, LINES_S2) * LINES_S3);
    const float three = (float)-(LINES_SUM(LINES_S0, LINES_S1, LINES_S2) + LINES_S3);
    return zero * d[0] + one * d[2] + two * d[4] + three * d[6] + d[8];
}

/* B^T: ten pixels to ten points. */
PRODUCT_INLINE void conv_lines_from_x(const product_vector *d, product_vector *t)
{
    t[0] = conv_lines_end(d);
    conv_lines_pair(d, LINES_P0, LINES_S1, LINES_S2, LINES_S3, t + 1);
    conv_lines_pair(d, LINES_P1, LINES_S0, LINES_S2, LINES_S3, t + 3);
    conv_lines_pair(d, LINES_P2, LINES_S0, LINES_S1, LINES_S3, t + 5);
    conv_lines_pair(d, LINES_P3, LINES_S0, LINES_S1, LINES_S2, t + 7);
    t[9] = conv_lines_end(d + 1);
}

/* A: four pixels of dy to ten points. */
PRODUCT_INLINE void conv_lines_dy_pair(const product_vector *d, double p, product_vector *t)
{
    product_vector even = d[0] + (float)(p * p) * d[2], odd = (float)p * d[1] + (float)(p * p * p) * d[3];
    t[0] = even + odd;
    t[1] = even - odd;
}

PRODUCT_INLINE void conv_lines_from_dy(const product_vector *d, product_vector *t)
{
    t[0] = d[0];
    conv_lines_dy_pair(d, LINES_P0, t + 1);
    conv_lines_dy_pair(d, LINES_P1, t + 3);
    conv_lines_dy_pair(d, LINES_P2, t + 5);
    conv_lines_dy_pair(d, LINES_P3, t + 7);
    t[9] = d[3];
}

/* A^T: ten points to four pixels. */
PRODUCT_INLINE void conv_lines_to_y(const product_vector *m, product_vector *y)
{
    product_vector even0 = m[1] + m[2], odd0 = m[1] - m[2], even1 = m[3] + m[4], odd1 = m[3] - m[4];
    product_vector even2 = m[5] + m[6], odd2 = m[5] - m[6], even3 = m[7] + m[8], odd3 = m[7] - m[8];
    y[0] = m[0] + even0 + even1 + (even2 + even3);
    y[1] = (float)LINES_P0 * odd0 + (float)LINES_P1 * odd1 + (float)LINES_P2 * odd2 + (float)LINES_P3 * odd3;
    y[2] = (float)LINES_S0 * even0 + (float)LINES_S1 * even1 + (float)LINES_S2 * even2 + (float)LINES_S3 * even3;
    y[3] = m[9] + (float)(LINES_P0 * LINES_S0) * odd0 + (float)(LINES_P1 * LINES_S1) * odd1 +
           (float)(LINES_P2 * LINES_S2) * odd2 + (float)(LINES_P3 * LINES_S3) * odd3;
}

#endif
