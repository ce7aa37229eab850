/* Batches: each picture as by itself. On the emulated GPU too, where folders are translated in batches. */
#include "folder_run.h"

enum { JOBS = 2 };

static translator *create(test *t, fixture *f, const model_generator_options *options)
{
    translator *tr = NULL;
    const char *path = fixture_path(f, "model.safetensors");
    fixture_save(f, path, options, 4, (char *)NULL);
    if (translator_create(f->backend, path, NULL, &tr, &f->err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", f->err.message);
    return tr;
}

static bool is_cpu(const fixture *f) { return strcmp(f->backend->interface->name, "cpu") == 0; }

/* oneDNN may choose another kernel for a thread by itself, whose last digits turn a rounding; so may the GPU for a batch,
 * but for pictures of so many pixels as here it does not. */
static int tolerance(const fixture *f) { return is_cpu(f) ? 1 : 0; }

static void compare(test *t, const image *actual, const image *expected, int most)
{
    REQUIRE(t, actual->pixels && actual->width == expected->width && actual->height == expected->height);
    int largest = 0;
    for (size_t i = 0; i < 3 * actual->width * actual->height; i++)
        if (abs(actual->pixels[i] - expected->pixels[i]) > largest) largest = abs(actual->pixels[i] - expected->pixels[i]);
    if (largest > most)
        test_failed(t, __FILE__, __LINE__, "%zux%zu is off by %d", actual->width, actual->height, largest);
}

/* Sizes that become one when they are padded to multiples of 4; picture 3 has alpha. */
static void fill(image *pictures, size_t count, size_t width, size_t height, unsigned seed)
{
    for (size_t i = 0; i < count; i++) pictures[i] = fixture_image(width - i % 4, height - i / 4, seed + (unsigned)i);
    if (count < 4) return;
    size_t pixels = pictures[3].width * pictures[3].height;
    pictures[3].alpha = malloc(pixels);
    memset(pictures[3].alpha, 77, pixels);
}

static void finish_and_compare(test *t, fixture *f, translator *tr, const image *in, const image *expected, size_t count)
{
    translate_result results[TRANSLATE_MOST];
    translate_finish(tr, results);
    for (size_t i = 0; i < count; i++) {
        REQUIRE_OK(t, results[i].result, results[i].problem);
        compare(t, &results[i].picture, &expected[i], tolerance(f));
        CHECK(t, !in[i].alpha == !results[i].picture.alpha);
        if (in[i].alpha) CHECK(t, memcmp(in[i].alpha, results[i].picture.alpha, in[i].width * in[i].height) == 0);
        image_free(&results[i].picture);
    }
}

static void check_batches(test *t, const model_generator_options *options, size_t side, size_t most)
{
    fixture f = fixture_begin();
    translator *tr = create(t, &f, options);
    for (size_t count = 1; count <= most; count++) {
        image in[JOBS][TRANSLATE_MOST], expected[JOBS][TRANSLATE_MOST];
        for (size_t j = 0; j < JOBS; j++) {
            fill(in[j], count, side + 4 * j * side, side, 10 * (unsigned)(count + j));
            CHECK(t, translate_alike(tr, &in[j][0], &in[j][count - 1]));
            for (size_t i = 0; i < count; i++)
                REQUIRE_OK(t, translate_image(tr, &in[j][i], &expected[j][i], &f.err), f.err);
        }
        bool apart = translate_batch(tr, side, side) > 1 && is_cpu(&f); /* each by itself */
        CHECK(t, translate_alike(tr, &in[0][0], &in[1][0]) == apart);
        for (size_t j = 0; j < JOBS; j++) translate_begin(tr, in[j], count);
        for (size_t j = 0; j < JOBS; j++) finish_and_compare(t, &f, tr, in[j], expected[j], count);
        for (size_t j = 0; j < JOBS; j++)
            for (size_t i = 0; i < count; i++) {
                image_free(&in[j][i]);
                image_free(&expected[j][i]);
            }
    }
    translator_destroy(tr);
    fixture_end(&f);
}

static void each_is_as_by_itself(test *t) { check_batches(t, &tiny, 32, TRANSLATE_MOST); }

static void so_are_those_of_a_unet(test *t)
{
    model_generator_options options = {.kind = MODEL_UNET_128, .ngf = 2, .in_channels = 3, .out_channels = 3,
                                       .upsample = MODEL_TRANSPOSE};
    check_batches(t, &options, 128, 2);
}

/* A batch that the memory does not hold is taken one by one, here in strips; and what is refused is refused. */
static void too_large_ones_are_taken_singly(test *t)
{
    fixture f = fixture_begin();
    translator *tr = create(t, &f, &tiny);
    image in[2] = {fixture_image(300, 300, 1), fixture_image(300, 300, 2)}, nothing = {0}, whole;
    translate_result results[TRANSLATE_MOST];
    REQUIRE_OK(t, translate_image(tr, &in[1], &whole, &f.err), f.err);
    translator_limit(tr, &(translator_limits){.max_memory = 64 << 20});
    translate_begin(tr, in, 2);
    translate_begin(tr, &nothing, 1);
    translate_finish(tr, results);
    for (int i = 0; i < 2; i++) REQUIRE_OK(t, results[i].result, results[i].problem);
    compare(t, &results[1].picture, &whole, 2);
    for (int i = 0; i < 2; i++) image_free(&results[i].picture);
    translate_finish(tr, results);
    CHECK(t, results[0].result == STATUS_FAILED && !results[0].picture.pixels);
    CHECK_CONTAINS(t, results[0].problem.message, "is empty");
    for (int i = 0; i < 2; i++) image_free(&in[i]);
    image_free(&whole);
    translator_destroy(tr);
    fixture_end(&f);
}

static double hardly_any(nn_backend *backend)
{
    (void)backend;
    return 64 << 10;
}

/* There is memory for four of 32x32, or one of 64x64, which are translated while the four are on their way to the host. */
static void those_of_a_batch_that_does_not_fit_follow_others(test *t)
{
    enum { COUNT = 4 };
    fixture f = fixture_begin();
    translator *tr = create(t, &f, &tiny);
    image in[JOBS][COUNT], expected[JOBS][COUNT];
    for (size_t j = 0; j < JOBS; j++) {
        fill(in[j], COUNT, j ? 64 : 32, j ? 64 : 32, 10 * (unsigned)j);
        for (size_t i = 0; i < COUNT; i++) REQUIRE_OK(t, translate_image(tr, &in[j][i], &expected[j][i], &f.err), f.err);
    }
    const nn_backend_interface *all = f.backend->interface;
    nn_backend_interface scarce = *all;
    if (!is_cpu(&f)) scarce.available = hardly_any;
    f.backend->interface = &scarce;
    for (size_t j = 0; j < JOBS; j++) translate_begin(tr, in[j], COUNT);
    for (size_t j = 0; j < JOBS; j++) finish_and_compare(t, &f, tr, in[j], expected[j], COUNT);
    f.backend->interface = all;
    for (size_t j = 0; j < JOBS; j++)
        for (size_t i = 0; i < COUNT; i++) {
            image_free(&in[j][i]);
            image_free(&expected[j][i]);
        }
    translator_destroy(tr);
    fixture_end(&f);
}

/* Small pictures, one that all threads translate together, and small ones again: each waits for the one before. */
static void sizes_take_turns(test *t)
{
    enum { TURNS = 4 };
    fixture f = fixture_begin();
    translator *tr = create(t, &f, &tiny);
    image in[TURNS], expected[TURNS];
    for (size_t i = 0; i < TURNS; i++) {
        in[i] = i == 1 && is_cpu(&f) ? fixture_image(520, 512, 7) : fixture_image(40 + 9 * i, 31, (unsigned)i);
        REQUIRE_OK(t, translate_image(tr, &in[i], &expected[i], &f.err), f.err);
    }
    CHECK(t, translate_most(tr) > 1 && translate_batch(tr, 40, 31) > 1);
    if (is_cpu(&f)) CHECK(t, translate_batch(tr, 520, 512) == 1 && !translate_alike(tr, &in[0], &in[1]));
    translate_begin(tr, &in[0], 1);
    for (size_t i = 1; i <= TURNS; i++) {
        if (i < TURNS) translate_begin(tr, &in[i], 1);
        finish_and_compare(t, &f, tr, &in[i - 1], &expected[i - 1], 1);
    }
    for (size_t i = 0; i < TURNS; i++) {
        image_free(&in[i]);
        image_free(&expected[i]);
    }
    translator_destroy(tr);
    fixture_end(&f);
}

/* Two sizes in turns, alone and in rows of up to 9, and one that cannot be read. */
static void folders_are_as_one_by_one(test *t)
{
    static const size_t rows[] = {1, 2, 9, 3, 1, 1, 8};
    run r = run_begin(6);
    size_t count = 0, pictures;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (size_t i = 0; i < rows[k]; i++, count++)
            fixture_picture(&r.f, fixture_path(&r.f, "in/%02zu.png", count), k % 2 ? 38 : 31, 32, (unsigned)count);
    pictures = count++;
    REQUIRE(t, file_write_all(fixture_path(&r.f, "in/%02zu.png", pictures / 2), "no picture", 10, NULL) == STATUS_OK);
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED);
    check_counts(t, &r, pictures - 1, 0, 0, 1);
    for (size_t i = 0; i < pictures; i++) {
        const image_limits limits = {.max_pixels = 10000};
        image in, expected, actual;
        if (i == pictures / 2) continue;
        REQUIRE_OK(t, image_read(fixture_path(&r.f, "in/%02zu.png", i), &limits, &in, &r.f.err), r.f.err);
        REQUIRE_OK(t, image_read(fixture_path(&r.f, "out/%02zu.png", i), &limits, &actual, &r.f.err), r.f.err);
        REQUIRE_OK(t, translate_image(r.t, &in, &expected, &r.f.err), r.f.err);
        compare(t, &actual, &expected, 0);
        image_free(&in);
        image_free(&actual);
        image_free(&expected);
    }
    CHECK(t, translate(&r, "in", NULL, "out") == STATUS_FAILED); /* all are on record */
    check_counts(t, &r, 0, pictures - 1, 0, 1);
    run_end(&r);
}

static void big_ones_come_between(test *t)
{
    run r = run_begin(6);
    r.request.max_memory = 80 << 20; /* of an eighth 138 bytes a pixel or more, where there are batches: big above 75984 */
    for (size_t i = 0; i < 12; i++)
        fixture_picture(&r.f, fixture_path(&r.f, "in/%02zu.png", i), i % 4 == 2 ? 320 : 32, i % 4 == 2 ? 256 : 18,
                        (unsigned)i);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 12, 0, 0, 0);
    run_end(&r);
}

/* As much as pictures of 300x300 take in strips, and not as a whole, on the one backend and the other. */
static double little(nn_backend *backend)
{
    return strcmp(backend->interface->name, "cpu") == 0 ? 4 << 20 : 16 << 20;
}

/* The batch that is left in the end, when all pictures are counted, tells in strips how far it is. */
static void the_last_ones_may_need_strips(test *t)
{
    run r = run_begin(6);
    const nn_backend_interface *all = r.f.backend->interface;
    nn_backend_interface scarce = *all;
    scarce.available = little;
    r.f.backend->interface = &scarce;
    for (size_t i = 0; i < 3; i++)
        fixture_picture(&r.f, fixture_path(&r.f, "in/%02zu.png", i), 300, 300, (unsigned)i);
    REQUIRE_OK(t, translate(&r, "in", NULL, "out"), r.f.err);
    check_counts(t, &r, 3, 0, 0, 0);
    r.f.backend->interface = all;
    run_end(&r);
}

/* A device that has but so much memory, and what is taken of it. */
enum { TAKEN = 64 };
static struct small {
    const nn_backend_interface *all;
    size_t bytes, used;
    struct {
        void *memory;
        size_t bytes;
    } taken[TAKEN];
} small;

static void *take(nn_backend *backend, size_t bytes)
{
    size_t i = 0;
    while (i < TAKEN - 1 && small.taken[i].memory) i++;
    void *memory = bytes <= small.bytes - small.used ? small.all->allocate(backend, bytes) : NULL;
    if (!memory) return NULL;
    small.taken[i].memory = memory;
    small.taken[i].bytes = bytes;
    small.used += bytes;
    return memory;
}

static void give_back(nn_backend *backend, void *memory)
{
    size_t i = 0;
    while (i < TAKEN - 1 && small.taken[i].memory != memory) i++;
    small.used -= small.taken[i].bytes;
    small.taken[i].memory = NULL;
    small.all->release(backend, memory);
}

static double left(nn_backend *backend)
{
    (void)backend;
    return (double)(small.bytes - small.used);
}

enum { SIZES = 3 };

/* Pictures of several sizes on a device of so much memory. Whether the last one could be translated; with what was taken in
 * the end at *used. */
static bool translate_on_little(test *t, fixture *f, const model_generator_options *options, size_t bytes,
                                const image *in, const image *expected, size_t count, size_t *used)
{
    image out = {0};
    status result = STATUS_OK;
    nn_backend_interface limited = *f->backend->interface;
    small = (struct small){.all = f->backend->interface, .bytes = bytes};
    limited.allocate = take, limited.release = give_back, limited.available = left;
    f->backend->interface = &limited;
    translator *tr = create(t, f, options);
    for (size_t i = 0; i < count && tr; i++) {
        result = translate_image(tr, &in[i], &out, &f->err);
        CHECK(t, result == STATUS_OK || result == STATUS_NO_MEMORY);
        if (result == STATUS_OK) compare(t, &out, &expected[i], 2); /* in strips it is rounded in another way */
        image_free(&out);
    }
    *used = small.used;
    translator_destroy(tr);
    CHECK(t, small.used == 0);
    f->backend->interface = small.all;
    return result == STATUS_OK;
}

static void check_little_memory(test *t, const model_generator_options *options, size_t side, size_t least, size_t most)
{
    enum { STEPS = 8 };
    fixture f = fixture_begin();
    if (is_cpu(&f)) {
        fixture_end(&f);
        SKIP(t, "a device with memory of its own keeps copies of weights");
    }
    translator *tr = create(t, &f, options);
    image in[SIZES], expected[SIZES];
    size_t used[STEPS + 1], alone, done = 0;
    for (size_t i = 0; i < SIZES; i++) {
        in[i] = fixture_image(side * (1 + (i + 1) / 2), side * (1 + i / 2), (unsigned)i);
        REQUIRE_OK(t, translate_image(tr, &in[i], &expected[i], &f.err), f.err);
    }
    for (size_t step = 0; step <= STEPS; step++) {
        size_t bytes = least + (most - least) * step / STEPS;
        bool after = translate_on_little(t, &f, options, bytes, in, expected, SIZES, &used[step]);
        bool by_itself = translate_on_little(t, &f, options, bytes, in + SIZES - 1, expected + SIZES - 1, 1, &alone);
        CHECK(t, after == by_itself); /* whatever others have kept */
        done += after;
    }
    CHECK(t, done > 0 && used[STEPS] > used[0]);
    for (size_t i = 0; i < SIZES; i++) {
        image_free(&in[i]);
        image_free(&expected[i]);
    }
    translator_destroy(tr);
    fixture_end(&f);
}

static void copies_of_weights_are_in_nobodys_way(test *t)
{
    model_generator_options unet = {.kind = MODEL_UNET_128, .ngf = 2, .in_channels = 3, .out_channels = 3,
                                    .upsample = MODEL_TRANSPOSE};
    check_little_memory(t, &tiny, 32, 2 << 20, 3200 << 10);
    check_little_memory(t, &unet, 128, 4000 << 10, 5200 << 10);
}

/* A picture for which the limits on the host's memory leave no room, after one that has a program: it goes in strips, or is
 * refused. */
static void keep_programs(test *t, fixture *f, const model_generator_options *options, size_t side, double limit, bool in_strips)
{
    image in[2] = {fixture_image(side, side, 1), fixture_image(24, 16000, 2)}, out = {0};
    nn_backend_interface limited = *f->backend->interface;
    small = (struct small){.all = f->backend->interface, .bytes = (size_t)1 << 30};
    limited.allocate = take, limited.release = give_back, limited.available = left;
    f->backend->interface = &limited;
    translator *tr = create(t, f, options);
    translator_limit(tr, &(translator_limits){.max_memory = limit});
    CHECK(t, translate_image(tr, &in[0], &out, &f->err) == STATUS_OK); /* on failure too its interface must not stay */
    image_free(&out);
    size_t used = small.used;
    status result = translate_image(tr, &in[1], &out, &f->err);
    if (in_strips)
        CHECK(t, result == STATUS_OK);
    else
        CHECK_CONTAINS(t, f->err.message, "a picture of 24x16000 needs --max-memory of");
    CHECK(t, used > 0 && small.used == used);
    image_free(&out);
    translator_destroy(tr);
    f->backend->interface = small.all;
    for (int i = 0; i < 2; i++) image_free(&in[i]);
}

static void programs_are_kept_where_the_host_is_why(test *t)
{
    const model_generator_options unet = {.kind = MODEL_UNET_128, .ngf = 2, .in_channels = 3, .out_channels = 3,
                                          .upsample = MODEL_TRANSPOSE};
    fixture f = fixture_begin();
    double least;
    bool cpu = is_cpu(&f);
    if (!cpu) {
        REQUIRE_OK(t, translator_least_memory(f.backend, &tiny, 24, 16000, &least, &f.err), f.err);
        keep_programs(t, &f, &tiny, 32, least, true);
        keep_programs(t, &f, &unet, 128, 58 << 20, false);
    }
    fixture_end(&f);
    if (cpu) SKIP(t, "programs are in the memory that the limits are about");
}

TEST_MAIN(TEST(each_is_as_by_itself), TEST(so_are_those_of_a_unet), TEST(too_large_ones_are_taken_singly),
          TEST(those_of_a_batch_that_does_not_fit_follow_others),
          TEST(sizes_take_turns), TEST(folders_are_as_one_by_one), TEST(big_ones_come_between),
          TEST(the_last_ones_may_need_strips), TEST(copies_of_weights_are_in_nobodys_way),
          TEST(programs_are_kept_where_the_host_is_why))
