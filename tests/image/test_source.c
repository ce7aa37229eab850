/* Files that are larger than what is in memory of them: read as their bytes are, piece by piece, and what reading takes is
 * counted. */
#include "base/file.h"
#include "base/rng.h"
#include "pictures.h"
#include "test.h"

enum { SIDE = 300, LARGE_PROFILE = 150000, MEBIBYTE = 1 << 20 };

/* What no format can make much smaller. */
static void fill_with_noise(uint8_t *bytes, size_t count, uint32_t stream)
{
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(256 * rng_uniform(1, RNG_TEST, stream, (uint32_t)i));
}

/* The profile, which formats have in front of the pixels, is longer than a piece. */
static image noise_picture(size_t width, size_t height, bool with_alpha, bool with_profile)
{
    image picture = smooth_picture(width, height, with_alpha, false);
    if (picture.pixels) fill_with_noise(picture.pixels, width * height * 3, 0);
    uint8_t *small = with_profile ? new_profile() : NULL;
    if (small) picture.profile = malloc(LARGE_PROFILE);
    if (picture.profile) {
        fill_with_noise(picture.profile, LARGE_PROFILE, 1);
        memcpy(picture.profile, small, PROFILE_BYTES);
        picture.profile[1] = LARGE_PROFILE >> 16 & 255;
        picture.profile[2] = LARGE_PROFILE >> 8 & 255;
        picture.profile[3] = LARGE_PROFILE & 255;
        picture.profile_bytes = LARGE_PROFILE;
    }
    free(small);
    return picture;
}

static void check_same(test *t, const image *a, const image *b)
{
    REQUIRE(t, a->pixels && b->pixels && a->width == b->width && a->height == b->height && a->format == b->format);
    CHECK(t, memcmp(a->pixels, b->pixels, a->width * a->height * 3) == 0);
    CHECK(t, !a->alpha == !b->alpha && (!a->alpha || memcmp(a->alpha, b->alpha, a->width * a->height) == 0));
    CHECK(t, !a->profile == !b->profile && (!a->profile || same_profile(a, b)));
}

/* The file and its bytes; then what is left of it when it ends early. */
static void check_file(test *t, const char *path, const uint8_t *bytes, size_t size)
{
    image read = {0}, decoded = {0};
    error from_file = {0}, from_bytes = {0};
    REQUIRE_OK(t, file_write_all(path, bytes, size, &from_file), from_file);
    REQUIRE_OK(t, image_read(path, NULL, &read, &from_file), from_file);
    REQUIRE_OK(t, image_decode(path, bytes, size, NULL, &decoded, &from_bytes), from_bytes);
    check_same(t, &read, &decoded);
    image_free(&read);
    image_free(&decoded);
    const size_t ends[] = {20, 1 << 16, (1 << 16) + 1, size / 2, size - 3};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        REQUIRE_OK(t, file_write_all(path, bytes, ends[i], &from_file), from_file);
        CHECK(t, image_read(path, NULL, &read, &from_file) == STATUS_FAILED && !read.pixels);
        CHECK(t, image_decode(path, bytes, ends[i], NULL, &decoded, &from_bytes) == STATUS_FAILED);
        CHECK_TEXT(t, from_file.message, from_bytes.message);
    }
}

static void files_are_read_as_their_bytes_are(test *t)
{
    static const char *const names[] = {"a.png", "a.jpg", "a.webp"};
    static const int qualities[] = {95, 100}; /* lossy and lossless WebP */
    for (size_t i = 0; i < 24; i++) {
        char path[128];
        error err = {0};
        uint8_t *bytes;
        size_t size;
        image picture = noise_picture(SIDE, SIDE, i / 3 & 1, i / 6 & 1);
        REQUIRE(t, picture.pixels && new_path(names[i % 3], path));
        REQUIRE_OK(t, image_encode(path, &picture, &(image_write_options){.quality = qualities[i / 12]}, &bytes, &size, &err), err);
        CHECK(t, size > 1 << 16);
        check_file(t, path, bytes, size);
        image_free(&picture);
        free(bytes);
        remove_path(path);
    }
}

/* The number behind `key` in /proc/self/status, in bytes. */
static double memory_of_process(const char *key)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kibibytes = 0;
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, key, strlen(key)) == 0) kibibytes = strtod(line + strlen(key), NULL);
    if (file) fclose(file);
    return 1024 * kibibytes;
}

/* Makes the process's peak what it has now; false where the system does not. */
static bool forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    bool done = file && fputs("5", file) >= 0;
    return file && fclose(file) == 0 && done;
}

static void a_file_is_not_in_memory_beside_its_pixels(test *t)
{
#ifdef __SANITIZE_ADDRESS__
    SKIP(t, "the sanitizer takes memory of its own");
#else
    enum { WIDTH = 2500, HEIGHT = 2000 };
    static const char *const names[] = {"a.png", "a.jpg"};
    for (size_t i = 0; i < 2; i++) {
        char path[128];
        error err = {0};
        image picture = noise_picture(WIDTH, HEIGHT, false, false);
        REQUIRE(t, picture.pixels && new_path(names[i], path));
        REQUIRE_OK(t, image_write(path, &picture, &(image_write_options){.quality = 100}, &err), err);
        image_free(&picture);
        if (!forget_peak()) {
            remove_path(path);
            SKIP(t, "the system does not tell a process's peak anew");
        }
        double before = memory_of_process("VmHWM:");
        REQUIRE_OK(t, image_read(path, NULL, &picture, &err), err);
        double taken = memory_of_process("VmHWM:") - before;
        if (taken > 3.0 * WIDTH * HEIGHT + 2 * MEBIBYTE)
            test_failed(t, __FILE__, __LINE__, "%s: %.1f MiB beside %.1f of pixels", names[i],
                        taken / MEBIBYTE - 3.0 * WIDTH * HEIGHT / MEBIBYTE, 3.0 * WIDTH * HEIGHT / MEBIBYTE);
        image_free(&picture);
        remove_path(path);
    }
#endif
}

/* Reading takes so many bytes, and so is allowed with as many and not with one less. */
static void check_need(test *t, const char *name, const uint8_t *bytes, size_t size, double need)
{
    for (int less = 0; less < 2; less++) {
        const image_limits limits = {.max_bytes = need + 1000 - less, .taken_bytes = 1000};
        image picture = {0};
        error err = {0};
        status result = image_decode(name, bytes, size, &limits, &picture, &err);
        if (result != (less ? STATUS_NO_MEMORY : STATUS_OK))
            test_failed(t, __FILE__, __LINE__, "%s with %.0f bytes: %s", name, need - less, err.message);
        if (less) CHECK_CONTAINS(t, err.message, "raise --max-memory");
        image_free(&picture);
    }
}

static void what_reading_takes_is_counted(test *t)
{
    static const struct {
        const char *file;
        double each, beside; /* bytes of a pixel, and of coefficients: 2x1 blocks of brightness, and one of each colour */
        bool whole;          /* the file counts */
    } cases[] = {
        {"rgb.png", 4, 0, false},    {"rgba.png", 4, 0, false},   {"rgb.jpg", 4, 0, false},
        {"turned.jpg", 6, 0, false}, {"progressive.jpg", 4, 4 * 64 * 2, false}, {"lossy.webp", 4, 0, true},
        {"lossless.webp", 8, 0, true}, {"alpha.webp", 13, 0, true}, {"alpha_lossless.webp", 12, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[128], *bytes;
        size_t size;
        error err = {0};
        image picture;
        snprintf(path, sizeof path, "tests/fuzz/seeds/image/%s", cases[i].file);
        REQUIRE_OK(t, image_read(path, NULL, &picture, &err), err);
        REQUIRE_OK(t, file_read_all(path, 1 << 20, &bytes, &size, &err), err);
        double need = cases[i].each * (double)picture.width * (double)picture.height + cases[i].beside;
        check_need(t, path, (const uint8_t *)bytes, size, need + (cases[i].whole ? (double)size : 0));
        image_free(&picture);
        free(bytes);
    }
}

TEST_MAIN(TEST(files_are_read_as_their_bytes_are), TEST(a_file_is_not_in_memory_beside_its_pixels),
          TEST(what_reading_takes_is_counted))
