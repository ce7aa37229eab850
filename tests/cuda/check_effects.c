/* Operations that change memory which outlives the program, on the CUDA backend beside the CPU's: norm, flag, Adam,
 * moving average, image pool; and what a device does with memory it does not have. */
#include "cuda/check.h"

enum { COUNT = 1031, IMAGES = 3, PLACES = 4, SIDE = 5, CHANNELS = 3, PICTURE = SIDE * SIDE * CHANNELS, STEPS = 3 };
enum { P, G, M, V, AVERAGE, POOL, JUDGED, BLOCKS };
static const size_t block_counts[BLOCKS] = {COUNT, COUNT, COUNT, COUNT, COUNT, PLACES * PICTURE, IMAGES * PICTURE};

typedef struct effects {
    nn_graph *graph;
    nn_block block[BLOCKS];
    nn_value rates, rate, x, decisions, norm, flag;
} effects;

static status build(effects *e, nn_backend *backend, error *err)
{
    nn_value v[BLOCKS];
    nn_graph *g = e->graph = nn_graph_create();
    for (int i = 0; i < BLOCKS; i++) {
        nn_shape shape = i < POOL ? nn_shape_vector(COUNT)
                                  : nn_shape_of(i == POOL ? PLACES : IMAGES, SIDE, SIDE, CHANNELS);
        TRY(nn_block_allocate(&e->block[i], backend, block_counts[i], err));
        v[i] = nn_memory(g, "block", shape, &e->block[i], 0);
    }
    e->rates = nn_input(g, "rates", nn_shape_vector(2));
    e->rate = nn_input(g, "rate", nn_shape_scalar());
    e->x = nn_input(g, "x", nn_shape_of(IMAGES, SIDE, SIDE, CHANNELS));
    e->decisions = nn_input(g, "decisions", nn_shape_vector(IMAGES));
    e->norm = nn_squared_norm(g, v[G]);
    e->flag = nn_all_finite(g, (nn_value[]){e->norm, nn_mean_abs(g, e->x, NN_NONE, 0)}, 2);
    nn_adam(g, v[P], v[G], v[M], v[V], e->rates, e->flag, e->norm, &(nn_adam_options){0.5, 0.999, 1e-3f, 3});
    nn_ema(g, v[AVERAGE], v[P], e->rate, e->flag);
    nn_store(g, nn_pool_swap(g, v[POOL], e->x, e->decisions), &e->block[JUDGED], 0);
    nn_output(g, e->norm);
    nn_output(g, e->flag);
    return nn_graph_status(g, err);
}

/* A NaN in a step's x is in nobody's way but Adam's and the average's. */
static void run_steps(effects *e, nn_program *p, bool with_nan, float *scalars)
{
    static const float decisions[STEPS][IMAGES] = {{1, 2, 3}, {0, -2, 4}, {-1, 0, -4}};
    float x[IMAGES * PICTURE];
    for (uint32_t step = 0; step < STEPS; step++) {
        check_noise(x, IMAGES * PICTURE, 100 + step, 0);
        if (with_nan && step == 1) x[77] = NAN;
        nn_program_write(p, e->rates, (float[]){2e-3f / (float)(step + 1), 1.5f});
        nn_program_write(p, e->rate, (float[]){0.25f});
        nn_program_write(p, e->x, x);
        nn_program_write(p, e->decisions, decisions[step]);
        nn_program_run(p);
        nn_program_read(p, e->norm, scalars + 2 * step);
        nn_program_read(p, e->flag, scalars + 2 * step + 1);
    }
}

/* All blocks after the steps, one after the other, and the scalars behind them. */
static float *effects_on(nn_backend *backend, bool with_nan, size_t *count, error *err)
{
    effects e = {0};
    nn_program *p = NULL;
    nn_arena arena = {0};
    float *all = NULL;
    *count = 2 * STEPS;
    for (int i = 0; i < BLOCKS; i++) *count += block_counts[i];
    status result = build(&e, backend, err);
    if (result == STATUS_OK) result = nn_program_create(e.graph, backend, NULL, &p, err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &p, 1, err);
    if (result == STATUS_OK && (all = malloc(*count * sizeof *all))) {
        for (uint32_t i = 0; i < BLOCKS; i++) {
            check_noise(all, block_counts[i], 50 + i, 0);
            for (size_t k = 0; i == V && k < COUNT; k++) all[k] *= all[k];
            nn_block_write(&e.block[i], 0, all, block_counts[i]);
        }
        run_steps(&e, p, with_nan, all + *count - 2 * STEPS);
        for (size_t i = 0, at = 0; i < BLOCKS; at += block_counts[i++])
            nn_block_read(&e.block[i], 0, all + at, block_counts[i]);
    }
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(e.graph);
    for (int i = 0; i < BLOCKS; i++) nn_block_free(&e.block[i]);
    return all;
}

static void compare_effects(test *t, bool with_nan)
{
    error err = {0};
    nn_backend *cpu, *device;
    size_t count;
    REQUIRE_OK(t, check_create_cpu(&cpu, &err), err);
    REQUIRE_OK(t, check_create_device(&check_precisions[0], &device, &err), err);
    float *expected = effects_on(cpu, with_nan, &count, &err), *actual = effects_on(device, with_nan, &count, &err);
    REQUIRE_OK(t, nn_backend_check(device, &err), err);
    REQUIRE(t, expected && actual);
    for (size_t i = 0; i < count; i++) {
        if (isnan(expected[i]) && isnan(actual[i])) continue; /* the pool's pictures keep it */
        CHECK_NEAR(t, actual[i], expected[i], 1e-6 + 1e-6 * fabs((double)expected[i]));
    }
    for (int step = 0; step < STEPS; step++)
        CHECK(t, actual[count - 2 * STEPS + 2 * step + 1] == (with_nan && step == 1 ? 0 : 1));
    free(expected);
    free(actual);
    nn_backend_destroy(device);
    nn_backend_destroy(cpu);
}

static void effects_match_the_cpu(test *t) { compare_effects(t, false); }
static void a_nan_is_flagged(test *t) { compare_effects(t, true); }

static void too_much_memory_is_refused(test *t)
{
    error err = {0};
    nn_backend *device;
    REQUIRE_OK(t, check_create_device(&check_precisions[0], &device, &err), err);
    nn_block block = {0};
    CHECK(t, nn_block_allocate(&block, device, SIZE_MAX / 8, &err) == STATUS_NO_MEMORY);
    CHECK_CONTAINS(t, err.message, "memory");
    nn_block_free(&block);
    REQUIRE_OK(t, nn_backend_check(device, &err), err); /* the device is as good as before */
    nn_backend_destroy(device);
}

TEST_MAIN(TEST(effects_match_the_cpu), TEST(a_nan_is_flagged), TEST(too_much_memory_is_refused))
