/* A generator's gradients on the CUDA backend beside the CPU's, in every precision and tensor by tensor: of two batches,
 * which is what a training step has, by themselves, joined to one, and without what the planner joins.
 *
 * Rounding by d puts about as many of a layer's activations on the other side of ReLU's kink, which changes gradients by
 * sqrt(d), in each layer anew. After six blocks, twice, and with a loss that has kinks itself (check_steps.c), gradients in
 * bf16 have little to do with those in fp32. This generator has a single block and its loss is linear: in twenty draws
 * (emulated, 8 channels) no tensor was off by more than 0.2 in bf16 and 0.09 in TF32, nor its length by more than 0.05. A
 * lost tap of 3x3 puts a tensor off by 0.36, a border of zeros instead of mirrored pixels by 1.2, and half of a joined
 * batch that is lost by 0.7. Ways to the same sums differ in their last bits alone, unless
 * another shape is computed by another algorithm, cuBLASLt's or Winograd's, whose rounding kinks multiply too.
 *
 * And its results with weights that are prepacked, beside those of weights that each run converts. */
#include "cuda/check.h"

#include "models/generator.h"
#include "models/initialise.h"

enum { BATCHES = 2, BATCH = 2, SIDE = 16 };

typedef struct network {
    nn_graph *graph;
    nn_parameters *set;
    nn_value x[BATCHES], r[BATCHES]; /* r: the result's weights in the loss */
    model_trainables trained;
    nn_value *gradients;
} network;

/* The loss is sum of mean |y r + 10^4|, linear in y. */
static nn_value loss_of(nn_graph *g, nn_value y, nn_value r)
{
    return nn_mean_abs(g, nn_multiply(g, y, r), NN_NONE, -1e4f);
}

static network build(const model_generator_options *options, bool joined)
{
    nn_shape shape = nn_shape_of(BATCH, SIDE, SIDE, options->in_channels);
    network n = {.graph = nn_graph_create(), .set = nn_parameters_create()};
    nn_graph *g = n.graph;
    for (int i = 0; i < BATCHES; i++) n.x[i] = nn_input(g, "x", shape);
    for (int i = 0; i < BATCHES; i++) n.r[i] = nn_input(g, "r", shape);
    nn_value both = NN_NONE, total = NN_NONE;
    if (joined) both = model_generator_build(g, n.set, "", options, nn_concat(g, n.x, BATCHES, NN_N), &n.trained);
    for (int i = 0; i < BATCHES; i++) {
        nn_value y = joined ? nn_slice(g, both, NN_N, (size_t)i * BATCH, BATCH)
                            : model_generator_build(g, n.set, "", options, n.x[i], &n.trained);
        nn_value loss = loss_of(g, y, n.r[i]);
        total = i == 0 ? loss : nn_add(g, total, loss);
    }
    n.gradients = malloc(n.trained.count * sizeof *n.gradients);
    nn_grad(g, total, n.trained.values, n.trained.count, n.gradients);
    for (size_t i = 0; i < n.trained.count; i++) nn_output(g, n.gradients[i]);
    return n;
}

static void destroy(network *n)
{
    model_trainables_free(&n->trained);
    free(n->gradients);
    nn_graph_destroy(n->graph);
    nn_parameters_destroy(n->set);
}

/* Of all tensors, one behind the other. */
static float *read_gradients(const nn_program *p, const network *n)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n->trained.count; i++) total += nn_count(nn_shape_at(n->graph, n->gradients[i]));
    float *out = malloc(total * sizeof *out);
    for (size_t i = 0; i < n->trained.count; at += nn_count(nn_shape_at(n->graph, n->gradients[i++])))
        nn_program_read(p, n->gradients[i], out + at);
    return out;
}

/* NULL, and told: it failed. */
static float *gradients_on(test *t, nn_backend *backend, const nn_program_options *planning, network *n)
{
    error err = {0};
    nn_program *p = NULL;
    nn_arena arena = {0};
    float *out = NULL;
    status result = nn_graph_status(n->graph, &err);
    if (result == STATUS_OK) result = nn_parameters_allocate(n->set, backend, 0, &err);
    if (result == STATUS_OK) result = model_initialise(n->set, check_setting("CHECK_SEED", 1), 0, &err);
    if (result == STATUS_OK) result = nn_program_create(n->graph, backend, planning, &p, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &p, 1, &err);
    if (result == STATUS_OK) {
        for (int i = 0; i < BATCHES; i++) {
            check_write_noise(p, n->graph, n->x[i], 2 * (uint32_t)i);
            check_write_noise(p, n->graph, n->r[i], 2 * (uint32_t)i + 1);
        }
        nn_program_run(p);
        out = read_gradients(p, n);
        result = nn_backend_check(backend, &err);
    }
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    return out;
}

static double length_of(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
    return sqrt(sum);
}

/* Tensor by tensor: ||actual - expected|| / ||expected||, and how much longer or shorter. */
static void compare(test *t, const network *n, const char *what, const float *actual, const float *expected, double bound,
                    double length_bound)
{
    double most = 0, most_length = 0;
    for (size_t i = 0, at = 0, count; i < n->trained.count; i++, at += count) {
        count = nn_count(nn_shape_at(n->graph, n->gradients[i]));
        double off = test_relative(actual + at, expected + at, count);
        double length = fabs(length_of(actual + at, count) / length_of(expected + at, count) - 1);
        if (!(off <= bound && length <= length_bound))
            test_failed(t, __FILE__, __LINE__, "%s: the gradient of %s is off by %.3g, its length by %.3g; bounds %.3g, %.3g",
                        what, n->set->tensors[n->trained.tensors[i]].name, off, length, bound, length_bound);
        most = fmax(most, off), most_length = fmax(most_length, length);
    }
    printf("%s: the gradients are off by %.2g, their lengths by %.2g\n", what, most, most_length);
}

/* The network's gradients on a device: each batch by itself, both as one, and without fusion. */
enum { APART, JOINED, UNFUSED, WAYS };

static void check_device(test *t, const check_precision *p, const model_generator_options *options, const float *expected)
{
    static const char *const names[WAYS] = {"", ", two batches joined", ", nothing fused"};
    error err = {0};
    nn_backend *device;
    float *actual[WAYS];
    network n[WAYS];
    REQUIRE_OK(t, check_create_device(p, &device, &err), err);
    double bound = 3 * sqrt(p->bound), length_bound = 0.08;
    for (int way = 0; way < WAYS; way++) {
        const nn_program_options planning = {.precision = p->precision, .no_fusion = way == UNFUSED};
        n[way] = build(options, way == JOINED);
        actual[way] = gradients_on(t, device, &planning, &n[way]);
    }
    /* In TF32 it depends on the shape what Winograd does; on a device what cuBLASLt does, which the emulated one has once. */
    bool rounds_alike = !p->tf32 && check_is_emulated(device);
    for (int way = 0; way < WAYS && actual[APART] && actual[way]; way++) {
        char what[64];
        snprintf(what, sizeof what, "%s%s", p->name, names[way]);
        if (way == APART)
            compare(t, &n[way], what, actual[way], expected, bound, length_bound);
        else
            compare(t, &n[way], what, actual[way], actual[APART], rounds_alike ? 1e-5 : bound, length_bound);
    }
    for (int way = 0; way < WAYS; way++) {
        free(actual[way]);
        destroy(&n[way]);
    }
    nn_backend_destroy(device);
}

static void gradients(test *t)
{
    const model_generator_options options = {.kind = MODEL_RESNET_6, .blocks = 1, .ngf = check_setting("CHECK_NGF", 8),
                                             .in_channels = 3, .out_channels = 3};
    error err = {0};
    nn_backend *cpu;
    REQUIRE_OK(t, check_create_cpu(&cpu, &err), err);
    network n = build(&options, false);
    float *expected = gradients_on(t, cpu, NULL, &n);
    for (int i = 0; i < CHECK_PRECISIONS && expected; i++) check_device(t, &check_precisions[i], &options, expected);
    free(expected);
    destroy(&n);
    nn_backend_destroy(cpu);
}

enum { ROUNDS = 2, RUNS = 4, PICTURES = BATCH * SIDE * SIDE * 3 };

/* The generator's results on noise, of RUNS runs with each of ROUNDS sets of weights; all runs with the same are the same.
 */
static status run_generator(test *t, nn_backend *device, const nn_program_options *planning,
                            const model_generator_options *options, float out[ROUNDS][PICTURES], error *err)
{
    nn_graph *g = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_program *p = NULL;
    nn_arena arena = {0};
    nn_value x = nn_input(g, "x", nn_shape_of(BATCH, SIDE, SIDE, 3)), y = model_generator_build(g, set, "", options, x, NULL);
    nn_output(g, y);
    status result = nn_graph_status(g, err);
    if (result == STATUS_OK) result = nn_parameters_allocate(set, device, 0, err);
    if (result == STATUS_OK) result = nn_program_create(g, device, planning, &p, err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, device, &p, 1, err);
    for (uint64_t round = 0; round < ROUNDS && result == STATUS_OK; round++) {
        result = model_initialise(set, check_setting("CHECK_SEED", 1) + round, 0, err);
        for (int i = 0; i < RUNS; i++) {
            float again[PICTURES];
            check_write_noise(p, g, x, 0);
            nn_program_run(p);
            nn_program_read(p, y, i == 0 ? out[round] : again);
            if (i > 0) CHECK(t, memcmp(again, out[round], sizeof again) == 0);
        }
        if (result == STATUS_OK) result = nn_backend_check(device, err);
    }
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(g);
    nn_parameters_destroy(set);
    return result;
}

/* A device may measure other algorithms for the second program. */
static void prepacked_weights(test *t)
{
    static float y[2][ROUNDS][PICTURES];
    const model_generator_options options = {.kind = MODEL_RESNET_6, .blocks = 1, .ngf = check_setting("CHECK_NGF", 16),
                                             .in_channels = 3, .out_channels = 3};
    for (int i = 0; i < CHECK_PRECISIONS; i++) {
        const check_precision *p = &check_precisions[i];
        error err = {0};
        nn_backend *device;
        REQUIRE_OK(t, check_create_device(p, &device, &err), err);
        for (int prepack = 0; prepack < 2; prepack++) {
            const nn_program_options planning = {.precision = p->precision, .prepack = prepack};
            REQUIRE_OK(t, run_generator(t, device, &planning, &options, y[prepack], &err), err);
        }
        for (int round = 0; round < ROUNDS; round++) {
            double off = test_relative(y[1][round], y[0][round], PICTURES);
            printf("%s, prepacked: off by %.2g\n", p->name, off);
            CHECK(t, off <= (check_is_emulated(device) ? 0 : p->bound));
        }
        CHECK(t, test_relative(y[1][1], y[1][0], PICTURES) > 0.1); /* other weights */
        nn_backend_destroy(device);
    }
}

TEST_MAIN(TEST(gradients), TEST(prepacked_weights))
