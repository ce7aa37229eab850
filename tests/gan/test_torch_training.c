/* Training steps of a tiny CycleGAN against PyTorch in double precision (tools/oracle/training_fixtures.py): five free
 * steps with a large Adam epsilon, and single steps from stored weights, moments and pools, whose losses and gradients
 * are compared. */
#include "gan/cyclegan.h"
#include "models/discriminator.h"
#include "models/generator.h"
#include "test.h"

/* Relative L2 of a tensor, relative error of a loss. PyTorch's own float32 is off by about 1e-6 in a loss and 1e-5 in a
 * gradient or a weight. */
static const double loss_bound = 2e-5, tensor_bound = 1e-4;

static const char *const networks[4] = {"G_A.", "G_B.", "D_A.", "D_B."};

typedef struct training {
    safetensors_file *file;
    nn_backend *backend;
    gan *model;
    error err;
} training;

static double number(const training *w, const char *key)
{
    const char *value = safetensors_metadata_get(w->file, key);
    return value ? atof(value) : 0;
}

static status open_model(training *w, const char *path)
{
    TRY(safetensors_open(path, &w->file, &w->err));
    TRY(nn_cpu_create(2, &w->backend, &w->err));
    gan_options o = {.generator = MODEL_RESNET_6, .discriminator = MODEL_PATCHGAN, .ngf = 2, .ndf = 2,
                     .lambda_cycle_a = number(w, "lambda_cycle"), .lambda_cycle_b = number(w, "lambda_cycle"),
                     .lambda_identity = number(w, "lambda_identity"), .beta1 = 0.5, .beta2 = 0.999,
                     .adam_eps = number(w, "adam_eps"), .pool_size = 2};
    if (strcmp(safetensors_metadata_get(w->file, "upsample"), "transpose") == 0) o.upsample = MODEL_TRANSPOSE;
    if (strcmp(safetensors_metadata_get(w->file, "gan"), "vanilla") == 0) o.mode = GAN_VANILLA;
    o.augment = number(w, "augment") != 0;
    return gan_create(&o, (gan_size){1, (size_t)number(w, "side"), 0}, w->backend, 1, NULL, &w->model, &w->err);
}

static void close_model(training *w)
{
    gan_destroy(w->model);
    nn_backend_destroy(w->backend);
    safetensors_close(w->file);
}

static nn_parameters *set_of(training *w, size_t network)
{
    return network < 2 ? gan_generators(w->model) : gan_discriminators(w->model);
}

/* Block `slot` of all networks from tensors `prefix` + name. */
static status load(training *w, nn_slot slot, const char *prefix)
{
    for (size_t i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s%s", prefix, networks[i]);
        model_weights weights = {set_of(w, i), slot, networks[i], name};
        TRY(model_weights_load(w->file, &weights, &w->err));
    }
    return STATUS_OK;
}

static status read_tensor(training *w, const char *name, float *out)
{
    const safetensors_entry *entry = safetensors_find(w->file, name);
    if (!entry) return error_set(&w->err, STATUS_FAILED, "the fixture has no %s", name);
    return safetensors_read_f32(w->file, entry, out, &w->err);
}

/* A pool that is not full yet has fewer images in the file. */
static status load_pools(training *w)
{
    const training_state *state = &gan_method(w->model)->state;
    for (size_t i = 0; i < state->tensor_count; i++) {
        float images[2 * 32 * 32 * 3];
        const safetensors_entry *entry = safetensors_find(w->file, state->tensors[i].name);
        if (!entry) continue;
        TRY(safetensors_read_f32(w->file, entry, images, &w->err));
        nn_block_write(state->tensors[i].block, 0, images, entry->count);
    }
    return STATUS_OK;
}

static bool is_cancelled(const training *w, const char *name)
{
    const char *list = safetensors_metadata_get(w->file, "cancelled"), *at = list;
    size_t length = strlen(name);
    while ((at = strstr(at, name))) {
        bool begins = at == list || at[-1] == ' ', ends = at[length] == ' ' || at[length] == '\0';
        if (begins && ends) return true;
        at += length;
    }
    return false;
}

/* Every tensor that takes part, in block `slot`, with the fixture's `prefix` + name. */
static void compare_tensors(test *t, training *w, nn_slot slot, const char *prefix)
{
    size_t compared = 0;
    for (size_t network = 0; network < 4; network += 2) {
        const nn_parameters *set = set_of(w, network);
        for (size_t i = 0; i < set->count; i++) {
            const nn_tensor *tensor = &set->tensors[i];
            if (is_cancelled(w, tensor->name)) continue;
            size_t count = nn_count(tensor->shape);
            char name[160];
            snprintf(name, sizeof name, "%s%s", prefix, tensor->name);
            float *actual = malloc(2 * count * sizeof *actual), *expected = actual + count;
            nn_parameters_read(set, slot, i, actual);
            REQUIRE_OK(t, read_tensor(w, name, expected), w->err);
            double off = test_relative(actual, expected, count);
            if (!(off <= tensor_bound)) test_failed(t, __FILE__, __LINE__, "%s is off by %.2g", name, off);
            free(actual);
            compared++;
        }
    }
    CHECK(t, compared == 52);
}

static void step(test *t, training *w, size_t index, size_t of, uint64_t number_of_step)
{
    size_t floats = 32 * 32 * 3;
    float *a = malloc(2 * of * floats * sizeof *a), *b = a + of * floats, decision_a[8], decision_b[8];
    REQUIRE_OK(t, read_tensor(w, "a", a), w->err);
    REQUIRE_OK(t, read_tensor(w, "b", b), w->err);
    REQUIRE_OK(t, read_tensor(w, "decision_a", decision_a), w->err);
    REQUIRE_OK(t, read_tensor(w, "decision_b", decision_b), w->err);
    gan_step_input input = {.number = number_of_step, .learning_rate = number(w, "learning_rate"),
                            .images = {a + index * floats, b + index * floats},
                            .decisions = {decision_b + index, decision_a + index}};
    float losses[GAN_LOSSES];
    REQUIRE_OK(t, gan_step(w->model, &input, losses, &w->err), w->err);
    for (int i = 0; i < GAN_LOSS_TV_A; i++) {
        float expected[8];
        char name[64];
        snprintf(name, sizeof name, "loss.%s", gan_loss_names[i]);
        REQUIRE_OK(t, read_tensor(w, name, expected), w->err);
        double off = fabs((double)losses[i] - expected[index]) / fabs((double)expected[index]);
        if (!(off <= loss_bound))
            test_failed(t, __FILE__, __LINE__, "step %zu: %s is %.8g, expected %.8g", index, name, (double)losses[i],
                        (double)expected[index]);
    }
    free(a);
}

/* The weights move by less than a percent in five steps, so the movement itself is compared, more loosely: 5e-5 is what
 * PyTorch's float32 is off. */
static void compare_movement(test *t, training *w)
{
    for (size_t network = 0; network < 4; network += 2) {
        const nn_parameters *set = set_of(w, network);
        for (size_t i = 0; i < set->count; i++) {
            const nn_tensor *tensor = &set->tensors[i];
            size_t count = nn_count(tensor->shape);
            char before_name[160], after_name[160];
            if (is_cancelled(w, tensor->name)) continue;
            snprintf(before_name, sizeof before_name, "before.%s", tensor->name);
            snprintf(after_name, sizeof after_name, "after.%s", tensor->name);
            float *actual = malloc(3 * count * sizeof *actual), *before = actual + count, *after = before + count;
            nn_parameters_read(set, NN_DATA, i, actual);
            REQUIRE_OK(t, read_tensor(w, before_name, before), w->err);
            REQUIRE_OK(t, read_tensor(w, after_name, after), w->err);
            for (size_t k = 0; k < count; k++) {
                actual[k] -= before[k];
                after[k] -= before[k];
            }
            double off = test_relative(actual, after, count);
            if (!(off <= 1e-3)) test_failed(t, __FILE__, __LINE__, "the movement of %s is off by %.2g", tensor->name, off);
            free(actual);
        }
    }
}

static void five_free_steps(test *t)
{
    training w = {0};
    REQUIRE_OK(t, open_model(&w, "tests/fixtures/training_free_run.safetensors"), w.err);
    REQUIRE_OK(t, load(&w, NN_DATA, "before."), w.err);
    for (size_t i = 0; i < 5; i++) step(t, &w, i, 5, i);
    compare_tensors(t, &w, NN_DATA, "after.");
    compare_movement(t, &w);
    close_model(&w);
}

static void one_step(test *t, const char *path, bool moments)
{
    training w = {0};
    REQUIRE_OK(t, open_model(&w, path), w.err);
    REQUIRE_OK(t, load(&w, NN_DATA, ""), w.err);
    if (moments) {
        REQUIRE_OK(t, load(&w, NN_ADAM_M, "adam_m."), w.err);
        REQUIRE_OK(t, load(&w, NN_ADAM_V, "adam_v."), w.err);
    }
    REQUIRE_OK(t, load_pools(&w), w.err);
    step(t, &w, 0, 1, (uint64_t)number(&w, "step"));
    compare_tensors(t, &w, NN_GRADIENT, "gradient.");
    close_model(&w);
}

static void step_from_the_start(test *t) { one_step(t, "tests/fixtures/training_step_0.safetensors", false); }
static void step_with_half_a_pool(test *t) { one_step(t, "tests/fixtures/training_step_1.safetensors", true); }
static void step_with_a_full_pool(test *t) { one_step(t, "tests/fixtures/training_step_2.safetensors", true); }
static void step_with_cross_entropy(test *t) { one_step(t, "tests/fixtures/training_vanilla.safetensors", false); }
static void step_with_resize_conv(test *t) { one_step(t, "tests/fixtures/training_resize_conv.safetensors", false); }
static void step_with_augmentation(test *t) { one_step(t, "tests/fixtures/training_augment.safetensors", false); }

TEST_MAIN(TEST(five_free_steps), TEST(step_from_the_start), TEST(step_with_half_a_pool), TEST(step_with_a_full_pool),
          TEST(step_with_cross_entropy), TEST(step_with_resize_conv), TEST(step_with_augmentation))
