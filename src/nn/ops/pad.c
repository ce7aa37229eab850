/* Padding of the rows and columns. y: (n, top + h + bottom, left + w + right, c)
 *   zero:    0 outside
 *   edge:    the nearest element
 *   reflect: mirrored at the border element, which is not repeated (PyTorch's ReflectionPad2d); past the far border it
 *            goes back again, so a padding may exceed the side
 * Its gradient adds every padded element to the source that it was copied from; the planner may fuse the addition of
 * another gradient, which becomes the second input. */
#include "nn/ops/ops.h"

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape x = nn_input_shape(g, node, 0);
    const nn_attributes *a = &node->attr;
    shapes[0] = nn_shape_of(x.dim[NN_N], a->top + x.dim[NN_H] + a->bottom, a->left + x.dim[NN_W] + a->right, x.dim[NN_C]);
}

static void infer_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape dy = nn_input_shape(g, node, 0), x = node->attr.shape;
    const nn_attributes *a = &node->attr;
    nn_shape y = nn_shape_of(x.dim[NN_N], a->top + x.dim[NN_H] + a->bottom, a->left + x.dim[NN_W] + a->right, x.dim[NN_C]);
    if (nn_require_shape(g, node, "the gradient", y, dy)) shapes[0] = x;
}

static void grad(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    nn_attributes attr = node->attr;
    attr.shape = nn_input_shape(g, node, 0);
    if (needed[0]) dx[0] = nn_emit(g, NN_PAD_GRAD, &attr, &dy, 1);
}

const nn_op_def nn_def_pad = {"pad", infer, grad, .in_place = 0};
const nn_op_def nn_def_pad_grad = {"pad_grad", infer_grad, NULL, .in_place = 0};

nn_value nn_pad_sides(nn_graph *g, nn_value x, nn_pad_mode mode, size_t top, size_t bottom, size_t left, size_t right)
{
    if (top + bottom + left + right == 0) return x;
    nn_attributes attr = {.mode = mode, .top = top, .bottom = bottom, .left = left, .right = right};
    return nn_emit(g, NN_PAD, &attr, &x, 1);
}

nn_value nn_pad(nn_graph *g, nn_value x, nn_pad_mode mode, size_t amount)
{
    return nn_pad_sides(g, x, mode, amount, amount, amount, amount);
}
