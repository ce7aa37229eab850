/* The inside of a gan, shared by cyclegan.c (life and steps), programs.c (graphs) and method.c (state, exports). */
#ifndef GAN_INTERNAL_H
#define GAN_INTERNAL_H

#include "gan/cyclegan.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "training/update.h"

enum { GAN_NETWORK_STATES = 2 * 2 + 2 + 2 * 4 }; /* weights, averages, two moments of each */

/* Inputs and outputs of the generators' or the discriminators' part of a step. */
typedef struct gan_handles {
    nn_value images[2], decisions[2]; /* images: NN_NONE where the other part has them */
    nn_value draws; /* of the augmentation of what the part's discriminators see, or NN_NONE */
    size_t first_draw, draw_count; /* which of a step's */
    nn_value losses[GAN_LOSSES]; /* NN_NONE where the program has none */
    training_update update;
} gan_handles;

typedef struct gan_sampler {
    nn_program *program[2]; /* from a, from b */
    nn_value picture[2], translated[2], reconstructed[2];
} gan_sampler;

/* A step that has begun: where all is one program its losses are on their way, else it is over. */
typedef struct gan_open_step {
    training_reading of_g, of_d;
    float losses[GAN_LOSSES];
    status result;
    error problem;
} gan_open_step;

struct gan {
    gan_options options;
    gan_size size;
    nn_backend *backend;
    uint64_t seed;
    model_generator_options generator;
    model_discriminator_options discriminator;
    nn_parameters *generators, *discriminators;
    nn_block pools[2];  /* [0]: translations into b, [1]: into a; (pool_size, side, side, 3) */
    nn_block judged[2]; /* what the discriminators see of them, if theirs is another program: (batch, side, side, 3) */
    gan_handles g_handles, d_handles;
    training_update_options g_update, d_update;
    nn_program *g_program, *d_program; /* d_program: NULL if g_program is all of the step */
    gan_sampler sampler;
    nn_arena arena;
    gan_open_step open[TRAINING_OPEN_STEPS]; /* in turn: those that have begun follow on oldest_step */
    size_t oldest_step, open_count;
    float *decisions; /* 2 * batch */
    float *draws;     /* the most that a part has: 4 * batch */
    nn_profile *profile;
    /* method.c */
    training_method method;
    model_weights weights[GAN_NETWORK_STATES];
    training_tensor tensors[2];
    training_export exports[2];
};

static inline nn_shape gan_batch_shape(const gan *g)
{
    return nn_shape_of(g->size.batch, g->size.side, g->size.side, 3);
}

/* A pool of size 0 still has a place, which its decisions never use. */
static inline size_t gan_pool_places(const gan *g)
{
    return g->options.pool_size ? (size_t)g->options.pool_size : 1;
}

/* Whether generators and discriminators learn in one program. */
static inline bool gan_is_one_program(const gan *g) { return g->backend->lanes > 1; }

/* Build a graph each, the generators' with the discriminators' part where all is one program, and add parameters to the sets.
 * Compile after the sets are allocated. */
void gan_build_generator_step(gan *g, nn_graph *graph);
void gan_build_discriminator_step(gan *g, nn_graph *graph);
void gan_build_sampler(gan *g, nn_graph *graph, int domain);

void gan_fill_method(gan *g);

#endif
