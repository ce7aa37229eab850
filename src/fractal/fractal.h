/* Sets of fractal pictures, drawn from a seed.
 *
 *     fractal_set *set;
 *     TRY(fractal_set_create(&(fractal_options){.seed = 1, .size = 286}, &set, err));
 *     for (size_t i = 0; i < 60; i++) {
 *         fractal_info info;
 *         TRY(fractal_set_next(set, pixels, &info, err));    pixels: (286, 286, 3) bytes
 *     }
 *     fractal_set_destroy(set);
 *
 * The same options give the same pictures, whatever the number of threads (to the byte on one kind of processor);
 * another size gives the same motifs at another resolution. What a set shows depends on nothing but its seed: 20
 * pictures are the first 20 of 60.
 */
#ifndef FRACTAL_FRACTAL_H
#define FRACTAL_FRACTAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { FRACTAL_MINIMUM_SIZE = 16, FRACTAL_MAXIMUM_SIZE = 4096 };

typedef struct fractal_options {
    uint64_t seed;
    size_t size; /* pixels of a side, from FRACTAL_MINIMUM_SIZE to FRACTAL_MAXIMUM_SIZE */
    int threads; /* 0: all cores */
} fractal_options;

typedef struct fractal_info {
    const char *family; /* "mandelbrot"; static */
    unsigned drafts;    /* how many were drawn before one was good enough and like no picture before it */
} fractal_info;

typedef struct fractal_set fractal_set;

/* End with fractal_set_destroy. */
status fractal_set_create(const fractal_options *options, fractal_set **out, error *err);
void fractal_set_destroy(fractal_set *set); /* accepts NULL */

/* The next picture; rgb: (size, size, 3) bytes, sRGB. */
status fractal_set_next(fractal_set *set, uint8_t *rgb, fractal_info *info, error *err);

/* The families' names. Every round of fractal_set_round() pictures has each of them at least once. */
size_t fractal_family_count(void);
const char *fractal_family_name(size_t number);
size_t fractal_set_round(void);

#endif
