/* What a picture carries beside its colours: alpha and profile, through files and operations. */
#include "image/image.h"
#include "pictures.h"
#include "test.h"

static status there_and_back(const char *name, const image *picture, image *back, error *err)
{
    char path[128];
    if (!new_path(name, path)) return error_set(err, STATUS_FAILED, "no folder");
    status result = image_write(path, picture, NULL, err);
    if (result == STATUS_OK) result = image_read(path, NULL, back, err);
    remove_path(path);
    return result;
}

static void png_keeps_all(test *t)
{
    for (int with = 0; with < 4; with++) {
        error err = {0};
        image picture = smooth_picture(37, 21, with & 1, with & 2), back = {0};
        REQUIRE(t, picture.pixels);
        REQUIRE_OK(t, there_and_back("a.png", &picture, &back, &err), err);
        CHECK(t, memcmp(back.pixels, picture.pixels, 37 * 21 * 3) == 0);
        CHECK(t, !back.alpha == !picture.alpha && !back.profile == !picture.profile);
        if (back.alpha) CHECK(t, memcmp(back.alpha, picture.alpha, 37 * 21) == 0);
        if (back.profile) CHECK(t, same_profile(&back, &picture));
        image_free(&back);
        image_free(&picture);
    }
}

/* Composition by the definition, c a + 255 (1 - a), written as a picture of its own: the same file. */
static void jpeg_lies_over_white(test *t)
{
    error err = {0};
    image picture = smooth_picture(37, 21, true, true), flat = smooth_picture(37, 21, false, false);
    image back = {0}, flat_back = {0};
    REQUIRE(t, picture.pixels && flat.pixels);
    for (size_t i = 0; i < 37 * 21 * 3; i++) {
        double a = picture.alpha[i / 3] / 255.0;
        flat.pixels[i] = (uint8_t)(picture.pixels[i] * a + 255 * (1 - a) + 0.5);
    }
    REQUIRE_OK(t, there_and_back("a.jpg", &picture, &back, &err), err);
    REQUIRE_OK(t, there_and_back("b.jpg", &flat, &flat_back, &err), err);
    CHECK(t, memcmp(back.pixels, flat_back.pixels, 37 * 21 * 3) == 0);
    CHECK(t, !back.alpha && same_profile(&back, &picture) && !flat_back.profile);
    image_free(&picture);
    image_free(&flat);
    image_free(&back);
    image_free(&flat_back);
}

/* A profile over 64 kB goes into several segments. */
static void jpeg_splits_long_profiles(test *t)
{
    enum { BYTES = 200000 };
    error err = {0};
    image picture = smooth_picture(8, 8, false, true), back = {0};
    REQUIRE(t, picture.profile);
    uint8_t *longer = realloc(picture.profile, BYTES);
    REQUIRE(t, longer);
    for (size_t i = PROFILE_BYTES; i < BYTES; i++) longer[i] = (uint8_t)(i * i >> 5);
    longer[1] = BYTES >> 16, longer[2] = BYTES >> 8 & 255, longer[3] = BYTES & 255;
    picture.profile = longer;
    picture.profile_bytes = BYTES;
    REQUIRE_OK(t, there_and_back("a.jpg", &picture, &back, &err), err);
    CHECK(t, same_profile(&back, &picture));
    image_free(&picture);
    image_free(&back);
}

/* A profile that libpng finds wrong is left out, and the picture is written. */
static void png_leaves_out_damaged_profiles(test *t)
{
    error err = {0};
    image picture = smooth_picture(8, 8, false, true), back = {0};
    REQUIRE(t, picture.profile);
    picture.profile[128] = 0xff; /* the count of tags */
    REQUIRE_OK(t, there_and_back("a.png", &picture, &back, &err), err);
    CHECK(t, !back.profile && memcmp(back.pixels, picture.pixels, 192) == 0);
    image_free(&picture);
    image_free(&back);
}

static void crops_and_flips(test *t)
{
    error err = {0};
    image picture = smooth_picture(9, 6, true, true), part = {0};
    REQUIRE(t, picture.pixels);
    REQUIRE_OK(t, image_crop(&picture, 2, 1, 5, 4, &part, &err), err);
    REQUIRE(t, part.alpha && part.profile);
    for (size_t y = 0; y < 4; y++)
        for (size_t x = 0; x < 5; x++) CHECK(t, part.alpha[y * 5 + x] == picture.alpha[(y + 1) * 9 + x + 2]);
    CHECK(t, same_profile(&part, &picture) && part.profile != picture.profile);
    image_flip_horizontal(&part);
    for (size_t y = 0; y < 4; y++)
        for (size_t x = 0; x < 5; x++) CHECK(t, part.alpha[y * 5 + x] == picture.alpha[(y + 1) * 9 + 6 - x]);
    CHECK(t, same_profile(&part, &picture));
    image_free(&part);
    image_free(&picture);
}

/* What cannot be seen must not bleed: red that is clear beside opaque blue. */
static void resizes_without_bleeding(test *t)
{
    error err = {0};
    image picture = smooth_picture(32, 32, true, true), small = {0};
    REQUIRE(t, picture.pixels);
    for (size_t i = 0; i < 32 * 32; i++) {
        bool clear = i % 32 < 15;
        memcpy(picture.pixels + i * 3, clear ? "\xff\0\0" : "\0\0\xff", 3);
        picture.alpha[i] = clear ? 0 : 255;
    }
    REQUIRE_OK(t, image_resize(&picture, 16, 9, &small, &err), err);
    REQUIRE(t, small.alpha && same_profile(&small, &picture));
    bool partly = false;
    for (size_t i = 0; i < 16 * 9; i++) {
        CHECK(t, small.pixels[i * 3] == 0);
        partly = partly || (small.alpha[i] > 20 && small.alpha[i] < 235);
        if (small.alpha[i] > 20) CHECK(t, small.pixels[i * 3 + 2] >= 250);
    }
    CHECK(t, partly);
    image_free(&small);
    REQUIRE_OK(t, image_resize(&picture, 32, 32, &small, &err), err);
    CHECK(t, memcmp(small.pixels, picture.pixels, 32 * 32 * 3) == 0); /* nothing to do: colours stay */
    image_free(&small);
    image_free(&picture);
}

static void copies_extras(test *t)
{
    error err = {0};
    image picture = smooth_picture(9, 6, true, true), other = smooth_picture(9, 6, false, false);
    image plain = smooth_picture(9, 6, false, false);
    REQUIRE(t, picture.pixels && other.pixels && plain.pixels);
    REQUIRE_OK(t, image_copy_extras(&picture, &other, &err), err);
    CHECK(t, memcmp(other.alpha, picture.alpha, 54) == 0 && other.alpha != picture.alpha);
    CHECK(t, same_profile(&other, &picture));
    image_free(&other);
    other = smooth_picture(9, 6, false, false);
    REQUIRE_OK(t, image_copy_extras(&plain, &other, &err), err);
    CHECK(t, !other.alpha && !other.profile && other.profile_bytes == 0);
    image_free(&picture);
    image_free(&other);
    image_free(&plain);
}

TEST_MAIN(TEST(png_keeps_all), TEST(jpeg_lies_over_white), TEST(jpeg_splits_long_profiles),
          TEST(png_leaves_out_damaged_profiles), TEST(crops_and_flips), TEST(resizes_without_bleeding),
          TEST(copies_extras))
