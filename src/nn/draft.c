#include <stdlib.h>
#include <string.h>

#include "nn/plan.h"

status nn_draft_create(nn_draft *d, const nn_graph *g, nn_backend *backend, error *err)
{
    *d = (nn_draft){.backend = backend, .node_count = g->node_count, .node_capacity = g->node_count,
                    .value_count = g->value_count, .value_capacity = g->value_count, .resolved_count = g->value_count};
    d->nodes = malloc((g->node_count + 1) * sizeof *d->nodes);
    d->values = malloc((g->value_count + 1) * sizeof *d->values);
    d->layout = calloc(g->value_count + 1, sizeof *d->layout);
    d->resolved = malloc((g->value_count + 1) * sizeof *d->resolved);
    if (!d->nodes || !d->values || !d->layout || !d->resolved) {
        nn_draft_free(d);
        return error_no_memory(err, "planning a graph", g->node_count * sizeof *d->nodes);
    }
    if (g->node_count) memcpy(d->nodes, g->nodes, g->node_count * sizeof *d->nodes);
    if (g->value_count) memcpy(d->values, g->values, g->value_count * sizeof *d->values);
    for (size_t v = 0; v < g->value_count; v++) {
        d->values[v].name = NULL; /* the graph's */
        d->resolved[v] = (nn_value)v;
    }
    return STATUS_OK;
}

void nn_draft_free(nn_draft *d)
{
    for (size_t i = 0; d->calls && i < d->node_count; i++) {
        const nn_kernel *kernel = d->backend->interface->kernel(d->backend, d->calls[i].op);
        if (kernel && kernel->release) kernel->release(&d->calls[i]);
    }
    free(d->nodes);
    free(d->calls);
    free(d->values);
    free(d->layout);
    free(d->resolved);
    free(d->changed);
    *d = (nn_draft){0};
}

status nn_draft_add_value(nn_draft *d, nn_value_info value, nn_value *out, error *err)
{
    if (d->value_count == d->value_capacity) {
        size_t capacity = 2 * d->value_capacity + 16;
        nn_value_info *values = realloc(d->values, capacity * sizeof *values);
        if (values) d->values = values;
        nn_layout *layout = realloc(d->layout, capacity * sizeof *layout);
        if (layout) d->layout = layout;
        if (!values || !layout) return error_no_memory(err, "planning a graph", capacity * sizeof *values);
        d->value_capacity = capacity;
    }
    d->values[d->value_count] = value;
    d->layout[d->value_count] = NN_LAYOUT_PLAIN;
    *out = (nn_value)d->value_count++;
    return STATUS_OK;
}

status nn_draft_prune(nn_draft *d, error *err)
{
    bool *live = calloc(d->value_count + 1, sizeof *live);
    if (!live) return error_no_memory(err, "planning a graph", d->value_count);
    for (size_t v = 0; v < d->value_count; v++)
        live[v] = d->values[v].is_output || (d->values[v].kind == NN_VALUE_COMPUTED && d->values[v].block);
    size_t kept = d->node_count;
    for (size_t n = d->node_count; n-- > 0;) { /* users come after their inputs */
        const nn_node *node = &d->nodes[n];
        bool needed = nn_op_def_of(node->op)->effect || nn_op_def_of(node->op)->mutates;
        for (size_t i = 0; i < node->output_count; i++) needed |= live[node->output[i]];
        if (!needed) continue;
        for (size_t i = 0; i < node->input_count; i++) live[node->input[i]] = true;
        d->nodes[--kept] = *node; /* packed towards the end */
    }
    memmove(d->nodes, d->nodes + kept, (d->node_count - kept) * sizeof *d->nodes);
    d->node_count -= kept;
    free(live);
    for (size_t n = 0; n < d->node_count; n++)
        for (size_t i = 0; i < d->nodes[n].output_count; i++) d->values[d->nodes[n].output[i]].producer = (uint32_t)n;
    return STATUS_OK;
}

size_t nn_draft_bytes(const nn_draft *d, nn_value v)
{
    if (d->layout[v] == NN_LAYOUT_PLAIN) return nn_count(d->values[v].shape) * sizeof(float);
    return d->backend->interface->layout_bytes(d->backend, d->layout[v], d->values[v].shape);
}

double nn_draft_operations(const nn_draft *d, const nn_node *node)
{
    nn_shape small, weight; /* small: on the side of the convolution's output */
    switch (node->op) {
    case NN_CONV2D: small = d->values[node->output[0]].shape, weight = d->values[node->input[1]].shape; break;
    case NN_CONV2D_DATA_GRAD: small = d->values[node->input[0]].shape, weight = d->values[node->input[1]].shape; break;
    case NN_CONV2D_WEIGHT_GRAD: small = d->values[node->input[1]].shape, weight = d->values[node->output[0]].shape; break;
    default: return 0;
    }
    return 2.0 * (double)(small.dim[NN_N] * small.dim[NN_H] * small.dim[NN_W]) * (double)nn_count(weight);
}
