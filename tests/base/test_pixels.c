#include "base/pixels.h"

#include <float.h>
#include <math.h>

#include "test.h"

enum { VALUES = 256 };

static void bytes_come_back(test *t)
{
    uint8_t all[VALUES], back[VALUES];
    float floats[VALUES];
    for (int i = 0; i < VALUES; i++) all[i] = (uint8_t)i;
    pixels_to_floats(all, VALUES, floats);
    for (int i = 0; i < VALUES; i++) CHECK(t, floats[i] == (float)i / 127.5f - 1);
    CHECK(t, floats[0] == -1 && floats[VALUES - 1] == 1);
    pixels_from_floats(floats, VALUES, back);
    CHECK(t, memcmp(all, back, VALUES) == 0);
}

static void floats_are_rounded_and_clipped(test *t)
{
    const float step = 1 / 127.5f;
    const float floats[] = {-1 + 0.49f * step, -1 + 0.51f * step, 1 + step, 1e30f, INFINITY, -1 - step, -INFINITY, NAN, 0};
    const uint8_t expected[] = {0, 1, 255, 255, 255, 0, 0, 0, 128};
    uint8_t pixels[sizeof expected];
    pixels_from_floats(floats, sizeof expected, pixels);
    for (size_t i = 0; i < sizeof expected; i++) CHECK(t, pixels[i] == expected[i]);
}

static void one_that_is_not_finite_is_found(test *t)
{
    static const float others[] = {NAN, INFINITY, -INFINITY};
    float floats[37];
    for (size_t i = 0; i < 37; i++) floats[i] = i % 2 ? FLT_MAX : -FLT_MAX;
    CHECK(t, pixels_are_finite(floats, 37) && pixels_are_finite(floats, 0));
    for (size_t i = 0; i < 37; i++) {
        float before = floats[i];
        floats[i] = others[i % 3];
        CHECK(t, !pixels_are_finite(floats, 37));
        CHECK(t, pixels_are_finite(floats, i) && pixels_are_finite(floats + i + 1, 36 - i));
        floats[i] = before;
    }
}

TEST_MAIN(TEST(bytes_come_back), TEST(floats_are_rounded_and_clipped), TEST(one_that_is_not_finite_is_found))
