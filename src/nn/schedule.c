/* Orders of execution. The order in which nodes were appended is all forward passes, then all backward passes, with
 * every activation alive in between. Running each backward pass as soon as its loss is there (the latest appended node
 * that is ready, first) lets the activations of one cycle go before the next begins.
 *
 * Whatever the order: nodes for packing come first; effects come last, as appended; another node that depends on lasting
 * memory alone (a reordered weight, a constant) waits until its first user needs it. */
#include <stdlib.h>
#include <string.h>

#include "nn/plan.h"

typedef struct scheduler {
    const nn_draft *d;
    uint32_t *order;
    size_t done;
    bool *scheduled, *lazy;
    size_t *uses;    /* readers of each value that have not run */
} scheduler;

static bool is_lazy(const nn_draft *d, const nn_node *node)
{
    if (node->op != NN_REORDER && node->op != NN_CONSTANT) return false;
    for (size_t i = 0; i < node->input_count; i++)
        if (d->values[node->input[i]].kind == NN_VALUE_COMPUTED) return false;
    return true;
}

static void run_node(scheduler *s, size_t n)
{
    const nn_node *node = &s->d->nodes[n];
    for (size_t i = 0; i < node->input_count; i++) {
        const nn_value_info *v = &s->d->values[node->input[i]];
        if (v->kind == NN_VALUE_COMPUTED && !s->scheduled[v->producer]) run_node(s, v->producer); /* lazy ones only */
    }
    for (size_t i = 0; i < node->input_count; i++) s->uses[node->input[i]]--;
    s->scheduled[n] = true;
    s->order[s->done++] = (uint32_t)n;
}

static bool ready(const scheduler *s, size_t n)
{
    const nn_node *node = &s->d->nodes[n];
    for (size_t i = 0; i < node->input_count; i++) {
        const nn_value_info *v = &s->d->values[node->input[i]];
        if (v->kind == NN_VALUE_COMPUTED && !s->scheduled[v->producer] && !s->lazy[v->producer]) return false;
    }
    return true;
}

/* Bytes that become alive minus bytes that die when the node runs. */
static double growth(const scheduler *s, size_t n)
{
    const nn_node *node = &s->d->nodes[n];
    double bytes = 0;
    for (size_t i = 0; i < node->output_count; i++)
        if (!s->d->values[node->output[i]].block) bytes += (double)nn_draft_bytes(s->d, node->output[i]);
    for (size_t i = 0; i < node->input_count; i++) {
        nn_value v = node->input[i];
        if (s->d->values[v].kind != NN_VALUE_COMPUTED || nn_draft_is_packed(s->d, v)) continue;
        if (!s->d->values[v].block && s->uses[v] == 1) bytes -= (double)nn_draft_bytes(s->d, v);
    }
    return bytes;
}

/* The next node, or node_count when all ordinary ones have run. */
static size_t choose(const scheduler *s, nn_order kind)
{
    size_t best = s->d->node_count;
    double least = 0;
    for (size_t i = 0; i < s->d->node_count; i++) {
        size_t n = kind == NN_ORDER_APPENDED ? i : s->d->node_count - 1 - i;
        if (s->scheduled[n] || s->lazy[n] || nn_op_def_of(s->d->nodes[n].op)->effect || !ready(s, n)) continue;
        if (kind != NN_ORDER_LEAST_MEMORY) return n;
        double bytes = growth(s, n);
        if (best == s->d->node_count || bytes < least) {
            best = n;
            least = bytes;
        }
    }
    return best;
}

static void schedule(scheduler *s, nn_order kind)
{
    const nn_draft *d = s->d;
    for (size_t n = 0; n < d->node_count; n++) {
        s->lazy[n] = is_lazy(d, &d->nodes[n]);
        for (size_t i = 0; i < d->nodes[n].input_count; i++) s->uses[d->nodes[n].input[i]]++;
    }
    for (size_t n = 0; n < d->packing; n++) run_node(s, n);
    for (size_t n = choose(s, kind); n < d->node_count; n = choose(s, kind)) run_node(s, n);
    for (size_t n = 0; n < d->node_count; n++)
        if (!s->scheduled[n]) run_node(s, n); /* effects, and constants that are outputs themselves */
}

status nn_draft_schedule(const nn_draft *d, nn_order kind, uint32_t *order, error *err)
{
    scheduler s = {.d = d, .order = order};
    s.scheduled = calloc(d->node_count + 1, sizeof *s.scheduled);
    s.lazy = calloc(d->node_count + 1, sizeof *s.lazy);
    s.uses = calloc(d->value_count + 1, sizeof *s.uses);
    status result = STATUS_OK;
    if (s.scheduled && s.lazy && s.uses)
        schedule(&s, kind);
    else
        result = error_no_memory(err, "planning a graph", d->value_count * sizeof *s.uses);
    free(s.scheduled);
    free(s.lazy);
    free(s.uses);
    return result;
}
