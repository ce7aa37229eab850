/* Every operation that has a PyTorch counterpart, as a graph of its own, against PyTorch in double precision
 * (tools/oracle/ops.py): results, and the gradients of sum(y * r). One test function for each operation. */
#include "nn/graph.h"
#include "nn/program.h"
#include "nn/safetensors.h"
#include "test.h"

static const char path[] = "tests/fixtures/ops.safetensors";

enum { MOST_INPUTS = 3, NAME_BYTES = 128 };

/* Elementwise, |actual - expected| <= bound * (|expected| + floor), where the floor is the mean size of the tensor's
 * elements: sums of products are no better than their terms. Two cases are badly conditioned by nature: a mean of 100
 * costs two digits, and on two pixels the gradient is what is left of 1 - 1. */
static const struct {
    const char *name;
    double bound, least_floor;
} conditions[] = {{"instance_norm.far_mean", 1e-4, 0}, {"instance_norm.two_pixels", 1e-5, 1}, {"", 1e-5, 0}};

typedef struct torch_case {
    const safetensors_file *file;
    const char *name, *words; /* "conv2d.k3s1p1c3", "stride=1 padding=1" */
    nn_graph *graph;
    nn_value input[MOST_INPUTS], gradient[MOST_INPUTS], y, r, draws; /* draws: NN_NONE but for augment */
    const char *suffix[MOST_INPUTS];
    size_t inputs;
} torch_case;

static const char *word(const torch_case *c, const char *key)
{
    size_t length = strlen(key);
    for (const char *p = c->words; p; p = strchr(p, ' ')) {
        p += *p == ' ';
        if (strncmp(p, key, length) == 0 && p[length] == '=') return p + length + 1;
    }
    return "missing";
}

static float real(const torch_case *c, const char *key) { return strtof(word(c, key), NULL); }
static size_t number(const torch_case *c, const char *key) { return strtoul(word(c, key), NULL, 10); }
static size_t axis(const torch_case *c) { return word(c, "axis")[0] == 'n' ? NN_N : NN_C; }

static const safetensors_entry *find(const torch_case *c, const char *prefix, const char *suffix)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%s%s", c->name, prefix, suffix);
    return safetensors_find(c->file, name);
}

static nn_shape shape_of(const safetensors_entry *e)
{
    return e->rank == 4 ? nn_shape_of(e->shape[0], e->shape[1], e->shape[2], e->shape[3]) : nn_shape_vector(e->count);
}

/* The caller frees. */
static float *values_of(const torch_case *c, const safetensors_entry *e)
{
    float *values = malloc((e->count + 1) * sizeof *values);
    if (values && safetensors_read_f32(c->file, e, values, NULL) == STATUS_OK) return values;
    fputs("test_torch_ops: cannot read the fixture\n", stderr);
    exit(1);
}

static nn_value moves(torch_case *c, const char *op)
{
    nn_graph *g = c->graph;
    nn_value x = c->input[0];
    if (strcmp(op, "augment") == 0) {
        c->draws = nn_input(g, "draws", shape_of(find(c, "", "draws")));
        return nn_augment(g, x, c->draws, 0, number(c, "hole"));
    }
    if (strcmp(op, "pad") == 0) {
        const char *mode = word(c, "mode");
        return nn_pad_sides(g, x, mode[0] == 'z' ? NN_PAD_ZERO : mode[0] == 'r' ? NN_PAD_REFLECT : NN_PAD_EDGE,
                            number(c, "top"), number(c, "bottom"), number(c, "left"), number(c, "right"));
    }
    if (strcmp(op, "concat") == 0) return nn_concat(g, c->input, c->inputs, axis(c));
    if (strcmp(op, "slice") == 0) return nn_slice(g, x, axis(c), number(c, "begin"), number(c, "extent"));
    if (strcmp(op, "resize_nearest") == 0) return nn_resize_nearest(g, x, number(c, "factor"));
    if (strcmp(op, "resize_bilinear") == 0) return nn_resize_bilinear(g, x, number(c, "height"), number(c, "width"));
    if (strcmp(op, "max_pool") == 0)
        return nn_max_pool(g, x, number(c, "kernel"), number(c, "stride"), number(c, "ceil"));
    if (strcmp(op, "average_pool") == 0) return nn_average_pool(g, x, number(c, "kernel"), number(c, "stride"));
    return nn_graph_fail(g, "the fixture has an operation '%s' that this test does not know", op);
}

static nn_value losses(torch_case *c, const char *op)
{
    nn_graph *g = c->graph;
    nn_value x = c->input[0], x2 = c->inputs > 1 ? c->input[1] : NN_NONE;
    float target = x2 == NN_NONE ? real(c, "target") : 0;
    if (strcmp(op, "mean_abs") == 0) return nn_mean_abs(g, x, x2, target);
    if (strcmp(op, "mean_square") == 0) return nn_mean_square(g, x, x2, target);
    if (strcmp(op, "bce_logits") == 0) return nn_bce_logits(g, x, target);
    if (strcmp(op, "gram") == 0) return nn_gram(g, x, real(c, "scale"));
    if (strcmp(op, "total_variation") == 0)
        return nn_total_variation(g, x, real(c, "scale"), real(c, "exponent"), real(c, "epsilon"));
    return moves(c, op);
}

static nn_value build(torch_case *c)
{
    char op[NAME_BYTES];
    snprintf(op, sizeof op, "%.*s", (int)strcspn(c->name, "."), c->name);
    nn_graph *g = c->graph;
    nn_value x = c->input[0], second = c->inputs > 1 ? c->input[1] : NN_NONE;
    if (strcmp(op, "conv2d") == 0) return nn_conv2d(g, x, second, number(c, "stride"), number(c, "padding"));
    if (strcmp(op, "conv2d_transpose") == 0)
        return nn_conv2d_transpose(g, x, second, number(c, "stride"), number(c, "padding"),
                                   number(c, "output_padding"));
    if (strcmp(op, "bias") == 0) return nn_bias(g, x, second);
    if (strcmp(op, "instance_norm") == 0) return nn_instance_norm(g, x, real(c, "epsilon"));
    if (strcmp(op, "relu") == 0) return nn_relu(g, x);
    if (strcmp(op, "leaky_relu") == 0) return nn_leaky_relu(g, x, real(c, "slope"));
    if (strcmp(op, "tanh") == 0) return nn_tanh(g, x);
    if (strcmp(op, "sigmoid") == 0) return nn_sigmoid(g, x);
    if (strcmp(op, "add") == 0) return nn_add(g, x, second);
    if (strcmp(op, "multiply") == 0) return nn_multiply(g, x, second);
    if (strcmp(op, "scale") == 0) return nn_scale(g, x, real(c, "scale"));
    return losses(c, op);
}

/* Inputs, the operation, and the gradients of sum(y * r). That sum is count * mean |y * r + 1e6| less a constant: no
 * product comes near -1e6. */
static void build_whole(torch_case *c)
{
    static const char *const suffixes[] = {"x", "x2", "x3", "w", "b"};
    nn_graph *g = c->graph;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        const safetensors_entry *e = find(c, "", suffixes[i]);
        if (!e || c->inputs == MOST_INPUTS) continue;
        c->suffix[c->inputs] = suffixes[i];
        c->input[c->inputs++] = nn_input(g, suffixes[i], shape_of(e));
    }
    c->y = build(c);
    if (c->y == NN_NONE) return;
    nn_shape shape = nn_shape_at(g, c->y);
    c->r = nn_input(g, "r", shape);
    nn_value mean = nn_mean_abs(g, nn_multiply(g, c->y, c->r), NN_NONE, -1e6f);
    nn_grad(g, nn_scale(g, mean, (float)nn_count(shape)), c->input, c->inputs, c->gradient);
    nn_output(g, c->y);
    for (size_t i = 0; i < c->inputs; i++)
        if (c->gradient[i] != NN_NONE) nn_output(g, c->gradient[i]);
}

static void compare(test *t, const torch_case *c, const nn_program *p, nn_value value, const char *prefix,
                    const char *suffix)
{
    const safetensors_entry *e = find(c, prefix, suffix);
    if (!e || value == NN_NONE) {
        test_failed(t, __FILE__, __LINE__, "%s: %s%s is missing", c->name, prefix, suffix);
        return;
    }
    nn_shape shape = nn_shape_at(c->graph, value);
    nn_shape_text text, other;
    if (!nn_shape_equal(shape, shape_of(e))) {
        test_failed(t, __FILE__, __LINE__, "%s: %s%s is %s, expected %s", c->name, prefix, suffix,
                    nn_shape_print(shape, &text), nn_shape_print(shape_of(e), &other));
        return;
    }
    float *expected = values_of(c, e), *actual = malloc(e->count * sizeof *actual);
    double floor = 0, worst = INFINITY;
    size_t k = 0;
    while (conditions[k].name[0] && strcmp(conditions[k].name, c->name) != 0) k++;
    for (size_t i = 0; i < e->count; i++) floor += fabs((double)expected[i]) / (double)e->count;
    if (actual) {
        nn_program_read(p, value, actual);
        worst = test_worst(actual, expected, e->count, fmax(floor, conditions[k].least_floor));
    }
    if (!(worst <= conditions[k].bound))
        test_failed(t, __FILE__, __LINE__, "%s: %s%s is off by %.3g, expected within %g", c->name, prefix, suffix,
                    worst, conditions[k].bound);
    free(actual);
    free(expected);
}

static void write_input(const torch_case *c, nn_program *p, nn_value value, const char *suffix)
{
    float *values = values_of(c, find(c, "", suffix));
    nn_program_write(p, value, values);
    free(values);
}

static void run(test *t, const torch_case *c, nn_backend *backend, const nn_program_options *options)
{
    error err = {0};
    nn_program *p = NULL;
    nn_arena arena = {0};
    status result = nn_program_create(c->graph, backend, options, &p, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &p, 1, &err);
    if (result == STATUS_OK) {
        for (size_t i = 0; i < c->inputs; i++) write_input(c, p, c->input[i], c->suffix[i]);
        write_input(c, p, c->r, "r");
        if (c->draws != NN_NONE) write_input(c, p, c->draws, "draws");
        nn_program_run(p);
        compare(t, c, p, c->y, "", "y");
        for (size_t i = 0; i < c->inputs; i++) compare(t, c, p, c->gradient[i], "d", c->suffix[i]);
    } else {
        test_failed(t, __FILE__, __LINE__, "%s: %s", c->name, err.message);
    }
    nn_program_destroy(p);
    nn_arena_free(&arena);
}

static void check_case(test *t, const safetensors_file *file, safetensors_metadata row, nn_backend *backend)
{
    static const nn_program_options ways[] = {{.no_reuse = false}, {.no_reuse = true, .no_fusion = true}};
    torch_case c = {.file = file, .name = row.key, .words = row.value, .graph = nn_graph_create(), .r = NN_NONE,
                    .draws = NN_NONE};
    error err = {0};
    if (c.graph) build_whole(&c);
    if (!c.graph || nn_graph_status(c.graph, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s: %s", c.name, err.message);
    else
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) run(t, &c, backend, &ways[i]);
    nn_graph_destroy(c.graph);
}

/* Runs the cases whose names begin with "op."; there must be `count`. */
static void check_operation(test *t, const char *op, size_t count)
{
    safetensors_file *file;
    nn_backend *backend;
    error err = {0};
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    if (safetensors_open(path, &file, &err) == STATUS_OK) {
        size_t found = 0, length = strlen(op);
        for (size_t i = 0; i < safetensors_metadata_count(file); i++) {
            safetensors_metadata row = safetensors_metadata_at(file, i);
            if (strncmp(row.key, op, length) != 0 || row.key[length] != '.') continue;
            check_case(t, file, row, backend);
            found++;
        }
        if (found != count)
            test_failed(t, __FILE__, __LINE__, "%s: %zu cases in the fixture, expected %zu", op, found, count);
        safetensors_close(file);
    } else {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    }
    nn_backend_destroy(backend);
}

#define OPERATIONS(X)                                                                                                 \
    X(conv2d, 8)                                                                                                      \
    X(conv2d_transpose, 5)                                                                                            \
    X(bias, 1)                                                                                                        \
    X(instance_norm, 6)                                                                                               \
    X(relu, 1)                                                                                                        \
    X(leaky_relu, 1)                                                                                                  \
    X(tanh, 1)                                                                                                        \
    X(sigmoid, 1)                                                                                                     \
    X(add, 1)                                                                                                         \
    X(multiply, 1)                                                                                                    \
    X(scale, 1)                                                                                                       \
    X(pad, 10)                                                                                                        \
    X(concat, 2)                                                                                                      \
    X(slice, 2)                                                                                                       \
    X(resize_nearest, 2)                                                                                              \
    X(resize_bilinear, 6)                                                                                             \
    X(max_pool, 7)                                                                                                    \
    X(average_pool, 3)                                                                                                \
    X(mean_abs, 3)                                                                                                    \
    X(mean_square, 3)                                                                                                 \
    X(bce_logits, 2)                                                                                                  \
    X(gram, 2)                                                                                                        \
    X(total_variation, 3)                                                                                             \
    X(augment, 4)

#define DEFINE(op, count)                                                                                             \
    static void check_##op(test *t) { check_operation(t, #op, count); }
OPERATIONS(DEFINE)
#define ROW(op, count) TEST(check_##op),
TEST_MAIN(OPERATIONS(ROW))
