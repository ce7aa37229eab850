#include "fixture.h"
#include "image/image.h"
#include "test.h"

static status take_picture(fixture *f, size_t width, size_t height, size_t channels, image *out, error *err)
{
    TRY(image_create(out, width, height, err));
    if (channels == 4 && !(out->alpha = malloc(width * height))) return error_no_memory(err, "alpha", width * height);
    const uint8_t *from = fixture_bytes(f, width * height * channels);
    for (size_t i = 0; i < width * height; i++, from += channels) {
        memcpy(out->pixels + i * 3, from, 3);
        if (channels == 4) out->alpha[i] = from[3];
    }
    return STATUS_OK;
}

/* Pillow 9.4's results; see tools/oracle/resize.py. */
static void agrees_with_pillow(test *t)
{
    fixture f = fixture_open("tests/fixtures/resize.bin");
    REQUIRE(t, f.data);
    error err = {0};
    size_t values = 0, different = 0;
    int worst = 0;
    for (uint32_t left = fixture_number(&f); left > 0; left--) {
        size_t width = fixture_number(&f), height = fixture_number(&f);
        size_t new_width = fixture_number(&f), new_height = fixture_number(&f);
        size_t channels = fixture_number(&f);
        image in = {0}, out = {0};
        REQUIRE_OK(t, take_picture(&f, width, height, channels, &in, &err), err);
        const uint8_t *expected = fixture_bytes(&f, new_width * new_height * channels);
        REQUIRE_OK(t, image_resize(&in, new_width, new_height, &out, &err), err);
        REQUIRE(t, out.width == new_width && out.height == new_height && !out.alpha == (channels == 3));
        for (size_t i = 0; i < new_width * new_height * channels; i++) {
            size_t at = i / channels, c = i % channels;
            int difference = abs((c < 3 ? out.pixels[at * 3 + c] : out.alpha[at]) - expected[i]);
            different += difference != 0;
            worst = difference > worst ? difference : worst;
        }
        values += new_width * new_height * channels;
        image_free(&in);
        image_free(&out);
    }
    CHECK(t, fixture_left(&f) == 0 && values > 50000);
    if (different) printf("resize: %zu of %zu values differ from Pillow's\n", different, values);
    CHECK(t, worst <= 1); /* one grey level, should a platform's doubles round otherwise */
    CHECK(t, different * 1000 <= values);
    fixture_close(&f);
}

/* A flat picture stays flat at any size: the weights of each output sum to one. */
static void keeps_flat_pictures(test *t)
{
    error err = {0};
    image in = {0};
    REQUIRE_OK(t, image_create(&in, 50, 40, &err), err);
    const uint8_t levels[] = {0, 1, 127, 254, 255};
    const size_t sizes[][2] = {{1, 1}, {49, 3}, {50, 80}, {333, 7}, {128, 128}};
    for (size_t l = 0; l < sizeof levels; l++) {
        memset(in.pixels, levels[l], 50 * 40 * 3);
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            image out = {0};
            REQUIRE_OK(t, image_resize(&in, sizes[s][0], sizes[s][1], &out, &err), err);
            bool flat = true;
            for (size_t i = 0; i < out.width * out.height * 3; i++) flat = flat && out.pixels[i] == levels[l];
            CHECK(t, flat);
            image_free(&out);
        }
    }
    image_free(&in);
}

static void refuses_bad_sizes(test *t)
{
    error err = {0};
    image in = {0}, out = {0};
    REQUIRE_OK(t, image_create(&in, 4, 4, &err), err);
    memset(in.pixels, 9, 48);
    CHECK(t, image_resize(&in, 0, 4, &out, &err) == STATUS_FAILED);
    CHECK(t, image_resize(&in, 4, 0, &out, &err) == STATUS_FAILED);
    CHECK(t, image_resize(&in, SIZE_MAX / 8, 4, &out, &err) == STATUS_NO_MEMORY);
    CHECK(t, !out.pixels);
    image_free(&in);
}

TEST_MAIN(TEST(agrees_with_pillow), TEST(keeps_flat_pictures), TEST(refuses_bad_sizes))
