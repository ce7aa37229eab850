/* concat along images or channels; slice: [begin, begin + extent) of an axis; slice_grad puts a slice back into
 * zeros of the whole length (attr.extent). */
#include "nn/ops/ops.h"

static bool check_axis(nn_graph *g, const nn_node *node)
{
    if (node->attr.axis == NN_N || node->attr.axis == NN_C) return true;
    nn_op_fail(g, node, "axis must be 0 (images) or 3 (channels), is %zu", node->attr.axis);
    return false;
}

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    if (!check_axis(g, node)) return;
    size_t axis = node->attr.axis, length = 0;
    nn_shape first = nn_input_shape(g, node, 0);
    for (size_t i = 0; i < node->input_count; i++) {
        nn_shape part = nn_input_shape(g, node, i), expected = first;
        expected.dim[axis] = part.dim[axis];
        if (!nn_require_shape(g, node, "each part", expected, part)) return;
        length += part.dim[axis];
    }
    shapes[0] = first;
    shapes[0].dim[axis] = length;
}

static void grad(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    size_t begin = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        size_t extent = nn_input_shape(g, node, i).dim[node->attr.axis];
        if (needed[i]) dx[i] = nn_slice(g, dy, node->attr.axis, begin, extent);
        begin += extent;
    }
}

static void infer_slice(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    if (!check_axis(g, node)) return;
    nn_shape x = nn_input_shape(g, node, 0);
    const nn_attributes *a = &node->attr;
    size_t whole = x.dim[a->axis];
    if (a->extent == 0 || a->extent > whole || a->begin > whole - a->extent) {
        nn_op_fail(g, node, "[%zu, %zu) is not within the %zu of axis %zu", a->begin, a->begin + a->extent, whole, a->axis);
        return;
    }
    shapes[0] = x;
    shapes[0].dim[a->axis] = a->extent;
}

static void infer_slice_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    shapes[0] = nn_input_shape(g, node, 0);
    shapes[0].dim[node->attr.axis] = node->attr.extent;
}

static void grad_slice(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    nn_attributes attr = node->attr;
    attr.extent = nn_input_shape(g, node, 0).dim[attr.axis];
    if (needed[0]) dx[0] = nn_emit(g, NN_SLICE_GRAD, &attr, &dy, 1);
}

const nn_op_def nn_def_concat = {"concat", infer, grad, .in_place = 0};
const nn_op_def nn_def_slice = {"slice", infer_slice, grad_slice, .in_place = 0};
const nn_op_def nn_def_slice_grad = {"slice_grad", infer_slice_grad, NULL, .in_place = 0};

nn_value nn_concat(nn_graph *g, const nn_value *parts, size_t count, size_t axis)
{
    nn_attributes attr = {.axis = axis};
    if (count == 0) return nn_graph_fail(g, "concat: needs at least one part");
    return nn_emit(g, NN_CONCAT, &attr, parts, count);
}

nn_value nn_slice(nn_graph *g, nn_value x, size_t axis, size_t begin, size_t extent)
{
    nn_attributes attr = {.axis = axis, .begin = begin, .extent = extent};
    return nn_emit(g, NN_SLICE, &attr, &x, 1);
}
