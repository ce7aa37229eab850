/* The training command, where what a backend measures differs from process to process: from one state on, all runs have
 * the same bits. Of interest on a GPU, that is on the emulated one; the CPU measures nothing. */
#include "gan/train.h"

#include "../training/compare.h"
#include "../training/pictures.h"

static const char yaml[] =
    "name: tiny\n"
    "domains:\n  a: {name: snacks, train: %s/a}\n  b: {name: fractals, train: %s/b}\n"
    "data: {load_size: 20, crop_size: 16, workers: 1}\n"
    "model: {generator: resnet_6blocks, ngf: 4, discriminator: n_layers, discriminator_layers: 1, ndf: 4}\n"
    "train: {steps: 2, schedule: constant, pool_size: 2}\n"
    "output: {checkpoint_every: 2, sample_every: 0, log_every: 1}\n";

typedef struct bench {
    workplace place;
    char config[128];
    log_sink log;
    FILE *messages;
} bench;

static bool set_up(bench *b)
{
    char lines[1024];
    *b = (bench){0};
    setenv("EMULATED_CLOCK", "dice", 1); /* of tests/cuda/emulated */
    b->messages = tmpfile();
    if (!b->messages || !workplace_create(&b->place) || !workplace_pictures(&b->place, "a", 2, 20, 20, -1) ||
        !workplace_pictures(&b->place, "b", 2, 20, 20, -1))
        return false;
    b->log = log_create(b->messages, true);
    int length = snprintf(lines, sizeof lines, yaml, b->place.root, b->place.root);
    snprintf(b->config, sizeof b->config, "%s/c.yaml", b->place.root);
    return file_write_all(b->config, lines, (size_t)length, NULL) == STATUS_OK;
}

static void tear_down(test *t, bench *b)
{
    CHECK(t, ftell(b->messages) == 0); /* no warnings */
    fclose(b->messages);
    workplace_remove(&b->place);
}

static void train(test *t, bench *b, const char *out, const char *const *settings, size_t count, bool resume)
{
    char folder[128];
    error err = {0};
    snprintf(folder, sizeof folder, "%s/%s", b->place.root, out);
    training_request request = {.config_path = b->config, .settings = settings, .setting_count = count, .resume = resume,
                                .out = folder, .threads = 1};
    if (training_train(&request, &gan_trainer, &b->log, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s: %s", out, err.message);
}

static void compare_runs(test *t, const bench *b, const char *one, const char *two)
{
    char paths[2][160];
    snprintf(paths[0], sizeof paths[0], "%s/%s/checkpoints/latest.safetensors", b->place.root, one);
    snprintf(paths[1], sizeof paths[1], "%s/%s/checkpoints/latest.safetensors", b->place.root, two);
    compare_tensors(t, paths[0], paths[1]);
}

static void resumed_runs_are_the_same(test *t)
{
    bench b;
    char command[256];
    const char *const longer[] = {"train.steps=4"};
    REQUIRE(t, set_up(&b));
    train(t, &b, "one", NULL, 0, false);
    snprintf(command, sizeof command, "cp -r '%s/one' '%s/two'", b.place.root, b.place.root);
    REQUIRE(t, system(command) == 0);
    train(t, &b, "one", longer, 1, true);
    train(t, &b, "two", longer, 1, true);
    compare_runs(t, &b, "one", "two");
    tear_down(t, &b);
}

static void so_are_those_that_start_from_a_state(test *t)
{
    bench b;
    char setting[160];
    const char *const settings[] = {setting};
    REQUIRE(t, set_up(&b));
    train(t, &b, "first", NULL, 0, false);
    snprintf(setting, sizeof setting, "train.init_from=%s/first/checkpoints/latest.safetensors", b.place.root);
    train(t, &b, "one", settings, 1, false);
    train(t, &b, "two", settings, 1, false);
    compare_runs(t, &b, "one", "two");
    tear_down(t, &b);
}

TEST_MAIN(TEST(resumed_runs_are_the_same), TEST(so_are_those_that_start_from_a_state))
