/* The generators of the reference (junyanz/pytorch-CycleGAN-and-pix2pix, models/networks.py, with instance norm and
 * without dropout), under its tensor names, so that weights can be exchanged both ways.
 *
 *     model_generator_options options = {.kind = MODEL_RESNET_9, .ngf = 64, .in_channels = 3, .out_channels = 3};
 *     nn_value x = nn_input(graph, "x", nn_shape_of(1, 256, 256, 3));
 *     nn_value y = model_generator_build(graph, set, "G_A.", &options, x, NULL);
 */
#ifndef MODELS_GENERATOR_H
#define MODELS_GENERATOR_H

#include "models/layers.h"

typedef enum model_generator_kind {
    MODEL_RESNET_6,
    MODEL_RESNET_9,
    MODEL_UNET_128,
    MODEL_UNET_256
} model_generator_kind;
/* "resnet_6blocks", "resnet_9blocks", "unet_128", "unet_256", NULL. */
extern const char *const model_generator_names[];

/* How a ResNet doubles its sides; U-Nets always use transposed convolutions (kernel 4, stride 2, padding 1). */
typedef enum model_upsample {
    MODEL_RESIZE_CONV, /* nearest x2, reflect 1, conv 3: no checkerboard */
    MODEL_TRANSPOSE    /* transposed conv 3, stride 2, padding 1, output padding 1: the reference's */
} model_upsample;
/* "resize_conv", "transpose", NULL. */
extern const char *const model_upsample_names[];

typedef struct model_generator_options {
    model_generator_kind kind;
    size_t blocks; /* of a ResNet; 0: as many as its kind says */
    size_t ngf;    /* channels of the first layer */
    size_t in_channels, out_channels;
    model_upsample upsample;
} model_generator_options;

bool model_generator_is_unet(const model_generator_options *options);
/* Residual blocks; 0 for a U-Net. */
size_t model_generator_blocks(const model_generator_options *options);
/* Sides of the input must be multiples of this: 4, 128 or 256. */
size_t model_generator_stride(const model_generator_options *options);

/* x: (n, h, w, in_channels) -> (n, h, w, out_channels) in [-1, 1]. Adds its tensors to `set` when they are not there
 * yet, in the reference's order. `trainables` may be NULL. Fails through the graph when the sides are not multiples of
 * the stride, when x has other channels, and for a ResNet on 4x4 (its trunk would be 1x1, where an instance norm has
 * nothing to measure). */
nn_value model_generator_build(nn_graph *graph, nn_parameters *set, const char *prefix,
                               const model_generator_options *options, nn_value x, model_trainables *trainables);

#endif
