/* resize_nearest: y[n,i,j,c] = x[n, i/f, j/f, c] for an integer factor f.
 * resize_bilinear: pixel centres at half-integers (align_corners false), no antialiasing; attr.shape is the result's
 * in the forward operation and x's in the gradient. */
#include "nn/ops/ops.h"

static void infer_nearest(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape x = nn_input_shape(g, node, 0);
    size_t f = node->attr.factor;
    if (f == 0) nn_op_fail(g, node, "factor must be at least 1");
    shapes[0] = nn_shape_of(x.dim[NN_N], f * x.dim[NN_H], f * x.dim[NN_W], x.dim[NN_C]);
}

static void infer_nearest_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape dy = nn_input_shape(g, node, 0);
    size_t f = node->attr.factor;
    shapes[0] = nn_shape_of(dy.dim[NN_N], dy.dim[NN_H] / f, dy.dim[NN_W] / f, dy.dim[NN_C]);
}

static void grad_nearest(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    if (needed[0]) dx[0] = nn_emit(g, NN_RESIZE_NEAREST_GRAD, &node->attr, &dy, 1);
}

static void infer_bilinear(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    (void)g;
    shapes[0] = node->attr.shape;
}

static void grad_bilinear(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    nn_attributes attr = {.shape = nn_input_shape(g, node, 0)};
    if (needed[0]) dx[0] = nn_emit(g, NN_RESIZE_BILINEAR_GRAD, &attr, &dy, 1);
}

const nn_op_def nn_def_resize_nearest = {"resize_nearest", infer_nearest, grad_nearest, .in_place = 0};
const nn_op_def nn_def_resize_nearest_grad = {"resize_nearest_grad", infer_nearest_grad, NULL, .in_place = 0};
const nn_op_def nn_def_resize_bilinear = {"resize_bilinear", infer_bilinear, grad_bilinear, .in_place = 0};
const nn_op_def nn_def_resize_bilinear_grad = {"resize_bilinear_grad", infer_bilinear, NULL, .in_place = 0};

nn_value nn_resize_nearest(nn_graph *g, nn_value x, size_t factor)
{
    nn_attributes attr = {.factor = factor};
    return nn_emit(g, NN_RESIZE_NEAREST, &attr, &x, 1);
}

nn_value nn_resize_bilinear(nn_graph *g, nn_value x, size_t height, size_t width)
{
    nn_shape s = nn_shape_at(g, x);
    nn_attributes attr = {.shape = nn_shape_of(s.dim[NN_N], height, width, s.dim[NN_C])};
    return nn_emit(g, NN_RESIZE_BILINEAR, &attr, &x, 1);
}
