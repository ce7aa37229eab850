#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "nn/graph_internal.h"

nn_graph *nn_graph_create(void) { return calloc(1, sizeof(nn_graph)); }

void nn_graph_destroy(nn_graph *g)
{
    if (!g) return;
    for (size_t i = 0; i < g->value_count; i++) free(g->values[i].name);
    free(g->values);
    free(g->nodes);
    free(g);
}

status nn_graph_status(const nn_graph *g, error *err)
{
    if (g->failure.code == STATUS_OK) return STATUS_OK;
    return error_set(err, g->failure.code, "%s", g->failure.message);
}

nn_value nn_graph_fail(nn_graph *g, const char *format, ...)
{
    if (g->failure.code != STATUS_OK) return NN_NONE; /* the first error is the cause of the others */
    g->failure.code = STATUS_FAILED;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(g->failure.message, sizeof g->failure.message, format, arguments);
    va_end(arguments);
    return NN_NONE;
}

void nn_op_fail(nn_graph *g, const nn_node *node, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    nn_graph_fail(g, "%s: %s", nn_op_name(node->op), message);
}

nn_shape nn_shape_at(const nn_graph *g, nn_value v)
{
    return v < g->value_count ? g->values[v].shape : (nn_shape){{0}};
}

nn_shape nn_input_shape(const nn_graph *g, const nn_node *node, size_t input)
{
    return nn_shape_at(g, node->input[input]);
}

bool nn_require_shape(nn_graph *g, const nn_node *node, const char *what, nn_shape expected, nn_shape actual)
{
    if (nn_shape_equal(expected, actual)) return true;
    nn_shape_text a, b;
    nn_op_fail(g, node, "%s must have the shape %s, has %s", what, nn_shape_print(expected, &a),
               nn_shape_print(actual, &b));
    return false;
}

/* True when one more element fits, growing the array as needed. */
static bool reserve(nn_graph *g, void **array, size_t count, size_t *capacity, size_t element)
{
    if (count < *capacity) return true;
    size_t larger = *capacity ? 2 * *capacity : 128;
    void *moved = realloc(*array, larger * element);
    if (!moved) {
        nn_graph_fail(g, "out of memory: a graph needs %zu bytes", larger * element);
        return false;
    }
    *array = moved;
    *capacity = larger;
    return true;
}

static nn_value add_value(nn_graph *g, nn_value_kind kind, nn_shape shape, const char *name)
{
    if (g->failure.code != STATUS_OK) return NN_NONE;
    if (nn_count(shape) == 0) return nn_graph_fail(g, "%s: a value without elements", name ? name : "graph");
    if (!reserve(g, (void **)&g->values, g->value_count, &g->value_capacity, sizeof *g->values)) return NN_NONE;
    char *copy = name ? text_copy(name) : NULL;
    if (name && !copy) return nn_graph_fail(g, "out of memory: naming %s", name);
    g->values[g->value_count] = (nn_value_info){.kind = kind, .shape = shape, .producer = NN_NO_NODE, .name = copy};
    return (nn_value)g->value_count++;
}

nn_value nn_emit(nn_graph *g, nn_op op, const nn_attributes *attr, const nn_value *inputs, size_t count)
{
    if (g->failure.code != STATUS_OK) return NN_NONE;
    nn_node node = {.op = op, .attr = *attr, .input_count = (uint32_t)count, .output_count = 1};
    if (count > NN_MAX_INPUTS) return nn_graph_fail(g, "%s: takes at most %d inputs", nn_op_name(op), NN_MAX_INPUTS);
    for (size_t i = 0; i < count; i++) {
        if (inputs[i] >= g->value_count) return nn_graph_fail(g, "%s: input %zu is no value", nn_op_name(op), i);
        node.input[i] = inputs[i];
    }
    const nn_op_def *def = nn_op_def_of(op);
    for (size_t i = 0; i < count; i++)
        if ((def->mutates >> i & 1) && g->values[inputs[i]].kind != NN_VALUE_MEMORY)
            return nn_graph_fail(g, "%s: input %zu is changed and must be lasting memory", nn_op_name(op), i);
    nn_shape shapes[NN_MAX_OUTPUTS] = {{{0}}};
    def->infer(g, &node, shapes);
    if (g->failure.code != STATUS_OK) return NN_NONE;
    if (!reserve(g, (void **)&g->nodes, g->node_count, &g->node_capacity, sizeof *g->nodes)) return NN_NONE;
    for (size_t i = 0; i < node.output_count; i++) {
        node.output[i] = add_value(g, NN_VALUE_COMPUTED, shapes[i], NULL);
        if (node.output[i] == NN_NONE) return NN_NONE;
        g->values[node.output[i]].producer = (uint32_t)g->node_count;
    }
    g->nodes[g->node_count++] = node;
    return node.output_count ? node.output[0] : NN_NONE;
}

nn_value nn_input(nn_graph *g, const char *name, nn_shape shape)
{
    return add_value(g, NN_VALUE_INPUT, shape, name);
}

nn_value nn_memory(nn_graph *g, const char *name, nn_shape shape, nn_block *block, size_t offset)
{
    nn_value v = add_value(g, NN_VALUE_MEMORY, shape, name);
    if (v == NN_NONE) return v;
    g->values[v].block = block;
    g->values[v].offset = offset;
    return v;
}

nn_value nn_parameter(nn_graph *g, nn_parameters *set, const char *name, nn_shape shape)
{
    if (g->failure.code != STATUS_OK) return NN_NONE;
    size_t index;
    error err = {0};
    if (nn_parameters_add(set, name, shape, &index, &err) != STATUS_OK) return nn_graph_fail(g, "%s", err.message);
    nn_block *block = &set->blocks[g->slot];
    size_t offset = set->tensors[index].offset;
    for (size_t i = 0; i < g->value_count; i++) {
        const nn_value_info *v = &g->values[i];
        bool same = v->kind == NN_VALUE_MEMORY && v->block == block && v->offset == offset;
        if (same && nn_shape_equal(v->shape, shape)) return (nn_value)i;
    }
    return nn_memory(g, name, shape, block, offset);
}

void nn_graph_use_slot(nn_graph *g, nn_slot slot) { g->slot = slot; }

void nn_output(nn_graph *g, nn_value v)
{
    if (v < g->value_count) g->values[v].is_output = true;
}

void nn_store(nn_graph *g, nn_value v, nn_block *block, size_t offset)
{
    if (v >= g->value_count) return;
    if (g->values[v].kind != NN_VALUE_COMPUTED || g->values[v].block) { /* it lives elsewhere already */
        v = nn_emit(g, NN_COPY, &(nn_attributes){0}, &v, 1);
        if (v == NN_NONE) return;
    }
    g->values[v].block = block;
    g->values[v].offset = offset;
}
