/* The three convolutions by oneDNN and by the thin kernels, against plain loops in double; weight layouts. */
#include "nn/cpu/onednn.h"
#include "nn/program.h"
#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/conv_thin.h"
#include "nn/kernel_test.h"

/* Plain loops. x: (n, h, w, c), w: (o, c, kh, kw), y: (n, h, w, o). Each visits every product of the sum
 * y += x w, and adds to the result that is asked for. */
typedef struct oracle {
    nn_shape x, w, y;
    size_t stride, padding;
} oracle;

typedef enum oracle_result { RESULT_Y, RESULT_X, RESULT_W } oracle_result;

static void oracle_run(const oracle *s, oracle_result result, const float *x, const float *w, const float *y,
                       double *out)
{
    const size_t *xd = s->x.dim, *wd = s->w.dim, *yd = s->y.dim;
    for (size_t n = 0; n < yd[NN_N]; n++)
        for (size_t i = 0; i < yd[NN_H]; i++)
            for (size_t j = 0; j < yd[NN_W]; j++)
                for (size_t u = 0; u < wd[NN_KH]; u++)
                    for (size_t v = 0; v < wd[NN_KW]; v++) {
                        size_t row = i * s->stride + u, column = j * s->stride + v;
                        if (row < s->padding || row - s->padding >= xd[NN_H]) continue;
                        if (column < s->padding || column - s->padding >= xd[NN_W]) continue;
                        size_t xi = ((n * xd[NN_H] + row - s->padding) * xd[NN_W] + column - s->padding) * xd[NN_C];
                        size_t yi = ((n * yd[NN_H] + i) * yd[NN_W] + j) * yd[NN_C];
                        for (size_t o = 0; o < wd[NN_OUT]; o++)
                            for (size_t c = 0; c < wd[NN_IN]; c++) {
                                size_t wi = ((o * wd[NN_IN] + c) * wd[NN_KH] + u) * wd[NN_KW] + v;
                                if (result == RESULT_Y) out[yi + o] += (double)x[xi + c] * w[wi];
                                if (result == RESULT_X) out[xi + c] += (double)y[yi + o] * w[wi];
                                if (result == RESULT_W) out[wi] += (double)x[xi + c] * y[yi + o];
                            }
                    }
}

static float *random_values(size_t count, uint32_t stream)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        float u = 2 * rng_uniform(7, RNG_TEST, stream, (uint32_t)i) - 1;
        values[i] = u == 0 ? 0.5f : u; /* never zero, so that padding can be told from values */
    }
    return values;
}

/* ||actual - expected|| / ||expected||, NaN gives infinity. */
static double relative(const float *actual, const double *expected, size_t count)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        norm += expected[i] * expected[i];
    }
    double result = sqrt(difference / (norm > 0 ? norm : 1));
    return result == result ? result : INFINITY;
}

/* A buffer between sentinels. */
typedef struct buffer {
    unsigned char *block;
    float *data;
    size_t bytes;
} buffer;

static buffer buffer_of(size_t bytes)
{
    buffer b = {.bytes = bytes};
    b.data = kernel_test_guarded(bytes, &b.block);
    return b;
}

static void buffer_free(test *t, buffer *b, const char *what)
{
    if (!kernel_test_guards_hold(b->block, b->bytes)) test_failed(t, __FILE__, __LINE__, "wrote beside %s", what);
    free(b->block);
}

/* Runs a reorder of a weight from one buffer to another, whose old contents are NaN. */
static void reorder(test *t, nn_backend *backend, nn_shape shape, nn_layout from_layout, const float *from,
                    nn_layout to_layout, buffer *to)
{
    error err = {0};
    nn_call call = {.op = NN_REORDER, .input_count = 1, .output_count = 1, .threads = backend->threads,
                    .backend = backend, .input_shape = {shape}, .output_shape = {shape},
                    .attr = {.from_layout = from_layout, .to_layout = to_layout}};
    REQUIRE_OK(t, cpu_onednn_reorder.prepare(backend, &call, &err), err);
    CHECK(t, call.input_layout[0] == from_layout && call.output_layout[0] == to_layout);
    buffer from_copy = buffer_of(backend->interface->layout_bytes(backend, from_layout, shape));
    buffer workspace = buffer_of(call.workspace_bytes);
    call.input[0] = from_copy.data;
    call.output[0] = to->data;
    call.workspace = workspace.data;
    if (cpu_onednn_reorder.bind(&call, &err) != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    memcpy(from_copy.data, from, from_copy.bytes);
    memset(to->data, 0xFF, to->bytes);
    cpu_onednn_reorder.run(&call);
    cpu_onednn_reorder.release(&call);
    buffer_free(t, &from_copy, "the reorder's input");
    buffer_free(t, &workspace, "the reorder's workspace");
}

/* Runs a convolution with plain tensors at both ends, twice; the results must have the same bits. `is_weight` has a
 * bit for each input that is a weight. */
static void run(test *t, nn_backend *backend, const nn_kernel *kernel, nn_call call, const float *const *inputs,
                unsigned is_weight, float *result)
{
    error err = {0};
    buffer input[3], output, plain, workspace;
    call.backend = backend;
    call.threads = backend->threads;
    REQUIRE_OK(t, kernel->prepare(backend, &call, &err), err);
    for (size_t i = 0; i < call.input_count; i++) {
        CHECK(t, call.input_layout[i] == NN_LAYOUT_PLAIN || (is_weight >> i & 1));
        input[i] = buffer_of(backend->interface->layout_bytes(backend, call.input_layout[i], call.input_shape[i]));
        call.input[i] = input[i].data;
    }
    CHECK(t, call.output_layout[0] == NN_LAYOUT_PLAIN || call.op == NN_CONV2D_WEIGHT_GRAD);
    output = buffer_of(backend->interface->layout_bytes(backend, call.output_layout[0], call.output_shape[0]));
    plain = buffer_of(nn_count(call.output_shape[0]) * sizeof(float));
    workspace = buffer_of(call.workspace_bytes);
    call.output[0] = output.data;
    call.workspace = workspace.data;
    if (kernel->bind(&call, &err) != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    for (size_t i = 0; i < call.input_count; i++) {
        if (is_weight >> i & 1)
            reorder(t, backend, call.input_shape[i], NN_LAYOUT_PLAIN, inputs[i], call.input_layout[i], &input[i]);
        else
            memcpy(input[i].data, inputs[i], input[i].bytes);
    }
    for (int pass = 0; pass < 2; pass++) {
        memset(output.data, 0xFF, output.bytes);
        memset(workspace.data, 0xFF, workspace.bytes);
        kernel->run(&call);
        if (call.output_layout[0] == NN_LAYOUT_PLAIN)
            memcpy(plain.data, output.data, plain.bytes);
        else
            reorder(t, backend, call.output_shape[0], call.output_layout[0], output.data, NN_LAYOUT_PLAIN, &plain);
        if (pass == 1) CHECK(t, memcmp(result, plain.data, plain.bytes) == 0);
        memcpy(result, plain.data, plain.bytes);
    }
    for (size_t i = 0; i < call.input_count; i++) {
        if (!(is_weight >> i & 1)) CHECK(t, memcmp(input[i].data, inputs[i], input[i].bytes) == 0);
        buffer_free(t, &input[i], "an input");
    }
    buffer_free(t, &output, "the output");
    buffer_free(t, &plain, "the plain output");
    buffer_free(t, &workspace, "the workspace");
    kernel->release(&call);
    CHECK(t, call.prepared == NULL);
}

/* The three operations of one shape against the loops. */
static void check_precision(test *t, nn_backend *backend, const oracle *s, bool with_bias, nn_precision precision)
{
    int before = t->failures;
    size_t x_count = nn_count(s->x), w_count = nn_count(s->w), y_count = nn_count(s->y);
    float *x = random_values(x_count, 0), *w = random_values(w_count, 1), *y = random_values(y_count, 2);
    float *bias = random_values(s->y.dim[NN_C] + s->x.dim[NN_C], 3);
    const struct {
        nn_op op;
        const nn_kernel *kernel;
        oracle_result result;
        nn_shape in[2], out;
        const float *input[2];
        unsigned is_weight;
    } cases[3] = {
        {NN_CONV2D, &cpu_onednn_conv2d, RESULT_Y, {s->x, s->w}, s->y, {x, w}, 2},
        {NN_CONV2D_DATA_GRAD, &cpu_onednn_conv2d_data_grad, RESULT_X, {s->y, s->w}, s->x, {y, w}, 2},
        {NN_CONV2D_WEIGHT_GRAD, &cpu_onednn_conv2d_weight_grad, RESULT_W, {s->x, s->y}, s->w, {x, y}, 0},
    };
    for (int i = 0; i < 3; i++) {
        size_t count = nn_count(cases[i].out), channels = cases[i].out.dim[NN_C];
        bool biased = with_bias && cases[i].op != NN_CONV2D_WEIGHT_GRAD;
        double *expected = calloc(count, sizeof *expected);
        float *actual = calloc(count, sizeof *actual);
        if (biased)
            for (size_t k = 0; k < count; k++) expected[k] = bias[k % channels];
        oracle_run(s, cases[i].result, x, w, y, expected);
        nn_call call = {.op = cases[i].op, .input_count = biased ? 3 : 2, .output_count = 1, .precision = precision,
                        .attr = {.stride = s->stride, .padding = s->padding},
                        .input_shape = {cases[i].in[0], cases[i].in[1], nn_shape_vector(channels)},
                        .output_shape = {cases[i].out}};
        const float *inputs[] = {cases[i].input[0], cases[i].input[1], bias};
        run(t, backend, cases[i].kernel, call, inputs, cases[i].is_weight, actual);
        CHECK_NEAR(t, relative(actual, expected, count), 0, precision == NN_BF16 ? 4e-3 : 1e-5);
        if (t->failures > before) {
            nn_shape_text a, b, c;
            printf("  operation %d in %s, input %s, weight %s, output %s, stride %zu, padding %zu\n", (int)cases[i].op,
                   nn_precision_names[precision],
                   nn_shape_print(s->x, &a), nn_shape_print(s->w, &b), nn_shape_print(s->y, &c), s->stride, s->padding);
            before = t->failures;
        }
        free(expected);
        free(actual);
    }
    free(x);
    free(w);
    free(y);
    free(bias);
}

static void check_shape(test *t, nn_backend *backend, const oracle *s, bool with_bias)
{
    check_precision(t, backend, s, with_bias, NN_FP32);
    if (nn_precision_check(backend, NN_BF16, NULL) == STATUS_OK)
        check_precision(t, backend, s, with_bias, NN_BF16);
}

static oracle oracle_of(nn_shape x, size_t out, size_t kernel, size_t stride, size_t padding)
{
    size_t h = (x.dim[NN_H] + 2 * padding - kernel) / stride + 1, w = (x.dim[NN_W] + 2 * padding - kernel) / stride + 1;
    return (oracle){.x = x, .w = nn_shape_of(out, x.dim[NN_C], kernel, kernel),
                    .y = nn_shape_of(x.dim[NN_N], h, w, out), .stride = stride, .padding = padding};
}

static nn_backend *backend_of(test *t, int threads)
{
    error err = {0};
    nn_backend *backend = NULL;
    if (nn_cpu_create(threads, &backend, &err) != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    return backend;
}

/* Every pair of channels twice, every kernel, stride and padding three times. */
static void agree_with_plain_loops(test *t)
{
    static const size_t channels[] = {1, 3, 5, 8, 17, 32, 64}, kernels[] = {1, 3, 4, 7};
    nn_backend *backend = backend_of(t, 2);
    REQUIRE(t, backend);
    for (size_t i = 0; i < 98; i++) {
        size_t kernel = kernels[i % 4], stride = 1 + i / 4 % 2, padding = i / 8 % 4;
        nn_shape x = nn_shape_of(1 + i % 3 / 2, 8 + i % 5, 13 - i % 3, channels[i % 7]);
        oracle s = oracle_of(x, channels[i / 7 % 7], kernel, stride, padding);
        check_shape(t, backend, &s, i % 2);
    }
    nn_backend_destroy(backend);
}

/* Wide enough for several tiles and blocks of the library's, on one thread and on three. */
static void agree_on_layers(test *t)
{
    for (int threads = 1; threads <= 3; threads += 2) {
        nn_backend *backend = backend_of(t, threads);
        REQUIRE(t, backend);
        const oracle layers[] = {
            oracle_of(nn_shape_of(1, 34, 34, 64), 64, 3, 1, 0),  oracle_of(nn_shape_of(1, 70, 70, 3), 32, 7, 1, 0),
            oracle_of(nn_shape_of(1, 70, 70, 32), 3, 7, 1, 0),   oracle_of(nn_shape_of(2, 32, 32, 32), 64, 3, 2, 1),
            oracle_of(nn_shape_of(1, 15, 15, 256), 1, 4, 1, 1),  oracle_of(nn_shape_of(1, 64, 64, 3), 32, 4, 2, 1),
        };
        for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) check_shape(t, backend, &layers[i], false);
        nn_backend_destroy(backend);
    }
}

/* The extra row and column of output_padding, and of sizes that a stride does not divide. */
static void transposed_sizes(test *t)
{
    nn_backend *backend = backend_of(t, 2);
    REQUIRE(t, backend);
    for (size_t extra = 0; extra < 2; extra++) {
        oracle s = oracle_of(nn_shape_of(1, 13 + extra, 17 + extra, 16), 24, 3, 2, 1);
        CHECK(t, s.y.dim[NN_H] == 7 && s.y.dim[NN_W] == 9);
        check_shape(t, backend, &s, true);
    }
    nn_backend_destroy(backend);
}

/* The layout that a convolution of this weight chooses. */
static nn_layout layout_of(test *t, nn_backend *backend, const oracle *s)
{
    error err = {0};
    nn_call call = {.op = NN_CONV2D, .input_count = 2, .output_count = 1, .threads = backend->threads,
                    .backend = backend, .attr = {.stride = s->stride, .padding = s->padding},
                    .input_shape = {s->x, s->w}, .output_shape = {s->y}};
    if (cpu_onednn_conv2d.prepare(backend, &call, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    nn_layout layout = call.input_layout[1];
    cpu_onednn_conv2d.release(&call);
    return layout;
}

/* Plain to blocked and back; the blocks hold the values, each once, and zeros. */
static void layouts_there_and_back(test *t)
{
    nn_backend *backend = backend_of(t, 2);
    REQUIRE(t, backend);
    size_t blocked = 0, padded = 0;
    const size_t shapes[][3] = {{3, 32, 7}, {17, 24, 3}, {32, 17, 3}, {9, 5, 4}, {64, 64, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        oracle s = oracle_of(nn_shape_of(1, 12, 12, shapes[i][0]), shapes[i][1], shapes[i][2], 1, 1);
        nn_layout layout = layout_of(t, backend, &s);
        CHECK(t, layout_of(t, backend, &s) == layout);
        size_t count = nn_count(s.w), bytes = backend->interface->layout_bytes(backend, layout, s.w), values = 0;
        CHECK(t, bytes >= count * sizeof(float) && bytes % sizeof(float) == 0);
        CHECK(t, backend->interface->layout_bytes(backend, NN_LAYOUT_PLAIN, s.w) == count * sizeof(float));
        blocked += layout != NN_LAYOUT_PLAIN;
        padded += bytes > count * sizeof(float);
        float *w = random_values(count, (uint32_t)i);
        double expected = 0, sum = 0;
        buffer there = buffer_of(bytes), back = buffer_of(count * sizeof(float));
        reorder(t, backend, s.w, NN_LAYOUT_PLAIN, w, layout, &there);
        reorder(t, backend, s.w, layout, there.data, NN_LAYOUT_PLAIN, &back);
        CHECK(t, memcmp(w, back.data, back.bytes) == 0);
        for (size_t k = 0; k < count; k++) expected += w[k];
        for (size_t k = 0; k < bytes / sizeof(float); k++) {
            values += there.data[k] != 0; /* NaN counts too */
            sum += there.data[k];
        }
        CHECK(t, values == count);
        CHECK_NEAR(t, sum, expected, 1e-9);
        buffer_free(t, &there, "a blocked weight");
        buffer_free(t, &back, "a plain weight");
        free(w);
    }
    nn_backend_destroy(backend);
    if (blocked == 0 || padded == 0) SKIP(t, "this machine's convolutions take weights as they are");
}

/* One thin kernel on every instruction set, with one to three threads: the same bits whatever their number. */
static void check_thin(test *t, nn_op op, const oracle *s, bool with_bias)
{
    const bool of_w = op == NN_CONV2D_WEIGHT_GRAD, of_x = op == NN_CONV2D_DATA_GRAD;
    nn_shape in[3] = {of_x ? s->y : s->x, of_w ? s->y : s->w}, out = of_w ? s->w : of_x ? s->x : s->y;
    in[2] = nn_shape_vector(out.dim[NN_C]);
    kernel_test k;
    kernel_test_open(&k, op, (nn_attributes){.stride = s->stride, .padding = s->padding}, with_bias ? 3 : 2, in, 1,
                     &out);
    for (size_t i = 0; i < k.input_count; i++) kernel_test_fill(&k, i, -1, 1);
    if (with_bias)
        for (size_t i = 0; i < nn_count(out); i++) k.expected[0][i] = k.input[2][i % out.dim[NN_C]];
    oracle_run(s, of_w ? RESULT_W : of_x ? RESULT_X : RESULT_Y, k.input[0], k.input[1], of_x ? k.input[0] : k.input[1],
               k.expected[0]);
    k.bound = 1e-5;
    nn_call call = {.op = op, .attr = k.attr, .input_count = k.input_count, .output_count = 1,
                    .input_shape = {in[0], in[1], in[2]}, .output_shape = {out}};
    CHECK(t, cpu_conv_thin_fits(&call));
    const cpu_kernel_table *table;
    float *first = malloc(nn_count(out) * sizeof *first);
    for (size_t level = 0; (table = cpu_kernels_supported(level)); level++)
        for (int threads = 1; threads <= 3; threads++) {
            kernel_test_once(t, &k, table->thin[op], threads, NN_MAX_INPUTS, "thin");
            if (threads == 1) memcpy(first, k.output[0], nn_count(out) * sizeof *first);
            CHECK(t, memcmp(first, k.output[0], nn_count(out) * sizeof *first) == 0);
        }
    free(first);
    kernel_test_close(&k);
}

static void thin_kernels(test *t)
{
    for (size_t few = 1; few <= CPU_THIN_CHANNELS; few++)
        for (size_t i = 0; i < 12; i++) {
            size_t kernel = (size_t[]){1, 3, 4, 7}[i % 4], stride = 1 + i % 3 % 2, padding = i % 5 % 4;
            nn_shape many = nn_shape_of(1 + i % 2, 9 + i % 4, 15 - i % 3, 8 + 8 * (i % 3) + 40 * (i % 2));
            oracle s = oracle_of(many, few, kernel, stride, padding);
            check_thin(t, NN_CONV2D, &s, i % 2);
            check_thin(t, NN_CONV2D_WEIGHT_GRAD, &s, false);
            if (padding >= kernel) continue;
            nn_shape picture = many;
            picture.dim[NN_C] = few;
            oracle gradient = oracle_of(picture, many.dim[NN_C], kernel, 1, padding);
            check_thin(t, NN_CONV2D_DATA_GRAD, &gradient, i % 2);
        }
    /* Several blocks and tiles in a row, of which the last ones are not whole. */
    const oracle wide[] = {
        oracle_of(nn_shape_of(2, 5, 75, 24), 3, 7, 1, 3), oracle_of(nn_shape_of(1, 9, 77, 264), 1, 4, 1, 1),
        oracle_of(nn_shape_of(1, 9, 70, 40), 4, 9, 1, 4), oracle_of(nn_shape_of(2, 6, 141, 200), 2, 4, 2, 1),
    };
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        check_thin(t, NN_CONV2D, &wide[i], i % 2);
        check_thin(t, NN_CONV2D_WEIGHT_GRAD, &wide[i], false);
    }
    for (size_t few = 1; few <= CPU_THIN_CHANNELS; few++) {
        oracle gradient = oracle_of(nn_shape_of(2, 6, 43 + few, few), 24, 5, 1, few % 3);
        check_thin(t, NN_CONV2D_DATA_GRAD, &gradient, few % 2);
    }
    oracle tall = oracle_of(nn_shape_of(2, 50, 7, 16), 3, 3, 1, 1); /* more rows than parts of the weight gradient */
    check_thin(t, NN_CONV2D_WEIGHT_GRAD, &tall, false);
    oracle narrow = oracle_of(nn_shape_of(1, 3, 2, 8), 2, 7, 1, 3); /* no column has all its taps */
    check_thin(t, NN_CONV2D, &narrow, true);
    check_thin(t, NN_CONV2D_WEIGHT_GRAD, &narrow, false);
    oracle oblong = oracle_of(nn_shape_of(1, 9, 11, 8), 3, 3, 1, 1);
    oblong.w.dim[NN_KH] = 5;
    oblong.y.dim[NN_H] = 7;
    check_thin(t, NN_CONV2D, &oblong, true);
    check_thin(t, NN_CONV2D_WEIGHT_GRAD, &oblong, false);
}

static void errors_name_shapes(test *t)
{
    nn_backend *backend = backend_of(t, 1);
    REQUIRE(t, backend);
    error err = {0};
    oracle s = oracle_of(nn_shape_of(1, 12, 12, 8), 16, 3, 1, 1);
    nn_call call = {.op = NN_CONV2D, .input_count = 2, .output_count = 1, .threads = 1, .backend = backend,
                    .attr = {.stride = 1, .padding = 0}, .input_shape = {s.x, s.w}, .output_shape = {s.y}};
    CHECK(t, cpu_onednn_conv2d.prepare(backend, &call, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message,
                   "input 1x12x12x8, weight 16x8x3x3, output 1x12x12x16, stride 1, padding 0");
    CHECK(t, call.prepared == NULL);
    cpu_onednn_conv2d.release(&call); /* of nothing */
    call = (nn_call){.op = NN_REORDER, .input_count = 1, .output_count = 1, .threads = 1, .backend = backend,
                     .attr = {.to_layout = 1000}, .input_shape = {s.w}, .output_shape = {s.w}};
    CHECK(t, cpu_onednn_reorder.prepare(backend, &call, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "1000");
    nn_layout layout = layout_of(t, backend, &s);
    if (layout != NN_LAYOUT_PLAIN) {
        call.attr.to_layout = layout;
        call.input_shape[0] = call.output_shape[0] = nn_shape_of(16, 8, 4, 4);
        CHECK(t, cpu_onednn_reorder.prepare(backend, &call, &err) == STATUS_FAILED);
        CHECK_CONTAINS(t, err.message, "expected a weight of 16x8x3x3, found 16x8x4x4");
    }
    nn_backend_destroy(backend);
}

TEST_MAIN(TEST(agree_with_plain_loops), TEST(agree_on_layers), TEST(transposed_sizes), TEST(layouts_there_and_back),
          TEST(thin_kernels), TEST(errors_name_shapes))
