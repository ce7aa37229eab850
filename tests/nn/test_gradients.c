/* Every differentiable operation against central differences, through graph, gradient, planner and kernels. The loss is
 * mean (y - r)^2 for a random r, computed here in double from y, so that for an operation that is linear in its input
 * the difference quotient is exact but for rounding. Compared element by element, with sign; NaN fails. */
#include "base/rng.h"
#include "nn/program.h"
#include "test.h"

enum { MOST_INPUTS = 3 };

typedef struct gradient_case {
    const char *name;
    size_t inputs;
    nn_shape shape[MOST_INPUTS];
    nn_value (*build)(nn_graph *g, const nn_value *x);
    double step;     /* of the difference; large where the operation is linear */
    double distance; /* inputs keep at least this from 0 (kinks) */
} gradient_case;

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

static nn_value conv(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 1, 1); }
static nn_value conv_strided(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 2, 1); }
static nn_value conv_wide(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 1, 0); }
static nn_value conv_bias(nn_graph *g, const nn_value *x) { return nn_bias(g, nn_conv2d(g, x[0], x[1], 1, 1), x[2]); }
static nn_value transposed(nn_graph *g, const nn_value *x) { return nn_conv2d_transpose(g, x[0], x[1], 2, 1, 1); }
static nn_value transposed4(nn_graph *g, const nn_value *x) { return nn_conv2d_transpose(g, x[0], x[1], 2, 1, 0); }
static nn_value transposed_bias(nn_graph *g, const nn_value *x)
{
    return nn_bias(g, nn_conv2d_transpose(g, x[0], x[1], 2, 1, 0), x[2]);
}
static nn_value bias(nn_graph *g, const nn_value *x) { return nn_bias(g, x[0], x[1]); }
static nn_value norm(nn_graph *g, const nn_value *x) { return nn_instance_norm(g, x[0], 1e-5f); }
static nn_value norm_relu(nn_graph *g, const nn_value *x) { return nn_relu(g, nn_instance_norm(g, x[0], 1e-5f)); }
static nn_value norm_leaky(nn_graph *g, const nn_value *x)
{
    return nn_leaky_relu(g, nn_instance_norm(g, x[0], 1e-5f), 0.2f);
}
static nn_value relu(nn_graph *g, const nn_value *x) { return nn_relu(g, x[0]); }
static nn_value leaky(nn_graph *g, const nn_value *x) { return nn_leaky_relu(g, x[0], 0.2f); }
static nn_value tanh_(nn_graph *g, const nn_value *x) { return nn_tanh(g, x[0]); }
static nn_value sigmoid(nn_graph *g, const nn_value *x) { return nn_sigmoid(g, x[0]); }
static nn_value add(nn_graph *g, const nn_value *x) { return nn_add(g, x[0], x[1]); }
static nn_value add_same(nn_graph *g, const nn_value *x) { return nn_add(g, x[0], x[0]); }
static nn_value multiply(nn_graph *g, const nn_value *x) { return nn_multiply(g, x[0], x[1]); }
static nn_value scale(nn_graph *g, const nn_value *x) { return nn_scale(g, x[0], -2.5f); }
static nn_value pad_zero(nn_graph *g, const nn_value *x) { return nn_pad_sides(g, x[0], NN_PAD_ZERO, 1, 2, 0, 3); }
static nn_value pad_reflect(nn_graph *g, const nn_value *x) { return nn_pad(g, x[0], NN_PAD_REFLECT, 3); }
static nn_value pad_reflect_far(nn_graph *g, const nn_value *x) { return nn_pad_sides(g, x[0], NN_PAD_REFLECT, 7, 0, 9, 11); }
static nn_value pad_edge(nn_graph *g, const nn_value *x) { return nn_pad(g, x[0], NN_PAD_EDGE, 2); }
static nn_value concat_c(nn_graph *g, const nn_value *x) { return nn_concat(g, x, 2, NN_C); }
static nn_value concat_n(nn_graph *g, const nn_value *x) { return nn_concat(g, x, 2, NN_N); }
static nn_value slice_c(nn_graph *g, const nn_value *x) { return nn_slice(g, x[0], NN_C, 1, 2); }
static nn_value slice_n(nn_graph *g, const nn_value *x) { return nn_slice(g, x[0], NN_N, 1, 1); }
static nn_value nearest(nn_graph *g, const nn_value *x) { return nn_resize_nearest(g, x[0], 2); }
static nn_value bilinear_up(nn_graph *g, const nn_value *x) { return nn_resize_bilinear(g, x[0], 7, 9); }
static nn_value bilinear_down(nn_graph *g, const nn_value *x) { return nn_resize_bilinear(g, x[0], 2, 3); }
static nn_value max_pool(nn_graph *g, const nn_value *x) { return nn_max_pool(g, x[0], 2, 2, true); }
static nn_value average_pool(nn_graph *g, const nn_value *x) { return nn_average_pool(g, x[0], 2, 2); }
static nn_value mean_abs(nn_graph *g, const nn_value *x) { return nn_mean_abs(g, x[0], nn_scale(g, x[1], -1), 0); }
static nn_value mean_abs_target(nn_graph *g, const nn_value *x) { return nn_mean_abs(g, x[0], NN_NONE, 0.1f); }
static nn_value mean_square(nn_graph *g, const nn_value *x) { return nn_mean_square(g, x[0], x[1], 0); }
static nn_value mean_square_target(nn_graph *g, const nn_value *x) { return nn_mean_square(g, x[0], NN_NONE, 1); }
static nn_value bce_one(nn_graph *g, const nn_value *x) { return nn_bce_logits(g, x[0], 1); }
static nn_value bce_zero(nn_graph *g, const nn_value *x) { return nn_bce_logits(g, x[0], 0); }
static nn_value gram(nn_graph *g, const nn_value *x) { return nn_gram(g, x[0], 0.05f); }
static nn_value variation(nn_graph *g, const nn_value *x) { return nn_total_variation(g, x[0], 0.05f, 1.25f, 1e-3f); }
static nn_value variation_keras(nn_graph *g, const nn_value *x) { return nn_total_variation(g, x[0], 0.05f, 2.5f, 0); }
static nn_value shared_twice(nn_graph *g, const nn_value *x) /* one weight in two places: gradients add up */
{
    return nn_conv2d(g, nn_tanh(g, nn_conv2d(g, x[0], x[1], 1, 1)), x[1], 1, 1);
}

#define S(a, b, c, d) {{a, b, c, d}}
static const gradient_case gradient_cases[] = {
    {"conv2d", 2, {S(2, 4, 5, 3), S(4, 3, 3, 3)}, conv, 0.1, 0},
    {"conv2d of stride 2", 2, {S(1, 7, 6, 8), S(9, 8, 4, 4)}, conv_strided, 0.1, 0},
    {"conv2d 7x7", 2, {S(1, 8, 9, 3), S(2, 3, 7, 7)}, conv_wide, 0.1, 0},
    {"conv2d with bias", 3, {S(1, 4, 3, 2), S(5, 2, 3, 3), S(1, 1, 1, 5)}, conv_bias, 0.1, 0},
    {"transposed 3", 2, {S(1, 3, 4, 5), S(5, 2, 3, 3)}, transposed, 0.1, 0},
    {"transposed 4", 2, {S(2, 3, 2, 4), S(4, 3, 4, 4)}, transposed4, 0.1, 0},
    {"transposed with bias", 3, {S(1, 3, 2, 4), S(4, 3, 4, 4), S(1, 1, 1, 3)}, transposed_bias, 0.1, 0},
    {"bias", 2, {S(2, 3, 4, 5), S(1, 1, 1, 5)}, bias, 0.1, 0},
    {"instance_norm", 1, {S(2, 5, 4, 3)}, norm, 0.01, 0},
    {"instance_norm + relu", 1, {S(1, 5, 4, 3)}, norm_relu, 0.002, 0},
    {"instance_norm + leaky_relu", 1, {S(1, 4, 4, 9)}, norm_leaky, 0.002, 0},
    {"relu", 1, {S(1, 3, 4, 5)}, relu, 0.05, 0.1},
    {"leaky_relu", 1, {S(1, 3, 4, 5)}, leaky, 0.05, 0.1},
    {"tanh", 1, {S(1, 3, 4, 5)}, tanh_, 0.01, 0},
    {"sigmoid", 1, {S(1, 3, 4, 5)}, sigmoid, 0.02, 0},
    {"add", 2, {S(1, 3, 4, 5), S(1, 3, 4, 5)}, add, 0.1, 0},
    {"add to itself", 1, {S(1, 3, 4, 5)}, add_same, 0.1, 0},
    {"multiply", 2, {S(1, 3, 4, 5), S(1, 3, 4, 5)}, multiply, 0.1, 0},
    {"scale", 1, {S(1, 3, 4, 5)}, scale, 0.1, 0},
    {"pad zero", 1, {S(2, 3, 4, 2)}, pad_zero, 0.1, 0},
    {"pad reflect", 1, {S(1, 4, 5, 3)}, pad_reflect, 0.1, 0},
    {"pad reflect beyond the side", 1, {S(1, 3, 4, 2)}, pad_reflect_far, 0.1, 0},
    {"pad edge", 1, {S(1, 3, 4, 5)}, pad_edge, 0.1, 0},
    {"concat c", 2, {S(2, 2, 3, 2), S(2, 2, 3, 5)}, concat_c, 0.1, 0},
    {"concat n", 2, {S(1, 2, 3, 2), S(2, 2, 3, 2)}, concat_n, 0.1, 0},
    {"slice c", 1, {S(2, 2, 3, 5)}, slice_c, 0.1, 0},
    {"slice n", 1, {S(3, 2, 3, 2)}, slice_n, 0.1, 0},
    {"resize_nearest", 1, {S(2, 3, 2, 5)}, nearest, 0.1, 0},
    {"resize_bilinear up", 1, {S(1, 4, 5, 3)}, bilinear_up, 0.1, 0},
    {"resize_bilinear down", 1, {S(1, 5, 7, 3)}, bilinear_down, 0.1, 0},
    {"max_pool", 1, {S(1, 5, 5, 3)}, max_pool, 1e-3, 0},
    {"average_pool", 1, {S(1, 4, 6, 3)}, average_pool, 0.1, 0},
    {"mean_abs", 2, {S(1, 3, 4, 5), S(1, 3, 4, 5)}, mean_abs, 1e-3, 0.1},
    {"mean_abs of a target", 1, {S(1, 3, 4, 5)}, mean_abs_target, 0.01, 0.2},
    {"mean_square", 2, {S(1, 3, 4, 5), S(1, 3, 4, 5)}, mean_square, 0.02, 0},
    {"mean_square of a target", 1, {S(1, 3, 4, 5)}, mean_square_target, 0.02, 0},
    {"bce_logits real", 1, {S(1, 3, 4, 5)}, bce_one, 0.05, 0},
    {"bce_logits fake", 1, {S(1, 3, 4, 5)}, bce_zero, 0.05, 0},
    {"gram", 1, {S(2, 4, 3, 5)}, gram, 0.02, 0},
    {"total_variation", 1, {S(1, 5, 4, 3)}, variation, 0.005, 0},
    {"total_variation 2.5", 1, {S(2, 4, 4, 2)}, variation_keras, 0.01, 0},
    {"one weight twice", 2, {S(1, 4, 4, 3), S(3, 3, 3, 3)}, shared_twice, 0.01, 0},
};

static void every_operation(test *t)
{
    for (size_t i = 0; i < sizeof gradient_cases / sizeof *gradient_cases; i++) check_case(t, &gradient_cases[i]);
}

TEST_MAIN(TEST(every_operation))
