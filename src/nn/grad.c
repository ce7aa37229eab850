/* Reverse-mode differentiation: appends nodes to the graph that it differentiates. */
#include <stdlib.h>

#include "nn/graph_internal.h"

/* depends[v]: v is one of wrt or computed from one. */
static void mark_dependants(const nn_graph *g, const nn_value *wrt, size_t count, bool *depends)
{
    for (size_t i = 0; i < count; i++)
        if (wrt[i] < g->value_count) depends[wrt[i]] = true;
    for (size_t n = 0; n < g->node_count; n++) {
        const nn_node *node = &g->nodes[n];
        bool any = false;
        for (size_t i = 0; i < node->input_count; i++) any |= depends[node->input[i]];
        if (any && node->output_count) depends[node->output[0]] = true;
    }
}

static void back_through(nn_graph *g, size_t n, const bool *depends, nn_value *gradient)
{
    nn_node node = g->nodes[n]; /* a copy: appending moves the nodes */
    if (!node.output_count || gradient[node.output[0]] == NN_NONE) return;
    bool needed[NN_MAX_INPUTS] = {false}, any = false;
    nn_value dx[NN_MAX_INPUTS];
    for (size_t i = 0; i < node.input_count; i++) {
        needed[i] = depends[node.input[i]];
        any |= needed[i];
        dx[i] = NN_NONE;
    }
    if (!any) return;
    const nn_op_def *def = nn_op_def_of(node.op);
    if (!def->grad) {
        nn_op_fail(g, &node, "has no gradient");
        return;
    }
    def->grad(g, &node, gradient[node.output[0]], needed, dx);
    for (size_t i = 0; i < node.input_count; i++) {
        if (!needed[i] || dx[i] == NN_NONE) continue;
        nn_value *sum = &gradient[node.input[i]];
        *sum = *sum == NN_NONE ? dx[i] : nn_add(g, *sum, dx[i]);
    }
}

void nn_grad(nn_graph *g, nn_value loss, const nn_value *wrt, size_t count, nn_value *gradients)
{
    for (size_t i = 0; i < count; i++) gradients[i] = NN_NONE;
    if (g->failure.code != STATUS_OK) return;
    if (loss >= g->value_count || nn_count(g->values[loss].shape) != 1) {
        nn_graph_fail(g, "gradient: the loss must be a scalar");
        return;
    }
    size_t values = g->value_count, nodes = g->node_count;
    bool *depends = calloc(values, sizeof *depends);
    nn_value *gradient = malloc(values * sizeof *gradient);
    if (depends && gradient) {
        mark_dependants(g, wrt, count, depends);
        for (size_t v = 0; v < values; v++) gradient[v] = NN_NONE;
        if (depends[loss]) gradient[loss] = nn_constant(g, nn_shape_scalar(), 1);
        for (size_t n = nodes; n-- > 0 && g->failure.code == STATUS_OK;) back_through(g, n, depends, gradient);
        for (size_t i = 0; i < count; i++)
            if (wrt[i] < values && g->failure.code == STATUS_OK) gradients[i] = gradient[wrt[i]];
    } else {
        nn_graph_fail(g, "out of memory: a gradient needs %zu bytes", values * sizeof *gradient);
    }
    free(depends);
    free(gradient);
}
