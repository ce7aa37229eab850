/* The inside of a feed-forward style network, shared by feedforward.c (life and steps), feedforward_graph.c (graphs)
 * and feedforward_target.c (what it comes near to). */
#ifndef STYLE_FEEDFORWARD_INTERNAL_H
#define STYLE_FEEDFORWARD_INTERNAL_H

#include "models/generator.h"
#include "models/vgg.h"
#include "style/feedforward.h"
#include "style/loss.h"
#include "training/update.h"

enum { STYLE_FEEDFORWARD_STATES = 4 }; /* weights, two moments, average */

struct style_feedforward {
    style_feedforward_options options;
    const training_options *training;
    nn_backend *backend;
    double other_bytes;
    model_vgg *vgg;
    style_loss loss;
    model_generator_options generator;
    nn_parameters *set;
    /* feedforward_target.c */
    double content_factors[STYLE_MOST_LAYERS], style_factors[STYLE_MOST_LAYERS]; /* of means of squared differences */
    nn_block grams; /* of each style layer, repeated for each picture of a batch */
    size_t gram_offsets[STYLE_MOST_LAYERS];
    /* feedforward_graph.c */
    nn_value pictures, losses[STYLE_FEEDFORWARD_LOSSES]; /* NN_NONE: off */
    training_update_options update_options;
    training_update update;
    nn_value sample, translated;
    nn_program *step, *sampler;
    training_reading open[TRAINING_OPEN_STEPS]; /* in turn: those that have begun follow on oldest_step */
    size_t oldest_step, open_count;
    nn_arena arena;
    nn_profile *profile;
    training_method method;
    model_weights weights[STYLE_FEEDFORWARD_STATES];
    training_export exported;
};

/* Features of some of the loader's pictures, and the style's Gram matrices: fills the factors and `grams`. The VGG must
 * be loaded. */
status style_feedforward_measure(style_feedforward *f, training_loader *loader, log_sink *log, error *err);

/* The same without any picture, for planning: matrices of zeros, factors of 1. */
status style_feedforward_suppose(style_feedforward *f, error *err);

/* Build a graph each; the first adds the generator's tensors to the set. */
void style_feedforward_build_step(style_feedforward *f, nn_graph *graph);
void style_feedforward_build_sampler(style_feedforward *f, nn_graph *graph);

#endif
