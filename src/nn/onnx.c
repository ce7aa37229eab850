#include "nn/onnx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "nn/graph_internal.h"
#include "nn/onnx_messages.h"

enum { OPERATOR_SET = 11, IR_VERSION = 6, NAME_SIZE = 64 };

/* What a value is in the file. */
typedef enum place { NOWHERE = 0, PICTURE, WEIGHT, VECTOR } place;

typedef struct onnx_file {
    const nn_graph *graph;
    nn_value x, y;
    place *places;   /* of each value */
    text head;       /* the model but for its graph */
    text body;       /* the graph but for the weights, whose bytes never are in memory together */
    error problem;   /* the first one */
} onnx_file;

/* A node on its way: the engine's, and its message. */
typedef struct writing {
    onnx_file *file;
    const nn_node *node;
    nn_value result; /* another one than the node's where it does what the next one does as well */
    text message;
} writing;

static const char *name_of(const onnx_file *f, nn_value v, char buffer[NAME_SIZE])
{
    const nn_value_info *info = &f->graph->values[v];
    if (v == f->x) return "input";
    if (v == f->y) return "output";
    if (info->kind != NN_VALUE_COMPUTED) return info->name;
    snprintf(buffer, NAME_SIZE, "%s_%u", nn_op_name(f->graph->nodes[info->producer].op), v);
    return buffer;
}

static nn_shape shape_of(const writing *w, nn_value v) { return nn_shape_at(w->file->graph, v); }

static void fail(writing *w, const char *what)
{
    if (w->file->problem.code == STATUS_OK)
        error_set(&w->file->problem, STATUS_FAILED, "%s: %s", nn_op_name(w->node->op), what);
}

static void add_input(writing *w, nn_value v)
{
    char buffer[NAME_SIZE];
    protobuf_string(&w->message, ONNX_NODE_INPUT, name_of(w->file, v, buffer));
}

static void add_picture(writing *w, nn_value v)
{
    if (w->file->places[v] == PICTURE) add_input(w, v);
    else fail(w, "reads a value that is not in the file");
}

/* A convolution's weight or bias, which is lasting memory. */
static void add_memory(writing *w, nn_value v, place as)
{
    place *found = &w->file->places[v];
    if (w->file->graph->values[v].kind != NN_VALUE_MEMORY || (*found != NOWHERE && *found != as)) {
        fail(w, "its weights are no lasting memory, or a bias as well");
        return;
    }
    *found = as;
    add_input(w, v);
}

static void append_float(text *bytes, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    protobuf_fixed(bytes, bits, sizeof bits);
}

/* A vector that is an input of this node alone. Frees `bytes`, its elements. */
static void add_constant(writing *w, const char *what, onnx_type type, size_t count, text *bytes)
{
    char buffer[NAME_SIZE], name[NAME_SIZE + 16];
    text *body = &w->file->body;
    snprintf(name, sizeof name, "%s.%s", name_of(w->file, w->node->output[0], buffer), what);
    onnx_initializer(body, name, type, &count, 1, bytes->length);
    text_append(body, text_get(bytes), bytes->length);
    body->failed |= bytes->failed;
    text_free(bytes);
    protobuf_string(&w->message, ONNX_NODE_INPUT, name);
}

/* The same in both directions. */
static void add_pair(writing *w, const char *name, size_t rows, size_t columns)
{
    onnx_attribute_integers(&w->message, name, (int64_t[]){(int64_t)rows, (int64_t)columns}, 2);
}

/* Weight, stride and padding; and the bias, where it is what the graph adds next. */
static void describe_convolution(writing *w)
{
    const nn_graph *g = w->file->graph;
    const nn_attributes *a = &w->node->attr;
    nn_shape weight = shape_of(w, w->node->input[1]);
    int64_t p = (int64_t)a->padding;
    add_memory(w, w->node->input[1], WEIGHT);
    const nn_node *next = w->node + 1;
    if (next < g->nodes + g->node_count && next->op == NN_BIAS && next->input[0] == w->result) {
        add_memory(w, next->input[1], VECTOR);
        w->result = next->output[0];
    }
    add_pair(w, "kernel_shape", weight.dim[NN_KH], weight.dim[NN_KW]);
    add_pair(w, "strides", a->stride, a->stride);
    onnx_attribute_integers(&w->message, "pads", (int64_t[]){p, p, p, p}, 4);
}

static void describe_transposed(writing *w)
{
    nn_shape x = shape_of(w, w->node->input[0]), weight = shape_of(w, w->node->input[1]);
    nn_shape y = shape_of(w, w->node->output[0]);
    size_t s = w->node->attr.stride, p = 2 * w->node->attr.padding;
    describe_convolution(w);
    add_pair(w, "output_padding", y.dim[NN_H] + p - (x.dim[NN_H] - 1) * s - weight.dim[NN_KH],
             y.dim[NN_W] + p - (x.dim[NN_W] - 1) * s - weight.dim[NN_KW]);
}

/* ONNX's has a factor and a shift for each channel. */
static void describe_norm(writing *w)
{
    text ones = {0}, zeros = {0};
    size_t channels = shape_of(w, w->result).dim[NN_C];
    for (size_t i = 0; i < channels; i++) {
        append_float(&ones, 1);
        append_float(&zeros, 0);
    }
    add_constant(w, "scale", ONNX_FLOAT, channels, &ones);
    add_constant(w, "bias", ONNX_FLOAT, channels, &zeros);
    onnx_attribute_float(&w->message, "epsilon", w->node->attr.epsilon);
}

static void describe_leaky(writing *w) { onnx_attribute_float(&w->message, "alpha", w->node->attr.slope); }

/* First what comes before each axis of (n, c, h, w), then what comes behind. */
static void describe_pad(writing *w)
{
    static const char *const modes[] = {[NN_PAD_ZERO] = "constant", [NN_PAD_REFLECT] = "reflect", [NN_PAD_EDGE] = "edge"};
    const nn_attributes *a = &w->node->attr;
    const size_t pads[8] = {0, 0, a->top, a->left, 0, 0, a->bottom, a->right};
    text bytes = {0};
    for (size_t i = 0; i < 8; i++) protobuf_fixed(&bytes, pads[i], sizeof(int64_t));
    add_constant(w, "pads", ONNX_INT64, 8, &bytes);
    onnx_attribute_string(&w->message, "mode", modes[a->mode]);
}

static void describe_concat(writing *w)
{
    onnx_attribute_integer(&w->message, "axis", w->node->attr.axis == NN_C ? 1 : 0);
}

/* "asymmetric" and "floor": element i comes from i / factor. The region of interest is of another mode, but must be there
 * before operator set 13. */
static void describe_resize(writing *w)
{
    text scales = {0}, nothing = {0};
    for (int i = 0; i < 4; i++) append_float(&scales, i < 2 ? 1 : (float)w->node->attr.factor);
    add_constant(w, "roi", ONNX_FLOAT, 0, &nothing);
    add_constant(w, "scales", ONNX_FLOAT, 4, &scales);
    onnx_attribute_string(&w->message, "mode", "nearest");
    onnx_attribute_string(&w->message, "coordinate_transformation_mode", "asymmetric");
    onnx_attribute_string(&w->message, "nearest_mode", "floor");
}

typedef struct counterpart {
    const char *type;                /* NULL: there is none */
    void (*describe)(writing *w);    /* what follows the pictures among the inputs, and attributes; NULL: nothing */
    bool one_picture;                /* else all inputs are pictures */
} counterpart;

/* NN_BIAS is in the convolution before it, NN_ACTIVATION in the next table. */
static const counterpart operations[NN_OP_COUNT] = {
    [NN_CONV2D] = {"Conv", describe_convolution, true},
    [NN_CONV2D_DATA_GRAD] = {"ConvTranspose", describe_transposed, true},
    [NN_INSTANCE_NORM] = {"InstanceNormalization", describe_norm, true},
    [NN_ADD] = {"Add", NULL, false},
    [NN_PAD] = {"Pad", describe_pad, true},
    [NN_CONCAT] = {"Concat", describe_concat, false},
    [NN_RESIZE_NEAREST] = {"Resize", describe_resize, true},
};

static const counterpart activations[] = {
    [NN_RELU] = {"Relu", NULL, true},
    [NN_LEAKY_RELU] = {"LeakyRelu", describe_leaky, true},
    [NN_TANH] = {"Tanh", NULL, true},
    [NN_SIGMOID] = {"Sigmoid", NULL, true},
};

static void add_node(onnx_file *f, const nn_node *node)
{
    writing w = {.file = f, .node = node, .result = node->output[0]};
    const counterpart *c = node->op == NN_ACTIVATION ? &activations[node->attr.activation] : &operations[node->op];
    char buffer[NAME_SIZE];
    if (node->op == NN_BIAS && f->places[w.result] == PICTURE) return; /* the convolution's */
    if (!c->type) {
        fail(&w, "ONNX files of this program have no such operation");
        return;
    }
    for (size_t i = 0; i < (c->one_picture ? 1 : node->input_count); i++) add_picture(&w, node->input[i]);
    if (c->describe) c->describe(&w);
    f->places[w.result] = PICTURE;
    protobuf_string(&w.message, ONNX_NODE_OUTPUT, name_of(f, w.result, buffer));
    protobuf_string(&w.message, ONNX_NODE_NAME, name_of(f, w.result, buffer));
    protobuf_string(&w.message, ONNX_NODE_OP_TYPE, c->type);
    protobuf_message(&f->body, ONNX_GRAPH_NODE, &w.message);
}

static void describe_graph(onnx_file *f, const char *name)
{
    const nn_graph *g = f->graph;
    protobuf_string(&f->body, ONNX_GRAPH_NAME, name);
    onnx_picture(&f->body, ONNX_GRAPH_INPUT, "input", g->values[f->x].shape.dim[NN_C]);
    onnx_picture(&f->body, ONNX_GRAPH_OUTPUT, "output", g->values[f->y].shape.dim[NN_C]);
    f->places[f->x] = PICTURE;
    for (size_t i = 0; i < g->node_count && f->problem.code == STATUS_OK; i++) add_node(f, &g->nodes[i]);
}

static void describe_model(text *head, const nn_onnx_about *about)
{
    protobuf_integer(head, ONNX_MODEL_IR_VERSION, IR_VERSION);
    onnx_operator_set(head, OPERATOR_SET);
    protobuf_string(head, ONNX_MODEL_PRODUCER_NAME, about->producer);
    protobuf_string(head, ONNX_MODEL_PRODUCER_VERSION, about->version);
    protobuf_string(head, ONNX_MODEL_DOC_STRING, about->description);
    for (size_t i = 0; i < about->property_count; i++)
        onnx_metadata(head, about->properties[i].key, about->properties[i].value);
}

/* A weight up to its values. Returns how many bytes these are; 0: the value is no weight. */
static size_t begin_weight(const onnx_file *f, nn_value v, text *out)
{
    const nn_value_info *info = &f->graph->values[v];
    bool vector = f->places[v] == VECTOR;
    if (f->places[v] != WEIGHT && !vector) return 0;
    size_t bytes = nn_count(info->shape) * sizeof(float);
    onnx_initializer(out, info->name, ONNX_FLOAT, info->shape.dim + (vector ? 3 : 0), vector ? 1 : 4, bytes);
    return bytes;
}

/* Puts what stands in front of the graph behind the head, once it is known how long the graph is. */
static status measure(onnx_file *f, error *err)
{
    uint64_t length = f->body.length;
    text begin = {0};
    for (size_t v = 0; v < f->graph->value_count; v++) length += begin_weight(f, (nn_value)v, &begin);
    length += begin.length;
    f->head.failed |= begin.failed;
    text_free(&begin);
    protobuf_begin(&f->head, ONNX_MODEL_GRAPH, length);
    if (f->head.failed || f->body.failed) return error_no_memory(err, "an ONNX graph", 0);
    length += f->head.length;
    if (length <= PROTOBUF_LIMIT) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "an ONNX file has at most %d bytes, this one would have %llu", PROTOBUF_LIMIT,
                     (unsigned long long)length);
}

static status write_weight(const onnx_file *f, nn_value v, file_writer *out, error *err)
{
    const nn_value_info *info = &f->graph->values[v];
    text message = {0};
    size_t bytes = begin_weight(f, v, &message);
    float *values = bytes ? malloc(bytes) : NULL;
    bool failed = bytes && !values;
    if (values) {
        nn_block_read(info->block, info->offset, values, bytes / sizeof *values);
        for (size_t i = 0; i < bytes / sizeof *values; i++) append_float(&message, values[i]);
    }
    failed |= message.failed;
    if (!failed) file_write(out, text_get(&message), message.length);
    free(values);
    text_free(&message);
    return failed ? error_no_memory(err, info->name, bytes) : STATUS_OK;
}

static status write_file(const onnx_file *f, const char *path, error *err)
{
    file_writer *out;
    TRY(file_writer_create(path, &out, err));
    file_write(out, text_get(&f->head), f->head.length);
    file_write(out, text_get(&f->body), f->body.length);
    for (size_t v = 0; v < f->graph->value_count; v++) {
        status result = write_weight(f, (nn_value)v, out, err);
        if (result == STATUS_OK) continue;
        file_writer_abort(out);
        return result;
    }
    return file_writer_commit(out, err);
}

/* Everything but the weights' bytes. */
static status prepare(onnx_file *f, const nn_onnx_about *about, error *err)
{
    TRY(nn_graph_status(f->graph, err));
    f->places = calloc(f->graph->value_count, sizeof *f->places);
    if (!f->places) return error_no_memory(err, "an ONNX graph", f->graph->value_count * sizeof *f->places);
    describe_graph(f, about->name);
    if (f->problem.code != STATUS_OK) return error_set(err, f->problem.code, "%s", f->problem.message);
    if (f->places[f->y] != PICTURE || f->y == f->x)
        return error_set(err, STATUS_FAILED, "the output is no result of a node");
    describe_model(&f->head, about);
    return measure(f, err);
}

status nn_onnx_write(const char *path, const nn_graph *g, nn_value x, nn_value y, const nn_onnx_about *about, error *err)
{
    onnx_file f = {.graph = g, .x = x, .y = y};
    status result = prepare(&f, about, err);
    if (result != STATUS_OK) error_prefix(err, "%s", path);
    if (result == STATUS_OK) result = write_file(&f, path, err);
    free(f.places);
    text_free(&f.head);
    text_free(&f.body);
    return result;
}
