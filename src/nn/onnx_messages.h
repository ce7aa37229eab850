/* The messages of an ONNX file that onnx.c needs. Field numbers are those of onnx.proto
 * (https://github.com/onnx/onnx/blob/v1.6.0/onnx/onnx.proto), which never change.
 *
 *     text node = {0};
 *     protobuf_string(&node, ONNX_NODE_OP_TYPE, "LeakyRelu");
 *     onnx_attribute_float(&node, "alpha", 0.2f);
 *     protobuf_message(&graph, ONNX_GRAPH_NODE, &node);
 */
#ifndef NN_ONNX_MESSAGES_H
#define NN_ONNX_MESSAGES_H

#include <stddef.h>

#include "base/protobuf.h"

/* ModelProto */
enum { ONNX_MODEL_IR_VERSION = 1, ONNX_MODEL_PRODUCER_NAME = 2, ONNX_MODEL_PRODUCER_VERSION = 3,
       ONNX_MODEL_DOC_STRING = 6, ONNX_MODEL_GRAPH = 7, ONNX_MODEL_OPSET_IMPORT = 8, ONNX_MODEL_METADATA_PROPS = 14 };
/* GraphProto */
enum { ONNX_GRAPH_NODE = 1, ONNX_GRAPH_NAME = 2, ONNX_GRAPH_INITIALIZER = 5, ONNX_GRAPH_INPUT = 11,
       ONNX_GRAPH_OUTPUT = 12 };
/* NodeProto */
enum { ONNX_NODE_INPUT = 1, ONNX_NODE_OUTPUT = 2, ONNX_NODE_NAME = 3, ONNX_NODE_OP_TYPE = 4, ONNX_NODE_ATTRIBUTE = 5 };
/* TensorProto.DataType */
typedef enum onnx_type { ONNX_FLOAT = 1, ONNX_INT64 = 7 } onnx_type;

/* The default operators, of a version. */
void onnx_operator_set(text *model, int64_t version);
void onnx_metadata(text *model, const char *key, const char *value);

/* Attributes of a node. */
void onnx_attribute_float(text *node, const char *name, float value);
void onnx_attribute_integer(text *node, const char *name, int64_t value);
void onnx_attribute_integers(text *node, const char *name, const int64_t *values, size_t count);
void onnx_attribute_string(text *node, const char *name, const char *value);

/* A constant of the graph up to its values: `bytes` of them follow, little-endian, in the order of rows. */
void onnx_initializer(text *graph, const char *name, onnx_type type, const size_t *dims, size_t rank, size_t bytes);
/* field: ONNX_GRAPH_INPUT or ONNX_GRAPH_OUTPUT. Floats of the shape (batch, `channels`, height, width), of which the
 * others are names, whose values may differ from run to run. */
void onnx_picture(text *graph, unsigned field, const char *name, size_t channels);

#endif
