/* Each measure against NumPy, SciPy and scikit-image (expected.h), and its edge cases. */
#include "compare/metrics/interval.h"
#include "compare/metrics/pictures.h"
#include "compare/metrics/vectors.h"
#include "compare/metrics/wasserstein.h"
#include "expected.h"
#include "inputs.h"
#include "test.h"

static void check_estimate(test *t, compare_estimate found, const double expected[3], double bound)
{
    CHECK_NEAR(t, found.value, expected[0], bound * fabs(expected[0]));
    CHECK_NEAR(t, found.low, expected[1], bound * fabs(expected[0]));
    CHECK_NEAR(t, found.high, expected[2], bound * fabs(expected[0]));
}

static void quantiles(test *t)
{
    const size_t degrees[] = {1, 2, 3, 10, 59, 1000, 20000};
    for (size_t i = 0; i < 7; i++) CHECK_NEAR(t, compare_student(degrees[i]), expected_student[i], 1e-6);
}

static void proportions(test *t)
{
    const size_t k[] = {0, 3, 60};
    for (size_t i = 0; i < 3; i++) {
        compare_estimate e = compare_proportion(k[i], 60);
        CHECK_NEAR(t, e.value, expected_wilson[3 * i], 1e-12);
        CHECK_NEAR(t, e.low, expected_wilson[3 * i + 1], 1e-9);
        CHECK_NEAR(t, e.high, expected_wilson[3 * i + 2], 1e-9);
    }
}

typedef struct inputs {
    float x[7 * DIMENSION], y[5 * DIMENSION], shifted[5 * DIMENSION];
} inputs;

static void vector_measures(test *t)
{
    static inputs in;
    error err = {0};
    input_vectors(0, in.x);
    input_vectors(1, in.y);
    for (size_t i = 0; i < 5 * DIMENSION; i++) in.shifted[i] = in.y[i] + 2;
    const compare_vectors x = {in.x, 7, DIMENSION}, y = {in.y, 5, DIMENSION}, shifted = {in.shifted, 5, DIMENSION};
    compare_estimate e;
    REQUIRE_OK(t, compare_kid(&x, &y, &e, &err), err);
    check_estimate(t, e, expected_kid, 1e-9);
    CHECK(t, e.n == 7 && e.m == 5);
    REQUIRE_OK(t, compare_kid(&x, &shifted, &e, &err), err);
    check_estimate(t, e, expected_kid + 3, 1e-9);
    REQUIRE_OK(t, compare_kid(&x, &x, &e, &err), err);
    check_estimate(t, e, expected_kid + 6, 1e-9);
    REQUIRE_OK(t, compare_diversity(&x, &e, &err), err);
    check_estimate(t, e, expected_diversity, 1e-9);
    double nearest[5];
    REQUIRE_OK(t, compare_nearest(&y, &x, nearest, &e, &err), err);
    check_estimate(t, e, expected_nearest, 1e-9);
    for (size_t i = 0; i < 5; i++) CHECK_NEAR(t, nearest[i], expected_neighbour_distances[i], 1e-9);
    CHECK(t, e.n == 5);
    REQUIRE_OK(t, compare_to_mean(&y, &x, &e, &err), err);
    check_estimate(t, e, expected_to_mean, 1e-6); /* centred in floats */
    for (size_t i = 0; i < 3; i++)
        CHECK_NEAR(t, compare_relative(in.x + i * DIMENSION, in.y + i * DIMENSION, DIMENSION), expected_relative[i],
                   1e-9);
    CHECK(t, compare_relative(in.x, in.x, DIMENSION) == 0);
}

static void memorisation(test *t)
{
    static inputs in;
    error err = {0};
    input_vectors(0, in.x);
    input_vectors(1, in.y);
    compare_vectors x = {in.x, 7, DIMENSION}, y = {in.y, 5, DIMENSION};
    compare_neighbour found[5];
    compare_memorisation m;
    REQUIRE_OK(t, compare_memorised(&y, &x, found, &m, &err), err);
    CHECK_NEAR(t, m.threshold, expected_threshold[0], 1e-9);
    for (size_t i = 0; i < 5; i++) {
        CHECK(t, found[i].nearest == (size_t)expected_neighbours[i]);
        CHECK_NEAR(t, found[i].distance, expected_neighbour_distances[i], 1e-9);
        CHECK(t, !found[i].close);
    }
    check_estimate(t, m.distance, expected_nearest, 1e-9);
    /* A copy, and what is nearly one. */
    memcpy(in.y, in.x + 2 * DIMENSION, DIMENSION * sizeof *in.y);
    memcpy(in.y + DIMENSION, in.x + 5 * DIMENSION, DIMENSION * sizeof *in.y);
    in.y[DIMENSION] += 0.5f;
    REQUIRE_OK(t, compare_memorised(&y, &x, found, &m, &err), err);
    CHECK(t, found[0].nearest == 2 && found[0].distance == 0 && found[0].close);
    CHECK(t, found[1].nearest == 5 && found[1].close);
    CHECK(t, !found[2].close && !found[3].close && !found[4].close);
    CHECK_NEAR(t, m.close.value, 0.4, 1e-12);
    /* Copies within the training set do not lower the threshold to 0; nothing but copies does. */
    memcpy(in.x, in.x + 2 * DIMENSION, DIMENSION * sizeof *in.x);
    REQUIRE_OK(t, compare_memorised(&y, &x, found, &m, &err), err);
    CHECK(t, m.threshold > 0.5 && found[0].close && found[0].nearest == 0);
    for (size_t i = 1; i < 7; i++) memcpy(in.x + i * DIMENSION, in.x, DIMENSION * sizeof *in.x);
    REQUIRE_OK(t, compare_memorised(&y, &x, found, &m, &err), err);
    CHECK(t, m.threshold == 0 && found[0].close && !found[1].close);
}

static void structural_similarity(test *t)
{
    uint8_t a[SIDE * SIDE * 3], b[SIDE * SIDE * 3];
    error err = {0};
    double s;
    for (size_t i = 0; i < 4; i++) {
        input_picture(0, i % 3, a);
        input_picture(i < 3, i < 3 ? i : 1, b);
        REQUIRE_OK(t, compare_ssim(a, b, SIDE, &s, &err), err);
        CHECK_NEAR(t, s, expected_ssim[i], 1e-9);
    }
    REQUIRE_OK(t, compare_ssim(a, a, SIDE, &s, &err), err);
    CHECK_NEAR(t, s, 1, 1e-12);
    memset(a, 255, sizeof a);
    memset(b, 0, sizeof b);
    REQUIRE_OK(t, compare_ssim(a, b, 11, &s, &err), err); /* one window of two constants: the means' term alone */
    CHECK_NEAR(t, s, 6.5025 / (255.0 * 255 + 6.5025), 1e-9);
    CHECK(t, compare_ssim(a, b, 10, &s, &err) == STATUS_FAILED);
}

static void pyramid(test *t)
{
    static float fine[SIDE * SIDE * 3], coarse[16 * 16 * 3], scratch[SIDE * SIDE * 3 * 3 / 2];
    float *levels[] = {fine, coarse};
    uint8_t pixels[SIDE * SIDE * 3];
    input_picture(0, 2, pixels);
    compare_laplacian(pixels, SIDE, 2, levels, scratch);
    for (size_t l = 0; l < 2; l++) {
        size_t side = SIDE >> l;
        const size_t places[3] = {0, side * side * 3 - 1, (5 * side + 9) * 3 + 1};
        for (size_t i = 0; i < 3; i++) CHECK_NEAR(t, levels[l][places[i]], expected_pyramid[3 * l + i], 1e-4);
    }
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void sorts(test *t)
{
    float values[300], expected[300];
    uint32_t scratch[600], state = 1;
    for (size_t i = 0; i < 300; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = ((float)(state >> 8) - 8e6f) * (i % 3 ? 1e-3f : 1e4f);
    }
    values[7] = 0;
    values[8] = -0.0f;
    values[9] = values[10] = INFINITY;
    values[11] = -INFINITY;
    memcpy(expected, values, sizeof values);
    qsort(expected, 300, sizeof *expected, ascending);
    compare_sort(values, scratch, 300);
    for (size_t i = 0; i < 300; i++) CHECK(t, values[i] == expected[i]);
    compare_sort(values, scratch, 0);
    CHECK(t, values[0] == -INFINITY);
}

static void distances_of_samples(test *t)
{
    const float a[] = {0, 1, 3}, b[] = {5, 6, 8}, c[] = {0, 10};
    CHECK_NEAR(t, compare_wasserstein_sorted(a, 3, b, 3), 5, 1e-12); /* the example of scipy's documentation */
    CHECK_NEAR(t, compare_wasserstein_sorted(a, 3, a, 3), 0, 0);
    /* Quantiles in sixths: 0 0 1 1 3 3 against 0 0 0 10 10 10. */
    CHECK_NEAR(t, compare_wasserstein_sorted(a, 3, c, 2), (0 + 0 + 1 + 9 + 7 + 7) / 6.0, 1e-12);
    CHECK_NEAR(t, compare_wasserstein_sorted(c, 2, a, 3), 4, 1e-12);
}

static void sliced_wasserstein(test *t)
{
    compare_pictures real = input_set(0), fake = input_set(1);
    compare_wasserstein w;
    error err = {0};
    compare_wasserstein_options options = {.patches = 20, .directions = 24, .seed = 5};
    REQUIRE_OK(t, compare_wasserstein_measure(&real, &fake, &options, &w, &err), err);
    CHECK(t, w.levels == 2 && w.side[0] == 32 && w.side[1] == 16);
    check_estimate(t, w.level[0], expected_wasserstein, 2e-5);
    check_estimate(t, w.level[1], expected_wasserstein + 3, 2e-5);
    check_estimate(t, w.mean, expected_wasserstein + 6, 2e-5);
    CHECK(t, w.mean.n == 6 && w.mean.m == 5);
    memset(real.pixels, 9, real.count * SIDE * SIDE * 3); /* no deviation to divide by */
    REQUIRE_OK(t, compare_wasserstein_measure(&real, &fake, &options, &w, &err), err);
    CHECK(t, isfinite(w.mean.value) && isfinite(w.mean.high));
    real.side = 24;
    CHECK(t, compare_wasserstein_measure(&real, &fake, &options, &w, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "pictures of 24 and 32 pixels, expected one power of two from 16 to 2048");
    real.side = 32;
    real.count = 1;
    CHECK(t, compare_wasserstein_measure(&real, &fake, &options, &w, &err) == STATUS_FAILED);
    compare_pictures_free(&real);
    compare_pictures_free(&fake);
}

static void shrinks(test *t)
{
    compare_pictures set = input_set(1);
    float *small = malloc(set.count * 4 * 4 * 3 * sizeof *small);
    REQUIRE(t, set.pixels && small);
    compare_pictures_shrink(&set, 4, small);
    double sum = 0;
    for (size_t y = 8; y < 16; y++)
        for (size_t x = 24; x < 32; x++) sum += compare_picture(&set, 3)[(y * SIDE + x) * 3 + 2];
    CHECK_NEAR(t, small[3 * 48 + (1 * 4 + 3) * 3 + 2], sum / 64, 1e-4);
    free(small);
    compare_pictures_free(&set);
}

static void squares(test *t)
{
    error err = {0};
    image wide = {0};
    compare_pictures set;
    REQUIRE_OK(t, image_create(&wide, 48, 16, &err), err);
    for (size_t i = 0; i < 48 * 16 * 3; i++) wide.pixels[i] = i / 3 % 48 >= 16 && i / 3 % 48 < 32 ? 50 : 200;
    REQUIRE_OK(t, compare_pictures_create(&set, 2, 16, &err), err);
    REQUIRE_OK(t, compare_pictures_put(&set, 1, &wide, &err), err);
    for (size_t i = 0; i < 16 * 16 * 3; i++) CHECK(t, compare_picture(&set, 1)[i] == 50 && set.pixels[i] == 0);
    wide.alpha = calloc(48 * 16, 1);
    REQUIRE_OK(t, compare_pictures_put(&set, 1, &wide, &err), err);
    for (size_t i = 0; i < 16 * 16 * 3; i++) CHECK(t, compare_picture(&set, 1)[i] == 255);
    image_free(&wide);
    compare_pictures_free(&set);
}

TEST_MAIN(TEST(quantiles), TEST(proportions), TEST(vector_measures), TEST(memorisation), TEST(structural_similarity),
          TEST(pyramid), TEST(sorts), TEST(distances_of_samples), TEST(sliced_wasserstein), TEST(shrinks),
          TEST(squares))
