/* Instance normalisation without affine parameters (Ulyanov, Vedaldi, Lempitsky 2016).
 *
 *   y = (x - mean) / sqrt(variance + eps), mean and biased variance over h and w of each image and channel
 *   dx = r * (dy - mean(dy) - y * mean(dy * y)),  r = 1 / sqrt(variance + eps)
 *
 * x, y: (n,h,w,c)  statistics: (n,1,2,c): means, then r. The variance is taken in a second pass over x - mean: the
 * one-pass E[x^2] - mean^2 loses everything on flat images. 1x1 maps are refused, as PyTorch refuses them: they would
 * become zero. The planner may fuse the activation that follows, or the addition of a value of x's shape,
 * which becomes the second input; and the convolution in front may give moments of x, the last input then.
 */
#include "nn/ops/ops.h"

static nn_shape statistics_of(nn_shape x) { return nn_shape_of(x.dim[NN_N], 1, 2, x.dim[NN_C]); }

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape x = nn_input_shape(g, node, 0);
    nn_shape_text text;
    if (x.dim[NN_H] * x.dim[NN_W] < 2) {
        nn_op_fail(g, node, "needs more than one pixel a channel, the input is %s", nn_shape_print(x, &text));
        return;
    }
    node->output_count = 2;
    shapes[0] = x;
    shapes[1] = statistics_of(x);
}

static void infer_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape x = nn_input_shape(g, node, 0);
    if (nn_require_shape(g, node, "statistics", statistics_of(x), nn_input_shape(g, node, 1)) &&
        nn_require_shape(g, node, "the gradient", x, nn_input_shape(g, node, 2)))
        shapes[0] = x;
}

static void grad(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    if (!needed[0]) return;
    nn_attributes attr = {.epsilon = node->attr.epsilon};
    dx[0] = nn_emit(g, NN_INSTANCE_NORM_GRAD, &attr, (nn_value[]){node->input[0], node->output[1], dy}, 3);
}

const nn_op_def nn_def_instance_norm = {"instance_norm", infer, grad, .in_place = 1 | 2};
const nn_op_def nn_def_instance_norm_grad = {"instance_norm_grad", infer_grad, NULL, .in_place = 1 | 4};

nn_value nn_instance_norm(nn_graph *g, nn_value x, float epsilon)
{
    nn_attributes attr = {.epsilon = epsilon};
    return nn_emit(g, NN_INSTANCE_NORM, &attr, &x, 1);
}
