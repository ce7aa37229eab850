/* Total variation with an exponent (Mahendran and Vedaldi 2015):
 *   scale * sum over n, i < h-1, j < w-1, c of (dx^2 + dy^2 + eps)^(exponent / 2)
 *   dx = x[i][j+1] - x[i][j], dy = x[i+1][j] - x[i][j]
 * Where the base is 0 and the exponent below 2 the gradient is taken as 0. */
#include "nn/ops/ops.h"

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    (void)g;
    (void)node;
    shapes[0] = nn_shape_scalar();
}

static void infer_grad(nn_graph *g, nn_node *node, nn_shape *shapes) { shapes[0] = nn_input_shape(g, node, 0); }

static void grad(nn_graph *g, const nn_node *node, nn_value dl, const bool *needed, nn_value *dx)
{
    if (needed[0]) dx[0] = nn_emit(g, NN_TOTAL_VARIATION_GRAD, &node->attr, (nn_value[]){node->input[0], dl}, 2);
}

const nn_op_def nn_def_total_variation = {"total_variation", infer, grad, .in_place = 0};
const nn_op_def nn_def_total_variation_grad = {"total_variation_grad", infer_grad, NULL, .in_place = 0};

nn_value nn_total_variation(nn_graph *g, nn_value x, float scale, float exponent, float epsilon)
{
    nn_attributes attr = {.scale = scale, .exponent = exponent, .epsilon = epsilon};
    return nn_emit(g, NN_TOTAL_VARIATION, &attr, &x, 1);
}
