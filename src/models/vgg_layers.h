/* The order of VGG's layers, shared by vgg.c and vgg_layers.c. A layer's number is its index in torchvision's
 * `features`: each convolution, its ReLU, and a pooling after each of the five blocks count one. */
#ifndef MODELS_VGG_LAYERS_H
#define MODELS_VGG_LAYERS_H

#include <stdbool.h>
#include <stddef.h>

enum { VGG_BLOCKS = 5, VGG_CONVOLUTIONS = 16, VGG_LAYERS = 37, VGG_NO_LAYER = VGG_LAYERS };

typedef enum vgg_kind { VGG_CONVOLUTION, VGG_RELU, VGG_POOL } vgg_kind;

typedef struct vgg_layer {
    vgg_kind kind;
    int block, number; /* conv4_2: 4, 2; pool4: 4, 0 */
    size_t convolution; /* how many convolutions lie before this layer: a convolution's own number */
} vgg_layer;

/* depth: 16 or 19. Fills layers in their order; returns how many there are. */
size_t vgg_layers(int depth, vgg_layer layers[VGG_LAYERS]);
/* The layer of a name, or VGG_NO_LAYER, and then in *nearest the name that may be meant, or "". */
size_t vgg_find(int depth, const char *name, char nearest[32]);
/* "conv4_2", "relu4_2", "pool4". */
void vgg_name(const vgg_layer *layer, char name[32]);

#endif
