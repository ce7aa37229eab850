/* Winograd's matrix products, from the blocks of product.h. */
#include "nn/cpu/kernels/product.h"
#include "nn/cpu/kernels/winograd.h"

enum {
    WIDTH = PRODUCT_WIDTH,
    ROWS = PRODUCT_ROWS,
    PAIR = PRODUCT_PAIR,
    LINE = 64 / sizeof(product_number) /* numbers of a cache line */
};

/* Meanwhile asks for the `ahead` numbers at `next`, a share for each step. */
PRODUCT_INLINE void multiply_all(size_t rows, product p, const product_number *next, size_t ahead)
{
    size_t share = ahead / ((rows + ROWS - 1) / ROWS);
    for (size_t begin = 0, done; begin < rows; begin += done) {
        for (size_t i = 0; i < share; i += LINE) __builtin_prefetch(next + i, 0, 2);
        next += share;
        done = product_next_rows(rows - begin);
        product_rows(done, p);
        p.a += done * p.row_step;
        p.c += done * p.c_step;
    }
}

void CPU_NAME(cpu_winograd_multiply)(const product_number *v, size_t v_step, const product_number *u, size_t tiles,
                                     size_t ic, size_t panels, float *m)
{
    size_t count = (ic + PAIR - 1) / PAIR, size = count * WIDTH * PAIR;
    for (size_t panel = 0; panel < panels; panel++, u += size)
        multiply_all(tiles, (product){.a = v, .row_step = v_step, .k_step = PAIR, .b = u, .outer = 1, .count = count,
                                      .c = m + panel * WIDTH, .c_step = panels * WIDTH},
                     u + size, panel + 1 < panels ? size : 0);
}

void CPU_NAME(cpu_winograd_accumulate)(const product_number *a, const product_number *b, size_t count, bool add,
                                       float *c)
{
    multiply_all(WIDTH, (product){.a = a, .row_step = PAIR, .k_step = WIDTH * PAIR, .b = b, .outer = 1,
                                  .count = (count + PAIR - 1) / PAIR, .c = c, .c_step = WIDTH, .add = add},
                 NULL, 0);
}
