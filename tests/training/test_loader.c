#include "training/loader.h"

#include "image/prefetch.h"
#include "pictures.h"

enum { A = 7, B = 4, SIDE = 16 };

/* Domain a: 7 pictures of colours 0, 10, ... in the first channel; b: 4. */
typedef struct fixture {
    workplace place;
    char a[96], b[96];
    training_options options;
    training_loader *loader;
    error err;
} fixture;

static bool set_up(fixture *f, int64_t batch, int64_t cache_mb)
{
    *f = (fixture){0};
    if (!workplace_create(&f->place)) return false;
    if (!workplace_pictures(&f->place, "a", A, 20, 20, 100)) return false;
    if (!workplace_pictures(&f->place, "b", B, 20, 20, 200)) return false;
    snprintf(f->a, sizeof f->a, "%s/a", f->place.root);
    snprintf(f->b, sizeof f->b, "%s/b", f->place.root);
    f->options = (training_options){.domains = {{f->a, f->a, NULL}, {f->b, f->b, NULL}},
                                    .load_size = 20, .crop_size = SIDE, .flip = true, .cache_mb = cache_mb,
                                    .batch_size = batch, .seed = 5};
    return training_loader_create(&f->options, &f->loader, &f->err) == STATUS_OK;
}

static void tear_down(fixture *f)
{
    training_loader_destroy(f->loader);
    workplace_remove(&f->place);
}

/* Number of the picture that a batch's first pixel shows. */
static int picture(const uint8_t *pixels) { return pixels[0] / 10; }

static void an_epoch_shows_each_once(test *t)
{
    fixture f;
    REQUIRE(t, set_up(&f, 1, 64));
    CHECK(t, training_loader_steps_per_epoch(f.loader) == A);
    CHECK(t, training_loader_slot_bytes(f.loader) == 2 * SIDE * SIDE * 3);
    uint8_t *slot = malloc(training_loader_slot_bytes(f.loader));
    int orders[2][A], drawn[B] = {0};
    for (uint64_t step = 0; step < 2 * A; step++) {
        REQUIRE_OK(t, training_loader_produce(f.loader, step, slot, &f.err), f.err);
        orders[step / A][step % A] = picture(slot);
        int b = picture(slot + SIDE * SIDE * 3);
        REQUIRE(t, b >= 0 && b < B);
        drawn[b]++;
        CHECK(t, slot[1] == 100);
        CHECK(t, slot[SIDE * SIDE * 3 + 1] == 200);
    }
    for (int epoch = 0; epoch < 2; epoch++) {
        int seen[A] = {0};
        for (int i = 0; i < A; i++) {
            REQUIRE(t, orders[epoch][i] >= 0 && orders[epoch][i] < A);
            seen[orders[epoch][i]]++;
        }
        for (int i = 0; i < A; i++) CHECK(t, seen[i] == 1);
    }
    CHECK(t, memcmp(orders[0], orders[1], sizeof orders[0]) != 0);
    free(slot);
    tear_down(&f);
}

/* A batch depends on its step alone: not on what was made before, nor on the cache. */
static void a_step_is_a_function(test *t)
{
    fixture f, g;
    REQUIRE(t, set_up(&f, 2, 64));
    REQUIRE(t, set_up(&g, 2, 0));
    size_t bytes = training_loader_slot_bytes(f.loader);
    uint8_t *x = malloc(bytes), *y = malloc(bytes);
    for (uint64_t step = 0; step < 20; step++) {
        REQUIRE_OK(t, training_loader_produce(f.loader, step, x, &f.err), f.err);
        REQUIRE_OK(t, training_loader_produce(g.loader, 19 - step, y, &g.err), g.err);
        REQUIRE_OK(t, training_loader_produce(g.loader, step, y, &g.err), g.err);
        CHECK(t, memcmp(x, y, bytes) == 0);
    }
    free(x);
    free(y);
    tear_down(&f);
    tear_down(&g);
}

/* Threads meet at the cache and at the change of epochs. */
static void threads_make_the_same_batches(test *t)
{
    enum { STEPS = 60 };
    fixture f, g;
    REQUIRE(t, set_up(&f, 2, 64));
    REQUIRE(t, set_up(&g, 2, 64));
    size_t bytes = training_loader_slot_bytes(f.loader);
    uint8_t *expected = malloc(bytes);
    prefetch *p;
    REQUIRE_OK(t, prefetch_create(&(prefetch_options){.produce = training_loader_produce, .context = f.loader,
                                                      .slot_bytes = bytes, .depth = 8, .threads = 4, .end = STEPS},
                                  &p, &f.err), f.err);
    for (uint64_t step = 0; step < STEPS; step++) {
        const void *made;
        REQUIRE_OK(t, prefetch_take(p, &made, &f.err), f.err);
        REQUIRE_OK(t, training_loader_produce(g.loader, step, expected, &g.err), g.err);
        CHECK(t, memcmp(made, expected, bytes) == 0);
        prefetch_release(p);
    }
    prefetch_destroy(p);
    free(expected);
    tear_down(&f);
    tear_down(&g);
}

static void crops_and_flips_vary(test *t)
{
    fixture f;
    REQUIRE(t, set_up(&f, 1, 64));
    workplace_pictures(&f.place, "a", 1, 20, 20, -1); /* picture 0 becomes noise: each crop is another */
    uint8_t *slot = malloc(training_loader_slot_bytes(f.loader)), first[64];
    size_t different = 0, count = 0;
    for (uint64_t step = 0; step < 100; step++) {
        REQUIRE_OK(t, training_loader_produce(f.loader, step, slot, &f.err), f.err);
        bool noise = slot[1] != slot[2];
        if (!noise) continue;
        different += count > 0 && !(first[count - 1] == slot[0]);
        if (count < 64) first[count++] = slot[0];
    }
    CHECK(t, count > 10 && different > count / 2);
    free(slot);
    tear_down(&f);
}

/* Colours under alpha 0 are trained on like others, as without alpha. */
static void alpha_is_dropped(test *t)
{
    workplace place;
    REQUIRE(t, workplace_create(&place));
    uint8_t slots[2][2 * SIDE * SIDE * 3];
    for (int with = 0; with < 2; with++) {
        char folder[96], path[120];
        image picture = {0};
        error err = {0};
        training_loader *loader;
        snprintf(folder, sizeof folder, "%s/%d", place.root, with);
        snprintf(path, sizeof path, "%s/x.png", folder);
        REQUIRE_OK(t, file_make_folders(folder, &err), err);
        REQUIRE_OK(t, image_create(&picture, 40, 40, &err), err);
        for (size_t i = 0; i < (size_t)40 * 40 * 3; i++) picture.pixels[i] = (uint8_t)(i * 5 % 241);
        if (with) {
            picture.alpha = malloc((size_t)40 * 40);
            for (size_t i = 0; i < (size_t)40 * 40; i++) picture.alpha[i] = i % 3 ? 255 : 0;
        }
        REQUIRE_OK(t, image_write(path, &picture, NULL, &err), err);
        image_free(&picture);
        training_options o = {.domains = {{folder, folder, NULL}, {folder, folder, NULL}}, .load_size = SIDE,
                              .crop_size = SIDE, .cache_mb = 1, .batch_size = 1};
        REQUIRE_OK(t, training_loader_create(&o, &loader, &err), err);
        REQUIRE_OK(t, training_loader_produce(loader, 0, slots[with], &err), err);
        training_loader_destroy(loader);
    }
    CHECK(t, memcmp(slots[0], slots[1], sizeof slots[0]) == 0);
    workplace_remove(&place);
}

static void fits(test *t)
{
    workplace place;
    REQUIRE(t, workplace_create(&place));
    REQUIRE(t, workplace_pictures(&place, "wide", 1, 60, 30, 50));
    char folder[96];
    snprintf(folder, sizeof folder, "%s/wide", place.root);
    training_options o = {.domains = {{folder, folder, NULL}, {folder, folder, NULL}}, .load_size = 20, .crop_size = 20,
                          .batch_size = 1};
    error err = {0};
    uint8_t slot[2 * 32 * 32 * 3];
    training_loader *loader;
    for (int fit = TRAINING_SQUASH; fit <= TRAINING_AS_IS; fit++) {
        o.fit = fit;
        REQUIRE_OK(t, training_loader_create(&o, &loader, &err), err);
        REQUIRE_OK(t, training_loader_produce(loader, 0, slot, &err), err);
        REQUIRE_OK(t, training_loader_sample(loader, 1, 0, 1, slot, &err), err);
        CHECK_NEAR(t, slot[1], 50, 2);
        training_loader_destroy(loader);
    }
    o.crop_size = 32; /* more than the picture's 30 rows */
    REQUIRE_OK(t, training_loader_create(&o, &loader, &err), err);
    CHECK(t, training_loader_produce(loader, 0, slot, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "none of the 1 pictures beside");
    FILE *messages = tmpfile();
    log_sink log = log_create(messages, true);
    training_loader_report(loader, &log);
    training_loader_report(loader, &log); /* once */
    char lines[512] = "";
    rewind(messages);
    size_t length = fread(lines, 1, sizeof lines - 1, messages);
    fclose(messages);
    CHECK_CONTAINS(t, lines, "60x30 is smaller than the crop of 32");
    CHECK(t, length > 0 && strchr(lines, '\n') == lines + length - 1);
    training_loader_destroy(loader);
    workplace_remove(&place);
}

/* The picture after a damaged one takes its place, whatever was loaded before. */
static void damaged_pictures_are_left_out(test *t)
{
    fixture f;
    REQUIRE(t, set_up(&f, 1, 64));
    char path[160];
    snprintf(path, sizeof path, "%s/2.png", f.a);
    REQUIRE_OK(t, file_write_all(path, "no picture", 10, &f.err), f.err);
    uint8_t *slot = malloc(training_loader_slot_bytes(f.loader));
    int seen[A] = {0};
    for (uint64_t step = 0; step < A; step++) {
        REQUIRE_OK(t, training_loader_produce(f.loader, step, slot, &f.err), f.err);
        seen[picture(slot)]++;
    }
    for (int i = 0; i < A; i++) CHECK(t, seen[i] == (i == 2 ? 0 : i == 3 ? 2 : 1));
    free(slot);
    tear_down(&f);
}

static void an_empty_folder_is_an_error(test *t)
{
    workplace place;
    REQUIRE(t, workplace_create(&place));
    training_options o = {.domains = {{place.root, place.root, NULL}, {place.root, place.root, NULL}}, .batch_size = 1};
    error err = {0};
    training_loader *loader;
    CHECK(t, training_loader_create(&o, &loader, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "no pictures");
    workplace_remove(&place);
}

TEST_MAIN(TEST(an_epoch_shows_each_once), TEST(a_step_is_a_function),
          TEST(threads_make_the_same_batches), TEST(crops_and_flips_vary), TEST(fits), TEST(alpha_is_dropped), TEST(damaged_pictures_are_left_out),
         
          TEST(an_empty_folder_is_an_error))
