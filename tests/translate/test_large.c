/* Large pictures in strips against the same pictures as a whole; and what the pieces of that do. */
#include <math.h>

#include "fixture.h"
#include "models/resnet.h"
#include "translate/large.h"
#include "translate/moments.h"
#include "translate/row_map.h"
#include "translate/translator.h"

static size_t round_up(size_t side) { return (side + 3) / 4 * 4; }

/* A picture with structure at all scales, dark at the left and bright at the right, so that strips and halves differ in
 * their statistics. */
static image scene(size_t width, size_t height)
{
    image picture = fixture_image(width, height, 5);
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < 3; c++) {
                double wave = sin((double)(x + y * (c + 1)) * 0.07) + sin((double)(x * y) * 0.002) +
                              2.0 * (double)y / (double)height;
                uint8_t *pixel = &picture.pixels[(y * width + x) * 3 + c];
                *pixel = (uint8_t)(40 + 25 * (wave + 2) + *pixel % 16);
            }
    return picture;
}

typedef struct difference {
    int largest;
    double mean;
} difference;

static difference difference_of(const image *a, const image *b)
{
    difference d = {256, 256};
    if (a->width != b->width || a->height != b->height) return d;
    d = (difference){0, 0};
    size_t count = a->width * a->height * 3;
    for (size_t i = 0; i < count; i++) {
        int now = abs(a->pixels[i] - b->pixels[i]);
        d.mean += (double)now / (double)count;
        if (now > d.largest) d.largest = now;
    }
    return d;
}

static bool uses_range(const image *picture)
{
    int low = 255, high = 0;
    for (size_t i = 0; i < picture->width * picture->height * 3; i++) {
        if (picture->pixels[i] < low) low = picture->pixels[i];
        if (picture->pixels[i] > high) high = picture->pixels[i];
    }
    return high - low > 100;
}

/* The picture as a whole against strips of the rows of each plan; plans end with one of 0 rows. */
static void compare(test *t, const model_generator_options *options, size_t width, size_t height,
                    const large_plan *plans)
{
    fixture f = fixture_begin();
    const char *path = fixture_path(&f, "model.safetensors");
    fixture_save(&f, path, options, 5, (char *)NULL);
    nn_parameters *set = fixture_weights(&f, options, 5);
    translator *tr = NULL;
    image in = scene(width, height), whole = {0}, out = {0};
    REQUIRE_OK(t, translator_create(f.backend, path, NULL, &tr, &f.err), f.err);
    REQUIRE_OK(t, translate_image(tr, &in, &whole, &f.err), f.err);
    CHECK(t, width * height < 1000 || uses_range(&whole));
    large_network network = {.backend = f.backend, .generator = options, .weights = set, .width = round_up(width),
                             .height = round_up(height)};
    REQUIRE_OK(t, image_create(&out, width, height, &f.err), f.err);
    for (; plans->rows; plans++) {
        memset(out.pixels, 77, width * height * 3);
        REQUIRE_OK(t, large_translate(&network, plans, &in, &out, &f.err), f.err);
        difference d = difference_of(&whole, &out);
        if (d.largest > 2 || d.mean > 0.2)
            test_failed(t, __FILE__, __LINE__, "%zux%zu in strips of %zu: differs by up to %d, %.3f on average", width,
                        height, plans->rows, d.largest, d.mean);
    }
    image_free(&in);
    image_free(&whole);
    image_free(&out);
    translator_destroy(tr);
    nn_parameters_destroy(set);
    fixture_end(&f);
}

static void compare_network(test *t, model_generator_kind kind, model_upsample upsample, size_t width, size_t height,
                            const large_plan *plans)
{
    const model_generator_options options = {.kind = kind, .ngf = 12, .in_channels = 3, .out_channels = 3,
                                             .upsample = upsample};
    compare(t, &options, width, height, plans);
}

static void equals_the_whole_with_6_blocks(test *t)
{
    static const large_plan plans[] = {{.rows = 1}, {.rows = 5, .in_file = true}, {.rows = 17}, {.rows = 100}, {0}};
    compare_network(t, MODEL_RESNET_6, MODEL_RESIZE_CONV, 203, 149, plans);
    compare_network(t, MODEL_RESNET_6, MODEL_TRANSPOSE, 149, 203, plans);
}

static void equals_the_whole_with_9_blocks(test *t)
{
    static const large_plan plans[] = {{.rows = 3}, {.rows = 8, .in_file = true}, {0}};
    compare_network(t, MODEL_RESNET_9, MODEL_RESIZE_CONV, 131, 263, plans);
    compare_network(t, MODEL_RESNET_9, MODEL_TRANSPOSE, 263, 131, plans);
}

static void equals_the_whole_of_odd_shapes(test *t)
{
    static const large_plan plans[] = {{.rows = 1}, {.rows = 2, .in_file = true}, {0}};
    static const size_t sizes[][2] = {{1, 90}, {90, 1}, {9, 5}, {5, 9}, {301, 7}, {6, 203}};
    model_generator_options options = tiny;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        options.upsample = i % 2 ? MODEL_TRANSPOSE : MODEL_RESIZE_CONV;
        compare(t, &options, sizes[i][0], sizes[i][1], plans);
    }
}

static void plans_by_the_budget(test *t)
{
    fixture f = fixture_begin();
    nn_parameters *set = fixture_weights(&f, &tiny, 5);
    large_network network = {.backend = f.backend, .generator = &tiny, .weights = set, .width = 400, .height = 1200};
    large_plan least, plan, before = {.rows = 0};
    CHECK(t, large_plan_create(&network, 1000, &least, &f.err) == STATUS_NO_MEMORY);
    CHECK(t, least.rows == 1 && least.in_file && least.bytes > 1000);
    CHECK(t, large_plan_create(&network, least.bytes - 1, &plan, &f.err) == STATUS_NO_MEMORY);
    for (double budget = least.bytes; budget < 1e9; budget *= 1.3) {
        REQUIRE_OK(t, large_plan_create(&network, budget, &plan, &f.err), f.err);
        CHECK(t, plan.bytes <= budget);
        CHECK(t, before.rows == 0 || plan.rows >= before.rows || (before.in_file && !plan.in_file));
        before = plan;
    }
    CHECK(t, plan.rows == 64 && !plan.in_file);
    nn_parameters_destroy(set);
    fixture_end(&f);
}

static void stops(test *t)
{
    fixture f = fixture_begin();
    nn_parameters *set = fixture_weights(&f, &tiny, 5);
    volatile sig_atomic_t stop = 1;
    large_network network = {.backend = f.backend, .generator = &tiny, .weights = set, .width = 32, .height = 32,
                             .stop = &stop};
    image in = scene(32, 32), out = {0};
    REQUIRE_OK(t, image_create(&out, 32, 32, &f.err), f.err);
    CHECK(t, large_translate(&network, &(large_plan){.rows = 2}, &in, &out, &f.err) == STATUS_INTERRUPTED);
    image_free(&in);
    image_free(&out);
    nn_parameters_destroy(set);
    fixture_end(&f);
}

typedef struct shares {
    size_t count;
    double last, first;
    bool rising;
} shares;

static void hear(void *context, double share)
{
    shares *s = context;
    s->rising = s->rising && share > s->last;
    if (s->count++ == 0) s->first = share;
    s->last = share;
}

static void tells_how_far_it_is(test *t)
{
    fixture f = fixture_begin();
    nn_parameters *set = fixture_weights(&f, &tiny, 5);
    shares heard = {.rising = true};
    large_network network = {.backend = f.backend, .generator = &tiny, .weights = set, .width = 32, .height = 32,
                             .progressed = hear, .context = &heard};
    image in = scene(32, 32), out = {0};
    REQUIRE_OK(t, image_create(&out, 32, 32, &f.err), f.err);
    REQUIRE_OK(t, large_translate(&network, &(large_plan){.rows = 2}, &in, &out, &f.err), f.err);
    /* Four strips of 8 rows of the trunk, in as many passes as there are layers. */
    size_t strips = 4 * model_resnet_layers(&tiny);
    CHECK(t, heard.count == strips && heard.rising);
    CHECK(t, fabs(heard.first * (double)strips - 1) < 1e-9 && fabs(heard.last - 1) < 1e-9);
    image_free(&in);
    image_free(&out);
    nn_parameters_destroy(set);
    fixture_end(&f);
}

/* Values whose mean is a thousand times their deviation: what a difference of squares would lose. */
static void measures_in_pieces(test *t)
{
    enum { PIXELS = 20011, C = 5 };
    float *x = malloc(PIXELS * C * sizeof *x), *y = malloc(PIXELS * C * sizeof *y);
    error err = {0};
    for (size_t i = 0; i < PIXELS; i++)
        for (size_t c = 0; c < C; c++)
            x[i * C + c] = 1000 * (float)c + (float)((i * 7919 + c * 31) % 1000) * 0.001f + (i > PIXELS / 2 ? 1.5f : 0);
    moments pieces, at_once;
    REQUIRE_OK(t, moments_create(&pieces, C, 1, &err), err);
    REQUIRE_OK(t, moments_create(&at_once, C, 3, &err), err);
    for (size_t i = 0, count = 1; i < PIXELS; i += count, count = count * 3 + 1) {
        if (count > PIXELS - i) count = PIXELS - i;
        moments_add(&pieces, x + i * C, count);
    }
    moments_add(&at_once, x, PIXELS);
    moments_finish(&pieces, 1e-5f);
    moments_finish(&at_once, 1e-5f);
    moments_normalise(&pieces, x, PIXELS, true, y);
    for (size_t c = 0; c < C; c++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < PIXELS; i++) mean += (double)x[i * C + c] / PIXELS;
        for (size_t i = 0; i < PIXELS; i++) square += pow((double)x[i * C + c] - mean, 2) / PIXELS;
        double rate = 1 / sqrt(square + 1e-5);
        CHECK(t, fabs(pieces.mean[c] - mean) < 1e-9 * (1 + mean) && fabs(at_once.mean[c] - mean) < 1e-9 * (1 + mean));
        CHECK(t, fabs((double)pieces.rate[c] - rate) < 1e-6 * rate && fabs((double)at_once.rate[c] - rate) < 1e-6 * rate);
        for (size_t i = 0; i < PIXELS; i += 1009) {
            double expected = ((double)x[i * C + c] - mean) * rate, found = (double)y[i * C + c];
            CHECK(t, fabs(found - (expected < 0 ? 0 : expected)) < 1e-3);
        }
    }
    moments_normalise_onto(&pieces, x, PIXELS, y);
    CHECK(t, fabs((double)y[C - 1] - ((double)x[C - 1] - pieces.mean[C - 1]) * (double)pieces.rate[C - 1]) < 1e-3);
    moments_free(&pieces);
    moments_free(&at_once);
    free(x);
    free(y);
}

static void keeps_rows(test *t)
{
    enum { ROWS = 50, FLOATS = 70 };
    error err = {0};
    float rows[3 * FLOATS], buffer[3 * FLOATS];
    for (int in_file = 0; in_file < 2; in_file++) {
        row_map map;
        const float *found;
        REQUIRE_OK(t, row_map_create(&map, ROWS, FLOATS, in_file, &err), err);
        for (size_t i = 0; i < ROWS; i += 2) {
            for (size_t k = 0; k < 2 * FLOATS; k++) rows[k] = (float)(i * FLOATS + k);
            REQUIRE_OK(t, row_map_write(&map, i, 2, rows, &err), err);
        }
        REQUIRE_OK(t, row_map_read(&map, 21, 3, buffer, &found, &err), err);
        CHECK(t, found[0] == 21 * FLOATS && found[3 * FLOATS - 1] == 24 * FLOATS - 1);
        CHECK(t, (found == buffer) == in_file);
        row_map_free(&map);
    }
    setenv("TMPDIR", "/nonexistent", 1);
    row_map map;
    CHECK(t, row_map_create(&map, ROWS, FLOATS, true, &err) == STATUS_FAILED);
    CHECK_CONTAINS(t, err.message, "/nonexistent: cannot create a temporary file: No such file");
    unsetenv("TMPDIR");
}

TEST_MAIN(TEST(equals_the_whole_with_6_blocks), TEST(equals_the_whole_with_9_blocks),
          TEST(equals_the_whole_of_odd_shapes), TEST(plans_by_the_budget), TEST(stops),
          TEST(tells_how_far_it_is), TEST(measures_in_pieces), TEST(keeps_rows))
