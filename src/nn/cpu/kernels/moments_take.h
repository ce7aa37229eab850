/* Takes the moments of a run (moments.h) tile by tile.
 *
 *     cpu_moments run = {.to = moments + number * CPU_MOMENTS_ROWS * channels, .channels = channels};
 *     for each tile
 *         cpu_moments_expect(&run, pixels);
 *         for each LANES channels
 *             cpu_moments_take(&run, c, pixel, count);
 *
 * A tile's sums are about one of its pixels, so that one pass over registers will do. As it is one of n, the squares about
 * their mean are at least an n-th of those about it: a large mean cancels nothing. Tiles are put together as Chan,
 * Golub and LeVeque do (see instance_norm.c). */
#ifndef NN_CPU_KERNELS_MOMENTS_TAKE_H
#define NN_CPU_KERNELS_MOMENTS_TAKE_H

#include "nn/cpu/kernels/moments.h"
#include "nn/cpu/kernels/product.h"

typedef struct cpu_moments {
    float *to; /* (CPU_MOMENTS_ROWS, channels), channels a multiple of LANES */
    size_t channels;
    size_t pixels;             /* so far, those that are expected included */
    bool first;                /* there are none but these */
    float each, share, weight; /* of the tile: 1 / its pixels; how its mean, and what is between that and the others', count */
} cpu_moments;

static inline void cpu_moments_expect(cpu_moments *m, size_t count)
{
    m->first = m->pixels == 0;
    m->each = 1 / (float)count;
    m->share = (float)count / (float)(m->pixels + count);
    m->weight = (float)m->pixels * m->share;
    m->pixels += count;
}

/* pixel: a tile's; those of the `count` that do not exist are like one that does. */
PRODUCT_INLINE void cpu_moments_take(const cpu_moments *m, size_t c, const product_vector *pixel, const size_t count)
{
    product_vector sum[2] = {{0}}, square[2] = {{0}};
#pragma GCC unroll 25
    for (size_t k = 1; k < count; k++) {
        product_vector off = pixel[k] - pixel[0];
        sum[k % 2] += off;
        square[k % 2] += off * off;
    }
    product_vector all = sum[0] + sum[1], mean = pixel[0] + all * m->each;
    product_vector squares = square[0] + square[1] - all * (all * m->each);
    product_vector_in_memory *counts = (product_vector_in_memory *)(m->to + c);
    product_vector_in_memory *means = (product_vector_in_memory *)(m->to + m->channels + c);
    product_vector_in_memory *all_squares = (product_vector_in_memory *)(m->to + 2 * m->channels + c);
    *counts = (product_vector){0} + (float)m->pixels;
    if (m->first) {
        *means = mean;
        *all_squares = squares;
    } else {
        product_vector off = mean - *means;
        *means += off * m->share;
        *all_squares += squares + off * off * m->weight;
    }
}

#endif
