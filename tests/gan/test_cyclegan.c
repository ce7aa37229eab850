/* A CycleGAN's steps by themselves: a NaN stops them and leaves the weights, planning changes nothing, U-Nets. */
#include "gan/cyclegan.h"

#include "base/rng.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "test.h"

enum { SIDE = 16, FLOATS = SIDE * SIDE * 3 };

static const gan_options tiny = {.generator = MODEL_RESNET_6, .discriminator = MODEL_N_LAYERS, .ngf = 4, .ndf = 4,
                                 .discriminator_layers = 1, .lambda_cycle_a = 10, .lambda_cycle_b = 10,
                                 .lambda_identity = 0.5, .beta1 = 0.5, .beta2 = 0.999, .adam_eps = 1e-8,
                                 .pool_size = 3};

static void noise(float *out, size_t count, uint32_t stream)
{
    for (size_t i = 0; i < count; i++) out[i] = 2 * rng_uniform(5, RNG_TEST, stream, (uint32_t)i) - 1;
}

static status run_step(gan *model, uint64_t number, float *a, float *b, float *losses, error *err)
{
    const float images_batch = (float)(number + 1);
    gan_step_input input = {.number = number, .learning_rate = 2e-4, .images = {a, b},
                            .decisions = {&images_batch, &images_batch}};
    return gan_step(model, &input, losses, err);
}

static float *weights_of(gan *model)
{
    nn_parameters *set = gan_generators(model);
    float *all = malloc(set->total * sizeof *all);
    nn_block_read(&set->blocks[NN_DATA], 0, all, set->total);
    return all;
}

static void a_nan_stops_and_spares_the_weights(test *t)
{
    error err = {0};
    nn_backend *backend;
    gan *model;
    float a[FLOATS], b[FLOATS], losses[GAN_LOSSES];
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    REQUIRE_OK(t, gan_create(&tiny, (gan_size){1, SIDE}, backend, 1, NULL, &model, &err), err);
    noise(a, FLOATS, 1);
    noise(b, FLOATS, 2);
    REQUIRE_OK(t, run_step(model, 0, a, b, losses, &err), err);
    float *before = weights_of(model);
    a[5] = NAN;
    CHECK(t, run_step(model, 1, a, b, losses, &err) == STATUS_NOT_FINITE);
    CHECK_CONTAINS(t, err.message, "loss ");
    float *after = weights_of(model);
    CHECK(t, memcmp(before, after, gan_generators(model)->total * sizeof *before) == 0);
    free(before);
    free(after);
    gan_destroy(model);
    nn_backend_destroy(backend);
}

/* Three steps; the generators' weights afterwards. */
static float *train(test *t, const gan_options *options, size_t side, const nn_program_options *planning, int threads,
                    size_t *total)
{
    error err = {0};
    nn_backend *backend;
    gan *model;
    float losses[GAN_LOSSES], *a = malloc(2 * side * side * 3 * sizeof *a), *b = a + side * side * 3;
    if (nn_cpu_create(threads, &backend, &err) != STATUS_OK ||
        gan_create(options, (gan_size){1, side}, backend, 1, planning, &model, &err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
        return NULL;
    }
    for (uint32_t step = 0; step < 3; step++) {
        noise(a, side * side * 3, 2 * step);
        noise(b, side * side * 3, 2 * step + 1);
        if (run_step(model, step, a, b, losses, &err) != STATUS_OK)
            test_failed(t, __FILE__, __LINE__, "%s", err.message);
        for (int i = 0; i < GAN_LOSS_TV_A; i++) CHECK(t, isfinite(losses[i]) && losses[i] >= 0);
    }
    float *weights = weights_of(model);
    *total = gan_generators(model)->total;
    gan_destroy(model);
    nn_backend_destroy(backend);
    free(a);
    return weights;
}

static void memory_reuse_is_bit_identical(test *t)
{
    size_t total;
    float *with = train(t, &tiny, SIDE, NULL, 2, &total);
    float *without = train(t, &tiny, SIDE, &(nn_program_options){.no_reuse = true}, 2, &total);
    REQUIRE(t, with && without);
    CHECK(t, memcmp(with, without, total * sizeof *with) == 0);
    free(with);
    free(without);
}

static void unets_train(test *t)
{
    gan_options o = tiny;
    size_t total;
    o.generator = MODEL_UNET_128;
    o.ngf = 2;
    float *weights = train(t, &o, 128, NULL, 2, &total);
    CHECK(t, weights != NULL);
    free(weights);
}

TEST_MAIN(TEST(a_nan_stops_and_spares_the_weights), TEST(memory_reuse_is_bit_identical), TEST(unets_train))
