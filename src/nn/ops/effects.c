/* Operations that change memory which outlives the program (see op.h). They run after all others, in the order in
 * which they were appended, so that they see every gradient stored. */
#include "nn/ops/ops.h"

static void infer_scalar(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    (void)g;
    (void)node;
    shapes[0] = nn_shape_scalar();
}

static void infer_all_finite(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    for (size_t i = 0; i < node->input_count; i++)
        nn_require_shape(g, node, "each input", nn_shape_scalar(), nn_input_shape(g, node, i));
    shapes[0] = nn_shape_scalar();
}

static void infer_adam(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    (void)shapes;
    nn_shape p = nn_input_shape(g, node, 0);
    static const char *const names[] = {"p", "the gradient", "m", "v"};
    for (size_t i = 1; i < 4; i++)
        if (!nn_require_shape(g, node, names[i], p, nn_input_shape(g, node, i))) return;
    nn_require_shape(g, node, "rates", nn_shape_vector(2), nn_input_shape(g, node, 4));
    nn_require_shape(g, node, "the flag", nn_shape_scalar(), nn_input_shape(g, node, 5));
    nn_require_shape(g, node, "the squared norm", nn_shape_scalar(), nn_input_shape(g, node, 6));
    node->output_count = 0;
}

static void infer_ema(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    (void)shapes;
    nn_require_shape(g, node, "the parameter", nn_input_shape(g, node, 0), nn_input_shape(g, node, 1));
    nn_require_shape(g, node, "the rate", nn_shape_scalar(), nn_input_shape(g, node, 2));
    nn_require_shape(g, node, "the flag", nn_shape_scalar(), nn_input_shape(g, node, 3));
    node->output_count = 0;
}

static void infer_pool_swap(nn_graph *g, nn_node *node, nn_shape *shapes)
{
    nn_shape pool = nn_input_shape(g, node, 0), x = nn_input_shape(g, node, 1), expected = x;
    expected.dim[NN_N] = pool.dim[NN_N];
    nn_require_shape(g, node, "the pool", expected, pool);
    nn_require_shape(g, node, "the decision", nn_shape_vector(x.dim[NN_N]), nn_input_shape(g, node, 2));
    shapes[0] = x;
    node->output_count = 1;
}

const nn_op_def nn_def_squared_norm = {"squared_norm", infer_scalar, NULL, .effect = true};
const nn_op_def nn_def_all_finite = {"all_finite", infer_all_finite, NULL, .effect = true};
const nn_op_def nn_def_adam = {"adam", infer_adam, NULL, .effect = true, .mutates = 1 | 4 | 8};
const nn_op_def nn_def_ema = {"ema", infer_ema, NULL, .effect = true, .mutates = 1};
const nn_op_def nn_def_pool_swap = {"pool_swap", infer_pool_swap, NULL, .mutates = 1};

nn_value nn_squared_norm(nn_graph *g, nn_value gradient)
{
    return nn_emit(g, NN_SQUARED_NORM, &(nn_attributes){0}, &gradient, 1);
}

nn_value nn_all_finite(nn_graph *g, const nn_value *scalars, size_t count)
{
    return nn_emit(g, NN_ALL_FINITE, &(nn_attributes){0}, scalars, count);
}

void nn_adam(nn_graph *g, nn_value p, nn_value gradient, nn_value m, nn_value v, nn_value rates, nn_value flag,
             nn_value squared_norm, const nn_adam_options *options)
{
    nn_attributes attr = {.beta1 = options->beta1, .beta2 = options->beta2, .epsilon = options->epsilon,
                          .clip = options->clip};
    nn_emit(g, NN_ADAM, &attr, (nn_value[]){p, gradient, m, v, rates, flag, squared_norm}, 7);
}

void nn_ema(nn_graph *g, nn_value average, nn_value p, nn_value rate, nn_value flag)
{
    nn_emit(g, NN_EMA, &(nn_attributes){0}, (nn_value[]){average, p, rate, flag}, 4);
}

nn_value nn_pool_swap(nn_graph *g, nn_value pool, nn_value x, nn_value decision)
{
    return nn_emit(g, NN_POOL_SWAP, &(nn_attributes){0}, (nn_value[]){pool, x, decision}, 3);
}
