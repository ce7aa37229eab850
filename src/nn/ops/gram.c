/* Gram matrix of the channels (Gatys, Ecker, Bethge 2016):
 *   g[n,0,i,j] = scale * sum_p x[n,p,i] x[n,p,j]        x: (n,h,w,c)  g: (n,1,c,c)
 *   dx[n,p,i] = scale * sum_j (dg[n,i,j] + dg[n,j,i]) x[n,p,j] */
#include "nn/ops/ops.h"

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape x = nn_input_shape(g, node, 0);
    shapes[0] = nn_shape_of(x.dim[NN_N], 1, x.dim[NN_C], x.dim[NN_C]);
}

static void infer_grad(nn_graph *g, nn_node *node, nn_shape *shapes) { shapes[0] = nn_input_shape(g, node, 0); }

static void grad(nn_graph *g, const nn_node *node, nn_value dg, const bool *needed, nn_value *dx)
{
    if (needed[0]) dx[0] = nn_emit(g, NN_GRAM_GRAD, &node->attr, (nn_value[]){node->input[0], dg}, 2);
}

const nn_op_def nn_def_gram = {"gram", infer, grad, .in_place = 0};
const nn_op_def nn_def_gram_grad = {"gram_grad", infer_grad, NULL, .in_place = 0};

nn_value nn_gram(nn_graph *g, nn_value x, float scale)
{
    nn_attributes attr = {.scale = scale};
    return nn_emit(g, NN_GRAM, &attr, &x, 1);
}
