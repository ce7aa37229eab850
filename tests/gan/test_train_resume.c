/* The training command resumed: bit for bit, after what kills and older programs leave, and what is told then. */
#include "base/text.h"
#include "gan/training.h"
#include "nn/safetensors.h"

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

static void move(test *t, const bench *b, const char *from, const char *to)
{
    char paths[2][160];
    path_of(b, from, paths[0], sizeof paths[0]);
    path_of(b, to, paths[1], sizeof paths[1]);
    CHECK(t, rename(paths[0], paths[1]) == 0);
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

TEST_MAIN(TEST(resume_continues_bit_for_bit), TEST(unfinished_renames_are_finished),
          TEST(states_hold_filled_pools_alone), TEST(what_lies_beside_an_older_state_fits_it),
          TEST(changed_folders_are_told), TEST(resuming_removes_temporary_files), TEST(a_generator_cannot_be_resumed))
