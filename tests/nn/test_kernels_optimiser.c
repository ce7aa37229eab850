/* What a training step does to memory that outlives it, against plain double loops. */
#include "nn/kernel_test.h"

static const nn_shape scalar = {{1, 1, 1, 1}};

static void squared_norm(test *t)
{
    const nn_shape shapes[] = {{{3, 29, 31, 5}}, {{1, 1, 1, 1}}, {{1, 64, 64, 2}}};
    for (size_t i = 0; i < 3; i++) {
        kernel_test k;
        kernel_test_open(&k, NN_SQUARED_NORM, (nn_attributes){0}, 1, &shapes[i], 1, &scalar);
        kernel_test_fill(&k, 0, -2, 3);
        for (size_t e = 0; e < nn_count(shapes[i]); e++)
            k.expected[0][0] += (double)k.input[0][e] * k.input[0][e];
        k.bound = 1e-7; /* a float's rounding: the sum is in double */
        kernel_test_run(t, &k);
        k.input[0][nn_count(shapes[i]) - 1] = NAN;
        k.expected[0][0] = NAN;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

/* One large element must not swallow many small ones, as it would in float. */
static void squared_norm_of_extremes(test *t)
{
    const nn_shape s = {{1, 100, 100, 1}};
    kernel_test k;
    kernel_test_open(&k, NN_SQUARED_NORM, (nn_attributes){0}, 1, &s, 1, &scalar);
    k.input[0][0] = 4096;
    for (size_t i = 1; i < 10000; i++) k.input[0][i] = 0.5f;
    k.expected[0][0] = 4096.0 * 4096 + 9999 * 0.25;
    k.bound = 1e-7;
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

static void all_finite(test *t)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    nn_shape shapes[NN_MAX_INPUTS];
    for (size_t i = 0; i < NN_MAX_INPUTS; i++) shapes[i] = scalar;
    for (size_t count = 1; count <= NN_MAX_INPUTS; count++) {
        kernel_test k;
        kernel_test_open(&k, NN_ALL_FINITE, (nn_attributes){0}, count, shapes, 1, &scalar);
        for (size_t i = 0; i < count; i++) k.input[i][0] = i ? 3e38f : 0;
        k.expected[0][0] = 1;
        kernel_test_run(t, &k);
        k.expected[0][0] = 0;
        for (size_t i = 0; i < count; i++)
            for (size_t b = 0; b < 3; b++) {
                k.input[i][0] = bad[b];
                kernel_test_run(t, &k);
                k.input[i][0] = 0;
            }
        kernel_test_close(&k);
    }
}

static const nn_attributes adam_attributes = {.beta1 = 0.5f, .beta2 = 0.999f, .epsilon = 1e-8f};

static void set_rates(float rates[2], double lr, const nn_attributes *attr, int step)
{
    rates[0] = (float)(lr / (1 - pow((double)attr->beta1, step)));
    rates[1] = (float)(1 / sqrt(1 - pow((double)attr->beta2, step)));
}

/* One element of a step, all in double (Kingma and Ba 2015, algorithm 1, with PyTorch's place for epsilon). */
static void adam_oracle(double *p, double g, double *m, double *v, const nn_attributes *attr, double lr, int step)
{
    double beta1 = attr->beta1, beta2 = attr->beta2;
    *m = beta1 * *m + (1 - beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    double mean = *m / (1 - pow(beta1, step)), square = *v / (1 - pow(beta2, step));
    *p -= lr * mean / (sqrt(square) + (double)attr->epsilon);
}

/* One step with guards; the third has a gradient to be clipped, the last a flag of 0. */
static void adam_step(test *t)
{
    const nn_shape s = {{3, 41, 11, 7}}, rates = {{1, 1, 1, 2}};
    size_t count = nn_count(s);
    for (int variant = 0; variant < 4; variant++) {
        nn_attributes attr = adam_attributes;
        attr.clip = variant == 0 ? 0 : variant == 1 ? 200 : 0.25f;
        kernel_test k;
        kernel_test_open(&k, NN_ADAM, attr, 7, (nn_shape[]){s, s, s, s, rates, scalar, scalar}, 0, NULL);
        kernel_test_fill(&k, 0, -1, 1);
        kernel_test_fill(&k, 1, -0.5f, 0.5f);
        kernel_test_fill(&k, 2, -0.1f, 0.1f);
        kernel_test_fill(&k, 3, 0, 0.1f);
        k.input[1][0] = k.input[2][0] = k.input[3][0] = 0; /* 0 / (0 + epsilon) */
        set_rates(k.input[4], 0.01, &attr, 7);
        k.input[5][0] = variant < 3;
        k.input[6][0] = 900; /* a norm of 30 */
        double *p = kernel_test_change(&k, 0), *m = kernel_test_change(&k, 2), *v = kernel_test_change(&k, 3);
        double scale = variant >= 2 ? 0.25 / (30 + 1e-6) : 1;
        for (size_t i = 0; variant < 3 && i < count; i++)
            adam_oracle(&p[i], scale * k.input[1][i], &m[i], &v[i], &attr, 0.01, 7);
        k.floor = 0.1;
        if (variant == 3) k.bound = 0;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

enum { STEPS = 20, WEIGHTS = 9001 };

typedef struct adam_state {
    float p[WEIGHTS], g[WEIGHTS], m[WEIGHTS], v[WEIGHTS];
} adam_state;

/* Gradients grow, so that early steps are left alone and later ones clipped; steps 5 and 11 have a flag of 0. */
static float gradient_at(int step, size_t i)
{
    return (float)step * 0.002f * (rng_uniform(3, RNG_TEST, (uint64_t)step, (uint32_t)i) - 0.4f);
}

static void adam_call(const cpu_kernel_table *table, int threads, adam_state *s, const float rates[2], float flag,
                      float squared, float clip)
{
    nn_shape shape = nn_shape_vector(WEIGHTS);
    nn_call call = {.op = NN_ADAM, .attr = adam_attributes, .input_count = 7, .threads = threads,
                    .input_shape = {shape, shape, shape, shape, nn_shape_vector(2), scalar, scalar},
                    .input = {s->p, s->g, s->m, s->v, rates, &flag, &squared}};
    call.attr.clip = clip;
    table->kernel[NN_ADAM]->run(&call);
}

/* Runs the steps on one table; the squared norms of the gradients are computed here, in double. */
static void adam_run(const cpu_kernel_table *table, int threads, float clip, adam_state *s)
{
    memset(s, 0, sizeof *s);
    for (size_t i = 0; i < WEIGHTS; i++) s->p[i] = rng_uniform(1, RNG_TEST, 0, (uint32_t)i) - 0.5f;
    for (int step = 1, taken = 0; step <= STEPS; step++) {
        float rates[2], flag = step != 5 && step != 11;
        double squared = 0;
        for (size_t i = 0; i < WEIGHTS; i++) {
            s->g[i] = gradient_at(step, i);
            squared += (double)s->g[i] * s->g[i];
        }
        taken += flag != 0;
        set_rates(rates, 0.01, &adam_attributes, taken);
        adam_call(table, threads, s, rates, flag, (float)squared, clip);
    }
}

/* p, m, v after the steps, of one weight at a time; norms come first because clipping needs all weights. */
static void adam_run_oracle(float clip, double *p, double *m, double *v)
{
    double scale[STEPS + 1];
    for (int step = 1; step <= STEPS; step++) {
        double squared = 0;
        for (size_t i = 0; i < WEIGHTS; i++) squared += (double)gradient_at(step, i) * gradient_at(step, i);
        scale[step] = clip > 0 && sqrt(squared) > (double)clip ? (double)clip / (sqrt(squared) + 1e-6) : 1;
    }
    for (size_t i = 0; i < WEIGHTS; i++) {
        p[i] = (double)(rng_uniform(1, RNG_TEST, 0, (uint32_t)i) - 0.5f);
        m[i] = v[i] = 0;
        for (int step = 1, taken = 0; step <= STEPS; step++) {
            if (step == 5 || step == 11) continue;
            adam_oracle(&p[i], scale[step] * gradient_at(step, i), &m[i], &v[i], &adam_attributes, 0.01, ++taken);
        }
    }
}

static double worst(const float *actual, const double *expected, double floor)
{
    double result = 0;
    for (size_t i = 0; i < WEIGHTS; i++) {
        double d = fabs(actual[i] - expected[i]) / (fabs(expected[i]) + floor);
        if (!(d <= result)) result = d == d ? d : INFINITY;
    }
    return result;
}

static void adam_over_20_steps(test *t)
{
    const float clips[] = {0, 1};
    adam_state *one = malloc(sizeof *one), *two = malloc(sizeof *two);
    double *p = malloc(3 * WEIGHTS * sizeof *p), *m = p + WEIGHTS, *v = m + WEIGHTS;
    const cpu_kernel_table *table;
    for (size_t c = 0; c < 2; c++) {
        adam_run_oracle(clips[c], p, m, v);
        for (size_t level = 0; (table = cpu_kernels_supported(level)); level++) {
            adam_run(table, 1, clips[c], one);
            adam_run(table, 2, clips[c], two);
            CHECK(t, memcmp(one, two, sizeof *one) == 0);
            /* 20 roundings of steps of up to 0.01 and of weights up to 0.6. */
            CHECK_NEAR(t, worst(one->p, p, 1), 0, 1e-6);
            CHECK_NEAR(t, worst(one->m, m, 1e-3), 0, 1e-6);
            CHECK_NEAR(t, worst(one->v, v, 1e-9), 0, 2e-6);
        }
    }
    free(one);
    free(two);
    free(p);
}

static void ema(test *t)
{
    const nn_shape s = {{2, 37, 41, 3}};
    for (int flag = 0; flag < 2; flag++) {
        kernel_test k;
        kernel_test_open(&k, NN_EMA, (nn_attributes){0}, 4, (nn_shape[]){s, s, scalar, scalar}, 0, NULL);
        kernel_test_fill(&k, 0, -1, 1);
        kernel_test_fill(&k, 1, -1, 1);
        k.input[2][0] = 0.125f;
        k.input[3][0] = (float)flag;
        double *average = kernel_test_change(&k, 0);
        for (size_t i = 0; flag && i < nn_count(s); i++) average[i] += 0.125 * (k.input[1][i] - average[i]);
        if (!flag) k.bound = 0;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

/* The rule of graph.h, image by image. */
static void pool_oracle(const kernel_test *k, double *pool, double *y)
{
    size_t images = k->input_shape[1].dim[NN_N], count = nn_count(k->input_shape[1]) / images;
    for (size_t n = 0; n < images; n++)
        for (size_t i = 0; i < count; i++) {
            int decision = (int)k->input[2][n];
            double x = k->input[1][n * count + i], *slot = decision ? pool + (size_t)(abs(decision) - 1) * count : NULL;
            y[n * count + i] = decision < 0 ? slot[i] : x;
            if (slot) slot[i] = x;
        }
}

/* Image 1 meets what image 0 stored, image 4 what image 3 exchanged. */
static void pool_swap(test *t)
{
    const nn_shape pool = {{3, 5, 7, 3}}, x = {{6, 5, 7, 3}}, decisions = {{1, 1, 1, 6}};
    static const float orders[][6] = {{2, -2, 0, -3, -3, 1}, {0, 0, 0, 0, 0, 0}, {1, 2, 3, -1, -2, -3}};
    for (size_t order = 0; order < 3; order++) {
        kernel_test k;
        kernel_test_open(&k, NN_POOL_SWAP, (nn_attributes){0}, 3, (nn_shape[]){pool, x, decisions}, 1, &x);
        kernel_test_fill(&k, 0, -1, 1);
        kernel_test_fill(&k, 1, -1, 1);
        memcpy(k.input[2], orders[order], sizeof orders[order]);
        pool_oracle(&k, kernel_test_change(&k, 0), k.expected[0]);
        k.bound = 0;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

/* A slot that does not exist touches no memory of the pool, and y says so. */
static void pool_swap_beyond_the_pool(test *t)
{
    const nn_shape pool = {{2, 2, 3, 1}}, x = {{1, 2, 3, 1}};
    const float decisions[] = {3, -3, NAN};
    for (size_t d = 0; d < 3; d++) {
        kernel_test k;
        kernel_test_open(&k, NN_POOL_SWAP, (nn_attributes){0}, 3, (nn_shape[]){pool, x, scalar}, 1, &x);
        k.input[2][0] = decisions[d];
        for (size_t i = 0; i < nn_count(x); i++) k.expected[0][i] = NAN;
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

TEST_MAIN(TEST(squared_norm), TEST(squared_norm_of_extremes), TEST(all_finite), TEST(adam_step),
          TEST(adam_over_20_steps), TEST(ema), TEST(pool_swap), TEST(pool_swap_beyond_the_pool))
