#include "nn/onnx_messages.h"

enum { OPSET_VERSION = 2 };                                  /* OperatorSetIdProto */
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };                     /* StringStringEntryProto */
enum { VALUE_NAME = 1, VALUE_TYPE = 2 };                     /* ValueInfoProto */
enum { TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 }; /* TypeProto and its Tensor */
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_PARAM = 2 };        /* TensorShapeProto and its Dimension */
enum { TENSOR_DIMS = 1, TENSOR_DATA_TYPE = 2, TENSOR_NAME = 8, TENSOR_RAW_DATA = 9 }; /* TensorProto */
enum { ATTRIBUTE_NAME = 1, ATTRIBUTE_F = 2, ATTRIBUTE_I = 3, ATTRIBUTE_S = 4, ATTRIBUTE_INTS = 8,
       ATTRIBUTE_TYPE = 20 }; /* AttributeProto */
enum { TYPE_FLOAT = 1, TYPE_INT = 2, TYPE_STRING = 3, TYPE_INTS = 7 }; /* AttributeProto.AttributeType */

void onnx_operator_set(text *model, int64_t version)
{
    text set = {0};
    protobuf_integer(&set, OPSET_VERSION, version);
    protobuf_message(model, ONNX_MODEL_OPSET_IMPORT, &set);
}

void onnx_metadata(text *model, const char *key, const char *value)
{
    text entry = {0};
    protobuf_string(&entry, ENTRY_KEY, key);
    protobuf_string(&entry, ENTRY_VALUE, value);
    protobuf_message(model, ONNX_MODEL_METADATA_PROPS, &entry);
}

static text attribute(const char *name, int type)
{
    text attribute = {0};
    protobuf_string(&attribute, ATTRIBUTE_NAME, name);
    protobuf_integer(&attribute, ATTRIBUTE_TYPE, type);
    return attribute;
}

void onnx_attribute_float(text *node, const char *name, float value)
{
    text a = attribute(name, TYPE_FLOAT);
    protobuf_float(&a, ATTRIBUTE_F, value);
    protobuf_message(node, ONNX_NODE_ATTRIBUTE, &a);
}

void onnx_attribute_integer(text *node, const char *name, int64_t value)
{
    text a = attribute(name, TYPE_INT);
    protobuf_integer(&a, ATTRIBUTE_I, value);
    protobuf_message(node, ONNX_NODE_ATTRIBUTE, &a);
}

void onnx_attribute_integers(text *node, const char *name, const int64_t *values, size_t count)
{
    text a = attribute(name, TYPE_INTS);
    for (size_t i = 0; i < count; i++) protobuf_integer(&a, ATTRIBUTE_INTS, values[i]);
    protobuf_message(node, ONNX_NODE_ATTRIBUTE, &a);
}

void onnx_attribute_string(text *node, const char *name, const char *value)
{
    text a = attribute(name, TYPE_STRING);
    protobuf_string(&a, ATTRIBUTE_S, value);
    protobuf_message(node, ONNX_NODE_ATTRIBUTE, &a);
}

void onnx_initializer(text *graph, const char *name, onnx_type type, const size_t *dims, size_t rank, size_t bytes)
{
    text tensor = {0};
    for (size_t i = 0; i < rank; i++) protobuf_integer(&tensor, TENSOR_DIMS, (int64_t)dims[i]);
    protobuf_integer(&tensor, TENSOR_DATA_TYPE, type);
    protobuf_string(&tensor, TENSOR_NAME, name);
    protobuf_begin(&tensor, TENSOR_RAW_DATA, bytes);
    protobuf_begin(graph, ONNX_GRAPH_INITIALIZER, tensor.length + bytes);
    text_append(graph, text_get(&tensor), tensor.length);
    graph->failed |= tensor.failed;
    text_free(&tensor);
}

void onnx_picture(text *graph, unsigned field, const char *name, size_t channels)
{
    static const char *const names[] = {"batch", NULL, "height", "width"};
    text shape = {0}, tensor = {0}, type = {0}, value = {0};
    for (int i = 0; i < 4; i++) {
        text dim = {0};
        if (names[i]) protobuf_string(&dim, DIM_PARAM, names[i]);
        else protobuf_integer(&dim, DIM_VALUE, (int64_t)channels);
        protobuf_message(&shape, SHAPE_DIM, &dim);
    }
    protobuf_integer(&tensor, TENSOR_ELEMENT, ONNX_FLOAT);
    protobuf_message(&tensor, TENSOR_SHAPE, &shape);
    protobuf_message(&type, TYPE_TENSOR, &tensor);
    protobuf_string(&value, VALUE_NAME, name);
    protobuf_message(&value, VALUE_TYPE, &type);
    protobuf_message(graph, field, &value);
}
