#include "models/vgg.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "base/text.h"
#include "models/vgg_layers.h"
#include "nn/safetensors.h"

const char *const model_vgg_input_names[] = {"auto", "torchvision", "caffe", "unit", "signed", NULL};
const char *const model_vgg_padding_names[] = {"auto", "zero", "reflect", "none", NULL};
const char *const model_vgg_pool_names[] = {"auto", "max", "average", NULL};

enum { KERNEL = 3, CHANNELS = 3, NAME = 32 };

struct model_vgg {
    char *path; /* NULL: random */
    safetensors_file *file; /* until the weights are loaded */
    model_vgg_options options; /* nothing is AUTO any more */
    bool ceil_mode;
    int depth;
    vgg_layer layers[VGG_LAYERS];
    size_t layer_count;                /* of the whole network */
    size_t widths[VGG_CONVOLUTIONS];   /* channels of each convolution */
    size_t convolutions;               /* how many the file has */
    nn_parameters *set;
    bool shifted; /* the set has "shift" */
    hash64 fingerprint; /* of what its features follow from */
    char description[200];
};

void model_vgg_destroy(model_vgg *v)
{
    if (!v) return;
    safetensors_close(v->file);
    nn_parameters_destroy(v->set);
    free(v->path);
    free(v);
}

size_t model_vgg_bytes(const model_vgg *v) { return v->set->blocks[NN_DATA].count * sizeof(float); }
bool model_vgg_is_random(const model_vgg *v) { return !v->path; }
const char *model_vgg_description(const model_vgg *v) { return v->description; }
uint64_t model_vgg_fingerprint(const model_vgg *v) { return hash64_value(&v->fingerprint); }

/* A layer's index in `features` from the number of its convolution. */
static size_t convolution_layer(const model_vgg *v, size_t convolution)
{
    size_t i = 0;
    while (v->layers[i].kind != VGG_CONVOLUTION || v->layers[i].convolution != convolution) i++;
    return i;
}

static const safetensors_entry *find(const model_vgg *v, size_t layer, const char *suffix)
{
    char name[NAME];
    snprintf(name, sizeof name, "features.%zu.%s", layer, suffix);
    return safetensors_find(v->file, name);
}

/* VGG-19 by a convolution that VGG-16 has not, then the reverse; a file that ends before both is the same in either. */
static int infer_depth(const model_vgg *v)
{
    static const size_t in_19[] = {16, 23, 25, 30, 32, 34}, in_16[] = {17, 24, 26};
    for (size_t i = 0; i < sizeof in_19 / sizeof *in_19; i++)
        if (find(v, in_19[i], "weight")) return 19;
    for (size_t i = 0; i < sizeof in_16 / sizeof *in_16; i++)
        if (find(v, in_16[i], "weight")) return 16;
    return 19;
}

static void print_shape(const safetensors_entry *entry, char *buffer, size_t size)
{
    size_t used = (size_t)snprintf(buffer, size, "%s", entry->rank ? "" : "a scalar");
    for (size_t i = 0; i < entry->rank && used < size; i++)
        used += (size_t)snprintf(buffer + used, size - used, "%s%zu", i ? "x" : "", entry->shape[i]);
}

static status check_convolution(model_vgg *v, size_t convolution, error *err)
{
    size_t layer = convolution_layer(v, convolution), in = convolution ? v->widths[convolution - 1] : CHANNELS;
    const safetensors_entry *weight = find(v, layer, "weight"), *bias = find(v, layer, "bias");
    char shape[128];
    if (!weight || !bias)
        return error_set(err, STATUS_FAILED, "features.%zu.%s is missing", layer, weight ? "bias" : "weight");
    print_shape(weight, shape, sizeof shape);
    if (weight->rank != 4 || weight->shape[1] != in || weight->shape[2] != KERNEL || weight->shape[3] != KERNEL ||
        weight->shape[0] == 0)
        return error_set(err, STATUS_FAILED, "features.%zu.weight: expected Nx%zux3x3, found %s", layer, in, shape);
    print_shape(bias, shape, sizeof shape);
    if (bias->rank != 1 || bias->shape[0] != weight->shape[0])
        return error_set(err, STATUS_FAILED, "features.%zu.bias: expected %zu, found %s", layer, weight->shape[0],
                         shape);
    v->widths[convolution] = weight->shape[0];
    return STATUS_OK;
}

/* Every tensor below "features." belongs to a convolution. */
static status check_keys(const model_vgg *v, error *err)
{
    for (size_t i = 0; i < safetensors_count(v->file); i++) {
        const safetensors_entry *entry = safetensors_at(v->file, i);
        size_t layer;
        char shown[100];
        if (sscanf(entry->name, "features.%zu.", &layer) != 1) continue;
        if (layer < v->layer_count && v->layers[layer].kind == VGG_CONVOLUTION) continue;
        text_printable(entry->name, shown, sizeof shown);
        if (find(v, 1, "running_mean") || find(v, 1, "weight"))
            return error_set(err, STATUS_FAILED, "a VGG with batch norm is not supported: found %s", shown);
        return error_set(err, STATUS_FAILED, "%s: VGG-%d has no convolution there", shown, v->depth);
    }
    return STATUS_OK;
}

static status infer(model_vgg *v, error *err)
{
    v->depth = infer_depth(v);
    v->layer_count = vgg_layers(v->depth, v->layers);
    size_t most = v->depth == 16 ? 13 : VGG_CONVOLUTIONS;
    for (size_t i = 0; i < most; i++) /* up to the last that is there; those before it must be */
        if (find(v, convolution_layer(v, i), "weight")) v->convolutions = i + 1;
    if (!v->convolutions)
        return error_set(err, STATUS_FAILED, "not a VGG: expected features.0.weight (Nx3x3x3) among its %zu tensors, "
                         "found no features.N.weight", safetensors_count(v->file));
    TRY(check_keys(v, err));
    for (size_t i = 0; i < v->convolutions; i++) TRY(check_convolution(v, i, err));
    return STATUS_OK;
}

/* Whether `said` has `word` in it, whatever its case. */
static bool mentions(const char *said, const char *word)
{
    size_t length = strlen(word);
    for (; *said; said++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)said[i]) == tolower((unsigned char)word[i])) i++;
        if (i == length) return true;
    }
    return false;
}

static status unclear(const char *key, const char *value, const char *const *names, error *err)
{
    char shown[120];
    const char *third = names[3] ? names[3] : "";
    return error_set(err, STATUS_FAILED, "its metadata's %s '%s' is not understood: say by an option which of %s, "
                     "%s%s%s it is", key, text_printable(value, shown, sizeof shown), names[1], names[2],
                     third[0] ? ", " : "", third);
}

/* By one of our names, or by words that describe it. */
static status read_input(const char *said, model_vgg_input *input, error *err)
{
    if (!said) *input = MODEL_VGG_TORCHVISION;
    for (int i = 1; said && model_vgg_input_names[i] && *input == MODEL_VGG_INPUT_AUTO; i++)
        if (strcmp(said, model_vgg_input_names[i]) == 0) *input = (model_vgg_input)i;
    if (*input != MODEL_VGG_INPUT_AUTO) return STATUS_OK;
    bool plain = mentions(said, "no mean");
    if (mentions(said, "torchvision") || mentions(said, "imagenet") || (!plain && mentions(said, "std")))
        *input = MODEL_VGG_TORCHVISION;
    else if (mentions(said, "caffe") || mentions(said, "bgr"))
        *input = MODEL_VGG_CAFFE;
    else if (mentions(said, "[-1,1]") || mentions(said, "[-1, 1]"))
        *input = MODEL_VGG_SIGNED;
    else if (mentions(said, "[0,1]") || mentions(said, "[0, 1]"))
        *input = MODEL_VGG_UNIT;
    else
        return unclear("input", said, model_vgg_input_names, err);
    return STATUS_OK;
}

static status read_padding(const char *said, model_vgg_padding *padding, error *err)
{
    if (!said || mentions(said, "zero"))
        *padding = MODEL_VGG_ZERO;
    else if (mentions(said, "reflect"))
        *padding = MODEL_VGG_REFLECT;
    else if (mentions(said, "none") || mentions(said, "valid"))
        *padding = MODEL_VGG_NO_PADDING;
    else
        return unclear("padding", said, model_vgg_padding_names, err);
    return STATUS_OK;
}

static status read_pool(const char *said, model_vgg_pool *pool, error *err)
{
    if (!said || mentions(said, "max"))
        *pool = MODEL_VGG_MAX;
    else if (mentions(said, "average") || mentions(said, "avg"))
        *pool = MODEL_VGG_AVERAGE;
    else
        return unclear("pool", said, model_vgg_pool_names, err);
    return STATUS_OK;
}

/* Options that are not given come from the file. */
static status settle_options(model_vgg *v, error *err)
{
    model_vgg_options *o = &v->options;
    const char *pool = safetensors_metadata_get(v->file, "pool");
    if (o->input == MODEL_VGG_INPUT_AUTO) TRY(read_input(safetensors_metadata_get(v->file, "input"), &o->input, err));
    if (o->padding == MODEL_VGG_PADDING_AUTO)
        TRY(read_padding(safetensors_metadata_get(v->file, "padding"), &o->padding, err));
    if (o->pool == MODEL_VGG_POOL_AUTO) TRY(read_pool(pool, &o->pool, err));
    v->ceil_mode = pool && mentions(pool, "ceil") && o->pool == MODEL_VGG_MAX;
    return STATUS_OK;
}

static status open_file(model_vgg *v, const char *path, error *err)
{
    v->path = text_copy(path);
    if (!v->path) return error_no_memory(err, "a path", strlen(path));
    TRY(safetensors_open(path, &v->file, err));
    if (infer(v, err) == STATUS_OK && settle_options(v, err) == STATUS_OK) return STATUS_OK;
    return error_prefix(err, "%s", path);
}

static void make_random(model_vgg *v)
{
    static const size_t widths[VGG_BLOCKS] = {64, 128, 256, 512, 512};
    model_vgg_options *o = &v->options;
    v->depth = 19;
    v->layer_count = vgg_layers(v->depth, v->layers);
    v->convolutions = VGG_CONVOLUTIONS;
    for (size_t i = 0; i < v->layer_count; i++)
        if (v->layers[i].kind == VGG_CONVOLUTION) v->widths[v->layers[i].convolution] = widths[v->layers[i].block - 1];
    if (o->input == MODEL_VGG_INPUT_AUTO) o->input = MODEL_VGG_TORCHVISION;
    if (o->padding == MODEL_VGG_PADDING_AUTO) o->padding = MODEL_VGG_ZERO;
    if (o->pool == MODEL_VGG_POOL_AUTO) o->pool = MODEL_VGG_AVERAGE;
}

static void describe(model_vgg *v)
{
    char last[NAME], seed[64] = "";
    vgg_name(&v->layers[convolution_layer(v, v->convolutions - 1)], last);
    if (!v->path) snprintf(seed, sizeof seed, " with random weights (seed %llu)", (unsigned long long)v->options.seed);
    snprintf(v->description, sizeof v->description,
             "VGG-%d%s up to %s, %zu to %zu channels, input %s, padding %s, %s pooling%s", v->depth, seed, last,
             v->widths[0], v->widths[v->convolutions - 1], model_vgg_input_names[v->options.input],
             model_vgg_padding_names[v->options.padding], model_vgg_pool_names[v->options.pool],
             v->ceil_mode ? " rounding up" : "");
}

status model_vgg_open(const char *path, const model_vgg_options *options, model_vgg **out, error *err)
{
    status result = STATUS_OK;
    *out = NULL;
    model_vgg *v = calloc(1, sizeof *v);
    if (!v) return error_no_memory(err, "a VGG", sizeof *v);
    v->options = *options;
    v->set = nn_parameters_create();
    if (!v->set) TRY_OR(error, error_no_memory(err, "a VGG", sizeof *v->set));
    if (path)
        TRY_OR(error, open_file(v, path, err));
    else
        make_random(v);
    describe(v);
    *out = v;
    return STATUS_OK;
error:
    model_vgg_destroy(v);
    return result;
}

status model_vgg_layer(const model_vgg *v, const char *name, size_t *layer, error *err)
{
    char nearest[NAME], shown[80], last[NAME];
    text_printable(name, shown, sizeof shown);
    *layer = vgg_find(v->depth, name, nearest);
    if (*layer == VGG_NO_LAYER && nearest[0])
        return error_set(err, STATUS_USAGE, "VGG-%d has no layer '%s'; did you mean '%s'?", v->depth, shown, nearest);
    if (*layer == VGG_NO_LAYER)
        return error_set(err, STATUS_USAGE, "VGG-%d has no layer '%s'; expected one such as relu4_2, conv4_2, "
                         "block4_conv2 or pool4", v->depth, shown);
    const vgg_layer *l = &v->layers[*layer];
    size_t needed = l->kind == VGG_CONVOLUTION ? l->convolution + 1 : l->convolution;
    if (needed <= v->convolutions) return STATUS_OK;
    vgg_name(&v->layers[convolution_layer(v, v->convolutions - 1)], last);
    return error_set(err, STATUS_USAGE, "%s: the layer '%s' is not in this file, which ends at %s", v->path, shown,
                     last);
}

size_t model_vgg_channels(const model_vgg *v, size_t layer)
{
    const vgg_layer *l = &v->layers[layer];
    return v->widths[l->kind == VGG_CONVOLUTION ? l->convolution : l->convolution - 1];
}

size_t model_vgg_minimum(const model_vgg *v, size_t layer)
{
    size_t side = 1;
    for (size_t i = layer + 1; i-- > 0;) {
        if (v->layers[i].kind == VGG_CONVOLUTION && v->options.padding == MODEL_VGG_NO_PADDING) side += KERNEL - 1;
        if (v->layers[i].kind == VGG_POOL) side = v->ceil_mode && side > 1 ? 2 * side - 1 : 2 * side;
    }
    return side;
}

/* What the network wants of channel c of its input is scale[c] * (x + shift[c]) of our channel source[c], x in [-1,1].
 * The scale and the order go into the first convolution's weights. The shift cannot go into its bias: at the border the
 * zeros of the padding stand for what has been shifted already. */
typedef struct convention {
    float scale[CHANNELS], shift[CHANNELS];
    size_t source[CHANNELS];
} convention;

static convention convention_of(model_vgg_input input)
{
    static const double mean[] = {0.485, 0.456, 0.406}, deviation[] = {0.229, 0.224, 0.225};
    static const double caffe[] = {103.939, 116.779, 123.68};
    convention c;
    for (size_t i = 0; i < CHANNELS; i++) {
        double scale = 1, shift = 0;
        c.source[i] = input == MODEL_VGG_CAFFE ? CHANNELS - 1 - i : i;
        switch (input) {
        case MODEL_VGG_TORCHVISION:
            scale = 0.5 / deviation[i];
            shift = 1 - 2 * mean[i];
            break;
        case MODEL_VGG_CAFFE:
            scale = 127.5;
            shift = 1 - caffe[i] / 127.5;
            break;
        case MODEL_VGG_UNIT:
            scale = 0.5;
            shift = 1;
            break;
        case MODEL_VGG_SIGNED:
        case MODEL_VGG_INPUT_AUTO: break;
        }
        c.scale[i] = (float)scale;
        c.shift[i] = (float)shift;
    }
    return c;
}

/* weight: (out, 3, 3, 3) as in the file -> as it is applied to our pictures. */
static void adapt_first(const convention *c, float *weight, size_t out)
{
    enum { PLANE = KERNEL * KERNEL };
    for (size_t o = 0; o < out; o++) {
        float *w = weight + o * CHANNELS * PLANE, adapted[CHANNELS * PLANE];
        for (size_t i = 0; i < CHANNELS; i++)
            for (size_t k = 0; k < PLANE; k++) adapted[c->source[i] * PLANE + k] = w[i * PLANE + k] * c->scale[i];
        memcpy(w, adapted, sizeof adapted);
    }
}

static void tensor_name(char name[NAME], size_t layer, const char *suffix)
{
    snprintf(name, NAME, "features.%zu.%s", layer, suffix);
}

static status read_values(const model_vgg *v, size_t layer, const char *suffix, float *values, size_t count, error *err)
{
    if (v->file) {
        TRY(safetensors_read_f32(v->file, find(v, layer, suffix), values, err));
        for (size_t i = 0; i < count; i++)
            if (!isfinite(values[i]))
                return error_set(err, STATUS_FAILED, "features.%zu.%s: expected finite values, found %g", layer, suffix,
                                 (double)values[i]);
        return STATUS_OK;
    }
    bool bias = suffix[0] == 'b';
    size_t convolution = v->layers[layer].convolution, in = convolution ? v->widths[convolution - 1] : CHANNELS;
    double deviation = bias ? 0 : sqrt(2.0 / (double)(KERNEL * KERNEL * in));
#pragma omp parallel for
    for (size_t i = 0; i < count; i++)
        values[i] = bias ? 0 : (float)(deviation * rng_normal(v->options.seed, RNG_FEATURES, convolution, (uint32_t)i));
    return STATUS_OK;
}

static status load_tensor(model_vgg *v, size_t index, size_t layer, const char *suffix, error *err)
{
    size_t count = nn_count(v->set->tensors[index].shape);
    float *values = malloc(count * sizeof *values);
    if (!values) return error_no_memory(err, "a VGG's weights", count * sizeof *values);
    status result = read_values(v, layer, suffix, values, count, err);
    if (result == STATUS_OK) {
        convention c = convention_of(v->options.input);
        if (layer == 0 && suffix[0] == 'w') adapt_first(&c, values, v->widths[0]);
        nn_parameters_write(v->set, NN_DATA, index, values);
        hash64_add(&v->fingerprint, values, count * sizeof *values);
    }
    free(values);
    return result;
}

/* Names and shapes of all tensors up to `deepest`. */
static status declare(model_vgg *v, size_t deepest, error *err)
{
    char name[NAME];
    size_t index, in = CHANNELS;
    convention c = convention_of(v->options.input);
    for (size_t i = 0; i < CHANNELS; i++) v->shifted = v->shifted || c.shift[i] != 0;
    if (v->shifted) TRY(nn_parameters_add(v->set, "shift", nn_shape_vector(CHANNELS), &index, err));
    for (size_t layer = 0; layer <= deepest; layer++) {
        if (v->layers[layer].kind != VGG_CONVOLUTION) continue;
        size_t out = v->widths[v->layers[layer].convolution];
        tensor_name(name, layer, "weight");
        TRY(nn_parameters_add(v->set, name, nn_shape_of(out, in, KERNEL, KERNEL), &index, err));
        tensor_name(name, layer, "bias");
        TRY(nn_parameters_add(v->set, name, nn_shape_vector(out), &index, err));
        in = out;
    }
    return STATUS_OK;
}

status model_vgg_load(model_vgg *v, nn_backend *backend, size_t deepest, error *err)
{
    TRY(declare(v, deepest, err));
    TRY(nn_parameters_allocate(v->set, backend, 0, err));
    convention c = convention_of(v->options.input);
    float shift[CHANNELS];
    for (size_t i = 0; i < CHANNELS; i++) shift[c.source[i]] = c.shift[i];
    const uint32_t about[] = {(uint32_t)v->options.padding, (uint32_t)v->options.pool, v->ceil_mode,
                              (uint32_t)v->depth};
    v->fingerprint = hash64_start(0);
    hash64_add(&v->fingerprint, about, sizeof about);
    hash64_add(&v->fingerprint, shift, sizeof shift);
    size_t index = 0;
    if (v->shifted) nn_parameters_write(v->set, NN_DATA, index++, shift);
    for (size_t layer = 0; layer <= deepest; layer++) {
        if (v->layers[layer].kind != VGG_CONVOLUTION) continue;
        static const char *const suffixes[] = {"weight", "bias"};
        for (size_t i = 0; i < 2; i++)
            if (load_tensor(v, index++, layer, suffixes[i], err) != STATUS_OK)
                return v->path ? error_prefix(err, "%s", v->path) : err->code;
    }
    safetensors_close(v->file);
    v->file = NULL;
    return STATUS_OK;
}

static nn_value convolve(const model_vgg *v, nn_graph *g, nn_value x, size_t layer)
{
    char name[NAME];
    if (x == NN_NONE) return NN_NONE;
    size_t out = v->widths[v->layers[layer].convolution], in = nn_shape_at(g, x).dim[NN_C];
    tensor_name(name, layer, "weight");
    nn_value w = nn_parameter(g, v->set, name, nn_shape_of(out, in, KERNEL, KERNEL));
    tensor_name(name, layer, "bias");
    nn_value b = nn_parameter(g, v->set, name, nn_shape_vector(out));
    bool zero = v->options.padding == MODEL_VGG_ZERO;
    if (v->options.padding == MODEL_VGG_REFLECT) x = nn_pad(g, x, NN_PAD_REFLECT, KERNEL / 2);
    return nn_bias(g, nn_conv2d(g, x, w, 1, zero ? KERNEL / 2 : 0), b);
}

void model_vgg_build(const model_vgg *v, nn_graph *g, nn_value image, const size_t *layers, size_t count,
                     nn_value *results)
{
    size_t deepest = 0;
    for (size_t i = 0; i < count; i++) {
        if (layers[i] > deepest) deepest = layers[i];
        results[i] = NN_NONE;
    }
    nn_shape shape = nn_shape_at(g, image);
    size_t least = model_vgg_minimum(v, deepest);
    if (shape.dim[NN_H] < least || shape.dim[NN_W] < least) {
        char name[NAME];
        vgg_name(&v->layers[deepest], name);
        nn_graph_fail(g, "a picture of %zux%zu is too small for %s: expected at least %zux%zu", shape.dim[NN_W],
                      shape.dim[NN_H], name, least, least);
        return;
    }
    nn_value x = image;
    if (v->shifted) x = nn_bias(g, x, nn_parameter(g, v->set, "shift", nn_shape_vector(CHANNELS)));
    for (size_t layer = 0; layer <= deepest; layer++) {
        switch (v->layers[layer].kind) {
        case VGG_CONVOLUTION: x = convolve(v, g, x, layer); break;
        case VGG_RELU: x = nn_relu(g, x); break;
        case VGG_POOL:
            x = v->options.pool == MODEL_VGG_MAX ? nn_max_pool(g, x, 2, 2, v->ceil_mode) : nn_average_pool(g, x, 2, 2);
            break;
        }
        for (size_t i = 0; i < count; i++)
            if (layers[i] == layer) results[i] = x;
    }
}
