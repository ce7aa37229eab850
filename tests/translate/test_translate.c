/* The translator: pictures of every size against the network run directly, and the choice of a generator. */
#include <sys/resource.h>

#include "base/memory.h"
#include "fixture.h"
#include "nn/program.h"
#include "translate/translator.h"

/* Mirror at the border, one step at a time. */
static size_t bounced(size_t i, size_t side)
{
    size_t at = 0;
    int step = 1;
    for (size_t k = 0; k < i && side > 1; k++) {
        if (step > 0 && at == side - 1) step = -1;
        if (step < 0 && at == 0) step = 1;
        at = step > 0 ? at + 1 : at - 1;
    }
    return at;
}

/* The network on a picture continued to width x height, without the translator; `out` has the picture's size. */
static void run_directly(test *t, fixture *f, const model_generator_options *options, nn_parameters *set,
                         const image *in, size_t width, size_t height, image *out)
{
    nn_graph *g = nn_graph_create();
    nn_value x = nn_input(g, "x", nn_shape_of(1, height, width, 3));
    nn_value y = model_generator_build(g, set, "", options, x, NULL);
    nn_output(g, y);
    nn_program *program = NULL;
    nn_arena arena = {0};
    REQUIRE_OK(t, nn_program_create(g, f->backend, NULL, &program, &f->err), f->err);
    REQUIRE_OK(t, nn_arena_bind(&arena, f->backend, &program, 1, &f->err), f->err);
    float *floats = malloc(width * height * 3 * sizeof *floats);
    for (size_t i = 0; i < height; i++)
        for (size_t j = 0; j < width; j++)
            for (size_t c = 0; c < 3; c++) {
                uint8_t pixel = in->pixels[(bounced(i, in->height) * in->width + bounced(j, in->width)) * 3 + c];
                floats[(i * width + j) * 3 + c] = (float)pixel / 127.5f - 1;
            }
    nn_program_write(program, x, floats);
    nn_program_run(program);
    nn_program_read(program, y, floats);
    REQUIRE_OK(t, image_create(out, in->width, in->height, &f->err), f->err);
    for (size_t i = 0; i < in->height; i++)
        for (size_t j = 0; j < in->width; j++)
            for (size_t c = 0; c < 3; c++)
                out->pixels[(i * in->width + j) * 3 + c] =
                    (uint8_t)floor(((double)floats[(i * width + j) * 3 + c] + 1) * 127.5 + 0.5);
    free(floats);
    nn_program_destroy(program);
    nn_arena_free(&arena);
    nn_graph_destroy(g);
}

static int largest_difference(const image *a, const image *b)
{
    int largest = 0;
    if (a->width != b->width || a->height != b->height) return 256;
    for (size_t i = 0; i < a->width * a->height * 3; i++) {
        int d = abs(a->pixels[i] - b->pixels[i]);
        if (d > largest) largest = d;
    }
    return largest;
}

static bool is_flat(const image *picture)
{
    for (size_t i = 3; i < picture->width * picture->height * 3; i++)
        if (picture->pixels[i] != picture->pixels[i - 3]) return false;
    return true;
}

static void compare_size(test *t, fixture *f, translator *tr, const model_generator_options *options,
                         nn_parameters *set, size_t width, size_t height, size_t padded_width, size_t padded_height)
{
    image in = fixture_image(width, height, 3), out = {0}, expected = {0};
    REQUIRE_OK(t, translate_image(tr, &in, &out, &f->err), f->err);
    CHECK(t, out.width == width && out.height == height);
    run_directly(t, f, options, set, &in, padded_width, padded_height, &expected);
    int difference = largest_difference(&out, &expected);
    if (difference > 1) test_failed(t, __FILE__, __LINE__, "%zux%zu differs by %d", width, height, difference);
    CHECK(t, width * height < 64 || !is_flat(&out));
    image_free(&in);
    image_free(&out);
    image_free(&expected);
}

static void keeps_sizes(test *t)
{
    static const size_t sizes[][4] = {
        {64, 48, 64, 48}, {127, 33, 128, 36}, {1, 1, 8, 8}, {2, 3, 8, 8}, {4, 4, 8, 8}, {3, 5, 4, 8}, {5, 1, 8, 4},
        {1, 30, 4, 32}, {64, 48, 64, 48}, /* compiled anew: more sizes than are kept came between */
    };
    static const model_upsample upsamples[] = {MODEL_RESIZE_CONV, MODEL_TRANSPOSE};
    fixture f = fixture_begin();
    for (size_t k = 0; k < 2; k++) {
        model_generator_options options = tiny;
        options.upsample = upsamples[k];
        const char *path = fixture_path(&f, "bare%zu.safetensors", k);
        fixture_save(&f, path, &options, 5, (char *)NULL);
        nn_parameters *set = fixture_weights(&f, &options, 5);
        translator *tr = NULL;
        REQUIRE_OK(t, translator_create(f.backend, path, NULL, &tr, &f.err), f.err);
        CHECK(t, translator_from(tr) == NULL && translator_to(tr) == NULL);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            compare_size(t, &f, tr, &options, set, sizes[i][0], sizes[i][1], sizes[i][2], sizes[i][3]);
        translator_destroy(tr);
        nn_parameters_destroy(set);
    }
    fixture_end(&f);
}

static void pads_unets(test *t)
{
    model_generator_options options = {.kind = MODEL_UNET_128, .ngf = 2, .in_channels = 3, .out_channels = 3};
    fixture f = fixture_begin();
    const char *path = fixture_path(&f, "unet.safetensors");
    fixture_save(&f, path, &options, 6, (char *)NULL);
    options.upsample = MODEL_TRANSPOSE;
    nn_parameters *set = fixture_weights(&f, &options, 6);
    translator *tr = NULL;
    REQUIRE_OK(t, translator_create(f.backend, path, NULL, &tr, &f.err), f.err);
    compare_size(t, &f, tr, &options, set, 50, 130, 128, 256);
    translator_destroy(tr);
    nn_parameters_destroy(set);
    fixture_end(&f);
}

static void repeats_exactly(test *t)
{
    fixture f = fixture_begin();
    const char *path = fixture_path(&f, "bare.safetensors");
    fixture_save(&f, path, &tiny, 5, (char *)NULL);
    translator *tr = NULL;
    REQUIRE_OK(t, translator_create(f.backend, path, NULL, &tr, &f.err), f.err);
    image first = {0}, again = {0}, in = fixture_image(40, 24, 1);
    REQUIRE_OK(t, translate_image(tr, &in, &first, &f.err), f.err);
    for (size_t side = 8; side <= 80; side += 8) { /* the arena grows and moves meanwhile */
        image other = fixture_image(side, side, 2), out = {0};
        REQUIRE_OK(t, translate_image(tr, &other, &out, &f.err), f.err);
        image_free(&other);
        image_free(&out);
        REQUIRE_OK(t, translate_image(tr, &in, &again, &f.err), f.err);
        CHECK(t, largest_difference(&first, &again) == 0);
        image_free(&again);
    }
    image_free(&in);
    image_free(&first);
    translator_destroy(tr);
    fixture_end(&f);
}

/* Of the generator that translator_create takes, or 0 after a failure with `code` and a message with `part`. */
static uint64_t chosen(test *t, fixture *f, const char *path, const char *to, status code, const char *part)
{
    translator *tr = NULL;
    f->err = (error){0};
    status result = translator_create(f->backend, path, to, &tr, &f->err);
    uint64_t fingerprint = 0;
    if (result == STATUS_OK) {
        fingerprint = translator_fingerprint(tr);
        char names[64];
        snprintf(names, sizeof names, "%s to %s", translator_from(tr) ? translator_from(tr) : "?",
                 translator_to(tr) ? translator_to(tr) : "?");
        CHECK_TEXT(t, names, part);
    } else {
        CHECK_CONTAINS(t, f->err.message, part);
        CHECK(t, strncmp(f->err.message, path, strlen(path)) == 0);
        CHECK(t, tr == NULL);
    }
    if (result != code) test_failed(t, __FILE__, __LINE__, "--to %s gives status %d", to ? to : "(none)", result);
    translator_destroy(tr);
    return fingerprint;
}

static void chooses_of_generators(test *t)
{
    fixture f = fixture_begin();
    const char *bare = fixture_path(&f, "bare"), *forward = fixture_path(&f, "a"), *backward = fixture_path(&f, "b");
    fixture_save(&f, bare, &tiny, 1, (char *)NULL);
    fixture_save(&f, forward, &tiny, 1, "cyclegan_format", "1", "kind", "generator", "from", "snacks", "to",
                 "fractals", "direction", "a_to_b", (char *)NULL);
    fixture_save(&f, backward, &tiny, 2, "cyclegan_format", "1", "kind", "generator", "from", "a", "to", "snacks",
                 "direction", "b_to_a", (char *)NULL);
    uint64_t print = chosen(t, &f, bare, NULL, STATUS_OK, "? to ?");
    chosen(t, &f, bare, "b", STATUS_USAGE, "does not name its domains");
    CHECK(t, chosen(t, &f, forward, NULL, STATUS_OK, "snacks to fractals") == print);
    CHECK(t, chosen(t, &f, forward, "b", STATUS_OK, "snacks to fractals") == print);
    CHECK(t, chosen(t, &f, forward, "fractals", STATUS_OK, "snacks to fractals") == print);
    chosen(t, &f, forward, "a", STATUS_USAGE, "makes fractals from snacks");
    chosen(t, &f, forward, "snacks", STATUS_USAGE, "makes fractals from snacks");
    chosen(t, &f, forward, "cats", STATUS_USAGE, "--to cats");
    CHECK(t, chosen(t, &f, backward, "snacks", STATUS_OK, "a to snacks") != print);
    /* Domain b is called "a": the name wins, and this file makes the other. */
    chosen(t, &f, backward, "a", STATUS_USAGE, "makes snacks from a");
    fixture_end(&f);
}

/* One file of several networks of `tiny`: names are prefixes, seeds beside them. */
static void save_state(fixture *f, const char *path, const char *const *prefixes, const uint64_t *seeds, size_t count,
                       const char *a, const char *b)
{
    safetensors_writer *w = NULL;
    nn_parameters *sets[4];
    safetensors_writer_create(&w, &f->err);
    safetensors_set_metadata(w, "cyclegan_format", "1");
    safetensors_set_metadata(w, "kind", "training_state");
    safetensors_set_metadata(w, "domain_a", a);
    safetensors_set_metadata(w, "domain_b", b);
    for (size_t i = 0; i < count; i++) {
        sets[i] = fixture_weights(f, &tiny, seeds[i]);
        model_weights weights = {.set = sets[i], .slot = NN_DATA, .set_prefix = "", .file_prefix = prefixes[i]};
        model_weights_declare(&weights, w, SAFETENSORS_F32, &f->err);
    }
    safetensors_begin(w, path, &f->err);
    for (size_t i = 0; i < count; i++) {
        model_weights weights = {.set = sets[i], .slot = NN_DATA, .set_prefix = "", .file_prefix = prefixes[i]};
        model_weights_put(&weights, w, &f->err);
        nn_parameters_destroy(sets[i]);
    }
    if (safetensors_commit(w, &f->err) != STATUS_OK) fprintf(stderr, "%s\n", f->err.message);
}

static void chooses_of_training_states(test *t)
{
    fixture f = fixture_begin();
    static const char *const prefixes[] = {"G_A.", "G_B.", "ema.G_A.", "ema.G_B."};
    static const uint64_t seeds[] = {1, 2, 3, 4};
    uint64_t prints[4];
    for (size_t i = 0; i < 4; i++) {
        const char *path = fixture_path(&f, "alone");
        fixture_save(&f, path, &tiny, seeds[i], (char *)NULL);
        prints[i] = chosen(t, &f, path, NULL, STATUS_OK, "? to ?");
    }
    CHECK(t, prints[0] != prints[1] && prints[1] != prints[2] && prints[0] != prints[2]);
    const char *plain = fixture_path(&f, "plain"), *averaged = fixture_path(&f, "averaged");
    save_state(&f, plain, prefixes, seeds, 2, "snacks", "fractals");
    save_state(&f, averaged, prefixes, seeds, 4, "b", "a"); /* names against letters */
    CHECK(t, chosen(t, &f, plain, "b", STATUS_OK, "snacks to fractals") == prints[0]);
    CHECK(t, chosen(t, &f, plain, "fractals", STATUS_OK, "snacks to fractals") == prints[0]);
    CHECK(t, chosen(t, &f, plain, "a", STATUS_OK, "fractals to snacks") == prints[1]);
    CHECK(t, chosen(t, &f, plain, "snacks", STATUS_OK, "fractals to snacks") == prints[1]);
    chosen(t, &f, plain, NULL, STATUS_USAGE, "--to fractals or --to snacks");
    chosen(t, &f, plain, "cats", STATUS_USAGE, "snacks (a) and fractals (b)");
    CHECK(t, chosen(t, &f, averaged, "a", STATUS_OK, "b to a") == prints[2]);
    CHECK(t, chosen(t, &f, averaged, "b", STATUS_OK, "a to b") == prints[3]);
    const char *one_way = fixture_path(&f, "one_way"); /* as a feed-forward style network's */
    save_state(&f, one_way, prefixes, seeds, 1, "photos", "paintings");
    CHECK(t, chosen(t, &f, one_way, NULL, STATUS_OK, "photos to paintings") == prints[0]);
    CHECK(t, chosen(t, &f, one_way, "b", STATUS_OK, "photos to paintings") == prints[0]);
    chosen(t, &f, one_way, "photos", STATUS_USAGE, "this generator makes paintings from photos");
    fixture_end(&f);
}

static void refuses_other_files(test *t)
{
    fixture f = fixture_begin();
    const char *path = fixture_path(&f, "model");
    chosen(t, &f, path, NULL, STATUS_FAILED, "model");
    file_write_all(path, "not a model", 11, &f.err);
    chosen(t, &f, path, NULL, STATUS_FAILED, "model");
    fixture_save(&f, path, &tiny, 1, "cyclegan_format", "2", (char *)NULL);
    chosen(t, &f, path, NULL, STATUS_FAILED, "model: is of format 2; this program reads up to 1");
    fixture_save(&f, path, &tiny, 1, "cyclegan_format", "1", "kind", "poem", (char *)NULL);
    chosen(t, &f, path, NULL, STATUS_FAILED, "found poem");
    fixture_save(&f, path, &tiny, 1, "cyclegan_format", "1", "kind", "generator", (char *)NULL);
    chosen(t, &f, path, NULL, STATUS_FAILED, "direction");
    model_generator_options grey = tiny;
    grey.in_channels = 1;
    fixture_save(&f, path, &grey, 1, (char *)NULL);
    chosen(t, &f, path, NULL, STATUS_FAILED, "found one from 1 to 3");
    fixture_end(&f);
}

/* Shapes that claim a network of terabytes must not be believed. */
static void refuses_claims(test *t)
{
    fixture f = fixture_begin();
    const char *path = fixture_path(&f, "model");
    static const char *const names[] = {"model.1.weight", "model.10.conv_block.1.weight", "model.13.weight",
                                        "model.22.weight"};
    static const size_t shapes[][4] = {{1 << 17, 3, 7, 7}, {1, 1, 3, 3}, {1, 1, 3, 3}, {3, 1, 7, 7}};
    safetensors_writer *w = NULL;
    REQUIRE_OK(t, safetensors_writer_create(&w, &f.err), f.err);
    for (size_t i = 0; i < 4; i++) safetensors_declare(w, names[i], SAFETENSORS_BF16, 4, shapes[i]);
    REQUIRE_OK(t, safetensors_begin(w, path, &f.err), f.err);
    float *zeros = calloc(1 << 17, 3 * 49 * sizeof *zeros);
    for (size_t i = 0; i < 4; i++) {
        size_t count = shapes[i][0] * shapes[i][1] * shapes[i][2] * shapes[i][3];
        REQUIRE_OK(t, safetensors_put_f32(w, zeros, count, &f.err), f.err);
    }
    free(zeros);
    REQUIRE_OK(t, safetensors_commit(w, &f.err), f.err);
    chosen(t, &f, path, NULL, STATUS_FAILED, "missing");
    fixture_end(&f);
}

/* The translator of a file whose weights are `factor` times those of fixture_weights. */
static translator *scaled_translator(test *t, fixture *f, float factor)
{
    nn_parameters *set = fixture_weights(f, &tiny, 1);
    for (size_t i = 0; i < set->count; i++) {
        size_t count = nn_count(set->tensors[i].shape);
        float *values = malloc(count * sizeof *values);
        nn_parameters_read(set, NN_DATA, i, values);
        for (size_t k = 0; k < count; k++) values[k] *= factor;
        nn_parameters_write(set, NN_DATA, i, values);
        free(values);
    }
    model_weights weights = {.set = set, .slot = NN_DATA, .set_prefix = "", .file_prefix = ""};
    const char *path = fixture_path(f, "scaled.safetensors");
    translator *tr = NULL;
    if (model_weights_save(path, &weights, NULL, 0, SAFETENSORS_F32, &f->err) != STATUS_OK ||
        translator_create(f->backend, path, NULL, &tr, &f->err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", f->err.message);
    nn_parameters_destroy(set);
    return tr;
}

static void refuses_results_that_are_not_finite(test *t)
{
    fixture f = fixture_begin();
    image in = fixture_image(32, 32, 1), out = {0};
    translator *tr = scaled_translator(t, &f, 1e38f);
    REQUIRE(t, tr);
    CHECK(t, translate_image(tr, &in, &out, &f.err) == STATUS_NOT_FINITE);
    CHECK(t, !out.pixels);
    CHECK_CONTAINS(t, f.err.message, "the generator made a pixel that is not a finite number: its weights are damaged");
    translator_destroy(tr);
    tr = scaled_translator(t, &f, 1000); /* large alone is no harm */
    REQUIRE_OK(t, translate_image(tr, &in, &out, &f.err), f.err);
    image_free(&out);
    image_free(&in);
    translator_destroy(tr);
    fixture_end(&f);
}

static void translates_lines(test *t)
{
    static const size_t sizes[][2] = {{1, 20000}, {20000, 1}, {3, 9999}, {1, 2}};
    fixture f = fixture_begin();
    translator *tr = scaled_translator(t, &f, 1);
    REQUIRE(t, tr);
    for (size_t i = 0; i < 4; i++) {
        image in = fixture_image(sizes[i][0], sizes[i][1], 1), out = {0};
        REQUIRE_OK(t, translate_image(tr, &in, &out, &f.err), f.err);
        CHECK(t, out.width == in.width && out.height == in.height);
        CHECK(t, out.width * out.height < 64 || !is_flat(&out));
        image_free(&in);
        image_free(&out);
    }
    image empty = {0}, out = {0};
    CHECK(t, translate_image(tr, &empty, &out, &f.err) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "empty");
    translator_destroy(tr);
    fixture_end(&f);
}

/* A limit of the process on its memory stands for a machine that has no more. */
static void refuses_what_does_not_fit(test *t)
{
#ifdef __SANITIZE_ADDRESS__
    SKIP(t, "the sanitizer needs all addresses");
#endif
    fixture f = fixture_begin();
    translator *tr = scaled_translator(t, &f, 1);
    REQUIRE(t, tr);
    image small = fixture_image(16, 16, 1), in = fixture_image(4400, 3200, 1), out = {0};
    struct rlimit before, tight;
    REQUIRE(t, getrlimit(RLIMIT_AS, &before) == 0);
    tight = before;
    double there = memory_available();
    CHECK(t, there > 1e8);
    FILE *statm = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    REQUIRE(t, statm && fscanf(statm, "%lu", &pages) == 1);
    fclose(statm);
    tight.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)100 << 20);
    REQUIRE(t, setrlimit(RLIMIT_AS, &tight) == 0);
    double left = memory_available();
    status refused = translate_image(tr, &in, &out, &f.err);
    error problem = f.err;
    status small_result = translate_image(tr, &small, &out, &f.err);
    setrlimit(RLIMIT_AS, &before);
    CHECK(t, left > 0 && left <= 100 << 20);
    CHECK(t, refused == STATUS_NO_MEMORY && small_result == STATUS_OK);
    CHECK_CONTAINS(t, problem.message, "a picture of 4400x3200 needs ");
    CHECK_CONTAINS(t, problem.message, " are available; translate it smaller with --size");
    image_free(&out);
    image_free(&in);
    image_free(&small);
    translator_destroy(tr);
    fixture_end(&f);
}

TEST_MAIN(TEST(refuses_results_that_are_not_finite), TEST(translates_lines), TEST(refuses_what_does_not_fit),
          TEST(keeps_sizes), TEST(pads_unets), TEST(repeats_exactly), TEST(chooses_of_generators),
          TEST(chooses_of_training_states), TEST(refuses_other_files), TEST(refuses_claims))
