/* Means over all elements, each a scalar:
 *   mean_abs:    mean |a - b|        da = dl * sign(a - b) / N   (0 where equal)
 *   mean_square: mean (a - b)^2      da = dl * 2 (a - b) / N
 *   bce_logits:  mean max(x,0) - x t + log(1 + exp(-|x|))        dx = dl * (sigmoid(x) - t) / N
 * b is a value or the constant attr.target. Both differences are antisymmetric, so db is da with a and b exchanged. */
#include "nn/ops/ops.h"

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    if (node->input_count == 2 &&
        !nn_require_shape(g, node, "the second operand", nn_input_shape(g, node, 0), nn_input_shape(g, node, 1)))
        return;
    shapes[0] = nn_shape_scalar();
}

static void infer_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    shapes[0] = nn_input_shape(g, node, 0);
    nn_require_shape(g, node, "the loss's gradient", nn_shape_scalar(), nn_input_shape(g, node, node->input_count - 1));
}

static void grad_with(nn_graph *g, nn_op op, const nn_node *node, nn_value dl, const bool *needed, nn_value *dx)
{
    nn_value a = node->input[0], b = node->input[1];
    if (node->input_count == 1) {
        if (needed[0]) dx[0] = nn_emit(g, op, &node->attr, (nn_value[]){a, dl}, 2);
        return;
    }
    if (needed[0]) dx[0] = nn_emit(g, op, &node->attr, (nn_value[]){a, b, dl}, 3);
    if (needed[1]) dx[1] = nn_emit(g, op, &node->attr, (nn_value[]){b, a, dl}, 3);
}

static void grad_abs(nn_graph *g, const nn_node *node, nn_value dl, const bool *needed, nn_value *dx)
{
    grad_with(g, NN_MEAN_ABS_GRAD, node, dl, needed, dx);
}

static void grad_square(nn_graph *g, const nn_node *node, nn_value dl, const bool *needed, nn_value *dx)
{
    grad_with(g, NN_MEAN_SQUARE_GRAD, node, dl, needed, dx);
}

static void grad_bce(nn_graph *g, const nn_node *node, nn_value dl, const bool *needed, nn_value *dx)
{
    grad_with(g, NN_BCE_LOGITS_GRAD, node, dl, needed, dx);
}

const nn_op_def nn_def_mean_abs = {"mean_abs", infer, grad_abs, .in_place = 0};
const nn_op_def nn_def_mean_abs_grad = {"mean_abs_grad", infer_grad, NULL, .in_place = 1};
const nn_op_def nn_def_mean_square = {"mean_square", infer, grad_square, .in_place = 0};
const nn_op_def nn_def_mean_square_grad = {"mean_square_grad", infer_grad, NULL, .in_place = 1};
const nn_op_def nn_def_bce_logits = {"bce_logits", infer, grad_bce, .in_place = 0};
const nn_op_def nn_def_bce_logits_grad = {"bce_logits_grad", infer_grad, NULL, .in_place = 1};

static nn_value loss(nn_graph *g, nn_op op, nn_value a, nn_value b, float target)
{
    nn_attributes attr = {.target = target};
    return nn_emit(g, op, &attr, (nn_value[]){a, b}, b == NN_NONE ? 1 : 2);
}

nn_value nn_mean_abs(nn_graph *g, nn_value a, nn_value b, float target) { return loss(g, NN_MEAN_ABS, a, b, target); }

nn_value nn_mean_square(nn_graph *g, nn_value a, nn_value b, float target)
{
    return loss(g, NN_MEAN_SQUARE, a, b, target);
}

nn_value nn_bce_logits(nn_graph *g, nn_value x, float target) { return loss(g, NN_BCE_LOGITS, x, NN_NONE, target); }
