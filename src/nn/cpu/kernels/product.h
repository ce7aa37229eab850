/* The innermost matrix product, which Winograd's convolutions and the direct ones share: a block of ROWS x WIDTH sums
 * that stays in registers. With WINOGRAD_BF16 the operands are bf16, and two terms are added at a time. */
#ifndef NN_CPU_KERNELS_PRODUCT_H
#define NN_CPU_KERNELS_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(WINOGRAD_BF16)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { PRODUCT_LANES = 16, PRODUCT_UNIT = 4 };
#elif defined(__AVX2__)
enum { PRODUCT_LANES = 8, PRODUCT_UNIT = 2 };
#else
enum { PRODUCT_LANES = 4, PRODUCT_UNIT = 2 };
#endif

enum {
    PRODUCT_WIDTH = 2 * PRODUCT_LANES, /* columns of a panel: what a row of sums has */
    PRODUCT_ROWS = 3 * PRODUCT_UNIT    /* rows of sums; it also comes with 1 and 2 units */
};

typedef float product_vector __attribute__((vector_size(PRODUCT_LANES * sizeof(float))));
/* The same, in memory that is not aligned for it. */
typedef float product_vector_in_memory
    __attribute__((vector_size(PRODUCT_LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

/* gcc would load a factor again for each product, and loads are what limits loops of few products. */
#if defined(__AVX512F__)
#define PRODUCT_IN_REGISTER(v) __asm__("" : "+v"(v))
#else
#define PRODUCT_IN_REGISTER(v) (void)(v)
#endif

#define PRODUCT_INLINE static inline __attribute__((always_inline))

/* Numbers of an operand that belong to consecutive terms of a sum lie PAIR by PAIR. A term (or two) of LANES sums has
 * one factor for all and one for each lane. */
#if defined(WINOGRAD_BF16)
typedef uint16_t product_number;
enum { PRODUCT_PAIR = 2 };
typedef __m512bh product_factors;
typedef __m512bh product_repeated;
PRODUCT_INLINE product_factors product_load(const product_number *from) { return (__m512bh)_mm512_loadu_si512(from); }
PRODUCT_INLINE product_repeated product_repeat(const product_number *from)
{
    int pair;
    memcpy(&pair, from, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}
PRODUCT_INLINE product_vector product_add(product_vector sum, product_repeated a, product_factors b)
{
    return (product_vector)_mm512_dpbf16_ps((__m512)sum, a, b);
}
#else
typedef float product_number;
enum { PRODUCT_PAIR = 1 };
typedef product_vector product_factors;
typedef float product_repeated;
PRODUCT_INLINE product_factors product_load(const product_number *from)
{
    return *(const product_vector_in_memory *)from;
}
PRODUCT_INLINE product_repeated product_repeat(const product_number *from) { return *from; }
PRODUCT_INLINE product_vector product_add(product_vector sum, product_repeated a, product_factors b)
{
    return sum + a * b;
}
#endif

/* c[r * c_step + j] = start[j] + the sum over i < outer, k < count, and over the pair q < PAIR, of
 * a[i * a_outer + r * row_step + k * k_step + q] * b[i * b_outer + (k * WIDTH + j) * PAIR + q];
 * with `add`, added to what c has. */
typedef struct product {
    const product_number *a;
    size_t a_outer, row_step, k_step;
    const product_number *b;
    size_t b_outer;
    size_t outer, count;
    const float *start; /* WIDTH numbers, or NULL: zeros */
    float *c;
    size_t c_step;
    bool add;
} product;

PRODUCT_INLINE void product_block(const int rows, product p)
{
    product_vector low[PRODUCT_ROWS] = {{0}}, high[PRODUCT_ROWS] = {{0}};
    if (p.start) {
        const product_vector_in_memory *start = (const product_vector_in_memory *)p.start;
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            low[r] = start[0];
            high[r] = start[1];
        }
    }
    for (size_t i = 0; i < p.outer; i++, p.a += p.a_outer, p.b += p.b_outer)
        for (size_t k = 0; k < p.count; k++) {
            product_factors left = product_load(p.b + k * PRODUCT_WIDTH * PRODUCT_PAIR);
            product_factors right = product_load(p.b + (k * PRODUCT_WIDTH + PRODUCT_LANES) * PRODUCT_PAIR);
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) {
                product_repeated a = product_repeat(p.a + (size_t)r * p.row_step + k * p.k_step);
                low[r] = product_add(low[r], a, left);
                high[r] = product_add(high[r], a, right);
            }
        }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        product_vector_in_memory *c = (product_vector_in_memory *)(p.c + (size_t)r * p.c_step);
        if (p.add) {
            low[r] += c[0];
            high[r] += c[1];
        }
        c[0] = low[r];
        c[1] = high[r];
    }
}

/* How many of the rows that are left come next. Most come ROWS at a time, but 8 as 4 + 4 rather than as 6 + 2, which
 * would leave registers idle. */
static inline size_t product_next_rows(size_t left)
{
    if (left > 4 * PRODUCT_UNIT || (left > 2 * PRODUCT_UNIT && left <= 3 * PRODUCT_UNIT)) return 3 * PRODUCT_UNIT;
    return left > PRODUCT_UNIT ? 2 * PRODUCT_UNIT : PRODUCT_UNIT;
}

/* `rows`: as product_next_rows gave it. */
PRODUCT_INLINE void product_rows(size_t rows, product p)
{
    if (rows == 3 * PRODUCT_UNIT)
        product_block(3 * PRODUCT_UNIT, p);
    else if (rows == 2 * PRODUCT_UNIT)
        product_block(2 * PRODUCT_UNIT, p);
    else
        product_block(PRODUCT_UNIT, p);
}

#endif
