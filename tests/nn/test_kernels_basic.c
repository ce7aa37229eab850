/* Kernels per channel and per element against plain loops in double. */
#include "kernel_test.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Odd sides; channels below, at and beside the widths of vectors; several chunks, rests, more than one tile. */
static const nn_shape shapes[] = {
    {{1, 3, 5, 1}},   {{2, 7, 5, 3}},   {{3, 5, 3, 5}},   {{1, 9, 11, 8}},   {{2, 3, 7, 17}},
    {{1, 13, 9, 64}}, {{2, 2, 1, 33}},  {{1, 3, 3, 515}}, {{1, 97, 89, 3}}, {{2, 61, 67, 17}},
    {{1, 33, 65, 64}}, {{1, 5, 7, 1030}}, {{1, 127, 131, 1}}};

static nn_shape statistics_shape(nn_shape s) { return nn_shape_of(s.dim[NN_N], 1, 2, s.dim[NN_C]); }

static double slope_of(nn_activation activation, double slope)
{
    return activation == NN_LINEAR ? 1 : activation == NN_RELU ? 0 : slope;
}

static void adds_bias(test *t)
{
    for (size_t n = 0; n < COUNT(shapes); n++) {
        kernel_test k;
        nn_shape s = shapes[n], b = nn_shape_vector(s.dim[NN_C]);
        kernel_test_open(&k, NN_BIAS, (nn_attributes){0}, 2, (nn_shape[]){s, b}, 1, &s);
        kernel_test_fill(&k, 0, -2, 2);
        kernel_test_fill(&k, 1, -2, 2);
        for (size_t i = 0; i < nn_count(s); i++) k.expected[0][i] = (double)k.input[0][i] + k.input[1][i % s.dim[NN_C]];
        k.aliases = KERNEL_TEST_OVER(0);
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

static void sums_bias_gradient(test *t)
{
    for (size_t n = 0; n < COUNT(shapes); n++) {
        kernel_test k;
        nn_shape s = shapes[n], b = nn_shape_vector(s.dim[NN_C]);
        kernel_test_open(&k, NN_BIAS_GRAD, (nn_attributes){0}, 1, &s, 1, &b);
        kernel_test_fill(&k, 0, -1, 3);
        for (size_t i = 0; i < nn_count(s); i++) k.expected[0][i % s.dim[NN_C]] += k.input[0][i];
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

/* mean, rstd: (n, c) each, of x: (n, h, w, c). */
static void statistics_of(const double *x, nn_shape s, double epsilon, double *mean, double *rstd)
{
    size_t c = s.dim[NN_C], pixels = s.dim[NN_H] * s.dim[NN_W];
    for (size_t i = 0; i < s.dim[NN_N] * c; i++) {
        const double *first = x + i / c * pixels * c + i % c;
        double sum = 0, squares = 0;
        for (size_t p = 0; p < pixels; p++) sum += first[p * c];
        mean[i] = sum / (double)pixels;
        for (size_t p = 0; p < pixels; p++) squares += (first[p * c] - mean[i]) * (first[p * c] - mean[i]);
        rstd[i] = 1 / sqrt(squares / (double)pixels + epsilon);
    }
}

static void normalise(const double *x, nn_shape s, double epsilon, double slope, double *y, double *mean, double *rstd)
{
    size_t c = s.dim[NN_C], image = s.dim[NN_H] * s.dim[NN_W] * c;
    statistics_of(x, s, epsilon, mean, rstd);
    for (size_t i = 0; i < nn_count(s); i++) {
        size_t channel = i / image * c + i % c;
        y[i] = (x[i] - mean[channel]) * rstd[channel];
        if (y[i] <= 0) y[i] *= slope;
    }
}

/* A copy in double; the caller frees. */
static double *doubled(const float *x, size_t count)
{
    double *copy = malloc(count * sizeof *copy);
    for (size_t i = 0; i < count; i++) copy[i] = x[i];
    return copy;
}

/* What the inputs give. */
static void expect_norm(kernel_test *k, nn_shape s, nn_activation activation)
{
    size_t c = s.dim[NN_C], images = s.dim[NN_N];
    double *x = doubled(k->input[0], nn_count(s)), *mean = calloc(images * c, sizeof *mean),
           *rstd = calloc(images * c, sizeof *rstd);
    normalise(x, s, k->attr.epsilon, slope_of(activation, k->attr.slope), k->expected[0], mean, rstd);
    for (size_t i = 0; i < images * c; i++) {
        k->expected[1][i / c * 2 * c + i % c] = mean[i];
        k->expected[1][(i / c * 2 + 1) * c + i % c] = rstd[i];
    }
    free(x);
    free(mean);
    free(rstd);
}

static void open_norm(kernel_test *k, nn_shape s, nn_activation activation, float low, float high)
{
    nn_shape outputs[] = {s, statistics_shape(s)};
    nn_attributes attr = {.activation = activation, .slope = 0.2f, .epsilon = 1e-5f};
    kernel_test_open(k, NN_INSTANCE_NORM, attr, 1, &s, 2, outputs);
    kernel_test_fill(k, 0, low, high);
    expect_norm(k, s, activation);
    k->aliases = KERNEL_TEST_OVER(0);
}

static void normalises(test *t)
{
    static const nn_activation activations[] = {NN_LINEAR, NN_RELU, NN_LEAKY_RELU};
    for (size_t n = 0; n < COUNT(shapes); n++)
        for (size_t a = 0; a < COUNT(activations); a++) {
            kernel_test k;
            open_norm(&k, shapes[n], activations[a], -1, 1.5f);
            kernel_test_run(t, &k);
            kernel_test_close(&k);
        }
}

/* E[x^2] - mean^2 in float would be off by more than the variance itself. */
static void normalises_far_from_zero(test *t)
{
    kernel_test k;
    open_norm(&k, nn_shape_of(1, 127, 131, 3), NN_LINEAR, 999, 1001);
    k.bound = 2e-4; /* the mean's own rounding, 3e-5, over a deviation of 0.58 */
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

/* A constant channel has variance 0: y is 0, rstd 1 / sqrt(eps). */
static void normalises_constant(test *t)
{
    kernel_test k;
    open_norm(&k, nn_shape_of(2, 5, 7, 5), NN_LINEAR, 3, 3);
    kernel_test_run(t, &k);
    kernel_test_close(&k);
    open_norm(&k, nn_shape_of(1, 70, 61, 136), NN_LINEAR, 12345.7f, 12345.7f);
    k.bound = 1; /* the mean's rounding, 1e-3, times rstd, 316: what counts is that no variance is below 0 */
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

/* From dark to bright and a large mean: the variance is that between the chunks' means. */
static void normalises_ramp(test *t)
{
    nn_shape s = nn_shape_of(2, 70, 61, 40);
    kernel_test k;
    open_norm(&k, s, NN_LINEAR, -0.01f, 0.01f);
    size_t image = nn_count(s) / s.dim[NN_N];
    for (size_t i = 0; i < nn_count(s); i++) k.input[0][i] += 20 + 10 * (float)(i % image) / (float)image;
    expect_norm(&k, s, NN_LINEAR);
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

static void open_norm_grad(kernel_test *k, nn_shape s, nn_activation activation)
{
    nn_shape inputs[] = {s, statistics_shape(s), s};
    nn_attributes attr = {.activation = activation, .slope = 0.2f, .epsilon = 1e-5f};
    kernel_test_open(k, NN_INSTANCE_NORM_GRAD, attr, 3, inputs, 1, &s);
    kernel_test_fill(k, 0, -1, 1.5f);
    kernel_test_fill(k, 2, -1, 2);
    size_t c = s.dim[NN_C], images = s.dim[NN_N];
    double *x = doubled(k->input[0], nn_count(s)), *mean = calloc(images * c, sizeof *mean),
           *rstd = calloc(images * c, sizeof *rstd);
    statistics_of(x, s, k->attr.epsilon, mean, rstd);
    for (size_t i = 0; i < images * c; i++) {
        k->input[1][i / c * 2 * c + i % c] = (float)mean[i];
        k->input[1][(i / c * 2 + 1) * c + i % c] = (float)rstd[i];
    }
    free(x);
    free(mean);
    free(rstd);
    k->aliases = KERNEL_TEST_OVER(0) | KERNEL_TEST_OVER(2);
}

/* The formula, in double, from the same statistics. */
static void differentiates_norm(test *t)
{
    static const nn_activation activations[] = {NN_LINEAR, NN_RELU, NN_LEAKY_RELU};
    for (size_t n = 0; n < COUNT(shapes); n++)
        for (size_t a = 0; a < COUNT(activations); a++) {
            kernel_test k;
            nn_shape s = shapes[n];
            size_t c = s.dim[NN_C], pixels = s.dim[NN_H] * s.dim[NN_W];
            open_norm_grad(&k, s, activations[a]);
            double slope = slope_of(activations[a], k.attr.slope), largest = 0;
            for (size_t i = 0; i < s.dim[NN_N] * c; i++) {
                size_t first = i / c * pixels * c + i % c;
                double mean = k.input[1][i / c * 2 * c + i % c], rstd = k.input[1][(i / c * 2 + 1) * c + i % c];
                double sum = 0, product = 0;
                largest = fmax(largest, rstd);
                for (int pass = 0; pass < 2; pass++)
                    for (size_t p = first; p < first + pixels * c; p += c) {
                        double xhat = (k.input[0][p] - mean) * rstd, g = k.input[2][p] * (xhat > 0 ? 1 : slope);
                        if (pass == 0) {
                            sum += g / (double)pixels;
                            product += g * xhat / (double)pixels;
                        } else {
                            k.expected[0][p] = rstd * (g - sum - xhat * product);
                        }
                    }
            }
            k.floor = largest; /* two nearly equal pixels: what is left of dx is the rounding of its terms */
            kernel_test_run(t, &k);
            kernel_test_close(&k);
        }
}

/* The formula itself, against differences of the forward in double. */
static void norm_gradient_is_the_derivative(test *t)
{
    kernel_test k;
    nn_shape s = nn_shape_of(2, 3, 5, 3);
    open_norm_grad(&k, s, NN_LEAKY_RELU);
    size_t count = nn_count(s), channels = s.dim[NN_N] * s.dim[NN_C];
    double *x = doubled(k.input[0], count), *y = malloc(count * sizeof *y), *mean = malloc(channels * sizeof *mean),
           *rstd = malloc(channels * sizeof *rstd), step = 1e-6;
    for (size_t i = 0; i < count; i++)
        for (int side = -1; side <= 1; side += 2) {
            x[i] = k.input[0][i] + side * step;
            normalise(x, s, k.attr.epsilon, k.attr.slope, y, mean, rstd);
            x[i] = k.input[0][i];
            for (size_t j = 0; j < count; j++) k.expected[0][i] += side * y[j] * k.input[2][j] / (2 * step);
        }
    k.bound = 1e-5;
    kernel_test_run(t, &k);
    kernel_test_close(&k);
    free(x);
    free(y);
    free(mean);
    free(rstd);
}

/* The output of `from` (its last run) becomes an input of `to`. */
static void pass_on(const kernel_test *from, kernel_test *to, size_t input)
{
    memcpy(to->input[input], from->output[0], nn_count(to->input_shape[input]) * sizeof(float));
}

/* The norm with what is added to it gives the bits of two kernels. */
static void fused_sum_equals_two_kernels(test *t)
{
    nn_shape sums[] = {nn_shape_of(2, 31, 33, 17), nn_shape_of(1, 20, 13, 600), nn_shape_of(3, 3, 5, 3)};
    nn_activation activations[] = {NN_LINEAR, NN_RELU, NN_LEAKY_RELU};
    for (size_t i = 0; i < COUNT(sums) * COUNT(activations); i++) {
        nn_shape s = sums[i / COUNT(activations)], both[] = {s, s}, outputs[] = {s, statistics_shape(s)};
        kernel_test fused, norm, sum;
        open_norm(&norm, s, activations[i % COUNT(activations)], -1, 1);
        kernel_test_run(t, &norm);
        kernel_test_open(&sum, NN_ADD, (nn_attributes){0}, 2, both, 1, &s);
        pass_on(&norm, &sum, 0);
        kernel_test_fill(&sum, 1, -1, 1);
        sum.bound = INFINITY; /* only the bits matter */
        kernel_test_run(t, &sum);
        kernel_test_open(&fused, NN_INSTANCE_NORM, norm.attr, 2, both, 2, outputs);
        memcpy(fused.input[0], norm.input[0], nn_count(s) * sizeof(float));
        memcpy(fused.input[1], sum.input[1], nn_count(s) * sizeof(float));
        for (size_t k = 0; k < nn_count(s); k++) fused.expected[0][k] = norm.expected[0][k] + fused.input[1][k];
        for (size_t k = 0; k < nn_count(outputs[1]); k++) fused.expected[1][k] = norm.expected[1][k];
        fused.bound = norm.bound;
        fused.aliases = KERNEL_TEST_OVER(0) | KERNEL_TEST_OVER(1);
        kernel_test_run(t, &fused);
        CHECK(t, memcmp(fused.output[0], sum.output[0], nn_count(s) * sizeof(float)) == 0);
        CHECK(t, memcmp(fused.output[1], norm.output[1], nn_count(outputs[1]) * sizeof(float)) == 0);
        kernel_test *all[] = {&fused, &norm, &sum};
        for (size_t k = 0; k < COUNT(all); k++) kernel_test_close(all[k]);
    }
}

/* One fused kernel gives the bits of two. */
static void fused_norm_equals_two_kernels(test *t)
{
    nn_shape s = nn_shape_of(2, 31, 33, 17), both[] = {s, s};
    for (int leaky = 0; leaky < 2; leaky++) {
        nn_activation activation = leaky ? NN_LEAKY_RELU : NN_RELU;
        nn_attributes attr = {.activation = activation, .slope = 0.2f};
        kernel_test fused, norm, act;
        open_norm(&fused, s, activation, -1, 1);
        open_norm(&norm, s, NN_LINEAR, -1, 1);
        kernel_test_run(t, &fused);
        kernel_test_run(t, &norm);
        kernel_test_open(&act, NN_ACTIVATION, attr, 1, &s, 1, &s);
        pass_on(&norm, &act, 0);
        for (size_t i = 0; i < nn_count(s); i++) act.expected[0][i] = fused.output[0][i];
        act.bound = 0;
        kernel_test_run(t, &act);

        kernel_test fused_grad, norm_grad, act_grad;
        open_norm_grad(&fused_grad, s, activation);
        open_norm_grad(&norm_grad, s, NN_LINEAR);
        kernel_test_open(&act_grad, NN_ACTIVATION_GRAD, attr, 2, both, 1, &s);
        /* y by the statistics that the gradient is given; only its sign is used. */
        for (size_t i = 0; i < nn_count(s); i++) {
            size_t c = s.dim[NN_C], image = i / (nn_count(s) / 2);
            const float *mean = fused_grad.input[1] + image * 2 * c;
            act_grad.input[0][i] = fused_grad.input[0][i] - mean[i % c];
        }
        memcpy(act_grad.input[1], fused_grad.input[2], nn_count(s) * sizeof(float));
        act_grad.bound = fused_grad.bound = norm_grad.bound = INFINITY; /* only the bits matter */
        kernel_test_run(t, &act_grad);
        pass_on(&act_grad, &norm_grad, 2);
        kernel_test_run(t, &norm_grad);
        kernel_test_run(t, &fused_grad);
        CHECK(t, memcmp(norm_grad.output[0], fused_grad.output[0], nn_count(s) * sizeof(float)) == 0);
        kernel_test *all[] = {&fused, &norm, &act, &fused_grad, &norm_grad, &act_grad};
        for (size_t i = 0; i < COUNT(all); i++) kernel_test_close(all[i]);
    }
}

static double activation_of(nn_activation activation, double slope, double x)
{
    switch (activation) {
    case NN_TANH: return tanh(x);
    case NN_SIGMOID: return 1 / (1 + exp(-x));
    default: return x <= 0 ? (slope_of(activation, slope) == 0 ? 0 : slope_of(activation, slope) * x) : x;
    }
}

static void activates(test *t)
{
    static const float special[] = {0,     -0.0f,  1e-30f, -1e-30f, 0.625f, -0.62499994f, 9,         -9,
                                    43.5f, -43.5f, 87.5f,  -87,     1e30f,  -1e30f,       INFINITY, -INFINITY, NAN};
    nn_shape s = nn_shape_of(1, 37, 53, 5);
    for (nn_activation a = NN_LINEAR; a <= NN_SIGMOID; a++) {
        kernel_test k;
        kernel_test_open(&k, NN_ACTIVATION, (nn_attributes){.activation = a, .slope = 0.25f}, 1, &s, 1, &s);
        kernel_test_fill(&k, 0, -12, 12);
        for (size_t i = 0; i < nn_count(s); i += 2) k.input[0][i] *= 0.1f;
        memcpy(k.input[0], special, sizeof special);
        memcpy(k.input[0] + nn_count(s) - COUNT(special), special, sizeof special); /* a tail of scalars */
        for (size_t i = 0; i < nn_count(s); i++) k.expected[0][i] = activation_of(a, k.attr.slope, k.input[0][i]);
        k.bound = a == NN_TANH || a == NN_SIGMOID ? 4e-7 : 0;
        k.floor = a == NN_SIGMOID ? 1e-30 : 1e-37;
        k.aliases = KERNEL_TEST_OVER(0);
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

static void differentiates_activations(test *t)
{
    nn_shape s = nn_shape_of(1, 37, 53, 5), both[] = {s, s};
    for (nn_activation a = NN_LINEAR; a <= NN_SIGMOID; a++) {
        kernel_test k;
        kernel_test_open(&k, NN_ACTIVATION_GRAD, (nn_attributes){.activation = a, .slope = 0.25f}, 2, both, 1, &s);
        kernel_test_fill(&k, 0, -4, 4); /* x at first */
        kernel_test_fill(&k, 1, -2, 2);
        k.input[0][3] = 0; /* the derivative there is the one below zero, as PyTorch's */
        for (size_t i = 0; i < nn_count(s); i++) {
            double x = k.input[0][i], h = 1e-6, dy = k.input[1][i];
            double derivative = a == NN_TANH || a == NN_SIGMOID
                                    ? (activation_of(a, 0, x + h) - activation_of(a, 0, x - h)) / (2 * h)
                                    : x > 0 ? 1 : slope_of(a, k.attr.slope);
            k.expected[0][i] = dy * derivative;
            k.input[0][i] = (float)activation_of(a, k.attr.slope, x);
        }
        k.aliases = KERNEL_TEST_OVER(0) | KERNEL_TEST_OVER(1);
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

/* a op b, elementwise; one size within a part and one beyond. */
static void combines_elements(test *t)
{
    static const nn_op ops[] = {NN_ADD, NN_MULTIPLY, NN_SCALE, NN_COPY, NN_CONSTANT};
    static const nn_shape sizes[] = {{{1, 1, 3, 5}}, {{3, 47, 43, 3}}};
    for (size_t o = 0; o < COUNT(ops); o++)
        for (size_t n = 0; n < COUNT(sizes); n++) {
            kernel_test k;
            nn_shape s = sizes[n];
            size_t inputs = ops[o] == NN_CONSTANT ? 0 : ops[o] == NN_ADD || ops[o] == NN_MULTIPLY ? 2 : 1;
            kernel_test_open(&k, ops[o], (nn_attributes){.scale = -1.75f}, inputs, (nn_shape[]){s, s}, 1, &s);
            for (size_t i = 0; i < inputs; i++) kernel_test_fill(&k, i, -3, 3);
            for (size_t i = 0; i < nn_count(s); i++) {
                double a = inputs > 0 ? k.input[0][i] : 0, b = inputs > 1 ? k.input[1][i] : 0;
                k.expected[0][i] = ops[o] == NN_ADD        ? a + b
                                   : ops[o] == NN_MULTIPLY ? a * b
                                   : ops[o] == NN_SCALE    ? -1.75 * a
                                   : ops[o] == NN_COPY     ? a
                                                           : -1.75;
            }
            k.bound = 1e-7;
            k.aliases = inputs == 2 ? KERNEL_TEST_OVER(0) | KERNEL_TEST_OVER(1) : inputs ? KERNEL_TEST_OVER(0) : 0;
            kernel_test_run(t, &k);
            kernel_test_close(&k);
        }
}

static size_t padded_bytes(const nn_backend *backend, nn_layout layout, nn_shape shape)
{
    (void)backend;
    return layout == 7 ? shape.dim[NN_H] * shape.dim[NN_W] * (shape.dim[NN_C] + 15) / 16 * 16 * sizeof(float) : 0;
}

/* In a layout of the backend's, an element lies anywhere in layout_bytes. */
static void combines_elements_of_other_layouts(test *t)
{
    static const nn_op ops[] = {NN_ADD, NN_SCALE, NN_COPY};
    nn_backend_interface interface = {.layout_bytes = padded_bytes};
    nn_backend backend = {.interface = &interface};
    nn_shape s = nn_shape_of(1, 5, 7, 3);
    size_t floats = padded_bytes(&backend, 7, s) / sizeof(float);
    float a[1024], b[1024], y[1024];
    REQUIRE(t, floats > nn_count(s) && floats < COUNT(y));
    for (size_t i = 0; i < COUNT(y); i++) {
        a[i] = (float)i;
        b[i] = 3;
    }
    for (size_t o = 0; o < COUNT(ops); o++) {
        nn_call call = {.attr = {.scale = 2}, .input_count = 2, .output_count = 1, .input_shape = {s, s},
                        .output_shape = {s}, .input_layout = {7, 7}, .output_layout = {7}, .input = {a, b},
                        .output = {y}, .threads = 1, .backend = &backend};
        for (size_t i = 0; i < COUNT(y); i++) y[i] = -1;
        cpu_kernels_supported(0)->kernel[ops[o]]->run(&call);
        float last = a[floats - 1];
        CHECK_NEAR(t, y[floats - 1], ops[o] == NN_ADD ? last + 3 : ops[o] == NN_SCALE ? 2 * last : last, 0);
        CHECK(t, y[floats] == -1);
    }
}

TEST_MAIN(TEST(adds_bias), TEST(sums_bias_gradient), TEST(normalises), TEST(normalises_far_from_zero),
          TEST(normalises_constant), TEST(normalises_ramp), TEST(differentiates_norm),
          TEST(norm_gradient_is_the_derivative), TEST(fused_norm_equals_two_kernels),
          TEST(fused_sum_equals_two_kernels), TEST(activates), TEST(differentiates_activations),
          TEST(combines_elements), TEST(combines_elements_of_other_layouts))
