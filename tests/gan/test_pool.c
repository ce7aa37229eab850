#include "gan/pool.h"
#include "test.h"

static void fills_then_swaps_half(test *t)
{
    enum { SIZE = 5, STEPS = 4000 };
    int passed = 0, swapped[SIZE] = {0};
    for (uint64_t step = 0; step < STEPS; step++) {
        float code;
        gan_pool_decide(3, RNG_POOL_A, step, 1, SIZE, &code);
        if (step < SIZE) {
            CHECK(t, code == (float)(step + 1));
        } else if (code == 0) {
            passed++;
        } else {
            REQUIRE(t, code <= -1 && code >= -SIZE);
            swapped[(int)-code - 1]++;
        }
    }
    CHECK_NEAR(t, passed, STEPS / 2, 150);
    for (int i = 0; i < SIZE; i++) CHECK_NEAR(t, swapped[i], STEPS / 2 / SIZE, 100);
}

static void batches_count_pictures(test *t)
{
    float codes[4];
    gan_pool_decide(3, RNG_POOL_B, 1, 4, 6, codes); /* pictures 4 to 7 of a pool of 6 */
    CHECK(t, codes[0] == 5 && codes[1] == 6);
    CHECK(t, codes[2] <= 0 && codes[3] <= 0);
}

static void no_pool_passes_on(test *t)
{
    float codes[2] = {9, 9};
    gan_pool_decide(3, RNG_POOL_B, 7, 2, 0, codes);
    CHECK(t, codes[0] == 0 && codes[1] == 0);
}

TEST_MAIN(TEST(fills_then_swaps_half), TEST(batches_count_pictures), TEST(no_pool_passes_on))
