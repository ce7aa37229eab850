/* relu: max(x, 0).  leaky_relu: x for x > 0, else slope * x.  tanh.  sigmoid: 1 / (1 + exp(-x)).
 * Each derivative is a function of the result alone, so x need not be kept:
 *   relu: y > 0   leaky_relu: y > 0 ? 1 : slope   tanh: 1 - y^2   sigmoid: y * (1 - y) */
#include "nn/ops/ops.h"

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    shapes[0] = nn_input_shape(g, node, 0);
    /* With a slope of 0 or below, y would no longer tell the sign of x. */
    if (node->attr.activation == NN_LEAKY_RELU && !(node->attr.slope > 0))
        nn_op_fail(g, node, "leaky_relu's slope must be above 0, is %g", (double)node->attr.slope);
}

static void infer_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape y = nn_input_shape(g, node, 0);
    if (nn_require_shape(g, node, "the gradient", y, nn_input_shape(g, node, 1))) shapes[0] = y;
}

static void grad(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    if (needed[0]) dx[0] = nn_emit(g, NN_ACTIVATION_GRAD, &node->attr, (nn_value[]){node->output[0], dy}, 2);
}

const nn_op_def nn_def_activation = {"activation", infer, grad, .in_place = 1};
const nn_op_def nn_def_activation_grad = {"activation_grad", infer_grad, NULL, .in_place = 1 | 2};

static nn_value activation(nn_graph *g, nn_value x, nn_activation kind, float slope)
{
    nn_attributes attr = {.activation = kind, .slope = slope};
    return nn_emit(g, NN_ACTIVATION, &attr, &x, 1);
}

nn_value nn_relu(nn_graph *g, nn_value x) { return activation(g, x, NN_RELU, 0); }
nn_value nn_leaky_relu(nn_graph *g, nn_value x, float slope) { return activation(g, x, NN_LEAKY_RELU, slope); }
nn_value nn_tanh(nn_graph *g, nn_value x) { return activation(g, x, NN_TANH, 0); }
nn_value nn_sigmoid(nn_graph *g, nn_value x) { return activation(g, x, NN_SIGMOID, 0); }
