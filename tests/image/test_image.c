#include "image/image.h"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "fixture.h"
#include "test.h"

static const char codecs[] = "tests/fixtures/codecs.bin";

typedef struct sample {
    char name[64], problem[128]; /* the part of a message to expect, or "" */
    const uint8_t *file, *pixels, *alpha, *profile;
    size_t size, width, height, alpha_bytes, profile_bytes;
    int orientation;
} sample;

static sample next_sample(fixture *f)
{
    sample s = {0};
    uint32_t length = fixture_number(f);
    snprintf(s.name, sizeof s.name, "%.*s", (int)length, (const char *)fixture_bytes(f, length));
    s.size = fixture_number(f);
    s.file = fixture_bytes(f, s.size);
    s.width = fixture_number(f);
    s.height = fixture_number(f);
    if (s.width) {
        s.pixels = fixture_bytes(f, s.width * s.height * 3);
        s.alpha_bytes = fixture_number(f);
        s.alpha = fixture_bytes(f, s.alpha_bytes);
        s.profile_bytes = fixture_number(f);
        s.profile = fixture_bytes(f, s.profile_bytes);
        s.orientation = (int)fixture_number(f);
    } else {
        length = fixture_number(f);
        snprintf(s.problem, sizeof s.problem, "%.*s", (int)length, (const char *)fixture_bytes(f, length));
    }
    return s;
}

/* Bytes of this process's addresses. */
static rlim_t occupied(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%lu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

static int largest_difference(const uint8_t *a, const uint8_t *b, size_t count)
{
    int largest = 0;
    for (size_t i = 0; i < count; i++)
        if (abs(a[i] - b[i]) > largest) largest = abs(a[i] - b[i]);
    return largest;
}

static void check_sample(test *t, const sample *s, const image *picture)
{
    /* PNGs are exact; a JPEG's inverse transform may round otherwise in another build of the library. */
    int bound = s->file[0] == 0xff ? 1 : 0;
    int worst = largest_difference(picture->pixels, s->pixels, s->width * s->height * 3);
    if (worst > bound) test_failed(t, __FILE__, __LINE__, "%s: differs by %d", s->name, worst);
    if ((picture->alpha != NULL) != (s->alpha_bytes != 0)
        || (picture->alpha && memcmp(picture->alpha, s->alpha, s->alpha_bytes) != 0))
        test_failed(t, __FILE__, __LINE__, "%s: another alpha", s->name);
    if (picture->profile_bytes != s->profile_bytes
        || (picture->profile && memcmp(picture->profile, s->profile, s->profile_bytes) != 0))
        test_failed(t, __FILE__, __LINE__, "%s: another profile", s->name);
    if (picture->orientation != s->orientation)
        test_failed(t, __FILE__, __LINE__, "%s: orientation %d", s->name, picture->orientation);
}

static void decodes_all_kinds(test *t)
{
    fixture f = fixture_open(codecs);
    REQUIRE(t, f.data);
    int decoded = 0, refused = 0;
    while (fixture_left(&f)) {
        sample s = next_sample(&f);
        image picture = {0};
        error err = {0};
        status result = image_decode(s.name, s.file, s.size, NULL, &picture, &err);
        if (s.problem[0]) {
            refused++;
            CHECK(t, result == STATUS_FAILED && !picture.pixels);
            CHECK_CONTAINS(t, err.message, s.problem);
            CHECK(t, strncmp(err.message, s.name, strlen(s.name)) == 0);
            continue;
        }
        decoded++;
        if (result != STATUS_OK || picture.width != s.width || picture.height != s.height) {
            test_failed(t, __FILE__, __LINE__, "%s: %zux%zu, expected %zux%zu. %s", s.name, picture.width,
                        picture.height, s.width, s.height, err.message);
        } else {
            check_sample(t, &s, &picture);
        }
        image_free(&picture);
    }
    CHECK(t, decoded == 105 && refused == 16);
    fixture_close(&f);
}

/* Every cut of every file must be an error, and never a picture with filler. */
static void refuses_truncated_files(test *t)
{
    fixture f = fixture_open(codecs);
    REQUIRE(t, f.data);
    while (fixture_left(&f)) {
        sample s = next_sample(&f);
        if (s.problem[0] || s.size > 4000) continue; /* with all cuts of the large ones it would take minutes */
        for (size_t size = 0; size < s.size; size++) {
            uint8_t *cut = malloc(size + 1); /* its own block, so that a sanitizer sees reading past the end */
            memcpy(cut, s.file, size);
            image picture = {0};
            error err = {0};
            status result = image_decode(s.name, cut, size, NULL, &picture, &err);
            if (result != STATUS_FAILED || picture.pixels || !err.message[0] || strchr(err.message, '\n'))
                test_failed(t, __FILE__, __LINE__, "%s: cut to %zu of %zu bytes: \"%s\"", s.name, size, s.size,
                            err.message);
            image_free(&picture);
            free(cut);
        }
    }
    fixture_close(&f);
}

/* Any result will do, as long as nothing is read or written out of bounds. */
static void survives_damaged_files(test *t)
{
    fixture f = fixture_open(codecs);
    REQUIRE(t, f.data);
    image_limits limits = {.max_pixels = 1 << 16};
    uint32_t random = 1;
    while (fixture_left(&f)) {
        sample s = next_sample(&f);
        if (s.size == 0) continue;
        uint8_t *damaged = malloc(s.size);
        for (int round = 0; round < (s.size > 4000 ? 3 : 100); round++) {
            memcpy(damaged, s.file, s.size);
            for (int hits = 0; hits < 3; hits++) {
                random = random * 1664525u + 1013904223u;
                damaged[(random >> 8) % s.size] = (uint8_t)(random >> 24);
            }
            image picture = {0};
            error err = {0};
            status result = image_decode(s.name, damaged, s.size, &limits, &picture, &err);
            CHECK(t, (result == STATUS_OK) == (picture.pixels != NULL));
            CHECK(t, (result == STATUS_OK) == (err.message[0] == '\0'));
            image_free(&picture);
        }
        free(damaged);
    }
    fixture_close(&f);
}

static void keeps_the_limit(test *t)
{
    fixture f = fixture_open(codecs);
    REQUIRE(t, f.data);
    while (fixture_left(&f)) {
        sample s = next_sample(&f);
        if (s.problem[0] || s.width * s.height == 1) continue; /* no limit of 0 */
        image_limits exactly = {.max_pixels = s.width * s.height}, below = {.max_pixels = s.width * s.height - 1};
        image picture = {0};
        error err = {0};
        CHECK(t, image_decode(s.name, s.file, s.size, &exactly, &picture, &err) == STATUS_OK);
        image_free(&picture);
        CHECK(t, image_decode(s.name, s.file, s.size, &below, &picture, &err) == STATUS_FAILED);
        CHECK_CONTAINS(t, err.message, "over the limit");
        CHECK(t, !picture.pixels);
    }
    fixture_close(&f);
}

static image pattern(size_t width, size_t height)
{
    image picture = {0};
    error err;
    if (image_create(&picture, width, height, &err) != STATUS_OK) return picture;
    for (size_t i = 0; i < width * height * 3; i++) picture.pixels[i] = (uint8_t)(i * i / 7 + i);
    return picture;
}

static char *new_folder(void)
{
    static char name[64];
    strcpy(name, "/tmp/test_image.XXXXXX");
    return mkdtemp(name);
}

static void writes_png_exactly(test *t)
{
    error err = {0};
    char path[128], again[128], *folder = new_folder();
    REQUIRE(t, folder);
    snprintf(path, sizeof path, "%s/a.PNG", folder);
    snprintf(again, sizeof again, "%s/b.png", folder);
    image picture = pattern(37, 23), back = {0};
    REQUIRE_OK(t, image_write(path, &picture, NULL, &err), err);
    REQUIRE_OK(t, image_read(path, NULL, &back, &err), err);
    CHECK(t, back.width == 37 && back.height == 23);
    CHECK(t, memcmp(picture.pixels, back.pixels, 37 * 23 * 3) == 0);
    image_free(&back);

    char *first, *second;
    size_t first_size, second_size;
    REQUIRE_OK(t, image_write(again, &picture, NULL, &err), err);
    REQUIRE_OK(t, file_read_all(path, 1 << 20, &first, &first_size, &err), err);
    REQUIRE_OK(t, file_read_all(again, 1 << 20, &second, &second_size, &err), err);
    CHECK(t, first_size == second_size && memcmp(first, second, first_size) == 0);
    free(first);
    free(second);
    image_free(&picture);
    unlink(path);
    unlink(again);
    rmdir(folder);
}

static void writes_jpeg_closely(test *t)
{
    error err = {0};
    char path[128], *folder = new_folder();
    REQUIRE(t, folder);
    snprintf(path, sizeof path, "%s/a.jpeg", folder);
    image picture = {0}, back = {0};
    REQUIRE_OK(t, image_create(&picture, 40, 30, &err), err);
    for (size_t y = 0; y < 30; y++)
        for (size_t x = 0; x < 40; x++) {
            uint8_t *p = picture.pixels + (y * 40 + x) * 3;
            p[0] = (uint8_t)(x * 6), p[1] = (uint8_t)(y * 8), p[2] = (uint8_t)(x * 3 + y * 4);
        }
    REQUIRE_OK(t, image_write(path, &picture, NULL, &err), err);
    REQUIRE_OK(t, image_read(path, NULL, &back, &err), err);
    CHECK(t, largest_difference(picture.pixels, back.pixels, 40 * 30 * 3) <= 6);
    image_free(&back);
    struct stat good, poor;
    stat(path, &good);
    REQUIRE_OK(t, image_write(path, &picture, &(image_write_options){.quality = 30}, &err), err);
    stat(path, &poor);
    CHECK(t, poor.st_size < good.st_size);
    image_free(&picture);
    unlink(path);
    rmdir(folder);
}

/* With from none to enough memory beside the picture: a status each time, and nothing lost or freed twice. */
static void survives_lack_of_memory(test *t)
{
#ifdef __SANITIZE_ADDRESS__
    SKIP(t, "the sanitizer needs all addresses");
#endif
    static const struct {
        const char *path, *message;
    } kinds[] = {{"x.png", " memory"}, {"x.jpg", "x.jpg: JPEG: not enough memory to encode it"},
                 {"x.webp", "x.webp: WebP: not enough memory"}};
    enum { SIDE = 700, LARGE = 4100, MEBIBYTES = 40 };
    image picture;
    error err = {0};
    struct rlimit before, tight;
    REQUIRE(t, mallopt(M_MMAP_THRESHOLD, 1 << 16) == 1); /* what is freed does not stay the process's own */
    malloc_trim(0);
    REQUIRE(t, getrlimit(RLIMIT_AS, &before) == 0);
    REQUIRE(t, image_create(&picture, SIDE, SIDE, &err) == STATUS_OK);
    uint32_t state = 1;
    for (size_t i = 0; i < (size_t)SIDE * SIDE * 3; i++) {
        state = state * 1664525u + 1013904223u;
        picture.pixels[i] = (uint8_t)(state >> 24);
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        size_t refused = 0;
        bool written = false;
        for (rlim_t more = 0; more < (rlim_t)MEBIBYTES << 20 && !written; more += 1 << 18) {
            uint8_t *bytes;
            size_t size;
            tight = before;
            tight.rlim_cur = occupied() + more;
            REQUIRE(t, setrlimit(RLIMIT_AS, &tight) == 0);
            status result = image_encode(kinds[k].path, &picture, NULL, &bytes, &size, &err);
            setrlimit(RLIMIT_AS, &before);
            if (result != STATUS_OK) CHECK_CONTAINS(t, err.message, kinds[k].message);
            CHECK(t, result == STATUS_OK || result == STATUS_NO_MEMORY);
            refused += result != STATUS_OK;
            written = result == STATUS_OK;
            free(bytes);
        }
        CHECK(t, refused > 0 && written);
    }
    image_free(&picture);
    /* A large one as JPEG needs no memory for all of its coefficients, here 100 MB. */
    uint8_t *bytes = NULL;
    size_t size;
    REQUIRE(t, image_create(&picture, LARGE, LARGE, &err) == STATUS_OK);
    memset(picture.pixels, 77, (size_t)LARGE * LARGE * 3);
    tight.rlim_cur = occupied() + ((rlim_t)MEBIBYTES << 20);
    REQUIRE(t, setrlimit(RLIMIT_AS, &tight) == 0);
    CHECK(t, image_encode("x.jpg", &picture, NULL, &bytes, &size, &err) == STATUS_OK);
    image_free(&picture);
    /* One of 4 bytes a pixel, 64 MiB, is not begun to be read when there are not so many. */
    tight.rlim_cur = occupied() + ((rlim_t)MEBIBYTES << 20);
    REQUIRE(t, setrlimit(RLIMIT_AS, &tight) == 0);
    CHECK(t, image_decode("x.jpg", bytes, size, NULL, &picture, &err) == STATUS_NO_MEMORY);
    setrlimit(RLIMIT_AS, &before);
    CHECK_CONTAINS(t, err.message, "x.jpg: reading a picture of 4100x4100 takes 64.1 MiB of memory, ");
    CHECK(t, image_decode("x.jpg", bytes, size, &(image_limits){.max_bytes = 67e6}, &picture, &err) == STATUS_NO_MEMORY);
    CHECK_CONTAINS(t, err.message, "the limit is 63.9 MiB: raise --max-memory, or shrink the picture");
    REQUIRE_OK(t, image_decode("x.jpg", bytes, size, &(image_limits){.max_bytes = 68e6}, &picture, &err), err);
    free(bytes);
    image_free(&picture);
}

static void says_what_it_cannot_write(test *t)
{
    error err = {0};
    char path[128], *folder = new_folder();
    REQUIRE(t, folder);
    image picture = pattern(4, 4), wide = pattern(70000, 1), empty = {0};
    CHECK(t, image_write("x.gif", &picture, NULL, &err) == STATUS_FAILED);
    CHECK_TEXT(t, err.message, "x.gif: cannot write this kind of picture: expected .png, .jpg, .jpeg or .webp");
    snprintf(path, sizeof path, "%s/x.jpg", folder);
    CHECK(t, image_write(path, &picture, &(image_write_options){.quality = 101}, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "quality");
    CHECK(t, image_write(path, &empty, NULL, &err) == STATUS_FAILED);
    CHECK(t, image_write(path, &wide, NULL, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "70000x1");
    snprintf(path, sizeof path, "%s/none/x.png", folder);
    CHECK(t, image_write(path, &picture, NULL, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, path);
    CHECK(t, rmdir(folder) == 0); /* nothing was left in it */
    image_free(&picture);
    image_free(&wide);
}

static void says_what_it_cannot_read(test *t)
{
    error err = {0};
    image picture;
    CHECK(t, image_read("/tmp/no such file.png", NULL, &picture, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "/tmp/no such file.png");
    CHECK(t, !picture.pixels);
    CHECK(t, image_read("/tmp", NULL, &picture, &err) == STATUS_FAILED);
    char folder[] = "/tmp/cyclegan-image-XXXXXX", pipe[64];
    REQUIRE(t, mkdtemp(folder));
    snprintf(pipe, sizeof pipe, "%s/pipe.png", folder);
    REQUIRE(t, mkfifo(pipe, 0600) == 0); /* reading it would wait for ever */
    CHECK(t, image_read(pipe, NULL, &picture, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "pipe.png: cannot read: not a file");
    CHECK(t, image_read("/dev/zero", NULL, &picture, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "/dev/zero: cannot read: not a file");
    unlink(pipe);
    rmdir(folder);
}

static void knows_extensions(test *t)
{
    CHECK(t, image_extension_known("a.png") && image_extension_known("b/c.JPG") && image_extension_known("d.jpeg"));
    CHECK(t, image_format_of("e.WebP") == IMAGE_WEBP && image_format_of("a.jpg") == IMAGE_JPEG);
    CHECK(t, !image_extension_known("png") && !image_extension_known("a.png.txt") && !image_extension_known("a"));
}

static void creates_and_refuses_sizes(test *t)
{
    error err = {0};
    image picture;
    CHECK(t, image_create(&picture, 0, 5, &err) == STATUS_FAILED);
    CHECK(t, image_create(&picture, SIZE_MAX / 2, 3, &err) == STATUS_NO_MEMORY);
    CHECK(t, !picture.pixels && picture.width == 0);
    image_free(&picture);
}

static void crops(test *t)
{
    error err = {0};
    image picture = pattern(9, 6), part = {0};
    REQUIRE_OK(t, image_crop(&picture, 2, 1, 5, 4, &part, &err), err);
    CHECK(t, part.width == 5 && part.height == 4);
    for (size_t y = 0; y < 4; y++)
        for (size_t x = 0; x < 15; x++)
            CHECK(t, part.pixels[y * 15 + x] == picture.pixels[(y + 1) * 27 + 6 + x]);
    image_free(&part);
    CHECK(t, image_crop(&picture, 5, 0, 5, 6, &part, &err) == STATUS_FAILED);
    CHECK_TEXT(t, err.message, "a crop of 5x6 at (5, 0) does not lie in a picture of 9x6");
    CHECK(t, image_crop(&picture, SIZE_MAX, 0, 2, 1, &part, &err) == STATUS_FAILED);
    CHECK(t, image_crop(&picture, 0, 6, 1, 1, &part, &err) == STATUS_FAILED);
    image_free(&picture);
}

static void flips(test *t)
{
    for (size_t width = 1; width <= 4; width++) {
        image picture = pattern(width, 3), flipped = pattern(width, 3);
        image_flip_horizontal(&flipped);
        for (size_t y = 0; y < 3; y++)
            for (size_t x = 0; x < width; x++)
                CHECK(t, memcmp(flipped.pixels + (y * width + x) * 3,
                                picture.pixels + (y * width + width - 1 - x) * 3, 3) == 0);
        image_free(&picture);
        image_free(&flipped);
    }
}

static void floats_and_back(test *t)
{
    uint8_t levels[256 * 3], back[256 * 3];
    float floats[256 * 3];
    for (int i = 0; i < 256 * 3; i++) levels[i] = (uint8_t)(i / 3);
    image picture = {.width = 256, .height = 1, .pixels = levels}, out = {.width = 256, .height = 1, .pixels = back};
    image_to_floats(&picture, floats);
    CHECK(t, floats[0] == -1.0f && floats[255 * 3] == 1.0f);
    CHECK_NEAR(t, floats[100 * 3], 100 / 127.5 - 1, 1e-7);
    image_from_floats(floats, &out);
    CHECK(t, memcmp(levels, back, sizeof back) == 0);

    float odd[] = {-5, 5, NAN, -INFINITY, INFINITY, 0.4f / 127.5f - 1, 0.6f / 127.5f - 1, 1e30f, 0};
    uint8_t expected[] = {0, 255, 0, 0, 255, 0, 1, 255, 128};
    image odd_out = {.width = 3, .height = 1, .pixels = back};
    image_from_floats(odd, &odd_out);
    CHECK(t, memcmp(back, expected, sizeof expected) == 0);
}

TEST_MAIN(TEST(decodes_all_kinds), TEST(refuses_truncated_files), TEST(survives_damaged_files), TEST(keeps_the_limit),
          TEST(writes_png_exactly), TEST(writes_jpeg_closely), TEST(survives_lack_of_memory),
          TEST(says_what_it_cannot_write),
          TEST(says_what_it_cannot_read), TEST(knows_extensions), TEST(creates_and_refuses_sizes), TEST(crops),
          TEST(flips), TEST(floats_and_back))
