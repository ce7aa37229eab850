/* Instance norms behind convolutions that give moments of their results: against the definition, in double, of what the
 * convolution gave; on every instruction set and with one to three threads, which must have the same bits. */
#include "base/rng.h"
#include "nn/cpu/cpu.h"
#include "nn/moments_test.h"
#include "nn/program.h"
#include "test.h"

typedef enum kind { PLAIN, MIRRORED, ENLARGED, TRANSPOSED } kind;

/* A picture of n images of h x w, convolved. */
typedef struct layer {
    kind kind;
    size_t n, h, w, ic, oc, kernel, stride, padding;
} layer;

enum { EPSILON_INVERSE = 100000, INPUTS = 4 };

/* The convolution, a bias, the norm, its activation and a sum, as a graph. */
typedef struct network {
    nn_graph *graph;
    nn_value input[INPUTS], y, z; /* x, w, bias, r */
    float *host[INPUTS];
    nn_shape shape; /* of y and z */
} network;

static nn_value convolve(nn_graph *g, const layer *l, nn_value x, nn_value w)
{
    switch (l->kind) {
    case MIRRORED: return nn_conv2d(g, nn_pad(g, x, NN_PAD_REFLECT, 1), w, 1, 0);
    case ENLARGED: return nn_conv2d(g, nn_pad(g, nn_resize_nearest(g, x, 2), NN_PAD_REFLECT, 1), w, 1, 0);
    case TRANSPOSED: return nn_conv2d_transpose(g, x, w, l->stride, l->padding, l->kernel % 2);
    default: return nn_conv2d(g, x, w, l->stride, l->padding);
    }
}

/* Results are about `mean` and of order `scale`; `keep`: they can be read, too. */
static void open_network(network *n, const layer *l, float mean, float scale, bool keep)
{
    nn_graph *g = nn_graph_create();
    size_t out = l->kind == TRANSPOSED ? l->ic : l->oc, in = l->kind == TRANSPOSED ? l->oc : l->ic;
    nn_shape shapes[INPUTS] = {nn_shape_of(l->n, l->h, l->w, l->ic), nn_shape_of(out, in, l->kernel, l->kernel),
                               nn_shape_vector(l->oc)};
    *n = (network){.graph = g};
    for (size_t i = 0; i < 3; i++) n->input[i] = nn_input(g, (const char *[]){"x", "w", "bias"}[i], shapes[i]);
    n->y = convolve(g, l, n->input[0], n->input[1]);
    n->shape = shapes[3] = nn_shape_at(g, n->y);
    n->input[3] = nn_input(g, "r", shapes[3]);
    n->y = nn_bias(g, n->y, n->input[2]);
    n->z = nn_add(g, nn_relu(g, nn_instance_norm(g, n->y, 1.0f / EPSILON_INVERSE)), n->input[3]);
    nn_output(g, n->z);
    if (keep) nn_output(g, n->y);
    for (size_t i = 0; i < INPUTS; i++) {
        size_t count = nn_count(shapes[i]);
        n->host[i] = malloc(count * sizeof(float));
        for (size_t k = 0; k < count; k++) n->host[i][k] = rng_normal(7, RNG_TEST, (uint32_t)i, (uint32_t)k);
        for (size_t k = 0; i == 1 && k < count; k++) n->host[i][k] *= scale / (3 * sqrtf((float)l->ic));
        for (size_t k = 0; i == 2 && k < count; k++) n->host[i][k] += mean;
    }
}

static void close_network(network *n)
{
    nn_graph_destroy(n->graph);
    for (size_t i = 0; i < INPUTS; i++) free(n->host[i]);
}

/* How a program is to be computed. */
typedef struct way {
    size_t level;
    int threads;
    nn_precision precision;
    const cpu_kernel_table *tiles; /* in bf16; NULL: none */
} way;

/* z, and y unless that is NULL. False: there is no such level. */
static bool run(test *t, const network *n, way w, float *y, float *z)
{
    error err = {0};
    nn_backend *backend = NULL;
    nn_program *p = NULL;
    nn_arena arena = {0};
    const nn_program_options options = {.precision = w.precision};
    const cpu_kernel_table *kernels = cpu_kernels_supported(w.level);
    if (!kernels) return false;
    bool ready = nn_cpu_create(w.threads, &backend, &err) == STATUS_OK;
    if (ready) {
        ((cpu_backend *)backend)->kernels = kernels;
        ((cpu_backend *)backend)->tiles = w.tiles;
        ready = nn_program_create(n->graph, backend, &options, &p, &err) == STATUS_OK &&
                nn_arena_bind(&arena, backend, &p, 1, &err) == STATUS_OK;
    }
    if (ready) {
        CHECK(t, planned_moments_of(t, n->graph, backend, w.precision).norms == 1);
        for (size_t i = 0; i < INPUTS; i++) nn_program_write(p, n->input[i], n->host[i]);
        nn_program_run(p);
        if (y) nn_program_read(p, n->y, y);
        nn_program_read(p, n->z, z);
    } else {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    }
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_backend_destroy(backend);
    return ready;
}

static double error_of(const network *n, const float *y, const float *z)
{
    return norm_error_of(n->shape, y, n->host[3], z, 1.0 / EPSILON_INVERSE, false);
}

static void check(test *t, const layer *l, float mean, float scale, double bound)
{
    network n;
    open_network(&n, l, mean, scale, true);
    size_t bytes = nn_count(n.shape) * sizeof(float);
    float *y = malloc(bytes), *z = malloc(bytes), *first = malloc(bytes);
    for (size_t level = 0; cpu_kernels_supported(level); level++)
        for (int threads = 1; threads <= 3; threads++) {
            if (!run(t, &n, (way){level, threads, NN_FP32, NULL}, y, z)) break;
            double greatest = error_of(&n, y, z);
            if (threads == 1) memcpy(first, z, bytes);
            if (!(greatest <= bound) || memcmp(z, first, bytes) != 0) {
                nn_shape_text s;
                test_failed(t, __FILE__, __LINE__, "kind %d, kernel %zu, %s, level %zu, %d threads: error %g%s", (int)l->kind,
                            l->kernel, nn_shape_print(n.shape, &s), level, threads, greatest,
                            memcmp(z, first, bytes) != 0 ? ", other bits" : "");
            }
        }
    free(y);
    free(z);
    free(first);
    close_network(&n);
}

/* kind, n, h, w, ic, oc, kernel, stride, padding */
static const layer layers[] = {
    {PLAIN, 1, 34, 34, 16, 32, 3, 1, 0},    {PLAIN, 2, 19, 31, 16, 16, 3, 1, 1},    {PLAIN, 1, 21, 90, 24, 48, 3, 1, 1},
    {MIRRORED, 2, 16, 23, 16, 64, 3, 1, 0}, {MIRRORED, 1, 65, 9, 32, 16, 3, 1, 0},  {PLAIN, 2, 16, 21, 16, 32, 4, 1, 1},
    {PLAIN, 24, 3, 4, 16, 16, 3, 1, 1},     {PLAIN, 1, 25, 26, 16, 80, 3, 1, 1},    {PLAIN, 1, 40, 27, 16, 16, 4, 1, 2},
    {ENLARGED, 1, 25, 20, 16, 16, 3, 1, 0}, {ENLARGED, 3, 14, 23, 16, 48, 3, 1, 0}, {ENLARGED, 2, 2, 61, 16, 16, 3, 1, 0},
    {PLAIN, 1, 66, 70, 32, 32, 3, 2, 1},    {PLAIN, 3, 39, 41, 32, 48, 3, 2, 1},    {PLAIN, 2, 50, 45, 16, 16, 4, 2, 1},
    {TRANSPOSED, 1, 32, 32, 32, 32, 3, 2, 1}, {TRANSPOSED, 2, 21, 27, 48, 32, 3, 2, 1},
    {TRANSPOSED, 2, 21, 27, 16, 32, 4, 2, 2}};
enum { LAYERS = sizeof layers / sizeof *layers, WINOGRADS = 12 };

static void normalises(test *t)
{
    for (size_t i = 0; i < LAYERS; i++) check(t, &layers[i], 0, 1, 5e-6);
}

/* E[x^2] - mean^2 would be off by more than the variance. */
static void normalises_far_from_zero(test *t)
{
    for (size_t i = 0; i < LAYERS; i++) check(t, &layers[i], 1000, 1, 2e-4); /* the mean's rounding over the deviation */
}

/* Weights of zero: no variance, and y is the mean. */
static void normalises_constant(test *t)
{
    for (size_t i = 0; i < LAYERS; i++) check(t, &layers[i], 12345.7f, 0, 1e-6);
}

static void check_in_bf16(test *t, const layer *l, const cpu_kernel_table *tiles)
{
    network n, rounded;
    open_network(&n, l, 0, 1, true);
    open_network(&rounded, l, 0, 1, false);
    size_t bytes = nn_count(n.shape) * sizeof(float);
    float *y = malloc(bytes), *z = malloc(bytes), *first = malloc(bytes);
    for (int threads = 1; threads <= 3; threads++) {
        way w = {0, threads, NN_BF16, tiles};
        run(t, &n, w, y, z);
        CHECK(t, error_of(&n, y, z) < 5e-6);
        run(t, &rounded, w, NULL, z);
        CHECK(t, error_of(&n, y, z) < 2e-2); /* 2^-9 of y, which is several deviations large */
        if (threads == 1) memcpy(first, z, bytes);
        CHECK(t, memcmp(z, first, bytes) == 0);
    }
    free(y);
    free(z);
    free(first);
    close_network(&n);
    close_network(&rounded);
}

/* In bf16 a convolution rounds what it stores, unless that is an output, but not what it has moments of. */
static void normalises_in_bf16(test *t)
{
    nn_backend *backend;
    error err = {0};
    REQUIRE_OK(t, nn_cpu_create(1, &backend, &err), err);
    bool can = nn_precision_check(backend, NN_BF16, NULL) == STATUS_OK;
    const cpu_kernel_table *amx = ((cpu_backend *)backend)->tiles;
    nn_backend_destroy(backend);
    if (!can) SKIP(t, "this CPU has no AVX512-BF16, or ONEDNN_MAX_CPU_ISA forbids it");
    for (size_t i = 0; i < WINOGRADS; i++) check_in_bf16(t, &layers[i], NULL);
    for (size_t i = 0; i < LAYERS; i++) check_in_bf16(t, &layers[i], &cpu_kernels_plain);
    for (size_t i = 0; amx && i < LAYERS; i++) check_in_bf16(t, &layers[i], amx);
}

/* Norms that get moments among all of a graph's. */
static void given_where_they_can_be(test *t)
{
    nn_backend *backend;
    error err = {0};
    REQUIRE_OK(t, nn_cpu_create(1, &backend, &err), err);
    nn_graph *g = nn_graph_create();
    nn_value x = nn_input(g, "x", nn_shape_of(1, 24, 24, 16)), w = nn_input(g, "w", nn_shape_of(32, 16, 3, 3));
    nn_value y = nn_conv2d(g, x, w, 1, 1);
    nn_output(g, nn_instance_norm(g, y, 1e-5f));
    nn_output(g, nn_instance_norm(g, y, 1e-3f)); /* the same moments */
    nn_output(g, nn_instance_norm(g, nn_relu(g, y), 1e-5f));
    nn_output(g, nn_instance_norm(g, nn_conv2d(g, x, nn_input(g, "tail", nn_shape_of(24, 16, 3, 3)), 1, 1), 1e-5f));
    nn_output(g, nn_instance_norm(g, nn_conv2d(g, x, nn_input(g, "five", nn_shape_of(32, 16, 5, 5)), 1, 2), 1e-5f));
    nn_output(g, nn_instance_norm(g, x, 1e-5f));
    CHECK(t, planned_moments_of(t, g, backend, NN_FP32).norms == 2);
    nn_graph_destroy(g);
    nn_backend_destroy(backend);
}

TEST_MAIN(TEST(normalises), TEST(normalises_far_from_zero), TEST(normalises_constant), TEST(normalises_in_bf16),
          TEST(given_where_they_can_be))
