/* A CycleGAN's steps by themselves: a NaN stops them and leaves the weights, planning changes nothing, U-Nets, and
 * the options that the fixtures from PyTorch leave out: a weight for each direction, total variation, clipping, averages,
 * augmentation in a batch. */
#include "gan/cyclegan.h"

#include "base/rng.h"
#include "gan/augment.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "nn/program.h"
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
    const float code = (float)(number + 1); /* for the image pool: stored at this place and passed on */
    gan_step_input input = {.number = number, .learning_rate = 2e-4, .images = {a, b}, .decisions = {&code, &code}};
    return gan_step(model, &input, losses, err);
}

static float *block_of(const nn_parameters *set, nn_slot slot)
{
    float *all = malloc(set->total * sizeof *all);
    nn_block_read(&set->blocks[slot], 0, all, set->total);
    return all;
}

static float *weights_of(gan *model) { return block_of(gan_generators(model), NN_DATA); }

static void a_nan_stops_and_spares_the_weights(test *t)
{
    error err = {0};
    nn_backend *backend;
    gan *model;
    float a[FLOATS], b[FLOATS], losses[GAN_LOSSES];
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    REQUIRE_OK(t, gan_create(&tiny, (gan_size){1, SIDE, 0}, backend, 1, NULL, &model, &err), err);
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

/* A picture that the pool does not have is a NaN, which only the discriminators see. */
static void a_nan_spares_the_discriminators(test *t)
{
    error err = {0};
    nn_backend *backend;
    gan *model;
    float a[FLOATS], b[FLOATS], losses[GAN_LOSSES];
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    REQUIRE_OK(t, gan_create(&tiny, (gan_size){1, SIDE, 0}, backend, 1, NULL, &model, &err), err);
    noise(a, FLOATS, 1);
    noise(b, FLOATS, 2);
    const nn_parameters *set = gan_discriminators(model);
    float *before[3], *after[3];
    static const nn_slot slots[3] = {NN_DATA, NN_ADAM_M, NN_ADAM_V};
    for (int i = 0; i < 3; i++) before[i] = block_of(set, slots[i]);
    CHECK(t, run_step(model, 99, a, b, losses, &err) == STATUS_NOT_FINITE);
    CHECK_CONTAINS(t, err.message, "loss d_a is");
    for (int i = 0; i < 3; i++) {
        after[i] = block_of(set, slots[i]);
        CHECK(t, memcmp(before[i], after[i], set->total * sizeof(float)) == 0);
        free(before[i]);
        free(after[i]);
    }
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
        gan_create(options, (gan_size){1, side, 0}, backend, 1, planning, &model, &err) != STATUS_OK) {
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

/* A model after its first step on noise, and that step's losses. */
typedef struct stepped {
    nn_backend *backend;
    gan *model;
    float a[FLOATS], b[FLOATS], losses[GAN_LOSSES];
    error err;
} stepped;

static status take_step(stepped *s, const gan_options *options)
{
    *s = (stepped){0};
    noise(s->a, FLOATS, 1);
    noise(s->b, FLOATS, 2);
    TRY(nn_cpu_create(2, &s->backend, &s->err));
    TRY(gan_create(options, (gan_size){1, SIDE, 0}, s->backend, 1, NULL, &s->model, &s->err));
    return run_step(s->model, 0, s->a, s->b, s->losses, &s->err);
}

static void stepped_free(stepped *s)
{
    gan_destroy(s->model);
    nn_backend_destroy(s->backend);
}

/* The reference: G_A's identity loss is on b, and weighted like b's cycle. */
static void each_direction_has_its_weight(test *t)
{
    stepped plain, other;
    gan_options o = tiny;
    o.lambda_cycle_b = 2.5;
    o.lambda_identity = 0.25;
    REQUIRE_OK(t, take_step(&plain, &tiny), plain.err);
    REQUIRE_OK(t, take_step(&other, &o), other.err);
    static const double ratio[GAN_LOSSES] = {[GAN_LOSS_GAN_A] = 1, [GAN_LOSS_GAN_B] = 1, [GAN_LOSS_CYCLE_A] = 1,
                                             [GAN_LOSS_CYCLE_B] = 0.25, [GAN_LOSS_IDENTITY_A] = 0.125,
                                             [GAN_LOSS_IDENTITY_B] = 0.5};
    for (int i = 0; i <= GAN_LOSS_IDENTITY_B; i++)
        if (!(fabs((double)other.losses[i] / (double)plain.losses[i] - ratio[i]) < 1e-5))
            test_failed(t, __FILE__, __LINE__, "%s: %g, %g before", gan_loss_names[i], (double)other.losses[i],
                        (double)plain.losses[i]);
    stepped_free(&plain);
    stepped_free(&other);
}

/* Nor do the discriminators learn, whose own losses are good. */
static void generators_that_overflow_spare_all_weights(test *t)
{
    error err = {0};
    nn_backend *backend;
    gan *model;
    gan_options o = tiny;
    float a[FLOATS], b[FLOATS], losses[GAN_LOSSES];
    o.lambda_cycle_a = o.lambda_cycle_b = 3e38;
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    REQUIRE_OK(t, gan_create(&o, (gan_size){1, SIDE, 0}, backend, 1, NULL, &model, &err), err);
    noise(a, FLOATS, 1);
    noise(b, FLOATS, 2);
    nn_parameters *sets[2] = {gan_generators(model), gan_discriminators(model)};
    float *before[2] = {block_of(sets[0], NN_DATA), block_of(sets[1], NN_DATA)};
    CHECK(t, run_step(model, 0, a, b, losses, &err) == STATUS_NOT_FINITE);
    for (int i = 0; i < 2; i++) {
        float *after = block_of(sets[i], NN_DATA);
        CHECK(t, memcmp(before[i], after, sets[i]->total * sizeof *after) == 0);
        free(before[i]);
        free(after);
    }
    gan_destroy(model);
    nn_backend_destroy(backend);
}

/* Mean over all elements of sqrt(dx^2 + dy^2 + 1e-6); the last row and column have no neighbours and count as 0. */
static double variation(const float *x)
{
    double sum = 0;
    for (size_t i = 0; i + 1 < SIDE; i++)
        for (size_t j = 0; j + 1 < SIDE; j++)
            for (size_t c = 0; c < 3; c++) {
                double here = x[(i * SIDE + j) * 3 + c];
                double dx = x[(i * SIDE + j + 1) * 3 + c] - here, dy = x[((i + 1) * SIDE + j) * 3 + c] - here;
                sum += sqrt(dx * dx + dy * dy + 1e-6);
            }
    return sum / FLOATS;
}

/* Which the step has left in the pools. */
static void total_variation_is_the_translations(test *t)
{
    stepped s;
    gan_options o = tiny;
    float translated[FLOATS];
    o.lambda_tv = 3;
    REQUIRE_OK(t, take_step(&s, &o), s.err);
    const training_state *state = &gan_method(s.model)->state;
    for (int i = 0; i < 2; i++) {
        const training_tensor *pool = &state->tensors[1 - i];
        CHECK(t, strcmp(pool->name, i ? "pool_a" : "pool_b") == 0);
        nn_block_read(pool->block, 0, translated, FLOATS);
        CHECK_NEAR(t, s.losses[GAN_LOSS_TV_A + i], 3 * variation(translated), 1e-4 * variation(translated));
    }
    stepped_free(&s);
}

/* Adam's first mean is half of the gradient, whose norm over both generators is clipped. */
static void gradients_are_clipped(test *t)
{
    double norm[2];
    for (int i = 0; i < 2; i++) {
        stepped s;
        gan_options o = tiny;
        o.clip_norm = i ? 0.125 : 0;
        REQUIRE_OK(t, take_step(&s, &o), s.err);
        size_t total = gan_generators(s.model)->total;
        float *mean = block_of(gan_generators(s.model), NN_ADAM_M);
        norm[i] = 0;
        for (size_t k = 0; k < total; k++) norm[i] += (double)mean[k] * (double)mean[k];
        norm[i] = 2 * sqrt(norm[i]);
        free(mean);
        stepped_free(&s);
    }
    CHECK(t, norm[0] > 0.25);
    CHECK_NEAR(t, norm[1], 0.125, 1e-5);
}

/* average += (1 - min(ema, (1 + t) / (10 + t))) * (weights - average) in step t, from 1. */
static void averages_follow(test *t)
{
    error err = {0};
    nn_backend *backend;
    gan *model;
    gan_options o = tiny;
    float a[FLOATS], b[FLOATS], losses[GAN_LOSSES];
    o.ema = 0.2; /* above 2/11, below 3/12 */
    noise(a, FLOATS, 1);
    noise(b, FLOATS, 2);
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &err), err);
    REQUIRE_OK(t, gan_create(&o, (gan_size){1, SIDE, 0}, backend, 1, NULL, &model, &err), err);
    size_t total = gan_generators(model)->total;
    float *expected = weights_of(model); /* the average begins as the weights do */
    static const double rates[2] = {9.0 / 11, 0.8};
    for (uint64_t step = 0; step < 2; step++) {
        REQUIRE_OK(t, run_step(model, step, a, b, losses, &err), err);
        float *weights = weights_of(model), *average = block_of(gan_generators(model), NN_AVERAGE);
        CHECK(t, memcmp(weights, expected, total * sizeof *weights) != 0);
        for (size_t i = 0; i < total; i++)
            expected[i] += (float)(rates[step] * ((double)weights[i] - (double)expected[i]));
        /* The weights move by the learning rate, 2e-4: a wrong rate is off by more than a thousandth of that. */
        for (size_t i = 0; i < total; i++) CHECK_NEAR(t, average[i], expected[i], 2e-8);
        free(weights);
        free(average);
    }
    free(expected);
    gan_destroy(model);
    nn_backend_destroy(backend);
}

enum { AUGMENT_SEED = 3 };

/* What discriminator i gives the picture, or what generator i makes of it, seen by the draws of one number of a step: its
 * loss to 1 or 0. */
static double judged(test *t, const stepped *s, int i, const float *picture, bool translates, uint64_t step, size_t number,
                     bool real)
{
    static const model_generator_options generator = {.kind = MODEL_RESNET_6, .ngf = 4, .in_channels = 3, .out_channels = 3};
    static const model_discriminator_options discriminator = {.kind = MODEL_N_LAYERS, .ndf = 4, .in_channels = 3, .layers = 1};
    error err = {0};
    nn_program *program = NULL;
    nn_arena arena = {0};
    nn_graph *g = nn_graph_create();
    float draws[NN_DRAWS], loss = NAN;
    nn_value x = nn_input(g, "x", nn_shape_of(1, SIDE, SIDE, 3)), d = nn_input(g, "draws", nn_shape_of(1, 1, 1, NN_DRAWS));
    nn_value y = x;
    if (translates) y = model_generator_build(g, gan_generators(s->model), i ? "G_B." : "G_A.", &generator, x, NULL);
    y = nn_augment(g, y, d, 0, gan_augment_hole(SIDE));
    y = model_discriminator_build(g, gan_discriminators(s->model), i ? "D_B." : "D_A.", &discriminator, y, NULL);
    y = nn_mean_square(g, y, NN_NONE, real ? 1 : 0);
    nn_output(g, y);
    status result = nn_program_create(g, s->backend, NULL, &program, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, s->backend, &program, 1, &err);
    if (result == STATUS_OK) {
        gan_augment_draw(AUGMENT_SEED, step, number, 1, SIDE, draws);
        nn_program_write(program, x, picture);
        nn_program_write(program, d, draws);
        nn_program_run(program);
        nn_program_read(program, y, &loss);
    } else {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    }
    nn_program_destroy(program);
    nn_arena_free(&arena);
    nn_graph_destroy(g);
    return (double)loss;
}

/* In a batch each picture has draws of its own, and others in each step: those of fake b and fake a that teach the
 * generators, then of b and fake b for D_A, of a and fake a for D_B. */
static void each_picture_is_augmented_otherwise(test *t)
{
    enum { BATCH = 2, STEP = 5 };
    static const float passed_on[BATCH] = {1, 2}; /* stored in the pools, and judged */
    stepped s = {0};
    gan_options o = tiny;
    o.augment = true;
    float a[BATCH * FLOATS], b[BATCH * FLOATS];
    double expected[4] = {0};
    noise(a, BATCH * FLOATS, 1);
    noise(b, BATCH * FLOATS, 2);
    REQUIRE_OK(t, nn_cpu_create(2, &s.backend, &s.err), s.err);
    REQUIRE_OK(t, gan_create(&o, (gan_size){BATCH, SIDE, 0}, s.backend, AUGMENT_SEED, NULL, &s.model, &s.err), s.err);
    for (int i = 0; i < 2; i++)
        for (size_t k = 0; k < BATCH; k++) {
            const float *from = (i ? b : a) + k * FLOATS, *real = (i ? a : b) + k * FLOATS;
            size_t first = (2 + 2 * (size_t)i) * BATCH + k;
            expected[i] += judged(t, &s, i, from, true, STEP, (size_t)i * BATCH + k, true) / BATCH;
            expected[2 + i] += judged(t, &s, i, real, false, STEP, first, true) / (2 * BATCH);
            expected[2 + i] += judged(t, &s, i, from, true, STEP, first + BATCH, false) / (2 * BATCH);
        }
    gan_step_input input = {.number = STEP, .learning_rate = 2e-4, .images = {a, b}, .decisions = {passed_on, passed_on}};
    REQUIRE_OK(t, gan_step(s.model, &input, s.losses, &s.err), s.err);
    static const int losses[4] = {GAN_LOSS_GAN_A, GAN_LOSS_GAN_B, GAN_LOSS_D_A, GAN_LOSS_D_B};
    for (int i = 0; i < 4; i++) CHECK_NEAR(t, s.losses[losses[i]], expected[i], 1e-5);
    stepped_free(&s);
}

TEST_MAIN(TEST(a_nan_stops_and_spares_the_weights), TEST(generators_that_overflow_spare_all_weights),
           TEST(a_nan_spares_the_discriminators),
          TEST(memory_reuse_is_bit_identical), TEST(unets_train), TEST(each_direction_has_its_weight),
          TEST(total_variation_is_the_translations), TEST(gradients_are_clipped), TEST(averages_follow),
          TEST(each_picture_is_augmented_otherwise))
