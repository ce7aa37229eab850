#include "gan/augment.h"

#include "nn/op.h"
#include "test.h"

/* Of each draw its least and greatest value, and how many of them there are in the range where these are whole. */
static void draws_are_in_their_ranges(test *t)
{
    static const struct {
        size_t side, hole;
        float low[NN_DRAWS], high[NN_DRAWS];
    } cases[] = {{256, 128, {-0.5f, 0, 0.5f, -32, -32, -64, -64, 0}, {0.5f, 2, 1.5f, 32, 32, 192, 192, 0}},
                 {61, 31, {-0.5f, 0, 0.5f, -8, -8, -15, -15, 0}, {0.5f, 2, 1.5f, 8, 8, 45, 45, 0}}};
    enum { COUNT = 4000 };
    for (size_t c = 0; c < 2; c++) {
        float *draws = malloc(COUNT * NN_DRAWS * sizeof *draws), least[NN_DRAWS], most[NN_DRAWS];
        double sum[NN_DRAWS] = {0};
        gan_augment_draw(7, 3, 0, COUNT, cases[c].side, draws);
        CHECK(t, gan_augment_hole(cases[c].side) == cases[c].hole);
        for (size_t k = 0; k < NN_DRAWS; k++) {
            least[k] = INFINITY, most[k] = -INFINITY;
            for (size_t i = 0; i < COUNT; i++) {
                float v = draws[i * NN_DRAWS + k];
                CHECK(t, k < 3 || v == roundf(v));
                least[k] = fminf(least[k], v), most[k] = fmaxf(most[k], v), sum[k] += (double)v / COUNT;
            }
            double range = (double)(cases[c].high[k] - cases[c].low[k]), middle = (double)cases[c].low[k] + range / 2;
            CHECK(t, least[k] >= cases[c].low[k] && most[k] <= cases[c].high[k]);
            CHECK_NEAR(t, least[k], cases[c].low[k], 0.01 * range);
            CHECK_NEAR(t, most[k], cases[c].high[k], 0.01 * range);
            CHECK_NEAR(t, sum[k], middle, 0.03 * range);
        }
        free(draws);
    }
}

/* A picture's draws are its own, whatever is drawn with it. */
static void draws_follow_from_seed_step_and_number(test *t)
{
    float all[6 * NN_DRAWS], some[2 * NN_DRAWS];
    gan_augment_draw(1, 5, 0, 6, 64, all);
    gan_augment_draw(1, 5, 3, 2, 64, some);
    CHECK(t, memcmp(all + 3 * NN_DRAWS, some, sizeof some) == 0);
    gan_augment_draw(1, 6, 3, 2, 64, some);
    CHECK(t, all[3 * NN_DRAWS] != some[0]);
    gan_augment_draw(2, 5, 3, 2, 64, some);
    CHECK(t, all[3 * NN_DRAWS] != some[0]);
}

TEST_MAIN(TEST(draws_are_in_their_ranges), TEST(draws_follow_from_seed_step_and_number))
