#include "models/layers.h"

#include <stdlib.h>

#include "base/text.h"

const float model_instance_norm_epsilon = 1e-5f;

void model_trainables_free(model_trainables *trainables)
{
    free(trainables->values);
    free(trainables->tensors);
    *trainables = (model_trainables){0};
}

static bool reserve(model_trainables *t)
{
    if (t->count < t->capacity) return true;
    size_t capacity = t->capacity ? 2 * t->capacity : 64;
    nn_value *values = realloc(t->values, capacity * sizeof *values);
    if (values) t->values = values;
    size_t *tensors = realloc(t->tensors, capacity * sizeof *tensors);
    if (tensors) t->tensors = tensors;
    if (!values || !tensors) return false;
    t->capacity = capacity;
    return true;
}

static void collect(const model_scope *scope, nn_value value, const char *name)
{
    model_trainables *t = scope->trainables;
    if (!t || value == NN_NONE) return;
    for (size_t i = 0; i < t->count; i++)
        if (t->values[i] == value) return;
    if (!reserve(t)) {
        nn_graph_fail(scope->graph, "out of memory: the list of tensors to train");
        return;
    }
    t->values[t->count] = value;
    t->tensors[t->count++] = nn_parameters_find(scope->set, name);
}

/* The tensor as a value of the graph, to be trained; NN_NONE after a failure. */
static nn_value used_tensor(const model_scope *scope, const model_convolution *layer, const char *suffix,
                            nn_shape shape)
{
    text name = {0};
    text_format(&name, "%s%s.%s", scope->prefix, layer->key, suffix);
    nn_value value = NN_NONE;
    if (name.failed)
        nn_graph_fail(scope->graph, "out of memory: the name of %s.%s", layer->key, suffix);
    else
        value = nn_parameter(scope->graph, scope->set, text_get(&name), shape);
    collect(scope, value, text_get(&name));
    text_free(&name);
    return value;
}

/* The bias's tensor in the set alone. */
static void unused_bias(const model_scope *scope, const model_convolution *layer)
{
    text name = {0};
    text_format(&name, "%s%s.bias", scope->prefix, layer->key);
    error err = {0};
    size_t index;
    if (name.failed)
        nn_graph_fail(scope->graph, "out of memory: the name of %s.bias", layer->key);
    else if (nn_parameters_add(scope->set, text_get(&name), nn_shape_vector(layer->channels), &index, &err) !=
             STATUS_OK)
        nn_graph_fail(scope->graph, "%s", err.message);
    text_free(&name);
}

nn_value model_convolve(const model_scope *scope, nn_value x, const model_convolution *layer)
{
    if (x == NN_NONE) return NN_NONE;
    nn_graph *g = scope->graph;
    size_t in = nn_shape_at(g, x).dim[NN_C], out = layer->channels, kernel = layer->kernel;
    nn_shape shape = layer->transpose ? nn_shape_of(in, out, kernel, kernel) : nn_shape_of(out, in, kernel, kernel);
    nn_value w = used_tensor(scope, layer, "weight", shape);
    nn_value y = layer->transpose ? nn_conv2d_transpose(g, x, w, layer->stride, layer->padding, layer->output_padding)
                                  : nn_conv2d(g, x, w, layer->stride, layer->padding);
    if (y == NN_NONE) return NN_NONE;
    if (layer->normalised) {
        unused_bias(scope, layer);
        return nn_instance_norm(g, y, model_instance_norm_epsilon);
    }
    return nn_bias(g, y, used_tensor(scope, layer, "bias", nn_shape_vector(out)));
}
