/* What tests of programs share. */
#ifndef TESTS_NN_PROGRAM_TEST_H
#define TESTS_NN_PROGRAM_TEST_H

#include "base/rng.h"
#include "test.h"

/* Noise of a deviation of 0.3, another in each stream. */
static inline void fill(float *values, size_t count, uint32_t stream)
{
    for (size_t i = 0; i < count; i++) values[i] = 0.3f * rng_normal(3, RNG_TEST, stream, (uint32_t)i);
}

#endif
