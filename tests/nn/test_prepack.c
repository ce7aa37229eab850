/* Prepacking: the bits of programs without it, whoever changes the weights and whoever runs in between. */
#include "nn/program.h"
#include "program_test.h"

enum { COUNT = 2 * 12 * 10 * 16, RUNS = 4 /* the third is of a recording, where there are some */ };

/* Two convolutions with 3x3 weights, one of which is used twice, in several layouts. A bias that is computed from weights,
 * 2 relu(b), and one more network's result that is computed from weights alone. */
typedef struct net {
    nn_graph *graph;
    nn_value x, weight, y;
} net;

static nn_value layer(nn_graph *g, nn_parameters *set, const char *name, nn_value x)
{
    nn_value w = nn_parameter(g, set, name, nn_shape_of(16, 16, 3, 3));
    nn_value padded = nn_pad(g, x, NN_PAD_REFLECT, 1);
    return nn_relu(g, nn_instance_norm(g, nn_conv2d(g, padded, w, 1, 0), 1e-5f));
}

static net build(nn_parameters *set, size_t images)
{
    net n = {.graph = nn_graph_create()};
    nn_graph *g = n.graph;
    n.x = nn_input(g, "x", nn_shape_of(images, 12, 10, 16));
    nn_value a = layer(g, set, "w1", n.x), c = nn_add(g, a, layer(g, set, "w2", layer(g, set, "w2", a)));
    nn_value bias = nn_scale(g, nn_relu(g, nn_parameter(g, set, "bias", nn_shape_vector(16))), 2);
    n.weight = nn_parameter(g, set, "w3", nn_shape_of(16, 16, 3, 3));
    n.y = nn_bias(g, nn_conv2d(g, c, n.weight, 1, 1), bias);
    nn_output(g, n.y);
    return n;
}

/* The same network planned with and without, in an arena each; another program runs in the first one's arena. */
typedef struct pair {
    nn_backend *backend;
    nn_parameters *set;
    net net, other;
    nn_program *p[2], *intruder; /* without, with; with */
    nn_arena arena[2];
    error err;
} pair;

static status set_up(pair *s, const nn_program_options *options)
{
    *s = (pair){.set = nn_parameters_create()};
    TRY(nn_cpu_create(2, &s->backend, &s->err));
    s->net = build(s->set, 2);
    s->other = build(s->set, 1);
    TRY(nn_graph_status(s->net.graph, &s->err));
    TRY(nn_parameters_allocate(s->set, s->backend, NN_TRAINED, &s->err));
    for (int with = 0; with < 2; with++) {
        nn_program_options o = *options;
        o.prepack = with;
        TRY(nn_program_create(s->net.graph, s->backend, &o, &s->p[with], &s->err));
        if (with) TRY(nn_program_create(s->other.graph, s->backend, &o, &s->intruder, &s->err));
        nn_program *all[2] = {s->p[with], s->intruder};
        TRY(nn_arena_bind(&s->arena[with], s->backend, all, with ? 2 : 1, &s->err));
    }
    return STATUS_OK;
}

static void tear_down(pair *s)
{
    for (int i = 0; i < 2; i++) {
        nn_program_destroy(s->p[i]);
        nn_arena_free(&s->arena[i]);
    }
    nn_program_destroy(s->intruder);
    nn_graph_destroy(s->net.graph);
    nn_graph_destroy(s->other.graph);
    nn_parameters_destroy(s->set);
    nn_backend_destroy(s->backend);
}

static void write_weights(pair *s, uint32_t stream)
{
    float *host = malloc(s->set->total * sizeof *host);
    fill(host, s->set->total, stream);
    nn_block_write(&s->set->blocks[NN_DATA], 0, host, s->set->total);
    free(host);
}

static void run(nn_program *p, const net *n, uint32_t stream, bool profiled, float *y)
{
    float x[COUNT];
    nn_profile profile = {0};
    fill(x, COUNT, stream);
    nn_program_write(p, n->x, x);
    if (profiled)
        nn_program_run_profiled(p, &profile);
    else
        nn_program_run(p);
    nn_program_read(p, n->y, y);
}

/* Both programs give the same now, and not what is in `before`, which becomes it. */
static void compare(test *t, pair *s, uint32_t stream, bool profiled, float *before)
{
    static float y[2][COUNT], other[COUNT];
    for (int with = 0; with < 2; with++) run(s->p[with], &s->net, stream, profiled, y[with]);
    run(s->intruder, &s->other, stream, false, other); /* where the prepacked one lies but for its own memory */
    CHECK(t, nn_program_check(s->p[1], &s->err) == STATUS_OK);
    CHECK(t, isfinite(y[0][0]) && memcmp(y[0], y[1], sizeof y[0]) == 0);
    CHECK(t, memcmp(y[1], before, sizeof y[0]) != 0);
    memcpy(before, y[0], sizeof y[0]);
}

static void check_runs(test *t, const nn_program_options *options)
{
    static float before[COUNT];
    pair s;
    REQUIRE_OK(t, set_up(&s, options), s.err);
    CHECK(t, nn_program_length(s.p[1]) < nn_program_length(s.p[0]));
    CHECK(t, nn_program_packed_bytes(s.p[0]) == 0 && nn_program_packed_bytes(s.p[1]) >= 16 * sizeof(float));
    for (uint32_t weights = 0; weights < 2; weights++) {
        write_weights(&s, 100 + weights);
        for (uint32_t i = 0; i < RUNS; i++) compare(t, &s, i, false, before);
    }
    tear_down(&s);
}

static void gives_the_same_bits(test *t)
{
    for (int precision = NN_FP32; precision <= NN_BF16; precision++) {
        nn_program_options o = {.precision = (nn_precision)precision};
        pair s;
        if (set_up(&s, &o) != STATUS_OK) { /* this machine has no bf16 */
            CHECK(t, precision == NN_BF16);
            tear_down(&s);
            continue;
        }
        tear_down(&s);
        check_runs(t, &o);
        o.no_lanes = true;
        check_runs(t, &o);
        o.no_fusion = true;
        check_runs(t, &o);
        o.no_reuse = true;
        check_runs(t, &o);
    }
}

/* A program that changes the weights: p += g by Adam, whose constants make it so large a step that results differ. */
static nn_program *build_optimiser(test *t, pair *s, nn_graph *g, nn_value *rates)
{
    nn_program *p = NULL;
    nn_parameters *set = s->set;
    nn_shape all = nn_shape_vector(set->total);
    *rates = nn_input(g, "rates", nn_shape_vector(2));
    nn_value gradient = nn_memory(g, "g", all, &set->blocks[NN_GRADIENT], 0), norm = nn_squared_norm(g, gradient);
    nn_adam(g, nn_memory(g, "p", all, &set->blocks[NN_DATA], 0), gradient,
            nn_memory(g, "m", all, &set->blocks[NN_ADAM_M], 0), nn_memory(g, "v", all, &set->blocks[NN_ADAM_V], 0), *rates,
            nn_all_finite(g, &norm, 1), norm, &(nn_adam_options){0.5, 0.999, 1e-8f, 0});
    if (nn_program_create(g, s->backend, NULL, &p, &s->err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", s->err.message);
    return p;
}

/* By the host, all or a part; through a program; by another program's effects and by what another leaves; by hand, when a
 * program is bound again. Each is seen by the next run, of a recording too. */
static void every_change_is_seen(test *t)
{
    static float before[COUNT];
    pair s;
    REQUIRE_OK(t, set_up(&s, &(nn_program_options){0}), s.err);
    nn_block *weights = &s.set->blocks[NN_DATA];
    const size_t index = nn_parameters_find(s.set, "w3"), at = s.set->tensors[index].offset;
    const size_t count = nn_count(s.set->tensors[index].shape);
    float *host = malloc(s.set->total * sizeof *host);
    nn_graph *g = nn_graph_create(), *leaving = nn_graph_create();
    nn_value rates, x = nn_input(leaving, "x", nn_shape_vector(count));
    nn_store(leaving, nn_scale(leaving, x, 3), weights, at);
    nn_program *others[2] = {build_optimiser(t, &s, g, &rates)};
    REQUIRE_OK(t, nn_program_create(leaving, s.backend, NULL, &others[1], &s.err), s.err);
    nn_arena arena = {0};
    REQUIRE_OK(t, nn_arena_bind(&arena, s.backend, others, 2, &s.err), s.err);
    fill(host, s.set->total, 9);
    nn_block_write(&s.set->blocks[NN_GRADIENT], 0, host, s.set->total);
    write_weights(&s, 100);
    for (uint32_t i = 0; i < RUNS; i++) compare(t, &s, i, false, before);
    for (uint32_t round = 0; round < RUNS; round++) {
        fill(host, s.set->total, 200 + round);
        nn_parameters_write(s.set, NN_DATA, index, host);
        compare(t, &s, 0, false, before);
        fill(host, count, 300 + round);
        nn_program_write(s.p[round % 2], s.net.weight, host); /* not the one that is to see it alone */
        compare(t, &s, 0, false, before);
        nn_program_write_part(s.p[round % 2], s.net.weight, 7, 9, host);
        compare(t, &s, 0, false, before);
        nn_program_write(others[0], rates, (float[]){0.1f, 1});
        nn_program_run(others[0]);
        compare(t, &s, 0, false, before);
        nn_program_write(others[1], x, host + round);
        nn_program_run(others[1]);
        compare(t, &s, 0, round == 1, before);
        fill(host, s.set->total, 400 + round);
        s.backend->interface->write(s.backend, weights->memory, host, s.set->total * sizeof *host);
        nn_program *again[2] = {s.p[1], s.intruder};
        REQUIRE_OK(t, nn_arena_bind(&s.arena[1], s.backend, again, 2, &s.err), s.err);
        compare(t, &s, 0, false, before);
    }
    for (int i = 0; i < 2; i++) nn_program_destroy(others[i]);
    nn_arena_free(&arena);
    nn_graph_destroy(g);
    nn_graph_destroy(leaving);
    free(host);
    tear_down(&s);
}

/* A program of few numbers, and lasting memory of 16. */
typedef struct small {
    nn_backend *backend;
    nn_block memory;
    nn_graph *graph;
    nn_program *program;
    nn_arena arena;
} small;

static small begin_small(test *t)
{
    error err = {0};
    small s = {0};
    if (nn_cpu_create(1, &s.backend, &err) != STATUS_OK || nn_block_allocate(&s.memory, s.backend, 16, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    s.graph = nn_graph_create();
    return s;
}

/* Of the graph as it is now, with prepacking. */
static nn_program *bind_small(test *t, small *s)
{
    error err = {0};
    status result = nn_program_create(s->graph, s->backend, &(nn_program_options){.prepack = true}, &s->program, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&s->arena, s->backend, &s->program, 1, &err);
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    return s->program;
}

static void end_small(small *s)
{
    nn_program_destroy(s->program);
    nn_arena_free(&s->arena);
    nn_graph_destroy(s->graph);
    nn_block_free(&s->memory);
    nn_backend_destroy(s->backend);
}

/* Nothing is kept of what the program changes itself: y = x + 2 relu(m), and m, or what is left in it, becomes y. */
static void what_a_program_changes_is_not_kept(test *t)
{
    small s = begin_small(t);
    nn_graph *g = s.graph;
    nn_shape shape = nn_shape_vector(16);
    nn_value x = nn_input(g, "x", shape), m = nn_memory(g, "m", shape, &s.memory, 0);
    nn_value y = nn_add(g, x, nn_scale(g, nn_relu(g, m), 2));
    nn_output(g, y);
    nn_store(g, nn_scale(g, y, 1), &s.memory, 0);
    nn_program *p = bind_small(t, &s);
    CHECK(t, nn_program_packed_bytes(p) == 0);
    float ones[16], out[16], expected = 0;
    for (int i = 0; i < 16; i++) ones[i] = 1;
    for (int i = 0; i < RUNS; i++) {
        nn_program_write(p, x, ones);
        nn_program_run(p);
        nn_program_read(p, y, out);
        expected = 1 + 2 * expected;
        for (int k = 0; k < 16; k++) CHECK(t, out[k] == expected);
    }
    end_small(&s);
}

/* A program whose result depends on memory alone runs nothing, and gives it all the same. */
static void a_result_may_be_packed(test *t)
{
    small s = begin_small(t);
    nn_graph *g = s.graph;
    nn_value m = nn_memory(g, "m", nn_shape_vector(16), &s.memory, 0), y = nn_scale(g, nn_relu(g, m), 2);
    nn_output(g, y);
    nn_program *p = bind_small(t, &s);
    CHECK(t, nn_program_length(p) == 0);
    float in[16], out[16];
    for (int i = 0; i < 2 * RUNS; i++) {
        fill(in, 16, (uint32_t)i / 2);
        nn_block_write(&s.memory, 0, in, 16);
        nn_program_run(p);
        nn_program_read(p, y, out);
        for (int k = 0; k < 16; k++) CHECK(t, out[k] == (in[k] > 0 ? 2 * in[k] : 0));
    }
    end_small(&s);
}

/* Nor by an operation that works in place, where nothing else reads it. */
static void what_is_kept_is_not_written_over(test *t)
{
    small s = begin_small(t);
    nn_graph *g = s.graph;
    nn_shape shape = nn_shape_vector(16);
    nn_value x = nn_input(g, "x", shape), y = nn_add(g, nn_relu(g, nn_memory(g, "m", shape, &s.memory, 0)), nn_relu(g, x));
    nn_output(g, y);
    nn_program *p = bind_small(t, &s);
    float m[16], in[16], out[16];
    fill(m, 16, 1);
    nn_block_write(&s.memory, 0, m, 16);
    for (uint32_t i = 0; i < RUNS; i++) {
        fill(in, 16, 2 + i);
        nn_program_write(p, x, in);
        nn_program_run(p);
        nn_program_read(p, y, out);
        for (int k = 0; k < 16; k++) CHECK(t, out[k] == fmaxf(m[k], 0) + fmaxf(in[k], 0));
    }
    end_small(&s);
}

TEST_MAIN(TEST(gives_the_same_bits), TEST(every_change_is_seen), TEST(what_a_program_changes_is_not_kept),
          TEST(a_result_may_be_packed), TEST(what_is_kept_is_not_written_over))
