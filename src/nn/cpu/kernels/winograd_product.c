/* Winograd's matrix products: a block of ROWS x WIDTH sums in registers. */
#include <string.h>

#if defined(WINOGRAD_BF16)
#include <immintrin.h>
#endif

#include "nn/cpu/kernels/winograd.h"

enum {
    LANES = WINOGRAD_LANES,
    WIDTH = WINOGRAD_WIDTH,
    UNIT = WINOGRAD_UNIT,
    ROWS = WINOGRAD_ROWS,
    PAIR = WINOGRAD_PAIR,
    LINE = 64 / sizeof(winograd_number) /* numbers of a cache line */
};

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
/* The same, in memory that is not aligned for it. */
typedef float vector_in_memory __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* A term of LANES sums, or two: one factor for all, and one for each lane. */
#if defined(WINOGRAD_BF16)
typedef __m512bh factors;
typedef __m512bh repeated;
INLINE factors load_factors(const winograd_number *from) { return (__m512bh)_mm512_loadu_si512(from); }
INLINE repeated repeat(const winograd_number *from)
{
    int pair;
    memcpy(&pair, from, sizeof pair);
    return (__m512bh)_mm512_set1_epi32(pair);
}
INLINE vector add_product(vector sum, repeated a, factors b) { return (vector)_mm512_dpbf16_ps((__m512)sum, a, b); }
#else
typedef vector factors;
typedef float repeated;
INLINE factors load_factors(const winograd_number *from) { return *(const vector_in_memory *)from; }
INLINE repeated repeat(const winograd_number *from) { return *from; }
INLINE vector add_product(vector sum, repeated a, factors b) { return sum + a * b; }
#endif

/* One innermost product: c[r * c_step + j] = or += the sum over k < count, and over the pair i < PAIR, of
 * a[r * row_step + k * k_step + i] * b[(k * WIDTH + j) * PAIR + i]. */
typedef struct product {
    const winograd_number *a;
    size_t row_step, k_step;
    const winograd_number *b;
    size_t count;
    float *c;
    size_t c_step;
    bool add;
} product;

INLINE void multiply_rows(const int rows, product p)
{
    vector low[ROWS] = {{0}}, high[ROWS] = {{0}};
    for (size_t k = 0; k < p.count; k++) {
        factors left = load_factors(p.b + k * WIDTH * PAIR);
        factors right = load_factors(p.b + (k * WIDTH + LANES) * PAIR);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            repeated a = repeat(p.a + (size_t)r * p.row_step + k * p.k_step);
            low[r] = add_product(low[r], a, left);
            high[r] = add_product(high[r], a, right);
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        vector_in_memory *c = (vector_in_memory *)(p.c + (size_t)r * p.c_step);
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
static inline size_t next_rows(size_t left)
{
    if (left > 4 * UNIT || (left > 2 * UNIT && left <= 3 * UNIT)) return 3 * UNIT;
    return left > UNIT ? 2 * UNIT : UNIT;
}

/* Meanwhile asks for the `ahead` numbers at `next`, a share for each step. */
INLINE void multiply_all(size_t rows, product p, const winograd_number *next, size_t ahead)
{
    size_t share = ahead / ((rows + ROWS - 1) / ROWS);
    for (size_t begin = 0, done; begin < rows; begin += done) {
        for (size_t i = 0; i < share; i += LINE) __builtin_prefetch(next + i, 0, 2);
        next += share;
        done = next_rows(rows - begin);
        if (done == 3 * UNIT)
            multiply_rows(3 * UNIT, p);
        else if (done == 2 * UNIT)
            multiply_rows(2 * UNIT, p);
        else
            multiply_rows(UNIT, p);
        p.a += done * p.row_step;
        p.c += done * p.c_step;
    }
}

void CPU_NAME(cpu_winograd_multiply)(const winograd_number *v, size_t v_step, const winograd_number *u, size_t tiles,
                                     size_t ic, size_t panels, float *m)
{
    size_t count = (ic + PAIR - 1) / PAIR, size = count * WIDTH * PAIR;
    for (size_t panel = 0; panel < panels; panel++, u += size)
        multiply_all(tiles, (product){.a = v, .row_step = v_step, .k_step = PAIR, .b = u, .count = count,
                                      .c = m + panel * WIDTH, .c_step = panels * WIDTH},
                     u + size, panel + 1 < panels ? size : 0);
}

void CPU_NAME(cpu_winograd_accumulate)(const winograd_number *a, const winograd_number *b, size_t count, bool add,
                                       float *c)
{
    multiply_all(WIDTH, (product){.a = a, .row_step = PAIR, .k_step = WIDTH * PAIR, .b = b,
                                  .count = (count + PAIR - 1) / PAIR, .c = c, .c_step = WIDTH, .add = add},
                 NULL, 0);
}
