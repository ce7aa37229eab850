#include "models/generator.h"

#include <stdio.h>

#include "models/resnet.h"

enum { UNET_MAX_LEVELS = 8, KEY_SIZE = 128 };

const char *const model_generator_names[] = {"resnet_6blocks", "resnet_9blocks", "unet_128", "unet_256", NULL};
const char *const model_upsample_names[] = {"resize_conv", "transpose", NULL};

bool model_generator_is_unet(const model_generator_options *options)
{
    return options->kind == MODEL_UNET_128 || options->kind == MODEL_UNET_256;
}

size_t model_generator_blocks(const model_generator_options *options)
{
    if (model_generator_is_unet(options)) return 0;
    if (options->blocks) return options->blocks;
    return options->kind == MODEL_RESNET_6 ? 6 : 9;
}

/* Halvings of the sides. */
static size_t unet_levels(const model_generator_options *options) { return options->kind == MODEL_UNET_128 ? 7 : 8; }

size_t model_generator_stride(const model_generator_options *options)
{
    return model_generator_is_unet(options) ? (size_t)1 << unet_levels(options) : MODEL_RESNET_STRIDE;
}

static nn_value resnet_build(const model_scope *scope, const model_generator_options *options, nn_value x)
{
    size_t trunk_end = MODEL_RESNET_HEAD + 2 * model_generator_blocks(options);
    nn_value shortcut = x;
    for (size_t i = 0; i < model_resnet_layers(options); i++) {
        bool in_trunk = i >= MODEL_RESNET_HEAD && i < trunk_end, second = (i - MODEL_RESNET_HEAD) % 2;
        model_resnet_layer layer = model_resnet_layer_at(options, i);
        if (in_trunk && !second) shortcut = x;
        x = model_resnet_apply(scope, x, &layer);
        if (in_trunk && second) x = nn_add(scope->graph, shortcut, x);
    }
    return x;
}

/* "model.model.INDEX" for the outermost level, each further level inside its parent's nn.Sequential: the outermost
 * holds it at 1, the others at 3. */
static void unet_key(char key[KEY_SIZE], size_t level, size_t index)
{
    int used = snprintf(key, KEY_SIZE, "model.model");
    for (size_t i = 0; i < level; i++)
        used += snprintf(key + used, KEY_SIZE - (size_t)used, ".%d.model", i == 0 ? 1 : 3);
    snprintf(key + used, KEY_SIZE - (size_t)used, ".%zu", index);
}

/* Channels below `level`'s convolution. */
static size_t unet_channels(size_t ngf, size_t level) { return ngf << (level < 3 ? level : 3); }

static nn_value unet_build(const model_scope *scope, const model_generator_options *options, nn_value x)
{
    nn_graph *g = scope->graph;
    size_t levels = unet_levels(options), last = levels - 1;
    char key[KEY_SIZE];
    nn_value skips[UNET_MAX_LEVELS] = {x};
    model_convolution layer = {.key = key, .kernel = 4, .stride = 2, .padding = 1};
    for (size_t level = 0; level < levels; level++) {
        /* The reference's LeakyReLU works in place, on the very tensor that it concatenates later. */
        if (level > 0) x = skips[level] = nn_leaky_relu(g, x, 0.2f);
        unet_key(key, level, level > 0);
        layer.channels = unet_channels(options->ngf, level);
        layer.normalised = level > 0 && level < last;
        x = model_convolve(scope, x, &layer);
    }
    layer.transpose = true;
    for (size_t level = last; level > 0; level--) {
        unet_key(key, level, level == last ? 3 : 5);
        layer.channels = unet_channels(options->ngf, level - 1);
        layer.normalised = true;
        nn_value parts[2] = {skips[level], model_convolve(scope, nn_relu(g, x), &layer)};
        x = nn_concat(g, parts, 2, NN_C);
    }
    unet_key(key, 0, 3);
    layer.channels = options->out_channels;
    layer.normalised = false;
    return nn_tanh(g, model_convolve(scope, nn_relu(g, x), &layer));
}

/* "resnet_9blocks", or "resnet with 5 blocks". */
static void print_name(const model_generator_options *options, char *name, size_t size)
{
    size_t blocks = model_generator_blocks(options);
    model_generator_kind kind = options->kind;
    if (!model_generator_is_unet(options)) kind = blocks == 6 ? MODEL_RESNET_6 : MODEL_RESNET_9;
    if (kind == MODEL_RESNET_9 && blocks != 9)
        snprintf(name, size, "resnet with %zu blocks", blocks);
    else
        snprintf(name, size, "%s", model_generator_names[kind]);
}

static bool input_fits(nn_graph *g, const model_generator_options *options, nn_shape shape)
{
    size_t height = shape.dim[NN_H], width = shape.dim[NN_W], stride = model_generator_stride(options);
    char name[64];
    print_name(options, name, sizeof name);
    if (shape.dim[NN_C] != options->in_channels)
        nn_graph_fail(g, "%s: expected an input of %zu channels, found %zu", name, options->in_channels,
                      shape.dim[NN_C]);
    else if (height % stride || width % stride || !height || !width)
        nn_graph_fail(g, "%s: expected an input whose sides are multiples of %zu, found %zux%zu (width x height)",
                      name, stride, width, height);
    else if (!model_generator_is_unet(options) && height == stride && width == stride)
        nn_graph_fail(g, "%s: expected an input larger than %zux%zu, where an instance norm would see a single pixel",
                      name, stride, stride);
    else
        return true;
    return false;
}

nn_value model_generator_build(nn_graph *graph, nn_parameters *set, const char *prefix,
                               const model_generator_options *options, nn_value x, model_trainables *trainables)
{
    if (x == NN_NONE || !input_fits(graph, options, nn_shape_at(graph, x))) return NN_NONE;
    model_scope scope = {graph, set, prefix, trainables};
    return model_generator_is_unet(options) ? unet_build(&scope, options, x) : resnet_build(&scope, options, x);
}
