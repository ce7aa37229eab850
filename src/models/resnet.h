/* The ResNet generator's layers one by one: for its builder, and for who runs it a layer at a time.
 *
 *     for (size_t i = 0; i < model_resnet_layers(options); i++) {
 *         model_resnet_layer layer = model_resnet_layer_at(options, i);
 *         x = model_resnet_apply(&scope, x, &layer);
 *     }
 *
 * but for the additions: layers MODEL_RESNET_HEAD to MODEL_RESNET_HEAD + 2 * blocks - 1 are in pairs, and a pair's
 * result is added to what went into it. The head divides the sides by MODEL_RESNET_STRIDE, the tail multiplies them.
 */
#ifndef MODELS_RESNET_H
#define MODELS_RESNET_H

#include "models/generator.h"
#include "models/layers.h"

enum { MODEL_RESNET_HEAD = 3, MODEL_RESNET_TAIL = 3, MODEL_RESNET_STRIDE = 4 };

typedef struct model_resnet_layer {
    char key[40];                  /* "model.10.conv_block.1" */
    model_convolution convolution; /* but for its key */
    bool resize;                   /* nearest x2 before all else */
    size_t reflect;                /* then so much padding by reflection */
    nn_activation activation;      /* after all else: linear, ReLU or tanh */
} model_resnet_layer;

/* Head, two for each block, tail. */
size_t model_resnet_layers(const model_generator_options *options);
model_resnet_layer model_resnet_layer_at(const model_generator_options *options, size_t index);
/* x: (n, h, w, c) -> what the layer makes of it. NN_NONE passes through. */
nn_value model_resnet_apply(const model_scope *scope, nn_value x, const model_resnet_layer *layer);

#endif
