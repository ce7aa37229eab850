/* Colours: statistics after matching, luminance and colour differences, by their definitions. */
#include "base/rng.h"
#include "style/colour.h"
#include "test.h"

enum { COUNT = 500 };

/* Correlated colours: a mix of three random numbers. */
static void fill(float *pixels, uint64_t seed, double mean, double spread)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        double a = rng_normal(seed, RNG_TEST, 0, i), b = rng_normal(seed, RNG_TEST, 1, i);
        double c = rng_normal(seed, RNG_TEST, 2, i);
        pixels[3 * i] = (float)(mean + spread * a);
        pixels[3 * i + 1] = (float)(spread * (0.7 * a + 0.4 * b));
        pixels[3 * i + 2] = (float)(-mean + spread * (0.2 * a - 0.5 * b + 0.3 * c));
    }
}

static void matches_statistics(test *t)
{
    float style[3 * COUNT], content[3 * COUNT];
    fill(style, 1, 0.1, 0.3);
    fill(content, 2, -0.3, 0.15);
    style_statistics wanted = style_statistics_of(content, COUNT);
    style_match_colours(style, COUNT, &wanted);
    style_statistics found = style_statistics_of(style, COUNT);
    for (int a = 0; a < 3; a++) {
        CHECK_NEAR(t, found.mean[a], wanted.mean[a], 1e-6);
        for (int b = 0; b < 3; b++) CHECK_NEAR(t, found.covariance[a][b], wanted.covariance[a][b], 1e-6);
    }
    /* A picture that has the statistics already stays as it is. */
    float same[3 * COUNT];
    memcpy(same, style, sizeof same);
    style_match_colours(style, COUNT, &found);
    CHECK(t, test_relative(style, same, 3 * COUNT) < 1e-5);
}

static void matches_grey_and_flat(test *t)
{
    float grey[3 * COUNT], content[3 * COUNT], flat[3 * COUNT];
    fill(content, 3, 0.2, 0.2);
    fill(grey, 4, -0.1, 0.4);
    style_make_grey(content, COUNT);
    style_make_grey(grey, COUNT);
    for (size_t i = 0; i < 3 * COUNT; i++) flat[i] = 0.25f;
    style_statistics wanted = style_statistics_of(content, COUNT);
    style_match_colours(grey, COUNT, &wanted);
    style_statistics found = style_statistics_of(grey, COUNT);
    CHECK_NEAR(t, found.mean[0], wanted.mean[0], 1e-6);
    CHECK_NEAR(t, found.covariance[0][0], wanted.covariance[0][0], 1e-6);
    for (size_t i = 0; i < COUNT; i++) CHECK_NEAR(t, grey[3 * i], grey[3 * i + 2], 1e-5);
    style_match_colours(flat, COUNT, &wanted);
    for (size_t i = 0; i < 3 * COUNT; i++) CHECK_NEAR(t, flat[i], wanted.mean[i % 3], 1e-6);
}

static void takes_colours(test *t)
{
    float x[3 * COUNT], content[3 * COUNT], before[3 * COUNT];
    fill(x, 5, 0, 0.3);
    fill(content, 6, 0.1, 0.2);
    memcpy(before, x, sizeof x);
    style_take_colours(x, content, COUNT);
    for (size_t i = 0; i < 3 * COUNT; i += 3) {
        CHECK_NEAR(t, 0.299 * x[i] + 0.587 * x[i + 1] + 0.114 * x[i + 2],
                   0.299 * before[i] + 0.587 * before[i + 1] + 0.114 * before[i + 2], 1e-6);
        CHECK_NEAR(t, x[i] - x[i + 1], content[i] - content[i + 1], 1e-6);
        CHECK_NEAR(t, x[i + 2] - x[i + 1], content[i + 2] - content[i + 1], 1e-6);
    }
}

TEST_MAIN(TEST(matches_statistics), TEST(matches_grey_and_flat), TEST(takes_colours))
