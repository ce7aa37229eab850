#include "models/discriminator.h"

#include <stdio.h>

const char *const model_discriminator_names[] = {"patchgan", "n_layers", "pixel", NULL};

static const float slope = 0.2f;

static size_t layer_count(const model_discriminator_options *options)
{
    return options->kind == MODEL_N_LAYERS ? options->layers : 3;
}

/* After the strided layers a side is s = floor(side / 2^layers); two convolutions of kernel 4 and padding 1 take one
 * each, the norm between them needs more than one pixel, and one score must remain: s >= 3 (s - 1 = 2 at the norm). */
size_t model_discriminator_minimum(const model_discriminator_options *options)
{
    return options->kind == MODEL_PIXEL ? 2 : (size_t)3 << layer_count(options);
}

static nn_value pixel_build(const model_scope *scope, const model_discriminator_options *options, nn_value x)
{
    nn_graph *g = scope->graph;
    model_convolution first = {.key = "net.0", .channels = options->ndf, .kernel = 1, .stride = 1};
    model_convolution second = {
        .key = "net.2", .channels = 2 * options->ndf, .kernel = 1, .stride = 1, .normalised = true};
    model_convolution last = {.key = "net.5", .channels = 1, .kernel = 1, .stride = 1};
    x = nn_leaky_relu(g, model_convolve(scope, x, &first), slope);
    x = nn_leaky_relu(g, model_convolve(scope, x, &second), slope);
    return model_convolve(scope, x, &last);
}

static nn_value patch_build(const model_scope *scope, const model_discriminator_options *options, nn_value x)
{
    nn_graph *g = scope->graph;
    size_t layers = layer_count(options);
    model_convolution layer = {.key = "model.0", .channels = options->ndf, .kernel = 4, .stride = 2, .padding = 1};
    x = nn_leaky_relu(g, model_convolve(scope, x, &layer), slope);
    char key[32];
    layer.key = key;
    layer.normalised = true;
    for (size_t i = 1; i <= layers; i++) {
        snprintf(key, sizeof key, "model.%zu", 3 * i - 1);
        layer.channels = options->ndf << (i < 3 ? i : 3);
        layer.stride = i < layers ? 2 : 1;
        x = nn_leaky_relu(g, model_convolve(scope, x, &layer), slope);
    }
    snprintf(key, sizeof key, "model.%zu", 3 * layers + 2);
    layer.channels = 1;
    layer.normalised = false;
    return model_convolve(scope, x, &layer);
}

static bool input_fits(nn_graph *g, const model_discriminator_options *options, nn_shape shape)
{
    const char *name = model_discriminator_names[options->kind];
    size_t height = shape.dim[NN_H], width = shape.dim[NN_W];
    if (options->kind == MODEL_N_LAYERS && (options->layers < 1 || options->layers > MODEL_MAX_LAYERS)) {
        nn_graph_fail(g, "%s: expected 1 to %d layers, found %zu", name, MODEL_MAX_LAYERS, options->layers);
        return false;
    }
    size_t minimum = model_discriminator_minimum(options);
    if (shape.dim[NN_C] != options->in_channels) {
        nn_graph_fail(g, "%s: expected an input of %zu channels, found %zu", name, options->in_channels,
                      shape.dim[NN_C]);
        return false;
    }
    if (height < minimum || width < minimum) {
        nn_graph_fail(g, "%s: expected an input of at least %zux%zu, found %zux%zu (width x height)", name, minimum,
                      minimum, width, height);
        return false;
    }
    return true;
}

nn_value model_discriminator_build(nn_graph *graph, nn_parameters *set, const char *prefix,
                                   const model_discriminator_options *options, nn_value x,
                                   model_trainables *trainables)
{
    if (x == NN_NONE || !input_fits(graph, options, nn_shape_at(graph, x))) return NN_NONE;
    model_scope scope = {graph, set, prefix, trainables};
    return options->kind == MODEL_PIXEL ? pixel_build(&scope, options, x) : patch_build(&scope, options, x);
}
