/* Patterns that become one kernel, against the same as they were built. */
#include "nn/program.h"
#include "program_test.h"

/* Appends a layer of a 3x3 kernel (out, in, 3, 3), and an output. */
typedef nn_value layer(nn_graph *g, nn_value x, nn_value weight);

/* A picture of 2 x h x w x 16 through a layer to 32 channels; returns the program's length. */
static size_t run_layer(test *t, const nn_program_options *options, layer *append, size_t h, size_t w, float *to)
{
    error err = {0};
    nn_backend *backend;
    nn_program *p = NULL;
    nn_arena arena = {0};
    float host[2 * 24 * 24 * 16], weights[32 * 16 * 9];
    nn_parameters *set = nn_parameters_create();
    nn_graph *g = nn_graph_create();
    nn_value x = nn_input(g, "x", nn_shape_of(2, h, w, 16));
    nn_value y = append(g, x, nn_parameter(g, set, "w", nn_shape_of(32, 16, 3, 3)));
    nn_output(g, y);
    size_t length = 0;
    bool ready = nn_cpu_create(2, &backend, &err) == STATUS_OK &&
                 nn_parameters_allocate(set, backend, 0, &err) == STATUS_OK &&
                 nn_program_create(g, backend, options, &p, &err) == STATUS_OK &&
                 nn_arena_bind(&arena, backend, &p, 1, &err) == STATUS_OK;
    if (ready) {
        fill(host, 2 * h * w * 16, 1);
        fill(weights, sizeof weights / sizeof *weights, 2);
        nn_block_write(&set->blocks[NN_DATA], 0, weights, set->total);
        nn_program_write(p, x, host);
        nn_program_run(p);
        nn_program_read(p, y, to);
        length = nn_program_length(p);
    } else {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    }
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(g);
    nn_parameters_destroy(set);
    nn_backend_destroy(backend);
    return length;
}

/* The gradient of a picture that is padded by reflection and convolved. */
static nn_value padded_gradient(nn_graph *g, nn_value x, nn_value weight)
{
    nn_value dx, y = nn_conv2d(g, nn_pad(g, nn_relu(g, x), NN_PAD_REFLECT, 1), weight, 1, 0);
    nn_grad(g, nn_mean_square(g, y, NN_NONE, 0.5f), &x, 1, &dx);
    return dx;
}

static void folded_gradient_keeps_results(test *t)
{
    static const size_t sides[][2] = {{24, 24}, {13, 22}, {2, 24}};
    static float fused[2 * 24 * 24 * 16], plain[2 * 24 * 24 * 16];
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        size_t h = sides[i][0], w = sides[i][1], count = 2 * h * w * 16;
        size_t length = run_layer(t, NULL, padded_gradient, h, w, fused);
        size_t all = run_layer(t, &(nn_program_options){.no_fusion = true}, padded_gradient, h, w, plain);
        CHECK(t, test_relative(fused, plain, count) < 1e-5);
        if (h > 2) CHECK(t, length < all); /* the kernels that mirror want whole tiles */
    }
}

/* A residual block with means in place of convolutions: y, and its gradient, each of `count` numbers. Returns how many
 * kernels it took. */
static size_t residual(test *t, const nn_program_options *options, nn_shape shape, float *y, float *dx)
{
    error err = {0};
    nn_backend *backend = NULL;
    nn_program *p = NULL;
    nn_arena arena = {0};
    nn_graph *g = nn_graph_create();
    nn_value x = nn_input(g, "x", shape), weights = nn_input(g, "weights", shape), d;
    nn_value first = nn_average_pool(g, nn_pad(g, x, NN_PAD_REFLECT, 1), 3, 1);
    nn_value padded = nn_pad(g, nn_relu(g, nn_instance_norm(g, first, 1e-5f)), NN_PAD_REFLECT, 1);
    nn_value sum = nn_add(g, x, nn_instance_norm(g, nn_average_pool(g, padded, 3, 1), 1e-5f));
    nn_grad(g, nn_mean_square(g, sum, weights, 0), &x, 1, &d);
    nn_output(g, sum);
    nn_output(g, d);
    float *host = malloc(nn_count(shape) * sizeof *host);
    size_t length = 0;
    if (nn_cpu_create(2, &backend, &err) == STATUS_OK && nn_program_create(g, backend, options, &p, &err) == STATUS_OK &&
        nn_arena_bind(&arena, backend, &p, 1, &err) == STATUS_OK) {
        fill(host, nn_count(shape), 1);
        nn_program_write(p, x, host);
        fill(host, nn_count(shape), 2);
        nn_program_write(p, weights, host);
        nn_program_run(p);
        nn_program_read(p, sum, y);
        nn_program_read(p, d, dx);
        length = nn_program_length(p);
    } else {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    }
    free(host);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(g);
    nn_backend_destroy(backend);
    return length;
}

/* The second norm adds x, and the first pad's gradient the skip's; beside them the ReLU and its gradient are fused. */
static void additions_are_fused_to_the_bit(test *t)
{
    const nn_shape shapes[] = {nn_shape_of(2, 9, 10, 8), nn_shape_of(1, 33, 7, 5), nn_shape_of(1, 3, 4, 140)};
    enum { MOST = 3 * 4 * 5 * 28 };
    static float y[2][MOST], dx[2][MOST];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t bytes = nn_count(shapes[i]) * sizeof(float);
        REQUIRE(t, bytes <= sizeof *y);
        size_t length = residual(t, NULL, shapes[i], y[0], dx[0]);
        size_t all = residual(t, &(nn_program_options){.no_fusion = true}, shapes[i], y[1], dx[1]);
        CHECK(t, length + 4 == all);
        CHECK(t, memcmp(y[0], y[1], bytes) == 0);
        CHECK(t, memcmp(dx[0], dx[1], bytes) == 0);
    }
}

static nn_value enlarged(nn_graph *g, nn_value x, nn_value weight)
{
    return nn_conv2d(g, nn_pad(g, nn_resize_nearest(g, x, 2), NN_PAD_REFLECT, 1), weight, 1, 0);
}

static nn_value enlarged_gradient(nn_graph *g, nn_value x, nn_value weight)
{
    nn_value dx;
    nn_grad(g, nn_mean_square(g, enlarged(g, nn_relu(g, x), weight), NN_NONE, 0.5f), &x, 1, &dx);
    return dx;
}

static bool can_enlarge(test *t)
{
    error err = {0};
    nn_backend *backend = NULL;
    if (nn_cpu_create(1, &backend, &err) != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    bool can = backend && backend->interface->can_enlarge;
    nn_backend_destroy(backend);
    return can;
}

static void folded_enlargement_keeps_results(test *t)
{
    bool folds = can_enlarge(t);
    static const size_t sides[][2] = {{24, 24}, {17, 23}, {2, 24}};
    static float fused[2 * 48 * 48 * 32], plain[2 * 48 * 48 * 32];
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        size_t h = sides[i][0], w = sides[i][1], count = 2 * 2 * h * 2 * w * 32;
        size_t length = run_layer(t, NULL, enlarged, h, w, fused);
        size_t all = run_layer(t, &(nn_program_options){.no_fusion = true}, enlarged, h, w, plain);
        CHECK(t, test_relative(fused, plain, count) < 1e-5);
        CHECK(t, folds && h > 2 ? length == 1 : length <= all); /* of 2 rows there are too few tiles */
        run_layer(t, NULL, enlarged_gradient, h, w, fused);
        run_layer(t, &(nn_program_options){.no_fusion = true}, enlarged_gradient, h, w, plain);
        CHECK(t, test_relative(fused, plain, 2 * h * w * 16) < 1e-5);
    }
}

TEST_MAIN(TEST(folded_gradient_keeps_results), TEST(additions_are_fused_to_the_bit),
          TEST(folded_enlargement_keeps_results))
