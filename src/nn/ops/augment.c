/* Differentiable augmentation (Zhao, Liu, Lin, Zhu and Han, "Differentiable augmentation for data-efficient GAN training",
 * 2020): colour, shift and a hole, for what discriminators see.
 *
 *   augment: x (n,h,w,c), draws (m,1,1,8) -> y, like x. Row begin + i of draws is of picture i:
 *     brightness b, saturation s, contrast k, shift (down, right), the hole's corner (top, left), one that is not used
 *   With u the mean of a pixel's channels:
 *     z[i][j][c] = k (s (x[i][j][c] - u[i][j]) + u[i][j] + b)
 *     y[i][j] = 0 in the hole, a square of side extent, and where [i - down][j - right] is no pixel; else z of that one
 *
 * Shifts and corners are whole numbers; a hole may reach over the picture's edge. The contrast is about 0, a middle grey,
 * where the paper's is about the picture's mean: so a pixel comes from one pixel. Draws have no gradient. */
#include "nn/ops/ops.h"

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape x = nn_input_shape(g, node, 0), draws = nn_input_shape(g, node, 1);
    if (!nn_require_shape(g, node, "draws", nn_shape_of(draws.dim[NN_N], 1, 1, NN_DRAWS), draws)) return;
    if (node->attr.begin + x.dim[NN_N] > draws.dim[NN_N])
        nn_op_fail(g, node, "%zu pictures from draw %zu on, of %zu draws", x.dim[NN_N], node->attr.begin, draws.dim[NN_N]);
    shapes[0] = x;
}

static void grad(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    if (needed[0]) dx[0] = nn_emit(g, NN_AUGMENT_GRAD, &node->attr, (nn_value[]){dy, node->input[1]}, 2);
}

const nn_op_def nn_def_augment = {"augment", infer, grad, .in_place = 0};
const nn_op_def nn_def_augment_grad = {"augment_grad", infer, NULL, .in_place = 0};

nn_value nn_augment(nn_graph *g, nn_value x, nn_value draws, size_t first, size_t hole)
{
    nn_attributes attr = {.begin = first, .extent = hole};
    return nn_emit(g, NN_AUGMENT, &attr, (nn_value[]){x, draws}, 2);
}
