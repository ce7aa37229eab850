/* Whole networks against PyTorch in double precision (tools/oracle/network_fixtures.py): output, and the gradients of
 * sum(y * r) with respect to the input and every tensor that is trained. */
#include "models/weights.h"
#include "nn/program.h"
#include "reference.h"

/* Relative L2. PyTorch's own float32 is off by up to 1.4e-6 in y, 9e-7 in dx, 4.5e-6 in a gradient. */
static const double bound = 1e-5;

/* Multiples of 1/128 from -1 to 127/128, as networks.py's noise. */
static void noise(uint32_t seed, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t x = (uint32_t)i + seed * 0x9E3779B9u;
        x = (x ^ x >> 16) * 0x7FEB352Du;
        x = (x ^ x >> 15) * 0x846CA68Bu;
        x ^= x >> 16;
        out[i] = (float)(x >> 24) / 128 - 1;
    }
}

typedef struct whole {
    safetensors_file *file;
    nn_backend *backend;
    nn_graph *graph;
    nn_parameters *set;
    model_trainables trained;
    nn_program *program;
    nn_arena arena;
    nn_value x, y, r;
    nn_value gradients[REFERENCE_TENSORS]; /* of the trained tensors, then of x */
    error err;
} whole;

static size_t number(const whole *w, const char *key)
{
    const char *value = safetensors_metadata_get(w->file, key);
    return value ? (size_t)atoi(value) : 0;
}

static void build(whole *w)
{
    nn_graph *g = w->graph;
    reference_network n = {.width = number(w, "width")};
    const char *upsample = safetensors_metadata_get(w->file, "upsample");
    const char *layers = safetensors_metadata_get(w->file, "layers");
    snprintf(n.kind, sizeof n.kind, "%s", safetensors_metadata_get(w->file, "network"));
    snprintf(n.extra, sizeof n.extra, "%s", upsample ? upsample : layers ? layers : "transpose");
    w->x = nn_input(g, "x", nn_shape_of(1, number(w, "side"), number(w, "side"), 3));
    if (reference_is_generator(&n)) {
        model_generator_options options = reference_generator(&n);
        w->y = model_generator_build(g, w->set, "", &options, w->x, &w->trained);
    } else {
        model_discriminator_options options = reference_discriminator(&n);
        w->y = model_discriminator_build(g, w->set, "", &options, w->x, &w->trained);
    }
}

/* sum(y * r), as count * (mean |y * r + 1000| - 1000) without the last term: no product comes near -1000. */
static void differentiate(whole *w)
{
    nn_graph *g = w->graph;
    nn_shape shape = nn_shape_at(g, w->y);
    w->r = nn_input(g, "r", shape);
    nn_value mean = nn_mean_abs(g, nn_multiply(g, w->y, w->r), NN_NONE, -1000);
    nn_value loss = nn_scale(g, mean, (float)nn_count(shape)), wrt[REFERENCE_TENSORS];
    size_t count = w->trained.count;
    memcpy(wrt, w->trained.values, count * sizeof *wrt);
    wrt[count] = w->x;
    nn_grad(g, loss, wrt, count + 1, w->gradients);
    nn_output(g, w->y);
    for (size_t i = 0; i <= count; i++) nn_output(g, w->gradients[i]);
}

/* Compares an output, at every `sample`-th row and column, with the file's tensor prefix + name. */
static void compare(test *t, const whole *w, nn_value value, const char *prefix, const char *name, size_t sample)
{
    char key[160];
    snprintf(key, sizeof key, "%s%s", prefix, name);
    const safetensors_entry *entry = safetensors_find(w->file, key);
    if (!entry) {
        test_failed(t, __FILE__, __LINE__, "the fixture has no %s", key);
        return;
    }
    nn_shape shape = nn_shape_at(w->graph, value);
    float *all = malloc(nn_count(shape) * sizeof *all), *expected = malloc(entry->count * sizeof *expected);
    error err = {0};
    nn_program_read(w->program, value, all);
    size_t count = 0;
    if (sample > 1) { /* moved to the front: never past what is still to be read */
        for (size_t row = 0; row < shape.dim[1]; row += sample)
            for (size_t column = 0; column < shape.dim[2]; column += sample)
                for (size_t c = 0; c < shape.dim[3]; c++)
                    all[count++] = all[(row * shape.dim[2] + column) * shape.dim[3] + c];
    } else {
        count = nn_count(shape);
    }
    if (count != entry->count || safetensors_read_f32(w->file, entry, expected, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s: %zu elements, expected %zu; %s", key, count, entry->count, err.message);
    else if (!(test_relative(all, expected, count) <= bound))
        test_failed(t, __FILE__, __LINE__, "%s is off by %.3g, expected within %g", key,
                    test_relative(all, expected, count), bound);
    free(all);
    free(expected);
}

static void run(whole *w)
{
    size_t x_count = nn_count(nn_shape_at(w->graph, w->x)), r_count = nn_count(nn_shape_at(w->graph, w->r));
    float *values = malloc((x_count > r_count ? x_count : r_count) * sizeof *values);
    noise(1, x_count, values);
    nn_program_write(w->program, w->x, values);
    noise(2, r_count, values);
    nn_program_write(w->program, w->r, values);
    nn_program_run(w->program);
    free(values);
}

static void check(test *t, const char *path, const nn_program_options *options, whole *w)
{
    REQUIRE_OK(t, safetensors_open(path, &w->file, &w->err), w->err);
    REQUIRE_OK(t, nn_cpu_create(2, &w->backend, &w->err), w->err);
    build(w);
    differentiate(w);
    REQUIRE_OK(t, nn_graph_status(w->graph, &w->err), w->err);
    REQUIRE_OK(t, nn_parameters_allocate(w->set, w->backend, 0, &w->err), w->err);
    REQUIRE_OK(t, model_weights_load(w->file, &(model_weights){w->set, NN_DATA, "", "state."}, &w->err), w->err);
    REQUIRE_OK(t, nn_program_create(w->graph, w->backend, options, &w->program, &w->err), w->err);
    REQUIRE_OK(t, nn_arena_bind(&w->arena, w->backend, &w->program, 1, &w->err), w->err);
    run(w);
    size_t sample = number(w, "sample"), count = w->trained.count;
    compare(t, w, w->y, "", "y", sample);
    compare(t, w, w->gradients[count], "", "dx", sample);
    for (size_t i = 0; i < count; i++)
        compare(t, w, w->gradients[i], "gradient.", w->set->tensors[w->trained.tensors[i]].name, 1);
    CHECK(t, safetensors_count(w->file) == w->set->count + count + 2); /* no other gradient is known to PyTorch */
}

static void check_network(test *t, const char *path)
{
    static const nn_program_options ways[] = {{.no_fusion = false}, {.no_reuse = true, .no_fusion = true}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        whole w = {.graph = nn_graph_create(), .set = nn_parameters_create()};
        check(t, path, &ways[i], &w);
        nn_program_destroy(w.program);
        nn_arena_free(&w.arena);
        nn_graph_destroy(w.graph);
        nn_parameters_destroy(w.set);
        model_trainables_free(&w.trained);
        nn_backend_destroy(w.backend);
        safetensors_close(w.file);
    }
}

#define NETWORK(name)                                                                                                 \
    static void name(test *t) { check_network(t, "tests/fixtures/network_" #name ".safetensors"); }
NETWORK(resnet_6blocks_transpose)
NETWORK(resnet_6blocks_resize_conv)
NETWORK(resnet_9blocks)
NETWORK(unet_128)
NETWORK(unet_256)
NETWORK(patchgan)
NETWORK(n_layers)
NETWORK(pixel)

TEST_MAIN(TEST(resnet_6blocks_transpose), TEST(resnet_6blocks_resize_conv), TEST(resnet_9blocks), TEST(unet_128),
          TEST(unet_256), TEST(patchgan), TEST(n_layers), TEST(pixel))
