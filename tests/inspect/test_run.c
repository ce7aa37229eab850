/* A run's folder and its state, as training leaves them; the program itself. */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../training/pictures.h"
#include "base/text.h"
#include "facts.h"
#include "gan/cyclegan.h"
#include "gan/train.h"
#include "style/feedforward_train.h"
#include "training/run.h"
#include "training/settings.h"

typedef struct bench {
    workplace place;
    char paths[4][160];
    int next;
    log_sink log;
    error err;
} bench;

static const char *in(bench *b, const char *name)
{
    char *path = text_join_path(b->place.root, name), *out = b->paths[b->next++ % 4];
    strncpy(out, path, sizeof b->paths[0] - 1);
    free(path);
    return out;
}

static bool train(bench *b)
{
    *b = (bench){.log = log_create(stderr, true)};
    if (!workplace_create(&b->place) || !workplace_pictures(&b->place, "a", 3, 20, 24, -1) ||
        !workplace_pictures(&b->place, "b", 3, 24, 20, -1))
        return false;
    char yaml[1024], file[160], run[160];
    int length = snprintf(yaml, sizeof yaml,
                          "name: tiny\ndomains:\n  a: {name: snacks, train: %s/a}\n  b: {name: fractals, train: %s/b}\n"
                          "data: {load_size: 20, crop_size: 16}\n"
                          "model: {generator: resnet_6blocks, ngf: 4, discriminator: n_layers, ndf: 3, "
                          "discriminator_layers: 2}\n"
                          "train: {steps: 4, schedule: constant, pool_size: 2, ema: 0.9}\n"
                          "output: {checkpoint_every: 2, sample_every: 2, sample_count: 2, log_every: 1}\n",
                          b->place.root, b->place.root);
    snprintf(file, sizeof file, "%s/c.yaml", b->place.root);
    snprintf(run, sizeof run, "%s/run", b->place.root);
    if (file_write_all(file, yaml, (size_t)length, &b->err) != STATUS_OK) return false;
    training_request request = {.config_path = file, .out = run, .threads = 2};
    if (training_train(&request, &gan_trainer, &b->log, &b->err) == STATUS_OK) return true;
    fprintf(stderr, "%s\n", b->err.message);
    return false;
}

static inspect_facts look(test *t, const char *path)
{
    inspect_options options = {.threads = 2};
    inspect_facts facts = {0};
    error err = {0};
    if (inspect_path(path, &options, &facts, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s: %s", path, err.message);
    return facts;
}

/* What a CycleGAN of the run's config has in memory, by making it. */
static double real_bytes(test *t, const char *path)
{
    training_settings s;
    nn_backend *backend = NULL;
    gan *model = NULL;
    error err = {0};
    if (training_settings_read(&s, &gan_trainer, path, NULL, 0, &err) != STATUS_OK ||
        nn_cpu_create(2, &backend, &err) != STATUS_OK ||
        gan_create(s.options, (gan_size){1, 16, 0}, backend, 1, NULL, &model, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    double bytes = model ? (double)gan_arena_bytes(model) + (double)gan_parameter_bytes(model) : -1;
    gan_destroy(model);
    nn_backend_destroy(backend);
    training_settings_free(&s);
    return bytes;
}

static void tells_of_a_state(test *t)
{
    bench b;
    REQUIRE(t, train(&b));
    inspect_facts f = look(t, in(&b, "run/checkpoints/latest.safetensors"));
    CHECK(t, !f.trouble);
    CHECK_TEXT(t, fact_text(&f, "kind"), "training state");
    CHECK_TEXT(t, fact_text(&f, "G_A/architecture"), "resnet_6blocks");
    CHECK_TEXT(t, fact_text(&f, "D_B/architecture"), "n_layers");
    CHECK(t, fact_number(&f, "G_B/ngf") == 4 && fact_number(&f, "D_A/ndf") == 3 && fact_number(&f, "D_A/layers") == 2);
    CHECK(t, json_is_true(fact_at(&f, "ema")) && fact_number(&f, "pool_a") == 2 && fact_number(&f, "step") == 4);
    CHECK_TEXT(t, fact_text(&f, "domain_a"), "snacks");
    CHECK_TEXT(t, fact_text(&f, "checksum"), "agrees");
    CHECK_TEXT(t, fact_text(&f, "not_as_by_default/model.ndf"), "3");
    CHECK(t, fact_number(&f, "memory_training") == real_bytes(t, in(&b, "c.yaml")));
    inspect_facts_free(&f);
    f = look(t, in(&b, "run/checkpoints/generator_b.safetensors"));
    CHECK_TEXT(t, fact_text(&f, "from"), "fractals");
    CHECK(t, !fact_at(&f, "config"));
    inspect_facts_free(&f);
    workplace_remove(&b.place);
}

/* What a style network that is made to be trained has in memory. */
static double style_bytes(test *t, bench *b, const char *file)
{
    training_settings s;
    training_loader *loader;
    nn_backend *backend;
    void *model;
    training_footprint found = {0};
    if (training_settings_read(&s, &style_feedforward_trainer, file, NULL, 0, &b->err) != STATUS_OK ||
        training_loader_create(&s.training, &loader, &b->err) != STATUS_OK ||
        nn_cpu_create(2, &backend, &b->err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", b->err.message);
        return 0;
    }
    const training_setup setup = {.options = s.options, .training = &s.training, .loader = loader, .backend = backend,
                                  .log = &b->log};
    if (s.trainer->create(&setup, &model, &b->err) == STATUS_OK) {
        s.trainer->measure(model, &found);
        s.trainer->destroy(model);
    }
    training_loader_destroy(loader);
    nn_backend_destroy(backend);
    training_settings_free(&s);
    return found.step_bytes + found.kept_bytes;
}

/* One generator, and no picture pools. */
static void tells_of_a_style_network(test *t)
{
    bench b;
    REQUIRE(t, train(&b)); /* for the pictures */
    char yaml[1024];
    const char *r = b.place.root, *file = in(&b, "style.yaml"), *run = in(&b, "style");
    int length = snprintf(yaml, sizeof yaml,
                          "name: painted\nmethod: feedforward\n"
                          "domains:\n  a: {name: snacks, train: %s/a}\n  b: {name: fractals, train: %s/b}\n"
                          "data: {load_size: 16, crop_size: 16}\nmodel: {ngf: 3}\n"
                          "features: tests/fixtures/vgg_tiny.safetensors\n"
                          "content: {layers: relu2_2}\nstyle: {layers: relu1_2}\ntrain: {steps: 1, ema: 0.5}\n", r, r);
    REQUIRE_OK(t, file_write_all(file, yaml, (size_t)length, &b.err), b.err);
    training_request request = {.config_path = file, .out = run, .threads = 2};
    REQUIRE_OK(t, training_train(&request, &style_feedforward_trainer, &b.log, &b.err), b.err);
    inspect_facts f = look(t, run);
    CHECK(t, !f.trouble);
    CHECK_TEXT(t, fact_text(&f, "name"), "painted");
    CHECK_TEXT(t, fact_text(&f, "method"), "feedforward");
    CHECK(t, fact_number(&f, "generator_a/step") == 1);
    inspect_facts_free(&f);
    f = look(t, in(&b, "style/checkpoints/latest.safetensors"));
    CHECK(t, !f.trouble && fact_number(&f, "G_A/ngf") == 3 && !fact_at(&f, "G_B") && json_is_true(fact_at(&f, "ema")));
    CHECK_TEXT(t, fact_text(&f, "not_as_by_default/content.layers"), "relu2_2");
    CHECK(t, fact_number(&f, "memory_training") > 1000);
    CHECK(t, fact_number(&f, "memory_training") == style_bytes(t, &b, file));
    CHECK(t, !fact_at(&f, "config"));
    inspect_facts_free(&f);
    f = look(t, in(&b, "style/checkpoints/generator_a.safetensors"));
    CHECK_TEXT(t, fact_text(&f, "to"), "fractals");
    CHECK(t, !fact_at(&f, "config"));
    inspect_facts_free(&f);
    workplace_remove(&b.place);
}

static void append(const char *path, const char *words)
{
    FILE *file = fopen(path, "a");
    if (!file) return;
    fputs(words, file);
    fclose(file);
}

static void tells_of_a_run(test *t)
{
    bench b;
    REQUIRE(t, train(&b));
    const char *run = in(&b, "run");
    append(in(&b, "run/log.jsonl"), "no JSON\n{\"step\": 5, \"lo"); /* a kill within a line */
    inspect_facts f = look(t, run);
    CHECK(t, !f.trouble);
    CHECK_TEXT(t, fact_text(&f, "kind"), "run");
    CHECK_TEXT(t, fact_text(&f, "name"), "tiny");
    CHECK(t, fact_number(&f, "latest/step") == 4 && fact_number(&f, "previous/step") == 2);
    CHECK(t, fact_number(&f, "generator_a/step") == 4 && fact_number(&f, "samples") == 2);
    CHECK(t, fact_number(&f, "log/step") == 4 && fact_number(&f, "log/loss/cycle_a") > 0);
    CHECK_CONTAINS(t, text_get(&f.lines), "step 4: gan_a ");
    inspect_facts_free(&f);
    char *bytes;
    size_t size;
    const char *latest = in(&b, "run/checkpoints/latest.safetensors");
    REQUIRE_OK(t, file_read_all(latest, 1 << 24, &bytes, &size, &b.err), b.err);
    bytes[size / 2] ^= 1;
    REQUIRE_OK(t, file_write_all(latest, bytes, size, &b.err), b.err);
    free(bytes);
    check_refused(t, latest, "checksum");
    f = look(t, run);
    CHECK(t, f.trouble);
    CHECK_CONTAINS(t, fact_text(&f, "latest/error"), "checksum");
    CHECK(t, fact_number(&f, "previous/step") == 2);
    inspect_facts_free(&f);
    append(in(&b, "run/config.yaml"), "nonsense: 1\n");
    f = look(t, run);
    CHECK_CONTAINS(t, fact_text(&f, "config"), "unknown key 'nonsense'");
    inspect_facts_free(&f);
    const char *const pipes[] = {"run/config.yaml", "run/log.jsonl"}; /* reading one would wait for ever */
    for (size_t i = 0; i < 2; i++) REQUIRE(t, unlink(in(&b, pipes[i])) == 0 && mkfifo(in(&b, pipes[i]), 0600) == 0);
    f = look(t, in(&b, "run"));
    CHECK_CONTAINS(t, fact_text(&f, "config"), "config.yaml: cannot read: not a file");
    inspect_facts_free(&f);
    workplace_remove(&b.place);
}

/* Runs the program on two paths of the bench; output: stdout alone. */
static int run_program(bench *b, const char *options, const char *first, const char *second, char output[8192])
{
    const char *path = getenv("CYCLEGAN");
    char command[1024];
    snprintf(command, sizeof command, "'%s' inspect %s '%s' '%s' 2>/dev/null", path ? path : "build/cyclegan", options,
             in(b, first), in(b, second));
    FILE *pipe = popen(command, "r");
    if (!pipe) return -1;
    size_t size = fread(output, 1, 8191, pipe);
    output[size] = '\0';
    int result = pclose(pipe);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

static void the_program_tells(test *t)
{
    const char *path = getenv("CYCLEGAN");
    if (access(path ? path : "build/cyclegan", X_OK) != 0) SKIP(t, "the program is not built");
    static char output[8192];
    bench b = {0};
    REQUIRE(t, workplace_create(&b.place));
    REQUIRE(t, workplace_pictures(&b.place, "a", 2, 20, 24, -1));
    CHECK(t, run_program(&b, "", "a", "a/0.png", output) == 0);
    CHECK_CONTAINS(t, output, "a: folder of pictures\n");
    CHECK_CONTAINS(t, output, "0.png: picture\n");
    CHECK(t, run_program(&b, "--json --minimum 24", "a", "missing", output) == 1); /* the folder is told */
    char *second = strchr(output, '\n');
    REQUIRE(t, second);
    json_t *folder = json_loadb(output, (size_t)(second - output), 0, NULL), *missing = json_loads(second + 1, 0, NULL);
    CHECK(t, json_array_size(json_object_get(folder, "findings")) == 2);
    CHECK_TEXT(t, json_string_value(json_object_get(missing, "kind")), "error");
    json_decref(folder);
    json_decref(missing);
    REQUIRE_OK(t, file_write_all(in(&b, "a/2.png"), "", 0, &b.err), b.err);
    CHECK(t, run_program(&b, "", "a", "a/0.png", output) == 1);
    CHECK_CONTAINS(t, output, "1 picture cannot be read: 2.png");
    CHECK(t, run_program(&b, "--most many", "a", "a", output) == 2);
    CHECK(t, run_program(&b, "--help", "a", "a", output) == 0);
    CHECK_CONTAINS(t, output, "--minimum PIXELS");
    workplace_remove(&b.place);
}

TEST_MAIN(TEST(tells_of_a_state), TEST(tells_of_a_style_network), TEST(tells_of_a_run), TEST(the_program_tells))
