/* Where each value lies in the arena. A storage is one or more values in the same place (in-place operations) with one
 * lifetime; storages whose lifetimes do not meet may overlap. Offsets are given greedily, largest first, each the lowest
 * gap that is free during its life. What is packed for the runs lies one after the other in memory of its own. */
#include <stdlib.h>
#include <string.h>

#include "nn/plan.h"

enum { ALIGN = 64 };

typedef struct storage {
    size_t bytes, offset;
    size_t first, last; /* steps of the order, inclusive */
    bool lasts; /* from run to run */
} storage;

typedef struct planner {
    const nn_draft *d;
    const uint32_t *order;
    bool reuse;
    size_t linger;
    nn_memory_plan *plan;
    storage *storages;
    uint32_t count;
    size_t *last_use; /* step of each value's last reader; SIZE_MAX: after the end */
} planner;

static size_t round_up(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

static bool in_block(const nn_value_info *v) { return v->block != NULL; }

static uint32_t new_storage(planner *p, size_t bytes, size_t first, size_t last)
{
    p->storages[p->count] = (storage){.bytes = round_up(bytes), .first = first, .last = last};
    return p->count++;
}

static void find_last_uses(planner *p)
{
    const nn_draft *d = p->d;
    for (size_t step = 0; step < d->node_count; step++) {
        const nn_node *node = &d->nodes[p->order[step]];
        for (size_t i = 0; i < node->output_count; i++) p->last_use[node->output[i]] = step;
        for (size_t i = 0; i < node->input_count; i++) p->last_use[node->input[i]] = step;
    }
    for (size_t v = 0; v < d->value_count; v++)
        if (d->values[v].is_output) p->last_use[v] = SIZE_MAX;
}

/* Whether each run reads what was packed before it. */
static bool lasts(const planner *p, nn_value v)
{
    return nn_draft_is_packed(p->d, v) && p->last_use[v] >= p->d->packing;
}

/* The storage of an input that the node's first output may take over, or NN_NO_STORAGE. */
static uint32_t in_place_storage(const planner *p, const nn_node *node, size_t step)
{
    const nn_draft *d = p->d;
    uint32_t allowed = nn_op_def_of(node->op)->in_place;
    if (!p->reuse || !node->output_count || in_block(&d->values[node->output[0]])) return NN_NO_STORAGE;
    if (lasts(p, node->output[0])) return NN_NO_STORAGE;
    for (size_t i = 0; i < node->input_count; i++) {
        nn_value v = node->input[i];
        if (!(allowed >> i & 1) || in_block(&d->values[v]) || lasts(p, v)) continue;
        uint32_t s = p->plan->storage_of[v];
        bool same = d->layout[v] == d->layout[node->output[0]] &&
                    nn_shape_equal(d->values[v].shape, d->values[node->output[0]].shape);
        if (same && p->storages[s].last == step) return s;
    }
    return NN_NO_STORAGE;
}

static void place_outputs(planner *p, size_t step)
{
    const nn_draft *d = p->d;
    const nn_node *node = &d->nodes[p->order[step]];
    uint32_t shared = in_place_storage(p, node, step);
    for (size_t i = 0; i < node->output_count; i++) {
        nn_value v = node->output[i];
        if (in_block(&d->values[v])) continue;
        if (i == 0 && shared != NN_NO_STORAGE) {
            p->plan->storage_of[v] = shared;
            p->storages[shared].last = p->last_use[v];
        } else {
            p->plan->storage_of[v] = new_storage(p, nn_draft_bytes(d, v), step, p->last_use[v]);
            p->storages[p->plan->storage_of[v]].lasts = lasts(p, v);
        }
    }
    size_t scratch = d->calls[p->order[step]].workspace_bytes;
    if (scratch) p->plan->workspace[p->order[step]] = new_storage(p, scratch, step, step);
}

static int larger_first(const void *a, const void *b)
{
    const storage *x = *(storage *const *)a, *y = *(storage *const *)b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x < y ? -1 : x > y; /* by number: a total order, so that the plan is the same everywhere */
}

static bool before(const planner *p, const storage *a, const storage *b)
{
    return b->first > p->linger && b->first - p->linger > a->last;
}

static bool alive_together(const planner *p, const storage *a, const storage *b)
{
    return !before(p, a, b) && !before(p, b, a);
}

/* `placed`: count storages sorted by offset. Inserts s at the lowest gap. */
static void place(const planner *p, storage **placed, size_t count, storage *s)
{
    size_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        if (!alive_together(p, placed[i], s)) continue;
        if (placed[i]->offset >= offset + s->bytes) break;
        size_t end = placed[i]->offset + placed[i]->bytes;
        if (end > offset) offset = end;
    }
    s->offset = offset;
    size_t at = count;
    for (; at > 0 && placed[at - 1]->offset > offset; at--) placed[at] = placed[at - 1];
    placed[at] = s;
}

static status assign_offsets(planner *p, error *err)
{
    storage **order = malloc(2 * (p->count + 1) * sizeof *order);
    if (!order) return error_no_memory(err, "planning memory", p->count * sizeof *order);
    storage **placed = order + p->count + 1;
    size_t end = 0;
    uint32_t count = 0;
    p->plan->lasting_bytes = 0;
    for (uint32_t i = 0; i < p->count; i++) {
        storage *s = &p->storages[i];
        p->plan->lasts[i] = s->lasts;
        if (!s->lasts) {
            order[count++] = s;
            continue;
        }
        s->offset = p->plan->lasting_bytes;
        p->plan->lasting_bytes += s->bytes;
    }
    qsort(order, count, sizeof *order, larger_first);
    for (uint32_t i = 0; i < count; i++) {
        if (p->reuse) {
            place(p, placed, i, order[i]);
        } else {
            order[i]->offset = end;
        }
        if (order[i]->offset + order[i]->bytes > end) end = order[i]->offset + order[i]->bytes;
    }
    p->plan->bytes = end;
    free(order);
    return STATUS_OK;
}

status nn_memory_plan_create(nn_memory_plan *plan, const nn_draft *d, const uint32_t *order, bool reuse, size_t linger,
                             error *err)
{
    size_t most = d->value_count + d->node_count + 1;
    *plan = (nn_memory_plan){.storage_of = malloc(most * sizeof *plan->storage_of),
                             .workspace = malloc(most * sizeof *plan->workspace),
                             .offset = malloc(most * sizeof *plan->offset),
                             .lasts = malloc(most * sizeof *plan->lasts)};
    planner p = {.d = d, .order = order, .reuse = reuse, .linger = linger, .plan = plan,
                 .storages = malloc(most * sizeof *p.storages), .last_use = calloc(most, sizeof *p.last_use)};
    status result = STATUS_OK;
    if (plan->storage_of && plan->workspace && plan->offset && plan->lasts && p.storages && p.last_use) {
        memset(plan->storage_of, 0xff, most * sizeof *plan->storage_of);
        memset(plan->workspace, 0xff, most * sizeof *plan->workspace);
        find_last_uses(&p);
        for (size_t v = 0; v < d->value_count; v++) /* written before the first step */
            if (d->values[v].kind == NN_VALUE_INPUT)
                plan->storage_of[v] = new_storage(&p, nn_draft_bytes(d, (nn_value)v), 0, p.last_use[v]);
        for (size_t step = 0; step < d->node_count; step++) place_outputs(&p, step);
        result = assign_offsets(&p, err);
        for (uint32_t i = 0; i < p.count; i++) plan->offset[i] = p.storages[i].offset;
    } else {
        result = error_no_memory(err, "planning memory", most * sizeof *p.storages);
    }
    free(p.storages);
    free(p.last_use);
    if (result != STATUS_OK) nn_memory_plan_free(plan);
    return result;
}

void nn_memory_plan_free(nn_memory_plan *plan)
{
    free(plan->storage_of);
    free(plan->workspace);
    free(plan->offset);
    free(plan->lasts);
    *plan = (nn_memory_plan){0};
}
