/* The renderer as a user sees it: sets are repeatable, varied, full of contrast, of any size. */
#include "fractal/fractal.h"

#include "fractal/quality.h"
#include "test.h"

enum { SIDE = 32 };

typedef struct rendered {
    uint8_t *pixels; /* (count, size, size, 3) */
    const char *families[64];
} rendered;

static rendered render(test *t, uint64_t seed, size_t size, int threads, size_t count)
{
    rendered r = {.pixels = calloc(count, size * size * 3)};
    error err = {0};
    fractal_set *set = NULL;
    if (fractal_set_create(&(fractal_options){.seed = seed, .size = size, .threads = threads}, &set, &err) != 0)
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    for (size_t i = 0; set && i < count; i++) {
        fractal_info info = {0};
        if (fractal_set_next(set, r.pixels + i * size * size * 3, &info, &err) != 0) {
            test_failed(t, __FILE__, __LINE__, "%s", err.message);
            break;
        }
        CHECK(t, info.drafts >= 1);
        r.families[i] = info.family;
    }
    fractal_set_destroy(set);
    return r;
}

static void repeats(test *t)
{
    const size_t count = 2, one = SIDE * SIDE * 3;
    rendered a = render(t, 5, SIDE, 1, count), b = render(t, 5, SIDE, 3, count), c = render(t, 6, SIDE, 0, 1);
    CHECK(t, memcmp(a.pixels, b.pixels, count * one) == 0); /* also by another number of threads */
    CHECK(t, memcmp(a.pixels, a.pixels + one, one) != 0);
    CHECK(t, memcmp(a.pixels, c.pixels, one) != 0);
    free(a.pixels);
    free(b.pixels);
    free(c.pixels);
}

/* Walks are counted by all threads at once. */
static void repeats_densities(test *t)
{
    const size_t one = SIDE * SIDE * 3;
    rendered a = render(t, 1, SIDE, 1, 3), b = render(t, 1, SIDE, 4, 3);
    CHECK_TEXT(t, a.families[2], "attractor");
    CHECK(t, memcmp(a.pixels, b.pixels, 3 * one) == 0);
    free(a.pixels);
    free(b.pixels);
}

/* One round: every family, no two alike, none flat. */
static void is_varied(test *t)
{
    size_t count = fractal_set_round();
    REQUIRE(t, count <= 64 && fractal_family_count() >= 8);
    rendered r = render(t, 3, SIDE, 0, count);
    for (size_t f = 0; f < fractal_family_count(); f++) {
        bool met = false;
        for (size_t i = 0; i < count; i++)
            met |= r.families[i] && strcmp(r.families[i], fractal_family_name(f)) == 0;
        if (!met) test_failed(t, __FILE__, __LINE__, "no %s in a round", fractal_family_name(f));
    }
    fractal_thumbnail thumbnails[64];
    double colour = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *picture = r.pixels + i * SIDE * SIDE * 3;
        fractal_quality q = fractal_measure(picture, SIDE);
        if (!(q.contrast > 20 && q.entropy > 3 && q.flat < 0.4))
            test_failed(t, __FILE__, __LINE__, "picture %zu (%s): contrast %.1f, entropy %.2f, flat %.2f", i + 1,
                        r.families[i], q.contrast, q.entropy, q.flat);
        colour += q.colour / (double)count;
        fractal_thumbnail_make(picture, SIDE, &thumbnails[i]);
        for (size_t k = 0; k < i; k++)
            if (fractal_likeness(&thumbnails[i], &thumbnails[k]) > 0.9)
                test_failed(t, __FILE__, __LINE__, "pictures %zu and %zu are alike", k + 1, i + 1);
    }
    CHECK(t, colour > 35);
    free(r.pixels);
}

static void renders_any_size(test *t)
{
    static const size_t sizes[] = {16, 33, 286};
    fractal_thumbnail thumbnails[3];
    for (size_t i = 0; i < 3; i++) {
        rendered r = render(t, 9, sizes[i], 0, 1);
        fractal_thumbnail_make(r.pixels, sizes[i], &thumbnails[i]);
        free(r.pixels);
    }
    /* The same motif. */
    CHECK(t, fractal_likeness(&thumbnails[1], &thumbnails[2]) > 0.9);
    CHECK(t, fractal_likeness(&thumbnails[0], &thumbnails[2]) > 0.7);
    error err = {0};
    fractal_set *set;
    CHECK(t, fractal_set_create(&(fractal_options){.size = 15}, &set, &err) == STATUS_USAGE && !set);
    CHECK_TEXT(t, err.message, "fractals have sides of 16 to 4096 pixels, not 15");
    CHECK(t, fractal_set_create(&(fractal_options){.size = 4097}, &set, &err) == STATUS_USAGE && !set);
    fractal_set_destroy(NULL);
}

/* The judge itself: what it must turn down and let pass. */
static void judges(test *t)
{
    enum { SIZE = 64 };
    static uint8_t flat[SIZE * SIZE * 3], gradient[SIZE * SIZE * 3], noise[SIZE * SIZE * 3], rings[SIZE * SIZE * 3];
    uint32_t state = 1;
    memset(flat, 90, sizeof flat);
    for (size_t y = 0; y < SIZE; y++)
        for (size_t x = 0; x < SIZE; x++)
            for (size_t c = 0; c < 3; c++) {
                size_t at = (y * SIZE + x) * 3 + c;
                gradient[at] = (uint8_t)(y * 255 / SIZE);
                noise[at] = (uint8_t)((state = state * 1664525 + 1013904223) >> 24);
                double ring = hypot((double)x - 25, (double)y - 35);
                rings[at] = (uint8_t)(127 + 127 * sin(ring * (0.9 + 0.05 * (double)c)));
            }
    double score;
    fractal_quality q = fractal_measure(flat, SIZE);
    CHECK_NEAR(t, q.contrast, 0, 1e-3);
    CHECK_NEAR(t, q.entropy, 0, 1e-9);
    CHECK_NEAR(t, q.flat, 1, 0);
    CHECK(t, !fractal_good_enough(&q, &score));
    q = fractal_measure(gradient, SIZE);
    CHECK_NEAR(t, q.entropy, 6, 0.1);
    CHECK_NEAR(t, q.detail, 0, 0.01);
    CHECK_NEAR(t, q.coherence, 1, 1e-6);
    CHECK_NEAR(t, q.colour, 0, 1e-6);
    CHECK(t, !fractal_good_enough(&q, &score));
    q = fractal_measure(noise, SIZE);
    CHECK_NEAR(t, q.detail, 1, 0);
    CHECK(t, q.roughness > 35 && !fractal_good_enough(&q, &score));
    q = fractal_measure(rings, SIZE);
    CHECK(t, q.contrast > 60 && q.flat < 0.1 && q.detail > 0.9 && q.coherence < 0.2 && q.colour > 18);
}

/* A picture is like itself turned, mirrored or in negative, and unlike another. */
static void compares(test *t)
{
    enum { SIZE = 48 };
    static uint8_t a[SIZE * SIZE * 3], turned[SIZE * SIZE * 3], negative[SIZE * SIZE * 3], other[SIZE * SIZE * 3];
    for (size_t y = 0; y < SIZE; y++)
        for (size_t x = 0; x < SIZE; x++) {
            uint8_t v = (uint8_t)(127 + 100 * sin(0.21 * (double)x) * cos(0.13 * (double)y * (double)x / SIZE));
            uint8_t w = (uint8_t)(127 + 100 * cos(0.4 * (double)y + 1));
            memset(a + (y * SIZE + x) * 3, v, 3);
            memset(turned + (x * SIZE + SIZE - 1 - y) * 3, v, 3);
            memset(negative + (y * SIZE + x) * 3, 255 - v, 3);
            memset(other + (y * SIZE + x) * 3, w, 3);
        }
    fractal_thumbnail first, second;
    fractal_thumbnail_make(a, SIZE, &first);
    CHECK_NEAR(t, fractal_likeness(&first, &first), 1, 1e-5);
    fractal_thumbnail_make(turned, SIZE, &second);
    CHECK_NEAR(t, fractal_likeness(&first, &second), 1, 1e-5);
    fractal_thumbnail_make(negative, SIZE, &second);
    CHECK_NEAR(t, fractal_likeness(&first, &second), 1, 1e-5);
    fractal_thumbnail_make(other, SIZE, &second);
    CHECK(t, fractal_likeness(&first, &second) < 0.6);
}

TEST_MAIN(TEST(repeats), TEST(repeats_densities), TEST(is_varied), TEST(renders_any_size), TEST(judges), TEST(compares))
