/* max_pool and average_pool without padding. Side: floor((h - k) / s) + 1, or ceil with ceil_mode, where the last
 * window must begin inside the image and only its part inside counts. The gradient of the maximum goes to the first
 * one of each window in row order. */
#include "nn/ops/ops.h"

static size_t result_side(const nn_attributes *a, size_t side)
{
    size_t over = side - a->kernel, steps = over / a->stride;
    if (a->ceil_mode && steps * a->stride < over && (steps + 1) * a->stride < side) steps++;
    return steps + 1;
}

static void infer(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape x = nn_input_shape(g, node, 0);
    const nn_attributes *a = &node->attr;
    nn_shape_text text;
    if (a->kernel == 0 || a->stride == 0 || x.dim[NN_H] < a->kernel || x.dim[NN_W] < a->kernel) {
        nn_op_fail(g, node, "a window of %zu with stride %zu does not fit the input %s", a->kernel, a->stride,
                   nn_shape_print(x, &text));
        return;
    }
    shapes[0] = nn_shape_of(x.dim[NN_N], result_side(a, x.dim[NN_H]), result_side(a, x.dim[NN_W]), x.dim[NN_C]);
}

static void infer_max_grad(nn_graph *g, nn_node *node, nn_shape *shapes) { shapes[0] = nn_input_shape(g, node, 0); }

static void infer_average_grad(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    (void)g;
    shapes[0] = node->attr.shape;
}

static void grad_max(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    if (needed[0]) dx[0] = nn_emit(g, NN_MAX_POOL_GRAD, &node->attr, (nn_value[]){node->input[0], dy}, 2);
}

static void grad_average(nn_graph *g, const nn_node *node, nn_value dy, const bool *needed, nn_value *dx)
{
    nn_attributes attr = node->attr;
    attr.shape = nn_input_shape(g, node, 0);
    if (needed[0]) dx[0] = nn_emit(g, NN_AVERAGE_POOL_GRAD, &attr, &dy, 1);
}

const nn_op_def nn_def_max_pool = {"max_pool", infer, grad_max, .in_place = 0};
const nn_op_def nn_def_max_pool_grad = {"max_pool_grad", infer_max_grad, NULL, .in_place = 0};
const nn_op_def nn_def_average_pool = {"average_pool", infer, grad_average, .in_place = 0};
const nn_op_def nn_def_average_pool_grad = {"average_pool_grad", infer_average_grad, NULL, .in_place = 0};

nn_value nn_max_pool(nn_graph *g, nn_value x, size_t kernel, size_t stride, bool ceil_mode)
{
    nn_attributes attr = {.kernel = kernel, .stride = stride, .ceil_mode = ceil_mode};
    return nn_emit(g, NN_MAX_POOL, &attr, &x, 1);
}

nn_value nn_average_pool(nn_graph *g, nn_value x, size_t kernel, size_t stride)
{
    nn_attributes attr = {.kernel = kernel, .stride = stride};
    return nn_emit(g, NN_AVERAGE_POOL, &attr, &x, 1);
}
