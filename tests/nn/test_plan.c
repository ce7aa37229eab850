/* The planner's promises, checked by playing a plan through: whatever the order of execution, each node finds its
 * inputs whole, works in place only where its operation allows that, and effects come last, as appended. */
#include "nn/plan.h"

#include "base/rng.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "test.h"

enum { UNIT = 64 /* bytes; offsets are multiples */, SCRATCH = UINT32_MAX - 1 };

typedef struct planned {
    nn_backend *backend;
    nn_graph *graph;
    nn_parameters *set;
    nn_block pool, judged;
    nn_draft draft;
    error err;
} planned;

/* How a step is planned: as the network is built, fused, or fused and with weights that stay and are prepacked. */
typedef enum planning { UNFUSED, FUSED, PREPACKED, PLANNINGS } planning;

/* A generator's training step as in gan/programs.c: cycle, judgement, Adam, moving average, pool. Without what changes the
 * weights, if they are to stay. */
static void build(planned *p, const model_generator_options *options, size_t side, bool weights_stay)
{
    nn_graph *g = p->graph;
    nn_parameters *set = p->set;
    nn_shape shape = nn_shape_of(1, side, side, 3);
    model_discriminator_options judge = {.kind = MODEL_N_LAYERS, .ndf = 4, .in_channels = 3, .layers = 1};
    model_trainables trained = {0};
    nn_value x = nn_input(g, "x", shape), gradients[128];
    nn_value fake = model_generator_build(g, set, "A.", options, x, &trained);
    nn_value back = model_generator_build(g, set, "B.", options, fake, &trained);
    nn_value scores = model_discriminator_build(g, set, "D.", &judge, fake, NULL);
    nn_value loss = nn_add(g, nn_mean_abs(g, back, x, 0), nn_mean_square(g, scores, NN_NONE, 1));
    nn_output(g, loss);
    nn_output(g, back); /* whose last use is long before the end */
    nn_grad(g, loss, trained.values, trained.count, gradients);
    for (size_t i = 0; i < trained.count; i++)
        nn_store(g, gradients[i], &set->blocks[NN_GRADIENT], set->tensors[trained.tensors[i]].offset);
    model_trainables_free(&trained);
    if (weights_stay) { /* and beside all that something that waits for nothing else */
        nn_output(g, model_discriminator_build(g, set, "D.", &judge, nn_input(g, "other", shape), NULL));
        return;
    }
    nn_shape all = nn_shape_vector(set->total);
    nn_value weights = nn_memory(g, "p", all, &set->blocks[NN_DATA], 0);
    nn_value gradient = nn_memory(g, "g", all, &set->blocks[NN_GRADIENT], 0);
    nn_value norm = nn_squared_norm(g, gradient), flag = nn_all_finite(g, (nn_value[]){loss, norm}, 2);
    nn_adam_options adam = {0.5, 0.999, 1e-8f, 0};
    nn_adam(g, weights, gradient, nn_memory(g, "m", all, &set->blocks[NN_ADAM_M], 0),
            nn_memory(g, "v", all, &set->blocks[NN_ADAM_V], 0), nn_input(g, "rates", nn_shape_vector(2)), flag, norm,
            &adam);
    nn_ema(g, nn_memory(g, "average", all, &set->blocks[NN_AVERAGE], 0), weights,
           nn_input(g, "rate", nn_shape_scalar()), flag);
    nn_value decision = nn_input(g, "decision", nn_shape_scalar());
    nn_store(g, nn_pool_swap(g, nn_memory(g, "pool", shape, &p->pool, 0), fake, decision), &p->judged, 0);
}

static status set_up(planned *p, const model_generator_options *options, size_t side, planning how)
{
    *p = (planned){.graph = nn_graph_create(), .set = nn_parameters_create()};
    TRY(nn_cpu_create(1, &p->backend, &p->err));
    build(p, options, side, how == PREPACKED);
    TRY(nn_graph_status(p->graph, &p->err));
    TRY(nn_draft_create(&p->draft, p->graph, p->backend, &p->err));
    TRY(nn_draft_prune(&p->draft, &p->err));
    if (how != UNFUSED) TRY(nn_draft_fuse(&p->draft, &p->err));
    TRY(nn_draft_choose_layouts(&p->draft, &p->err));
    TRY(nn_draft_list_changes(&p->draft, &p->err));
    return how == PREPACKED ? nn_draft_prepack(&p->draft, &p->err) : STATUS_OK;
}

static void tear_down(planned *p)
{
    nn_draft_free(&p->draft);
    nn_graph_destroy(p->graph);
    nn_parameters_destroy(p->set);
    nn_backend_destroy(p->backend);
}

static void check_order(test *t, const nn_draft *d, const uint32_t *order)
{
    size_t *step_of = malloc(d->node_count * sizeof *step_of), effects = 0;
    for (size_t n = 0; n < d->node_count; n++) step_of[n] = SIZE_MAX;
    for (size_t step = 0; step < d->node_count; step++) {
        CHECK(t, order[step] < d->node_count && step_of[order[step]] == SIZE_MAX); /* each node once */
        CHECK(t, (step < d->packing) == (order[step] < d->packing));
        step_of[order[step]] = step;
    }
    uint32_t last = 0;
    for (size_t step = 0; step < d->node_count; step++) {
        const nn_node *node = &d->nodes[order[step]];
        for (size_t i = 0; i < node->input_count; i++) {
            const nn_value_info *v = &d->values[node->input[i]];
            if (v->kind == NN_VALUE_COMPUTED) CHECK(t, step_of[v->producer] < step);
        }
        bool effect = nn_op_def_of(node->op)->effect;
        CHECK(t, effect || effects == 0); /* nothing ordinary after the first effect */
        CHECK(t, !effect || effects == 0 || order[step] > last);
        if (effect) last = order[step];
        effects += effect;
    }
    CHECK(t, effects == (d->packing ? 0 : 4));
    free(step_of);
}

/* Memory in units, each marked with the value that was written there last: the arena, and behind it what lasts. */
typedef struct stage {
    const nn_draft *d;
    const nn_memory_plan *plan;
    uint32_t *owner;
} stage;

typedef struct extent {
    size_t begin, end; /* units; the same for none */
} extent;

static extent extent_of(const stage *s, uint32_t storage, size_t bytes)
{
    if (storage == NN_NO_STORAGE) return (extent){0, 0};
    size_t begin = (s->plan->offset[storage] + (s->plan->lasts[storage] ? s->plan->bytes : 0)) / UNIT;
    return (extent){begin, begin + (bytes + UNIT - 1) / UNIT};
}

static extent extent_of_value(const stage *s, nn_value v)
{
    return extent_of(s, s->plan->storage_of[v], nn_draft_bytes(s->d, v));
}

static bool meet(extent a, extent b) { return a.begin < b.end && b.begin < a.end; }

static void mark(stage *s, extent e, uint32_t owner)
{
    for (size_t i = e.begin; i < e.end; i++) s->owner[i] = owner;
}

static bool whole(const stage *s, nn_value v)
{
    extent e = extent_of_value(s, v);
    for (size_t i = e.begin; i < e.end; i++)
        if (s->owner[i] != v) return false;
    return true;
}

static void play_node(test *t, stage *s, uint32_t n)
{
    const nn_node *node = &s->d->nodes[n];
    extent scratch = extent_of(s, s->plan->workspace[n], s->d->calls[n].workspace_bytes);
    for (size_t i = 0; i < node->input_count; i++) {
        extent in = extent_of_value(s, node->input[i]);
        if (!whole(s, node->input[i]))
            test_failed(t, __FILE__, __LINE__, "node %u %s: input %zu was overwritten", n, nn_op_name(node->op), i);
        CHECK(t, !meet(in, scratch));
        for (size_t k = 0; k < node->output_count; k++) {
            extent out = extent_of_value(s, node->output[k]);
            bool in_place = k == 0 && (nn_op_def_of(node->op)->in_place >> i & 1) && in.begin == out.begin;
            if (meet(in, out) && !in_place)
                test_failed(t, __FILE__, __LINE__, "node %u %s: output %zu over input %zu", n, nn_op_name(node->op), k,
                            i);
        }
    }
    mark(s, scratch, SCRATCH);
    for (size_t k = 0; k < node->output_count; k++) {
        extent out = extent_of_value(s, node->output[k]);
        CHECK(t, !meet(out, scratch) && (k == 0 || !meet(out, extent_of_value(s, node->output[0]))));
        CHECK(t, (out.begin == out.end) == (s->d->values[node->output[k]].block != NULL));
        mark(s, out, node->output[k]);
    }
}

/* A run with packing, and one without, before which another program has written all over the arena. */
static void play(test *t, const nn_draft *d, const nn_memory_plan *plan, const uint32_t *order)
{
    size_t units = (plan->bytes + plan->lasting_bytes) / UNIT;
    stage s = {d, plan, malloc((units + 1) * sizeof *s.owner)};
    for (size_t i = 0; i < units; i++) s.owner[i] = NN_NONE;
    for (size_t first = 0; first <= d->packing; first += d->packing + (d->packing == 0)) {
        mark(&s, (extent){0, plan->bytes / UNIT}, NN_NONE);
        for (size_t v = 0; v < d->value_count; v++) {
            CHECK(t, extent_of_value(&s, (nn_value)v).end <= units);
            if (d->values[v].kind == NN_VALUE_INPUT) mark(&s, extent_of_value(&s, (nn_value)v), (uint32_t)v);
        }
        for (size_t step = first; step < d->node_count; step++) play_node(t, &s, order[step]);
        for (size_t v = 0; v < d->value_count; v++)
            if (d->values[v].is_output) CHECK(t, whole(&s, (nn_value)v));
    }
    free(s.owner);
}

/* Of all that is packed and read by others than nodes that pack. */
static size_t lasting_bytes(const nn_draft *d)
{
    size_t bytes = 0;
    for (nn_value v = 0; v < d->value_count; v++) {
        bool is_read = d->values[v].is_output;
        for (size_t n = d->packing; n < d->node_count; n++)
            for (size_t i = 0; i < d->nodes[n].input_count; i++) is_read |= d->nodes[n].input[i] == v;
        if (is_read && nn_draft_is_packed(d, v)) bytes += (nn_draft_bytes(d, v) + UNIT - 1) / UNIT * UNIT;
    }
    return bytes;
}

static void check_plans(test *t, const model_generator_options *options, size_t side)
{
    for (planning how = UNFUSED; how < PLANNINGS; how++) {
        planned p;
        REQUIRE_OK(t, set_up(&p, options, side, how), p.err);
        CHECK(t, (p.draft.packing > 0) == (how == PREPACKED));
        uint32_t *order = malloc(p.draft.node_count * sizeof *order);
        size_t bytes[NN_ORDERS][2];
        for (int kind = 0; kind < NN_ORDERS; kind++)
            for (int reuse = 0; reuse < 2; reuse++) {
                nn_memory_plan plan;
                REQUIRE_OK(t, nn_draft_schedule(&p.draft, (nn_order)kind, order, &p.err), p.err);
                REQUIRE_OK(t, nn_memory_plan_create(&plan, &p.draft, order, reuse, 0, &p.err), p.err);
                check_order(t, &p.draft, order);
                play(t, &p.draft, &plan, order);
                bytes[kind][reuse] = plan.bytes;
                CHECK(t, plan.lasting_bytes == lasting_bytes(&p.draft));
                nn_memory_plan_free(&plan);
            }
        for (int kind = 0; kind < NN_ORDERS; kind++) CHECK(t, bytes[kind][1] < bytes[kind][0]);
        free(order);
        tear_down(&p);
    }
}

enum { LANES = 3, INTERLEAVINGS = 20 };

static const void *place(const nn_memory_plan *plan, const char *base, uint32_t storage)
{
    if (storage == NN_NO_STORAGE) return NULL;
    return base + (plan->lasts[storage] ? plan->bytes : 0) + plan->offset[storage];
}

/* Calls in order of execution, as program.c binds them, but for blocks. */
static void bind(const nn_draft *d, const nn_memory_plan *plan, const char *base, const uint32_t *order, nn_call *calls)
{
    for (size_t step = 0; step < d->node_count; step++) {
        const nn_node *node = &d->nodes[order[step]];
        nn_call *call = &calls[step];
        *call = d->calls[order[step]];
        for (size_t i = 0; i < node->input_count; i++) call->input[i] = place(plan, base, plan->storage_of[node->input[i]]);
        for (size_t i = 0; i < node->output_count; i++)
            call->output[i] = (float *)(uintptr_t)place(plan, base, plan->storage_of[node->output[i]]);
        call->workspace = (void *)(uintptr_t)place(plan, base, plan->workspace[order[step]]);
    }
}

/* Some order in which lanes that do not wait for anything else may run. Returns how often the lane changed. */
static size_t interleave(const nn_draft *d, const nn_lane_plan *plan, const uint32_t *order, uint64_t seed,
                         uint32_t *out)
{
    bool *done = calloc(d->node_count, sizeof *done);
    size_t changes = 0, last = 0;
    uint32_t throw = 0;
    for (size_t i = 0; i < d->node_count;) {
        size_t lane = rng_below(seed, RNG_TEST, 0, throw++, LANES), step = 0;
        while (step < d->node_count && (done[step] || plan->lane[step] != lane)) step++;
        if (step == d->node_count) continue;
        bool waits = i < d->packing && step >= d->packing; /* they are over before lanes begin */
        for (size_t k = step ? plan->wait_end[step - 1] : 0; k < plan->wait_end[step]; k++) waits |= !done[plan->waits[k]];
        if (waits) continue;
        done[step] = true;
        out[i++] = order[step];
        changes += lane != last;
        last = lane;
    }
    free(done);
    return changes;
}

/* Whatever the lanes' speeds, nobody's memory is taken, and no input is missing. */
static void check_lanes(test *t, planning how)
{
    model_generator_options o = {.kind = MODEL_RESNET_6, .ngf = 4, .in_channels = 3, .out_channels = 3};
    planned p;
    REQUIRE_OK(t, set_up(&p, &o, 16, how), p.err);
    size_t count = p.draft.node_count, base_bytes = 0, changes = 0;
    uint32_t *order = malloc(count * sizeof *order), *mixed = malloc(count * sizeof *mixed);
    nn_call *calls = malloc(count * sizeof *calls);
    for (size_t linger = 0; linger < 10; linger += 9) {
        nn_lane_plan plan;
        nn_memory_plan memory;
        REQUIRE_OK(t, nn_lane_plan_create(&plan, count, &p.err), p.err);
        REQUIRE_OK(t, nn_draft_schedule_lanes(&p.draft, LANES, order, plan.lane, &p.err), p.err);
        REQUIRE_OK(t, nn_memory_plan_create(&memory, &p.draft, order, true, linger, &p.err), p.err);
        check_order(t, &p.draft, order);
        play(t, &p.draft, &memory, order);
        char *base = malloc(memory.bytes + memory.lasting_bytes);
        bind(&p.draft, &memory, base, order, calls);
        REQUIRE_OK(t, nn_lane_plan_find_waits(&plan, &p.draft, order, calls, &p.err), p.err);
        CHECK(t, plan.wait_count > 0 && memory.bytes >= base_bytes);
        for (size_t i = 0; i < plan.wait_count; i++) CHECK(t, plan.waits[i] >= p.draft.packing);
        base_bytes = memory.bytes;
        for (int i = 0; i < INTERLEAVINGS; i++) {
            changes += interleave(&p.draft, &plan, order, (uint64_t)i, mixed);
            play(t, &p.draft, &memory, mixed);
        }
        free(base);
        nn_memory_plan_free(&memory);
        nn_lane_plan_free(&plan);
    }
    CHECK(t, changes > INTERLEAVINGS * count / 10); /* they did run beside one another */
    free(order);
    free(mixed);
    free(calls);
    tear_down(&p);
}

static void lanes_may_run_at_any_speed(test *t)
{
    check_lanes(t, FUSED);
    check_lanes(t, PREPACKED);
}

static void resnets(test *t)
{
    model_generator_options o = {.kind = MODEL_RESNET_6, .ngf = 8, .in_channels = 3, .out_channels = 3};
    check_plans(t, &o, 16);
    o.ngf = 2;
    o.upsample = MODEL_TRANSPOSE;
    check_plans(t, &o, 32);
}

static void unets(test *t)
{
    model_generator_options o = {.kind = MODEL_UNET_128, .ngf = 2, .in_channels = 3, .out_channels = 3};
    check_plans(t, &o, 128);
}

TEST_MAIN(TEST(resnets), TEST(unets), TEST(lanes_may_run_at_any_speed))
