/* Norms in bf16 whose results convolutions read, and so do their gradients': what their kernels write as pictures, alone or
 * beside plain values that an addition reads, is bit for bit what a reorder makes of the plain result. A value that is read
 * from outside as well is plain alone, which is how the same network is had without: a kernel more for each such value. */
#include "cuda/check.h"

/* conv -> norm -> relu -> pad -> conv -> norm; or with residual blocks, each pad -> conv -> norm -> add, by the second
 * weight: none; one, whose result a convolution alone reads; two, of which the second adds the first's. */
typedef enum blocks { NO_BLOCK, ONE_BLOCK, TWO_BLOCKS } blocks;

typedef struct network {
    const char *name;
    nn_shape x, first, second; /* the input; the weights */
    size_t stride, padding;    /* of the second convolution */
    nn_pad_mode mode;
    size_t pictures; /* among the results that convolutions read and the norms' gradients */
    blocks blocks;
} network;

enum { RESULT, DX, DFIRST, DSECOND, RESULTS };

typedef struct built {
    nn_graph *graph;
    nn_value x, first, second, weights; /* inputs; weights: the result's in the loss */
    nn_value result[RESULTS];
} built;

static nn_value second_convolution(nn_graph *g, const network *n, nn_value y, nn_value weight)
{
    bool reflect = n->mode == NN_PAD_REFLECT;
    nn_value padded = reflect ? nn_pad(g, y, n->mode, n->padding) : y;
    return nn_conv2d(g, padded, weight, n->stride, reflect ? 0 : n->padding);
}

static built build(const network *n, bool plain)
{
    nn_graph *g = nn_graph_create();
    built b = {.graph = g, .x = nn_input(g, "x", n->x), .first = nn_input(g, "first", n->first),
               .second = nn_input(g, "second", n->second)};
    nn_value a = nn_conv2d(g, b.x, b.first, 1, 1), y = nn_relu(g, nn_instance_norm(g, a, 1e-5f));
    nn_value c = second_convolution(g, n, y, b.second), inner = c, z = y;
    if (n->blocks != NO_BLOCK) {
        z = nn_add(g, y, nn_instance_norm(g, inner, 1e-5f));
        c = second_convolution(g, n, z, b.second);
    }
    b.result[RESULT] = nn_instance_norm(g, c, 1e-5f);
    if (n->blocks == TWO_BLOCKS) b.result[RESULT] = nn_add(g, z, b.result[RESULT]);
    b.weights = nn_input(g, "weights", nn_shape_at(g, b.result[RESULT]));
    nn_value loss = nn_mean_abs(g, nn_multiply(g, b.result[RESULT], b.weights), NN_NONE, -1e4f);
    nn_value gradient[6];
    nn_grad(g, loss, (nn_value[]){b.x, b.first, b.second, a, c, inner}, 6, gradient);
    for (int i = 0; i < 3; i++) b.result[DX + i] = gradient[i];
    for (int i = 0; i < RESULTS; i++) nn_output(g, b.result[i]);
    if (plain) {
        nn_output(g, y);
        nn_output(g, z);
        for (int i = 3; i < 6; i++) nn_output(g, gradient[i]);
    }
    return b;
}

/* Memory begins as NaN: every byte of a picture has to be written. */
static void fill(nn_backend *backend, nn_arena *arena)
{
    unsigned char *host = malloc(arena->bytes);
    memset(host, 0xff, arena->bytes);
    backend->interface->write(backend, arena->memory, host, arena->bytes);
    free(host);
}

static void read_results(const nn_program *p, const built *b, float *out[RESULTS])
{
    for (int i = 0; i < RESULTS; i++) {
        out[i] = malloc(nn_count(nn_shape_at(b->graph, b->result[i])) * sizeof **out);
        nn_program_read(p, b->result[i], out[i]);
    }
}

static void run_program(void *program) { nn_program_run(program); }

static void run_recorded(nn_backend *backend, nn_program *p)
{
    void *recording = backend->interface->record(backend, run_program, p);
    if (!recording) return; /* nn_backend_check tells */
    backend->interface->replay(backend, recording);
    backend->interface->synchronise(backend);
    backend->interface->forget(backend, recording);
}

/* Kernels of the program. out: NULL, and it is launched, or its results, of a recording, which are the caller's. */
static size_t run(test *t, nn_backend *backend, const network *n, bool plain, float *out[RESULTS])
{
    error err = {0};
    built b = build(n, plain);
    nn_program *p = NULL;
    nn_arena arena = {0};
    status result = nn_graph_status(b.graph, &err);
    if (result == STATUS_OK)
        result = nn_program_create(b.graph, backend, &(nn_program_options){.precision = NN_BF16}, &p, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &p, 1, &err);
    if (result == STATUS_OK) {
        fill(backend, &arena);
        const nn_value input[] = {b.x, b.first, b.second, b.weights};
        for (uint32_t k = 0; k < 4; k++) check_write_noise(p, b.graph, input[k], k);
        out ? run_recorded(backend, p) : nn_program_run(p);
        result = nn_backend_check(backend, &err);
    }
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s: %s", n->name, err.message);
    if (result == STATUS_OK && out) read_results(p, &b, out);
    size_t length = p ? nn_program_length(p) : 0;
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(b.graph);
    return length;
}

/* The two backends of a device. cuBLASLt's algorithms are measured for the alignment of their operands, too, and the two
 * programs of a network lay these elsewhere: measured, one product may be done in two ways, with other bits. In a
 * recording nothing is measured, and the library's favourite computes. `first` loads what is launched, which a recording
 * might not be allowed to, and keeps what it measures to itself. */
typedef struct devices {
    nn_backend *first, *recording;
} devices;

static void check(test *t, const devices *d, const network *n)
{
    const char *device = d->first->device_name;
    static const char *const names[] = {"the result", "dx", "the first weight's gradient", "the second weight's gradient"};
    float *as_pictures[RESULTS] = {0}, *plain[RESULTS] = {0};
    bool little = check_setting("CHECK_LITTLE", 0) != 0; /* then launching is enough */
    if (little || !check_is_emulated(d->first)) /* which has nothing to load */
        for (int k = 0; k < 2; k++) run(t, d->first, n, k > 0, NULL);
    if (little) return;
    size_t length = run(t, d->recording, n, false, as_pictures), with_reorders = run(t, d->recording, n, true, plain);
    /* A real device need not be of the kind that the test is for. */
    if (check_is_emulated(d->first) && length + n->pictures != with_reorders)
        test_failed(t, __FILE__, __LINE__, "%s, %s: %zu kernels, %zu with plain values; expected %zu fewer", device, n->name,
                    length, with_reorders, n->pictures);
    built b = build(n, false);
    for (int i = 0; i < RESULTS && as_pictures[i] && plain[i]; i++) {
        size_t count = nn_count(nn_shape_at(b.graph, b.result[i]));
        if (memcmp(as_pictures[i], plain[i], count * sizeof **plain) != 0)
            test_failed(t, __FILE__, __LINE__, "%s, %s: other bits in %s", device, n->name, names[i]);
        double sum = 0;
        for (size_t k = 0; k < count; k++) sum += fabs((double)plain[i][k]);
        CHECK(t, isfinite(sum) && sum > 0);
    }
    for (int i = 0; i < RESULTS; i++) {
        free(as_pictures[i]);
        free(plain[i]);
    }
    nn_graph_destroy(b.graph);
}

#define S(a, b, c, d) {{a, b, c, d}}
/* Those on tensor cores ask for both operands of a weight gradient as the other convolutions do. Of the others' gradients
 * the weight gradient asks for dy without a border. The first LITTLE_NETWORKS are of every kind. */
enum { LITTLE_NETWORKS = 5 };
static const network networks[] = {
    {"reflected", S(1, 8, 9, 32), S(64, 32, 3, 3), S(64, 64, 3, 3), 1, 1, NN_PAD_REFLECT, 3, NO_BLOCK},
    {"zeros, batch, four channels at once", S(2, 5, 19, 32), S(36, 32, 3, 3), S(40, 36, 3, 3), 1, 1, NN_PAD_ZERO, 3, NO_BLOCK},
    {"7x7, reflected", S(2, 9, 8, 12), S(24, 12, 3, 3), S(16, 24, 7, 7), 1, 3, NN_PAD_REFLECT, 1, NO_BLOCK},
    {"3x3 of stride 2", S(1, 9, 12, 3), S(5, 3, 3, 3), S(8, 5, 3, 3), 2, 1, NN_PAD_ZERO, 1, NO_BLOCK},
    {"two blocks", S(1, 8, 10, 32), S(72, 32, 3, 3), S(72, 72, 3, 3), 1, 1, NN_PAD_REFLECT, 5, TWO_BLOCKS},
    {"one block", S(2, 7, 9, 32), S(64, 32, 3, 3), S(64, 64, 3, 3), 1, 1, NN_PAD_REFLECT, 5, ONE_BLOCK},
    {"two blocks, odd channels", S(2, 7, 6, 33), S(37, 33, 3, 3), S(37, 37, 3, 3), 1, 1, NN_PAD_REFLECT, 5, TWO_BLOCKS},
    {"two blocks of zeros", S(1, 9, 6, 32), S(136, 32, 3, 3), S(136, 136, 3, 3), 1, 1, NN_PAD_ZERO, 5, TWO_BLOCKS},
    {"reflected, batch, odd channels", S(2, 7, 11, 33), S(37, 33, 3, 3), S(35, 37, 3, 3), 1, 1, NN_PAD_REFLECT, 3, NO_BLOCK},
    {"zeros, more channels than a block's", S(1, 4, 7, 40), S(136, 40, 3, 3), S(72, 136, 3, 3), 1, 1, NN_PAD_ZERO, 3, NO_BLOCK},
    {"valid", S(1, 9, 6, 32), S(32, 32, 3, 3), S(32, 32, 3, 3), 1, 0, NN_PAD_ZERO, 3, NO_BLOCK},
    {"4x4 of stride 2", S(2, 10, 13, 8), S(20, 8, 3, 3), S(24, 20, 4, 4), 2, 1, NN_PAD_ZERO, 1, NO_BLOCK},
};

/* On Hopper the data gradient of stride 2 asks for dy as the weight gradient does; elsewhere for plain numbers. */
static const network strided_networks[] = {
    {"3x3 of stride 2, wide", S(1, 9, 12, 32), S(33, 32, 3, 3), S(40, 33, 3, 3), 2, 1, NN_PAD_ZERO, 3, NO_BLOCK},
    {"4x4 of stride 2, wide", S(2, 10, 7, 32), S(72, 32, 3, 3), S(32, 72, 4, 4), 2, 1, NN_PAD_ZERO, 3, NO_BLOCK},
};

/* Blocks whose threads take more places than are on their way at once. */
static const network long_parts_networks[] = {
    {"1x1, long parts", S(1, 3, 5101, 1), S(8, 1, 1, 1), S(8, 8, 1, 1), 1, 0, NN_PAD_ZERO, 2, NO_BLOCK},
    {"1x1, long parts, two blocks", S(1, 3, 5101, 1), S(8, 1, 1, 1), S(8, 8, 1, 1), 1, 0, NN_PAD_ZERO, 4, TWO_BLOCKS},
};
#undef S

/* Times that are measured on the emulated device are as uneven as on a real one. */
static void check_on(test *t, const char *major, const network *first, size_t count)
{
    error err = {0};
    devices d = {0};
    if (count > LITTLE_NETWORKS && check_setting("CHECK_LITTLE", 0)) count = LITTLE_NETWORKS;
    setenv("CHECK_MAJOR", major, 1);
    setenv("EMULATED_CLOCK", "dice", 1);
    status result = check_create_device(&check_precisions[2], &d.first, &err);
    if (result == STATUS_OK) result = check_create_device(&check_precisions[2], &d.recording, &err);
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    for (size_t i = 0; i < count && result == STATUS_OK; i++) check(t, &d, &first[i]);
    nn_backend_destroy(d.recording);
    nn_backend_destroy(d.first);
    unsetenv("EMULATED_CLOCK");
    unsetenv("CHECK_MAJOR");
}

static void pictures_by_pixels(test *t) { check_on(t, "8", networks, sizeof networks / sizeof *networks); }
static void pictures_in_planes(test *t) { check_on(t, "9", networks, sizeof networks / sizeof *networks); }
static void strided(test *t) { check_on(t, "9", strided_networks, sizeof strided_networks / sizeof *strided_networks); }
static void long_parts(test *t)
{
    check_on(t, "9", long_parts_networks, sizeof long_parts_networks / sizeof *long_parts_networks);
}

TEST_MAIN(TEST(pictures_by_pixels), TEST(pictures_in_planes), TEST(strided), TEST(long_parts))
