#include "models/resnet.h"

#include <stdio.h>

/* The first block's place in the nn.Sequential "model": behind three times convolution, norm, ReLU and a padding. */
enum { FIRST_BLOCK = 10 };

size_t model_resnet_layers(const model_generator_options *options)
{
    return MODEL_RESNET_HEAD + 2 * model_generator_blocks(options) + MODEL_RESNET_TAIL;
}

static model_resnet_layer head_layer(const model_generator_options *options, size_t i)
{
    model_resnet_layer layer = {.activation = NN_RELU};
    snprintf(layer.key, sizeof layer.key, "model.%zu", 1 + 3 * i);
    if (i == 0) {
        layer.reflect = 3;
        layer.convolution = (model_convolution){.channels = options->ngf, .kernel = 7, .stride = 1, .normalised = true};
    } else {
        layer.convolution = (model_convolution){.channels = options->ngf << i, .kernel = 3, .stride = 2, .padding = 1,
                                                .normalised = true};
    }
    return layer;
}

/* conv_block: reflect 1, conv 3, norm, ReLU, reflect 1, conv 3, norm. */
static model_resnet_layer block_layer(const model_generator_options *options, size_t i)
{
    bool second = i % 2;
    model_resnet_layer layer = {.reflect = 1, .activation = second ? NN_LINEAR : NN_RELU};
    snprintf(layer.key, sizeof layer.key, "model.%zu.conv_block.%d", FIRST_BLOCK + i / 2, second ? 5 : 1);
    layer.convolution = (model_convolution){.channels = options->ngf * MODEL_RESNET_STRIDE, .kernel = 3, .stride = 1,
                                            .normalised = true};
    return layer;
}

static model_resnet_layer tail_layer(const model_generator_options *options, size_t i)
{
    bool transpose = options->upsample == MODEL_TRANSPOSE;
    size_t step = transpose ? 3 : 5, first = FIRST_BLOCK + model_generator_blocks(options);
    model_resnet_layer layer = {.activation = NN_RELU};
    if (i == MODEL_RESNET_TAIL - 1) {
        snprintf(layer.key, sizeof layer.key, "model.%zu", first + step * i + 1);
        layer.reflect = 3;
        layer.activation = NN_TANH;
        layer.convolution = (model_convolution){.channels = options->out_channels, .kernel = 7, .stride = 1};
        return layer;
    }
    snprintf(layer.key, sizeof layer.key, "model.%zu", first + step * i + (transpose ? 0 : 2));
    layer.convolution = (model_convolution){.channels = options->ngf * 2 >> i, .kernel = 3, .stride = 1,
                                            .normalised = true};
    if (transpose) {
        layer.convolution.stride = 2;
        layer.convolution.padding = layer.convolution.output_padding = 1;
        layer.convolution.transpose = true;
    } else {
        layer.resize = true;
        layer.reflect = 1;
    }
    return layer;
}

model_resnet_layer model_resnet_layer_at(const model_generator_options *options, size_t index)
{
    size_t trunk = 2 * model_generator_blocks(options);
    if (index < MODEL_RESNET_HEAD) return head_layer(options, index);
    index -= MODEL_RESNET_HEAD;
    return index < trunk ? block_layer(options, index) : tail_layer(options, index - trunk);
}

nn_value model_resnet_apply(const model_scope *scope, nn_value x, const model_resnet_layer *layer)
{
    nn_graph *g = scope->graph;
    model_convolution convolution = layer->convolution;
    convolution.key = layer->key;
    if (layer->resize) x = nn_resize_nearest(g, x, 2);
    if (layer->reflect) x = nn_pad(g, x, NN_PAD_REFLECT, layer->reflect);
    x = model_convolve(scope, x, &convolution);
    if (layer->activation == NN_RELU) return nn_relu(g, x);
    return layer->activation == NN_TANH ? nn_tanh(g, x) : x;
}
