/* Folders of pictures: names, collisions, what exists already, the manifest, damaged pictures. */
#include <signal.h>
#include <sys/stat.h>

#include "../stop.h"
#include "folder_run.h"

static void keeps_paths(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 20, 12, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/deep/er/2.JPG"), 9, 31, 2);
    fixture_picture(&r.f, fixture_path(&r.f, "alone.png"), 5, 5, 3);
    REQUIRE_OK(t, translate(&r, "in", "alone.png", "made/out"), r.f.err);
    check_counts(t, &r, 3, 0, 0, 0);
    CHECK_CONTAINS(t, r.lines, "3 pictures in ");
    CHECK(t, there(&r, "made/out/1.png") && there(&r, "made/out/alone.png"));
    image in = {0}, expected = {0}, out = {0};
    REQUIRE_OK(t, image_read(fixture_path(&r.f, "in/1.png"), NULL, &in, &r.f.err), r.f.err);
    REQUIRE_OK(t, translate_image(r.t, &in, &expected, &r.f.err), r.f.err);
    REQUIRE_OK(t, image_read(fixture_path(&r.f, "made/out/1.png"), NULL, &out, &r.f.err), r.f.err);
    CHECK(t, out.width == 20 && out.height == 12 && memcmp(out.pixels, expected.pixels, 20 * 12 * 3) == 0);
    image_free(&in);
    image_free(&expected);
    image_free(&out);
    char *bytes = NULL;
    size_t size;
    REQUIRE_OK(t, file_read_all(fixture_path(&r.f, "made/out/deep/er/2.JPG"), 1 << 20, &bytes, &size, &r.f.err),
               r.f.err);
    CHECK(t, size > 2 && (unsigned char)bytes[0] == 0xff && (unsigned char)bytes[1] == 0xd8);
    free(bytes);
    run_end(&r);
}

static void changes_formats(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.jpg"), 8, 8, 2);
    fixture_picture(&r.f, fixture_path(&r.f, "in/b.jpeg"), 8, 8, 3);
    r.request.format = IMAGE_PNG;
    REQUIRE_OK(t, translate(&r, "in", NULL, "png"), r.f.err);
    CHECK(t, there(&r, "png/a.png.png") && there(&r, "png/a.jpg.png") && there(&r, "png/b.png"));
    CHECK(t, !there(&r, "png/a.png") && !there(&r, "png/b.jpeg"));
    r.request.format = IMAGE_JPEG;
    REQUIRE_OK(t, translate(&r, "in", NULL, "jpeg"), r.f.err);
    CHECK(t, there(&r, "jpeg/a.png.jpg") && there(&r, "jpeg/a.jpg.jpg") && there(&r, "jpeg/b.jpeg"));
    /* A full name that another input has already. */
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.png.png"), 8, 8, 1);
    r.request.format = IMAGE_PNG;
    CHECK(t, translate(&r, "in", NULL, "none") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "would both become a.png.png");
    CHECK(t, !there(&r, "none"));
    run_end(&r);
}

static void refuses_collisions(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "one/x/a.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "two/x/a.png"), 8, 8, 2);
    CHECK(t, translate(&r, "one", "two", "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "one/x/a.png and ");
    CHECK_CONTAINS(t, r.f.err.message, "two/x/a.png would both become x/a.png");
    CHECK(t, !there(&r, "out"));
    /* The same file twice is one picture. */
    REQUIRE_OK(t, translate(&r, "one", "one", "out"), r.f.err);
    check_counts(t, &r, 1, 0, 0, 0);
    run_end(&r);
}

static void never_overwrites_inputs(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/b.png"), 8, 8, 2);
    r.request.overwrite = true;
    CHECK(t, translate(&r, "in", NULL, "in") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "/in: the folder is input and output");
    CHECK(t, translate(&r, "in/a.png", NULL, "in") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "would overwrite the input");
    /* By another name. */
    mkdir(fixture_path(&r.f, "out"), 0777);
    if (link(fixture_path(&r.f, "in/b.png"), fixture_path(&r.f, "out/a.png")) != 0) perror("link");
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "in/b.png");
    CHECK(t, !there(&r, "in/.cyclegan-manifest.json") && !there(&r, "out/.cyclegan-manifest.json"));
    run_end(&r);
}

static void passes_over_its_own_results(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/output.png"), 8, 8, 1); /* begins as the folder does */
    REQUIRE_OK(t, translate(&r, "in", NULL, "in/out"), r.f.err);
    check_counts(t, &r, 2, 0, 0, 0);
    REQUIRE_OK(t, translate(&r, "in", NULL, "in/out"), r.f.err);
    check_counts(t, &r, 0, 2, 0, 0);
    CHECK_CONTAINS(t, r.lines, "not translating what is in the output folder");
    CHECK(t, !there(&r, "in/out/out"));
    run_end(&r);
}

static void reports_bad_pictures(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    file_write_all(fixture_path(&r.f, "in/2.png"), "\x89PNG\r\n\x1a\nrubbish", 15, &r.f.err);
    fixture_picture(&r.f, fixture_path(&r.f, "in/3.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/4/x.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/5.png"), 8, 8, 1);
    mkdir(fixture_path(&r.f, "out"), 0777);
    file_write_all(fixture_path(&r.f, "out/4"), "a file", 6, &r.f.err); /* where a folder is needed */
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "2 of 5 pictures failed");
    CHECK_CONTAINS(t, r.lines, "in/2.png");
    CHECK_CONTAINS(t, r.lines, "out/4");
    check_counts(t, &r, 3, 0, 0, 2);
    CHECK(t, there(&r, "out/1.png") && !there(&r, "out/2.png") && there(&r, "out/3.png") && there(&r, "out/5.png"));
    run_end(&r);
}

static void skips_what_it_made(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.jpg"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/50%% \xff.png"), 8, 8, 2); /* no UTF-8 */
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 2, 0, 0);
    CHECK_CONTAINS(t, r.lines, "0 pictures in");
    CHECK_CONTAINS(t, r.lines, "2 there already");
    fixture_picture(&r.f, fixture_path(&r.f, "in/2.png"), 8, 8, 2);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 1, 2, 0, 0);
    r.request.quality = 50; /* which matters to the JPEG alone */
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 2, 1, 0);
    CHECK_CONTAINS(t, r.lines, "1.jpg: left alone: it was made by another model or with other options");
    r.request.overwrite = true;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 3, 0, 0, 0);
    r.request.overwrite = false;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 3, 0, 0);
    unlink(fixture_path(&r.f, "out/2.png"));
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.jpg"), 9, 9, 1);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 1, 1, 1, 0);
    CHECK_CONTAINS(t, r.lines, "1.jpg: left alone: its input has changed");
    run_end(&r);
}

static void tells_models_apart(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    translator_destroy(r.t);
    const char *other = fixture_path(&r.f, "other.safetensors");
    fixture_save(&r.f, other, &tiny, 2, (char *)NULL);
    REQUIRE_OK(t, translator_create(r.f.backend, other, NULL, &r.t, &r.f.err), r.f.err);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 0, 1, 0);
    run_end(&r);
}

static void survives_a_damaged_manifest(test *t)
{
    static const char *const damaged[] = {"", "{\"cyclegan_manifest\": 1, \"pict", "[1, 2]", "{}",
                                          "{\"cyclegan_manifest\": 9, \"pictures\": {}}",
                                          "{\"cyclegan_manifest\": 1, \"pictures\": 3}"};
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "out/1.png"), 8, 8, 1);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    CHECK_CONTAINS(t, r.lines, "not made by this program");
    check_counts(t, &r, 0, 0, 1, 0);
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        const char *path = fixture_path(&r.f, "out/.cyclegan-manifest.json");
        REQUIRE_OK(t, file_write_all(path, damaged[i], strlen(damaged[i]), &r.f.err), r.f.err);
        REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
        check_counts(t, &r, 0, 0, 1, 0);
        CHECK_CONTAINS(t, r.lines, "warning: ");
        CHECK_CONTAINS(t, r.lines, "damaged");
    }
    /* Entries that are none are unknown pictures. */
    const char odd[] = "{\"cyclegan_manifest\": 1, \"pictures\": {\"1.png\": [7]}}";
    REQUIRE_OK(t, file_write_all(fixture_path(&r.f, "out/.cyclegan-manifest.json"), odd, sizeof odd - 1, &r.f.err),
               r.f.err);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 0, 1, 0);
    r.request.overwrite = true;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    r.request.overwrite = false;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 1, 0, 0);
    run_end(&r);
}

static void stops_when_asked(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    stop = 1;
    r.request.stop = &stop;
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_INTERRUPTED);
    CHECK_CONTAINS(t, r.f.err.message, "0 of 1 pictures");
    check_counts(t, &r, 0, 0, 0, 0);
    stop_never();
    run_end(&r);
}

/* At any moment: what is there is whole and on record, and what is not there is made by the next run, as if it had not begun. */
static void a_stop_leaves_nothing_half_done(test *t)
{
    enum { PICTURES = 3, TIMES = 8 };
    run r = run_begin(1);
    if (strcmp(r.f.backend->interface->name, "cpu") != 0) {
        run_end(&r);
        SKIP(t, "an emulated device takes minutes for pictures that take a while to encode");
    }
    for (unsigned i = 0; i < PICTURES; i++)
        fixture_picture(&r.f, fixture_path(&r.f, "in/%u.png", i), 500, 400, i);
    r.request.format = IMAGE_WEBP;
    r.request.quality = 100;
    r.request.stop = &stop;
    double begin = stop_clock();
    REQUIRE_OK(t, translate(&r, "in", NULL, "whole"), r.f.err);
    double whole = stop_clock() - begin;
    for (int k = 0; k < TIMES; k++) {
        char out[16];
        size_t made = 0;
        snprintf(out, sizeof out, "out%d", k);
        stop_after(whole * (k + 0.5) / TIMES);
        status result = translate(&r, "in", NULL, out);
        stop_never();
        CHECK(t, result == STATUS_INTERRUPTED || result == STATUS_OK);
        for (int i = 0; i < PICTURES; i++) {
            image picture;
            const char *path = fixture_path(&r.f, "%s/%d.webp", out, i);
            if (!file_exists(path)) continue;
            REQUIRE_OK(t, image_read(path, NULL, &picture, &r.f.err), r.f.err);
            image_free(&picture);
            made++;
        }
        check_counts(t, &r, made, 0, 0, 0);
        REQUIRE_OK(t, translate(&r, "in", NULL, out), r.f.err);
        check_counts(t, &r, PICTURES - made, made, 0, 0);
    }
    run_end(&r);
}

static void refuses_odd_places(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    mkdir(fixture_path(&r.f, "empty"), 0777);
    CHECK(t, translate(&r, "in", NULL, "cat.png") == STATUS_USAGE);
    CHECK(t, translate(&r, "in", NULL, "model.safetensors") == STATUS_USAGE);
    CHECK_CONTAINS(t, r.f.err.message, "must be a folder");
    CHECK(t, translate(&r, "absent", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.lines, "absent: cannot read: No such file");
    CHECK_CONTAINS(t, r.f.err.message, "no pictures");
    CHECK(t, translate(&r, "empty", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "no pictures");
    CHECK(t, !there(&r, "out") && !there(&r, "cat.png"));
    run_end(&r);
}

/* Whether the cell at (column, row) of a sheet holds a picture: its middle is not the background. */
static bool cell_filled(const image *sheet, size_t left, size_t column, size_t row)
{
    const uint8_t *p = sheet->pixels + ((row * 148 + 4 + 72) * sheet->width + left + column * 148 + 4 + 72) * 3;
    return p[0] != 236 || p[1] != 236 || p[2] != 236;
}

static void writes_a_sheet(test *t)
{
    enum { PICTURES = 43, TITLES = (6 * 6 - 1) * 2 + 24 }; /* the margin of "output" */
    run r = run_begin(1);
    for (uint64_t i = 0; i < PICTURES; i++)
        fixture_picture(&r.f, fixture_path(&r.f, "in/%d.png", (int)i), 8, 8, i + 1);
    r.request.sheet = strdup(fixture_path(&r.f, "sheets/sheet.png"));
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    CHECK_CONTAINS(t, r.lines, "contact sheet: ");
    image sheet = {0};
    REQUIRE_OK(t, image_read(r.request.sheet, NULL, &sheet, &r.f.err), r.f.err);
    CHECK(t, sheet.width == TITLES + 4 + 10 * 148 && sheet.height == 4 + 8 * 148); /* 40 of the 43 */
    for (size_t i = 0; i < 80; i++) CHECK(t, cell_filled(&sheet, TITLES, i % 10, i / 10));
    image_free(&sheet);
    /* Of what is there already too, but not of what failed. */
    for (int i = 3; i < PICTURES; i++) unlink(fixture_path(&r.f, "in/%d.png", i));
    file_write_all(fixture_path(&r.f, "in/bad.png"), "rubbish", 7, &r.f.err);
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.f.err.message, "1 of 4 pictures failed");
    REQUIRE_OK(t, image_read(r.request.sheet, NULL, &sheet, &r.f.err), r.f.err);
    CHECK(t, sheet.width == TITLES + 4 + 3 * 148 && sheet.height == 4 + 2 * 148);
    image_free(&sheet);
    free((char *)r.request.sheet);
    run_end(&r);
}

static void refuses_odd_sheets(test *t)
{
    static const struct {
        const char *sheet, *message;
    } cases[] = {{"sheet.gif", "is .png, .jpg, .jpeg or .webp"}, {"in/1.png", "would overwrite the input"},
                 {"out/1.png", "would overwrite the result of"}};
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 8, 8, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *path = strdup(fixture_path(&r.f, "%s", cases[i].sheet));
        r.request.sheet = path;
        CHECK(t, translate(&r, "in", NULL, "out") == STATUS_USAGE);
        CHECK_CONTAINS(t, r.f.err.message, cases[i].message);
        CHECK(t, !there(&r, "out/1.png"));
        free(path);
    }
    r.request.sheet = NULL;
    run_end(&r);
}

TEST_MAIN(TEST(keeps_paths), TEST(changes_formats), TEST(refuses_collisions), TEST(never_overwrites_inputs),
          TEST(passes_over_its_own_results), TEST(reports_bad_pictures), TEST(skips_what_it_made),
          TEST(tells_models_apart), TEST(survives_a_damaged_manifest), TEST(stops_when_asked),
          TEST(a_stop_leaves_nothing_half_done), TEST(refuses_odd_places), TEST(writes_a_sheet), TEST(refuses_odd_sheets))
