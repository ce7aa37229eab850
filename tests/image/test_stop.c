/* Reading and writing that are given up midway, on a signal. */
#include "../stop.h"
#include "base/rng.h"
#include "pictures.h"
#include "test.h"

enum { SIDE = 2000 };

static image noise_picture(void)
{
    image picture = smooth_picture(SIDE, SIDE, false, false);
    for (size_t i = 0; picture.pixels && i < (size_t)SIDE * SIDE * 3; i++)
        picture.pixels[i] = (uint8_t)(picture.pixels[i] / 2 + (uint8_t)(100 * rng_uniform(1, RNG_TEST, 0, (uint32_t)i)));
    return picture;
}

/* At the first row, and after a quarter of what it takes when nothing stops it. */
static void encoding_ends_when_asked(test *t)
{
    static const struct {
        const char *name;
        int quality;
    } cases[] = {{"a.png", 95}, {"a.jpg", 95}, {"a.webp", 95}, {"a.webp", 100}};
    image picture = noise_picture();
    REQUIRE(t, picture.pixels);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const image_write_options options = {.quality = cases[i].quality, .stop = &stop};
        uint8_t *bytes;
        size_t size;
        error err = {0};
        double begin = stop_clock();
        REQUIRE_OK(t, image_encode(cases[i].name, &picture, &options, &bytes, &size, &err), err);
        double whole = stop_clock() - begin;
        free(bytes);
        for (int midway = 0; midway < 2; midway++) {
            stop_after(midway * whole / 4);
            while (!midway && !stop) continue;
            CHECK(t, image_encode(cases[i].name, &picture, &options, &bytes, &size, &err) == STATUS_INTERRUPTED && !bytes);
            CHECK_CONTAINS(t, err.message, ": interrupted");
            stop_never();
        }
    }
    image_free(&picture);
}

static void nothing_is_written_when_it_is_stopped(test *t)
{
    char path[128];
    error err = {0};
    image picture = smooth_picture(40, 30, false, false);
    REQUIRE(t, picture.pixels && new_path("a.webp", path));
    stop = 1;
    CHECK(t, image_write(path, &picture, &(image_write_options){.stop = &stop}, &err) == STATUS_INTERRUPTED);
    stop_never();
    CHECK(t, access(path, F_OK) != 0);
    image_free(&picture);
    remove_path(path);
}

static void decoding_ends_when_asked(test *t)
{
    static const char *const names[] = {"a.png", "a.jpg"};
    const image_limits limits = {.stop = &stop};
    image picture = noise_picture(), read;
    REQUIRE(t, picture.pixels);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint8_t *bytes;
        size_t size;
        error err = {0};
        REQUIRE_OK(t, image_encode(names[i], &picture, NULL, &bytes, &size, &err), err);
        double begin = stop_clock();
        REQUIRE_OK(t, image_decode(names[i], bytes, size, &limits, &read, &err), err);
        double whole = stop_clock() - begin;
        image_free(&read);
        stop_after(whole / 4);
        CHECK(t, image_decode(names[i], bytes, size, &limits, &read, &err) == STATUS_INTERRUPTED && !read.pixels);
        CHECK_CONTAINS(t, err.message, ": interrupted");
        stop_never();
        free(bytes);
    }
    image_free(&picture);
}

TEST_MAIN(TEST(encoding_ends_when_asked), TEST(nothing_is_written_when_it_is_stopped), TEST(decoding_ends_when_asked))
