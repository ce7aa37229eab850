/* ONNX files (nn/onnx.h) of every generator, and of graphs that no model has: read back by a reader of their own, checked
 * and computed by plain loops, against what the engine makes of the same graph. */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <unistd.h>

#include "base/rng.h"
#include "models/onnx_evaluate.h"
#include "nn/onnx.h"
#include "nn/program.h"
#include "reference.h"

/* Relative L2, as for whole networks against PyTorch (test_torch_networks). */
static const double bound = 1e-5;
static const nn_onnx_about about = {.name = "graph", .producer = "tests", .version = "1.2", .description = "A test's."};

typedef struct bench {
    char folder[40], path[64];
    nn_backend *backend;
    nn_parameters *set;
    error err;
} bench;

/* NULL when something failed. */
static nn_backend *bench_begin(bench *b)
{
    *b = (bench){.folder = "/tmp/cyclegan-onnx-XXXXXX", .set = nn_parameters_create()};
    if (!mkdtemp(b->folder) || nn_cpu_create(2, &b->backend, &b->err) != STATUS_OK) return NULL;
    snprintf(b->path, sizeof b->path, "%s/file.onnx", b->folder);
    return b->backend;
}

static void bench_end(bench *b)
{
    unlink(b->path);
    if (rmdir(b->folder) != 0) perror(b->folder); /* nothing half-written stays */
    nn_parameters_destroy(b->set);
    nn_backend_destroy(b->backend);
}

static void fill_weights(bench *b)
{
    for (size_t i = 0; i < b->set->count; i++) {
        size_t count = nn_count(b->set->tensors[i].shape);
        float *values = malloc(count * sizeof *values);
        for (size_t k = 0; k < count; k++) values[k] = 0.3f * rng_normal(7, RNG_TEST, (uint32_t)i, (uint32_t)k);
        nn_parameters_write(b->set, NN_DATA, i, values);
        free(values);
    }
}

/* From (n, h, w, c) to (n, c, h, w) in double. */
static double *planes(const float *values, nn_shape s)
{
    size_t pixels = s.dim[NN_H] * s.dim[NN_W], channels = s.dim[NN_C];
    double *out = malloc(nn_count(s) * sizeof *out);
    for (size_t i = 0; i < nn_count(s); i++) {
        size_t image = i / (pixels * channels), pixel = i / channels % pixels, c = i % channels;
        out[(image * channels + c) * pixels + pixel] = values[i];
    }
    return out;
}

static onnx_shape planes_shape(nn_shape s)
{
    return (onnx_shape){s.dim[NN_N], s.dim[NN_C], s.dim[NN_H], s.dim[NN_W]};
}

/* The engine's result of the graph for `x` in *y, against the file's. */
static void compare(test *t, bench *b, nn_graph *g, nn_value x, nn_value y, const onnx_model *m)
{
    nn_program *program = NULL;
    nn_arena arena = {0};
    nn_shape in = nn_shape_at(g, x), out = nn_shape_at(g, y);
    float *pixels = malloc(nn_count(in) * sizeof *pixels), *result = malloc(nn_count(out) * sizeof *result);
    for (size_t i = 0; i < nn_count(in); i++) pixels[i] = 0.5f * rng_normal(8, RNG_TEST, 0, (uint32_t)i);
    nn_output(g, y);
    REQUIRE_OK(t, nn_program_create(g, b->backend, NULL, &program, &b->err), b->err);
    REQUIRE_OK(t, nn_arena_bind(&arena, b->backend, &program, 1, &b->err), b->err);
    nn_program_write(program, x, pixels);
    nn_program_run(program);
    nn_program_read(program, y, result);
    onnx_shape shape = planes_shape(in), expected = planes_shape(out);
    double *from = planes(pixels, in), *actual = planes(result, out), *read = onnx_evaluate(m, from, &shape);
    REQUIRE(t, read && memcmp(&shape, &expected, sizeof shape) == 0);
    double difference = 0, norm = 0;
    for (size_t i = 0; i < nn_count(out); i++) {
        difference += (actual[i] - read[i]) * (actual[i] - read[i]);
        norm += read[i] * read[i];
    }
    CHECK_NEAR(t, sqrt(difference / norm), 0, bound);
    free(from);
    free(actual);
    free(read);
    free(pixels);
    free(result);
    nn_program_destroy(program);
    nn_arena_free(&arena);
}

/* Names, orders and shapes of the weights are the reference's; the biases that a norm would cancel are not there. */
static void check_weights(test *t, const bench *b, const reference_network *n, const onnx_model *m)
{
    size_t found = 0;
    for (size_t i = 0; i < n->count; i++) {
        const onnx_tensor *w = onnx_find(m, n->tensors[i].name);
        size_t rank = n->tensors[i].rank, count = nn_count(b->set->tensors[i].shape);
        if (!w) {
            CHECK(t, rank == 1);
            continue;
        }
        found++;
        CHECK(t, w->type == 1 && w->rank == rank && w->count == count);
        CHECK(t, memcmp(w->dims, n->tensors[i].shape, rank * sizeof *w->dims) == 0);
        float *values = malloc(count * sizeof *values);
        nn_parameters_read(b->set, NN_DATA, i, values);
        for (size_t k = 0; k < count && k < w->count; k++) CHECK(t, w->values[k] == (double)values[k]);
        free(values);
    }
    /* Every other tensor is a node's own. */
    for (size_t i = 0; i < m->tensor_count; i++)
        for (size_t k = 0; k < m->node_count; k++) {
            size_t length = strlen(m->nodes[k].name);
            const char *name = m->tensors[i].name;
            if (strncmp(name, m->nodes[k].name, length) == 0 && name[length] == '.') found++;
        }
    CHECK(t, found == m->tensor_count);
}

static void check_model(test *t, const onnx_model *m)
{
    static const char *const dims[] = {"batch", "3", "height", "width"};
    CHECK(t, m->ir_version == 6 && m->operator_set == 11 && m->input_count == 1 && m->output_count == 1);
    CHECK_TEXT(t, m->input.name, "input");
    CHECK_TEXT(t, m->output.name, "output");
    CHECK_TEXT(t, m->graph, "graph");
    CHECK(t, m->input.type == 1 && m->input.rank == 4 && m->output.type == 1 && m->output.rank == 4);
    for (int i = 0; i < 4; i++) {
        CHECK_TEXT(t, m->input.dims[i], dims[i]);
        CHECK_TEXT(t, m->output.dims[i], dims[i]);
    }
    for (size_t i = 0; i < m->node_count; i++) /* names are unique */
        for (size_t k = 0; k < i; k++) CHECK(t, strcmp(m->nodes[i].output, m->nodes[k].output) != 0);
}

/* Written from a graph for the smallest picture, compared on two pictures of another size. */
static void check_generator(test *t, const reference_network *n)
{
    bench b;
    REQUIRE(t, bench_begin(&b));
    model_generator_options options = reference_generator(n);
    size_t stride = model_generator_stride(&options), height = stride < 8 ? 16 : stride;
    nn_graph *small = nn_graph_create(), *large = nn_graph_create();
    size_t side = stride < 8 ? 8 : stride;
    nn_value x = nn_input(small, "x", nn_shape_of(1, side, side, 3));
    nn_value y = model_generator_build(small, b.set, "", &options, x, NULL);
    nn_value two = nn_input(large, "x", nn_shape_of(2, height, height + stride, 3));
    nn_value result = model_generator_build(large, b.set, "", &options, two, NULL);
    REQUIRE_OK(t, nn_parameters_allocate(b.set, b.backend, 0, &b.err), b.err);
    fill_weights(&b);
    REQUIRE_OK(t, nn_onnx_write(b.path, small, x, y, &about, &b.err), b.err);
    onnx_model *m = onnx_read(t, b.path);
    REQUIRE(t, m);
    check_model(t, m);
    check_weights(t, &b, n, m);
    compare(t, &b, large, two, result, m);
    onnx_free(m);
    nn_graph_destroy(small);
    nn_graph_destroy(large);
    bench_end(&b);
}

static void generators(test *t)
{
    reference_network *networks = calloc(REFERENCE_NETWORKS, sizeof *networks);
    REQUIRE(t, networks);
    size_t checked = 0;
    for (size_t i = reference_read(networks); i-- > 0;) {
        if (!reference_is_generator(&networks[i])) continue;
        check_generator(t, &networks[i]);
        checked++;
    }
    CHECK(t, checked == 6);
    free(networks);
}

/* Sides, modes and operations as no generator has them. */
static nn_value build_unusual(nn_graph *g, nn_parameters *set, nn_value x)
{
    nn_value w1 = nn_parameter(g, set, "first.weight", nn_shape_of(4, 3, 2, 3));
    nn_value w2 = nn_parameter(g, set, "second.weight", nn_shape_of(4, 5, 3, 4));
    nn_value w3 = nn_parameter(g, set, "third.weight", nn_shape_of(6, 6, 1, 1));
    nn_value bias = nn_parameter(g, set, "third.bias", nn_shape_vector(6));
    nn_value a = nn_conv2d(g, nn_pad_sides(g, x, NN_PAD_EDGE, 2, 0, 1, 3), w1, 3, 2);
    nn_value b = nn_pad_sides(g, nn_sigmoid(g, a), NN_PAD_ZERO, 0, 1, 2, 0);
    nn_value c = nn_conv2d_transpose(g, nn_pad_sides(g, b, NN_PAD_REFLECT, 1, 2, 0, 1), w2, 3, 0, 2);
    nn_value sum = nn_add(g, c, nn_leaky_relu(g, c, 0.7f));
    nn_value both = nn_concat(g, (nn_value[]){sum, c}, 2, NN_N);
    nn_value w4 = nn_parameter(g, set, "fourth.weight", nn_shape_of(1, 5, 1, 1));
    nn_value wide = nn_concat(g, (nn_value[]){both, nn_conv2d(g, both, w4, 1, 0)}, 2, NN_C);
    nn_value y = nn_bias(g, nn_conv2d(g, nn_resize_nearest(g, wide, 3), w3, 2, 0), bias);
    return nn_instance_norm(g, nn_conv2d(g, y, w3, 1, 1), 0.5f); /* a weight's second use, without its bias */
}

static void unusual_graphs(test *t)
{
    bench b;
    REQUIRE(t, bench_begin(&b));
    nn_graph *g = nn_graph_create();
    nn_value x = nn_input(g, "x", nn_shape_of(2, 9, 12, 3)), y = build_unusual(g, b.set, x);
    REQUIRE_OK(t, nn_graph_status(g, &b.err), b.err);
    REQUIRE_OK(t, nn_parameters_allocate(b.set, b.backend, 0, &b.err), b.err);
    fill_weights(&b);
    nn_onnx_property properties[] = {{"from", "snacks"}, {"to", ""}};
    nn_onnx_about told = {"it", "me", "7", "what\nit is", properties, 2};
    REQUIRE_OK(t, nn_onnx_write(b.path, g, x, y, &told, &b.err), b.err);
    onnx_model *m = onnx_read(t, b.path);
    REQUIRE(t, m);
    CHECK_TEXT(t, m->producer, "me");
    CHECK_TEXT(t, m->version, "7");
    CHECK_TEXT(t, m->description, "what\nit is");
    CHECK(t, m->property_count == 2);
    CHECK_TEXT(t, onnx_property(m, "from"), "snacks");
    CHECK_TEXT(t, onnx_property(m, "to"), "");
    CHECK_TEXT(t, m->output.dims[1], "6");
    compare(t, &b, g, x, y, m);
    onnx_free(m);
    nn_graph_destroy(g);
    bench_end(&b);
}

typedef struct refused {
    nn_graph *g;
    nn_parameters *set;
    nn_value x;
} refused;

static nn_value scaled(const refused *r) { return nn_scale(r->g, r->x, 2); }
static nn_value pooled(const refused *r) { return nn_max_pool(r->g, nn_relu(r->g, r->x), 2, 2, false); }
static nn_value second_input(const refused *r)
{
    return nn_add(r->g, r->x, nn_input(r->g, "other", nn_shape_of(1, 8, 8, 3)));
}
static nn_value bias_alone(const refused *r)
{
    return nn_bias(r->g, nn_relu(r->g, r->x), nn_parameter(r->g, r->set, "b", nn_shape_vector(3)));
}
static nn_value convolution_beside_its_bias(const refused *r)
{
    nn_value y = nn_conv2d(r->g, r->x, nn_parameter(r->g, r->set, "w", nn_shape_of(3, 3, 1, 1)), 1, 0);
    return nn_add(r->g, nn_bias(r->g, y, nn_parameter(r->g, r->set, "b", nn_shape_vector(3))), y);
}
static nn_value bias_of_an_earlier_convolution(const refused *r)
{
    nn_value w = nn_parameter(r->g, r->set, "w", nn_shape_of(3, 3, 1, 1)), y = nn_conv2d(r->g, r->x, w, 1, 0);
    nn_value later = nn_conv2d(r->g, r->x, w, 1, 0);
    return nn_add(r->g, nn_bias(r->g, y, nn_parameter(r->g, r->set, "b", nn_shape_vector(3))), later);
}
static nn_value computed_weight(const refused *r)
{
    return nn_conv2d(r->g, r->x, nn_tanh(r->g, nn_parameter(r->g, r->set, "w", nn_shape_of(3, 3, 1, 1))), 1, 0);
}
static nn_value weight_from_picture(const refused *r)
{
    nn_value eight = nn_conv2d(r->g, r->x, nn_parameter(r->g, r->set, "w", nn_shape_of(8, 3, 1, 1)), 1, 0);
    return nn_conv2d(r->g, eight, nn_relu(r->g, r->x), 1, 0); /* (1, 8, 8, 3), as a kernel from 8 channels to 1 */
}
static nn_value wrong_shape(const refused *r) { return nn_resize_nearest(r->g, r->x, 0); }
static nn_value input_alone(const refused *r) { return r->x; }
static nn_value statistics(const refused *r) { return nn_instance_norm(r->g, r->x, 1e-5f) + 1; }
/* 2.4 GB, of which nothing is read. */
static nn_value too_large(const refused *r)
{
    nn_value w = nn_parameter(r->g, r->set, "w", nn_shape_of(200000000, 3, 1, 1));
    return nn_conv2d(r->g, r->x, w, 1, 0);
}

static void refuses(test *t)
{
    static const struct {
        nn_value (*build)(const refused *r);
        const char *message;
    } cases[] = {
        {scaled, "scale: ONNX files of this program have no such operation"},
        {pooled, "max_pool: ONNX files of this program have no such operation"},
        {bias_alone, "bias: ONNX files of this program have no such operation"},
        {bias_of_an_earlier_convolution, "bias: ONNX files of this program have no such operation"},
        {second_input, "add: reads a value that is not in the file"},
        {convolution_beside_its_bias, "add: reads a value that is not in the file"},
        {computed_weight, "activation: reads a value that is not in the file"},
        {weight_from_picture, "conv2d: its weights are no lasting memory, or a bias as well"},
        {wrong_shape, "resize_nearest: factor must be at least 1"},
        {input_alone, "the output is no result of a node"},
        {statistics, "the output is no result of a node"},
        {too_large, "an ONNX file has at most 2147483647 bytes, this one would have 24000"},
    };
    bench b;
    REQUIRE(t, bench_begin(&b));
    char expected[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refused r = {.g = nn_graph_create(), .set = nn_parameters_create()};
        r.x = nn_input(r.g, "x", nn_shape_of(1, 8, 8, 3));
        nn_value y = cases[i].build(&r);
        b.err = (error){0};
        CHECK(t, nn_onnx_write(b.path, r.g, r.x, y, &about, &b.err) == STATUS_FAILED && !file_exists(b.path));
        snprintf(expected, sizeof expected, "%s: %s", b.path, cases[i].message);
        b.err.message[strlen(expected)] = '\0'; /* how many bytes it would have had is not looked at */
        CHECK_TEXT(t, b.err.message, expected);
        nn_graph_destroy(r.g);
        nn_parameters_destroy(r.set);
    }
    bench_end(&b);
}

/* What was there before stays, where nothing can be written. */
static void leaves_what_is_there(test *t)
{
    bench b;
    REQUIRE(t, bench_begin(&b));
    nn_graph *g = nn_graph_create();
    nn_value x = nn_input(g, "x", nn_shape_of(1, 8, 8, 3)), y = nn_relu(g, x);
    char *bytes;
    size_t size;
    CHECK(t, nn_onnx_write("/nonexistent/file.onnx", g, x, y, &about, &b.err) == STATUS_FAILED);
    CHECK_TEXT(t, b.err.message, "/nonexistent/file.onnx: cannot create: No such file or directory");
    REQUIRE_OK(t, file_write_all(b.path, "before", 6, &b.err), b.err);
    CHECK(t, nn_onnx_write(b.path, g, x, nn_scale(g, y, 2), &about, &b.err) == STATUS_FAILED);
    REQUIRE_OK(t, file_read_all(b.path, 100, &bytes, &size, &b.err), b.err);
    CHECK_TEXT(t, bytes, "before");
    free(bytes);
    nn_graph_destroy(g);
    bench_end(&b);
}

TEST_MAIN(TEST(generators), TEST(unusual_graphs), TEST(refuses), TEST(leaves_what_is_there))
