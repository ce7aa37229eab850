/* Every differentiable operation against central differences, through graph, gradient, planner and kernels. The loss is
 * mean (y - r)^2 for a random r, computed here in double from y, so that for an operation that is linear in its input
 * the difference quotient is exact but for rounding. Compared element by element, with sign; NaN fails. */
#include "base/rng.h"
#include "nn/gradient_cases.h"
#include "nn/program.h"
#include "test.h"

static void fill(float *values, size_t count, uint32_t stream, double distance)
{
    for (size_t i = 0; i < count; i++) {
        float u = 2 * rng_uniform(7, RNG_TEST, stream, (uint32_t)i) - 1;
        values[i] = u + (float)(u < 0 ? -distance : distance);
    }
}

typedef struct harness {
    nn_backend *backend;
    nn_program *program;
    nn_arena arena;
    nn_value x[MOST_INPUTS + 1], dx[MOST_INPUTS], y; /* x ends with r */
    size_t y_count;
    float *host[MOST_INPUTS], *y_host, *r;
} harness;

static double loss_of(harness *h, const gradient_case *c)
{
    for (size_t i = 0; i < c->inputs; i++) nn_program_write(h->program, h->x[i], h->host[i]);
    nn_program_write(h->program, h->x[c->inputs], h->r);
    nn_program_run(h->program);
    nn_program_read(h->program, h->y, h->y_host);
    double sum = 0;
    for (size_t i = 0; i < h->y_count; i++) sum += ((double)h->y_host[i] - h->r[i]) * ((double)h->y_host[i] - h->r[i]);
    return sum / (double)h->y_count;
}

static void compare(test *t, harness *h, const gradient_case *c)
{
    loss_of(h, c);
    float *gradient[MOST_INPUTS];
    double scale = 0;
    for (size_t i = 0; i < c->inputs; i++) {
        size_t count = nn_count(c->shape[i]);
        gradient[i] = malloc(count * sizeof(float));
        nn_program_read(h->program, h->dx[i], gradient[i]);
        for (size_t k = 0; k < count; k++) scale = fmax(scale, fabs((double)gradient[i][k]));
    }
    if (!(scale > 0)) test_failed(t, __FILE__, __LINE__, "%s: all gradients are 0", c->name);
    for (size_t i = 0; i < c->inputs; i++) {
        for (size_t k = 0; k < nn_count(c->shape[i]); k++) {
            float before = h->host[i][k];
            h->host[i][k] = (float)(before + c->step);
            double up = h->host[i][k], above = loss_of(h, c);
            h->host[i][k] = (float)(before - c->step);
            double down = h->host[i][k], below = loss_of(h, c);
            h->host[i][k] = before;
            double expected = (above - below) / (up - down), actual = gradient[i][k];
            if (!(fabs(actual - expected) <= 5e-3 * fabs(expected) + 1e-3 * scale))
                test_failed(t, __FILE__, __LINE__, "%s: input %zu element %zu: gradient %g, difference quotient %g", c->name,
                            i, k, actual, expected);
        }
        free(gradient[i]);
    }
}

static void check_case(test *t, const gradient_case *c)
{
    error err = {0};
    harness h = {0};
    nn_graph *g = nn_graph_create();
    for (size_t i = 0; i < c->inputs; i++) {
        size_t count = nn_count(c->shape[i]);
        h.x[i] = nn_input(g, "x", c->shape[i]);
        h.host[i] = malloc(count * sizeof(float));
        fill(h.host[i], count, (uint32_t)i, c->distance);
    }
    h.y = c->build(g, h.x);
    nn_shape shape = nn_shape_at(g, h.y);
    h.y_count = nn_count(shape);
    h.y_host = malloc((h.y_count + 1) * sizeof(float));
    h.r = malloc((h.y_count + 1) * sizeof(float));
    fill(h.r, h.y_count, 9, 0);
    nn_value r = nn_input(g, "r", shape);
    h.x[c->inputs] = r;
    nn_grad(g, nn_mean_square(g, h.y, r, 0), h.x, c->inputs, h.dx);
    nn_output(g, h.y);
    for (size_t i = 0; i < c->inputs; i++) nn_output(g, h.dx[i]);
    status result = nn_cpu_create(2, &h.backend, &err);
    if (result == STATUS_OK) result = nn_program_create(g, h.backend, NULL, &h.program, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&h.arena, h.backend, &h.program, 1, &err);
    if (result == STATUS_OK)
        compare(t, &h, c);
    else
        test_failed(t, __FILE__, __LINE__, "%s: %s", c->name, err.message);
    for (size_t i = 0; i < c->inputs; i++) free(h.host[i]);
    free(h.y_host);
    free(h.r);
    nn_arena_free(&h.arena);
    nn_program_destroy(h.program);
    nn_backend_destroy(h.backend);
    nn_graph_destroy(g);
}

static void every_operation(test *t)
{
    for (size_t i = 0; i < GRADIENT_CASES; i++) check_case(t, &gradient_cases[i]);
}

TEST_MAIN(TEST(every_operation))
