/* A graph as an ONNX file (https://onnx.ai), for onnxruntime and others: operator set 11 and IR version 6, those of ONNX
 * 1.6 (2019), which all of them read.
 *
 *     nn_onnx_property from = {"from", "snacks"};
 *     nn_onnx_about about = {.name = "generator", .producer = "cyclegan", .version = "0.1.0",
 *                            .description = "Makes fractals.", .properties = &from, .property_count = 1};
 *     TRY(nn_onnx_write("generator_a.onnx", graph, x, y, &about, err));
 */
#ifndef NN_ONNX_H
#define NN_ONNX_H

#include "nn/graph.h"

typedef struct nn_onnx_property {
    const char *key, *value;
} nn_onnx_property;

/* What the file says of itself, in UTF-8. */
typedef struct nn_onnx_about {
    const char *name; /* of its graph */
    const char *producer, *version, *description;
    const nn_onnx_property *properties; /* metadata_props */
    size_t property_count;
} nn_onnx_about;

/* Writes what computes y from x, atomically (base/file.h). In the file these are `input` and `output`, floats of the
 * shape (batch, channels, height, width), of which all but the channels are left open: the graph's own size plays no
 * part. Lasting memory that its convolutions read is in the file, in fp32, PyTorch's orders and under its own names.
 *
 * Fails, with `path` in front and before anything is written, for an operation or a use of a value that is in no
 * generator, naming it, and where the file would be larger than Protocol Buffers can be. */
status nn_onnx_write(const char *path, const nn_graph *g, nn_value x, nn_value y, const nn_onnx_about *about, error *err);

#endif
