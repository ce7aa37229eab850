/* Whole training steps on the CUDA backend: a few free ones beside the CPU's, recorded beside launched, and the losses of
 * a longer training beside the CPU's. */
#include "cuda/check.h"

#include "base/pixels.h"
#include "gan/cyclegan.h"
#include "models/discriminator.h"
#include "models/generator.h"

/* A large epsilon of Adam: with 1e-8 rounding becomes steps of the full learning rate. */
static const gan_options small = {.generator = MODEL_RESNET_6, .discriminator = MODEL_N_LAYERS, .ngf = 4, .ndf = 4,
                                  .discriminator_layers = 1, .lambda_cycle_a = 10, .lambda_cycle_b = 10,
                                  .lambda_identity = 0.5, .beta1 = 0.5, .beta2 = 0.999, .adam_eps = 1e-3,
                                  .ema = 0.99, .pool_size = 2};

/* The same, but for what discriminators see. */
static gan_options augmenting(void)
{
    gan_options o = small;
    o.augment = true;
    return o;
}

enum { BATCH = 2, SIDE = 16, NUMBERS = GAN_LOSS_TV_A, SETS = 2 };

typedef struct training {
    const gan_options *options;
    size_t side, steps;
    bool stripes, apart; /* apart: no two batches are joined to one */
} training;

/* A training: its losses step by step; the last step's gradients and the weights afterwards. */
typedef struct history {
    double *losses;                         /* (steps, NUMBERS) */
    float *weights[SETS], *gradients[SETS]; /* generators, discriminators */
    size_t count[SETS];
    void *choices; /* of algorithms */
    size_t choice_bytes;
} history;

static void free_history(history *h)
{
    free(h->losses);
    free(h->choices);
    for (int i = 0; i < SETS; i++) {
        free(h->weights[i]);
        free(h->gradients[i]);
    }
}

/* Noise, or something to learn: stripes across for a, along for b, of a random width and colour, with some noise (a
 * picture that is constant along an axis makes instance norms of nearly nothing). */
static void paint(float *pictures, size_t side, int domain, uint32_t step, bool stripes)
{
    float draw[BATCH * 5];
    check_noise(draw, BATCH * 5, 1000 + 2 * step + (uint32_t)domain, 0);
    check_noise(pictures, BATCH * side * side * 3, 100000 + 2 * step + (uint32_t)domain, 0);
    for (size_t e = 0; stripes && e < BATCH * side * side * 3; e++) {
        const float *d = draw + e / (side * side * 3) * 5;
        double along = (double)(domain ? e / 3 % side : e / 3 / side % side) / (double)side;
        double stripe = 0.6 * sin(6.283 * (3 + (double)d[3]) * along + 3 * (double)d[4]);
        pictures[e] = (float)(stripe + 0.2 * (double)d[e % 3] + 0.1 * (double)pictures[e]);
    }
}

static float *block_of(const nn_parameters *set, nn_slot slot)
{
    float *all = calloc(set->total, sizeof *all);
    nn_block_read(&set->blocks[slot], 0, all, set->total);
    return all;
}

static status begin_step(const training_method *method, const training *what, size_t number, error *err)
{
    size_t floats = BATCH * what->side * what->side * 3;
    float *pictures = malloc(floats * sizeof *pictures);
    uint8_t *pixels = malloc(2 * floats);
    training_step step = {number, 2e-4, {pixels, pixels + floats}};
    for (int domain = 0; domain < 2; domain++) {
        paint(pictures, what->side, domain, (uint32_t)number, what->stripes);
        pixels_from_floats(pictures, floats, pixels + (size_t)domain * floats);
    }
    status result = method->begin(method->context, &step, err);
    free(pictures);
    free(pixels); /* they are its own now */
    return result;
}

/* open_steps: how many at once. */
static status train(gan *model, const training *what, size_t open_steps, history *out, error *err)
{
    const training_method *method = gan_method(model);
    float losses[GAN_LOSSES];
    status result = STATUS_OK;
    out->losses = calloc(what->steps * NUMBERS, sizeof *out->losses);
    for (size_t begun = 0, ended = 0; ended < what->steps && result == STATUS_OK;) {
        if (begun < what->steps && begun - ended < open_steps) {
            result = begin_step(method, what, begun++, err);
            continue;
        }
        result = method->end(method->context, losses, err);
        for (int i = 0; i < NUMBERS; i++) out->losses[ended * NUMBERS + (size_t)i] = (double)losses[i];
        ended++;
    }
    const nn_parameters *sets[SETS] = {gan_generators(model), gan_discriminators(model)};
    for (int i = 0; i < SETS; i++) {
        out->count[i] = sets[i]->total;
        out->weights[i] = block_of(sets[i], NN_DATA);
        out->gradients[i] = block_of(sets[i], NN_GRADIENT);
    }
    return result;
}

/* precision: NULL for the CPU. choices: of products' algorithms, by an earlier history on the device, or NULL. What failed
 * is told; then out->weights are NULL. */
static void train_on(test *t, const check_precision *precision, bool recorded, const history *choices,
                     const training *what, history *out)
{
    error err = {0};
    nn_backend *backend = NULL;
    gan *model = NULL;
    *out = (history){0};
    status result = precision ? check_create_device(precision, &backend, &err) : check_create_cpu(&backend, &err);
    if (result != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
        return;
    }
    nn_backend_interface launching = *backend->interface;
    launching.record = NULL;
    if (!recorded) backend->interface = &launching;
    if (what->apart) backend->wide = false;
    const nn_program_options planning = {.precision = precision ? precision->precision : NN_FP32};
    if (choices && choices->choices)
        result = launching.take_choices(backend, choices->choices, choices->choice_bytes, &err);
    if (result == STATUS_OK)
        result = gan_create(what->options, (gan_size){BATCH, what->side, 0}, backend, 1, &planning, &model, &err);
    if (result == STATUS_OK && precision && gan_open_steps(model) < 2)
        test_failed(t, __FILE__, __LINE__, "a device's steps do not overlap");
    if (result == STATUS_OK) result = train(model, what, recorded ? gan_open_steps(model) : 1, out, &err);
    if (result == STATUS_OK) result = nn_backend_check(backend, &err);
    if (result == STATUS_OK && launching.give_choices)
        result = launching.give_choices(backend, &out->choices, &out->choice_bytes, &err);
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    gan_destroy(model);
    nn_backend_destroy(backend);
}

static void check_off(test *t, const check_precision *precision, const char *what, double off, double bound)
{
    printf("%s: %s are off by %.2g\n", precision->name, what, off);
    if (!(off <= bound)) test_failed(t, __FILE__, __LINE__, "that is more than %g", bound);
}

static void compare_losses(test *t, const history *actual, const history *expected, size_t steps, double bound)
{
    for (size_t i = 0; i < steps * NUMBERS; i++)
        CHECK_NEAR(t, actual->losses[i], expected->losses[i], bound * (1 + fabs(expected->losses[i])));
}

/* Single operations are compared to the last digits elsewhere. Through the whole of a small fresh generator, with norms
 * over 16 pixels and kinks (ReLU's, L1's), a relative error of the operations comes back from 100 to 300 times as large
 * in the gradients. So those of the generators are compared in fp32 alone (check_networks.c has the other precisions),
 * and losses and discriminators, which are shallow, in all; an input on the other side of a kink, as a part d of them is
 * for an error of d, changes the latter's gradients by sqrt(d). */
static void one_step(test *t)
{
    const gan_options options = augmenting();
    const training what = {&options, SIDE, 1, false, false};
    history cpu, device;
    train_on(t, NULL, true, NULL, &what, &cpu);
    for (int i = check_setting("CHECK_LITTLE", 0) ? CHECK_PRECISIONS - 1 : 0; i < CHECK_PRECISIONS; i++) {
        const check_precision *p = &check_precisions[i];
        train_on(t, p, true, NULL, &what, &device);
        REQUIRE(t, cpu.gradients[1] && device.gradients[1]);
        compare_losses(t, &device, &cpu, 1, 2 * p->bound);
        double generators = test_relative(device.gradients[0], cpu.gradients[0], cpu.count[0]);
        if (i == 0) check_off(t, p, "the generators' gradients", generators, 3e-3);
        double discriminators = test_relative(device.gradients[1], cpu.gradients[1], cpu.count[1]);
        check_off(t, p, "the discriminators' gradients", discriminators, sqrt(p->bound));
        free_history(&device);
    }
    free_history(&cpu);
}

/* Two batches of one network as one, and each by itself: the same sums, of which the last bits may differ where cuBLASLt
 * takes another algorithm for another shape. On the emulated device it does not, and bf16 is as exact as fp32; elsewhere
 * kinks make much of it in bf16, and fp32 alone tells. Half of a batch that is lost puts the gradients off by 0.06. */
static void joined_steps_are_the_separate_ones(test *t)
{
    const gan_options options = augmenting();
    const training together = {&options, SIDE, 1, false, false}, alone = {&options, SIDE, 1, false, true};
    bool emulated = false;
    nn_backend *backend;
    error err = {0};
    REQUIRE_OK(t, check_create_device(&check_precisions[0], &backend, &err), err);
    emulated = check_is_emulated(backend);
    nn_backend_destroy(backend);
    for (int i = 0; i < CHECK_PRECISIONS; i += 2) {
        static const char *const names[SETS] = {"the generators' joined gradients", "the discriminators' joined gradients"};
        history joined, apart;
        train_on(t, &check_precisions[i], true, NULL, &together, &joined);
        train_on(t, &check_precisions[i], true, NULL, &alone, &apart);
        REQUIRE(t, joined.gradients[1] && apart.gradients[1]);
        double bound = i == 0 ? 3e-3 : emulated ? 1e-5 : 0.5;
        for (int set = 0; set < SETS; set++) {
            double off = test_relative(joined.gradients[set], apart.gradients[set], apart.count[set]);
            check_off(t, &check_precisions[i], names[set], off, bound);
        }
        free_history(&joined);
        free_history(&apart);
    }
}

/* Each step moves a weight by 1 % at most, and what the steps before have moved otherwise adds up. */
static void free_steps(test *t)
{
    const training what = {&small, SIDE, check_setting("CHECK_FREE", 2), false, false};
    history cpu, device;
    train_on(t, NULL, true, NULL, &what, &cpu);
    train_on(t, &check_precisions[0], true, NULL, &what, &device);
    REQUIRE(t, cpu.weights[1] && device.weights[1]);
    compare_losses(t, &device, &cpu, what.steps, 1e-2);
    static const char *const names[SETS] = {"the generators' weights", "the discriminators' weights"};
    for (int i = 0; i < SETS; i++) {
        double off = test_relative(device.weights[i], cpu.weights[i], cpu.count[i]);
        check_off(t, &check_precisions[0], names[i], off, 1e-2);
    }
    free_history(&cpu);
    free_history(&device);
}

/* Programs are recorded on their second run and replayed from then on, each step begun before the one before it has ended.
 * Measuring may choose other algorithms the second time, so those of the first are taken. */
static void recorded_steps_have_the_same_bits(test *t)
{
    const training what = {&small, SIDE, check_setting("CHECK_FREE", 2) + 1, false, false};
    for (int i = 0; i < CHECK_PRECISIONS; i += 2) {
        history launched, recorded;
        train_on(t, &check_precisions[i], false, NULL, &what, &launched);
        train_on(t, &check_precisions[i], true, &launched, &what, &recorded);
        REQUIRE(t, launched.weights[0] && recorded.weights[0]);
        CHECK(t, memcmp(launched.losses, recorded.losses, what.steps * NUMBERS * sizeof(double)) == 0);
        for (int set = 0; set < SETS; set++)
            CHECK(t, memcmp(launched.weights[set], recorded.weights[set], launched.count[set] * sizeof(float)) == 0);
        free_history(&launched);
        free_history(&recorded);
    }
}

static void record_nothing(void *context) { (void)context; }

/* Recorded or not, whatever the device refuses. */
static void steps_that_cannot_be_recorded_have_the_same_bits(test *t)
{
    static const char *const refused[] = {"cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate"};
    const training what = {&small, SIDE, 3, false, false};
    nn_backend *backend;
    error err = {0};
    REQUIRE_OK(t, check_create_device(&check_precisions[0], &backend, &err), err);
    bool emulated = check_is_emulated(backend), refuses = true;
    for (size_t i = 0; emulated && i < sizeof refused / sizeof *refused; i++) {
        setenv("EMULATED_REFUSES", refused[i], 1);
        refuses = refuses && !backend->interface->record(backend, record_nothing, NULL);
    }
    CHECK(t, refuses && nn_backend_check(backend, &err) == STATUS_OK);
    nn_backend_destroy(backend);
    if (!emulated) SKIP(t, "a real device refuses nothing");
    history launched, refusing;
    train_on(t, &check_precisions[0], false, NULL, &what, &launched);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        setenv("EMULATED_REFUSES", refused[i], 1);
        train_on(t, &check_precisions[0], true, &launched, &what, &refusing);
        REQUIRE(t, launched.weights[0] && refusing.weights[0]);
        CHECK(t, memcmp(launched.losses, refusing.losses, what.steps * NUMBERS * sizeof(double)) == 0);
        for (int set = 0; set < SETS; set++)
            CHECK(t, memcmp(launched.weights[set], refusing.weights[set], launched.count[set] * sizeof(float)) == 0);
        free_history(&refusing);
    }
    unsetenv("EMULATED_REFUSES");
    free_history(&launched);
}

/* The mean of all cycle losses and identities over a window of steps: what a curve shows. */
static double window_mean(const history *h, size_t first, size_t count)
{
    double sum = 0;
    for (size_t s = first; s < first + count; s++)
        for (int i = GAN_LOSS_CYCLE_A; i <= GAN_LOSS_IDENTITY_B; i++) sum += h->losses[s * NUMBERS + (size_t)i];
    return sum / (double)count;
}

static void write_curves(const history *cpu, const history *device, size_t steps)
{
    const char *path = getenv("CHECK_CURVES");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    fprintf(file, "step,of");
    for (int i = 0; i < NUMBERS; i++) fprintf(file, ",%s", gan_loss_names[i]);
    for (size_t s = 0; s < 2 * steps; s++) {
        const history *h = s % 2 ? device : cpu;
        fprintf(file, "\n%zu,%s", s / 2, s % 2 ? "cuda" : "cpu");
        for (int i = 0; i < NUMBERS; i++) fprintf(file, ",%.6g", h->losses[s / 2 * NUMBERS + (size_t)i]);
    }
    fprintf(file, "\n");
    fclose(file);
}

/* At Adam's usual epsilon two trainings part in their digits and stay together in what they learn: the mean of a tenth
 * of the steps is within a tenth. */
static void the_curve_is_the_cpus(test *t)
{
    gan_options usual = small;
    usual.adam_eps = 1e-8;
    usual.ngf = usual.ndf = (int64_t)check_setting("CHECK_WIDTH", 4);
    const training what = {&usual, check_setting("CHECK_SIDE", SIDE), check_setting("CHECK_STEPS", 3), true, false};
    size_t window = what.steps / 10 > 0 ? what.steps / 10 : 1;
    history cpu, device;
    train_on(t, NULL, true, NULL, &what, &cpu);
    train_on(t, &check_precisions[0], true, NULL, &what, &device);
    REQUIRE(t, cpu.weights[0] && device.weights[0]);
    write_curves(&cpu, &device, what.steps);
    for (size_t first = 0; first + window <= what.steps; first += window) {
        double expected = window_mean(&cpu, first, window), actual = window_mean(&device, first, window);
        CHECK_NEAR(t, actual, expected, 0.1 * expected);
    }
    if (what.steps >= 100) CHECK(t, window_mean(&cpu, what.steps - window, window) < 0.7 * window_mean(&cpu, 0, window));
    free_history(&cpu);
    free_history(&device);
}

TEST_MAIN(TEST(one_step), TEST(joined_steps_are_the_separate_ones), TEST(free_steps),
          TEST(recorded_steps_have_the_same_bits), TEST(steps_that_cannot_be_recorded_have_the_same_bits),
          TEST(the_curve_is_the_cpus))
