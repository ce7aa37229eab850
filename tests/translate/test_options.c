/* Size, format, quality and limit of folders' results; what pictures carry besides colours. */
#include "../image/pictures.h"
#include "folder_run.h"

static void save(test *t, run *r, const char *name, const image *picture, int quality)
{
    const char *path = fixture_path(&r->f, "%s", name);
    REQUIRE_OK(t, file_make_parent(path, &r->f.err), r->f.err);
    REQUIRE_OK(t, image_write(path, picture, &(image_write_options){.quality = quality}, &r->f.err), r->f.err);
}

static image load(test *t, run *r, const char *name)
{
    image picture = {0};
    error err = {0};
    if (image_read(fixture_path(&r->f, "%s", name), NULL, &picture, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    return picture;
}

/* Whether a picture in the folder "out" is what resizing to width x height and translating gives. */
static void check_resized(test *t, run *r, const char *name, size_t width, size_t height)
{
    char path[64];
    image in, small = {0}, expected = {0}, out;
    snprintf(path, sizeof path, "in/%s", name);
    in = load(t, r, path);
    snprintf(path, sizeof path, "out/%s", name);
    out = load(t, r, path);
    REQUIRE(t, in.pixels && out.pixels);
    REQUIRE_OK(t, image_resize(&in, width, height, &small, &r->f.err), r->f.err);
    REQUIRE_OK(t, translate_image(r->t, &small, &expected, &r->f.err), r->f.err);
    if (out.width != width || out.height != height)
        test_failed(t, __FILE__, __LINE__, "%s is %zux%zu", name, out.width, out.height);
    else
        CHECK(t, memcmp(out.pixels, expected.pixels, width * height * 3) == 0);
    image_free(&in);
    image_free(&small);
    image_free(&expected);
    image_free(&out);
}

static void resizes(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/wide.png"), 80, 41, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/high.png"), 10, 25, 2);
    fixture_picture(&r.f, fixture_path(&r.f, "in/square.png"), 30, 30, 3);
    fixture_picture(&r.f, fixture_path(&r.f, "in/same.png"), 16, 19, 4);
    fixture_picture(&r.f, fixture_path(&r.f, "in/line.png"), 1, 100, 5);
    r.request.size = 16;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 5, 0, 0, 0);
    check_resized(t, &r, "wide.png", 31, 16); /* 31.2 */
    check_resized(t, &r, "high.png", 16, 40);
    check_resized(t, &r, "square.png", 16, 16);
    check_resized(t, &r, "same.png", 16, 19);
    check_resized(t, &r, "line.png", 16, 1600);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 5, 0, 0);
    r.request.size = 17;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 0, 5, 0);
    CHECK_CONTAINS(t, r.lines, "made by another model or with other options");
    run_end(&r);
}

static void keeps_to_the_limit(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/1.png"), 40, 20, 1);
    r.request.max_pixels = 799;
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.lines, "in/1.png: a picture of 40x20 is over the limit of 799 pixels");
    r.request.max_pixels = 800;
    r.request.size = 21;
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.lines, "in/1.png: a picture of 42x21 is over the limit of 800 pixels");
    r.request.size = 20;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    /* The usual limit, and a size that would need terabytes. */
    fixture_picture(&r.f, fixture_path(&r.f, "in/line.png"), 1, 20000, 1);
    r.request.max_pixels = 0;
    r.request.size = 16384;
    CHECK(t, translate(&r, "in/line.png", NULL, "out2") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.lines, "a picture of 16384x327680000 is over the limit of 256000000 pixels");
    r.request.size = 8; /* few pixels, but in one line */
    CHECK(t, translate(&r, "in/line.png", NULL, "out2") == STATUS_FAILED);
    CHECK_CONTAINS(t, r.lines, "a picture of 8x160000 is over the limit of 65500 pixels a side");
    run_end(&r);
}

static void writes_webp(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.png"), 8, 8, 1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.webp"), 8, 8, 2);
    fixture_picture(&r.f, fixture_path(&r.f, "in/B.WebP"), 8, 8, 2);
    REQUIRE_OK(t, translate(&r, "in", NULL, "same"), r.f.err);
    CHECK(t, there(&r, "same/a.png") && there(&r, "same/a.webp") && there(&r, "same/B.WebP"));
    r.request.format = IMAGE_WEBP;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    CHECK(t, there(&r, "out/a.png.webp") && there(&r, "out/a.webp.webp") && there(&r, "out/B.WebP"));
    char *bytes = NULL;
    size_t size = 0;
    REQUIRE_OK(t, file_read_all(fixture_path(&r.f, "out/a.png.webp"), 1 << 20, &bytes, &size, &r.f.err), r.f.err);
    CHECK(t, size > 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0);
    free(bytes);
    r.request.quality = 100;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 0, 3, 0);
    r.request.format = IMAGE_UNKNOWN;
    REQUIRE_OK(t, translate(&r, "in", NULL, "same"), r.f.err);
    check_counts(t, &r, 0, 1, 2, 0); /* quality is nothing to PNG */
    run_end(&r);
}

/* Of two precisions, pictures are told apart, and one of fp32 comes back as it was. */
static void tells_precisions_apart(test *t)
{
    run r = run_begin(1);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.png"), 32, 32, 1);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    if (translator_set_precision(r.t, NN_BF16, NULL) != STATUS_OK) {
        CHECK(t, translator_precision(r.t) == NN_FP32);
        run_end(&r);
        SKIP(t, "this CPU has no AVX512-BF16");
    }
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 0, 0, 1, 0);
    REQUIRE_OK(t, translate(&r, "in", NULL, "rounded"), r.f.err);
    REQUIRE_OK(t, translator_set_precision(r.t, NN_FP32, &r.f.err), r.f.err);
    REQUIRE_OK(t, translate(&r, "in", NULL, "again"), r.f.err);
    char *bytes[3];
    size_t size[3];
    const char *const folders[] = {"out", "again", "rounded"};
    for (size_t i = 0; i < 3; i++)
        REQUIRE_OK(t, file_read_all(fixture_path(&r.f, "%s/a.png", folders[i]), 1 << 20, &bytes[i], &size[i], &r.f.err),
                   r.f.err);
    CHECK(t, size[0] == size[1] && memcmp(bytes[0], bytes[1], size[0]) == 0);
    CHECK(t, size[0] != size[2] || memcmp(bytes[0], bytes[2], size[0]) != 0);
    for (size_t i = 0; i < 3; i++) free(bytes[i]);
    run_end(&r);
}

static void keeps_alpha_and_profile(test *t)
{
    run r = run_begin(1);
    image in = smooth_picture(40, 30, true, true), opaque = smooth_picture(40, 30, false, false);
    save(t, &r, "in/1.png", &in, 0);
    save(t, &r, "in/2.webp", &in, 100);
    save(t, &r, "in/3.png", &opaque, 0);
    r.request.quality = 100; /* lossless WebP */
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    CHECK(t, r.summary.flattened == 0 && !strstr(r.lines, "transparency"));
    static const char *const names[] = {"out/1.png", "out/2.webp"};
    for (size_t i = 0; i < 2; i++) {
        image out = load(t, &r, names[i]);
        CHECK(t, out.alpha && memcmp(out.alpha, in.alpha, 40 * 30) == 0);
        CHECK(t, out.profile && same_profile(&out, &in));
        image_free(&out);
    }
    image out = load(t, &r, "out/3.png");
    CHECK(t, out.pixels && !out.alpha && !out.profile);
    image_free(&out);
    /* Resized as the picture is. */
    image small = {0};
    REQUIRE_OK(t, image_resize(&in, 20, 15, &small, &r.f.err), r.f.err);
    r.request.size = 15;
    REQUIRE_OK(t, translate(&r, "in", NULL, "small"), r.f.err);
    out = load(t, &r, "small/1.png");
    CHECK(t, out.alpha && memcmp(out.alpha, small.alpha, 20 * 15) == 0 && out.profile && same_profile(&out, &in));
    image_free(&out);
    image_free(&small);
    image_free(&in);
    image_free(&opaque);
    run_end(&r);
}

/* JPEG has no alpha: white shows through, and a line says so. */
static void flattens_for_jpeg(test *t)
{
    run r = run_begin(1);
    image in = smooth_picture(32, 32, true, true);
    memset(in.alpha, 0, 32 * 16); /* the upper half */
    save(t, &r, "in/1.png", &in, 0);
    save(t, &r, "in/2.webp", &in, 100);
    fixture_picture(&r.f, fixture_path(&r.f, "in/3.png"), 8, 8, 1);
    r.request.format = IMAGE_JPEG;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    CHECK(t, r.summary.flattened == 2);
    CHECK_CONTAINS(t, r.lines, "warning: 2 pictures lost transparency");
    image out = load(t, &r, "out/1.jpg");
    REQUIRE(t, out.pixels);
    CHECK(t, !out.alpha && out.profile && same_profile(&out, &in));
    for (size_t i = 0; i < 32 * 8 * 3; i++) CHECK(t, out.pixels[i] > 245);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    CHECK(t, r.summary.flattened == 0 && !strstr(r.lines, "transparency"));
    image_free(&out);
    image_free(&in);
    run_end(&r);
}

/* Transparent parts of pictures show the sheet's background. */
static void sheets_show_alpha(test *t)
{
    run r = run_begin(1);
    image in = smooth_picture(144, 144, true, false);
    memset(in.alpha, 0, 144 * 144);
    save(t, &r, "in/1.png", &in, 0);
    char sheet_path[128];
    snprintf(sheet_path, sizeof sheet_path, "%s/sheet.webp", r.f.folder);
    r.request.sheet = sheet_path;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    image sheet = load(t, &r, "sheet.webp");
    REQUIRE(t, sheet.pixels);
    for (size_t y = 4; y < sheet.height - 4; y++)
        for (size_t x = sheet.width - 148; x < sheet.width - 4; x++)
            CHECK(t, abs(sheet.pixels[(y * sheet.width + x) * 3] - 236) < 4);
    image_free(&sheet);
    image_free(&in);
    run_end(&r);
}

/* What a result takes to be written counts, and counts before the work is done. */
static void refuses_what_cannot_be_written(test *t)
{
    run r = run_begin(4);
    fixture_picture(&r.f, fixture_path(&r.f, "in/a.png"), 800, 700, 1);
    r.request.max_memory = 64 << 20;
    r.request.format = IMAGE_WEBP;
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    check_counts(t, &r, 0, 0, 0, 1);
    CHECK_CONTAINS(t, r.lines, "in/a.png: to be written as WebP: a picture of 800x700 needs --max-memory of ");
    CHECK(t, !there(&r, "out/a.webp"));
    r.request.format = IMAGE_PNG;
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 1, 0, 0, 0);
    run_end(&r);
}

/* Of what a message asks for, in bytes; 0 where it asks for none. */
static size_t asked_for(const char *lines)
{
    const char *words = "needs --max-memory of ", *found = strstr(lines, words);
    char *unit;
    if (!found) return 0;
    double number = strtod(found + strlen(words), &unit);
    return (size_t)(number * (strncmp(unit, " GiB", 4) == 0 ? 1 << 30 : strncmp(unit, " MiB", 4) == 0 ? 1 << 20 : 0));
}

/* Who raises the limit to what a refusal asks for is not refused again. */
static void asks_for_what_suffices(test *t)
{
    static const image_format formats[] = {IMAGE_WEBP, IMAGE_PNG, IMAGE_JPEG};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        run r = run_begin(5);
        fixture_picture(&r.f, fixture_path(&r.f, "in/a.png"), 1600, 1200, 1);
        r.request.max_memory = 48 << 20;
        r.request.format = formats[i];
        CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
        r.request.max_memory = asked_for(r.lines);
        CHECK(t, r.request.max_memory > 0);
        REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
        run_end(&r);
    }
}

TEST_MAIN(TEST(refuses_what_cannot_be_written), TEST(asks_for_what_suffices), TEST(resizes), TEST(keeps_to_the_limit), TEST(writes_webp),
          TEST(tells_precisions_apart), TEST(keeps_alpha_and_profile), TEST(flattens_for_jpeg), TEST(sheets_show_alpha))
