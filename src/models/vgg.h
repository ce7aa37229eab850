/* VGG-16 and VGG-19 (Simonyan and Zisserman 2015) as perceptual networks: their layers' results for pictures.
 *
 *     model_vgg *vgg;
 *     TRY(model_vgg_open("vgg19.safetensors", &(model_vgg_options){0}, &vgg, err));     NULL instead of a path: random
 *     size_t layer;
 *     TRY(model_vgg_layer(vgg, "relu4_2", &layer, err));
 *     TRY(model_vgg_load(vgg, backend, layer, err));              weights up to there
 *     nn_value x = nn_input(graph, "picture", nn_shape_of(1, 256, 256, 3)), y;
 *     model_vgg_build(vgg, graph, x, &layer, 1, &y);              y: (1, 32, 32, 512)
 *     model_vgg_destroy(vgg);                                     after the programs
 *
 * A file is .safetensors with torchvision's keys, features.N.weight (out, in, 3, 3) and features.N.bias; other tensors
 * (a classifier's) are passed over. Which of the two networks it is follows from its keys, and it may end early or
 * have any widths. What the numbers of a picture mean to it, and its padding and pooling, stand in the file's metadata
 * (`input`, `padding`, `pool`) or are given by options; torchvision's are taken when nothing is said.
 */
#ifndef MODELS_VGG_H
#define MODELS_VGG_H

#include "nn/graph.h"

typedef enum model_vgg_input {
    MODEL_VGG_INPUT_AUTO,
    MODEL_VGG_TORCHVISION, /* RGB in [0,1], less mean (0.485, 0.456, 0.406), by deviation (0.229, 0.224, 0.225) */
    MODEL_VGG_CAFFE,       /* BGR in [0,255], less (103.939, 116.779, 123.68); Keras' too */
    MODEL_VGG_UNIT,        /* RGB in [0,1] */
    MODEL_VGG_SIGNED       /* RGB in [-1,1] */
} model_vgg_input;
typedef enum model_vgg_padding {
    MODEL_VGG_PADDING_AUTO,
    MODEL_VGG_ZERO,
    MODEL_VGG_REFLECT,
    MODEL_VGG_NO_PADDING
} model_vgg_padding;
typedef enum model_vgg_pool { MODEL_VGG_POOL_AUTO, MODEL_VGG_MAX, MODEL_VGG_AVERAGE } model_vgg_pool;

/* Names in that order ("auto", ...), each list ending with NULL: for configs. */
extern const char *const model_vgg_input_names[];
extern const char *const model_vgg_padding_names[];
extern const char *const model_vgg_pool_names[];

/* {0}: what the file says, else torchvision's; a random network has average pooling. */
typedef struct model_vgg_options {
    model_vgg_input input;
    model_vgg_padding padding;
    model_vgg_pool pool;
    uint64_t seed; /* of a random network */
} model_vgg_options;

typedef struct model_vgg model_vgg;

/* Reads and checks the file's header. Without a path: a VGG-19 of full width with weights N(0, 2 / (9 in)) and no
 * biases (He et al. 2015), whose features are good enough for textures (He, Wang and Hopcroft 2016). Fails, naming it,
 * for a layer that is missing between others, a wrong shape, batch norm. */
status model_vgg_open(const char *path, const model_vgg_options *options, model_vgg **out, error *err);
void model_vgg_destroy(model_vgg *v); /* accepts NULL */

/* The number of a layer, which is torchvision's index in `features`. Names: conv4_2 (before its ReLU), relu4_2,
 * block4_conv2 (Keras': after its ReLU), pool3, block3_pool. Fails for an unknown name, with the nearest one, and for
 * a layer behind the file's end. */
status model_vgg_layer(const model_vgg *v, const char *name, size_t *layer, error *err);
/* Channels of its result. */
size_t model_vgg_channels(const model_vgg *v, size_t layer);
/* Least side of a picture that has a result there. */
size_t model_vgg_minimum(const model_vgg *v, size_t layer);

/* Brings the weights of all layers up to `deepest` into the backend's memory; once. The file is not needed after. */
status model_vgg_load(model_vgg *v, nn_backend *backend, size_t deepest, error *err);
/* image: (n, h, w, 3), RGB in [-1,1] as everywhere here. results[i]: what layer layers[i], none deeper than the
 * loaded, gives. Nothing behind the deepest is built. Errors are the graph's. */
void model_vgg_build(const model_vgg *v, nn_graph *g, nn_value image, const size_t *layers, size_t count,
                     nn_value *results);

/* Changes with anything that changes a result; after model_vgg_load. */
uint64_t model_vgg_fingerprint(const model_vgg *v);
bool model_vgg_is_random(const model_vgg *v);
/* Of its weights in memory. */
size_t model_vgg_bytes(const model_vgg *v);
/* One line for people: "VGG-19 up to conv5_1, 16 to 128 channels, input unit, padding reflect, max pooling". */
const char *model_vgg_description(const model_vgg *v);

#endif
