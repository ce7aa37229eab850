/* What the benchmarks of the two backends share. */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

/* For qsort, of doubles. */
static inline int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The name's place in a list that ends with NULL, or -1. */
static inline int index_of(const char *const *names, const char *name)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

/* Pixels, the same each time; NULL without memory. The caller frees. */
static inline uint8_t *pixel_noise(size_t count)
{
    uint8_t *out = malloc(count);
    for (size_t i = 0; out && i < count; i++) out[i] = (uint8_t)(256 * rng_uniform(1, RNG_TEST, 0, (uint32_t)i));
    return out;
}

#endif
