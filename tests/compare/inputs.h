/* Inputs by integer formulas, which tools/oracle/metrics.py repeats. */
#ifndef TESTS_COMPARE_INPUTS_H
#define TESTS_COMPARE_INPUTS_H

#include <stdint.h>
#include <stdlib.h>

#include "compare/metrics/pictures.h"

enum { SIDE = 32, DIMENSION = 12 };
static const size_t input_pictures[2] = {6, 5}, input_rows[2] = {7, 5};

/* Set s, picture i, (SIDE, SIDE, 3). */
static inline void input_picture(size_t s, size_t i, uint8_t *out)
{
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++)
            for (size_t c = 0; c < 3; c++) {
                size_t noise = (x * 7919 + y * 104729 + i * 31 + c * 17 + s * 1299709) % 61;
                size_t waves = x * (3 + i) + y * (5 + 2 * s) + ((x * y * (i + 1)) >> (2 + s));
                out[(y * SIDE + x) * 3 + c] = (uint8_t)(waves + c * 40 + noise);
            }
}

/* All pictures of set s; empty without memory. */
static inline compare_pictures input_set(size_t s)
{
    compare_pictures set;
    if (compare_pictures_create(&set, input_pictures[s], SIDE, NULL) != STATUS_OK) return (compare_pictures){0};
    for (size_t i = 0; i < set.count; i++) input_picture(s, i, set.pixels + i * SIDE * SIDE * 3);
    return set;
}

/* (input_rows[s], DIMENSION), each value a multiple of 1/256. */
static inline void input_vectors(size_t s, float *out)
{
    for (size_t i = 0; i < input_rows[s]; i++)
        for (size_t j = 0; j < DIMENSION; j++) {
            long value = (long)((i * 7919 + j * 104729 + s * 15485863 + i * i * j * 31) % 1021);
            out[i * DIMENSION + j] = (float)(value - 400) / 256;
        }
}

#endif
