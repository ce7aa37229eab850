/* Programs in bf16 beside the same ones in fp32: results and gradients within bounds and not the same, what stays fp32
 * to the bit, and where bf16 is refused. The kernels' own bounds are in test_conv and test_winograd. */
#include "base/rng.h"
#include "nn/cpu/cpu.h"
#include "nn/parameters.h"
#include "nn/program.h"
#include "test.h"

enum { SIDE = 32, INPUTS = 5, RESULTS = 5 };

static const nn_program_options bf16 = {.precision = NN_BF16};

static nn_backend *open_backend(test *t)
{
    nn_backend *backend = NULL;
    error err = {0};
    if (nn_cpu_create(2, &backend, &err) != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    return backend;
}

static bool has_bf16(const nn_backend *backend) { return nn_precision_check(backend, NN_BF16, NULL) == STATUS_OK; }

/* NULL where there is no bf16: the test is skipped then, and failed where there is no backend. */
static nn_backend *open_with_bf16(test *t)
{
    nn_backend *backend = open_backend(t);
    if (!backend || has_bf16(backend)) return backend;
    nn_backend_destroy(backend);
    t->skipped = "this CPU has no AVX512-BF16, or ONEDNN_MAX_CPU_ISA forbids it";
    return NULL;
}

/* A picture through layers of every kind, to a loss; and the gradients of all weights and of the picture. */
typedef struct net {
    nn_graph *graph;
    nn_value inputs[INPUTS]; /* picture, weights */
    nn_value results[RESULTS + 1];
} net;

static void build(net *n)
{
    nn_graph *g = n->graph = nn_graph_create();
    nn_value *in = n->inputs, *out = n->results;
    in[0] = nn_input(g, "picture", nn_shape_of(1, SIDE, SIDE, 16));
    in[1] = nn_input(g, "winograd", nn_shape_of(32, 16, 3, 3));
    in[2] = nn_input(g, "strided", nn_shape_of(48, 32, 3, 3));
    in[3] = nn_input(g, "transposed", nn_shape_of(48, 32, 3, 3));
    in[4] = nn_input(g, "thin", nn_shape_of(3, 32, 7, 7));
    nn_value v = nn_tanh(g, nn_instance_norm(g, nn_conv2d(g, in[0], in[1], 1, 1), 1e-5f));
    v = nn_tanh(g, nn_instance_norm(g, nn_conv2d(g, v, in[2], 2, 1), 1e-5f));
    v = nn_tanh(g, nn_instance_norm(g, nn_conv2d_transpose(g, v, in[3], 2, 1, 1), 1e-5f));
    v = nn_conv2d(g, nn_pad(g, v, NN_PAD_REFLECT, 3), in[4], 1, 0);
    nn_value loss = nn_mean_square(g, v, NN_NONE, 1);
    nn_grad(g, loss, in, INPUTS, out);
    out[RESULTS] = v;
    for (int i = 0; i <= RESULTS; i++) nn_output(g, out[i]);
}

/* A number of `poisoned`, if any, becomes NaN. The caller frees the results. */
static void run(test *t, const net *n, nn_backend *backend, const nn_program_options *options, int poisoned,
                float *results[RESULTS + 1])
{
    error err = {0};
    nn_program *p;
    nn_arena arena = {0};
    REQUIRE_OK(t, nn_graph_status(n->graph, &err), err);
    REQUIRE_OK(t, nn_program_create(n->graph, backend, options, &p, &err), err);
    REQUIRE_OK(t, nn_arena_bind(&arena, backend, &p, 1, &err), err);
    for (int i = 0; i < INPUTS; i++) {
        size_t count = nn_count(nn_shape_at(n->graph, n->inputs[i]));
        float *values = malloc(count * sizeof *values);
        for (size_t k = 0; k < count; k++) values[k] = 0.1f * rng_normal(7, RNG_TEST, (uint64_t)i, (uint32_t)k);
        if (i == poisoned) values[count / 2] = NAN;
        nn_program_write(p, n->inputs[i], values);
        free(values);
    }
    nn_program_run(p);
    for (int i = 0; i <= RESULTS; i++) {
        results[i] = malloc(nn_count(nn_shape_at(n->graph, n->results[i])) * sizeof(float));
        nn_program_read(p, n->results[i], results[i]);
    }
    nn_program_destroy(p);
    nn_arena_free(&arena);
}

static void free_results(float *results[RESULTS + 1])
{
    for (int i = 0; i <= RESULTS; i++) free(results[i]);
}

/* Errors of the layers add up on the way: the bound is for the whole. Behind a ReLU the gradients would be off by 0.1
 * in any bf16, since rounding changes which values are below zero. */
static void results_and_gradients_are_near(test *t)
{
    nn_backend *backend = open_with_bf16(t);
    if (!backend) return;
    net n;
    float *exact[RESULTS + 1], *rounded[RESULTS + 1];
    build(&n);
    run(t, &n, backend, NULL, -1, exact);
    run(t, &n, backend, &bf16, -1, rounded);
    for (int i = 0; i <= RESULTS; i++) {
        double off = test_relative(rounded[i], exact[i], nn_count(nn_shape_at(n.graph, n.results[i])));
        if (!(off < 4e-2 && off > 1e-4))
            test_failed(t, __FILE__, __LINE__, "result %d: %g from fp32, expected 1e-4 to 4e-2", i, off);
    }
    free_results(exact);
    free_results(rounded);
    nn_graph_destroy(n.graph);
    nn_backend_destroy(backend);
}

static void reuse_and_repetition_keep_the_bits(test *t)
{
    nn_backend *backend = open_with_bf16(t);
    if (!backend) return;
    net n;
    float *first[RESULTS + 1], *again[RESULTS + 1], *apart[RESULTS + 1];
    build(&n);
    run(t, &n, backend, &bf16, -1, first);
    run(t, &n, backend, &bf16, -1, again);
    run(t, &n, backend, &(nn_program_options){.precision = NN_BF16, .no_reuse = true}, -1, apart);
    for (int i = 0; i <= RESULTS; i++) {
        size_t bytes = nn_count(nn_shape_at(n.graph, n.results[i])) * sizeof(float);
        CHECK(t, memcmp(first[i], again[i], bytes) == 0);
        CHECK(t, memcmp(first[i], apart[i], bytes) == 0);
    }
    free_results(first);
    free_results(again);
    free_results(apart);
    nn_graph_destroy(n.graph);
    nn_backend_destroy(backend);
}

/* Rounding must not make a number of it: the flag of a training step finds it in the loss and the gradients. */
static void nan_stays_nan(test *t)
{
    nn_backend *backend = open_with_bf16(t);
    if (!backend) return;
    net n;
    build(&n);
    for (int poisoned = 0; poisoned < INPUTS; poisoned++) {
        float *results[RESULTS + 1];
        run(t, &n, backend, &bf16, poisoned, results);
        size_t count = nn_count(nn_shape_at(n.graph, n.results[RESULTS])), found = 0;
        for (size_t k = 0; k < count; k++) found += isnan(results[RESULTS][k]) != 0;
        if (found == 0) test_failed(t, __FILE__, __LINE__, "a NaN in input %d left no trace", poisoned);
        free_results(results);
    }
    nn_graph_destroy(n.graph);
    nn_backend_destroy(backend);
}

static void refused_where_there_is_none(test *t)
{
    nn_backend *backend = open_backend(t);
    REQUIRE(t, backend);
    const nn_backend_interface *own = backend->interface;
    nn_backend_interface other = *own;
    other.name = "other";
    other.check_precision = NULL;
    backend->interface = &other;
    net n;
    nn_program *p;
    error err = {0};
    build(&n);
    CHECK(t, nn_program_create(n.graph, backend, &bf16, &p, &err) == STATUS_FAILED && !p);
    CHECK_TEXT(t, err.message, "precision bf16: the other backend computes in fp32 alone");
    REQUIRE_OK(t, nn_program_create(n.graph, backend, NULL, &p, &err), err);
    nn_program_destroy(p);
    backend->interface = own;
    nn_graph_destroy(n.graph);
    nn_backend_destroy(backend);
}

TEST_MAIN(TEST(results_and_gradients_are_near), TEST(reuse_and_repetition_keep_the_bits), TEST(nan_stays_nan),
          TEST(refused_where_there_is_none))
