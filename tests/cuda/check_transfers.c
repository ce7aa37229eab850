/* What passes between the host and the device: pixels beside base/pixels.h, bit for bit; numbers of every length; reads in
 * two parts, whose results are those of the time when they began. */
#include "cuda/check.h"

#include "base/pixels.h"

typedef struct fixture {
    nn_backend *backend;
    const nn_backend_interface *interface;
    float *memory; /* the device's: COUNT, and some more that nobody may touch */
    error err;
} fixture;

enum { COUNT = 5000, GUARD = 16 };

static bool set_up(test *t, fixture *f)
{
    *f = (fixture){0};
    if (check_create_device(&check_precisions[0], &f->backend, &f->err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", f->err.message);
        return false;
    }
    f->interface = f->backend->interface;
    f->memory = f->interface->allocate(f->backend, (COUNT + GUARD) * sizeof *f->memory);
    return f->memory != NULL;
}

static void tear_down(test *t, fixture *f)
{
    REQUIRE_OK(t, nn_backend_check(f->backend, &f->err), f->err);
    f->interface->release(f->backend, f->memory);
    nn_backend_destroy(f->backend);
}

static void fill(const fixture *f, float *host, uint32_t stream)
{
    check_noise(host, COUNT + GUARD, stream, 0);
    f->interface->write(f->backend, f->memory, host, (COUNT + GUARD) * sizeof *host);
}

/* From every place that a warp's four can begin at, and of every length that it can end with. */
static void pixels_become_the_hosts_floats(test *t)
{
    fixture f;
    uint8_t pixels[COUNT];
    float before[COUNT + GUARD], expected[COUNT], actual[COUNT + GUARD];
    REQUIRE(t, set_up(t, &f));
    for (size_t i = 0; i < COUNT; i++) pixels[i] = (uint8_t)(i * 7 + i / 256);
    pixels_to_floats(pixels, COUNT, expected);
    for (size_t k = 0; k < 24; k++) {
        size_t first = k % 4, count = k < 12 ? 1 + k : COUNT - 4 - k;
        fill(&f, before, (uint32_t)k);
        f.interface->write_pixels(f.backend, f.memory + first, pixels, count);
        f.interface->read(f.backend, actual, f.memory, sizeof actual);
        CHECK(t, memcmp(actual, before, first * sizeof *actual) == 0);
        CHECK(t, memcmp(actual + first, expected, count * sizeof *actual) == 0);
        size_t end = first + count;
        CHECK(t, memcmp(actual + end, before + end, (COUNT + GUARD - end) * sizeof *actual) == 0);
    }
    tear_down(t, &f);
}

/* [-1.2, 1.2), and what lies on the border between two pixels, or is no number of a picture. */
static void make_floats(float *floats, size_t count, uint32_t stream)
{
    static const float odd[] = {-1, 1, 0, 1e30f, -1e30f, 1e-30f, -1e-30f};
    check_noise(floats, count, stream, 0.2);
    for (size_t i = 0; i < count; i += 3) floats[i] = ((float)(i % 256) - 0.5f) / 127.5f - 1;
    for (size_t i = 1; i < count; i += 61) floats[i] = odd[i / 61 % (sizeof odd / sizeof *odd)];
}

static void floats_become_the_hosts_pixels(test *t)
{
    static const float others[] = {NAN, INFINITY, -INFINITY};
    static const size_t sizes[][2] = {{1, 1}, {1, 4999}, {4, 1248}, {5, 999}, {3, 16}, {7, 5}, {2, 2500}};
    fixture f;
    float floats[COUNT];
    uint8_t expected[COUNT], actual[COUNT];
    bool finite[8];
    REQUIRE(t, set_up(t, &f));
    for (size_t k = 0; k < 3 * sizeof sizes / sizeof *sizes; k++) {
        size_t images = sizes[k / 3][0], count = sizes[k / 3][1], broken = k % images;
        make_floats(floats, COUNT, 100 + (uint32_t)k);
        if (k % 3) floats[broken * count + (k % 3 == 1 ? 0 : count - 1)] = others[k / 3 % 3];
        f.interface->write(f.backend, f.memory, floats, sizeof floats);
        pixels_from_floats(floats, images * count, expected);
        f.interface->read_pixels(f.backend, actual, finite, f.memory, images, count);
        CHECK(t, memcmp(actual, expected, images * count) == 0);
        for (size_t i = 0; i < images; i++) CHECK(t, finite[i] == (k % 3 == 0 || i != broken));
    }
    tear_down(t, &f);
}

/* Lengths on either side of what goes as a kernel's arguments, through pinned memory, or from where it lies. */
static void numbers_arrive(test *t)
{
    static const size_t counts[] = {1, 2, 31, 63, 64, 65, 1000, COUNT};
    fixture f;
    float before[COUNT + GUARD], host[COUNT], actual[COUNT + GUARD];
    REQUIRE(t, set_up(t, &f));
    check_noise(host, COUNT, 7, 0);
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        size_t count = counts[k], first = k % 3;
        fill(&f, before, 200 + (uint32_t)k);
        f.interface->write(f.backend, f.memory + first, host, count * sizeof *host);
        f.interface->read(f.backend, actual, f.memory, sizeof actual);
        CHECK(t, memcmp(actual + first, host, count * sizeof *host) == 0);
        CHECK(t, memcmp(actual, before, first * sizeof *actual) == 0);
        CHECK(t, actual[first + count] == before[first + count]);
    }
    tear_down(t, &f);
}

/* Of both kinds in turns, as many as may be open, each of other numbers, which are overwritten meanwhile; one more is
 * refused. */
static void reads_end_in_their_order(test *t)
{
    enum { IMAGES = 2, EACH = 600 };
    fixture f;
    float host[NN_READS][COUNT + GUARD], scalars[NN_READ_SCALARS];
    const float *places[NN_READ_SCALARS];
    uint8_t pixels[IMAGES * EACH], expected[IMAGES * EACH];
    bool finite[IMAGES];
    REQUIRE(t, set_up(t, &f));
    for (size_t i = 0; i < NN_READ_SCALARS; i++) places[i] = f.memory + (i * 97 + 5) % COUNT;
    for (int round = 0; round < 2; round++) {
        for (uint32_t r = 0; r < NN_READS; r++) {
            fill(&f, host[r], 300 + r);
            CHECK(t, r % 2 ? f.interface->begin_read_pixels(f.backend, f.memory, IMAGES, EACH)
                           : f.interface->begin_read_scalars(f.backend, places, NN_READ_SCALARS - r));
        }
        CHECK(t, !f.interface->begin_read_scalars(f.backend, places, 1));
        CHECK(t, !f.interface->begin_read_pixels(f.backend, f.memory, 1, 1));
        for (size_t r = 0; r < NN_READS; r++) {
            if (r % 2) {
                f.interface->end_read_pixels(f.backend, pixels, finite, IMAGES, EACH);
                pixels_from_floats(host[r], IMAGES * EACH, expected);
                CHECK(t, memcmp(pixels, expected, IMAGES * EACH) == 0 && finite[0] && finite[1]);
            } else {
                f.interface->end_read_scalars(f.backend, scalars, NN_READ_SCALARS - r);
                for (size_t i = 0; i < NN_READ_SCALARS - r; i++) CHECK(t, scalars[i] == host[r][places[i] - f.memory]);
            }
        }
    }
    tear_down(t, &f);
}

/* Its own, and the older ones stay open. */
static void reads_at_once_pass_those_that_are_open(test *t)
{
    enum { FEW = 100, MANY = 3000 };
    fixture f;
    float host[2][COUNT + GUARD], scalar;
    uint8_t pixels[MANY], expected[MANY];
    bool finite;
    REQUIRE(t, set_up(t, &f));
    const float *place = f.memory + 1;
    fill(&f, host[0], 400);
    CHECK(t, f.interface->begin_read_scalars(f.backend, &place, 1));
    CHECK(t, f.interface->begin_read_pixels(f.backend, f.memory, 1, FEW));
    fill(&f, host[1], 401);
    f.interface->read_pixels(f.backend, pixels, &finite, f.memory, 1, MANY);
    pixels_from_floats(host[1], MANY, expected);
    CHECK(t, memcmp(pixels, expected, MANY) == 0 && finite);
    f.interface->end_read_scalars(f.backend, &scalar, 1);
    CHECK(t, scalar == host[0][1]);
    f.interface->end_read_pixels(f.backend, pixels, &finite, 1, FEW);
    pixels_from_floats(host[0], FEW, expected);
    CHECK(t, memcmp(pixels, expected, FEW) == 0 && finite);
    tear_down(t, &f);
}

/* Pixels that are read at once come in another way then. */
static void pixels_come_without_pinned_memory(test *t)
{
    enum { IMAGES = 3, EACH = 500 };
    fixture f;
    float host[COUNT + GUARD];
    uint8_t pixels[IMAGES * EACH], expected[IMAGES * EACH];
    bool finite[IMAGES];
    REQUIRE(t, set_up(t, &f));
    bool emulated = check_is_emulated(f.backend);
    check_noise(host, COUNT + GUARD, 500, 0.2);
    host[EACH] = NAN;
    pixels_from_floats(host, IMAGES * EACH, expected);
    f.interface->write(f.backend, f.memory, host, sizeof host);
    setenv("EMULATED_REFUSES", "cudaMallocHost", 1);
    CHECK(t, !emulated || !f.interface->begin_read_pixels(f.backend, f.memory, IMAGES, EACH));
    f.interface->read_pixels(f.backend, pixels, finite, f.memory, IMAGES, EACH);
    unsetenv("EMULATED_REFUSES");
    CHECK(t, memcmp(pixels, expected, sizeof pixels) == 0 && finite[0] && !finite[1] && finite[2]);
    tear_down(t, &f);
}

/* Nor can anything be read when a call has failed, from then on. */
static void nothing_is_read_after_a_failure(test *t)
{
    fixture f;
    float numbers[2] = {1, 2};
    uint8_t pixels[COUNT] = {0};
    bool finite = true, later = true;
    REQUIRE(t, set_up(t, &f));
    if (!check_is_emulated(f.backend)) {
        tear_down(t, &f);
        SKIP(t, "a real device does not fail when it is told to");
    }
    const float *places[2] = {f.memory, f.memory + 1};
    f.interface->clear(f.backend, f.memory, COUNT * sizeof *f.memory);
    CHECK(t, f.interface->begin_read_scalars(f.backend, places, 2));
    CHECK(t, f.interface->begin_read_pixels(f.backend, f.memory, 1, COUNT));
    setenv("EMULATED_REFUSES", "cudaMallocHost", 1);
    f.interface->write_pixels(f.backend, f.memory, pixels, COUNT);
    unsetenv("EMULATED_REFUSES");
    CHECK(t, nn_backend_check(f.backend, &f.err) == STATUS_NO_MEMORY);
    CHECK_CONTAINS(t, f.err.message, "cudaMallocHost");
    f.interface->end_read_scalars(f.backend, numbers, 2);
    CHECK(t, isnan(numbers[0]) && isnan(numbers[1]));
    f.interface->end_read_pixels(f.backend, pixels, &finite, 1, COUNT);
    f.interface->read_pixels(f.backend, pixels, &later, f.memory, 1, COUNT);
    CHECK(t, !finite && !later);
    f.interface->release(f.backend, f.memory);
    nn_backend_destroy(f.backend);
}

TEST_MAIN(TEST(pixels_become_the_hosts_floats), TEST(floats_become_the_hosts_pixels), TEST(numbers_arrive),
          TEST(reads_end_in_their_order), TEST(reads_at_once_pass_those_that_are_open),
          TEST(pixels_come_without_pinned_memory), TEST(nothing_is_read_after_a_failure))
