/* Files with tensors: ours, the reference's, others; damaged ones; predicted memory against what is asked for. */
#include "../translate/fixture.h"
#include "facts.h"
#include "inspect/plan.h"
#include "nn/program.h"
#include "nn/safetensors.h"
#include "translate/translator.h"

static inspect_facts look(test *t, const char *path, bool tensors)
{
    inspect_options options = {.threads = 2, .tensors = tensors};
    inspect_facts facts = {0};
    error err = {0};
    if (inspect_path(path, &options, &facts, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s: %s", path, err.message);
    CHECK(t, !facts.trouble);
    return facts;
}

/* Bytes that translating a picture of side x side needs, by compiling for the CPU itself. */
static double real_bytes(fixture *f, const model_generator_options *o, size_t side)
{
    nn_graph *g = nn_graph_create();
    nn_parameters *set = nn_parameters_create();
    nn_program *program;
    nn_output(g, model_generator_build(g, set, "", o, nn_input(g, "x", nn_shape_of(1, side, side, 3)), NULL));
    double bytes = -1;
    if (nn_parameters_allocate(set, f->backend, 0, &f->err) == STATUS_OK &&
        nn_program_create(g, f->backend, NULL, &program, &f->err) == STATUS_OK) {
        bytes = (double)nn_program_bytes(program) + 4 * (double)set->total + (double)(side * side) * (12 + 3 * 3);
        nn_program_destroy(program);
    }
    nn_graph_destroy(g);
    nn_parameters_destroy(set);
    return bytes;
}

/* Of a generator like ours, on a backend with memory. */
static double least_memory(test *t, fixture *f)
{
    const model_generator_options o = {.kind = MODEL_RESNET_6, .ngf = 32, .in_channels = 3, .out_channels = 3,
                                       .upsample = MODEL_RESIZE_CONV};
    double bytes = -1;
    if (translator_least_memory(f->backend, &o, 6144, 4096, &bytes, &f->err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", f->err.message);
    return bytes;
}

static void tells_of_our_generator(test *t)
{
    fixture f = fixture_begin();
    inspect_facts facts = look(t, "checkpoints/snacks2fractals.safetensors", false);
    CHECK_TEXT(t, fact_text(&facts, "kind"), "generator");
    CHECK_TEXT(t, fact_text(&facts, "network/architecture"), "resnet_6blocks");
    CHECK_TEXT(t, fact_text(&facts, "network/upsample"), "resize_conv");
    CHECK(t, fact_number(&facts, "network/blocks") == 6 && fact_number(&facts, "network/ngf") == 32);
    CHECK(t, fact_number(&facts, "network/parameters") == 1965059 && fact_number(&facts, "step") == 3000);
    CHECK_TEXT(t, fact_text(&facts, "from"), "snacks");
    CHECK_TEXT(t, fact_text(&facts, "to"), "fractals");
    CHECK_TEXT(t, fact_text(&facts, "direction"), "a_to_b");
    CHECK_TEXT(t, json_string_value(json_array_get(fact_at(&facts, "storage"), 0)), "BF16");
    CHECK(t, fact_number(&facts, "crop_size") == 128 && fact_number(&facts, "file_size") > 3900000);
    CHECK_TEXT(t, fact_text(&facts, "not_as_by_default/train.ema"), "0.995");
    CHECK_TEXT(t, fact_text(&facts, "not_as_by_default/model.generator"), "resnet_6blocks");
    CHECK(t, !fact_at(&facts, "not_as_by_default/train.beta1") && !fact_at(&facts, "config"));
    const model_generator_options o = {.kind = MODEL_RESNET_6, .ngf = 32, .in_channels = 3, .out_channels = 3,
                                       .upsample = MODEL_RESIZE_CONV};
    CHECK(t, fact_number(&facts, "memory_256") == real_bytes(&f, &o, 256));
    CHECK(t, fact_number(&facts, "memory_1024") == real_bytes(&f, &o, 1024));
    CHECK(t, fact_number(&facts, "memory_large") == floor(least_memory(t, &f)));
    CHECK(t, fact_number(&facts, "memory_large") < 400 << 20); /* as README.md has it of 24 megapixels */
    CHECK_CONTAINS(t, text_get(&facts.lines), "at least to translate 6144x4096 pixels, in strips; ");
    CHECK_CONTAINS(t, text_get(&facts.lines), "resnet_6blocks, ngf 32, resize_conv; 1965059 parameters");
    inspect_facts_free(&facts);
    facts = look(t, "checkpoints/fractals2snacks.safetensors", false);
    CHECK_TEXT(t, fact_text(&facts, "direction"), "b_to_a");
    inspect_facts_free(&facts);
    fixture_end(&f);
}

/* The tensors of a fixture below a prefix, as a bare file. */
static bool extract(const char *from, const char *prefix, const char *to)
{
    safetensors_file *file = NULL;
    safetensors_writer *w = NULL;
    float *values = malloc(1 << 22);
    size_t skip = strlen(prefix);
    bool fine = safetensors_open(from, &file, NULL) == STATUS_OK && safetensors_writer_create(&w, NULL) == STATUS_OK;
    for (size_t i = 0; fine && i < safetensors_count(file); i++) {
        const safetensors_entry *e = safetensors_at(file, i);
        if (text_starts_with(e->name, prefix))
            safetensors_declare(w, e->name + skip, SAFETENSORS_F32, e->rank, e->shape);
    }
    fine = fine && safetensors_begin(w, to, NULL) == STATUS_OK;
    for (size_t i = 0; fine && i < safetensors_count(file); i++) {
        const safetensors_entry *e = safetensors_at(file, i);
        if (!text_starts_with(e->name, prefix)) continue;
        fine = e->count < 1 << 20 && safetensors_read_f32(file, e, values, NULL) == STATUS_OK &&
               safetensors_put_f32(w, values, e->count, NULL) == STATUS_OK;
    }
    fine = fine && safetensors_commit(w, NULL) == STATUS_OK;
    free(values);
    safetensors_close(file);
    return fine;
}

static void recognises_the_reference_by_its_keys(test *t)
{
    static const struct {
        const char *file, *kind, *architecture, *width;
        double size, layers;
    } rows[] = {
        {"resnet_6blocks_transpose", "generator", "resnet_6blocks", "network/ngf", 4, -1},
        {"resnet_9blocks", "generator", "resnet_9blocks", "network/ngf", 2, -1},
        {"unet_128", "generator", "unet_128", "network/ngf", 2, -1},
        {"unet_256", "generator", "unet_256", "network/ngf", 1, -1},
        {"patchgan", "discriminator", "patchgan", "network/ndf", 4, 3},
        {"n_layers", "discriminator", "n_layers", "network/ndf", 4, 2},
        {"pixel", "discriminator", "pixel", "network/ndf", 4, -1},
    };
    fixture f = fixture_begin();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char from[128];
        snprintf(from, sizeof from, "tests/fixtures/network_%s.safetensors", rows[i].file);
        const char *path = fixture_path(&f, "bare.safetensors");
        REQUIRE(t, extract(from, "state.", path));
        inspect_facts facts = look(t, path, false);
        CHECK_TEXT(t, fact_text(&facts, "kind"), rows[i].kind);
        CHECK_TEXT(t, fact_text(&facts, "network/architecture"), rows[i].architecture);
        CHECK(t, fact_number(&facts, rows[i].width) == rows[i].size);
        CHECK(t, fact_number(&facts, "network/layers") == rows[i].layers);
        CHECK(t, fact_number(&facts, "network/parameters") == fact_number(&facts, "values"));
        CHECK(t, !fact_at(&facts, "step") && !fact_at(&facts, "from"));
        inspect_facts_free(&facts);
    }
    inspect_facts facts = look(t, "tests/fixtures/training_resize_conv.safetensors", false);
    CHECK_TEXT(t, fact_text(&facts, "kind"), "training state");
    CHECK_TEXT(t, fact_text(&facts, "G_B/upsample"), "resize_conv");
    CHECK(t, fact_number(&facts, "D_B/ndf") == 2 && json_is_false(fact_at(&facts, "ema")));
    inspect_facts_free(&facts);
    fixture_end(&f);
}

/* Writes tensors of the shapes, filled with zeros. */
static void write_tensors(const char *path, size_t count, char names[][32], size_t shapes[][4], size_t rank)
{
    safetensors_writer *w;
    if (safetensors_writer_create(&w, NULL) != STATUS_OK) return;
    for (size_t i = 0; i < count; i++) safetensors_declare(w, names[i], SAFETENSORS_F32, rank, shapes[i]);
    bool fine = safetensors_begin(w, path, NULL) == STATUS_OK;
    for (size_t i = 0; fine && i < count; i++) {
        size_t values = 1;
        for (size_t k = 0; k < rank; k++) values *= shapes[i][k];
        float *zeros = calloc(values, sizeof *zeros);
        fine = safetensors_put_f32(w, zeros, values, NULL) == STATUS_OK;
        free(zeros);
    }
    if (!fine || safetensors_commit(w, NULL) != STATUS_OK) fprintf(stderr, "%s: not written\n", path);
}

static void tells_of_features_and_other_tensors(test *t)
{
    fixture f = fixture_begin();
    const char *path = fixture_path(&f, "vgg.safetensors");
    char vgg[][32] = {"features.0.weight", "features.2.weight", "features.5.weight", "features.7.weight"};
    size_t shapes[][4] = {{4, 3, 3, 3}, {4, 4, 3, 3}, {8, 4, 3, 3}, {8, 8, 3, 3}};
    write_tensors(path, 4, vgg, shapes, 4);
    inspect_facts facts = look(t, path, false);
    CHECK_TEXT(t, fact_text(&facts, "kind"), "features of a VGG network");
    CHECK(t, fact_number(&facts, "convolutions") == 4);
    CHECK_CONTAINS(t, text_get(&facts.lines), "4 4 | 8 8 (|");
    inspect_facts_free(&facts);
    char names[30][32];
    size_t sizes[30][4] = {{0}};
    for (size_t i = 0; i < 30; i++) {
        snprintf(names[i], sizeof names[i], "some\x1b[2Jthing%zu", i);
        sizes[i][0] = i + 1, sizes[i][1] = 2;
    }
    path = fixture_path(&f, "others.safetensors");
    write_tensors(path, 30, names, sizes, 2);
    facts = look(t, path, false);
    CHECK_TEXT(t, fact_text(&facts, "kind"), "tensors");
    CHECK_TEXT(t, fact_text(&facts, "checksum"), "agrees");
    CHECK(t, json_array_size(fact_at(&facts, "list")) == 20);
    CHECK_CONTAINS(t, text_get(&facts.lines), "some\\x1b[2Jthing4  F32  5x2\n");
    CHECK(t, strchr(text_get(&facts.lines), '\x1b') == NULL);
    inspect_facts_free(&facts);
    facts = look(t, path, true);
    CHECK(t, json_array_size(fact_at(&facts, "list")) == 30);
    inspect_facts_free(&facts);
    fixture_end(&f);
}

static void change_byte(const char *path, size_t from_end)
{
    char *bytes;
    size_t size;
    if (file_read_all(path, 1 << 24, &bytes, &size, NULL) != STATUS_OK) return;
    bytes[size - from_end] ^= 1;
    file_write_all(path, bytes, size, NULL);
    free(bytes);
}

static void cut(const char *path, size_t by)
{
    char *bytes;
    size_t size;
    if (file_read_all(path, 1 << 24, &bytes, &size, NULL) != STATUS_OK) return;
    file_write_all(path, bytes, size - by, NULL);
    free(bytes);
}

static void refuses_damaged_files(test *t)
{
    fixture f = fixture_begin();
    const char *path = fixture_path(&f, "model.safetensors");
    fixture_save(&f, path, &tiny, 1, "cyclegan_format", "1", "kind", "generator", (char *)NULL);
    inspect_facts facts = look(t, path, false);
    CHECK(t, fact_number(&facts, "network/blocks") == 2);
    CHECK_TEXT(t, fact_text(&facts, "network/architecture"), "resnet");
    inspect_facts_free(&facts);
    change_byte(path, 40);
    check_refused(t, path, "checksum");
    cut(path, 4);
    check_refused(t, path, "");
    fixture_save(&f, path, &tiny, 1, "cyclegan_format", "2", "kind", "generator", (char *)NULL);
    check_refused(t, path, "model.safetensors: is of format 2; this program reads up to 1");
    char lonely[][32] = {"model.1.weight"};
    size_t shape[][4] = {{4, 3, 7, 7}};
    write_tensors(path, 1, lonely, shape, 4); /* bare, it could be of anything */
    facts = look(t, path, false);
    CHECK_TEXT(t, fact_text(&facts, "kind"), "tensors");
    inspect_facts_free(&facts);
    char half[][32] = {"G_A.model.1.weight"};
    write_tensors(path, 1, half, shape, 4);
    check_refused(t, path, "expected a resnet's");
    REQUIRE_OK(t, file_write_all(path, "rubbish", 7, &f.err), f.err);
    check_refused(t, path, "");
    fixture_end(&f);
}

/* A config in the metadata that is broken or of something else is told, and no fault of the weights. */
static void bears_wrong_configs(test *t)
{
    fixture f = fixture_begin();
    const char *path = fixture_path(&f, "model.safetensors");
    fixture_save(&f, path, &tiny, 1, "cyclegan_format", "1", "kind", "generator", "config", "name: [", (char *)NULL);
    inspect_facts facts = look(t, path, false);
    CHECK_CONTAINS(t, fact_text(&facts, "config"), "malformed YAML");
    inspect_facts_free(&facts);
    fixture_save(&f, path, &tiny, 1, "cyclegan_format", "1", "kind", "generator", "config",
                 "name: x\ndomains: {a: {train: p}, b: {train: q}}\nmodel: {ngf: 512}\n", (char *)NULL);
    facts = look(t, path, false);
    CHECK_TEXT(t, fact_text(&facts, "config"), "of other networks");
    CHECK_TEXT(t, fact_text(&facts, "domains/b/train"), "q");
    inspect_facts_free(&facts);
    fixture_end(&f);
}

TEST_MAIN(TEST(tells_of_our_generator), TEST(recognises_the_reference_by_its_keys),
          TEST(tells_of_features_and_other_tensors), TEST(refuses_damaged_files), TEST(bears_wrong_configs))
