/* Philox against the known answers of Random123 (kat_vectors, "philox4x32 10"), distributions against their moments. */
#include "base/rng.h"

#include "test.h"

enum { DRAWS = 100000 };

/* One line of kat_vectors: four counter words, two key words, four results. */
static void check_vector(test *t, const uint32_t v[10])
{
    uint32_t out[4];
    uint64_t seed = v[4] | (uint64_t)v[5] << 32, step = v[1] | (uint64_t)v[2] << 32;
    rng_block(seed, (rng_stream)v[3], step, v[0], out);
    for (int i = 0; i < 4; i++)
        if (out[i] != v[6 + i]) test_failed(t, __FILE__, __LINE__, "word %d is %08x, expected %08x", i, out[i], v[6 + i]);
}

static void known_answers(test *t)
{
    static const uint32_t vectors[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) check_vector(t, vectors[i]);
}

static void u32_is_the_first_word(test *t)
{
    uint32_t out[4];
    rng_block(7, RNG_TEST, 3, 11, out);
    CHECK(t, rng_u32(7, RNG_TEST, 3, 11) == out[0]);
}

static void every_argument_counts(test *t)
{
    uint32_t base = rng_u32(1, RNG_TEST, 2, 3);
    CHECK(t, base == rng_u32(1, RNG_TEST, 2, 3));
    CHECK(t, base != rng_u32(2, RNG_TEST, 2, 3));
    CHECK(t, base != rng_u32(1 | (uint64_t)1 << 32, RNG_TEST, 2, 3));
    CHECK(t, base != rng_u32(1, RNG_INIT, 2, 3));
    CHECK(t, base != rng_u32(1, RNG_TEST, 3, 3));
    CHECK(t, base != rng_u32(1, RNG_TEST, 2 | (uint64_t)1 << 32, 3));
    CHECK(t, base != rng_u32(1, RNG_TEST, 2, 4));
}

static void uniform_moments(test *t)
{
    double sum = 0, squares = 0, least = 1, most = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        double u = rng_uniform(5, RNG_TEST, 0, i);
        sum += u;
        squares += u * u;
        least = u < least ? u : least;
        most = u > most ? u : most;
    }
    /* Bounds are five standard errors. */
    CHECK_NEAR(t, sum / DRAWS, 0.5, 5 * sqrt(1.0 / 12 / DRAWS));
    CHECK_NEAR(t, squares / DRAWS, 1.0 / 3, 5 * sqrt(4.0 / 45 / DRAWS));
    CHECK(t, least >= 0 && least < 1e-3);
    CHECK(t, most < 1 && most > 1 - 1e-3);
}

static void normal_moments(test *t)
{
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, neighbours = 0, before = 0, beyond = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        double x = rng_normal(5, RNG_TEST, 1, i);
        if (!isfinite(x)) test_failed(t, __FILE__, __LINE__, "draw %u is %g", i, x);
        m1 += x;
        m2 += x * x;
        m3 += x * x * x;
        m4 += x * x * x * x;
        neighbours += x * before;
        beyond += fabs(x) > 1.959964;
        before = x;
    }
    CHECK_NEAR(t, m1 / DRAWS, 0, 5 * sqrt(1.0 / DRAWS));
    CHECK_NEAR(t, m2 / DRAWS, 1, 5 * sqrt(2.0 / DRAWS));
    CHECK_NEAR(t, m3 / DRAWS, 0, 5 * sqrt(15.0 / DRAWS));
    CHECK_NEAR(t, m4 / DRAWS, 3, 5 * sqrt(96.0 / DRAWS));
    CHECK_NEAR(t, neighbours / DRAWS, 0, 5 * sqrt(1.0 / DRAWS));
    CHECK_NEAR(t, beyond / DRAWS, 0.05, 5 * sqrt(0.05 * 0.95 / DRAWS));
}

/* Chi squared with n-1 degrees of freedom: mean n-1, variance 2(n-1). */
static void below_is_even(test *t)
{
    enum { N = 7 };
    double counts[N] = {0}, chi = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        uint32_t k = rng_below(9, RNG_TEST, 2, i, N);
        REQUIRE(t, k < N);
        counts[k]++;
    }
    for (int k = 0; k < N; k++) chi += (counts[k] - DRAWS / (double)N) * (counts[k] - DRAWS / (double)N) * N / DRAWS;
    CHECK(t, chi < N - 1 + 6 * sqrt(2.0 * (N - 1)));
    CHECK(t, rng_below(9, RNG_TEST, 2, 0, 1) == 0);
    bool high = false;
    for (uint32_t i = 0; i < 16; i++) high = high || rng_below(9, RNG_TEST, 2, i, UINT32_MAX) > UINT32_MAX / 2;
    CHECK(t, high);
}

static void permutation_is_one(test *t)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 60, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t n = sizes[s], order[1001], present[1000] = {0};
        order[n] = 0xdeadbeef; /* sentinel */
        rng_permutation(3, RNG_ORDER_A, 4, n, order);
        CHECK(t, order[n] == 0xdeadbeef);
        for (uint32_t i = 0; i < n; i++) {
            REQUIRE(t, order[i] < n);
            CHECK(t, !present[order[i]]++);
        }
    }
}

static void permutations_are_even(test *t)
{
    enum { N = 60000 };
    double counts[27] = {0}, chi = 0;
    int distinct = 0;
    for (uint64_t epoch = 0; epoch < N; epoch++) {
        uint32_t order[3];
        rng_permutation(3, RNG_ORDER_A, epoch, 3, order);
        counts[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    for (int i = 0; i < 27; i++) {
        if (counts[i] == 0) continue;
        distinct++;
        chi += (counts[i] - N / 6.0) * (counts[i] - N / 6.0) / (N / 6.0);
    }
    CHECK(t, distinct == 6);
    CHECK(t, chi < 5 + 6 * sqrt(10.0));
}

TEST_MAIN(TEST(known_answers), TEST(u32_is_the_first_word), TEST(every_argument_counts), TEST(uniform_moments),
          TEST(normal_moments), TEST(below_is_even), TEST(permutation_is_one), TEST(permutations_are_even))
