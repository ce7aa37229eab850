#include "translate/large_layers.h"

#include <stdlib.h>

#include "base/text.h"

enum { CHUNK_FLOATS = 1 << 18 };

size_t large_trunk_rows(const large_network *n) { return n->height / MODEL_RESNET_STRIDE; }
size_t large_tail(const large_network *n) { return model_resnet_layers(n->generator) - MODEL_RESNET_TAIL; }

size_t large_row_floats(const large_network *n)
{
    size_t channels = n->generator->ngf;
    if (channels < n->generator->in_channels) channels = n->generator->in_channels;
    if (channels < n->generator->out_channels) channels = n->generator->out_channels;
    return n->width * channels;
}

size_t large_chunk_floats(const large_network *n)
{
    return large_row_floats(n) > CHUNK_FLOATS ? large_row_floats(n) : CHUNK_FLOATS;
}

/* What goes into layer i, which is what comes out of layer i - 1: of how many rows where the trunk has one. */
static size_t scale_at(const large_network *n, size_t i)
{
    size_t tail = large_tail(n);
    if (i < MODEL_RESNET_HEAD) return i == 2 ? 2 : MODEL_RESNET_STRIDE;
    if (i <= tail) return 1;
    return i == tail + 1 ? 2 : MODEL_RESNET_STRIDE;
}

static large_shape shape_at(const large_network *n, size_t i, size_t channels, size_t rows)
{
    size_t scale = scale_at(n, i), columns = n->width / MODEL_RESNET_STRIDE;
    return (large_shape){rows * scale, columns * scale * channels};
}

large_shape large_output_shape(const large_network *n, size_t layer, size_t rows)
{
    return shape_at(n, layer + 1, model_resnet_layer_at(n->generator, layer).convolution.channels, rows);
}

large_shape large_input_shape(const large_network *n, size_t layer, size_t rows)
{
    return layer ? large_output_shape(n, layer - 1, rows) : shape_at(n, 0, n->generator->in_channels, rows);
}

/* Copies one tensor, or writes zeros. */
static status copy_tensor(const nn_parameters *from, nn_parameters *to, size_t index, bool zeros, error *err)
{
    size_t count = nn_count(from->tensors[index].shape);
    float *values = calloc(count, sizeof *values);
    if (!values) return error_no_memory(err, "a tensor's values", count * sizeof *values);
    if (!zeros) nn_parameters_read(from, NN_DATA, index, values);
    nn_parameters_write(to, NN_DATA, index, values);
    free(values);
    return STATUS_OK;
}

/* The layer's tensor number, by its key. */
static status find(const nn_parameters *set, const model_resnet_layer *layer, const char *suffix, size_t *index,
                   error *err)
{
    text name = {0};
    text_format(&name, "%s.%s", layer->key, suffix);
    *index = nn_parameters_find(set, text_get(&name));
    status result = STATUS_OK;
    if (*index == SIZE_MAX) result = error_set(err, STATUS_FAILED, "%s: the tensor is missing", text_get(&name));
    text_free(&name);
    return result;
}

static status fill(const large_network *n, nn_parameters *set, error *err)
{
    size_t index;
    for (size_t i = 0; i < n->weights->count; i++)
        TRY(nn_parameters_add(set, n->weights->tensors[i].name, n->weights->tensors[i].shape, &index, err));
    TRY(nn_parameters_allocate(set, n->backend, 0, err));
    for (size_t i = 0; i < n->weights->count; i++) TRY(copy_tensor(n->weights, set, i, false, err));
    for (size_t i = 0; i < model_resnet_layers(n->generator); i++) {
        model_resnet_layer layer = model_resnet_layer_at(n->generator, i);
        if (!layer.convolution.normalised) continue;
        TRY(find(set, &layer, "bias", &index, err));
        TRY(copy_tensor(n->weights, set, index, true, err));
    }
    return STATUS_OK;
}

status large_weights_create(const large_network *n, nn_parameters **out, error *err)
{
    *out = NULL;
    nn_parameters *set = nn_parameters_create();
    if (!set) return error_no_memory(err, "a generator", sizeof *set);
    status result = fill(n, set, err);
    if (result == STATUS_OK)
        *out = set;
    else
        nn_parameters_destroy(set);
    return result;
}

/* values: a weight of `shape`, its dimension `axis` being the result's channels. */
static void scale_weight(float *values, nn_shape shape, size_t axis, const float *rate)
{
    size_t kernel = shape.dim[NN_KH] * shape.dim[NN_KW];
    for (size_t a = 0; a < shape.dim[0]; a++)
        for (size_t b = 0; b < shape.dim[1]; b++, values += kernel)
            for (size_t k = 0; k < kernel; k++) values[k] *= rate[axis == 0 ? a : b];
}

status large_weights_fold(const large_network *n, nn_parameters *set, size_t index, const moments *m, error *err)
{
    model_resnet_layer layer = model_resnet_layer_at(n->generator, index);
    size_t weight, bias;
    TRY(find(set, &layer, "weight", &weight, err));
    TRY(find(set, &layer, "bias", &bias, err));
    nn_shape shape = set->tensors[weight].shape;
    float *values = malloc(nn_count(shape) * sizeof *values); /* a bias is shorter */
    if (!values) return error_no_memory(err, "a tensor's values", nn_count(shape) * sizeof *values);
    nn_parameters_read(set, NN_DATA, weight, values);
    scale_weight(values, shape, layer.convolution.transpose ? 1 : 0, m->rate);
    nn_parameters_write(set, NN_DATA, weight, values);
    for (size_t c = 0; c < m->channels; c++) values[c] = -m->shift[c] * m->rate[c];
    nn_parameters_write(set, NN_DATA, bias, values);
    free(values);
    return STATUS_OK;
}

static nn_value build(const large_network *n, nn_parameters *set, large_layers layers, nn_graph *g, nn_value x)
{
    const model_scope scope = {.graph = g, .set = set, .prefix = ""};
    for (size_t i = 0; i < layers.count; i++) {
        model_resnet_layer layer = model_resnet_layer_at(n->generator, layers.first + i);
        layer.convolution.normalised = false;
        if (layers.raw && i == layers.count - 1) layer.activation = NN_LINEAR;
        x = model_resnet_apply(&scope, x, &layer);
    }
    return x;
}

status large_program_create(const large_network *n, nn_parameters *set, large_layers layers, size_t trunk_rows,
                            nn_program **program, nn_value *x, nn_value *y, error *err)
{
    *program = NULL;
    nn_graph *g = nn_graph_create();
    if (!g) return error_no_memory(err, "a generator", 0);
    size_t columns = n->width / MODEL_RESNET_STRIDE * scale_at(n, layers.first);
    large_shape in = large_input_shape(n, layers.first, trunk_rows);
    *x = nn_input(g, "strip", nn_shape_of(1, in.rows, columns, in.floats / columns));
    *y = build(n, set, layers, g, *x);
    nn_output(g, *y);
    nn_program_options planning = {.precision = n->precision};
    status result = nn_program_create(g, n->backend, &planning, program, err);
    nn_graph_destroy(g);
    return result;
}
