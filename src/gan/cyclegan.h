/* The CycleGAN (Zhu, Park, Isola, Efros 2017): two generators, two discriminators, a compiled step.
 *
 *     gan *model;
 *     TRY(gan_create(&options, (gan_size){1, 256, 0}, backend, seed, NULL, &model, err));
 *     TRY(gan_step(model, &input, losses, err));
 *     gan_destroy(model);
 *
 * G_A maps a to b, G_B maps b to a; D_A judges pictures of b, D_B those of a. The generators learn from the
 * discriminators as they were before the step, which learn from translations that have passed through the image pools. Those
 * are two programs, one after the other, or one where a backend has lanes.
 */
#ifndef GAN_CYCLEGAN_H
#define GAN_CYCLEGAN_H

#include "gan/options.h"
#include "nn/program.h"
#include "training/method.h"

typedef enum gan_loss {
    GAN_LOSS_GAN_A,      /* of G_A before D_A */
    GAN_LOSS_GAN_B,      /* of G_B before D_B */
    GAN_LOSS_CYCLE_A,    /* a to b to a, weighted */
    GAN_LOSS_CYCLE_B,    /* b to a to b, weighted */
    GAN_LOSS_IDENTITY_A, /* G_A on b, weighted */
    GAN_LOSS_IDENTITY_B, /* G_B on a, weighted */
    GAN_LOSS_D_A,        /* of D_A, half the sum over real and fake */
    GAN_LOSS_D_B,
    GAN_LOSS_TV_A, /* total variation of G_A's translations, weighted; 0 when off */
    GAN_LOSS_TV_B,
    GAN_LOSSES
} gan_loss;
extern const char *const gan_loss_names[GAN_LOSSES];

typedef struct gan_size {
    size_t batch, side;  /* pictures are (batch, side, side, 3) */
    double other_bytes;  /* memory that the rest of the program will need: what does not fit beside it is refused */
} gan_size;

typedef struct gan gan;

/* Weights are drawn from the seed. planning: how the programs are compiled, for tests; NULL: as usual. Free with
 * gan_destroy. */
status gan_create(const gan_options *options, gan_size size, nn_backend *backend, uint64_t seed,
                  const nn_program_options *planning, gan **out, error *err);
void gan_destroy(gan *g); /* accepts NULL */

typedef struct gan_step_input {
    uint64_t number; /* of the step, from 0: Adam's bias correction follows from it */
    double learning_rate;
    const uint8_t *pixels[2];  /* a, b: (batch, side, side, 3) bytes; NULL: `images` are there in their place */
    const float *images[2];    /* in [-1, 1], which need not be of bytes */
    const float *decisions[2]; /* batch codes (see nn_pool_swap) for the pool of translations into b, into a */
} gan_step_input;
/* losses: GAN_LOSSES. STATUS_NOT_FINITE, naming the loss, when one is NaN or infinite. Where it is of the generators,
 * or a gradient of theirs, no weights have changed; where of the discriminators, theirs: the generators have learned. */
status gan_step(gan *g, const gan_step_input *input, float *losses, error *err);
/* The same in two parts, as training_method has them; gan_open_steps: how many may be open. */
size_t gan_open_steps(const gan *g);
void gan_begin_step(gan *g, const gan_step_input *input);
status gan_end_step(gan *g, float *losses, error *err);
/* picture of `domain`, (side, side, 3): through its generator and back, by the averaged weights when there are any. */
status gan_sample(gan *g, int domain, const uint8_t *picture, uint8_t *translated, uint8_t *reconstructed, error *err);

/* "G_A.", "G_B." and "D_A.", "D_B." with gradients and moments. */
nn_parameters *gan_generators(gan *g);
nn_parameters *gan_discriminators(gan *g);
/* Bytes of the arena, and of all else on the device. */
size_t gan_arena_bytes(const gan *g);
size_t gan_parameter_bytes(const gan *g);
/* Arithmetic of a step: see nn_program_operations. */
double gan_operations(const gan *g);
/* Seconds that a training step will take: one pass through a sampler is timed (after one that is not, when that was
 * quick), and scaled by the arithmetic of the programs. Changes no weights. */
double gan_predict_seconds(gan *g);
/* For the loop: steps with the pool's decisions drawn from the seed. Lives as long as g. */
const training_method *gan_method(gan *g);
/* Adds the time of every kernel of the following steps to `profile`; NULL stops it. */
void gan_set_profile(gan *g, nn_profile *profile);

#endif
