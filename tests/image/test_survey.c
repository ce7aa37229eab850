#include "image/survey.h"

#include <unistd.h>

#include "base/file.h"
#include "test.h"

typedef struct folder {
    char path[64], names[4][256];
    int next;
    error err;
} folder;

static folder folder_begin(void)
{
    folder f = {.path = "/tmp/cyclegan-survey-XXXXXX"};
    if (!mkdtemp(f.path)) perror(f.path);
    return f;
}

static void folder_end(folder *f)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", f->path);
    if (system(command) != 0) perror(command);
}

static const char *in(folder *f, const char *name)
{
    char *path = text_join_path(f->path, name), *out = f->names[f->next++ % 4];
    strncpy(out, path, sizeof f->names[0] - 1);
    free(path);
    return out;
}

/* Every picture is another one for another seed. With a contrast below 10 it has two greys in turn, so that the
 * standard deviation is half the contrast. */
static image make(size_t width, size_t height, unsigned seed, unsigned contrast)
{
    image picture = {0};
    error err = {0};
    if (image_create(&picture, width, height, &err) != STATUS_OK) return picture;
    for (size_t i = 0; i < width * height * 3; i++)
        picture.pixels[i] = (uint8_t)(100 + (contrast < 10 ? i / 3 % 2 * contrast
                                                           : (i * i / 5 + seed * 31 + i * seed) % contrast));
    return picture;
}

static void write_picture(folder *f, const char *name, size_t width, size_t height, unsigned seed, unsigned contrast)
{
    image picture = make(width, height, seed, contrast);
    if (image_write(in(f, name), &picture, NULL, &f->err) != STATUS_OK) fprintf(stderr, "%s\n", f->err.message);
    image_free(&picture);
}

/* Puts an EXIF block with nothing but an orientation behind the JPEG's first marker. */
static void turn(folder *f, const char *name, char orientation)
{
    const char exif[] = {'\xff', '\xe1', 0, 34, 'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, '*', 0, 0, 0, 8, 0, 1,
                         1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0};
    char *bytes;
    size_t size;
    if (file_read_all(in(f, name), 1 << 20, &bytes, &size, &f->err) != STATUS_OK) return;
    char *turned = malloc(size + sizeof exif);
    memcpy(turned, bytes, 2);
    memcpy(turned + 2, exif, sizeof exif);
    memcpy(turned + 2 + sizeof exif, bytes + 2, size - 2);
    file_write_all(in(f, name), turned, size + sizeof exif, &f->err);
    free(turned);
    free(bytes);
}

static void make_folder(folder *f)
{
    write_picture(f, "01.png", 40, 30, 1, 150);
    write_picture(f, "02.png", 40, 30, 2, 5); /* 2.5, not flat yet */
    write_picture(f, "03.png", 40, 30, 1, 150); /* the first again */
    write_picture(f, "04.webp", 15, 60, 4, 150);
    write_picture(f, "05.jpg", 50, 32, 5, 150);
    turn(f, "05.jpg", 6);
    write_picture(f, "06.png", 33, 33, 6, 3);
    write_picture(f, "07.png", 40, 30, 7, 0);
    file_write_all(in(f, "08.png"), "GIF89a rubbish", 14, &f->err);
    write_picture(f, "09\x1b[2J.png", 40, 30, 1, 150); /* the first once more, under a name with an escape code */
    file_write_all(in(f, "10\n.jpg"), "", 0, &f->err);
    image soft = make(60, 40, 9, 150), again = make(60, 40, 9, 150); /* they differ in alpha alone */
    soft.alpha = malloc(60 * 40);
    memset(soft.alpha, 90, 60 * 40);
    image_write(in(f, "11.png"), &soft, NULL, &f->err);
    image_write(in(f, "12.png"), &again, NULL, &f->err);
    image_free(&soft);
    image_free(&again);
}

typedef struct expected {
    image_finding_kind kind;
    size_t item, other;
    const char *detail;
} expected;

static void check_findings(test *t, const image_survey *s, const expected *e, size_t count)
{
    CHECK(t, s->finding_count == count);
    for (size_t i = 0; i < count && i < s->finding_count; i++) {
        const image_finding *f = &s->findings[i];
        bool same = f->kind == e[i].kind && f->item == e[i].item && f->other == e[i].other;
        if (!same || strcmp(f->detail, e[i].detail) != 0)
            test_failed(t, __FILE__, __LINE__, "finding %zu is %s of %zu and %zu: %s", i, image_finding_names[f->kind],
                        f->item, f->other, f->detail);
    }
}

static void finds_what_is_wrong(test *t)
{
    static const expected all[] = {
        {IMAGE_UNREADABLE, 7, 7, "expected a PNG, JPEG or WebP picture, found a GIF"},
        {IMAGE_UNREADABLE, 9, 9, "expected a PNG, JPEG or WebP picture, found an empty file"},
        {IMAGE_DUPLICATE, 2, 0, "same as 01.png"},
        {IMAGE_DUPLICATE, 8, 0, "same as 01.png"},
        {IMAGE_TINY, 3, 3, "15x60"},
        {IMAGE_SIDEWAYS, 4, 4, "orientation 6"},
        {IMAGE_FLAT, 5, 5, "deviation 1.5"},
        {IMAGE_FLAT, 6, 6, "deviation 0.0"},
    };
    folder f = folder_begin();
    make_folder(&f);
    image_list list = {0};
    REQUIRE_OK(t, image_list_add(&list, f.path, &f.err), f.err);
    REQUIRE(t, list.count == 12);
    for (size_t threads = 0; threads <= 5; threads++) {
        image_survey s;
        REQUIRE_OK(t, image_survey_take(&list, &(image_survey_options){.minimum = 30, .threads = threads}, &s, &f.err),
                   f.err);
        check_findings(t, &s, all, sizeof all / sizeof *all);
        CHECK(t, s.listed == 12 && s.looked_at == 12 && s.readable == 10);
        CHECK(t, s.formats[IMAGE_PNG] == 8 && s.formats[IMAGE_JPEG] == 1 && s.formats[IMAGE_WEBP] == 1);
        CHECK(t, s.with_alpha == 1 && s.with_profile == 0);
        CHECK(t, s.counts[IMAGE_DUPLICATE] == 2 && s.counts[IMAGE_TINY] == 1);
        CHECK(t, s.smallest.width == 15 && s.smallest.height == 60);
        CHECK(t, s.median.width == 40 && s.median.height == 30);
        CHECK(t, s.largest.width == 60 && s.largest.height == 40);
        image_survey_free(&s);
    }
    image_list_free(&list);
    folder_end(&f);
}

static void writes_lines(test *t)
{
    folder f = folder_begin();
    make_folder(&f);
    write_picture(&f, "13.png", 20, 20, 3, 0);
    write_picture(&f, "14.png", 20, 20, 4, 0);
    image_list list = {0};
    image_survey s;
    text line = {0};
    REQUIRE_OK(t, image_list_add(&list, f.path, &f.err), f.err);
    REQUIRE_OK(t, image_survey_take(&list, &(image_survey_options){.minimum = 16}, &s, &f.err), f.err);
    CHECK(t, image_survey_line(&s, &list, IMAGE_UNREADABLE, &line));
    CHECK_TEXT(t, text_get(&line), "2 pictures cannot be read: 08.png (expected a PNG, JPEG or WebP picture, found a "
                                   "GIF), 10\\x0a.jpg (expected a PNG, JPEG or WebP picture, found an empty file)");
    CHECK(t, image_survey_line(&s, &list, IMAGE_DUPLICATE, &line));
    CHECK_TEXT(t, text_get(&line), "3 pictures are there more than once: 03.png (same as 01.png), 09\\x1b[2J.png (same "
                                   "as 01.png), 14.png (same as 13.png)");
    CHECK(t, image_survey_line(&s, &list, IMAGE_TINY, &line));
    CHECK_TEXT(t, text_get(&line), "1 picture is smaller than 16 pixels: 04.webp (15x60)");
    CHECK(t, image_survey_line(&s, &list, IMAGE_SIDEWAYS, &line));
    CHECK_TEXT(t, text_get(&line), "1 picture is turned as its EXIF data say: 05.jpg (orientation 6)");
    CHECK(t, image_survey_line(&s, &list, IMAGE_FLAT, &line));
    CHECK_TEXT(t, text_get(&line), "4 pictures are nearly one grey: 06.png (deviation 1.5), 07.png (deviation 0.0), "
                                   "13.png (deviation 0.0) and 1 more");
    image_survey_free(&s);
    REQUIRE_OK(t, image_survey_take(&list, &(image_survey_options){.most = 1}, &s, &f.err), f.err);
    CHECK(t, !image_survey_line(&s, &list, IMAGE_TINY, &line));
    CHECK_TEXT(t, text_get(&line), "");
    image_survey_free(&s);
    text_free(&line);
    image_list_free(&list);
    folder_end(&f);
}

static void looks_at_some(test *t)
{
    folder f = folder_begin();
    for (unsigned i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u.png", i);
        write_picture(&f, name, 10 + i, 10, i, 99);
    }
    image_list list = {0};
    image_survey s;
    REQUIRE_OK(t, image_list_add(&list, f.path, &f.err), f.err);
    REQUIRE_OK(t, image_survey_take(&list, &(image_survey_options){.most = 4, .minimum = 11}, &s, &f.err), f.err);
    CHECK(t, s.listed == 10 && s.looked_at == 4 && s.finding_count == 4);
    static const size_t spread[] = {0, 2, 5, 7}; /* i * 10 / 4 */
    for (size_t i = 0; i < 4 && i < s.finding_count; i++) CHECK(t, s.findings[i].item == spread[i]);
    CHECK(t, s.largest.width == 17 && s.median.width == 12);
    image_survey_free(&s);
    /* A limit makes them unreadable. */
    image_survey_options few = {.limits = {.max_pixels = 150}};
    REQUIRE_OK(t, image_survey_take(&list, &few, &s, &f.err), f.err);
    CHECK(t, s.counts[IMAGE_UNREADABLE] == 4 && s.readable == 6);
    CHECK_TEXT(t, s.findings[0].detail, "a picture of 16x10 is over the limit of 150 pixels");
    image_survey_free(&s);
    image_list_free(&list);
    folder_end(&f);
}

static void stops_and_bears_nothing(test *t)
{
    image_list list = {0};
    image_survey s;
    error err = {0};
    REQUIRE_OK(t, image_survey_take(&list, &(image_survey_options){.minimum = 5}, &s, &err), err);
    CHECK(t, s.looked_at == 0 && s.readable == 0 && s.finding_count == 0);
    image_survey_free(&s);
    volatile sig_atomic_t stop = 1;
    CHECK(t, image_survey_take(&list, &(image_survey_options){.stop = &stop}, &s, &err) == STATUS_INTERRUPTED);
    CHECK(t, s.findings == NULL);
}

TEST_MAIN(TEST(finds_what_is_wrong), TEST(writes_lines), TEST(looks_at_some), TEST(stops_and_bears_nothing))
