/* What discriminators see of pictures when train.augment is on: differentiable augmentation (Zhao et al. 2020) with all
 * three of its policies, colour, translation and cutout. With few pictures a discriminator soon knows these by heart, and
 * tells generators nothing any more; real and translated pictures are changed alike, so that the changes are not learned. */
#ifndef GAN_AUGMENT_H
#define GAN_AUGMENT_H

#include <stddef.h>
#include <stdint.h>

/* The hole's side for pictures of `side` pixels. */
size_t gan_augment_hole(size_t side);

/* draws: (count, NN_DRAWS) for nn_augment, of pictures number first, first + 1, ... of those that discriminators see in a
 * step. */
void gan_augment_draw(uint64_t seed, uint64_t step, size_t first, size_t count, size_t side, float *draws);

#endif
