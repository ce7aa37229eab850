/* Products of tiles: 16 rows of 64 bytes, of which a processor with Intel's AMX has eight (Intel, "Architecture Instruction
 * Set Extensions Programming Reference", AMX-TILE and AMX-BF16). One instruction adds 16x32 by 32x16 products of bf16 to
 * 16x16 sums in fp32, sixteen times what AVX-512 does in fp32 in that time.
 *
 *     TILES_BEGIN(s);                        once in each thread that uses tiles
 *     TILES_ZERO(s, t);
 *     TILES_LOAD(s, t, from, step);          16 rows, `step` bytes apart
 *     TILES_MULTIPLY(s, c, a, b);            c[i][j] += a[i][2 k] * b[k][2 j] + a[i][2 k + 1] * b[k][2 j + 1] over k < 16
 *     TILES_STORE(s, t, to, step);
 *     TILES_END(s);
 *
 * t, c, a and b are numbers from 0 to 7 that the compiler knows. A left operand has a row of 32 terms for each row of the
 * sums; a right one a row for each two terms, in which these lie side by side for each column.
 *
 * Files that include this are compiled twice: as `amx`, with these instructions, and as `plain`, with loops in place of
 * them, which any machine can run: tests do. Both add in the same order, pairs first, but not to the same bits: AMX takes
 * denormals for zero, and rounds between the two products of a pair otherwise. */
#ifndef NN_CPU_KERNELS_TILES_H
#define NN_CPU_KERNELS_TILES_H

#include <stdint.h>
#include <string.h>

#include "nn/cpu/kernels/bf16.h"
#include "nn/cpu/kernels/product.h"

enum {
    TILES_ROWS = 16,   /* of sums, and of any operand */
    TILES_COLUMNS = 16, /* of sums */
    TILES_TERMS = 32,  /* of a product's sum: a row of a left operand */
    TILES_BYTES = 64   /* of a row */
};

#if defined(CPU_AMX)

#include <immintrin.h>

typedef char tiles_unit; /* the processor has them */

/* Palette 1, and each tile's row in bytes and rows. */
typedef struct tiles_shape {
    uint8_t palette, start, reserved[14];
    uint16_t bytes[16];
    uint8_t rows[16];
} tiles_shape;

static inline void tiles_begin(void)
{
    static const tiles_shape whole __attribute__((aligned(64))) = {
        .palette = 1,
        .bytes = {TILES_BYTES, TILES_BYTES, TILES_BYTES, TILES_BYTES, TILES_BYTES, TILES_BYTES, TILES_BYTES, TILES_BYTES},
        .rows = {TILES_ROWS, TILES_ROWS, TILES_ROWS, TILES_ROWS, TILES_ROWS, TILES_ROWS, TILES_ROWS, TILES_ROWS}};
    _tile_loadconfig(&whole);
}

#define TILES_BEGIN(s) ((void)(s), tiles_begin())
/* (void)(s): as if they used it, as the loops do. */
#define TILES_ZERO(s, t) do { (void)(s); _tile_zero(t); } while (0)
/* gcc's own does not say that it reads memory. */
#define TILES_LOAD(s, t, from, step)                                                                                  \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t : : "r"(from), "r"((size_t)(step)) : "memory")
#define TILES_MULTIPLY(s, c, a, b) do { (void)(s); _tile_dpbf16ps(c, a, b); } while (0)
#define TILES_STORE(s, t, to, step)                                                                                   \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" : : "r"(to), "r"((size_t)(step)) : "memory")
#define TILES_END(s) ((void)(s), _tile_release())

#else

typedef union tiles_unit {
    float sums[8][TILES_ROWS][TILES_COLUMNS];
    uint16_t numbers[8][TILES_ROWS][TILES_TERMS];
} tiles_unit;

static inline void tiles_load(void *tile, const void *from, size_t step)
{
    for (size_t i = 0; i < TILES_ROWS; i++)
        memcpy((unsigned char *)tile + i * TILES_BYTES, (const unsigned char *)from + i * step, TILES_BYTES);
}

static inline void tiles_store(const void *tile, void *to, size_t step)
{
    for (size_t i = 0; i < TILES_ROWS; i++)
        memcpy((unsigned char *)to + i * step, (const unsigned char *)tile + i * TILES_BYTES, TILES_BYTES);
}

static inline void tiles_multiply(float (*c)[TILES_COLUMNS], const uint16_t (*a)[TILES_TERMS],
                                  const uint16_t (*b)[TILES_TERMS])
{
    for (size_t i = 0; i < TILES_ROWS; i++)
        for (size_t k = 0; k < TILES_TERMS; k += 2) {
            float even = cpu_from_bf16(a[i][k]), odd = cpu_from_bf16(a[i][k + 1]);
            for (size_t j = 0; j < TILES_COLUMNS; j++)
                c[i][j] += even * cpu_from_bf16(b[k / 2][2 * j]) + odd * cpu_from_bf16(b[k / 2][2 * j + 1]);
        }
}

/* A tile that was not loaded must not count. */
#define TILES_BEGIN(s) memset((s), 0xFF, sizeof *(s))
#define TILES_ZERO(s, t) memset((s)->sums[t], 0, sizeof (s)->sums[t])
#define TILES_LOAD(s, t, from, step) tiles_load((s)->numbers[t], (from), (step))
#define TILES_MULTIPLY(s, c, a, b) tiles_multiply((s)->sums[c], (s)->numbers[a], (s)->numbers[b])
#define TILES_STORE(s, t, to, step) tiles_store((s)->sums[t], (to), (step))
#define TILES_END(s) ((void)(s))

#endif

/* LANES floats to bf16. */
PRODUCT_INLINE void tiles_narrow(product_vector v, uint16_t *to)
{
#if defined(__AVX512BF16__)
    _mm256_storeu_si256((__m256i *)(void *)to, (__m256i)_mm512_cvtneps_pbh((__m512)v));
#else
    for (size_t i = 0; i < PRODUCT_LANES; i++) to[i] = cpu_to_bf16(v[i]);
#endif
}

#endif
