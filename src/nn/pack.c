/* Prepacking: nodes that depend on lasting memory alone, which the program itself does not change, give the same in each
 * run: reorders of weights above all. They are moved to the front; program.c runs them when that memory has changed, and
 * what other nodes read of them is kept in memory that nothing else uses (memory.c). */
#include <stdlib.h>
#include <string.h>

#include "nn/plan.h"

static bool is_changed(const nn_draft *d, const nn_block *block)
{
    for (size_t i = 0; i < d->changed_count; i++)
        if (d->changed[i] == block) return true;
    return false;
}

static status add_changed(nn_draft *d, nn_block *block, error *err)
{
    if (is_changed(d, block)) return STATUS_OK;
    nn_block **changed = realloc(d->changed, (d->changed_count + 1) * sizeof *changed);
    if (!changed) return error_no_memory(err, "planning a graph", (d->changed_count + 1) * sizeof *changed);
    d->changed = changed;
    d->changed[d->changed_count++] = block;
    return STATUS_OK;
}

status nn_draft_list_changes(nn_draft *d, error *err)
{
    for (size_t n = 0; n < d->node_count; n++) {
        const nn_node *node = &d->nodes[n];
        for (size_t i = 0; i < node->input_count; i++)
            if (nn_op_def_of(node->op)->mutates >> i & 1) TRY(add_changed(d, d->values[node->input[i]].block, err));
        for (size_t i = 0; i < node->output_count; i++)
            if (d->values[node->output[i]].block) TRY(add_changed(d, d->values[node->output[i]].block, err));
    }
    return STATUS_OK;
}

/* packs: whether each node before this one is such a node. */
static bool can_pack(const nn_draft *d, const nn_node *node, const bool *packs)
{
    if (nn_op_def_of(node->op)->effect || nn_op_def_of(node->op)->mutates) return false;
    for (size_t i = 0; i < node->input_count; i++) {
        const nn_value_info *v = &d->values[node->input[i]];
        bool lasts = v->kind == NN_VALUE_COMPUTED ? packs[v->producer]
                                                  : v->kind == NN_VALUE_MEMORY && !is_changed(d, v->block);
        if (!lasts) return false;
    }
    for (size_t i = 0; i < node->output_count; i++) /* others may write there between runs */
        if (d->values[node->output[i]].block) return false;
    return true;
}

/* Puts those that pack first, in order, then the others. */
static void move_to_front(nn_draft *d, const bool *packs, nn_node *nodes, nn_call *calls)
{
    size_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t n = 0; n < d->node_count; n++) {
            if (packs[n] != (pass == 0)) continue;
            nodes[count] = d->nodes[n];
            calls[count++] = d->calls[n];
        }
        if (pass == 0) d->packing = count;
    }
    memcpy(d->nodes, nodes, count * sizeof *nodes);
    memcpy(d->calls, calls, count * sizeof *calls);
    for (size_t n = 0; n < count; n++)
        for (size_t i = 0; i < d->nodes[n].output_count; i++) d->values[d->nodes[n].output[i]].producer = (uint32_t)n;
}

status nn_draft_prepack(nn_draft *d, error *err)
{
    bool *packs = calloc(d->node_count + 1, sizeof *packs);
    nn_node *nodes = malloc((d->node_count + 1) * sizeof *nodes);
    nn_call *calls = malloc((d->node_count + 1) * sizeof *calls);
    status result = STATUS_OK;
    if (packs && nodes && calls) {
        for (size_t n = 0; n < d->node_count; n++) packs[n] = can_pack(d, &d->nodes[n], packs);
        if (d->node_count) move_to_front(d, packs, nodes, calls);
    } else {
        result = error_no_memory(err, "planning a graph", d->node_count * sizeof *calls);
    }
    free(packs);
    free(nodes);
    free(calls);
    return result;
}

bool nn_draft_is_packed(const nn_draft *d, nn_value v)
{
    return d->values[v].kind == NN_VALUE_COMPUTED && d->values[v].producer < d->packing;
}
