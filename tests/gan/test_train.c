/* The training command on made pictures: what a run leaves and says, refusals, options. */
#include "base/text.h"
#include "gan/training.h"
#include "nn/safetensors.h"
#include "training/run.h"

static void a_run_leaves_its_files(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    REQUIRE_OK(t, train(&b, "run", false, NULL), b.err);
    static const char *const names[] = {"run/config.yaml", "run/log.jsonl", "run/samples/step_00000003.png",
                                        "run/samples/step_00000006.png", "run/checkpoints/latest.safetensors",
                                        "run/checkpoints/generator_a.safetensors",
                                        "run/checkpoints/generator_b.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[160];
        path_of(&b, names[i], path, sizeof path);
        if (!file_exists(path)) test_failed(t, __FILE__, __LINE__, "%s is missing", names[i]);
    }
    CHECK(t, lines_of(&b, "run/log.jsonl") == 6);
    char path[160];
    path_of(&b, "run/config.yaml", path, sizeof path); /* the resolved config repeats the run */
    snprintf(b.config, sizeof b.config, "%s", path);
    REQUIRE_OK(t, train(&b, "again", false, NULL), b.err);
    compare_files(t, &b, "run/checkpoints/latest.safetensors", "again/checkpoints/latest.safetensors");
    tear_down(&b);
}

static void refusals_are_clear(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    CHECK(t, train(&b, "run", true, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, b.err.message, "no checkpoint to resume from");
    static const char *const short_run[] = {"train.steps=1", NULL};
    REQUIRE_OK(t, train(&b, "run", false, short_run), b.err);
    CHECK(t, train(&b, "run", false, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, b.err.message, "continue it with --resume");
    static const char *const wider[] = {"train.steps=9", "model.ngf=8", "train.seed=2", NULL};
    CHECK(t, train(&b, "run", true, wider) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "what cannot change: train.seed: 1 -> 2; model.ngf: 4 -> 8; what differs besides may "
                                     "change: train.steps: 1 -> 9");
    static const char *const crop[] = {"data.crop_size=18", NULL};
    CHECK(t, train(&b, "other", false, crop) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "data.crop_size must be a multiple of 4");
    static const char *const nameless[] = {"domains.a.name=", NULL}, *const same[] = {"domains.b.name=snacks", NULL};
    CHECK(t, train(&b, "other", false, nameless) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "domains.a.name must not be empty");
    CHECK(t, train(&b, "other", false, same) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "domains.b.name must differ from domains.a.name");
    static const char *const nowhere[] = {"output.folder=", NULL};
    CHECK(t, train(&b, "other", false, nowhere) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "output.folder must not be empty");
    static const char *const huge[] = {"train.pool_size=100000", "data.crop_size=8192", "data.load_size=8192", NULL};
    CHECK(t, train(&b, "other", false, huge) == STATUS_NO_MEMORY);
    CHECK_CONTAINS(t, b.err.message, "this training needs ");
    CHECK_CONTAINS(t, b.err.message, " are available; lower data.crop_size, train.batch_size, model.ngf, ");
    tear_down(&b);
}

static void put(const bench *b, const char *name, const char *content)
{
    char path[160];
    path_of(b, name, path, sizeof path);
    (void)file_write_all(path, content, strlen(content), NULL);
}

static void files_of_others_survive(test *t)
{
    bench b;
    char path[160], *bytes;
    size_t size;
    REQUIRE(t, set_up(&b, ""));
    path_of(&b, "mine", path, sizeof path);
    REQUIRE_OK(t, file_make_folders(path, &b.err), b.err);
    put(&b, "mine/config.yaml", "# mine\n");
    CHECK(t, train(&b, "mine", false, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, b.err.message, "mine/config.yaml: there is such a file already");
    path_of(&b, "mine/config.yaml", path, sizeof path);
    REQUIRE_OK(t, file_read_all(path, 100, &bytes, &size, &b.err), b.err);
    CHECK_TEXT(t, bytes, "# mine\n");
    free(bytes);
    tear_down(&b);
}

/* A run belongs to one process at a time. */
static void a_run_is_locked(test *t)
{
    bench b;
    char folder[128];
    training_run run;
    REQUIRE(t, set_up(&b, ""));
    path_of(&b, "run", folder, sizeof folder);
    REQUIRE_OK(t, training_run_open(&run, folder, false, &b.err), b.err);
    CHECK(t, train(&b, "run", false, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, b.err.message, "another process is training this run");
    training_run_close(&run);
    static const char *const wrong_name[] = {"name=../x", NULL}, *const half[] = {"output.storage=bf16", NULL};
    REQUIRE_OK(t, train(&b, "run", false, half), b.err);
    char path[160];
    safetensors_file *file;
    path_of(&b, "run/checkpoints/generator_b.safetensors", path, sizeof path);
    REQUIRE_OK(t, safetensors_open(path, &file, &b.err), b.err);
    CHECK(t, safetensors_at(file, 0)->type == SAFETENSORS_BF16);
    safetensors_close(file);
    CHECK(t, train(&b, "other", false, wrong_name) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "without '/'");
    tear_down(&b);
}

static void a_stop_saves(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    volatile sig_atomic_t stop = 1; /* asked to stop before the first step */
    char folder[128];
    path_of(&b, "run", folder, sizeof folder);
    training_request request = {.config_path = b.config, .out = folder, .stop = &stop};
    CHECK(t, training_train(&request, &gan_trainer, &b.log, &b.err) == STATUS_INTERRUPTED);
    CHECK_CONTAINS(t, b.err.message, "stopped after step 0 of 6; continue with --resume");
    REQUIRE_OK(t, train(&b, "whole", false, NULL), b.err);
    tear_down(&b);
}

static void flat_pictures_stay_finite(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    REQUIRE(t, workplace_pictures(&b.place, "a", 3, 20, 20, 0));
    REQUIRE_OK(t, train(&b, "black", false, NULL), b.err);
    tear_down(&b);
}

static void first_value(test *t, bench *b, const char *name, const char *tensor, float *out)
{
    char path[160];
    safetensors_file *file;
    path_of(b, name, path, sizeof path);
    REQUIRE_OK(t, safetensors_open(path, &file, &b->err), b->err);
    const safetensors_entry *e = safetensors_find(file, tensor);
    float *values = malloc(e->count * sizeof *values);
    REQUIRE_OK(t, safetensors_read_f32(file, e, values, &b->err), b->err);
    *out = values[0];
    free(values);
    safetensors_close(file);
}

/* Fine-tuning: the networks are those of the file, the moments are not. */
static void a_state_is_a_start(test *t)
{
    bench b;
    char words[4096], from[200], narrow_from[200];
    REQUIRE(t, set_up(&b, ""));
    REQUIRE_OK(t, train(&b, "first", false, NULL), b.err);
    b.log.quiet = false;
    snprintf(from, sizeof from, "train.init_from=%s/first/checkpoints/latest.safetensors", b.place.root);
    const char *const still[] = {from, "train.steps=1", "train.learning_rate=1e-9", NULL};
    REQUIRE_OK(t, train(&b, "second", false, still), b.err);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "G_A, G_B, D_A, D_B loaded; the optimisers start afresh");
    float weights[2], m = 0, v = 0;
    first_value(t, &b, "first/checkpoints/latest.safetensors", "D_B.model.0.weight", &weights[0]);
    first_value(t, &b, "second/checkpoints/latest.safetensors", "D_B.model.0.weight", &weights[1]);
    CHECK_NEAR(t, (double)weights[1], (double)weights[0], 1e-7);
    /* After one step from zero, m = g / 2 and v = g^2 / 1000. */
    first_value(t, &b, "second/checkpoints/latest.safetensors", "adam_m.D_B.model.0.weight", &m);
    first_value(t, &b, "second/checkpoints/latest.safetensors", "adam_v.D_B.model.0.weight", &v);
    CHECK_NEAR(t, (double)(m * m / v), 250, 0.1);
    const char *const other_judges[] = {from, "train.steps=1", "model.ndf=5", NULL};
    REQUIRE_OK(t, train(&b, "third", false, other_judges), b.err);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "G_A, G_B loaded; D_A, D_B and the optimisers start afresh (the file's discriminators do not fit)");
    const char *const narrow[] = {from, "model.ngf=3", "model.upsample=transpose", NULL};
    CHECK(t, train(&b, "fourth", false, narrow) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "train.init_from: ");
    CHECK_CONTAINS(t, b.err.message, "model.ngf is 4 in the file, 3 in the config; model.upsample is resize_conv in the file");
    snprintf(narrow_from, sizeof narrow_from, "train.init_from=%s/nothing", b.place.root);
    const char *const nothing[] = {narrow_from, NULL};
    CHECK(t, train(&b, "fourth", false, nothing) == STATUS_FAILED);
    CHECK_CONTAINS(t, b.err.message, "nothing: cannot open: No such file");
    /* A resumed run has its own weights, and the key may change. */
    REQUIRE_OK(t, train(&b, "second", true, nothing), b.err);
    tear_down(&b);
}

static void tells_before_the_first_step(test *t)
{
    bench b;
    char words[4096];
    REQUIRE(t, set_up(&b, ""));
    b.log.quiet = false;
    REQUIRE_OK(t, train(&b, "run", false, NULL), b.err);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "3 snacks, 4 fractals; 6 steps of 1 at 16x16; ");
    CHECK_CONTAINS(t, words, " parameters\nmemory: about ");
    CHECK_CONTAINS(t, words, " for pictures and the rest\ndisk: up to about ");
    CHECK_CONTAINS(t, words, " is written\ntime: about ");
    CHECK_CONTAINS(t, words, " (predicted: 6 steps of ");
    tear_down(&b);
}

/* Pictures that are probably not meant to be there are named, the training goes on without those that cannot be read. */
static void doubtful_pictures_are_named(test *t)
{
    bench b;
    char words[4096], from[160], to[160], *bytes;
    size_t size;
    REQUIRE(t, set_up(&b, ""));
    path_of(&b, "a/0.png", from, sizeof from);
    path_of(&b, "a/copy.png", to, sizeof to);
    REQUIRE_OK(t, file_read_all(from, 1 << 20, &bytes, &size, &b.err), b.err);
    REQUIRE_OK(t, file_write_all(to, bytes, size, &b.err), b.err);
    path_of(&b, "b/3.png", to, sizeof to);
    REQUIRE_OK(t, file_write_all(to, bytes, size / 2, &b.err), b.err);
    free(bytes);
    REQUIRE(t, workplace_pictures(&b.place, "b", 1, 30, 30, 0)); /* b/0.png is black */
    static const char *const two[] = {"train.steps=2", NULL}, *const unchecked[] = {"train.steps=1", "data.check=0", NULL};
    REQUIRE_OK(t, train(&b, "run", false, two), b.err);
    said(&b, words, sizeof words);
    static const char *const expected[] = {"warning: domain snacks: ", "copy.png", "warning: domain fractals: ", "3.png", "0.png"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) CHECK_CONTAINS(t, words, expected[i]);
    rewind(b.messages);
    CHECK(t, ftruncate(fileno(b.messages), 0) == 0);
    REQUIRE_OK(t, train(&b, "unchecked", false, unchecked), b.err);
    said(&b, words, sizeof words);
    CHECK(t, !strstr(words, "copy.png"));
    tear_down(&b);
}

/* A picture over the limit is left out, before it is decoded. */
static void the_pixel_limit_is_adjustable(test *t)
{
    bench b;
    char words[4096];
    REQUIRE(t, set_up(&b, ""));
    workplace large = b.place;
    REQUIRE(t, workplace_pictures(&large, "large", 1, 1200, 900, 7) && workplace_pictures(&large, "a", 1, 1200, 900, 7));
    static const char *const limited[] = {"data.max_megapixels=1", "train.steps=4", NULL};
    REQUIRE_OK(t, train(&b, "run", false, limited), b.err);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "a/0.png: a picture of 1200x900 is over the limit of 1000000 pixels; the picture is left out");
    char setting[200];
    snprintf(setting, sizeof setting, "domains.a.train=%s/large", b.place.root);
    const char *const none[] = {"data.max_megapixels=1", setting, NULL}, *const all[] = {"data.max_megapixels=2", setting, NULL};
    CHECK(t, train(&b, "none", false, none) == STATUS_FAILED);
    REQUIRE_OK(t, train(&b, "all", false, all), b.err);
    tear_down(&b);
}

/* Every architecture and loss takes a step. */
static void every_option_trains(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    static const char *const options[][4] = {
        {"train.steps=1", "model.upsample=transpose", "loss.mode=vanilla", NULL},
        {"train.steps=1", "model.generator=resnet_9blocks", "model.discriminator=pixel", NULL},
        {"train.steps=2", "train.batch_size=3", "loss.lambda_tv=0.1", NULL},
        {"train.steps=1", "loss.lambda_identity=0", "train.pool_size=0", NULL},
        {"train.steps=1", "train.ema=0", "loss.lambda_cycle_b=3", NULL},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char out[16];
        snprintf(out, sizeof out, "run%zu", i);
        REQUIRE_OK(t, train(&b, out, false, options[i]), b.err);
    }
    tear_down(&b);
}

TEST_MAIN(TEST(a_run_leaves_its_files), TEST(refusals_are_clear), TEST(files_of_others_survive), TEST(a_run_is_locked),
          TEST(a_stop_saves), TEST(flat_pictures_stay_finite), TEST(a_state_is_a_start),
          TEST(tells_before_the_first_step), TEST(doubtful_pictures_are_named), TEST(the_pixel_limit_is_adjustable),
          TEST(every_option_trains))
