/* Norms in bf16 that get moments from the convolution before them: against the definition, in double, of what that one stores,
 * in floats or in bf16; where a convolution reads the result as a picture, the bits that it has of the plain one; in lanes,
 * the bits of one lane; and gradients beside those of the network as it was built, without moments. */
#include "cuda/check.h"

#include "nn/moments_test.h"

/* By tiles or runs, large or small, as the kernel chooses; by phases; by taps of a row; of stride 2. */
typedef enum kind { PLAIN, TRANSPOSED, THIN, STRIDED } kind;

typedef struct layer {
    kind kind;
    size_t n, h, w, ic, oc, kernel, extra; /* extra: rows and columns of a transposed one's result */
    size_t parts;                          /* of an image */
} layer;

enum { EPSILON_INVERSE = 100000, BEHIND = 32 /* channels */ };
enum { X, WEIGHT, BIAS, ADDED, BEHIND_WEIGHT, INPUTS };

/* y = conv x + bias, z = relu (norm y) + added, u = conv z. */
typedef struct network {
    nn_graph *graph;
    nn_value input[INPUTS], y, z, u;
    nn_shape shape; /* of y and z */
} network;

static nn_value convolve(nn_graph *g, const layer *l, nn_value x, nn_value w)
{
    switch (l->kind) {
    case TRANSPOSED: return nn_conv2d_transpose(g, x, w, 2, 1, l->extra);
    case THIN: return nn_conv2d(g, nn_pad(g, x, NN_PAD_REFLECT, l->kernel / 2), w, 1, 0);
    case STRIDED: return nn_conv2d(g, x, w, 2, 1);
    default: return nn_conv2d(g, x, w, 1, 1);
    }
}

/* Which values can be read besides u. */
typedef enum readable { ALL, NORMALISED, NONE, READABLE } readable;

static network build(const layer *l, readable kept, bool behind)
{
    nn_graph *g = nn_graph_create();
    network n = {.graph = g};
    size_t first = l->kind == TRANSPOSED ? l->ic : l->oc, second = l->kind == TRANSPOSED ? l->oc : l->ic;
    n.input[X] = nn_input(g, "x", nn_shape_of(l->n, l->h, l->w, l->ic));
    n.input[WEIGHT] = nn_input(g, "weight", nn_shape_of(first, second, l->kernel, l->kernel));
    n.input[BIAS] = nn_input(g, "bias", nn_shape_vector(l->oc));
    n.input[BEHIND_WEIGHT] = nn_input(g, "behind", nn_shape_of(BEHIND, l->oc, 2, 2));
    n.y = nn_bias(g, convolve(g, l, n.input[X], n.input[WEIGHT]), n.input[BIAS]);
    n.shape = nn_shape_at(g, n.y);
    n.input[ADDED] = nn_input(g, "added", n.shape);
    n.z = nn_add(g, nn_relu(g, nn_instance_norm(g, n.y, 1.0f / EPSILON_INVERSE)), n.input[ADDED]);
    n.u = nn_conv2d(g, n.z, n.input[BEHIND_WEIGHT], 1, 1);
    if (behind) nn_output(g, n.u);
    if (kept != NONE) nn_output(g, n.z);
    if (kept == ALL) nn_output(g, n.y);
    return n;
}

/* y is about `mean` and of order `scale`. */
typedef struct numbers {
    float mean, scale;
    bool mean_rounds; /* to float, which is more than all other errors */
    bool behind;      /* the convolution behind the norm is part of it */
} numbers;

static void write_inputs(nn_program *p, const network *n, const layer *l, const numbers *v)
{
    for (uint32_t i = 0; i < INPUTS; i++) {
        size_t count = nn_count(nn_shape_at(n->graph, n->input[i]));
        float *host = malloc(count * sizeof *host), sides = (float)(l->kernel * l->kernel * l->ic);
        check_noise(host, count, i, 0);
        for (size_t k = 0; i == WEIGHT && k < count; k++) host[k] *= 3 * v->scale / sqrtf(sides);
        for (size_t k = 0; i == BIAS && k < count; k++) host[k] += v->mean;
        nn_program_write(p, n->input[i], host);
        free(host);
    }
}

typedef struct results {
    float *y, *z, *u; /* NULL: not kept */
    bool halves;      /* the norm read bf16 */
} results;

static float *read(const nn_program *p, const network *n, nn_value value, bool there)
{
    if (!there) return NULL;
    float *out = malloc(nn_count(nn_shape_at(n->graph, value)) * sizeof *out);
    nn_program_read(p, value, out);
    return out;
}

static results run(test *t, nn_backend *device, const layer *l, readable kept, const numbers *v)
{
    const nn_program_options options = {.precision = NN_BF16};
    error err = {0};
    results r = {0};
    network n = build(l, kept, v->behind);
    nn_program *p = NULL;
    nn_arena arena = {0};
    status result = nn_graph_status(n.graph, &err);
    if (result == STATUS_OK) result = nn_program_create(n.graph, device, &options, &p, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, device, &p, 1, &err);
    if (result == STATUS_OK) {
        write_inputs(p, &n, l, v);
        nn_program_run(p);
        r = (results){read(p, &n, n.y, kept == ALL), read(p, &n, n.z, kept != NONE), read(p, &n, n.u, v->behind), false};
        result = nn_backend_check(device, &err);
    }
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    const planned_moments planned = p ? planned_moments_of(t, n.graph, device, NN_BF16) : (planned_moments){0};
    r.halves = planned.halves > 0;
    if (check_is_emulated(device) && planned.parts != l->parts) /* a real one need not be a Hopper */
        test_failed(t, __FILE__, __LINE__, "kind %d, %zu x %zu: moments of %zu parts, expected %zu", (int)l->kind, l->h, l->w,
                    planned.parts, l->parts);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(n.graph);
    return r;
}

static float rounded(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* norm_error_of as y gives it, which was rounded to bf16, or not. */
static double error_of(const network *n, const numbers *v, const float *kept_y, bool halves, const float *z)
{
    size_t count = nn_count(n->shape);
    float *added = malloc(count * sizeof *added), *y = malloc(count * sizeof *y);
    check_noise(added, count, ADDED, 0);
    for (size_t i = 0; i < count; i++) y[i] = halves ? rounded(kept_y[i]) : kept_y[i];
    double greatest = norm_error_of(n->shape, y, added, z, 1.0 / EPSILON_INVERSE, v->mean_rounds);
    free(added);
    free(y);
    return greatest;
}

static void check_layer(test *t, nn_backend *device, const layer *l, const numbers *v)
{
    const double bound = 2e-6;
    results r[READABLE] = {0};
    network n = build(l, NONE, true);
    for (int k = 0; k < (v->behind ? READABLE : NONE); k++) r[k] = run(t, device, l, (readable)k, v);
    for (int k = 0; k < NONE && r[ALL].y && r[k].z; k++) {
        double off = error_of(&n, v, r[ALL].y, r[k].halves, r[k].z);
        if (!(off <= bound))
            test_failed(t, __FILE__, __LINE__, "kind %d, %zu x %zu x %zu, from %s: off by %g, bound %g", (int)l->kind, l->h,
                        l->w, l->ic, k == ALL ? "floats" : "bf16", off, bound);
    }
    size_t bytes = nn_count(nn_shape_at(n.graph, n.u)) * sizeof(float);
    if (r[NONE].u && r[NORMALISED].u && memcmp(r[NONE].u, r[NORMALISED].u, bytes) != 0)
        test_failed(t, __FILE__, __LINE__, "kind %d, %zu x %zu x %zu: other bits behind a picture", (int)l->kind, l->h, l->w,
                    l->ic);
    for (int k = 0; k < READABLE; k++) {
        free(r[k].y);
        free(r[k].z);
        free(r[k].u);
    }
    nn_graph_destroy(n.graph);
}

/* Of each kind whole parts first, then some that end with the picture, and phases' without any pixel. */
static const layer layers[] = {
    {PLAIN, 1, 32, 16, 32, 64, 3, 0, 4},     {PLAIN, 2, 30, 15, 72, 40, 3, 0, 4},    {PLAIN, 1, 14, 31, 32, 37, 4, 0, 4},
    {PLAIN, 2, 19, 13, 40, 72, 3, 0, 3},     {PLAIN, 1, 23, 34, 32, 136, 3, 0, 7},   {TRANSPOSED, 1, 16, 16, 32, 64, 3, 1, 8},
    {TRANSPOSED, 2, 18, 11, 72, 40, 3, 1, 4}, {TRANSPOSED, 1, 17, 1, 32, 33, 3, 0, 8}, {TRANSPOSED, 2, 5, 19, 40, 72, 4, 0, 3},
    {THIN, 1, 32, 16, 3, 64, 7, 0, 4},       {THIN, 2, 19, 13, 3, 72, 7, 0, 4},
    {STRIDED, 1, 32, 16, 32, 64, 3, 0, 1},   {STRIDED, 2, 37, 21, 72, 40, 4, 0, 4},
    /* wide tiles and runs, where the device has few multiprocessors, as the emulated one; of these and of all phases several for
     * a block */
    {PLAIN, 2, 30, 63, 40, 72, 3, 0, 8},     {PLAIN, 4, 39, 24, 72, 128, 3, 0, 4},   {PLAIN, 3, 30, 40, 136, 128, 3, 0, 5},
    {PLAIN, 1, 17, 109, 32, 72, 3, 0, 8}, /* floats leave little room there */
    {TRANSPOSED, 3, 20, 30, 136, 72, 3, 1, 8}, {STRIDED, 3, 63, 29, 40, 72, 3, 0, 2},   {STRIDED, 3, 64, 32, 32, 328, 4, 0, 2},
    /* four teams to a block, each with three tiles, some in another image */
    {THIN, 2, 47, 61, 3, 72, 7, 0, 24},
    /* more parts than blocks of the second pass merge */
    {THIN, 1, 18, 521, 4, 32, 3, 0, 132}};
enum { LAYERS = sizeof layers / sizeof *layers };

static void check_layers(test *t, const numbers *v)
{
    error err = {0};
    nn_backend *device;
    bool little = check_setting("CHECK_LITTLE", 0) != 0;
    if (little && !v->behind) SKIP(t, "other numbers launch the same");
    REQUIRE_OK(t, check_create_device(&check_precisions[2], &device, &err), err);
    size_t count = little || !v->behind ? LAYERS - 1 : LAYERS;
    for (size_t i = 0; i < count; i++) check_layer(t, device, &layers[i], v);
    nn_backend_destroy(device);
}

static void normalises(test *t) { check_layers(t, &(numbers){.scale = 1, .behind = true}); }

/* E[x^2] - mean^2 would be off by more than the variance. */
static void normalises_far_from_zero(test *t)
{
    check_layers(t, &(numbers){.mean = 1000, .scale = 1, .mean_rounds = true});
}

/* Weights of zero: no variance, and y is the mean. */
static void normalises_constants(test *t) { check_layers(t, &(numbers){.mean = 12345.7f}); }

/* Blocks for more than the 132 multiprocessors of a real Hopper, where some kernels take larger tiles or runs, or all phases.
 * The emulated one has eight, and the layers above will do. */
static void normalises_many_blocks(test *t)
{
    static const layer large[] = {
        {PLAIN, 2, 64, 56, 64, 512, 3, 0, 14},
        {PLAIN, 1, 66, 66, 64, 896, 3, 0, 18},
        {TRANSPOSED, 2, 40, 24, 64, 256, 3, 1, 9},
        {STRIDED, 3, 128, 136, 72, 256, 3, 0, 18},
    };
    error err = {0};
    nn_backend *device;
    if (check_setting("CHECK_LITTLE", 0)) SKIP(t, "fewer multiprocessors are filled by small ones");
    REQUIRE_OK(t, check_create_device(&check_precisions[2], &device, &err), err);
    bool emulated = check_is_emulated(device);
    for (size_t i = 0; !emulated && i < sizeof large / sizeof *large; i++)
        check_layer(t, device, &large[i], &(numbers){.scale = 1, .behind = true});
    nn_backend_destroy(device);
    if (emulated) SKIP(t, "an emulated device is filled by small ones");
}

/* Two networks side by side, one with transposed convolutions, and the gradients of their weights. */
enum { BRANCHES = 2, WEIGHTS = 2 * BRANCHES };

typedef struct branched {
    nn_graph *graph;
    nn_value x, r[BRANCHES], weight[WEIGHTS], gradient[WEIGHTS];
} branched;

static branched build_branched(void)
{
    nn_graph *g = nn_graph_create();
    branched b = {.graph = g, .x = nn_input(g, "x", nn_shape_of(2, 9, 7, 32))};
    nn_value total = NN_NONE;
    for (size_t i = 0; i < BRANCHES; i++) {
        nn_value y = b.x;
        for (size_t k = 0; k < 2; k++) {
            nn_value *w = &b.weight[2 * i + k];
            *w = nn_input(g, "w", nn_shape_of(32, 32, 3, 3));
            y = i == 0 ? nn_conv2d(g, y, *w, 1, 1) : nn_conv2d_transpose(g, y, *w, 2, 1, 1);
            y = nn_relu(g, nn_instance_norm(g, y, 1e-5f));
        }
        b.r[i] = nn_input(g, "r", nn_shape_at(g, y));
        nn_value loss = nn_mean_abs(g, nn_multiply(g, y, b.r[i]), NN_NONE, -1e4f);
        total = i == 0 ? loss : nn_add(g, total, loss);
    }
    nn_grad(g, total, b.weight, WEIGHTS, b.gradient);
    for (size_t i = 0; i < WEIGHTS; i++) nn_output(g, b.gradient[i]);
    return b;
}

/* The gradients, one after the other; of the third run, which is a replay where programs are recorded. */
static float *run_branched(test *t, nn_backend *device, const nn_program_options *options, size_t *count)
{
    error err = {0};
    branched b = build_branched();
    nn_program *p = NULL;
    nn_arena arena = {0};
    size_t part = nn_count(nn_shape_at(b.graph, b.weight[0]));
    *count = WEIGHTS * part;
    float *out = calloc(*count, sizeof *out);
    status result = nn_graph_status(b.graph, &err);
    if (result == STATUS_OK) result = nn_program_create(b.graph, device, options, &p, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, device, &p, 1, &err);
    for (int k = 0; k < 3 && result == STATUS_OK; k++) {
        check_write_noise(p, b.graph, b.x, 0);
        for (uint32_t i = 0; i < BRANCHES; i++) check_write_noise(p, b.graph, b.r[i], 1 + i);
        for (uint32_t i = 0; i < WEIGHTS; i++) check_write_noise(p, b.graph, b.weight[i], 3 + i);
        nn_program_run(p);
    }
    for (size_t i = 0; i < WEIGHTS && result == STATUS_OK; i++) nn_program_read(p, b.gradient[i], out + i * part);
    if (result == STATUS_OK) result = nn_backend_check(device, &err);
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    CHECK(t, !check_is_emulated(device) || planned_moments_of(t, b.graph, device, NN_BF16).parts == 1 + 1 + 4 + 4);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(b.graph);
    return out;
}

static void lanes_change_no_bits(test *t)
{
    error err = {0};
    nn_backend *device;
    size_t count;
    REQUIRE_OK(t, check_create_device(&check_precisions[2], &device, &err), err);
    float *lanes = run_branched(t, device, &(nn_program_options){.precision = NN_BF16}, &count);
    float *row = run_branched(t, device, &(nn_program_options){.precision = NN_BF16, .no_lanes = true}, &count);
    float *built = run_branched(t, device, &(nn_program_options){.precision = NN_BF16, .no_fusion = true}, &count);
    /* What cuBLASLt does depends on where operands lie. */
    if (check_is_emulated(device)) CHECK(t, memcmp(lanes, row, count * sizeof *lanes) == 0);
    double off = test_relative(lanes, built, count);
    printf("bf16: gradients with moments are off by %.2g\n", off);
    CHECK(t, off <= check_precisions[2].bound);
    free(lanes);
    free(row);
    free(built);
    nn_backend_destroy(device);
}

TEST_MAIN(TEST(normalises), TEST(normalises_far_from_zero), TEST(normalises_constants), TEST(normalises_many_blocks), TEST(lanes_change_no_bits))
