/* bias: y[n,i,j,c] = x[n,i,j,c] + b[c].   x, y: (n,h,w,c)  b: (1,1,1,c)
 * Its gradient is dy for x and, for b, the sum of dy over n, i, j (bias_grad). */
#include "nn/ops/ops.h"

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape x = nn_input_shape(g, node, 0);
    if (nn_require_shape(g, node, "the bias", nn_shape_vector(x.dim[NN_C]), nn_input_shape(g, node, 1))) shapes[0] = x;
}

static void infer_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    shapes[0] = nn_shape_vector(nn_input_shape(g, node, 0).dim[NN_C]);
}

static void grad(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    (void)node;
    if (needed[0]) dx[0] = dy;
    if (needed[1]) dx[1] = nn_emit(g, NN_BIAS_GRAD, &(nn_attributes){0}, &dy, 1);
}

const nn_op_def nn_def_bias = {"bias", infer, grad, .in_place = 1};
const nn_op_def nn_def_bias_grad = {"bias_grad", infer_grad, NULL, .in_place = 0};

nn_value nn_bias(nn_graph *g, nn_value x, nn_value b)
{
    return nn_emit(g, NN_BIAS, &(nn_attributes){0}, (nn_value[]){x, b}, 2);
}
