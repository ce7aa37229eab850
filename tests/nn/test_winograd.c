/* Winograd's convolutions against the direct sums in double, on every instruction set, and which shapes get them. */
#include "nn/cpu/conv2d.h"
#include "nn/cpu/onednn.h"
#include "kernel_test.h"

static const double BF16_BOUND = 2e-2; /* winograd.h */

typedef struct convolution {
    size_t n, h, w, ic, oc, padding;
    bool bias;
} convolution;

static nn_shape x_shape(const convolution *c) { return nn_shape_of(c->n, c->h, c->w, c->ic); }
static nn_shape w_shape(const convolution *c) { return nn_shape_of(c->oc, c->ic, 3, 3); }
static nn_shape y_shape(const convolution *c)
{
    return nn_shape_of(c->n, c->h + 2 * c->padding - 2, c->w + 2 * c->padding - 2, c->oc);
}

/* Calls each(x's, w's, y's offset) for every term of y[...] = sum x[...] * w[...]. */
typedef void term(size_t x, size_t w, size_t y, void *context);
static void each_term(const convolution *c, term *each, void *context)
{
    nn_shape y = y_shape(c);
    for (size_t n = 0; n < c->n; n++)
        for (size_t i = 0; i < y.dim[NN_H]; i++)
            for (size_t j = 0; j < y.dim[NN_W]; j++)
                for (size_t a = 0; a < 3; a++)
                    for (size_t b = 0; b < 3; b++) {
                        size_t row = i + a - c->padding, column = j + b - c->padding; /* wraps below zero */
                        if (row >= c->h || column >= c->w) continue;
                        for (size_t o = 0; o < c->oc; o++)
                            for (size_t k = 0; k < c->ic; k++)
                                each(((n * c->h + row) * c->w + column) * c->ic + k, (o * c->ic + k) * 9 + a * 3 + b,
                                     ((n * y.dim[NN_H] + i) * y.dim[NN_W] + j) * c->oc + o, context);
                    }
}

static void add_to_y(size_t x, size_t w, size_t y, void *context)
{
    kernel_test *k = context;
    k->expected[0][y] += (double)k->input[0][x] * k->input[1][w];
}

static void add_to_x(size_t x, size_t w, size_t y, void *context)
{
    kernel_test *k = context;
    k->expected[0][x] += (double)k->input[0][y] * k->input[1][w];
}

static void add_to_w(size_t x, size_t w, size_t y, void *context)
{
    kernel_test *k = context;
    k->expected[0][w] += (double)k->input[0][x] * k->input[1][y];
}

static double root_mean_square(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i] * values[i];
    return sqrt(sum / (double)count);
}

/* ||actual - expected|| / ||expected|| of the last run. */
static double relative_error(const kernel_test *k)
{
    double difference = 0, norm = 0;
    for (size_t i = 0; i < nn_count(k->output_shape[0]); i++) {
        double d = k->output[0][i] - k->expected[0][i];
        difference += d * d;
        norm += k->expected[0][i] * k->expected[0][i];
    }
    return sqrt(difference / norm);
}

/* One to three threads, of which all must give the same bits. `bound`: of relative_error. */
static void run_table(test *t, kernel_test *k, const cpu_kernel_table *table, const char *name, double bound)
{
    size_t bytes = nn_count(k->output_shape[0]) * sizeof(float);
    float *first = malloc(bytes);
    for (int threads = 1; threads <= 3; threads++) {
        char where[256];
        nn_shape_text x, y;
        snprintf(where, sizeof where, "%s, %d threads, %s -> %s, padding %zu", name, threads,
                 nn_shape_print(k->input_shape[0], &x), nn_shape_print(k->output_shape[0], &y), k->attr.padding);
        kernel_test_once(t, k, table->winograd[k->op], threads, NN_MAX_INPUTS, where);
        if (threads == 1) memcpy(first, k->output[0], bytes);
        if (memcmp(first, k->output[0], bytes) != 0)
            test_failed(t, __FILE__, __LINE__, "op %d, %s: other bits", (int)k->op, where);
        if (!(relative_error(k) < bound))
            test_failed(t, __FILE__, __LINE__, "op %d, %s: error %g", (int)k->op, where, relative_error(k));
    }
    free(first);
}

/* Every instruction set in fp32. */
static void run(test *t, kernel_test *k)
{
    const cpu_kernel_table *table;
    for (size_t level = 0; (table = cpu_kernels_supported(level)); level++)
        run_table(t, k, table, (const char *[]){"base", "v3", "v4"}[level], 1e-5);
}

static void check_direction(test *t, const convolution *c, nn_op op)
{
    nn_shape x = x_shape(c), w = w_shape(c), y = y_shape(c), output;
    nn_shape inputs[3] = {x, w};
    term *each = add_to_y;
    output = y;
    if (op == NN_CONV2D_DATA_GRAD) {
        inputs[0] = y;
        output = x;
        each = add_to_x;
    } else if (op == NN_CONV2D_WEIGHT_GRAD) {
        inputs[1] = y;
        output = w;
        each = add_to_w;
    }
    bool bias = c->bias && op != NN_CONV2D_WEIGHT_GRAD;
    inputs[2] = nn_shape_vector(output.dim[NN_C]);
    kernel_test k;
    nn_attributes attr = {.stride = 1, .padding = c->padding, .shape = output};
    kernel_test_open(&k, op, attr, bias ? 3 : 2, inputs, 1, &output);
    for (size_t i = 0; i < k.input_count; i++) kernel_test_fill(&k, i, -1, 1);
    size_t count = nn_count(output);
    for (size_t i = 0; bias && i < count; i++) k.expected[0][i] = k.input[2][i % output.dim[NN_C]];
    each_term(c, each, &k);
    /* Rounding is that of the largest terms, whatever the element: the floor is the root mean square, and the worst of
     * many elements is allowed five times the bound of all together. */
    k.bound = 5e-5;
    k.floor = root_mean_square(k.expected[0], count);
    run(t, &k);
    k.bound = 8 * BF16_BOUND;
    if (cpu_kernels_bf16()) run_table(t, &k, cpu_kernels_bf16(), "bf16", BF16_BOUND);
    kernel_test_close(&k);
}

static void check_all(test *t, const convolution *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_direction(t, &cases[i], NN_CONV2D);
        check_direction(t, &cases[i], NN_CONV2D_DATA_GRAD);
        check_direction(t, &cases[i], NN_CONV2D_WEIGHT_GRAD);
    }
}
#define CHECK_ALL(t, cases) check_all(t, cases, sizeof(cases) / sizeof *(cases))

/* n, h, w, ic, oc, padding, bias */

static void whole_tiles(test *t)
{
    static const convolution cases[] = {
        {1, 6, 6, 16, 16, 0, false}, {1, 10, 18, 32, 64, 0, true}, {2, 8, 8, 64, 32, 1, true},
        {1, 34, 34, 16, 32, 0, false}};
    CHECK_ALL(t, cases);
}

static void partial_tiles(test *t)
{
    static const convolution cases[] = {
        {1, 5, 9, 16, 16, 0, true}, {1, 7, 6, 16, 24, 0, false}, {1, 7, 11, 16, 16, 1, true},
        {2, 9, 5, 24, 40, 2, true}, {1, 13, 14, 40, 24, 1, false}, {3, 12, 7, 16, 16, 2, false}};
    CHECK_ALL(t, cases);
}

/* Images that are smaller than a tile, or all edge. */
static void small_images(test *t)
{
    static const convolution cases[] = {
        {1, 3, 3, 16, 16, 0, true}, {1, 1, 1, 16, 16, 1, true}, {1, 1, 1, 16, 24, 2, false},
        {1, 1, 9, 24, 16, 1, true}, {2, 10, 1, 16, 16, 2, true}, {1, 2, 3, 16, 16, 1, false}};
    CHECK_ALL(t, cases);
}

/* More channels than panels of any instruction set, and numbers of them that fill none. */
static void channel_tails(test *t)
{
    static const convolution cases[] = {
        {1, 8, 9, 40, 64, 0, true}, {1, 6, 10, 24, 128, 1, false}, {1, 7, 7, 128, 40, 0, true},
        {1, 6, 7, 17, 19, 1, true}, {1, 9, 6, 33, 21, 0, true},   {1, 6, 6, 3, 5, 2, true}};
    CHECK_ALL(t, cases);
}

/* Several blocks of tiles in every direction, the last one shorter. */
static void many_tiles(test *t)
{
    static const convolution cases[] = {{2, 79, 54, 16, 16, 1, true}, {1, 22, 31, 128, 128, 0, false},
                                        {1, 114, 110, 40, 24, 0, true}};
    CHECK_ALL(t, cases);
}

/* Where no rounding happens, the transforms must be exact: small integers, a kernel of multiples of 576. */
static void exact_in_integers(test *t)
{
    convolution c = {1, 11, 10, 16, 16, 1, false};
    nn_shape x = x_shape(&c), w = w_shape(&c), y = y_shape(&c);
    kernel_test k;
    kernel_test_open(&k, NN_CONV2D, (nn_attributes){.stride = 1, .padding = 1}, 2, (nn_shape[]){x, w}, 1, &y);
    for (size_t i = 0; i < nn_count(x); i++) k.input[0][i] = (float)((i * 7 + i / 16) % 5) - 2;
    for (size_t i = 0; i < nn_count(w); i++) k.input[1][i] = 576 * ((float)((i * 5 + i / 9) % 3) - 1);
    each_term(&c, add_to_y, &k);
    k.bound = 1e-6;
    run(t, &k);
    kernel_test_close(&k);
}

/* Scratch does not grow with the image, and stays small at the channels that generators have. */
static void scratch_is_bounded(test *t)
{
    const nn_kernel *kernel = cpu_kernels_supported(0)->winograd[NN_CONV2D];
    nn_call call = {.op = NN_CONV2D, .attr = {.stride = 1}, .input_count = 2, .output_count = 1, .threads = 2};
    call.input_shape[1] = nn_shape_of(128, 128, 3, 3);
    size_t bytes[2];
    for (size_t i = 0; i < 2; i++) {
        size_t side = i ? 3000 : 300;
        call.input_shape[0] = nn_shape_of(1, side + 2, side + 2, 128);
        call.output_shape[0] = nn_shape_of(1, side, side, 128);
        bytes[i] = kernel->workspace(&call);
    }
    CHECK(t, bytes[1] <= bytes[0] + bytes[0] / 8);
    CHECK(t, bytes[1] < 10 << 20);
    call.op = NN_CONV2D_WEIGHT_GRAD;
    call.input_shape[0] = nn_shape_of(1, 66, 66, 256);
    call.input_shape[1] = nn_shape_of(1, 64, 64, 256);
    call.output_shape[0] = nn_shape_of(256, 256, 3, 3);
    CHECK(t, cpu_kernels_supported(0)->winograd[NN_CONV2D_WEIGHT_GRAD]->workspace(&call) < 20 << 20);
}

/* Whether the backend's convolution of these shapes runs Winograd's kernel; checked against what prepare did. */
static bool chosen(test *t, nn_op op, const convolution *c, size_t kernel, size_t stride)
{
    nn_backend *backend;
    error err = {0};
    if (nn_cpu_create(2, &backend, &err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
        return false;
    }
    size_t lost = kernel - 1;
    nn_shape x = x_shape(c), w = nn_shape_of(c->oc, c->ic, kernel, kernel);
    nn_shape y = nn_shape_of(c->n, (c->h + 2 * c->padding - lost - 1) / stride + 1,
                             (c->w + 2 * c->padding - lost - 1) / stride + 1, c->oc);
    nn_shape all[3][3] = {{x, w, y}, {y, w, x}, {x, y, w}};
    nn_call call = {.op = op, .attr = {.stride = stride, .padding = c->padding}, .input_count = 2, .output_count = 1,
                    .threads = 2, .backend = backend};
    call.input_shape[0] = all[op][0];
    call.input_shape[1] = all[op][1];
    call.output_shape[0] = call.attr.shape = all[op][2];
    const nn_kernel *dispatcher = backend->interface->kernel(backend, op);
    bool result = false;
    if (dispatcher->prepare(backend, &call, &err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    } else {
        result = call.run == ((const cpu_backend *)backend)->kernels->winograd[op]->run;
        CHECK(t, result == !call.prepared);
        CHECK(t, result == cpu_conv2d_is_winograd(&call));
        CHECK(t, call.workspace_bytes > 0 || !result);
    }
    dispatcher->release(&call);
    nn_backend_destroy(backend);
    return result;
}

static void dispatch(test *t)
{
    static const convolution residual = {1, 34, 34, 128, 128, 0, false}, wide = {1, 66, 66, 256, 256, 0, false},
                             up = {1, 130, 130, 64, 32, 0, false}, few = {1, 66, 66, 8, 64, 0, false},
                             picture = {1, 64, 64, 32, 3, 1, false}, one_tile = {1, 6, 6, 256, 256, 0, false};
    for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
        CHECK(t, chosen(t, op, &residual, 3, 1));
        CHECK(t, chosen(t, op, &wide, 3, 1));
        CHECK(t, chosen(t, op, &up, 3, 1));
        CHECK(t, !chosen(t, op, &few, 3, 1));
        CHECK(t, !chosen(t, op, &picture, 3, 1));
        CHECK(t, !chosen(t, op, &one_tile, 3, 1));
        CHECK(t, !chosen(t, op, &residual, 3, 2));
        CHECK(t, !chosen(t, op, &residual, 4, 1));
    }
}

TEST_MAIN(TEST(whole_tiles), TEST(partial_tiles), TEST(small_images), TEST(channel_tails), TEST(many_tiles),
          TEST(exact_in_integers), TEST(scratch_is_bounded), TEST(dispatch))
