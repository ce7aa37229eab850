/* Lanes: kernels of a program that run beside one another, where one of them leaves most of the device idle.
 *
 * First an order, by list scheduling (Graham; Coffman and Denning, Operating Systems Theory, 3.3): in a simulation with
 * guessed durations each node goes, as soon as its inputs are there, to the lane that can take it first; of several, the
 * one with the longest way to the end. Two generators that do not wait for one another thus go side by side, and gradients
 * of weights, which only the optimiser waits for, fill what is left.
 *
 * Then, when memory is planned and addresses are known, what has to wait for what: a call for every earlier one that
 * touches the same bytes, if either of them writes. That holds whatever the order and the plan are, and includes memory
 * that is used again. */
#include <stdlib.h>
#include <string.h>

#include "nn/plan.h"

/* Seconds, of a large GPU: a kernel's least, and what makes it longer. Only their ratios matter. */
static const double start_seconds = 2e-6, seconds_per_byte = 1 / 2.5e12, seconds_per_operation = 1 / 4e14;
/* From the end of a kernel to the begin of one in another lane. */
static const double crossing_seconds = 1e-6;

typedef struct list {
    const nn_draft *d;
    size_t lanes;
    double *seconds, *rank; /* of each node: its own, and those of the longest way from it to the end */
    double *finish;         /* of each node that has its place; negative: it has none */
    uint8_t *lane_of;
    double *free_at; /* of each lane */
} list;

static double guess_seconds(const nn_draft *d, const nn_node *node)
{
    double bytes = 0;
    for (size_t i = 0; i < node->input_count; i++) bytes += (double)nn_draft_bytes(d, node->input[i]);
    for (size_t i = 0; i < node->output_count; i++) bytes += (double)nn_draft_bytes(d, node->output[i]);
    return start_seconds + bytes * seconds_per_byte + nn_draft_operations(d, node) * seconds_per_operation;
}

static bool is_effect(const nn_node *node) { return nn_op_def_of(node->op)->effect; }

/* topological: any order of execution. */
static void rank_nodes(list *s, const uint32_t *topological)
{
    for (size_t i = s->d->node_count; i-- > 0;) {
        uint32_t n = topological[i];
        const nn_node *node = &s->d->nodes[n];
        s->seconds[n] = guess_seconds(s->d, node);
        s->rank[n] += s->seconds[n];
        for (size_t k = 0; k < node->input_count; k++) {
            const nn_value_info *v = &s->d->values[node->input[k]];
            if (v->kind == NN_VALUE_COMPUTED && s->rank[v->producer] < s->rank[n]) s->rank[v->producer] = s->rank[n];
        }
    }
}

/* When the node could begin in the best lane; negative: an input has no place yet. Of equal lanes that of the last input
 * is taken: there is nothing to wait for then. */
static double earliest(const list *s, const nn_node *node, size_t *best)
{
    double least = -1, latest = -1;
    size_t home = 0;
    for (size_t k = 0; k < node->input_count; k++) {
        const nn_value_info *v = &s->d->values[node->input[k]];
        if (v->kind != NN_VALUE_COMPUTED || nn_draft_is_packed(s->d, node->input[k])) continue;
        if (s->finish[v->producer] < 0) return -1;
        if (s->finish[v->producer] > latest) latest = s->finish[v->producer], home = s->lane_of[v->producer];
    }
    for (size_t i = 0; i < s->lanes; i++) {
        size_t lane = (home + i) % s->lanes;
        double begin = s->free_at[lane], there = latest + (i > 0 ? crossing_seconds : 0);
        if (begin < there) begin = there;
        if (i == 0 || begin < least) least = begin, *best = lane;
    }
    return least;
}

static void place_node(list *s, size_t n, size_t lane, double begin)
{
    s->finish[n] = s->free_at[lane] = begin + s->seconds[n];
    s->lane_of[n] = (uint8_t)lane;
}

/* Places the node that can begin first; among those that can not much later, the one of highest rank. Returns it, or
 * node_count. */
static size_t place_next(list *s, bool effects)
{
    size_t best = s->d->node_count, best_lane = 0, lane = 0;
    double first = -1, best_begin = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t n = 0; n < s->d->node_count; n++) {
            if (s->finish[n] >= 0 || is_effect(&s->d->nodes[n]) != effects) continue;
            double begin = earliest(s, &s->d->nodes[n], &lane);
            if (begin < 0) continue;
            if (effects) {
                place_node(s, n, lane, begin); /* in order of appending */
                return n;
            }
            if (pass == 0 && (first < 0 || begin < first)) first = begin;
            bool better = best == s->d->node_count || s->rank[n] > s->rank[best];
            if (pass == 1 && begin <= first + crossing_seconds && better) best = n, best_lane = lane, best_begin = begin;
        }
    if (best < s->d->node_count) place_node(s, best, best_lane, best_begin);
    return best;
}

status nn_draft_schedule_lanes(const nn_draft *d, size_t lanes, uint32_t *order, uint8_t *lane, error *err)
{
    TRY(nn_draft_schedule(d, NN_ORDER_APPENDED, order, err));
    size_t count = d->node_count;
    list s = {.d = d, .lanes = lanes, .seconds = calloc(3 * count + lanes, sizeof(double)),
              .lane_of = calloc(count + 1, sizeof *s.lane_of)};
    if (!s.seconds || !s.lane_of) {
        free(s.seconds);
        free(s.lane_of);
        return error_no_memory(err, "planning a graph", 3 * count * sizeof(double));
    }
    s.rank = s.seconds + count, s.finish = s.rank + count, s.free_at = s.finish + count;
    for (size_t n = 0; n < count; n++) s.finish[n] = n < d->packing ? 0 : -1;
    rank_nodes(&s, order);
    memset(lane, 0, d->packing * sizeof *lane); /* and `order` begins with them already */
    for (size_t step = d->packing; step < count; step++) {
        size_t n = place_next(&s, false);
        if (n == count) n = place_next(&s, true);
        order[step] = (uint32_t)n;
        lane[step] = s.lane_of[n];
    }
    free(s.seconds);
    free(s.lane_of);
    return STATUS_OK;
}

/* Bytes that a call touches. */
typedef struct range {
    const char *begin, *end;
    bool written;
} range;

enum { RANGES = NN_MAX_INPUTS + NN_MAX_OUTPUTS + 1 };

typedef struct touched {
    range range[RANGES];
    size_t count;
} touched;

static void touch(touched *t, const void *begin, size_t bytes, bool written)
{
    if (begin && bytes) t->range[t->count++] = (range){begin, (const char *)begin + bytes, written};
}

static touched touched_by(const nn_draft *d, const nn_node *node, const nn_call *call)
{
    touched t = {.count = 0};
    uint32_t mutates = nn_op_def_of(node->op)->mutates;
    for (size_t i = 0; i < node->input_count; i++)
        touch(&t, call->input[i], nn_draft_bytes(d, node->input[i]), mutates >> i & 1);
    for (size_t i = 0; i < node->output_count; i++)
        touch(&t, call->output[i], nn_draft_bytes(d, node->output[i]), true);
    touch(&t, call->workspace, call->workspace_bytes, true);
    return t;
}

static bool conflict(const touched *a, const touched *b)
{
    for (size_t i = 0; i < a->count; i++)
        for (size_t k = 0; k < b->count; k++) {
            const range *x = &a->range[i], *y = &b->range[k];
            if ((x->written || y->written) && x->begin < y->end && y->begin < x->end) return true;
        }
    return false;
}

/* Of one step: how many steps of the order, counted in each lane up to and with the last, are over when it begins. */
typedef struct clock {
    uint32_t over[NN_LANES];
} clock;

static void merge(clock *to, const clock *from)
{
    for (size_t i = 0; i < NN_LANES; i++)
        if (to->over[i] < from->over[i]) to->over[i] = from->over[i];
}

/* Waits of `step`: the latest conflicting step of each other lane, from `first` on, that nothing it waits for has waited
 * for. */
static status find_waits(nn_lane_plan *plan, const touched *all, clock *clocks, size_t first, size_t step, error *err)
{
    clock *now = &clocks[step];
    size_t before = step;
    while (before > 0 && plan->lane[before - 1] != plan->lane[step]) before--;
    if (before > 0) {
        *now = clocks[before - 1];
        now->over[plan->lane[step]] = (uint32_t)before;
    }
    for (size_t i = step; i-- > first;) {
        if (plan->lane[i] == plan->lane[step] || now->over[plan->lane[i]] > i || !conflict(&all[i], &all[step])) continue;
        uint32_t *waits = realloc(plan->waits, (plan->wait_count + 1) * sizeof *waits);
        if (!waits) return error_no_memory(err, "planning a graph", (plan->wait_count + 1) * sizeof *waits);
        plan->waits = waits;
        plan->waits[plan->wait_count++] = (uint32_t)i;
        plan->waited_for[i] = true;
        merge(now, &clocks[i]);
        now->over[plan->lane[i]] = (uint32_t)i + 1;
    }
    return STATUS_OK;
}

status nn_lane_plan_find_waits(nn_lane_plan *plan, const nn_draft *d, const uint32_t *order, const nn_call *calls,
                               error *err)
{
    size_t count = d->node_count;
    touched *all = malloc((count + 1) * sizeof *all);
    clock *clocks = calloc(count + 1, sizeof *clocks);
    status result = STATUS_OK;
    if (!all || !clocks) result = error_no_memory(err, "planning a graph", count * sizeof *all);
    plan->wait_count = 0;
    memset(plan->waited_for, 0, count * sizeof *plan->waited_for);
    memset(plan->wait_end, 0, d->packing * sizeof *plan->wait_end);
    for (size_t step = d->packing; step < count && result == STATUS_OK; step++) {
        all[step] = touched_by(d, &d->nodes[order[step]], &calls[step]);
        result = find_waits(plan, all, clocks, d->packing, step, err);
        plan->wait_end[step] = (uint32_t)plan->wait_count;
    }
    free(all);
    free(clocks);
    return result;
}

status nn_lane_plan_create(nn_lane_plan *plan, size_t count, error *err)
{
    *plan = (nn_lane_plan){.lane = calloc(count + 1, sizeof *plan->lane),
                           .wait_end = calloc(count + 1, sizeof *plan->wait_end),
                           .waited_for = calloc(count + 1, sizeof *plan->waited_for)};
    if (plan->lane && plan->wait_end && plan->waited_for) return STATUS_OK;
    nn_lane_plan_free(plan);
    return error_no_memory(err, "planning a graph", count * sizeof *plan->wait_end);
}

void nn_lane_plan_free(nn_lane_plan *plan)
{
    free(plan->lane);
    free(plan->waits);
    free(plan->wait_end);
    free(plan->waited_for);
    *plan = (nn_lane_plan){0};
}
