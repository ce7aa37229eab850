/* Decisions of the image pool (Shrivastava et al. 2017, as in the reference): until the pool is full every translation
 * is stored and passed on; then, with even odds, it is passed on, or changes places with a stored one chosen at
 * random. They follow from the seed and the count of pictures alone. */
#ifndef GAN_POOL_H
#define GAN_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"

/* codes: batch entries for nn_pool_swap. stream: RNG_POOL_A or RNG_POOL_B. */
void gan_pool_decide(uint64_t seed, rng_stream stream, uint64_t step, size_t batch, size_t pool_size, float *codes);

#endif
