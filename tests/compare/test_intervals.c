/* By simulation: intervals contain the true value about as often as they say. Where two sets come from one source,
 * KID's do so more often (the part of its variance that vanishes there is estimated, and never below 0), but are not
 * much wider than they must be. */
#include "base/rng.h"
#include "compare/metrics/interval.h"
#include "compare/metrics/pictures.h"
#include "compare/metrics/vectors.h"
#include "compare/metrics/wasserstein.h"
#include "test.h"

enum { REPEATS = 200, N = 40, M = 30, D = 16 };

/* What came of the repetitions. */
typedef struct tally {
    double sum, squares, half_widths;
    int covered;
} tally;

static void add(tally *found, compare_estimate e, double truth)
{
    found->sum += e.value;
    found->squares += e.value * e.value;
    found->half_widths += (e.high - e.low) / 2;
    found->covered += e.low <= truth && truth <= e.high;
}

static double deviation(const tally *found)
{
    double mean = found->sum / REPEATS;
    return sqrt(fmax(found->squares / REPEATS - mean * mean, 0));
}

/* Of 200 intervals of exactly 95 %, from 180 to 198 contain the truth, but once in some hundred times. */
static void check_coverage(test *t, const char *what, const tally *found, double truth, int most)
{
    if (found->covered < REPEATS * 90 / 100 || found->covered > most)
        test_failed(t, __FILE__, __LINE__, "%s: %d of %d intervals contain the true value", what, found->covered,
                    REPEATS);
    CHECK_NEAR(t, found->sum / REPEATS, truth, 3.3 * deviation(found) / sqrt(REPEATS)); /* without bias */
    if (found->half_widths / REPEATS > 1.5 * 2.1 * deviation(found))
        test_failed(t, __FILE__, __LINE__, "%s: intervals of %g to either side, but a deviation of %g", what,
                    found->half_widths / REPEATS, deviation(found));
}

enum { USUAL = REPEATS * 99 / 100 };

/* (rows, D): normal about `mean` in every element, with a part of deviation `shared` that a row's elements share. */
static void draw(float *out, size_t rows, float mean, float shared, uint64_t step)
{
    for (size_t i = 0; i < rows; i++) {
        float own = shared * rng_normal(9, RNG_TEST, step, (uint32_t)(1 << 20 | i));
        for (size_t j = 0; j < D; j++)
            out[i * D + j] = mean + own + rng_normal(9, RNG_TEST, step, (uint32_t)(i * D + j));
    }
}

static float x[N * D], y[N * D];
static const compare_vectors in_x = {x, N, D}, in_y = {y, M, D};

/* E (x.y / D + 1)^3 for independent x and y, normal with covariance I about vectors of constant p and q: from
 * E x.y, E (x.y)^2 and E (x.y)^3, contractions of the moments mu, I + mu mu', mu mu mu + 3 sym(mu I). */
static double expected_kernel(double p, double q)
{
    double d = D, a = d * p * q, squares = d * p * p + d * q * q;
    double second = d + squares + a * a, third = a * a * a + 3 * a * squares + 3 * a * d + 6 * a;
    return 1 + 3 * a / d + 3 * second / (d * d) + third / (d * d * d);
}

static void kid_covers(test *t)
{
    const float shift[] = {0, 0.05f, 0.2f, 1};
    error err = {0};
    for (size_t s = 0; s < 4; s++) {
        double p = 0.5, q = 0.5 + shift[s];
        double truth = expected_kernel(p, p) + expected_kernel(q, q) - 2 * expected_kernel(p, q);
        tally found = {0};
        for (uint64_t i = 0; i < REPEATS; i++) {
            compare_estimate e;
            draw(x, N, 0.5f, 0, 2 * i);
            draw(y, M, 0.5f + shift[s], 0, 2 * i + 1);
            REQUIRE_OK(t, compare_kid(&in_x, &in_y, &e, &err), err);
            add(&found, e, truth);
        }
        check_coverage(t, "KID", &found, truth, s < 2 ? REPEATS : USUAL);
    }
}

/* One strong direction: KID is nearly a single squared number, the least normal that it can be. */
static void kid_covers_skewed(test *t)
{
    error err = {0};
    tally found = {0};
    for (uint64_t i = 0; i < REPEATS; i++) {
        compare_estimate e;
        draw(x, N, 1, 1, 2 * i);
        draw(y, M, 1, 1, 2 * i + 1);
        REQUIRE_OK(t, compare_kid(&in_x, &in_y, &e, &err), err);
        add(&found, e, 0);
    }
    check_coverage(t, "KID of shared parts", &found, 0, REPEATS);
}

/* E of the length of a standard normal vector, over sqrt(D). */
static double expected_length(void)
{
    return sqrt(2.0 / D) * exp(lgamma((D + 1) / 2.0) - lgamma(D / 2.0));
}

static void distances_cover(test *t)
{
    error err = {0};
    tally diversity = {0}, to_mean = {0};
    for (uint64_t i = 0; i < REPEATS; i++) {
        compare_estimate e;
        draw(x, N, 0, 0, 2 * i);
        draw(y, M, 0, 0, 2 * i + 1);
        REQUIRE_OK(t, compare_diversity(&in_x, &e, &err), err);
        add(&diversity, e, sqrt(2) * expected_length());
        REQUIRE_OK(t, compare_to_mean(&in_y, &in_x, &e, &err), err);
        add(&to_mean, e, sqrt(1 + 1.0 / N) * expected_length());
    }
    check_coverage(t, "diversity", &diversity, sqrt(2) * expected_length(), USUAL);
    check_coverage(t, "distance to the mean", &to_mean, sqrt(1 + 1.0 / N) * expected_length(), USUAL);
}

/* Copies of pictures are pairs like others: nothing becomes infinite or leaves its interval. */
static void copies_do_no_harm(test *t)
{
    error err = {0};
    compare_estimate e;
    draw(x, N, 0.5f, 0, 1);
    draw(y, M, 0.5f, 0, 2);
    memcpy(x, x + D, D * sizeof *x);
    memcpy(y + 5 * D, y, D * sizeof *y);
    memcpy(y + 9 * D, y, D * sizeof *y);
    REQUIRE_OK(t, compare_kid(&in_x, &in_y, &e, &err), err);
    CHECK(t, e.low < 0 && 0 < e.high && e.low < e.value && e.value < e.high);
    for (size_t i = 1; i < N; i++) memcpy(x + i * D, x, D * sizeof *x); /* one picture, N times */
    REQUIRE_OK(t, compare_diversity(&in_x, &e, &err), err);
    CHECK(t, e.value == 0 && e.low == 0 && e.high == 0);
    REQUIRE_OK(t, compare_kid(&in_x, &in_x, &e, &err), err);
    CHECK_NEAR(t, e.value, 0, 1e-9);
    CHECK_NEAR(t, e.high - e.low, 0, 1e-6);
}

/* Three pictures: a similarity near 1 (normal, of deviation 0.2 about 0.8, those above 1 mirrored there) and a distance
 * near 0. Cutting intervals to the numbers' range changes none that contains the truth into one that does not. */
static void few_stay_in_range(test *t)
{
    const double least[] = {-1, 0}, most[] = {1, INFINITY};
    int cut = 0;
    for (int kind = 0; kind < 2; kind++) {
        double truth = 0;
        tally found = {0};
        for (int pass = 0; pass < 2; pass++) /* the mirrored normal's mean, then the intervals */
            for (uint64_t i = 0; i < (pass ? REPEATS : 100000); i++) {
                double values[3];
                for (uint32_t k = 0; k < 3; k++) {
                    double normal = 0.2 * rng_normal(9, RNG_TEST, i + (uint64_t)(pass * 200000 + kind), k);
                    values[k] = kind ? fabs(0.2 + normal) : 1 - fabs(0.2 + normal);
                    if (!pass) truth += values[k] / 300000;
                }
                if (!pass) continue;
                compare_estimate whole = compare_mean(values, 3), e = compare_within(whole, least[kind], most[kind]);
                CHECK(t, e.low >= least[kind] && e.high <= most[kind] && e.low <= e.value && e.value <= e.high);
                CHECK(t, (e.low <= truth && truth <= e.high) == (whole.low <= truth && truth <= whole.high));
                cut += e.low > whole.low || e.high < whole.high;
                add(&found, e, truth);
            }
        check_coverage(t, kind ? "a distance of three" : "a similarity of three", &found, truth, USUAL);
    }
    CHECK(t, cut > REPEATS / 2); /* or nothing was shown */
}

enum { PICTURES = 12, SMALL = 16 };

/* Stripes of random pitch, contrast and phase, with noise; pictures differ, as patches of one picture do not. */
static void draw_pictures(compare_pictures *set, float contrast, uint64_t step)
{
    for (size_t i = 0; i < set->count; i++) {
        uint32_t at = (uint32_t)i << 12;
        float pitch = 0.3f + 1.5f * rng_uniform(9, RNG_TEST, step, at);
        float phase = 6 * rng_uniform(9, RNG_TEST, step, at + 1);
        float height = contrast * (0.3f + rng_uniform(9, RNG_TEST, step, at + 2));
        for (uint32_t k = 0; k < SMALL * SMALL * 3; k++) {
            float wave = height * sinf(pitch * (float)(k / 3 % SMALL) + phase + (float)(k % 3));
            float value = 128 + wave + 10 * rng_normal(9, RNG_TEST, step, at + 3 + k);
            set->pixels[i * SMALL * SMALL * 3 + k] = (uint8_t)fminf(fmaxf(value, 0), 255);
        }
    }
}

static void wasserstein_covers(test *t)
{
    error err = {0};
    compare_pictures real, fake;
    REQUIRE_OK(t, compare_pictures_create(&real, PICTURES, SMALL, &err), err);
    REQUIRE_OK(t, compare_pictures_create(&fake, PICTURES, SMALL, &err), err);
    static compare_estimate found[REPEATS];
    const float contrast[] = {60, 8};
    for (size_t s = 0; s < 2; s++) {
        double sum = 0;
        tally counted = {0};
        for (uint64_t i = 0; i < REPEATS; i++) {
            compare_wasserstein w;
            draw_pictures(&real, 60, 2 * i);
            draw_pictures(&fake, contrast[s], 2 * i + 1);
            const compare_wasserstein_options options = {.patches = 8, .directions = 8, .seed = i};
            REQUIRE_OK(t, compare_wasserstein_measure(&real, &fake, &options, &w, &err), err);
            found[i] = w.mean;
            sum += w.mean.value;
        }
        for (size_t i = 0; i < REPEATS; i++) add(&counted, found[i], sum / REPEATS);
        check_coverage(t, s ? "sliced Wasserstein distance" : "the same of one source", &counted, sum / REPEATS,
                       s ? USUAL : REPEATS);
    }
    compare_pictures_free(&real);
    compare_pictures_free(&fake);
}

TEST_MAIN(TEST(kid_covers), TEST(kid_covers_skewed), TEST(distances_cover), TEST(copies_do_no_harm), TEST(few_stay_in_range),
          TEST(wasserstein_covers))
