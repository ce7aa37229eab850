/* What measures see of a picture through a perceptual network (models/vgg.h): one layer's features, and the Gram
 * matrices of the layers relu1_1, relu2_1, ... relu5_1.
 *
 *     compare_network *network;
 *     compare_network_options options = {.layer = "relu4_2", .side = 256, .seed = 1};      no file: random weights
 *     TRY(compare_network_create(backend, &options, &network, err));
 *     compare_network_run(network, picture, map, pooled, gram);
 *     compare_network_destroy(network);
 */
#ifndef COMPARE_NETWORK_H
#define COMPARE_NETWORK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "nn/backend.h"

enum { COMPARE_STYLE_LAYERS = 5 };

typedef struct compare_network compare_network;

typedef struct compare_network_options {
    const char *file;  /* as model_vgg_open; NULL: random */
    const char *layer; /* as model_vgg_layer */
    size_t side;       /* of the pictures */
    uint64_t seed;     /* of random weights */
} compare_network_options;

status compare_network_create(nn_backend *backend, const compare_network_options *options, compare_network **out,
                              error *err);
void compare_network_destroy(compare_network *n); /* accepts NULL */

/* One line: the network, and whether its weights are random. */
const char *compare_network_description(const compare_network *n);
bool compare_network_is_random(const compare_network *n);
/* Style layers that the network has: it may end early. */
size_t compare_network_style_layers(const compare_network *n);

/* Floats of the layer's features (h, w, channels); of their means over positions (channels); of the Gram matrices. */
size_t compare_network_map_size(const compare_network *n);
size_t compare_network_pooled_size(const compare_network *n);
size_t compare_network_gram_size(const compare_network *n);

/* picture: (side, side, 3). gram: the upper triangles, layer after layer, of F'F / (h w), elements off the diagonal
 * times the root of 2, so that squared differences add up to those of whole matrices. pooled and gram may be NULL. */
void compare_network_run(compare_network *n, const uint8_t *picture, float *map, float *pooled, float *gram);

/* Gram vectors times `factors`, of one factor for each layer, have a distance (vectors.h) of
 *   sqrt(mean over layers of |G - H|^2 / |M|^2),  M: mean of the targets' matrices of that layer
 * (Frobenius norms): 0 for equal, about 1 for unlike style; every layer counts the same. */
void compare_network_gram_factors(const compare_network *n, const float *targets, size_t target_count,
                                  double factors[COMPARE_STYLE_LAYERS]);
void compare_network_scale_grams(const compare_network *n, const double factors[COMPARE_STYLE_LAYERS], float *vectors,
                                 size_t count);

#endif
