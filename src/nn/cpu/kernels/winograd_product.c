/* Winograd's matrix products: a block of ROWS x WIDTH sums in registers. */
#include "nn/cpu/kernels/winograd.h"

enum {
    LANES = WINOGRAD_LANES,
    WIDTH = WINOGRAD_WIDTH,
    UNIT = WINOGRAD_UNIT,
    ROWS = WINOGRAD_ROWS,
    LINE = 16 /* floats of a cache line */
};

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
/* The same, in memory that is not aligned for it. */
typedef float vector_in_memory __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* One innermost product: c[r * c_step + j] = or += the sum over k < count of
 * a[r * row_step + k * k_step] * b[k * WIDTH + j]. */
typedef struct product {
    const float *a;
    size_t row_step, k_step;
    const float *b;
    size_t count;
    float *c;
    size_t c_step;
    bool add;
} product;

INLINE void multiply_rows(const int rows, product p)
{
    vector low[ROWS] = {{0}}, high[ROWS] = {{0}};
    for (size_t k = 0; k < p.count; k++) {
        vector left = *(const vector_in_memory *)(p.b + k * WIDTH);
        vector right = *(const vector_in_memory *)(p.b + k * WIDTH + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            float a = p.a[(size_t)r * p.row_step + k * p.k_step];
            low[r] += a * left;
            high[r] += a * right;
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

/* Meanwhile asks for the `ahead` floats at `next`, a share for each step. */
INLINE void multiply_all(size_t rows, product p, const float *next, size_t ahead)
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

void CPU_NAME(cpu_winograd_multiply)(const float *v, size_t v_step, const float *u, size_t tiles, size_t ic,
                                     size_t panels, float *m)
{
    size_t size = ic * WIDTH;
    for (size_t panel = 0; panel < panels; panel++, u += size)
        multiply_all(tiles, (product){.a = v, .row_step = v_step, .k_step = 1, .b = u, .count = ic,
                                      .c = m + panel * WIDTH, .c_step = panels * WIDTH},
                     u + size, panel + 1 < panels ? size : 0);
}

void CPU_NAME(cpu_winograd_accumulate)(const float *a, const float *b, size_t count, bool add, float *c)
{
    multiply_all(WIDTH, (product){.a = a, .row_step = 1, .k_step = WIDTH, .b = b, .count = count, .c = c,
                                  .c_step = WIDTH, .add = add},
                 NULL, 0);
}
