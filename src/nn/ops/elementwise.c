/* add, multiply (same shapes), scale by a constant, copy, constant, and the planner's reorder between layouts. */
#include "nn/ops/ops.h"

static void infer_binary(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape a = nn_input_shape(g, node, 0);
    if (nn_require_shape(g, node, "the second operand", a, nn_input_shape(g, node, 1))) shapes[0] = a;
}

static void infer_unary(nn_graph *g, nn_node *node, nn_shape *shapes) { shapes[0] = nn_input_shape(g, node, 0); }

static void infer_constant(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    (void)g;
    shapes[0] = node->attr.shape;
}

static void grad_add(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    (void)g;
    (void)node;
    if (needed[0]) dx[0] = dy;
    if (needed[1]) dx[1] = dy;
}

static void grad_multiply(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    if (needed[0]) dx[0] = nn_multiply(g, dy, node->input[1]);
    if (needed[1]) dx[1] = nn_multiply(g, dy, node->input[0]);
}

static void grad_scale(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    if (needed[0]) dx[0] = nn_scale(g, dy, node->attr.scale);
}

static void grad_copy(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    (void)g;
    (void)node;
    if (needed[0]) dx[0] = dy;
}

const nn_op_def nn_def_add = {"add", infer_binary, grad_add, .in_place = 1 | 2, .layout_agnostic = true};
const nn_op_def nn_def_multiply = {"multiply", infer_binary, grad_multiply, .in_place = 1 | 2};
const nn_op_def nn_def_scale = {"scale", infer_unary, grad_scale, .in_place = 1, .layout_agnostic = true};
const nn_op_def nn_def_copy = {"copy", infer_unary, grad_copy, .layout_agnostic = true};
const nn_op_def nn_def_reorder = {"reorder", infer_unary, NULL, .in_place = 0};
const nn_op_def nn_def_constant = {"constant", infer_constant, NULL, .in_place = 0};

nn_value nn_add(nn_graph *g, nn_value a, nn_value b)
{
    return nn_emit(g, NN_ADD, &(nn_attributes){0}, (nn_value[]){a, b}, 2);
}

nn_value nn_multiply(nn_graph *g, nn_value a, nn_value b)
{
    return nn_emit(g, NN_MULTIPLY, &(nn_attributes){0}, (nn_value[]){a, b}, 2);
}

nn_value nn_scale(nn_graph *g, nn_value x, float factor)
{
    if (x >= g->value_count) return NN_NONE;
    uint32_t producer = g->values[x].producer;
    if (producer != NN_NO_NODE && g->nodes[producer].op == NN_CONSTANT) /* the seeds of gradients, mostly */
        return nn_constant(g, g->values[x].shape, factor * g->nodes[producer].attr.scale);
    nn_attributes attr = {.scale = factor};
    return nn_emit(g, NN_SCALE, &attr, &x, 1);
}

nn_value nn_constant(nn_graph *g, nn_shape shape, float fill)
{
    nn_attributes attr = {.scale = fill, .shape = shape};
    return nn_emit(g, NN_CONSTANT, &attr, NULL, 0);
}
