/* Winograd's small matrices and how they are applied to squares of vectors, along whose lanes channels run: for the
 * files winograd_*.c alone. */
#ifndef NN_CPU_KERNELS_WINOGRAD_LINES_H
#define NN_CPU_KERNELS_WINOGRAD_LINES_H

#include <string.h>

#include "nn/cpu/kernels/winograd.h"

enum {
    LANES = PRODUCT_LANES,
    WIDTH = PRODUCT_WIDTH,
    PATCH = WINOGRAD_PATCH,
    POINTS = WINOGRAD_POINTS,
    PAIR = PRODUCT_PAIR,
    GROUP = 8 /* weights in, or tiles, that are worked on together */
};

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;

#define INLINE PRODUCT_INLINE

/* The points are 0, P, -P, Q, -Q and infinity. */
#if defined(WINOGRAD_BF16)
#define P (2.0F / 3)
#define Q (3.0F / 2)
#else
#define P 1.0F
#define Q 2.0F
#endif
#define PP (P * P)
#define QQ (Q * Q)
/* Of the rows of G: 1 / the product of the distances to the other points. */
#define AT_ZERO (1 / (PP * QQ))
#define AT_P (1 / (2 * PP * (PP - QQ)))
#define AT_Q (1 / (2 * QQ * (QQ - PP)))

/* A matrix times a line of values. */
typedef void line_transform(const vector *in, vector *out);

/* Values at P, -P, Q and -Q, from their even and odd parts. */
INLINE void at_points(vector even, vector odd, vector even2, vector odd2, vector *t)
{
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = even2 + odd2;
    t[4] = even2 - odd2;
}

/* B^T: 6 -> 6. */
INLINE void line_from_x(const vector *d, vector *t)
{
    vector even = d[4] - QQ * d[2], odd = P * (d[3] - QQ * d[1]);
    vector even2 = d[4] - PP * d[2], odd2 = Q * (d[3] - PP * d[1]);
    t[0] = PP * QQ * d[0] - (PP + QQ) * d[2] + d[4];
    at_points(even, odd, even2, odd2, t);
    t[5] = PP * QQ * d[1] - (PP + QQ) * d[3] + d[5];
}

/* A^T: 6 -> 4, for 3x3 kernels. */
INLINE void line_to_y_4(const vector *m, vector *t)
{
    vector even = m[1] + m[2], odd = m[1] - m[2], even2 = m[3] + m[4], odd2 = m[3] - m[4];
    t[0] = m[0] + even + even2;
    t[1] = P * odd + Q * odd2;
    t[2] = PP * even + QQ * even2;
    t[3] = P * PP * odd + Q * QQ * odd2 + m[5];
}

/* The same for 4x4 kernels: 6 -> 3. */
INLINE void line_to_y_3(const vector *m, vector *t)
{
    vector even = m[1] + m[2], even2 = m[3] + m[4];
    t[0] = m[0] + even + even2;
    t[1] = P * (m[1] - m[2]) + Q * (m[3] - m[4]);
    t[2] = PP * even + QQ * even2 + m[5];
}

/* A: 4 -> 6. */
INLINE void line_from_dy_4(const vector *d, vector *t)
{
    vector even = d[0] + PP * d[2], odd = P * d[1] + P * PP * d[3];
    vector even2 = d[0] + QQ * d[2], odd2 = Q * d[1] + Q * QQ * d[3];
    t[0] = d[0];
    at_points(even, odd, even2, odd2, t);
    t[5] = d[3];
}

/* 3 -> 6. */
INLINE void line_from_dy_3(const vector *d, vector *t)
{
    vector even = d[0] + PP * d[2], odd = P * d[1], even2 = d[0] + QQ * d[2], odd2 = Q * d[1];
    t[0] = d[0];
    at_points(even, odd, even2, odd2, t);
    t[5] = d[2];
}

/* G: 3 -> 6. */
INLINE void line_from_weight_3(const vector *g, vector *t)
{
    vector even = (g[0] + PP * g[2]) * AT_P, odd = g[1] * (P * AT_P);
    vector even2 = g[0] * AT_Q + g[2] * (QQ * AT_Q), odd2 = g[1] * (Q * AT_Q);
    t[0] = g[0] * AT_ZERO;
    at_points(even, odd, even2, odd2, t);
    t[5] = g[2];
}

/* 4 -> 6. */
INLINE void line_from_weight_4(const vector *g, vector *t)
{
    vector even = (g[0] + PP * g[2]) * AT_P, odd = (g[1] + PP * g[3]) * (P * AT_P);
    vector even2 = (g[0] + QQ * g[2]) * AT_Q, odd2 = (g[1] + QQ * g[3]) * (Q * AT_Q);
    t[0] = g[0] * AT_ZERO;
    at_points(even, odd, even2, odd2, t);
    t[5] = g[3];
}

/* G^T: 6 -> 3. */
INLINE void line_to_weight_3(const vector *m, vector *t)
{
    vector even = (m[1] + m[2]) * AT_P, odd = (m[1] - m[2]) * (P * AT_P);
    vector even2 = m[3] + m[4], odd2 = (m[3] - m[4]) * (Q * AT_Q);
    t[0] = m[0] * AT_ZERO + even + even2 * AT_Q;
    t[1] = odd + odd2;
    t[2] = even2 * (QQ * AT_Q) + PP * even + m[5];
}

/* 6 -> 4. */
INLINE void line_to_weight_4(const vector *m, vector *t)
{
    vector even = (m[1] + m[2]) * AT_P, odd = (m[1] - m[2]) * (P * AT_P);
    vector even2 = (m[3] + m[4]) * AT_Q, odd2 = (m[3] - m[4]) * (Q * AT_Q);
    t[0] = m[0] * AT_ZERO + even + even2;
    t[1] = odd + odd2;
    t[2] = PP * even + QQ * even2;
    t[3] = PP * odd + QQ * odd2 + m[5];
}

/* D in A^t for in (from, from), D and A the matrices of `down` and `along`: out is (to, to). */
INLINE void transform_sides(line_transform *down, line_transform *along, const int from, const int to, const vector *in,
                            vector *out)
{
    vector half[POINTS]; /* (to, from) */
#pragma GCC unroll 6
    for (int j = 0; j < from; j++) {
        vector column[PATCH], result[PATCH];
#pragma GCC unroll 6
        for (int i = 0; i < from; i++) column[i] = in[i * from + j];
        down(column, result);
#pragma GCC unroll 6
        for (int i = 0; i < to; i++) half[i * from + j] = result[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < to; i++) along(half + i * from, out + i * to);
}

/* The same with one matrix. */
INLINE void transform(line_transform *line, const int from, const int to, const vector *in, vector *out)
{
    transform_sides(line, line, from, to, in, out);
}

INLINE vector load(const float *from) { return *(const vector_in_memory *)from; }

INLINE void load_points(const float *from, size_t point_step, vector *t)
{
#pragma GCC unroll 36
    for (size_t point = 0; point < POINTS; point++) t[point] = load(from + point * point_step);
}

/* One number of each lane. */
INLINE void store(vector v, product_number *to)
{
#if defined(WINOGRAD_BF16)
    _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    *(vector_in_memory *)to = v;
#endif
}

/* PAIR numbers of each lane: `second` counts where PAIR is 2. */
INLINE void store_pairs(vector first, vector second, product_number *to)
{
#if defined(WINOGRAD_BF16)
    __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)first));
    __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)second));
    _mm512_storeu_si512(to, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
#else
    (void)second;
    store(first, to);
#endif
}

INLINE void store_points(const vector *t, product_number *to, size_t point_step)
{
#pragma GCC unroll 36
    for (size_t point = 0; point < POINTS; point++) store(t[point], to + point * point_step);
}

INLINE void store_point_pairs(const vector *first, const vector *second, product_number *to, size_t point_step)
{
#pragma GCC unroll 36
    for (size_t point = 0; point < POINTS; point++) store_pairs(first[point], second[point], to + point * point_step);
}

/* `width` lanes to the elements from number `element` of y. */
INLINE void store_elements(vector v, size_t width, void *y, const bool bf16, size_t element)
{
    if (bf16) {
        product_number *to = (product_number *)y + element, part[LANES];
        store(v, width == LANES ? to : part);
        if (width < LANES) memcpy(to, part, width * sizeof *to);
    } else {
        float *to = (float *)y + element;
        if (width == LANES)
            *(vector_in_memory *)to = v;
        else
            memcpy(to, &v, width * sizeof *to);
    }
}

#endif
