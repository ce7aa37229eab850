/* Losses, total variation, Gram matrices and their gradients against plain double loops. */
#include "nn/kernel_test.h"

static const nn_shape scalar = {{1, 1, 1, 1}};
/* Odd, with an incomplete last part; one element; exactly one part. */
static const nn_shape loss_shapes[] = {{{2, 13, 29, 17}}, {{1, 1, 1, 1}}, {{1, 5, 3, 2}}, {{1, 32, 32, 4}}};
enum { LOSS_SHAPES = sizeof loss_shapes / sizeof *loss_shapes };

typedef struct pointwise {
    nn_op op, grad;
    double (*value)(double a, double b), (*slope)(double a, double b);
} pointwise;

static double abs_value(double a, double b) { return fabs(a - b); }
static double abs_slope(double a, double b) { return a > b ? 1 : a < b ? -1 : 0; }
static double square_value(double a, double b) { return (a - b) * (a - b); }
static double square_slope(double a, double b) { return 2 * (a - b); }
static double bce_value(double x, double target) { return fmax(x, 0) - x * target + log1p(exp(-fabs(x))); }
static double bce_slope(double x, double target) { return 1 / (1 + exp(-x)) - target; }

static const pointwise mean_abs = {NN_MEAN_ABS, NN_MEAN_ABS_GRAD, abs_value, abs_slope};
static const pointwise mean_square = {NN_MEAN_SQUARE, NN_MEAN_SQUARE_GRAD, square_value, square_slope};
static const pointwise bce = {NN_BCE_LOGITS, NN_BCE_LOGITS_GRAD, bce_value, bce_slope};

/* Some elements are made equal to what they are compared with. */
static void fill_operands(kernel_test *k, bool pair, float target)
{
    kernel_test_fill(k, 0, -3, 3);
    if (pair) kernel_test_fill(k, 1, -3, 3);
    for (size_t i = 0; i < nn_count(k->input_shape[0]); i += 5) k->input[0][i] = pair ? k->input[1][i] : target;
}

static void check_loss(test *t, const pointwise *loss, nn_shape s, bool pair, float target)
{
    size_t count = nn_count(s), operands = pair ? 2 : 1;
    kernel_test k;
    kernel_test_open(&k, loss->op, (nn_attributes){.target = target}, operands, (nn_shape[]){s, s}, 1, &scalar);
    fill_operands(&k, pair, target);
    for (size_t i = 0; i < count; i++)
        k.expected[0][0] += loss->value(k.input[0][i], pair ? k.input[1][i] : target) / (double)count;
    k.bound = 3e-7;
    kernel_test_run(t, &k);
    kernel_test_close(&k);

    kernel_test_open(&k, loss->grad, (nn_attributes){.target = target}, operands + 1,
                     (nn_shape[]){s, pair ? s : scalar, scalar}, 1, &s);
    fill_operands(&k, pair, target);
    k.input[operands][0] = -1.75f;
    for (size_t i = 0; i < count; i++)
        k.expected[0][i] = -1.75 / (double)count * loss->slope(k.input[0][i], pair ? k.input[1][i] : target);
    k.floor = 1 / (double)count;
    k.aliases = KERNEL_TEST_OVER(0) | (pair ? KERNEL_TEST_OVER(1) : 0);
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

static void mean_abs_of_pairs_and_targets(test *t)
{
    for (size_t i = 0; i < LOSS_SHAPES; i++) {
        check_loss(t, &mean_abs, loss_shapes[i], true, 0);
        check_loss(t, &mean_abs, loss_shapes[i], false, 0.75f);
    }
}

static void mean_square_of_pairs_and_targets(test *t)
{
    for (size_t i = 0; i < LOSS_SHAPES; i++) {
        check_loss(t, &mean_square, loss_shapes[i], true, 0);
        check_loss(t, &mean_square, loss_shapes[i], false, 1);
    }
}

static void bce_of_targets(test *t)
{
    for (size_t i = 0; i < LOSS_SHAPES; i++)
        for (int target = 0; target <= 2; target++) check_loss(t, &bce, loss_shapes[i], false, (float)target / 2);
}

/* log(1 + exp(x)) overflows at x = 1e4 and sigmoid(x) - 1 is lost in float from x = 17 on. */
static void bce_of_large_logits(test *t)
{
    const nn_shape s = {{1, 1, 1, 4}};
    const float x[] = {1e4f, -1e4f, 40, -40};
    const double tail = exp(-40.0), value[2] = {(1e4 + 40 + 2 * tail) / 4, (1e4 + 40 + 2 * tail) / 4};
    const double slope[2][4] = {{1, 0, 1, tail}, {0, -1, -tail, -1}};
    for (int target = 0; target <= 1; target++) {
        kernel_test k;
        kernel_test_open(&k, NN_BCE_LOGITS, (nn_attributes){.target = (float)target}, 1, &s, 1, &scalar);
        memcpy(k.input[0], x, sizeof x);
        k.expected[0][0] = value[target];
        kernel_test_run(t, &k);
        kernel_test_close(&k);

        kernel_test_open(&k, NN_BCE_LOGITS_GRAD, (nn_attributes){.target = (float)target}, 2,
                         (nn_shape[]){s, scalar}, 1, &s);
        memcpy(k.input[0], x, sizeof x);
        k.input[1][0] = 4;
        for (size_t i = 0; i < 4; i++) k.expected[0][i] = slope[target][i];
        k.floor = target ? 1 : 1e-20;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

static void losses_show_nan(test *t)
{
    const nn_shape s = {{1, 3, 5, 7}};
    const pointwise *all[] = {&mean_abs, &mean_square, &bce};
    for (size_t i = 0; i < 3; i++) {
        kernel_test k;
        kernel_test_open(&k, all[i]->op, (nn_attributes){.target = 1}, 1, &s, 1, &scalar);
        k.input[0][77] = NAN;
        k.expected[0][0] = NAN;
        kernel_test_run(t, &k);
        kernel_test_close(&k);

        kernel_test_open(&k, all[i]->grad, (nn_attributes){.target = 1}, 2, (nn_shape[]){s, scalar}, 1, &s);
        k.input[0][77] = NAN;
        k.input[1][0] = 1;
        for (size_t e = 0; e < nn_count(s); e++) k.expected[0][e] = e == 77 ? NAN : all[i]->slope(0, 1) / 105;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

/* Total variation of x in double. */
static double total_variation(const double *x, nn_shape s, const nn_attributes *attr)
{
    size_t h = s.dim[NN_H], w = s.dim[NN_W], c = s.dim[NN_C];
    double sum = 0;
    for (size_t n = 0; n < s.dim[NN_N]; n++)
        for (size_t y = 0; y + 1 < h; y++)
            for (size_t column = 0; column + 1 < w; column++)
                for (size_t k = 0; k < c; k++) {
                    const double *at = x + ((n * h + y) * w + column) * c + k;
                    double dx = at[c] - at[0], dy = at[w * c] - at[0];
                    double base = dx * dx + dy * dy + (double)attr->epsilon;
                    sum += pow(base, (double)attr->exponent / 2);
                }
    return (double)attr->scale * sum;
}

/* The gradient's oracle is a central difference of the sum. */
static void check_total_variation(test *t, nn_shape s, float exponent, float epsilon)
{
    const nn_attributes attr = {.scale = 0.25f, .exponent = exponent, .epsilon = epsilon};
    const double step = 1e-6;
    size_t count = nn_count(s);
    kernel_test k, gradient;
    double *x = calloc(count, sizeof *x);
    kernel_test_open(&k, NN_TOTAL_VARIATION, attr, 1, &s, 1, &scalar);
    kernel_test_open(&gradient, NN_TOTAL_VARIATION_GRAD, attr, 2, (nn_shape[]){s, scalar}, 1, &s);
    kernel_test_fill(&k, 0, -1, 1);
    memcpy(gradient.input[0], k.input[0], count * sizeof(float));
    gradient.input[1][0] = 1.5f;
    for (size_t i = 0; i < count; i++) x[i] = k.input[0][i];
    k.expected[0][0] = total_variation(x, s, &attr);
    for (size_t i = 0; i < count; i++) {
        double middle = x[i];
        x[i] = middle + step;
        double above = total_variation(x, s, &attr);
        x[i] = middle - step;
        gradient.expected[0][i] = 1.5 * (above - total_variation(x, s, &attr)) / (2 * step);
        x[i] = middle;
    }
    kernel_test_run(t, &k);
    gradient.bound = 2e-6;
    gradient.aliases = KERNEL_TEST_OVER(0);
    kernel_test_run(t, &gradient);
    kernel_test_close(&k);
    kernel_test_close(&gradient);
    free(x);
}

static void total_variation_of_exponents(test *t)
{
    const nn_shape shapes[] = {{{2, 5, 7, 3}}, {{1, 3, 101, 3}}, {{1, 2, 2, 1}}, {{2, 1, 9, 3}}, {{2, 9, 1, 3}}};
    const float exponents[] = {1, 2, 2.5f, 3, 1.5f};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (size_t e = 0; e < sizeof exponents / sizeof *exponents; e++)
            for (int epsilon = 0; epsilon < 2; epsilon++)
                check_total_variation(t, shapes[i], exponents[e], epsilon ? 1e-3f : 0);
}

/* base^(exponent/2 - 1) is infinite where neighbours are equal; a NaN in x still shows. */
static void total_variation_of_flat_images(test *t)
{
    const nn_shape s = {{1, 4, 6, 3}};
    const float exponents[] = {0.5f, 1, 1.5f, 2, 2.5f};
    for (size_t e = 0; e < 5; e++)
        for (int poisoned = 0; poisoned < 2; poisoned++) {
            kernel_test k;
            kernel_test_open(&k, NN_TOTAL_VARIATION_GRAD, (nn_attributes){.scale = 1, .exponent = exponents[e]}, 2,
                             (nn_shape[]){s, scalar}, 1, &s);
            for (size_t i = 0; i < nn_count(s); i++) k.input[0][i] = 0.5f;
            k.input[1][0] = 1;
            if (poisoned) {
                /* Row 1, column 2, channel 1; seen by itself, its neighbours, and those that share a base. */
                k.input[0][(1 * 6 + 2) * 3 + 1] = NAN;
                const size_t near[][2] = {{1, 2}, {1, 1}, {1, 3}, {0, 2}, {2, 2}, {0, 3}, {2, 1}};
                for (size_t i = 0; i < 7; i++) k.expected[0][(near[i][0] * 6 + near[i][1]) * 3 + 1] = NAN;
                if (exponents[e] == 2) { /* the power is 1 there: neighbours' own differences are finite */
                    k.expected[0][(0 * 6 + 3) * 3 + 1] = 0;
                    k.expected[0][(2 * 6 + 1) * 3 + 1] = 0;
                }
            }
            kernel_test_run(t, &k);
            kernel_test_close(&k);
        }
}

static const nn_shape gram_shapes[] = {{{2, 5, 7, 3}},  {{1, 1, 1, 1}},   {{1, 9, 15, 37}}, {{1, 67, 65, 10}},
                                       {{2, 3, 3, 70}}, {{1, 50, 3, 131}}, {{1, 4, 4, 64}}};

static void gram(test *t)
{
    for (size_t g = 0; g < sizeof gram_shapes / sizeof *gram_shapes; g++) {
        nn_shape s = gram_shapes[g];
        size_t c = s.dim[NN_C], pixels = s.dim[NN_H] * s.dim[NN_W];
        nn_shape result = nn_shape_of(s.dim[NN_N], 1, c, c);
        kernel_test k;
        kernel_test_open(&k, NN_GRAM, (nn_attributes){.scale = 0.5f / (float)pixels}, 1, &s, 1, &result);
        kernel_test_fill(&k, 0, -1, 2);
        for (size_t n = 0; n < s.dim[NN_N]; n++)
            for (size_t i = 0; i < c; i++)
                for (size_t j = 0; j < c; j++) {
                    double sum = 0;
                    for (size_t p = 0; p < pixels; p++)
                        sum += (double)k.input[0][(n * pixels + p) * c + i] * k.input[0][(n * pixels + p) * c + j];
                    k.expected[0][(n * c + i) * c + j] = (double)k.attr.scale * sum;
                }
        k.bound = 5e-7;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

static void gram_gradient(test *t)
{
    for (size_t g = 0; g < sizeof gram_shapes / sizeof *gram_shapes; g++) {
        nn_shape s = gram_shapes[g];
        size_t c = s.dim[NN_C], pixels = s.dim[NN_H] * s.dim[NN_W];
        kernel_test k;
        kernel_test_open(&k, NN_GRAM_GRAD, (nn_attributes){.scale = 0.25f}, 2,
                         (nn_shape[]){s, nn_shape_of(s.dim[NN_N], 1, c, c)}, 1, &s);
        kernel_test_fill(&k, 0, -1, 2);
        kernel_test_fill(&k, 1, -1, 1);
        for (size_t n = 0; n < s.dim[NN_N]; n++)
            for (size_t p = 0; p < pixels; p++)
                for (size_t j = 0; j < c; j++) {
                    const float *x = k.input[0] + (n * pixels + p) * c, *dg = k.input[1] + n * c * c;
                    double sum = 0;
                    for (size_t i = 0; i < c; i++) sum += x[i] * ((double)dg[i * c + j] + dg[j * c + i]);
                    k.expected[0][(n * pixels + p) * c + j] = 0.25 * sum;
                }
        k.bound = 2e-6;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

TEST_MAIN(TEST(mean_abs_of_pairs_and_targets), TEST(mean_square_of_pairs_and_targets), TEST(bce_of_targets),
          TEST(bce_of_large_logits), TEST(losses_show_nan), TEST(total_variation_of_exponents),
          TEST(total_variation_of_flat_images), TEST(gram), TEST(gram_gradient))
