/* The inside of a graph, for nn/ alone: ops/ (shape and gradient rules), grad.c, fuse.c, plan.c. */
#ifndef NN_GRAPH_INTERNAL_H
#define NN_GRAPH_INTERNAL_H

#include "nn/graph.h"

#define NN_NO_NODE UINT32_MAX

typedef enum nn_value_kind { NN_VALUE_COMPUTED, NN_VALUE_INPUT, NN_VALUE_MEMORY } nn_value_kind;

typedef struct nn_value_info {
    nn_value_kind kind;
    nn_shape shape;
    uint32_t producer; /* node, or NN_NO_NODE */
    char *name;        /* of leaves, else NULL */
    nn_block *block;   /* NN_VALUE_MEMORY: where it is; else where it must be left, or NULL */
    size_t offset;
    bool is_output;
} nn_value_info;

typedef struct nn_node {
    nn_op op;
    nn_attributes attr;
    uint32_t input_count, output_count;
    nn_value input[NN_MAX_INPUTS], output[NN_MAX_OUTPUTS];
} nn_node;

struct nn_graph {
    nn_node *nodes;
    size_t node_count, node_capacity;
    nn_value_info *values;
    size_t value_count, value_capacity;
    nn_slot slot;  /* of parameters */
    error failure; /* code is STATUS_OK while nothing failed */
};

/* What the engine knows of an operation. */
typedef struct nn_op_def {
    const char *name;
    /* Sets node->output_count and the outputs' shapes, or calls nn_op_fail. node: inputs and attributes are set. */
    void (*infer)(nn_graph *g, nn_node *node, nn_shape *shapes);
    /* Appends nodes for the gradient of each needed input, given that of the first output; leaves NN_NONE elsewhere.
     * NULL: the operation has no gradient (gradients of gradients, effects). node is a copy: appending moves nodes. */
    void (*grad)(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx);
    uint32_t in_place;    /* bit i: the first output may take the place of input i */
    bool effect;          /* changes memory that outlives the program: runs last, in order */
    uint32_t mutates;     /* bit i: it writes input i, which must be nn_memory */
    bool layout_agnostic; /* elementwise: any layout serves when it is the same for all operands */
} nn_op_def;

const nn_op_def *nn_op_def_of(nn_op op);

/* Appends a node; returns its first output, or NN_NONE when the graph or an input has failed. */
nn_value nn_emit(nn_graph *g, nn_op op, const nn_attributes *attr, const nn_value *inputs, size_t count);
/* An error of the shape rule of `node`: "conv2d: ...". */
void nn_op_fail(nn_graph *g, const nn_node *node, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Shape of the node's input. */
nn_shape nn_input_shape(const nn_graph *g, const nn_node *node, size_t input);
/* Fails unless the two shapes are equal; `what` names the second: "gradient". */
bool nn_require_shape(nn_graph *g, const nn_node *node, const char *what, nn_shape expected, nn_shape actual);

#endif
