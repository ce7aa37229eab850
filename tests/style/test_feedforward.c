/* Feed-forward style networks: losses and gradients against PyTorch (tools/oracle/feedforward.py), and the training
 * command on made pictures. */
#include "style/feedforward_train.h"

#include <unistd.h>

#include "../training/compare.h"
#include "../training/pictures.h"
#include "fixture.h"
#include "gan/train.h"
#include "models/weights.h"
#include "style/feedforward.h"
#include "training/settings.h"
#include "translate/translator.h"

static const char tiny[] = "tests/fixtures/vgg_tiny.safetensors";

typedef struct bench {
    workplace place;
    char config[160];
    log_sink log;
    FILE *messages;
    error err;
} bench;

static bool write_config(bench *b, const char *extra)
{
    char yaml[2048];
    const char *r = b->place.root;
    snprintf(b->config, sizeof b->config, "%s/c.yaml", r);
    int length = snprintf(yaml, sizeof yaml,
                          "name: tiny\nmethod: feedforward\n"
                          "domains:\n  a: {name: snacks, train: %s/a}\n  b: {name: fractals, train: %s/b}\n"
                          "features: %s\noutput: {folder: %s/runs, checkpoint_every: 3, sample_every: 3, "
                          "sample_count: 2, log_every: 1}\n%s", r, r, tiny, r, extra);
    return file_write_all(b->config, yaml, (size_t)length, NULL) == STATUS_OK;
}

static const char small[] = "data: {load_size: 20, crop_size: 16, workers: 2}\n"
                            "model: {ngf: 2}\n"
                            "content: {layers: relu2_2}\n"
                            "style: {layers: \"relu1_2, relu2_2\"}\n"
                            "train: {steps: 6, schedule: constant, learning_rate: 0.002, batch_size: 2, ema: 0.9}\n";

static bool set_up(bench *b)
{
    *b = (bench){0};
    if (!workplace_create(&b->place)) return false;
    if (!workplace_pictures(&b->place, "a", 3, 20, 24, -1)) return false;
    if (!workplace_pictures(&b->place, "b", 2, 24, 20, -1)) return false;
    b->messages = tmpfile();
    b->log = log_create(b->messages, false);
    return b->messages && write_config(b, small);
}

static void tear_down(bench *b)
{
    if (b->messages) fclose(b->messages);
    workplace_remove(&b->place);
}

static void path_of(const bench *b, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", b->place.root, name);
}

/* settings: NULL-terminated. */
static status train_by(bench *b, const training_trainer *trainer, const char *out, bool resume,
                       const char *const *settings)
{
    char folder[128];
    size_t count = 0;
    while (settings && settings[count]) count++;
    path_of(b, out, folder, sizeof folder);
    training_request request = {.config_path = b->config, .settings = settings, .setting_count = count,
                                .resume = resume, .out = folder, .threads = 2};
    b->err = (error){0};
    return training_train(&request, trainer, &b->log, &b->err);
}

static status train(bench *b, const char *out, bool resume, const char *const *settings)
{
    return train_by(b, &style_feedforward_trainer, out, resume, settings);
}

static void compare_files(test *t, const bench *b, const char *one, const char *two)
{
    char path[2][160];
    path_of(b, one, path[0], sizeof path[0]);
    path_of(b, two, path[1], sizeof path[1]);
    compare_tensors(t, path[0], path[1]);
}

static void said(const bench *b, char *out, size_t size)
{
    rewind(b->messages);
    out[fread(out, 1, size - 1, b->messages)] = '\0';
}

/* root/folder/i.png for the pictures of a fixture's tensor, (count, h, w, 3) bytes. */
static bool write_pictures(const bench *b, const char *folder, const safetensors_entry *entry, const float *bytes)
{
    size_t height = entry->shape[1], width = entry->shape[2], count = height * width * 3;
    char path[160];
    path_of(b, folder, path, sizeof path);
    if (file_make_folders(path, NULL) != STATUS_OK) return false;
    for (size_t i = 0; i < entry->shape[0]; i++) {
        image picture = {0};
        if (image_create(&picture, width, height, NULL) != STATUS_OK) return false;
        for (size_t k = 0; k < count; k++) picture.pixels[k] = (uint8_t)bytes[i * count + k];
        snprintf(path, sizeof path, "%s/%s/%zu.png", b->place.root, folder, i);
        status written = image_write(path, &picture, NULL, NULL);
        image_free(&picture);
        if (written != STATUS_OK) return false;
    }
    return true;
}

/* Weights, losses, gradients of the fixture; batch: its x, (2, 32, 32, 3). */
static void compare_step(test *t, style_feedforward *f, const safetensors_file *file, const uint8_t *batch)
{
    error err = {0};
    nn_parameters *set = style_feedforward_generator(f);
    model_weights weights = {set, NN_DATA, "G_A.", "G_A."};
    REQUIRE_OK(t, model_weights_load(file, &weights, &err), err);
    const training_method *method = style_feedforward_method(f);
    float losses[STYLE_FEEDFORWARD_LOSSES], *expected = fixture_values(file, "losses", NULL);
    training_step step = {.number = 0, .learning_rate = 1e-3, .pixels = {batch, NULL}};
    REQUIRE_OK(t, training_method_step(method, &step, losses, &err), err);
    for (size_t i = 0; i < STYLE_FEEDFORWARD_LOSSES; i++)
        CHECK_NEAR(t, losses[i], expected[i], 2e-6 * fabs((double)expected[i]));
    free(expected);
    size_t compared = 0;
    for (size_t i = 0; i < set->count; i++) {
        char name[128];
        snprintf(name, sizeof name, "gradient.%s", set->tensors[i].name + strlen("G_A."));
        if (!safetensors_find(file, name)) continue; /* a bias that a norm cancels */
        size_t count = nn_count(set->tensors[i].shape);
        float *wanted = fixture_values(file, name, NULL), *found = malloc(count * sizeof *found);
        nn_parameters_read(set, NN_GRADIENT, i, found);
        double off = test_relative(found, wanted, count);
        if (!(off <= 2e-5)) test_failed(t, __FILE__, __LINE__, "%s is off by %g", name, off);
        compared++;
        free(wanted);
        free(found);
    }
    CHECK(t, compared == 19);
}

/* Two pictures, and batches of two without flips: the mean square of their features is that of the fixture's batch. */
static void losses_and_gradients_are_pytorchs(test *t)
{
    bench b;
    safetensors_file *file;
    const safetensors_entry *of_x, *of_styles;
    REQUIRE(t, set_up(&b));
    REQUIRE_OK(t, safetensors_open("tests/fixtures/feedforward.safetensors", &file, &b.err), b.err);
    float *x = fixture_values(file, "x", &of_x), *styles = fixture_values(file, "styles", &of_styles);
    REQUIRE(t, x && styles && write_pictures(&b, "x", of_x, x) && write_pictures(&b, "styles", of_styles, styles));
    uint8_t *batch = malloc(of_x->count);
    for (size_t i = 0; i < of_x->count; i++) batch[i] = (uint8_t)x[i];
    REQUIRE(t, write_config(&b, "data: {load_size: 32, crop_size: 32, fit: none, flip: false}\n"
                                "model: {ngf: 2}\n"
                                "content: {layers: \"relu2_1, relu2_2\", weights: \"0.75, 1.5\", weight: 2}\n"
                                "style: {layers: \"relu1_2, relu2_2, relu3_1\", weights: \"0.5, 1, 0.25\", weight: 3}\n"
                                "total_variation: {weight: 0.5, exponent: 1.5}\n"
                                "train: {batch_size: 2, steps: 1}\n"));
    char folders[2][128];
    training_settings s;
    training_loader *loader;
    nn_backend *backend;
    style_feedforward *f;
    snprintf(folders[0], sizeof folders[0], "domains.a.train=%s/x", b.place.root);
    snprintf(folders[1], sizeof folders[1], "domains.b.train=%s/styles", b.place.root);
    const char *const settings[] = {folders[0], folders[1]};
    REQUIRE_OK(t, training_settings_read(&s, &style_feedforward_trainer, b.config, settings, 2, &b.err), b.err);
    REQUIRE_OK(t, training_loader_create(&s.training, &loader, &b.err), b.err);
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &b.err), b.err);
    training_setup setup = {s.options, &s.training, loader, backend, 0, &b.log};
    REQUIRE_OK(t, style_feedforward_create(s.options, &setup, &f, &b.err), b.err);
    compare_step(t, f, file, batch);
    style_feedforward_destroy(f);
    training_loader_destroy(loader);
    nn_backend_destroy(backend);
    training_settings_free(&s);
    safetensors_close(file);
    free(x);
    free(batch);
    free(styles);
    tear_down(&b);
}

/* The sum of the losses in a line of log.jsonl. */
static double sum_of(const char *line)
{
    double sum = 0;
    static const char *const names[] = {"\"content\": ", "\"style\": ", "\"variation\": "};
    for (size_t i = 0; i < 3; i++) {
        const char *at = strstr(line, names[i]);
        sum += at ? strtod(at + strlen(names[i]), NULL) : NAN;
    }
    return sum;
}

static void training_reduces_the_loss(test *t)
{
    bench b;
    char path[160], *log, words[4096];
    size_t size, lines = 0;
    double first = 0, last = 0;
    REQUIRE(t, set_up(&b));
    static const char *const settings[] = {"train.steps=40", "output.checkpoint_every=40", "output.sample_every=0", NULL};
    REQUIRE_OK(t, train(&b, "run", false, settings), b.err);
    path_of(&b, "run/log.jsonl", path, sizeof path);
    REQUIRE_OK(t, file_read_all(path, 1 << 20, &log, &size, &b.err), b.err);
    for (char *line = strtok(log, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        if (lines < 4) first += sum_of(line);
        if (lines >= 36) last += sum_of(line);
    }
    free(log);
    CHECK(t, lines == 40);
    if (!(last < 0.7 * first)) test_failed(t, __FILE__, __LINE__, "the losses went from %g to %g", first / 4, last / 4);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "features: VGG-19 up to conv3_1");
    CHECK_CONTAINS(t, words, "3 snacks, 2 fractals; 40 steps of 2 at 16x16; ");
    CHECK_CONTAINS(t, words, "memory: about ");
    CHECK_CONTAINS(t, words, "time: about ");
    tear_down(&b);
}

static void resume_continues_bit_for_bit(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b));
    REQUIRE_OK(t, train(&b, "whole", false, NULL), b.err);
    static const char *const half[] = {"train.steps=3", NULL};
    REQUIRE_OK(t, train(&b, "parts", false, half), b.err);
    REQUIRE_OK(t, train(&b, "parts", true, NULL), b.err);
    compare_files(t, &b, "whole/checkpoints/latest.safetensors", "parts/checkpoints/latest.safetensors");
    compare_files(t, &b, "whole/checkpoints/generator_a.safetensors", "parts/checkpoints/generator_a.safetensors");
    char path[160];
    path_of(&b, "whole/checkpoints/generator_b.safetensors", path, sizeof path);
    CHECK(t, !file_exists(path));
    static const char *const weight[] = {"train.steps=7", "style.weight=5", NULL}, *const wider[] = {"model.ngf=3", NULL};
    REQUIRE_OK(t, train(&b, "parts", true, weight), b.err);
    CHECK(t, train(&b, "parts", true, wider) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "what cannot change: model.ngf: 2 -> 3");
    tear_down(&b);
}

/* The sheet: two rows of two pictures; the generator: translated with as it is, and started from. */
static void what_a_run_leaves_is_used(test *t)
{
    bench b;
    char path[160], from[200], words[4096];
    image sheet = {0}, in = {0}, out = {0};
    nn_backend *backend;
    translator *translates;
    REQUIRE(t, set_up(&b));
    REQUIRE_OK(t, train(&b, "run", false, NULL), b.err);
    path_of(&b, "run/samples/step_00000006.png", path, sizeof path);
    REQUIRE_OK(t, image_read(path, NULL, &sheet, &b.err), b.err);
    CHECK(t, sheet.height >= 2 * 16 && sheet.height < 3 * 16 + 4);
    path_of(&b, "run/checkpoints/generator_a.safetensors", path, sizeof path);
    REQUIRE_OK(t, nn_cpu_create(2, &backend, &b.err), b.err);
    REQUIRE_OK(t, translator_create(backend, path, NULL, &translates, &b.err), b.err);
    CHECK_TEXT(t, translator_from(translates), "snacks");
    CHECK_TEXT(t, translator_to(translates), "fractals");
    REQUIRE_OK(t, image_create(&in, 21, 18, &b.err), b.err);
    REQUIRE_OK(t, translate_image(translates, &in, &out, &b.err), b.err);
    CHECK(t, out.width == 21 && out.height == 18);
    translator_destroy(translates);
    nn_backend_destroy(backend);
    image_free(&sheet);
    image_free(&in);
    image_free(&out);
    /* Without a step, the average and the weights are the file's. */
    snprintf(from, sizeof from, "train.init_from=%s", path);
    volatile sig_atomic_t stop = 1;
    const char *const settings[] = {from};
    path_of(&b, "tuned", words, sizeof words);
    training_request request = {.config_path = b.config, .settings = settings, .setting_count = 1, .out = words,
                                .stop = &stop};
    CHECK(t, training_train(&request, &style_feedforward_trainer, &b.log, &b.err) == STATUS_INTERRUPTED);
    char pair[2][160];
    path_of(&b, "tuned/checkpoints/generator_a.safetensors", pair[0], sizeof pair[0]);
    safetensors_file *files[2];
    REQUIRE_OK(t, safetensors_open(path, &files[0], &b.err), b.err);
    REQUIRE_OK(t, safetensors_open(pair[0], &files[1], &b.err), b.err);
    float one[64], two[64];
    const safetensors_entry *e = safetensors_find(files[0], "model.27.bias");
    REQUIRE(t, e && e->count <= 64);
    REQUIRE_OK(t, safetensors_read_f32(files[0], e, one, &b.err), b.err);
    REQUIRE_OK(t, safetensors_read_f32(files[1], safetensors_find(files[1], "model.27.bias"), two, &b.err), b.err);
    CHECK(t, memcmp(one, two, e->count * sizeof *one) == 0 && one[0] != 0);
    safetensors_close(files[0]);
    safetensors_close(files[1]);
    tear_down(&b);
}

static void one_picture_is_a_style(test *t)
{
    bench b;
    char path[200], words[4096];
    REQUIRE(t, set_up(&b));
    snprintf(path, sizeof path, "domains.b.train=%s/b/0.png", b.place.root);
    const char *const one[] = {path, "train.steps=2", "style.scale=1.5", NULL};
    REQUIRE_OK(t, train(&b, "run", false, one), b.err);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "3 snacks, 1 fractals");
    const char *const more[] = {"train.steps=3", NULL}; /* now with the folder */
    REQUIRE_OK(t, train(&b, "run", true, more), b.err);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "domain fractals: the pictures have changed, and the style from here on is theirs");
    tear_down(&b);
}

static void refuses(test *t, bench *b, const char *setting, status expected, const char *message)
{
    const char *const settings[] = {setting, NULL};
    CHECK(t, train(b, "refused", false, settings) == expected);
    CHECK_CONTAINS(t, b->err.message, message);
}

static void refusals_are_clear(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b));
    refuses(t, &b, "loss.lambda_cycle=1", STATUS_USAGE, "unknown key 'loss.lambda_cycle'");
    refuses(t, &b, "style.layers=relu9_1", STATUS_USAGE, "style.layers: VGG-19 has no layer 'relu9_1'");
    refuses(t, &b, "style.layers=relu4_2", STATUS_USAGE, "is not in this file, which ends at conv3_1");
    refuses(t, &b, "content.weights=1, 2", STATUS_USAGE, "content.weights: expected 1 number, found 2");
    refuses(t, &b, "data.crop_size=18", STATUS_USAGE, "data.crop_size must be a multiple of 4 for resnet_6blocks, is 18");
    refuses(t, &b, "features=", STATUS_USAGE, "features must be a file, or random");
    refuses(t, &b, "features=none.safetensors", STATUS_FAILED, "none.safetensors: cannot ");
    refuses(t, &b, "train.init_from=none.safetensors", STATUS_FAILED, "train.init_from: none.safetensors: cannot ");
    refuses(t, &b, "style.scale=0.05", STATUS_FAILED, "domain fractals: ");
    static const char *const nothing[] = {"style.weight=0", "content.weight=0", NULL};
    CHECK(t, train(&b, "refused", false, nothing) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "style.weight and content.weight are both 0: there is nothing to learn");
    static const char *const shallow[] = {"data.crop_size=8", "features=random", "content.layers=relu5_1", NULL};
    CHECK(t, train(&b, "refused", false, shallow) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "data.crop_size must be at least 16 for these layers, is 8");
    tear_down(&b);
}

static status kind_of(const bench *b, const char *setting, training_kind *kind, error *err)
{
    const char *const settings[] = {setting};
    *err = (error){0};
    return training_settings_kind(b->config, settings, setting ? 1 : 0, kind, err);
}

/* A config says its method before its other keys are looked at; a run keeps its. */
static void the_method_is_chosen(test *t)
{
    bench b;
    training_kind kind;
    REQUIRE(t, set_up(&b));
    REQUIRE_OK(t, kind_of(&b, NULL, &kind, &b.err), b.err);
    CHECK(t, kind == TRAINING_FEEDFORWARD);
    REQUIRE_OK(t, kind_of(&b, "style.weight=many", &kind, &b.err), b.err); /* the other reader's business */
    REQUIRE_OK(t, kind_of(&b, "method=cyclegan", &kind, &b.err), b.err);
    CHECK(t, kind == TRAINING_CYCLEGAN);
    CHECK(t, kind_of(&b, "method=gatys", &kind, &b.err) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "expects one of cyclegan, feedforward, found 'gatys'");
    static const char *const two[] = {"train.steps=2", NULL};
    REQUIRE_OK(t, train(&b, "run", false, two), b.err);
    const char *r = b.place.root;
    char yaml[1024];
    int length = snprintf(yaml, sizeof yaml,
                          "name: other\ndomains:\n  a: {name: snacks, train: %s/a}\n  b: {name: fractals, train: %s/b}\n"
                          "data: {load_size: 16, crop_size: 16}\n"
                          "model: {generator: resnet_6blocks, ngf: 2, discriminator: pixel, ndf: 2}\n", r, r);
    REQUIRE(t, file_write_all(b.config, yaml, (size_t)length, NULL) == STATUS_OK);
    REQUIRE_OK(t, kind_of(&b, NULL, &kind, &b.err), b.err);
    CHECK(t, kind == TRAINING_CYCLEGAN);
    CHECK(t, train_by(&b, &gan_trainer, "run", true, NULL) == STATUS_USAGE);
    CHECK_CONTAINS(t, b.err.message, "--resume: the run's method is feedforward, the config's is cyclegan");
    tear_down(&b);
}

TEST_MAIN(TEST(losses_and_gradients_are_pytorchs), TEST(training_reduces_the_loss), TEST(resume_continues_bit_for_bit),
          TEST(what_a_run_leaves_is_used), TEST(one_picture_is_a_style), TEST(refusals_are_clear),
          TEST(the_method_is_chosen))
