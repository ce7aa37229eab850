/* VGG's features against PyTorch in double precision (tools/oracle/style.py), its files, its names. */
#include <unistd.h>

#include "../style/fixture.h"
#include "base/file.h"
#include "models/vgg.h"
#include "nn/program.h"

static const char fixture[] = "tests/fixtures/vgg.safetensors", tiny[] = "tests/fixtures/vgg_tiny.safetensors";
static const char pruned[] = "../shared/data/weights/vgg19_16x.safetensors";

enum { PLACES = 4, MOST = 8 };

static const model_vgg_options defaults = {.seed = 3};

/* What the network gives for the fixture's photograph at one layer, compared as the fixture has it. */
static void compare_layer(test *t, const safetensors_file *file, const char *kind, const char *layer, nn_shape s,
                          const float *y)
{
    char name[96];
    static const char *const parts[] = {"places", "mean", "rms"};
    size_t c = s.dim[NN_C], pixels = s.dim[NN_H] * s.dim[NN_W];
    float *sums[3] = {calloc(PLACES * PLACES * c, sizeof(float)), calloc(c, sizeof(float)), calloc(c, sizeof(float))};
    for (size_t i = 0; i < PLACES * PLACES; i++) {
        size_t row = i / PLACES * (s.dim[NN_H] - 1) / 3, column = i % PLACES * (s.dim[NN_W] - 1) / 3;
        memcpy(sums[0] + i * c, y + (row * s.dim[NN_W] + column) * c, c * sizeof *y);
    }
    for (size_t k = 0; k < c; k++) {
        double sum = 0, square = 0;
        for (size_t i = 0; i < pixels; i++) {
            sum += (double)y[i * c + k];
            square += (double)y[i * c + k] * y[i * c + k];
        }
        sums[1][k] = (float)(sum / (double)pixels);
        sums[2][k] = (float)sqrt(square / (double)pixels);
    }
    for (int i = 0; i < 3; i++) {
        const safetensors_entry *entry;
        snprintf(name, sizeof name, "%s.%s.%s", kind, layer, parts[i]);
        float *expected = fixture_values(file, name, &entry);
        bool same = expected && entry->count == (i ? c : PLACES * PLACES * c);
        CHECK(t, same);
        if (same && !(test_relative(sums[i], expected, entry->count) < 1e-5)) /* asked for: 1e-4 */
            test_failed(t, __FILE__, __LINE__, "%s: off by %g", name, test_relative(sums[i], expected, entry->count));
        free(expected);
        free(sums[i]);
    }
}

/* path NULL: random. layers: names, ending with NULL. */
static void compare(test *t, const char *path, const model_vgg_options *options, const char *kind,
                    const char *const *layers)
{
    error err = {0};
    safetensors_file *file;
    nn_backend *backend;
    model_vgg *v;
    nn_program *p;
    nn_arena arena = {0};
    size_t h, w, at[MOST], count = 0, deepest = 0;
    nn_value y[MOST];
    REQUIRE_OK(t, safetensors_open(fixture, &file, &err), err);
    float *photo = fixture_picture(file, "photo", &h, &w);
    REQUIRE(t, photo);
    REQUIRE_OK(t, nn_cpu_create(0, &backend, &err), err);
    REQUIRE_OK(t, model_vgg_open(path, options, &v, &err), err);
    for (; layers[count]; count++) {
        REQUIRE_OK(t, model_vgg_layer(v, layers[count], &at[count], &err), err);
        if (at[count] > deepest) deepest = at[count];
    }
    REQUIRE_OK(t, model_vgg_load(v, backend, deepest, &err), err);
    nn_graph *g = nn_graph_create();
    nn_value x = nn_input(g, "x", nn_shape_of(1, h, w, 3));
    model_vgg_build(v, g, x, at, count, y);
    for (size_t i = 0; i < count; i++) nn_output(g, y[i]);
    REQUIRE_OK(t, nn_graph_status(g, &err), err);
    REQUIRE_OK(t, nn_program_create(g, backend, NULL, &p, &err), err);
    REQUIRE_OK(t, nn_arena_bind(&arena, backend, &p, 1, &err), err);
    nn_program_write(p, x, photo);
    nn_program_run(p);
    for (size_t i = 0; i < count; i++) {
        nn_shape s = nn_shape_at(g, y[i]);
        float *values = malloc(nn_count(s) * sizeof *values);
        CHECK(t, s.dim[NN_C] == model_vgg_channels(v, at[i]));
        nn_program_read(p, y[i], values);
        compare_layer(t, file, kind, layers[i], s, values);
        free(values);
    }
    nn_program_destroy(p);
    nn_graph_destroy(g);
    nn_arena_free(&arena);
    model_vgg_destroy(v);
    nn_backend_destroy(backend);
    safetensors_close(file);
    free(photo);
}

static void equals_torch_pruned(test *t)
{
    if (!file_exists(pruned)) SKIP(t, "../shared/data/weights is not there");
    compare(t, pruned, &defaults, "pruned",
            (const char *[]){"relu1_1", "pool1", "relu4_2", "conv5_1", "relu5_1", NULL});
}

static void equals_torch_random(test *t)
{
    compare(t, NULL, &defaults, "random", (const char *[]){"relu1_2", "pool2", "conv3_4", "relu4_2", "relu5_4", NULL});
}

static void equals_torch_in_every_convention(test *t)
{
    char kind[64];
    for (int input = 1; model_vgg_input_names[input]; input++)
        for (int padding = 1; model_vgg_padding_names[padding]; padding++) {
            model_vgg_options o = {.input = (model_vgg_input)input, .padding = (model_vgg_padding)padding};
            snprintf(kind, sizeof kind, "%s.%s", model_vgg_input_names[input], model_vgg_padding_names[padding]);
            compare(t, tiny, &o, kind, (const char *[]){"relu3_1", NULL});
        }
}

static void finds_layers(test *t)
{
    static const struct {
        const char *name;
        size_t layer, channels, minimum;
    } known[] = {{"conv1_1", 0, 64, 1},      {"relu1_1", 1, 64, 1},        {"block1_conv1", 1, 64, 1},
                 {"pool1", 4, 64, 2},        {"conv2_1", 5, 128, 2},       {"relu4_2", 22, 512, 8},
                 {"conv4_2", 21, 512, 8},    {"block4_conv2", 22, 512, 8}, {"pool3", 18, 256, 8},
                 {"block5_pool", 36, 512, 32}, {"conv5_4", 34, 512, 16}};
    model_vgg *v;
    error err = {0};
    size_t layer;
    REQUIRE_OK(t, model_vgg_open(NULL, &defaults, &v, &err), err);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        REQUIRE_OK(t, model_vgg_layer(v, known[i].name, &layer, &err), err);
        CHECK(t, layer == known[i].layer && model_vgg_channels(v, layer) == known[i].channels &&
                     model_vgg_minimum(v, layer) == known[i].minimum);
    }
    CHECK(t, model_vgg_layer(v, "relu4_5", &layer, &err) == STATUS_USAGE);
    CHECK_CONTAINS(t, err.message, "no layer 'relu4_5'; did you mean 'relu4_");
    CHECK(t, model_vgg_layer(v, "block6_conv1", &layer, &err) == STATUS_USAGE);
    CHECK_CONTAINS(t, err.message, "did you mean 'block");
    CHECK(t, model_vgg_layer(v, "\033", &layer, &err) == STATUS_USAGE);
    CHECK_CONTAINS(t, err.message, "no layer '\\x1b'; expected one such as");
    CHECK(t, model_vgg_is_random(v));
    CHECK_CONTAINS(t, model_vgg_description(v), "VGG-19 with random weights (seed 3)");
    model_vgg_destroy(v);
    REQUIRE_OK(t, model_vgg_open(tiny, &defaults, &v, &err), err);
    CHECK(t, model_vgg_layer(v, "relu3_2", &layer, &err) == STATUS_USAGE);
    CHECK_CONTAINS(t, err.message, "vgg_tiny.safetensors: the layer 'relu3_2' is not in this file, which ends at");
    CHECK_CONTAINS(t, model_vgg_description(v), "VGG-19 up to conv3_1, 6 to 9 channels, input unit, padding zero, max");
    model_vgg_destroy(v);
}

typedef struct tensor {
    const char *name;
    size_t rank, shape[4];
} tensor;

/* Writes a file of zeros (or of NaN) with these tensors, opens it and loads it up to its first layer. */
static status open_file(const tensor *tensors, size_t count, const char *key, const char *value, float fill, int *depth,
                        error *err)
{
    char path[] = "/tmp/cyclegan-vgg-XXXXXX";
    int number = mkstemp(path);
    if (number >= 0) close(number);
    safetensors_writer *w;
    TRY(safetensors_writer_create(&w, err));
    for (size_t i = 0; i < count; i++)
        safetensors_declare(w, tensors[i].name, SAFETENSORS_F32, tensors[i].rank, tensors[i].shape);
    if (key) safetensors_set_metadata(w, key, value);
    TRY(safetensors_begin(w, path, err));
    for (size_t i = 0; i < count; i++) {
        size_t elements = 1;
        for (size_t k = 0; k < tensors[i].rank; k++) elements *= tensors[i].shape[k];
        for (size_t k = 0; k < elements; k++) TRY(safetensors_put_f32(w, &fill, 1, err));
    }
    TRY(safetensors_commit(w, err));
    model_vgg *v = NULL;
    nn_backend *backend;
    TRY(nn_cpu_create(1, &backend, err));
    status result = model_vgg_open(path, &defaults, &v, err);
    if (result == STATUS_OK && depth) *depth = strncmp(model_vgg_description(v), "VGG-16", 6) ? 19 : 16;
    if (result == STATUS_OK) result = model_vgg_load(v, backend, 0, err);
    model_vgg_destroy(v);
    nn_backend_destroy(backend);
    unlink(path);
    return result;
}

#define LAYER(n, out, in) {"features." #n ".weight", 4, {out, in, 3, 3}}, {"features." #n ".bias", 1, {out}}

static void refuses(test *t)
{
    static const struct {
        tensor tensors[6];
        size_t count;
        const char *key, *value;
        float fill;
        const char *message;
    } cases[] = {
        {{LAYER(0, 2, 3), LAYER(5, 2, 2)}, 4, NULL, NULL, 0, "features.2.weight is missing"},
        {{{"features.0.weight", 4, {2, 3, 3, 3}}}, 1, NULL, NULL, 0, "features.0.bias is missing"},
        {{{"features.0.weight", 2, {2, 27}}, {"features.0.bias", 1, {2}}}, 2, NULL, NULL, 0,
         "features.0.weight: expected Nx3x3x3, found 2x27"},
        {{LAYER(0, 2, 3), LAYER(2, 2, 4)}, 4, NULL, NULL, 0, "features.2.weight: expected Nx2x3x3, found 2x4x3x3"},
        {{{"features.0.weight", 4, {2, 3, 3, 3}}, {"features.0.bias", 1, {3}}}, 2, NULL, NULL, 0,
         "features.0.bias: expected 2, found 3"},
        {{LAYER(0, 2, 3), {"features.1.weight", 1, {2}}, {"features.1.bias", 1, {2}}}, 4, NULL, NULL, 0,
         "batch norm is not supported: found features.1."},
        {{LAYER(0, 2, 3), LAYER(4, 2, 2)}, 4, NULL, NULL, 0, "VGG-19 has no convolution there"},
        {{{"classifier.0.weight", 2, {2, 2}}}, 1, NULL, NULL, 0, "not a VGG: expected features.0.weight"},
        {{LAYER(0, 2, 3)}, 2, "input", "YUV", 0, "metadata's input 'YUV' is not understood"},
        {{LAYER(0, 2, 3)}, 2, "padding", "circular", 0, "metadata's padding 'circular' is not understood"},
        {{LAYER(0, 2, 3)}, 2, NULL, NULL, NAN, "features.0.weight: expected finite values"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        error err = {0};
        CHECK(t, open_file(cases[i].tensors, cases[i].count, cases[i].key, cases[i].value, cases[i].fill, NULL, &err) ==
                     STATUS_FAILED);
        CHECK_CONTAINS(t, err.message, cases[i].message);
        CHECK_CONTAINS(t, err.message, "/tmp/cyclegan-vgg-");
    }
}

static void tells_16_from_19(test *t)
{
    static const size_t in_19[] = {0, 2, 5, 7, 10, 12, 14, 16}, in_16[] = {0, 2, 5, 7, 10, 12, 14, 17};
    for (int i = 0; i < 2; i++) {
        tensor tensors[16];
        char names[16][32];
        int depth = 0;
        error err = {0};
        for (size_t k = 0; k < 8; k++) {
            size_t layer = i ? in_16[k] : in_19[k], in = k ? 1 : 3;
            snprintf(names[2 * k], 32, "features.%zu.weight", layer);
            snprintf(names[2 * k + 1], 32, "features.%zu.bias", layer);
            tensors[2 * k] = (tensor){names[2 * k], 4, {1, in, 3, 3}};
            tensors[2 * k + 1] = (tensor){names[2 * k + 1], 1, {1}};
        }
        REQUIRE_OK(t, open_file(tensors, 16, NULL, NULL, 0, &depth, &err), err);
        CHECK(t, depth == (i ? 16 : 19));
    }
}

static void refuses_small_pictures(test *t)
{
    model_vgg *v;
    nn_backend *backend;
    error err = {0};
    size_t layer;
    nn_value y;
    REQUIRE_OK(t, nn_cpu_create(1, &backend, &err), err);
    REQUIRE_OK(t, model_vgg_open(tiny, &(model_vgg_options){.padding = MODEL_VGG_NO_PADDING}, &v, &err), err);
    REQUIRE_OK(t, model_vgg_layer(v, "relu3_1", &layer, &err), err);
    CHECK(t, model_vgg_minimum(v, layer) == 24);
    REQUIRE_OK(t, model_vgg_load(v, backend, layer, &err), err);
    for (size_t side = 23; side <= 24; side++) {
        nn_graph *g = nn_graph_create();
        model_vgg_build(v, g, nn_input(g, "x", nn_shape_of(1, 30, side, 3)), &layer, 1, &y);
        CHECK(t, (nn_graph_status(g, &err) == STATUS_OK) == (side == 24));
        CHECK_CONTAINS(t, err.message, "a picture of 23x30 is too small for relu3_1: expected at least 24x24");
        if (side == 24) CHECK(t, nn_shape_at(g, y).dim[NN_W] == 1);
        nn_graph_destroy(g);
    }
    model_vgg_destroy(v);
    nn_backend_destroy(backend);
}

TEST_MAIN(TEST(equals_torch_pruned), TEST(equals_torch_random), TEST(equals_torch_in_every_convention),
          TEST(finds_layers), TEST(refuses), TEST(tells_16_from_19), TEST(refuses_small_pictures))
