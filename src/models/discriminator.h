/* The discriminators of the reference (models/networks.py: NLayerDiscriminator, PixelDiscriminator, with instance
 * norm), under its tensor names. They give scores without a sigmoid.
 *
 *     model_discriminator_options options = {.kind = MODEL_PATCHGAN, .ndf = 64, .in_channels = 3};
 *     nn_value scores = model_discriminator_build(graph, set, "D_A.", &options, fake, &trained);    (n, 30, 30, 1)
 */
#ifndef MODELS_DISCRIMINATOR_H
#define MODELS_DISCRIMINATOR_H

#include "models/layers.h"

typedef enum model_discriminator_kind {
    MODEL_PATCHGAN, /* three layers: each score judges 70x70 pixels */
    MODEL_N_LAYERS, /* the same with `layers` layers */
    MODEL_PIXEL     /* 1x1 convolutions: each score judges a pixel (by way of the image's statistics) */
} model_discriminator_kind;
/* "patchgan", "n_layers", "pixel", NULL. */
extern const char *const model_discriminator_names[];

enum { MODEL_MAX_LAYERS = 6 };

typedef struct model_discriminator_options {
    model_discriminator_kind kind;
    size_t ndf; /* channels of the first layer */
    size_t in_channels;
    size_t layers; /* MODEL_N_LAYERS: 1 to MODEL_MAX_LAYERS convolutions of stride 2 */
} model_discriminator_options;

/* Both sides of the input must be at least this: 3 * 2^layers; 2 for MODEL_PIXEL. */
size_t model_discriminator_minimum(const model_discriminator_options *options);

/* x: (n, h, w, in_channels) -> scores (n, h', w', 1), h' = floor(h / 2^layers) - 2, or h for MODEL_PIXEL. Adds its
 * tensors to `set` when they are not there yet. `trainables` may be NULL. Fails through the graph when x has other
 * channels or is too small. */
nn_value model_discriminator_build(nn_graph *graph, nn_parameters *set, const char *prefix,
                                   const model_discriminator_options *options, nn_value x,
                                   model_trainables *trainables);

#endif
