#include "models/vgg_layers.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

size_t vgg_layers(int depth, vgg_layer layers[VGG_LAYERS])
{
    size_t count = 0, convolution = 0;
    for (int block = 1; block <= VGG_BLOCKS; block++) {
        int convolutions = block <= 2 ? 2 : depth == 16 ? 3 : 4;
        for (int number = 1; number <= convolutions; number++) {
            layers[count++] = (vgg_layer){VGG_CONVOLUTION, block, number, convolution++};
            layers[count++] = (vgg_layer){VGG_RELU, block, number, convolution};
        }
        layers[count++] = (vgg_layer){VGG_POOL, block, 0, convolution};
    }
    return count;
}

void vgg_name(const vgg_layer *layer, char name[32])
{
    if (layer->kind == VGG_POOL)
        snprintf(name, 32, "pool%d", layer->block);
    else
        snprintf(name, 32, "%s%d_%d", layer->kind == VGG_RELU ? "relu" : "conv", layer->block, layer->number);
}

/* Keras' name of a ReLU or a pooling; its convolutions' names mean what their ReLUs give. */
static void keras_name(const vgg_layer *layer, char name[32])
{
    if (layer->kind == VGG_POOL)
        snprintf(name, 32, "block%d_pool", layer->block);
    else
        snprintf(name, 32, "block%d_conv%d", layer->block, layer->number);
}

size_t vgg_find(int depth, const char *name, char nearest[32])
{
    vgg_layer layers[VGG_LAYERS];
    char names[2 * VGG_LAYERS][32];
    const char *words[2 * VGG_LAYERS];
    size_t at[2 * VGG_LAYERS], count = 0, layer_count = vgg_layers(depth, layers);
    for (size_t i = 0; i < layer_count; i++) {
        at[count] = i;
        vgg_name(&layers[i], names[count++]);
        if (layers[i].kind == VGG_CONVOLUTION) continue;
        at[count] = i;
        keras_name(&layers[i], names[count++]);
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) return at[i];
        words[i] = names[i];
    }
    const char *near = text_nearest(name, words, count);
    snprintf(nearest, 32, "%s", near ? near : "");
    return VGG_NO_LAYER;
}
