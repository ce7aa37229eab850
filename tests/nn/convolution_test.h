/* Convolutions in all three directions against the direct sums in double, kernel by kernel. */
#ifndef TESTS_NN_CONVOLUTION_TEST_H
#define TESTS_NN_CONVOLUTION_TEST_H

#include "nn/cpu/conv2d.h"
#include "kernel_test.h"

typedef struct convolution {
    size_t n, h, w, ic, oc, kernel, stride, padding;
    bool bias;
} convolution;

static inline nn_shape x_shape(const convolution *c) { return nn_shape_of(c->n, c->h, c->w, c->ic); }
static inline nn_shape w_shape(const convolution *c) { return nn_shape_of(c->oc, c->ic, c->kernel, c->kernel); }
static inline nn_shape y_shape(const convolution *c)
{
    return nn_shape_of(c->n, (c->h + 2 * c->padding - c->kernel) / c->stride + 1,
                       (c->w + 2 * c->padding - c->kernel) / c->stride + 1, c->oc);
}

/* Calls each(x's, w's, y's offset) for every term of y[...] = sum x[...] * w[...]. */
typedef void term(size_t x, size_t w, size_t y, void *context);
static inline void each_term(const convolution *c, term *each, void *context)
{
    nn_shape y = y_shape(c);
    for (size_t n = 0; n < c->n; n++)
        for (size_t i = 0; i < y.dim[NN_H]; i++)
            for (size_t j = 0; j < y.dim[NN_W]; j++)
                for (size_t tap = 0; tap < c->kernel * c->kernel; tap++) {
                    size_t row = i * c->stride + tap / c->kernel - c->padding; /* wraps below zero */
                    size_t column = j * c->stride + tap % c->kernel - c->padding;
                    if (row >= c->h || column >= c->w) continue;
                    for (size_t o = 0; o < c->oc; o++)
                        for (size_t k = 0; k < c->ic; k++)
                            each(((n * c->h + row) * c->w + column) * c->ic + k,
                                 (o * c->ic + k) * c->kernel * c->kernel + tap,
                                 ((n * y.dim[NN_H] + i) * y.dim[NN_W] + j) * c->oc + o, context);
                }
}

static inline void add_to_y(size_t x, size_t w, size_t y, void *context)
{
    kernel_test *k = context;
    k->expected[0][y] += (double)k->input[0][x] * k->input[1][w];
}

static inline void add_to_x(size_t x, size_t w, size_t y, void *context)
{
    kernel_test *k = context;
    k->expected[0][x] += (double)k->input[0][y] * k->input[1][w];
}

static inline void add_to_w(size_t x, size_t w, size_t y, void *context)
{
    kernel_test *k = context;
    k->expected[0][w] += (double)k->input[0][x] * k->input[1][y];
}

static inline double root_mean_square(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += values[i] * values[i];
    return sqrt(sum / (double)count);
}

/* ||actual - expected|| / ||expected|| of the last run. */
static inline double relative_error(const kernel_test *k)
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
static inline void run_convolution(test *t, kernel_test *k, const nn_kernel *kernel, const char *name, double bound)
{
    size_t bytes = nn_count(k->output_shape[0]) * sizeof(float);
    float *first = malloc(bytes);
    for (int threads = 1; threads <= 3; threads++) {
        char where[256];
        nn_shape_text x, y;
        snprintf(where, sizeof where, "%s, %d threads, %s -> %s, stride %zu, padding %zu", name, threads,
                 nn_shape_print(k->input_shape[0], &x), nn_shape_print(k->output_shape[0], &y), k->attr.stride,
                 k->attr.padding);
        kernel_test_once(t, k, kernel, threads, NN_MAX_INPUTS, where);
        if (threads == 1) memcpy(first, k->output[0], bytes);
        if (memcmp(first, k->output[0], bytes) != 0)
            test_failed(t, __FILE__, __LINE__, "op %d, %s: other bits", (int)k->op, where);
        if (!(relative_error(k) < bound))
            test_failed(t, __FILE__, __LINE__, "op %d, %s: error %g", (int)k->op, where, relative_error(k));
    }
    free(first);
}

/* Opens the test of one direction, with its inputs filled and the direct sums expected. Rounding is that of the largest
 * terms, whatever the element: the floor of the bound is the root mean square. */
static inline void open_direction(kernel_test *k, const convolution *c, nn_op op)
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
    nn_attributes attr = {.stride = c->stride, .padding = c->padding, .shape = output};
    kernel_test_open(k, op, attr, bias ? 3 : 2, inputs, 1, &output);
    for (size_t i = 0; i < k->input_count; i++) kernel_test_fill(k, i, -1, 1);
    size_t count = nn_count(output);
    for (size_t i = 0; bias && i < count; i++) k->expected[0][i] = k->input[2][i % output.dim[NN_C]];
    each_term(c, each, k);
    k->floor = root_mean_square(k->expected[0], count);
}

/* Pixel i of a side of `length` with `before` mirrored ones before and after it. */
static inline size_t mirrored(size_t i, size_t before, size_t length)
{
    if (i < before) return before - i;
    return i < before + length ? i - before : 2 * length + before - 2 - i;
}

/* The same sums for pictures whose pixels are mirrored at their sides. */
static inline void each_mirrored_term(const convolution *c, term *each, void *context)
{
    nn_shape y = y_shape(c);
    size_t oh = y.dim[NN_H], ow = y.dim[NN_W], taps = c->kernel * c->kernel;
    for (size_t pixel = 0; pixel < c->n * oh * ow; pixel++)
        for (size_t tap = 0; tap < taps; tap++) {
            size_t row = mirrored(pixel / ow % oh * c->stride + tap / c->kernel, c->padding, c->h);
            size_t column = mirrored(pixel % ow * c->stride + tap % c->kernel, c->padding, c->w);
            size_t x = ((pixel / ow / oh * c->h + row) * c->w + column) * c->ic;
            for (size_t o = 0; o < c->oc; o++)
                for (size_t i = 0; i < c->ic; i++)
                    each(x + i, (o * c->ic + i) * taps + tap, pixel * c->oc + o, context);
        }
}

static inline void open_mirrored(kernel_test *k, const convolution *c, nn_op op)
{
    nn_shape x = x_shape(c), w = w_shape(c), y = y_shape(c);
    const nn_shape all[3][3] = {{x, w, y}, {y, w, x}, {x, y, w}};
    nn_attributes attr = {.stride = c->stride, .padding = c->padding, .mode = NN_PAD_REFLECT, .shape = all[op][2]};
    kernel_test_open(k, op, attr, 2, all[op], 1, &all[op][2]);
    for (size_t j = 0; j < 2; j++) kernel_test_fill(k, j, -1, 1);
    each_mirrored_term(c, op == NN_CONV2D ? add_to_y : op == NN_CONV2D_DATA_GRAD ? add_to_x : add_to_w, k);
    k->floor = root_mean_square(k->expected[0], nn_count(all[op][2]));
}

/* y = conv(x, enlarged twofold, of which one row and column beside it are mirrored). */
static inline void add_enlarged(const convolution *c, kernel_test *k)
{
    size_t h = 2 * c->h, w = 2 * c->w;
    for (size_t pixel = 0; pixel < c->n * h * w; pixel++)
        for (size_t tap = 0; tap < 9; tap++) {
            size_t row = mirrored(pixel / w % h + tap / 3, 1, h) / 2;
            size_t column = mirrored(pixel % w + tap % 3, 1, w) / 2;
            size_t x = ((pixel / w / h * c->h + row) * c->w + column) * c->ic;
            for (size_t o = 0; o < c->oc; o++)
                for (size_t i = 0; i < c->ic; i++)
                    add_to_y(x + i, (o * c->ic + i) * 9 + tap, pixel * c->oc + o, k);
        }
}

static inline void open_enlarged(kernel_test *k, const convolution *c)
{
    nn_shape y = nn_shape_of(c->n, 2 * c->h, 2 * c->w, c->oc);
    nn_attributes attr = {.stride = 1, .padding = 1, .mode = NN_PAD_REFLECT, .factor = 2};
    kernel_test_open(k, NN_CONV2D, attr, c->bias ? 3 : 2, (nn_shape[]){x_shape(c), w_shape(c), nn_shape_vector(c->oc)}, 1,
                     &y);
    for (size_t j = 0; j < k->input_count; j++) kernel_test_fill(k, j, -1, 1);
    for (size_t j = 0; c->bias && j < nn_count(y); j++) k->expected[0][j] = k->input[2][j % c->oc];
    add_enlarged(c, k);
    k->floor = root_mean_square(k->expected[0], nn_count(y));
}

/* What a test does with the kernels that it is about. */
typedef void kernel_check(test *t, kernel_test *k);

/* 3x3 kernels over mirrored pictures, in the directions up to `last`. */
static inline void check_mirrored_pictures(test *t, nn_op last, kernel_check *check)
{
    static const convolution cases[] = {
        {1, 32, 32, 32, 64, 3, 1, 1, false}, {2, 9, 14, 16, 16, 3, 1, 1, false}, {1, 2, 2, 16, 16, 3, 1, 1, false},
        {1, 3, 41, 17, 19, 3, 1, 1, false},  {1, 12, 8, 40, 70, 3, 1, 1, false}, {3, 5, 4, 70, 33, 3, 1, 1, false},
        {1, 52, 8, 40, 70, 3, 1, 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (nn_op op = NN_CONV2D; op <= last; op++) {
            kernel_test k;
            open_mirrored(&k, &cases[i], op);
            check(t, &k);
            kernel_test_close(&k);
        }
}

static inline void check_enlarged_picture(test *t, const convolution *c, kernel_check *check)
{
    kernel_test k;
    open_enlarged(&k, c);
    check(t, &k);
    kernel_test_close(&k);
}

static inline void check_enlarged_pictures(test *t, kernel_check *check)
{
    static const convolution cases[] = {
        {1, 16, 16, 32, 64, 3, 1, 1, true}, {2, 9, 14, 16, 16, 3, 1, 1, false}, {1, 1, 1, 16, 16, 3, 1, 1, true},
        {1, 3, 21, 17, 48, 3, 1, 1, true},  {1, 5, 10, 40, 16, 3, 1, 1, false}, {3, 4, 6, 70, 32, 3, 1, 1, true},
        {1, 41, 83, 16, 16, 3, 1, 1, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_enlarged_picture(t, &cases[i], check);
}

typedef enum chosen { CHOSEN_ONEDNN, CHOSEN_WINOGRAD, CHOSEN_PHASES, CHOSEN_DIRECT, CHOSEN_LINES } chosen;

/* Which kernel the backend's convolution of these shapes runs; what prepare did must agree with the rules. */
static inline chosen chosen_kernel(test *t, nn_op op, const convolution *c)
{
    nn_backend *backend;
    error err = {0};
    if (nn_cpu_create(2, &backend, &err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
        return CHOSEN_ONEDNN;
    }
    nn_shape x = x_shape(c), w = w_shape(c), y = y_shape(c), all[3][3] = {{x, w, y}, {y, w, x}, {x, y, w}};
    nn_call call = {.op = op, .attr = {.stride = c->stride, .padding = c->padding}, .input_count = 2,
                    .output_count = 1, .threads = 2, .backend = backend};
    call.input_shape[0] = all[op][0];
    call.input_shape[1] = all[op][1];
    call.output_shape[0] = call.attr.shape = all[op][2];
    const nn_kernel *dispatcher = backend->interface->kernel(backend, op);
    chosen result = CHOSEN_ONEDNN;
    if (dispatcher->prepare(backend, &call, &err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    } else {
        const cpu_kernel_table *kernels = ((const cpu_backend *)backend)->kernels;
        if (call.run == kernels->winograd[op]->run) result = CHOSEN_WINOGRAD;
        if (kernels->phases[op] && call.run == kernels->phases[op]->run) result = CHOSEN_PHASES;
        if (call.run == kernels->direct[op]->run) result = CHOSEN_DIRECT;
        for (int i = 0; i < 3; i++)
            if (call.run == ((const nn_kernel *[]){kernels->to_many, kernels->to_few, kernels->lines_weight})[i]->run)
                result = CHOSEN_LINES;
        CHECK(t, (result == CHOSEN_ONEDNN) == (call.prepared != NULL));
        CHECK(t, (result == CHOSEN_WINOGRAD) == cpu_conv2d_is_winograd(&call));
        CHECK(t, (result == CHOSEN_PHASES) == cpu_conv2d_is_phased(&call));
        CHECK(t, (result == CHOSEN_DIRECT) == cpu_conv2d_is_direct(&call));
        CHECK(t, (result == CHOSEN_LINES) == (cpu_conv2d_is_to_many(&call) || cpu_conv2d_is_to_few(&call) ||
                                              cpu_conv2d_is_lines_weight(&call)));
        CHECK(t, call.workspace_bytes > 0 || result == CHOSEN_ONEDNN);
    }
    dispatcher->release(&call);
    nn_backend_destroy(backend);
    return result;
}

#endif
