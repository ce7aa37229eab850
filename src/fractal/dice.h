/* A cursor over the random numbers of one draft. */
#ifndef FRACTAL_DICE_H
#define FRACTAL_DICE_H

#include <stdbool.h>

#include "base/rng.h"

typedef struct fractal_dice {
    uint64_t seed, step;
    uint32_t next;
} fractal_dice;

/* [low, high) */
static inline double dice_range(fractal_dice *d, double low, double high)
{
    return low + (high - low) * (double)rng_uniform(d->seed, RNG_FRACTAL, d->step, d->next++);
}

/* 0 .. n-1 */
static inline unsigned dice_below(fractal_dice *d, unsigned n)
{
    return rng_below(d->seed, RNG_FRACTAL, d->step, d->next++, n);
}

static inline bool dice_chance(fractal_dice *d, double probability) { return dice_range(d, 0, 1) < probability; }

static inline double dice_normal(fractal_dice *d)
{
    return (double)rng_normal(d->seed, RNG_FRACTAL, d->step, d->next++);
}

#endif
