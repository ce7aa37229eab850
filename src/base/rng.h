/* Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011).
 *
 * A number is a pure function of (seed, stream, step, index). Nothing is stored, so prefetching threads may draw in
 * any order and a resumed run needs only its step.
 *
 *     float flip = rng_uniform(seed, RNG_AUGMENT_A, step, image * 8 + 2);
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

/* Who draws. Two users never share a stream. */
typedef enum rng_stream {
    RNG_INIT = 1,  /* weights; step = number of the tensor */
    RNG_ORDER_A,   /* shuffles of domain a; step = epoch */
    RNG_ORDER_B,   /* shuffles or draws of domain b */
    RNG_AUGMENT_A, /* crops and flips; step = training step */
    RNG_AUGMENT_B,
    RNG_POOL_A, /* image pool decisions */
    RNG_POOL_B,
    RNG_FRACTAL,
    RNG_FEATURES, /* random perceptual networks */
    RNG_TEST,
    RNG_METRICS, /* patches and directions of the sliced Wasserstein distance */
    RNG_NOISE, /* pictures that style transfer starts from; step = scale */
    RNG_JUDGE /* how pictures are augmented before discriminators see them; step = training step */
} rng_stream;

/* Four independent 32-bit words. */
void rng_block(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index, uint32_t out[4]);
uint32_t rng_u32(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index);
/* [0, 1), 24 bits. */
float rng_uniform(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index);
/* Standard normal, by Box and Muller; each index gives one. */
float rng_normal(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index);
/* 0 .. n-1 (n > 0), by 64-bit multiply: bias below n / 2^32. */
uint32_t rng_below(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index, uint32_t n);
/* A uniform permutation of 0 .. n-1 (Fisher and Yates); out: n entries. */
void rng_permutation(uint64_t seed, rng_stream stream, uint64_t step, uint32_t n, uint32_t *out);

#endif
