/* The training command on made pictures: what a run leaves, resuming bit for bit, refusals. */
#include "gan/train.h"

#include <unistd.h>

#include "../training/compare.h"
#include "../training/pictures.h"
#include "base/text.h"
#include "nn/safetensors.h"
#include "training/run.h"

typedef struct bench {
    workplace place;
    char config[160];
    log_sink log;
    FILE *messages;
    error err;
} bench;

static bool set_up(bench *b, const char *extra)
{
    *b = (bench){0};
    if (!workplace_create(&b->place)) return false;
    if (!workplace_pictures(&b->place, "a", 3, 20, 24, -1)) return false;
    if (!workplace_pictures(&b->place, "b", 4, 24, 20, -1)) return false;
    char yaml[2048];
    const char *r = b->place.root;
    snprintf(b->config, sizeof b->config, "%s/c.yaml", r);
    int length = snprintf(yaml, sizeof yaml,
                          "name: tiny\n"
                          "domains:\n  a: {name: snacks, train: %s/a}\n  b: {name: fractals, train: %s/b}\n"
                          "data: {load_size: 20, crop_size: 16, workers: 2}\n"
                          "model: {generator: resnet_6blocks, ngf: 4, discriminator: n_layers, discriminator_layers: 1, "
                          "ndf: 4}\n"
                          "train: {steps: 6, schedule: constant, pool_size: 2, ema: 0.9, clip_norm: 5}\n"
                          "output: {folder: %s/runs, checkpoint_every: 3, sample_every: 3, sample_count: 2, log_every: 1}\n%s",
                          r, r, r, extra);
    b->messages = tmpfile();
    b->log = log_create(b->messages, true);
    return b->messages && file_write_all(b->config, yaml, (size_t)length, NULL) == STATUS_OK;
}

static void tear_down(bench *b)
{
    if (b->messages) fclose(b->messages);
    workplace_remove(&b->place);
}

/* settings: NULL-terminated. */
static status train(bench *b, const char *out, bool resume, const char *const *settings)
{
    char folder[128];
    size_t count = 0;
    while (settings && settings[count]) count++;
    snprintf(folder, sizeof folder, "%s/%s", b->place.root, out);
    training_request request = {.config_path = b->config, .settings = settings, .setting_count = count,
                                 .resume = resume, .out = folder, .threads = 2};
    b->err = (error){0};
    return training_train(&request, &gan_trainer, &b->log, &b->err);
}

static void path_of(const bench *b, const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", b->place.root, name);
}

static void compare_files(test *t, const bench *b, const char *one, const char *two)
{
    char path[2][160];
    path_of(b, one, path[0], sizeof path[0]);
    path_of(b, two, path[1], sizeof path[1]);
    compare_tensors(t, path[0], path[1]);
}

static size_t lines_of(const bench *b, const char *name)
{
    char path[160], *bytes;
    size_t size, lines = 0;
    path_of(b, name, path, sizeof path);
    if (file_read_all(path, 1 << 20, &bytes, &size, NULL) != STATUS_OK) return 0;
    for (size_t i = 0; i < size; i++) lines += bytes[i] == '\n';
    free(bytes);
    return lines;
}

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

static void resume_continues_bit_for_bit(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    REQUIRE_OK(t, train(&b, "whole", false, NULL), b.err);
    static const char *const half[] = {"train.steps=3", NULL}, *const whole[] = {"train.steps=6", NULL};
    REQUIRE_OK(t, train(&b, "parts", false, half), b.err);
    char log[160];
    path_of(&b, "parts/log.jsonl", log, sizeof log);
    FILE *file = fopen(log, "a"); /* as if it had gone on after its checkpoint and then been killed within a line */
    REQUIRE(t, file);
    fputs("{\"step\": 4, \"epoch\": 0}\n{\"step\": 5, \"ep", file);
    fclose(file);
    REQUIRE_OK(t, train(&b, "parts", true, whole), b.err);
    compare_files(t, &b, "whole/checkpoints/latest.safetensors", "parts/checkpoints/latest.safetensors");
    compare_files(t, &b, "whole/checkpoints/generator_a.safetensors", "parts/checkpoints/generator_a.safetensors");
    CHECK(t, lines_of(&b, "parts/log.jsonl") == 6);
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

static void move(test *t, const bench *b, const char *from, const char *to)
{
    char paths[2][160];
    path_of(b, from, paths[0], sizeof paths[0]);
    path_of(b, to, paths[1], sizeof paths[1]);
    CHECK(t, rename(paths[0], paths[1]) == 0);
}

static bool there(const bench *b, const char *name)
{
    char path[160];
    path_of(b, name, path, sizeof path);
    return file_exists(path);
}

/* Kills between the renames that make a state the latest: before the first, after it, and, as from an older program or
 * a fallback, where there is no other state. */
static void unfinished_renames_are_finished(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    static const char *const three[] = {"train.steps=3", NULL};
    REQUIRE_OK(t, train(&b, "whole", false, NULL), b.err);
    for (int killed = 0; killed < 3; killed++) {
        char out[16], names[3][64];
        snprintf(out, sizeof out, "run%d", killed);
        static const char *const states[] = {"next", "latest", "previous"};
        for (int i = 0; i < 3; i++)
            snprintf(names[i], sizeof names[i], "%s/checkpoints/%s.safetensors", out, states[i]);
        REQUIRE_OK(t, train(&b, out, false, three), b.err);
        move(t, &b, names[1], names[0]);
        if (killed == 0) move(t, &b, names[2], names[1]);
        if (killed == 2) {
            char path[160];
            path_of(&b, names[2], path, sizeof path);
            CHECK(t, unlink(path) == 0);
        }
        CHECK(t, train(&b, out, false, NULL) == STATUS_FAILED);
        REQUIRE_OK(t, train(&b, out, true, NULL), b.err);
        compare_files(t, &b, "whole/checkpoints/latest.safetensors", names[1]);
        CHECK(t, !there(&b, names[0]) && there(&b, names[2]));
    }
    tear_down(&b);
}

/* Copies a state, its pools with as many places as older programs wrote, those that were not filled NaN. */
static status write_whole_pools(bench *b, const char *from, const char *to, size_t places)
{
    char source[160], target[160];
    safetensors_file *file;
    safetensors_writer *w;
    path_of(b, from, source, sizeof source);
    path_of(b, to, target, sizeof target);
    TRY(safetensors_open(source, &file, &b->err));
    TRY(safetensors_writer_create(&w, &b->err));
    size_t most = places * 16 * 16 * 3;
    float *values = malloc((most + 100000) * sizeof *values);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < safetensors_count(file); i++) {
            const safetensors_entry *e = safetensors_at(file, i);
            size_t shape[8] = {0};
            memcpy(shape, e->shape, e->rank * sizeof *shape);
            bool pool = text_starts_with(e->name, "pool_");
            if (pool) shape[0] = places;
            if (!pass) safetensors_declare(w, e->name, e->type, e->rank, shape);
            if (!pass) continue;
            for (size_t k = 0; k < most; k++) values[k] = NAN;
            TRY(safetensors_read_f32(file, e, values, &b->err));
            TRY(safetensors_put_f32(w, values, pool ? most : e->count, &b->err));
        }
        for (size_t i = 0; !pass && i < safetensors_metadata_count(file); i++) {
            safetensors_metadata m = safetensors_metadata_at(file, i);
            if (strcmp(m.key, "data_xxh64") != 0) safetensors_set_metadata(w, m.key, m.value);
        }
        if (!pass) TRY(safetensors_begin(w, target, &b->err));
    }
    free(values);
    safetensors_close(file);
    return safetensors_commit(w, &b->err);
}

static size_t pool_places(bench *b, const char *name)
{
    char path[160];
    safetensors_file *file;
    path_of(b, name, path, sizeof path);
    if (safetensors_open(path, &file, &b->err) != STATUS_OK) return 0;
    const safetensors_entry *pool = safetensors_find(file, "pool_b");
    size_t places = pool ? pool->shape[0] : 0;
    safetensors_close(file);
    return places;
}

/* A state has the places of its pools that are filled; one of an older program, with all places, is read too. */
static void states_hold_filled_pools_alone(test *t)
{
    bench b;
    REQUIRE(t, set_up(&b, ""));
    static const char *const all[] = {"train.pool_size=5", NULL};
    static const char *const three[] = {"train.pool_size=5", "train.steps=3", NULL};
    static const char latest[] = "run/checkpoints/latest.safetensors";
    REQUIRE_OK(t, train(&b, "whole", false, all), b.err);
    REQUIRE_OK(t, train(&b, "run", false, three), b.err);
    CHECK(t, pool_places(&b, latest) == 3 && pool_places(&b, "whole/checkpoints/latest.safetensors") == 5);
    REQUIRE_OK(t, write_whole_pools(&b, latest, "run/checkpoints/older.safetensors", 5), b.err);
    REQUIRE_OK(t, train(&b, "run", true, all), b.err);
    compare_files(t, &b, "whole/checkpoints/latest.safetensors", latest);
    move(t, &b, "run/checkpoints/older.safetensors", latest);
    CHECK(t, pool_places(&b, latest) == 5);
    REQUIRE_OK(t, train(&b, "run", true, all), b.err);
    compare_files(t, &b, "whole/checkpoints/latest.safetensors", latest);
    REQUIRE_OK(t, train(&b, "other", false, three), b.err);
    REQUIRE_OK(t, write_whole_pools(&b, "other/checkpoints/latest.safetensors", latest, 4), b.err);
    move(t, &b, "run/checkpoints/previous.safetensors", "elsewhere.safetensors");
    CHECK(t, train(&b, "run", true, all) == STATUS_FAILED);
    CHECK_CONTAINS(t, b.err.message, "tensor pool_a has the shape 4x16x16x3, expected 3x16x16x3");
    tear_down(&b);
}

static size_t said(const bench *b, char *out, size_t size)
{
    rewind(b->messages);
    size_t used = fread(out, 1, size - 1, b->messages);
    out[used] = '\0';
    return used;
}

/* After a fallback the generators are newer than the state: they are written again. A run that has more steps than are
 * asked for stays as it is. */
static void what_lies_beside_an_older_state_fits_it(test *t)
{
    bench b;
    char words[4096];
    REQUIRE(t, set_up(&b, ""));
    REQUIRE_OK(t, train(&b, "whole", false, NULL), b.err);
    static const char *const three[] = {"train.steps=3", NULL}, *const four[] = {"train.steps=4", "output.checkpoint_every=9", NULL};
    REQUIRE_OK(t, train(&b, "run", false, three), b.err);
    REQUIRE_OK(t, train(&b, "other", false, NULL), b.err);
    move(t, &b, "other/checkpoints/generator_a.safetensors", "run/checkpoints/generator_a.safetensors");
    char sheet[160];
    path_of(&b, "run/samples/step_00000003.png", sheet, sizeof sheet);
    CHECK(t, unlink(sheet) == 0); /* as if killed after the checkpoint and before the sheet */
    volatile sig_atomic_t stop = 1;
    char folder[128];
    path_of(&b, "run", folder, sizeof folder);
    training_request request = {.config_path = b.config, .out = folder, .stop = &stop, .resume = true};
    CHECK(t, training_train(&request, &gan_trainer, &b.log, &b.err) == STATUS_INTERRUPTED);
    CHECK(t, file_exists(sheet));
    REQUIRE_OK(t, train(&b, "short", false, three), b.err);
    compare_files(t, &b, "short/checkpoints/generator_a.safetensors", "run/checkpoints/generator_a.safetensors");

    char *before, *after;
    size_t size;
    path_of(&b, "whole/config.yaml", folder, sizeof folder);
    REQUIRE_OK(t, file_read_all(folder, 1 << 16, &before, &size, &b.err), b.err);
    REQUIRE_OK(t, train(&b, "whole", true, four), b.err);
    REQUIRE_OK(t, file_read_all(folder, 1 << 16, &after, &size, &b.err), b.err);
    CHECK_TEXT(t, after, before);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "the run has done 6 steps and the config asks for 4: it is left as it is");
    free(before);
    free(after);
    tear_down(&b);
}

static void changed_folders_are_told(test *t)
{
    bench b;
    char words[4096], path[160];
    REQUIRE(t, set_up(&b, ""));
    static const char *const three[] = {"train.steps=3", NULL};
    REQUIRE_OK(t, train(&b, "run", false, three), b.err);
    path_of(&b, "a/2.png", path, sizeof path);
    CHECK(t, unlink(path) == 0);
    move(t, &b, "b/3.png", "b/4.png");
    REQUIRE_OK(t, train(&b, "run", true, NULL), b.err);
    said(&b, words, sizeof words);
    CHECK_CONTAINS(t, words, "domain snacks: 2 pictures, were 3: the order of pictures from here on differs");
    CHECK_CONTAINS(t, words, "domain fractals: 4 pictures, as many, but with other names: the order");
    tear_down(&b);
}

static void resuming_removes_temporary_files(test *t)
{
    bench b;
    char path[160];
    REQUIRE(t, set_up(&b, ""));
    static const char *const three[] = {"train.steps=3", NULL};
    static const char *const left[] = {"run/.config.yaml.a1b2c3.part", "run/samples/.step_00000003.png.zzzzzz.part",
                                       "run/checkpoints/.next.safetensors.000000.part"};
    static const char *const others[] = {"run/x.a1b2c3.part", "run/.x.part", "run/checkpoints/.x.A1b2c3.part", "run/.x.a1b2c3.par"};
    REQUIRE_OK(t, train(&b, "run", false, three), b.err);
    for (size_t i = 0; i < 3 + 4; i++) {
        path_of(&b, i < 3 ? left[i] : others[i - 3], path, sizeof path);
        REQUIRE_OK(t, file_write_all(path, "x", 1, &b.err), b.err);
    }
    REQUIRE_OK(t, train(&b, "run", true, three), b.err);
    for (size_t i = 0; i < 3; i++) CHECK(t, !there(&b, left[i]));
    for (size_t i = 0; i < 4; i++) CHECK(t, there(&b, others[i]));
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

/* A generator is no state to go on from. */
static void a_generator_cannot_be_resumed(test *t)
{
    bench b;
    char from[160], to[160];
    REQUIRE(t, set_up(&b, ""));
    static const char *const short_run[] = {"train.steps=1", NULL};
    REQUIRE_OK(t, train(&b, "run", false, short_run), b.err);
    path_of(&b, "run/checkpoints/generator_a.safetensors", from, sizeof from);
    path_of(&b, "run/checkpoints/latest.safetensors", to, sizeof to);
    REQUIRE(t, rename(from, to) == 0);
    path_of(&b, "run/checkpoints/previous.safetensors", from, sizeof from);
    REQUIRE(t, unlink(from) == 0);
    CHECK(t, train(&b, "run", true, NULL) == STATUS_FAILED);
    CHECK_CONTAINS(t, b.err.message, "latest.safetensors: metadata 'kind': expected training_state, found generator");
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

TEST_MAIN(TEST(a_run_leaves_its_files), TEST(resume_continues_bit_for_bit), TEST(refusals_are_clear),
          TEST(unfinished_renames_are_finished), TEST(states_hold_filled_pools_alone), TEST(what_lies_beside_an_older_state_fits_it), TEST(changed_folders_are_told),
          TEST(resuming_removes_temporary_files), TEST(files_of_others_survive), TEST(a_generator_cannot_be_resumed),
          TEST(a_run_is_locked), TEST(a_stop_saves), TEST(flat_pictures_stay_finite), TEST(a_state_is_a_start), TEST(tells_before_the_first_step),
          TEST(doubtful_pictures_are_named), TEST(the_pixel_limit_is_adjustable),
          TEST(every_option_trains))
