/* Convolution (cross-correlation, as in deep learning), zeros on the four sides.
 *
 *   y[n,i,j,o] = sum_{c,a,b} x[n, i*s + a - p, j*s + b - p, c] * w[o,c,a,b]      x: (n,h,w,c)  w: (o,c,kh,kw)
 *
 * conv2d_data_grad is its adjoint in x: it takes dy and w and gives attr.shape, of which a stride leaves several open:
 * PyTorch's output padding chooses among them. So it is the transposed convolution of PyTorch, whose weight order
 * (in, out, kh, kw) is w's with in = o and out = c.
 * conv2d_weight_grad is the adjoint in w. Each is bilinear in its two operands, so the gradients of the first two are
 * among the three.
 */
#include "nn/ops/ops.h"

/* Side of the convolution's result, or 0 when the kernel does not fit. */
static size_t result_side(size_t side, size_t kernel, size_t stride, size_t padding)
{
    size_t padded = side + 2 * padding;
    return padded < kernel ? 0 : (padded - kernel) / stride + 1;
}

/* Shape of conv2d's result from x and w. */
static bool result_shape(nn_graph *g, const nn_node *node, nn_shape x, nn_shape w, nn_shape *y)
{
    size_t s = node->attr.stride, p = node->attr.padding;
    nn_shape_text a, b;
    if (s == 0) {
        nn_op_fail(g, node, "stride must be at least 1");
        return false;
    }
    if (x.dim[NN_C] != w.dim[NN_IN]) {
        nn_op_fail(g, node, "weight %s expects %zu channels, the input %s has %zu", nn_shape_print(w, &a),
                   w.dim[NN_IN], nn_shape_print(x, &b), x.dim[NN_C]);
        return false;
    }
    size_t h = result_side(x.dim[NN_H], w.dim[NN_KH], s, p), v = result_side(x.dim[NN_W], w.dim[NN_KW], s, p);
    if (!h || !v) {
        nn_op_fail(g, node, "a %zux%zu kernel does not fit into the input %s with padding %zu", w.dim[NN_KH],
                   w.dim[NN_KW], nn_shape_print(x, &a), p);
        return false;
    }
    *y = nn_shape_of(x.dim[NN_N], h, v, w.dim[NN_OUT]);
    return true;
}

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    result_shape(g, node, nn_input_shape(g, node, 0), nn_input_shape(g, node, 1), &shapes[0]);
}

static void infer_data_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape y;
    if (!result_shape(g, node, node->attr.shape, nn_input_shape(g, node, 1), &y)) return;
    if (nn_require_shape(g, node, "the gradient", y, nn_input_shape(g, node, 0))) shapes[0] = node->attr.shape;
}

static void infer_weight_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape y;
    if (!result_shape(g, node, nn_input_shape(g, node, 0), node->attr.shape, &y)) return;
    if (nn_require_shape(g, node, "the gradient", y, nn_input_shape(g, node, 1))) shapes[0] = node->attr.shape;
}

static nn_value emit(nn_graph *g, nn_op op, const nn_node *like, nn_shape shape, nn_value a, nn_value b)
{
    nn_attributes attr = {.stride = like->attr.stride, .padding = like->attr.padding, .shape = shape};
    return nn_emit(g, op, &attr, (nn_value[]){a, b}, 2);
}

static void grad(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    nn_value x = node->input[0], w = node->input[1];
    if (needed[0]) dx[0] = emit(g, NN_CONV2D_DATA_GRAD, node, nn_shape_at(g, x), dy, w);
    if (needed[1]) dx[1] = emit(g, NN_CONV2D_WEIGHT_GRAD, node, nn_shape_at(g, w), x, dy);
}

/* r = conv2d_data_grad(u, w): the adjoint of r -> u is conv2d, and w's gradient pairs r's with u. */
static void grad_of_data_grad(nn_graph *g, const nn_node *node, nn_value dr, const bool *needed, nn_value *dx)
{
    nn_value u = node->input[0], w = node->input[1];
    if (needed[0]) dx[0] = emit(g, NN_CONV2D, node, (nn_shape){{0}}, dr, w);
    if (needed[1]) dx[1] = emit(g, NN_CONV2D_WEIGHT_GRAD, node, nn_shape_at(g, w), dr, u);
}

const nn_op_def nn_def_conv2d = {"conv2d", infer, grad, .in_place = 0};
const nn_op_def nn_def_conv2d_data_grad = {"conv2d_data_grad", infer_data_grad, grad_of_data_grad, .in_place = 0};
const nn_op_def nn_def_conv2d_weight_grad = {"conv2d_weight_grad", infer_weight_grad, NULL, .in_place = 0};

nn_value nn_conv2d(nn_graph *g, nn_value x, nn_value w, size_t stride, size_t padding)
{
    nn_attributes attr = {.stride = stride, .padding = padding};
    return nn_emit(g, NN_CONV2D, &attr, (nn_value[]){x, w}, 2);
}

nn_value nn_conv2d_transpose(nn_graph *g, nn_value x, nn_value w, size_t stride, size_t padding, size_t output_padding)
{
    nn_shape in = nn_shape_at(g, x), weight = nn_shape_at(g, w);
    if (nn_count(in) == 0 || nn_count(weight) == 0) return NN_NONE;
    nn_attributes attr = {.stride = stride, .padding = padding};
    size_t h = (in.dim[NN_H] - 1) * stride + weight.dim[NN_KH] + output_padding;
    size_t v = (in.dim[NN_W] - 1) * stride + weight.dim[NN_KW] + output_padding;
    if (h <= 2 * padding || v <= 2 * padding || output_padding >= stride)
        return nn_graph_fail(g, "conv2d_transpose: padding %zu and output padding %zu do not fit stride %zu", padding,
                             output_padding, stride);
    attr.shape = nn_shape_of(in.dim[NN_N], h - 2 * padding, v - 2 * padding, weight.dim[NN_IN]);
    return nn_emit(g, NN_CONV2D_DATA_GRAD, &attr, (nn_value[]){x, w}, 2);
}
