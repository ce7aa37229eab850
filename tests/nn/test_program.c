/* The planner: memory reuse and fusion change nothing, programs share an arena, running allocates nothing, errors. */
#include <errno.h>

#include "nn/program.h"
#include "program_test.h"

/* Allocations of all libraries pass through here, to be watched; a sanitizer has an allocator of its own. */
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#define WATCHES_ALLOCATIONS 1
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
#else
#define WATCHES_ALLOCATIONS 0
#endif

static bool watching;
static size_t largest_allocation;

#if WATCHES_ALLOCATIONS
static void watch(size_t bytes)
{
    if (watching && bytes > largest_allocation) largest_allocation = bytes;
}

void *malloc(size_t bytes)
{
    watch(bytes);
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    watch(count * bytes);
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    watch(bytes);
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    watch(bytes);
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    watch(bytes);
    *memory = __libc_memalign(alignment, bytes);
    return *memory ? 0 : ENOMEM;
}
#endif

/* A small network with everything that the planner moves: pads, norms, activations, a skip, a weight used twice. */
typedef struct net {
    nn_graph *graph;
    nn_parameters *set;
    nn_value x, y, loss, flag;
    nn_value rates;
} net;

static nn_value block(nn_graph *g, nn_parameters *set, const char *name, nn_value x, size_t channels)
{
    size_t in = nn_shape_at(g, x).dim[NN_C];
    nn_value w = nn_parameter(g, set, name, nn_shape_of(channels, in, 3, 3));
    nn_value padded = nn_pad(g, x, NN_PAD_REFLECT, 1);
    return nn_relu(g, nn_instance_norm(g, nn_conv2d(g, padded, w, 1, 0), 1e-5f));
}

static void build(net *n, nn_parameters *set, bool train)
{
    nn_graph *g = nn_graph_create();
    *n = (net){.graph = g, .set = set};
    n->x = nn_input(g, "x", nn_shape_of(2, 12, 10, 3));
    nn_value a = block(g, set, "w1", n->x, 16);
    nn_value b = block(g, set, "w2", a, 16);
    nn_value c = nn_add(g, a, block(g, set, "w2", b, 16));
    nn_value bias = nn_parameter(g, set, "bias", nn_shape_vector(3));
    nn_value last = nn_parameter(g, set, "w3", nn_shape_of(3, 16, 3, 3));
    n->y = nn_tanh(g, nn_bias(g, nn_conv2d(g, c, last, 1, 1), bias));
    nn_output(g, n->y);
    if (!train) return;
    n->loss = nn_mean_abs(g, n->y, n->x, 0);
    nn_output(g, n->loss);
    static const char *const names[] = {"w1", "w2", "bias", "w3"};
    nn_value wrt[4], gradients[4];
    for (size_t i = 0; i < 4; i++) {
        const nn_tensor *tensor = &set->tensors[nn_parameters_find(set, names[i])];
        wrt[i] = nn_parameter(g, set, names[i], tensor->shape);
    }
    nn_grad(g, n->loss, wrt, 4, gradients);
    for (size_t i = 0; i < 4; i++)
        nn_store(g, gradients[i], &set->blocks[NN_GRADIENT], set->tensors[nn_parameters_find(set, names[i])].offset);
    nn_shape all = nn_shape_vector(set->total);
    nn_value gradient = nn_memory(g, "gradient", all, &set->blocks[NN_GRADIENT], 0);
    nn_value norm = nn_squared_norm(g, gradient);
    n->flag = nn_all_finite(g, (nn_value[]){n->loss, norm}, 2);
    nn_output(g, n->flag);
    n->rates = nn_input(g, "rates", nn_shape_vector(2));
    nn_adam_options adam = {0.5f, 0.999f, 1e-8f, 0};
    nn_adam(g, nn_memory(g, "p", all, &set->blocks[NN_DATA], 0), gradient,
            nn_memory(g, "m", all, &set->blocks[NN_ADAM_M], 0), nn_memory(g, "v", all, &set->blocks[NN_ADAM_V], 0),
            n->rates, n->flag, norm, &adam);
}

typedef struct result {
    float *parameters, y[2 * 12 * 10 * 3], loss;
    size_t total, bytes, length;
} result;

/* Trains the network for three steps. */
static void train(test *t, const nn_program_options *options, int threads, result *out)
{
    error err = {0};
    nn_backend *backend = NULL;
    nn_program *p = NULL;
    nn_arena arena = {0};
    net n;
    float x[2 * 12 * 10 * 3], rates[2] = {0.01f, 1};
    REQUIRE_OK(t, nn_cpu_create(threads, &backend, &err), err);
    nn_parameters *set = nn_parameters_create();
    build(&n, set, true);
    REQUIRE_OK(t, nn_parameters_allocate(set, backend, NN_TRAINED, &err), err);
    float *host = calloc(set->total, sizeof *host);
    fill(host, set->total, 1);
    nn_block_write(&set->blocks[NN_DATA], 0, host, set->total);
    REQUIRE_OK(t, nn_program_create(n.graph, backend, options, &p, &err), err);
    REQUIRE_OK(t, nn_arena_bind(&arena, backend, &p, 1, &err), err);
    for (uint32_t step = 0; step < 3; step++) {
        fill(x, sizeof x / sizeof *x, 10 + step);
        nn_program_write(p, n.x, x);
        nn_program_write(p, n.rates, rates);
        nn_program_run(p);
        nn_program_read(p, n.y, out->y);
        nn_program_read(p, n.loss, &out->loss);
    }
    nn_block_read(&set->blocks[NN_DATA], 0, host, set->total);
    out->parameters = host;
    out->total = set->total;
    out->bytes = nn_program_bytes(p);
    out->length = nn_program_length(p);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(n.graph);
    nn_parameters_destroy(set);
    nn_backend_destroy(backend);
}

static void reuse_is_bit_identical(test *t)
{
    result with = {0}, without = {0}, in_lanes = {0}; /* where there are lanes, which reuse less */
    train(t, &(nn_program_options){.no_lanes = true}, 2, &with);
    train(t, &(nn_program_options){.no_reuse = true}, 2, &without);
    train(t, NULL, 2, &in_lanes);
    REQUIRE(t, with.parameters && without.parameters && in_lanes.parameters);
    CHECK(t, memcmp(with.parameters, in_lanes.parameters, with.total * sizeof(float)) == 0);
    CHECK(t, memcmp(with.y, in_lanes.y, sizeof with.y) == 0);
    CHECK(t, memcmp(with.parameters, without.parameters, with.total * sizeof(float)) == 0);
    CHECK(t, memcmp(with.y, without.y, sizeof with.y) == 0);
    CHECK(t, with.bytes < without.bytes / 2);
    CHECK(t, isfinite(with.loss) && with.loss > 0);
    free(with.parameters);
    free(without.parameters);
    free(in_lanes.parameters);
}

static void fusion_keeps_results(test *t)
{
    result fused = {0}, plain = {0};
    train(t, NULL, 2, &fused);
    train(t, &(nn_program_options){.no_fusion = true}, 2, &plain);
    REQUIRE(t, fused.parameters && plain.parameters);
    CHECK(t, fused.length < plain.length);
    CHECK(t, test_relative(fused.y, plain.y, sizeof fused.y / sizeof *fused.y) < 1e-4);
    CHECK_NEAR(t, fused.loss, plain.loss, 1e-5);
    free(fused.parameters);
    free(plain.parameters);
}

static void repeats_bit_for_bit(test *t)
{
    result first = {0}, again = {0};
    train(t, NULL, 2, &first);
    train(t, NULL, 2, &again);
    REQUIRE(t, first.parameters && again.parameters);
    CHECK(t, memcmp(first.parameters, again.parameters, first.total * sizeof(float)) == 0);
    free(first.parameters);
    free(again.parameters);
}

static void programs_share_an_arena(test *t)
{
    error err = {0};
    nn_backend *backend = NULL;
    REQUIRE_OK(t, nn_cpu_create(1, &backend, &err), err);
    nn_parameters *set = nn_parameters_create();
    net training, inference;
    build(&training, set, true);
    build(&inference, set, false);
    REQUIRE_OK(t, nn_parameters_allocate(set, backend, NN_TRAINED, &err), err);
    nn_program *p[2] = {NULL};
    nn_arena arena = {0};
    REQUIRE_OK(t, nn_program_create(training.graph, backend, NULL, &p[0], &err), err);
    REQUIRE_OK(t, nn_program_create(inference.graph, backend, NULL, &p[1], &err), err);
    REQUIRE_OK(t, nn_arena_bind(&arena, backend, p, 2, &err), err);
    CHECK(t, nn_program_bytes(p[1]) < nn_program_bytes(p[0]));
    CHECK(t, arena.bytes == nn_program_bytes(p[0]));
    for (int i = 0; i < 2; i++) nn_program_destroy(p[i]);
    nn_arena_free(&arena);
    nn_graph_destroy(training.graph);
    nn_graph_destroy(inference.graph);
    nn_parameters_destroy(set);
    nn_backend_destroy(backend);
}

static void is_given_up_when_asked(test *t)
{
    enum { COUNT = 2 * 12 * 10 * 3 };
    error err = {0};
    nn_backend *backend = NULL;
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    nn_parameters *set = nn_parameters_create();
    net n;
    build(&n, set, false);
    REQUIRE_OK(t, nn_parameters_allocate(set, backend, 0, &err), err);
    nn_program *p = NULL;
    nn_arena arena = {0};
    REQUIRE_OK(t, nn_program_create(n.graph, backend, NULL, &p, &err), err);
    REQUIRE_OK(t, nn_arena_bind(&arena, backend, &p, 1, &err), err);
    float x[COUNT], y[2][COUNT], *weights = malloc(set->total * sizeof *weights);
    fill(weights, set->total, 1);
    nn_block_write(&set->blocks[NN_DATA], 0, weights, set->total);
    free(weights);
    fill(x, COUNT, 2);
    volatile sig_atomic_t stop = 1;
    nn_program_write(p, n.x, x);
    CHECK(t, !nn_program_run_until(p, &stop));
    stop = 0;
    for (int i = 0; i < 2; i++) {
        nn_program_write(p, n.x, x);
        CHECK(t, nn_program_run_until(p, i ? NULL : &stop));
        nn_program_read(p, n.y, y[i]);
    }
    CHECK(t, nn_program_check(p, &err) == STATUS_OK && memcmp(y[0], y[1], sizeof *y) == 0);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(n.graph);
    nn_parameters_destroy(set);
    nn_backend_destroy(backend);
}

/* Kernels own no memory. oneDNN makes a table of a call's arguments on the heap and frees it again, a few hundred
 * bytes; what must not happen is that a tensor or scratch is allocated. The first run is the libraries' to set up. */
static void running_allocates_no_tensors(test *t)
{
#ifdef nn_cpu_create
    SKIP(t, "an emulated device works in the host's memory");
#endif
    if (!WATCHES_ALLOCATIONS) SKIP(t, "a sanitizer allocates in its own way");
    error err = {0};
    nn_backend *backend = NULL;
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    nn_parameters *set = nn_parameters_create();
    net n;
    build(&n, set, true);
    REQUIRE_OK(t, nn_parameters_allocate(set, backend, NN_TRAINED, &err), err);
    nn_program *p = NULL;
    nn_arena arena = {0};
    REQUIRE_OK(t, nn_program_create(n.graph, backend, NULL, &p, &err), err);
    REQUIRE_OK(t, nn_arena_bind(&arena, backend, &p, 1, &err), err);
    float x[2 * 12 * 10 * 3] = {0}, rates[2] = {0.01f, 1};
    for (int step = 0; step < 3; step++) {
        watching = step > 0;
        nn_program_write(p, n.x, x);
        nn_program_write(p, n.rates, rates);
        nn_program_run(p);
    }
    watching = false;
    CHECK(t, largest_allocation < 2048);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(n.graph);
    nn_parameters_destroy(set);
    nn_backend_destroy(backend);
}

static void shape_errors_name_all(test *t)
{
    error err = {0};
    nn_graph *g = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_value x = nn_input(g, "x", nn_shape_of(1, 8, 8, 3));
    nn_value w = nn_parameter(g, set, "w", nn_shape_of(4, 5, 3, 3));
    nn_value y = nn_relu(g, nn_conv2d(g, x, w, 1, 1));
    CHECK(t, y == NN_NONE);
    CHECK(t, nn_graph_status(g, &err) == STATUS_FAILED);
    CHECK_TEXT(t, err.message, "conv2d: weight 4x5x3x3 expects 5 channels, the input 1x8x8x3 has 3");
    nn_graph_destroy(g);

    g = nn_graph_create();
    x = nn_input(g, "x", nn_shape_of(1, 8, 8, 3));
    nn_add(g, x, nn_input(g, "z", nn_shape_of(1, 8, 4, 3)));
    CHECK(t, nn_graph_status(g, &err) == STATUS_FAILED);
    CHECK_TEXT(t, err.message, "add: the second operand must have the shape 1x8x8x3, has 1x8x4x3");
    nn_graph_destroy(g);

    g = nn_graph_create();
    nn_augment(g, nn_input(g, "x", nn_shape_of(2, 8, 8, 3)), nn_input(g, "draws", nn_shape_of(4, 1, 1, 8)), 3, 4);
    CHECK(t, nn_graph_status(g, &err) == STATUS_FAILED);
    CHECK_TEXT(t, err.message, "augment: 2 pictures from draw 3 on, of 4 draws");
    nn_graph_destroy(g);

    g = nn_graph_create();
    nn_instance_norm(g, nn_input(g, "x", nn_shape_of(1, 1, 1, 8)), 1e-5f);
    CHECK(t, nn_graph_status(g, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "instance_norm: needs more than one pixel");
    nn_graph_destroy(g);

    g = nn_graph_create(); /* the same name with another shape */
    nn_parameter(g, set, "w", nn_shape_of(4, 3, 3, 3));
    CHECK(t, nn_graph_status(g, &err) == STATUS_FAILED);
    CHECK_TEXT(t, err.message, "parameter w: has the shape 4x5x3x3, asked for as 4x3x3x3");
    nn_graph_destroy(g);
    nn_parameters_destroy(set);
}

static void gradients_are_pruned(test *t)
{
    nn_graph *g = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_value x = nn_input(g, "x", nn_shape_of(1, 8, 8, 3));
    nn_value frozen = nn_parameter(g, set, "frozen", nn_shape_of(3, 3, 3, 3));
    nn_value other = nn_parameter(g, set, "other", nn_shape_of(3, 3, 3, 3));
    nn_value loss = nn_mean_square(g, nn_conv2d(g, x, frozen, 1, 1), NN_NONE, 0);
    nn_value wrt[2] = {x, other}, gradients[2];
    nn_grad(g, loss, wrt, 2, gradients);
    error err = {0};
    CHECK(t, nn_graph_status(g, &err) == STATUS_OK);
    CHECK(t, gradients[0] != NN_NONE && nn_shape_equal(nn_shape_at(g, gradients[0]), nn_shape_at(g, x)));
    CHECK(t, gradients[1] == NN_NONE); /* the loss does not depend on it */
    nn_graph_destroy(g);
    nn_parameters_destroy(set);
}

/* A value that is left in a block, or read from one, must lie within it. */
static void blocks_are_not_overrun(test *t)
{
    error err = {0};
    nn_backend *backend = NULL;
    nn_block memory;
    REQUIRE_OK(t, nn_cpu_create(1, &backend, &err), err);
    REQUIRE_OK(t, nn_block_allocate(&memory, backend, 20, &err), err);
    for (size_t offset = 8; offset <= 21; offset++)
        for (int stored = 0; stored < 2; stored++) {
            nn_graph *g = nn_graph_create();
            nn_program *p = NULL;
            nn_value x = nn_input(g, "x", nn_shape_vector(10));
            if (stored)
                nn_store(g, nn_tanh(g, x), &memory, offset);
            else
                nn_output(g, nn_add(g, x, nn_memory(g, "m", nn_shape_vector(10), &memory, offset)));
            status created = nn_program_create(g, backend, NULL, &p, &err);
            CHECK(t, created == (offset <= 10 ? STATUS_OK : STATUS_FAILED));
            if (offset == 11)
                CHECK_TEXT(t, err.message, "program: a value of 1x1x1x10 at 11 of a block of 20 goes beyond its end");
            nn_program_destroy(p);
            nn_graph_destroy(g);
        }
    nn_block_free(&memory);
    nn_backend_destroy(backend);
}

/* A convolution of 5x7 outputs, 3x3, 4 to 6 channels; its two gradients are as much again each. */
static void operations_are_counted(test *t)
{
    const double once = 2.0 * 5 * 7 * 3 * 3 * 4 * 6;
    error err = {0};
    nn_backend *backend;
    REQUIRE_OK(t, nn_cpu_create(1, &backend, &err), err);
    for (int differentiated = 0; differentiated < 2; differentiated++) {
        nn_parameters *set = nn_parameters_create();
        nn_graph *g = nn_graph_create();
        nn_value x = nn_input(g, "x", nn_shape_of(1, 7, 9, 4));
        nn_value w = nn_parameter(g, set, "w", nn_shape_of(6, 4, 3, 3));
        nn_value loss = nn_mean_square(g, nn_relu(g, nn_conv2d(g, x, w, 1, 0)), NN_NONE, 0), wrt[2] = {x, w}, d[2];
        nn_output(g, loss);
        if (differentiated) {
            nn_grad(g, loss, wrt, 2, d);
            nn_output(g, d[0]);
            nn_output(g, d[1]);
        }
        nn_program *p;
        REQUIRE_OK(t, nn_parameters_allocate(set, backend, 0, &err), err);
        REQUIRE_OK(t, nn_program_create(g, backend, NULL, &p, &err), err);
        CHECK_NEAR(t, nn_program_operations(p), differentiated ? 3 * once : once, 0.5);
        nn_program_destroy(p);
        nn_graph_destroy(g);
        nn_parameters_destroy(set);
    }
    nn_backend_destroy(backend);
}

/* 2 x, of a batch of pictures; one of them with an infinity in the middle of its results. */
static void pictures_pass_as_bytes(test *t)
{
    enum { IMAGES = 3, H = 5, W = 7, EACH = H * W * 3, COUNT = IMAGES * EACH };
    error err = {0};
    nn_backend *backend;
    nn_program *p;
    nn_arena arena = {0};
    uint8_t in[COUNT], out[COUNT];
    bool finite[IMAGES];
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    nn_graph *g = nn_graph_create();
    nn_shape shape = nn_shape_of(IMAGES, H, W, 3);
    nn_value x = nn_input(g, "x", shape), factors = nn_input(g, "factors", shape), y = nn_multiply(g, x, factors);
    nn_output(g, y);
    REQUIRE_OK(t, nn_program_create(g, backend, NULL, &p, &err), err);
    REQUIRE_OK(t, nn_arena_bind(&arena, backend, &p, 1, &err), err);
    float floats[COUNT];
    for (int broken = -1; broken < IMAGES; broken++) {
        for (size_t i = 0; i < COUNT; i++) {
            in[i] = (uint8_t)(64 + i % 128);
            floats[i] = (int)i == broken * EACH + EACH / 2 ? INFINITY : 2;
        }
        nn_program_write_pixels(p, x, in);
        nn_program_write(p, factors, floats);
        nn_program_run(p);
        nn_program_read_pixels(p, y, out, finite);
        for (int i = 0; i < IMAGES; i++) CHECK(t, finite[i] == (i != broken));
        for (size_t i = 0; i < COUNT; i++)
            if (floats[i] == 2) CHECK(t, out[i] == 2 * in[i] - 127 || out[i] == 2 * in[i] - 128);
    }
    uint8_t again[COUNT];
    if (nn_program_begin_read_pixels(p, y)) { /* elsewhere than on the CPU */
        backend->interface->end_read_pixels(backend, again, finite, IMAGES, EACH);
        CHECK(t, memcmp(again, out, COUNT) == 0 && finite[0] && !finite[IMAGES - 1]);
    }
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(g);
    nn_backend_destroy(backend);
}

TEST_MAIN(TEST(pictures_pass_as_bytes), TEST(operations_are_counted), TEST(reuse_is_bit_identical), TEST(fusion_keeps_results),
          TEST(repeats_bit_for_bit), TEST(programs_share_an_arena), TEST(is_given_up_when_asked),
          TEST(running_allocates_no_tensors), TEST(shape_errors_name_all), TEST(gradients_are_pruned),
          TEST(blocks_are_not_overrun))
