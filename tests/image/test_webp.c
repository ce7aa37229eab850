#include "base/file.h"
#include "image/image.h"
#include "pictures.h"
#include "test.h"

/* Writes and reads back; `size` is the file's. */
static status there_and_back(const image *picture, int quality, image *back, size_t *size, error *err)
{
    char path[128], *bytes = NULL;
    if (!new_path("a.webp", path)) return error_set(err, STATUS_FAILED, "no folder");
    status result = image_write(path, picture, &(image_write_options){.quality = quality}, err);
    if (result == STATUS_OK) result = image_read(path, NULL, back, err);
    if (result == STATUS_OK) result = file_read_all(path, 1 << 24, &bytes, size, err);
    free(bytes);
    remove_path(path);
    return result;
}

static double mean_difference(const image *a, const image *b)
{
    size_t count = a->width * a->height * 3;
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += abs(a->pixels[i] - b->pixels[i]);
    return sum / (double)count;
}

/* With all extras and with none; colours under transparent pixels too. */
static void is_lossless_at_100(test *t)
{
    for (int with = 0; with < 4; with++) {
        error err = {0};
        size_t size;
        image picture = smooth_picture(41, 23, with & 1, with & 2), back = {0};
        REQUIRE(t, picture.pixels);
        REQUIRE_OK(t, there_and_back(&picture, 100, &back, &size, &err), err);
        REQUIRE(t, back.width == 41 && back.height == 23);
        CHECK(t, memcmp(back.pixels, picture.pixels, 41 * 23 * 3) == 0);
        CHECK(t, !back.alpha == !picture.alpha && !back.profile == !picture.profile);
        if (back.alpha) CHECK(t, memcmp(back.alpha, picture.alpha, 41 * 23) == 0);
        if (back.profile) CHECK(t, same_profile(&back, &picture));
        image_free(&picture);
        image_free(&back);
    }
}

static void is_close_below_100(test *t)
{
    error err = {0};
    size_t poor_size, usual_size, same_size, plain_size;
    image picture = smooth_picture(64, 48, false, false), poor = {0}, usual = {0}, same = {0};
    REQUIRE(t, picture.pixels);
    REQUIRE_OK(t, there_and_back(&picture, 20, &poor, &poor_size, &err), err);
    REQUIRE_OK(t, there_and_back(&picture, 0, &usual, &usual_size, &err), err);
    REQUIRE_OK(t, there_and_back(&picture, 95, &same, &same_size, &err), err);
    CHECK(t, poor_size < usual_size && same_size == usual_size);
    CHECK(t, mean_difference(&usual, &same) == 0);
    CHECK(t, mean_difference(&usual, &picture) < 2.5);
    CHECK(t, mean_difference(&usual, &picture) < mean_difference(&poor, &picture));
    image_free(&poor);
    image_free(&usual);
    image_free(&same);
    image_free(&picture);

    picture = smooth_picture(64, 48, true, true);
    REQUIRE(t, picture.pixels);
    REQUIRE_OK(t, there_and_back(&picture, 95, &usual, &plain_size, &err), err);
    REQUIRE(t, usual.alpha && usual.profile);
    CHECK(t, memcmp(usual.alpha, picture.alpha, 64 * 48) == 0); /* alpha is not compressed lossily */
    CHECK(t, same_profile(&usual, &picture));
    image_free(&usual);
    image_free(&picture);
}

static void refuses_long_sides(test *t)
{
    const size_t sizes[][2] = {{16384, 1}, {1, 16384}};
    char path[128];
    for (int i = 0; i < 2; i++) {
        error err = {0};
        image picture = smooth_picture(sizes[i][0], sizes[i][1], false, false);
        REQUIRE(t, picture.pixels && new_path("a.webp", path));
        CHECK(t, image_write(path, &picture, NULL, &err) == STATUS_FAILED);
        CHECK_CONTAINS(t, err.message, "a WebP's sides are at most 16383, not ");
        CHECK(t, !file_exists(path));
        remove_path(path);
        image_free(&picture);
    }
    error err = {0};
    size_t size;
    image longest = smooth_picture(16383, 1, false, false), back = {0};
    REQUIRE_OK(t, there_and_back(&longest, 100, &back, &size, &err), err);
    CHECK(t, back.width == 16383 && memcmp(back.pixels, longest.pixels, 16383 * 3) == 0);
    image_free(&back);
    image_free(&longest);
}

typedef struct webp_file {
    char *bytes;
    size_t size;
} webp_file;

static status new_file(webp_file *file, error *err)
{
    char path[128];
    image picture = smooth_picture(20, 10, true, true);
    status result = STATUS_FAILED;
    if (picture.pixels && new_path("a.webp", path)) {
        result = image_write(path, &picture, &(image_write_options){.quality = 100}, err);
        if (result == STATUS_OK) result = file_read_all(path, 1 << 20, &file->bytes, &file->size, err);
        remove_path(path);
    }
    image_free(&picture);
    return result;
}

/* RIFF's length and those of the chunks; each lie is an error, or leaves out the profile. */
static void survives_lying_lengths(test *t)
{
    static const uint32_t lies[] = {0, 1, 3, 4, 5, 0x7fffffff, 0x80000000, 0xfffffff6, 0xfffffff7, 0xffffffff};
    error err = {0};
    webp_file file = {0};
    REQUIRE_OK(t, new_file(&file, &err), err);
    uint8_t *bytes = (uint8_t *)file.bytes;
    size_t places[] = {4, 16, 34}; /* of RIFF, VP8X, ICCP */
    REQUIRE(t, memcmp(bytes + 12, "VP8X", 4) == 0 && memcmp(bytes + 30, "ICCP", 4) == 0);
    for (size_t p = 0; p < 3; p++)
        for (size_t l = 0; l < sizeof lies / sizeof *lies; l++) {
            uint8_t *copy = malloc(file.size);
            REQUIRE(t, copy);
            memcpy(copy, bytes, file.size);
            for (int i = 0; i < 4; i++) copy[places[p] + (size_t)i] = (uint8_t)(lies[l] >> 8 * i);
            image picture = {0};
            err = (error){0};
            status result = image_decode("lie", copy, file.size, NULL, &picture, &err);
            CHECK(t, result == STATUS_FAILED && !picture.pixels && err.message[0]);
            image_free(&picture);
            free(copy);
        }
    free(file.bytes);
}

static void ignores_what_follows(test *t)
{
    error err = {0};
    webp_file file = {0};
    REQUIRE_OK(t, new_file(&file, &err), err);
    uint8_t *longer = calloc(1, file.size + 9);
    REQUIRE(t, longer);
    memcpy(longer, file.bytes, file.size);
    image picture = {0}, expected = smooth_picture(20, 10, true, true);
    REQUIRE_OK(t, image_decode("longer", longer, file.size + 9, NULL, &picture, &err), err);
    CHECK(t, memcmp(picture.pixels, expected.pixels, 600) == 0 && same_profile(&picture, &expected));
    image_free(&picture);
    image_free(&expected);
    free(longer);
    free(file.bytes);
}

TEST_MAIN(TEST(is_lossless_at_100), TEST(is_close_below_100), TEST(refuses_long_sides), TEST(survives_lying_lengths),
          TEST(ignores_what_follows))
