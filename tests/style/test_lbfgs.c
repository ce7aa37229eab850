/* L-BFGS on functions with known minima, against what SciPy's reaches (tools/oracle/lbfgs.py); the line search's
 * conditions; Adam against its formula in double. */
#include "style/line_search.h"
#include "test.h"

enum { MOST = 100 };

static double rosenbrock(const double *x, size_t n, double *gradient)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) gradient[i] = 0;
    for (size_t i = 0; i + 1 < n; i++) {
        double a = x[i], b = x[i + 1], t = b - a * a;
        loss += 100 * t * t + (1 - a) * (1 - a);
        gradient[i] += -400 * a * t - 2 * (1 - a);
        gradient[i + 1] += 200 * t;
    }
    return loss;
}

/* Curvatures from 1 to 10000. */
static double quadratic(const double *x, size_t n, double *gradient)
{
    double loss = 0;
    for (size_t i = 0; i < n; i++) {
        double curvature = pow(10, 4 * (double)i / (double)(n - 1));
        loss += curvature * (x[i] - 1) * (x[i] - 1) / 2;
        gradient[i] = curvature * (x[i] - 1);
    }
    return loss;
}

/* Infinite but near its minimum, as a loss in floats may be far away from it. */
static double walled(const double *x, size_t n, double *gradient)
{
    double loss = quadratic(x, n, gradient);
    return fabs(x[0]) > 1.5 ? INFINITY : loss;
}

typedef struct run {
    double (*function)(const double *x, size_t n, double *gradient);
    size_t count, evaluations, iterations, stop_at;
    double previous;
    bool rose;
} run;

static status objective(void *context, const float *x, double *loss, float *gradient, error *err)
{
    run *r = context;
    double wide[MOST], slope[MOST];
    (void)err;
    for (size_t i = 0; i < r->count; i++) wide[i] = x[i];
    *loss = r->function(wide, r->count, slope);
    for (size_t i = 0; i < r->count; i++) gradient[i] = (float)slope[i];
    r->evaluations++;
    return STATUS_OK;
}

static status iterated(void *context, size_t iteration, double loss, const float *x, error *err)
{
    run *r = context;
    (void)x;
    r->rose = r->rose || (r->iterations && loss >= r->previous);
    r->previous = loss;
    r->iterations = iteration;
    return iteration == r->stop_at ? error_set(err, STATUS_INTERRUPTED, "stopped") : STATUS_OK;
}

static void start_at(float *x, size_t count, bool rosenbrocks)
{
    for (size_t i = 0; i < count; i++) x[i] = !rosenbrocks ? 0 : i % 2 ? 1 : -1.2f;
}

typedef struct expectation {
    double (*function)(const double *x, size_t n, double *gradient);
    size_t count, iterations;
    double loss; /* SciPy's after that many */
    size_t evaluations;
} expectation;

static const expectation scipy[] = {
    {rosenbrock, 2, 20, 0.398923, 25}, {rosenbrock, 10, 40, 2.76491, 50}, {rosenbrock, 10, 74, 1e-10, 92},
    {quadratic, 100, 20, 129.015, 21}, {quadratic, 100, 40, 28.5209, 41}, {quadratic, 100, 200, 0.05821, 207},
};

static void reaches_what_scipy_does(test *t)
{
    for (size_t i = 0; i < sizeof scipy / sizeof *scipy; i++) {
        const expectation *e = &scipy[i];
        run r = {.function = e->function, .count = e->count};
        style_minimisation m = {.count = e->count, .objective = objective, .iterated = iterated, .context = &r,
                                .iterations = e->iterations};
        style_minimum found;
        float x[MOST];
        error err = {0};
        start_at(x, e->count, e->function == rosenbrock);
        REQUIRE_OK(t, style_lbfgs(&m, &(style_lbfgs_options){.history = 10}, x, &found, &err), err);
        size_t ends = found.exhausted ? 50 : 2; /* two searches that find nothing lower in floats */
        if (!(found.loss <= 1.1 * e->loss) || found.evaluations > e->evaluations * 5 / 4 + ends)
            test_failed(t, __FILE__, __LINE__, "case %zu: %zu iterations, %zu evaluations, loss %g; SciPy's %g, %zu", i,
                        found.iterations, found.evaluations, found.loss, e->loss, e->evaluations);
        CHECK(t, !r.rose && found.evaluations == r.evaluations && found.iterations <= e->iterations);
    }
}

/* To where floats end. */
static void converges(test *t)
{
    static const struct {
        double (*function)(const double *x, size_t n, double *gradient);
        size_t count;
        double bound;
    } cases[] = {{rosenbrock, 2, 1e-5}, {rosenbrock, 10, 1e-5}, {quadratic, 100, 1e-5}, {walled, 100, 1e-5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run r = {.function = cases[i].function, .count = cases[i].count};
        style_minimisation m = {.count = r.count, .objective = objective, .context = &r, .iterations = 2000};
        style_minimum found;
        float x[MOST];
        error err = {0};
        start_at(x, r.count, r.function == rosenbrock);
        REQUIRE_OK(t, style_lbfgs(&m, &(style_lbfgs_options){.history = 10}, x, &found, &err), err);
        CHECK(t, found.exhausted);
        for (size_t k = 0; k < r.count; k++) CHECK_NEAR(t, x[k], 1, cases[i].bound);
    }
}

static void keeps_to_tolerances(test *t)
{
    run r = {.function = quadratic, .count = 100};
    style_minimisation m = {.count = 100, .objective = objective, .iterated = iterated, .context = &r,
                            .iterations = 2000, .gradient_tolerance = 1};
    style_minimum found, other;
    float x[MOST], gradient[MOST];
    double loss;
    error err = {0};
    start_at(x, 100, false);
    REQUIRE_OK(t, style_lbfgs(&m, &(style_lbfgs_options){0}, x, &found, &err), err);
    CHECK(t, found.exhausted && found.iterations < 2000);
    objective(&r, x, &loss, gradient, &err);
    for (size_t i = 0; i < 100; i++) CHECK(t, fabsf(gradient[i]) <= 1);
    CHECK_NEAR(t, loss, found.loss, 1e-12);
    m.gradient_tolerance = 0;
    m.change_tolerance = 0.3;
    start_at(x, 100, false);
    REQUIRE_OK(t, style_lbfgs(&m, &(style_lbfgs_options){0}, x, &other, &err), err);
    CHECK(t, other.exhausted && other.iterations < 200);
    r.stop_at = 3;
    start_at(x, 100, false);
    CHECK(t, style_lbfgs(&m, &(style_lbfgs_options){0}, x, &other, &err) == STATUS_INTERRUPTED);
    CHECK(t, r.iterations == 3);
    r = (run){.function = walled, .count = 100};
    x[0] = 2;
    CHECK(t, style_lbfgs(&m, &(style_lbfgs_options){0}, x, &other, &err) == STATUS_NOT_FINITE);
    CHECK_CONTAINS(t, err.message, "inf");
}

/* From first steps that are too short, too long and nearly right. */
static void satisfies_wolfe(test *t)
{
    for (double first = 1e-6; first < 1e4; first *= 7) {
        run r = {.function = rosenbrock, .count = 2};
        style_minimisation m = {.count = 2, .objective = objective, .context = &r};
        float x[3][2] = {{-1.2f, 1}}, g[3][2], d[2];
        style_place start = {.x = x[0], .gradient = g[0]}, best = {.x = x[1], .gradient = g[1]};
        style_place other = {.x = x[2], .gradient = g[2]};
        error err = {0};
        objective(&r, x[0], &start.loss, g[0], &err);
        for (int i = 0; i < 2; i++) d[i] = -g[0][i];
        start.slope = style_dot(g[0], d, 2);
        style_line line = {&m, d, &start, 0};
        REQUIRE_OK(t, style_line_search(&line, first, &best, &other, &err), err);
        CHECK(t, best.step > 0 && best.loss <= start.loss + 1e-4 * best.step * start.slope);
        CHECK(t, fabs(best.slope) <= -0.9 * start.slope);
        CHECK_NEAR(t, style_dot(best.gradient, d, 2), best.slope, 1e-9 * fabs(start.slope));
    }
}

static void adam_follows_its_formula(test *t)
{
    enum { STEPS = 50 };
    run r = {.function = quadratic, .count = 20};
    style_minimisation m = {.count = 20, .objective = objective, .context = &r, .iterations = STEPS};
    style_minimum found;
    float x[20];
    double y[20] = {0}, g[20], first[20] = {0}, second[20] = {0};
    error err = {0};
    start_at(x, 20, false);
    REQUIRE_OK(t, style_adam(&m, &(style_adam_options){.learning_rate = 0.05}, x, &found, &err), err);
    for (int step = 1; step <= STEPS; step++) {
        quadratic(y, 20, g);
        for (int i = 0; i < 20; i++) {
            first[i] = 0.9 * first[i] + 0.1 * g[i];
            second[i] = 0.999 * second[i] + 0.001 * g[i] * g[i];
            y[i] -= 0.05 * first[i] / (1 - pow(0.9, step)) / (sqrt(second[i] / (1 - pow(0.999, step))) + 1e-8);
        }
    }
    for (int i = 0; i < 20; i++) CHECK_NEAR(t, x[i], y[i], 1e-5);
    CHECK(t, found.iterations == STEPS && found.evaluations == STEPS + 1 && !found.exhausted);
    CHECK_NEAR(t, found.loss, quadratic(y, 20, g), 1e-2);
}

TEST_MAIN(TEST(reaches_what_scipy_does), TEST(converges), TEST(keeps_to_tolerances), TEST(satisfies_wolfe),
          TEST(adam_follows_its_formula))
