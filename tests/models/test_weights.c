/* Weights to files and back, other spellings of a file, every refusal, recognition, first values. */
#include <math.h>
#include <unistd.h>

#include "base/text.h"
#include "models/infer.h"
#include "models/initialise.h"
#include "models/weights.h"
#include "reference.h"

/* A network in memory: its tensors hold distinct values. */
typedef struct fixture {
    nn_backend *backend;
    nn_parameters *set;
    char folder[64], path[96];
    error err;
    safetensors_file *file;
} fixture;

static float value_at(size_t tensor, size_t i) { return 0.25f * (float)tensor - 0.001f * (float)(i % 977) + 1e-4f; }

static void fill(nn_parameters *set, nn_slot slot, float factor)
{
    for (size_t i = 0; i < set->count; i++) {
        size_t count = nn_count(set->tensors[i].shape);
        float *values = malloc(count * sizeof *values);
        for (size_t k = 0; k < count; k++) values[k] = factor * value_at(i, k);
        nn_parameters_write(set, slot, i, values);
        free(values);
    }
}

/* Largest |value - factor * value_at| over all tensors, relative to 1. */
static double distance(const nn_parameters *set, nn_slot slot, float factor)
{
    double worst = 0;
    for (size_t i = 0; i < set->count; i++) {
        size_t count = nn_count(set->tensors[i].shape);
        float *values = malloc(count * sizeof *values);
        nn_parameters_read(set, slot, i, values);
        for (size_t k = 0; k < count; k++) {
            double d = fabs((double)values[k] - factor * value_at(i, k)) / (1 + fabs(value_at(i, k)));
            if (!(d <= worst)) worst = isnan(d) ? INFINITY : d;
        }
        free(values);
    }
    return worst;
}

static fixture start(void)
{
    fixture f = {.set = nn_parameters_create()};
    nn_cpu_create(1, &f.backend, &f.err);
    strcpy(f.folder, "/tmp/cyclegan-weights-XXXXXX");
    if (!mkdtemp(f.folder)) perror(f.folder);
    snprintf(f.path, sizeof f.path, "%s/weights.safetensors", f.folder);
    return f;
}

static void end(fixture *f)
{
    safetensors_close(f->file);
    nn_parameters_destroy(f->set);
    nn_backend_destroy(f->backend);
    unlink(f->path);
    rmdir(f->folder);
}

static void add_generator(nn_parameters *set, const char *prefix, const model_generator_options *options)
{
    nn_graph *g = nn_graph_create();
    size_t side = model_generator_is_unet(options) ? model_generator_stride(options) : 8;
    model_generator_build(g, set, prefix, options, nn_input(g, "x", nn_shape_of(1, side, side, options->in_channels)),
                          NULL);
    nn_graph_destroy(g);
}

static const model_generator_options small = {.kind = MODEL_RESNET_6, .blocks = 2, .ngf = 2, .in_channels = 3,
                                              .out_channels = 1, .upsample = MODEL_TRANSPOSE};

/* A set with one small ResNet, allocated and filled with value_at. */
static fixture start_small(const char *prefix)
{
    fixture f = start();
    add_generator(f.set, prefix, &small);
    nn_parameters_allocate(f.set, f.backend, NN_AVERAGED, &f.err);
    fill(f.set, NN_DATA, 1);
    return f;
}

static void reopen(fixture *f)
{
    safetensors_close(f->file);
    f->file = NULL;
    f->err = (error){0};
    safetensors_open(f->path, &f->file, &f->err);
}

static void round_trip(test *t)
{
    fixture f = start_small("G_A.");
    fill(f.set, NN_AVERAGE, 2);
    model_weights out = {.set = f.set, .slot = NN_DATA, .set_prefix = "G_A.", .file_prefix = "net_"};
    safetensors_metadata about[] = {{"cyclegan_format", "1"}, {"step", "7"}};
    REQUIRE_OK(t, model_weights_save(f.path, &out, about, 2, SAFETENSORS_F32, &f.err), f.err);
    reopen(&f);
    REQUIRE(t, f.file);
    CHECK_TEXT(t, safetensors_metadata_get(f.file, "step"), "7");
    CHECK(t, safetensors_count(f.file) == f.set->count);
    const safetensors_entry *bias = safetensors_find(f.file, "net_model.1.bias");
    const safetensors_entry *up = safetensors_find(f.file, "net_model.12.weight");
    REQUIRE(t, bias && up);
    CHECK(t, bias->rank == 1 && bias->shape[0] == 2);
    CHECK(t, up->rank == 4 && up->shape[0] == 8 && up->shape[1] == 4);
    CHECK_TEXT(t, safetensors_at(f.file, 0)->name, "net_model.1.weight");
    model_weights in = out;
    in.slot = NN_AVERAGE;
    REQUIRE_OK(t, model_weights_load(f.file, &in, &f.err), f.err);
    CHECK(t, distance(f.set, NN_AVERAGE, 1) == 0);
    CHECK(t, distance(f.set, NN_DATA, 1) == 0);
    REQUIRE_OK(t, model_weights_save(f.path, &out, NULL, 0, SAFETENSORS_BF16, &f.err), f.err);
    reopen(&f);
    REQUIRE_OK(t, model_weights_load(f.file, &in, &f.err), f.err);
    double bf16 = distance(f.set, NN_AVERAGE, 1);
    CHECK(t, bf16 > 0 && bf16 <= 0x1p-8);
    out.file_prefix = "";
    CHECK(t, model_weights_save("/nowhere/at/all.safetensors", &out, NULL, 0, SAFETENSORS_F32, &f.err) != STATUS_OK);
    end(&f);
}

/* Two networks of one set go to their own prefixes of one file, and one comes back alone. */
static void parts_of_a_file(test *t)
{
    fixture f = start();
    add_generator(f.set, "G_A.", &small);
    add_generator(f.set, "G_B.", &small);
    nn_parameters_allocate(f.set, f.backend, NN_TRAINED, &f.err);
    fill(f.set, NN_DATA, 1);
    fill(f.set, NN_ADAM_M, 3);
    model_weights parts[] = {{f.set, NN_DATA, "", ""}, {f.set, NN_ADAM_M, "", "adam_m."}};
    safetensors_writer *w;
    REQUIRE_OK(t, safetensors_writer_create(&w, &f.err), f.err);
    for (int i = 0; i < 2; i++) REQUIRE_OK(t, model_weights_declare(&parts[i], w, SAFETENSORS_F32, &f.err), f.err);
    REQUIRE_OK(t, safetensors_begin(w, f.path, &f.err), f.err);
    for (int i = 0; i < 2; i++) REQUIRE_OK(t, model_weights_put(&parts[i], w, &f.err), f.err);
    REQUIRE_OK(t, safetensors_commit(w, &f.err), f.err);
    reopen(&f);
    REQUIRE(t, f.file && safetensors_count(f.file) == 2 * f.set->count);
    fill(f.set, NN_DATA, 5);
    REQUIRE_OK(t, model_weights_load(f.file, &(model_weights){f.set, NN_DATA, "G_A.", "G_A."}, &f.err), f.err);
    CHECK(t, distance(f.set, NN_DATA, 5) > 0.1);
    REQUIRE_OK(t, model_weights_load(f.file, &(model_weights){f.set, NN_DATA, "G_B.", "G_B."}, &f.err), f.err);
    CHECK(t, distance(f.set, NN_DATA, 1) == 0);
    REQUIRE_OK(t, model_weights_load(f.file, &parts[1], &f.err), f.err);
    CHECK(t, distance(f.set, NN_ADAM_M, 3) == 0);
    CHECK(t, model_weights_load(f.file, &parts[0], &f.err) == STATUS_FAILED); /* adam_m. is unexpected there */
    CHECK_CONTAINS(t, f.err.message, "unexpected (adam_m.");
    end(&f);
}

typedef struct extra_tensor {
    const char *name;
    size_t rank;
    size_t shape[4];
} extra_tensor;

/* Writes the set's values under keys changed by `rename` (false: left out), and further tensors, zeros; opens it. */
static void write_renamed(fixture *f, bool (*rename)(const char *key, char *out, size_t size),
                          const extra_tensor *extra, size_t extra_count)
{
    static const float zeros[512];
    safetensors_writer *w = NULL;
    safetensors_writer_create(&w, &f->err);
    char name[160];
    for (size_t i = 0; i < f->set->count; i++) {
        const nn_tensor *tensor = &f->set->tensors[i];
        bool bias = model_is_bias(tensor->name);
        if (rename(tensor->name, name, sizeof name))
            safetensors_declare(w, name, SAFETENSORS_F32, bias ? 1 : 4, &tensor->shape.dim[bias ? 3 : 0]);
    }
    for (size_t i = 0; i < extra_count; i++)
        safetensors_declare(w, extra[i].name, SAFETENSORS_F32, extra[i].rank, extra[i].shape);
    safetensors_begin(w, f->path, &f->err);
    for (size_t i = 0; i < f->set->count; i++) {
        size_t count = nn_count(f->set->tensors[i].shape);
        float *values = malloc(count * sizeof *values);
        nn_parameters_read(f->set, NN_DATA, i, values);
        if (rename(f->set->tensors[i].name, name, sizeof name)) safetensors_put_f32(w, values, count, &f->err);
        free(values);
    }
    for (size_t i = 0; i < extra_count; i++) {
        size_t count = 1;
        for (size_t k = 0; k < extra[i].rank; k++) count *= extra[i].shape[k];
        safetensors_put_f32(w, zeros, count, &f->err);
    }
    safetensors_commit(w, &f->err);
    reopen(f);
}

static bool same(const char *key, char *out, size_t size) { return snprintf(out, size, "%s", key) > 0; }
static bool wrapped(const char *key, char *out, size_t size) { return snprintf(out, size, "module.%s", key) > 0; }

/* As made with dropout. */
static bool dropout(const char *key, char *out, size_t size)
{
    const char *five = strstr(key, "conv_block.5");
    if (!five) return same(key, out, size);
    return snprintf(out, size, "module.%.*sconv_block.6%s", (int)(five - key), key, five + 12) > 0;
}

static bool without_block(const char *key, char *out, size_t size)
{
    return !strstr(key, "model.11.") && same(key, out, size);
}

static bool without_last(const char *key, char *out, size_t size)
{
    return strcmp(key, "model.19.bias") != 0 && same(key, out, size);
}

static bool without_up(const char *key, char *out, size_t size)
{
    return strcmp(key, "model.12.weight") != 0 && same(key, out, size);
}

/* Loads what write_renamed wrote into the average, and compares; "" or the message. */
static const char *load(test *t, fixture *f)
{
    fill(f->set, NN_AVERAGE, 2);
    if (!f->file) return f->err.message;
    model_weights in = {.set = f->set, .slot = NN_AVERAGE, .set_prefix = "", .file_prefix = ""};
    bool good = model_weights_load(f->file, &in, &f->err) == STATUS_OK;
    CHECK(t, distance(f->set, NN_AVERAGE, good ? 1 : 2) == 0); /* a failure changes nothing */
    return good ? "" : f->err.message;
}

static void other_spellings(test *t)
{
    static const extra_tensor leftovers[] = {
        {"model.2.running_mean", 1, {2}}, {"model.2.running_var", 1, {2}}, {"model.2.num_batches_tracked", 0, {0}},
        {"model.10.conv_block.6.running_mean", 1, {8}}};
    fixture f = start_small("");
    write_renamed(&f, same, leftovers, 4);
    CHECK_TEXT(t, load(t, &f), "");
    write_renamed(&f, wrapped, NULL, 0);
    CHECK_TEXT(t, load(t, &f), "");
    write_renamed(&f, dropout, NULL, 0);
    CHECK(t, f.file && safetensors_find(f.file, "module.model.11.conv_block.6.bias"));
    CHECK_TEXT(t, load(t, &f), "");
    end(&f);
}

static void refusals(test *t)
{
    static const extra_tensor batch[] = {{"model.2.weight", 1, {2}}, {"model.2.running_var", 1, {2}}};
    static const extra_tensor twice[] = {{"model.10.conv_block.6.bias", 1, {8}}, {"\033[2J", 1, {1}}};
    static const extra_tensor last[] = {{"model.19.bias", 1, {2}}, {"other.19.bias", 1, {2}}};
    static const extra_tensor rank[] = {{"model.19.bias", 2, {1, 1}}};
    static const extra_tensor up[] = {{"model.12.weight", 4, {4, 8, 3, 3}}};
    fixture f = start_small("");
    CHECK(t, f.set->count == 20);
    write_renamed(&f, same, batch, 2);
    CHECK_TEXT(t, load(t, &f), "batch norm is not supported: expected instance norm without weights, found "
                               "model.2.running_var beside an affine weight");
    write_renamed(&f, same, batch, 1);
    CHECK_TEXT(t, load(t, &f), "the weights do not fit the network, which has 20 tensors: 1 unexpected "
                               "(model.2.weight)");
    write_renamed(&f, same, twice, 2);
    CHECK_TEXT(t, load(t, &f), "the weights do not fit the network, which has 20 tensors: 2 unexpected "
                               "(model.10.conv_block.6.bias, \\x1b[2J)");
    write_renamed(&f, without_block, NULL, 0);
    CHECK_TEXT(t, load(t, &f), "the weights do not fit the network, which has 20 tensors: 4 missing "
                               "(model.11.conv_block.1.weight, model.11.conv_block.1.bias, "
                               "model.11.conv_block.5.weight, ...)");
    write_renamed(&f, without_last, last, 2);
    CHECK_TEXT(t, load(t, &f), "the weights do not fit the network, which has 20 tensors: 1 unexpected "
                               "(other.19.bias); 1 of another shape (model.19.bias: expected 1, found 2)");
    write_renamed(&f, without_last, rank, 1);
    CHECK_TEXT(t, load(t, &f), "the weights do not fit the network, which has 20 tensors: 1 of another shape "
                               "(model.19.bias: expected 1, found 1x1)");
    write_renamed(&f, without_up, up, 1);
    CHECK_TEXT(t, load(t, &f), "the weights do not fit the network, which has 20 tensors: 1 of another shape "
                               "(model.12.weight: expected 8x4x3x3, found 4x8x3x3)");
    write_renamed(&f, same, NULL, 0);
    CHECK(t, model_weights_load(f.file, &(model_weights){f.set, NN_AVERAGE, "", "G_A."}, &f.err) == STATUS_FAILED);
    CHECK_CONTAINS(t, f.err.message, "20 missing (model.1.weight, model.1.bias, model.4.weight, ...)");
    end(&f);
}

static void refuses_integers(test *t)
{
    static const char header[] = "{\"net.0.weight\":{\"dtype\":\"I32\",\"shape\":[1,1,1,1],\"data_offsets\":[0,4]}}   ";
    unsigned char bytes[8 + sizeof header - 1 + 4] = {sizeof header - 1};
    memcpy(bytes + 8, header, sizeof header - 1);
    fixture f = start();
    size_t index;
    REQUIRE_OK(t, nn_parameters_add(f.set, "net.0.weight", nn_shape_of(1, 1, 1, 1), &index, &f.err), f.err);
    REQUIRE_OK(t, nn_parameters_allocate(f.set, f.backend, 0, &f.err), f.err);
    REQUIRE_OK(t, safetensors_open_memory("memory", bytes, sizeof bytes, &f.file, &f.err), f.err);
    CHECK(t, model_weights_load(f.file, &(model_weights){f.set, NN_DATA, "", ""}, &f.err) == STATUS_FAILED);
    CHECK_TEXT(t, f.err.message, "net.0.weight: expected values of type F32, F16, BF16 or F64, found another");
    end(&f);
}

static void refuses_what_is_not_finite(test *t)
{
    static const char header[] = "{\"net.0.weight\":{\"dtype\":\"F32\",\"shape\":[1,1,1,2],\"data_offsets\":[0,8]}}   ";
    unsigned char bytes[8 + sizeof header - 1 + 8] = {sizeof header - 1};
    const float values[2] = {1, INFINITY};
    memcpy(bytes + 8, header, sizeof header - 1);
    memcpy(bytes + 8 + sizeof header - 1, values, sizeof values);
    fixture f = start();
    size_t index;
    float kept[2] = {2, 2}, after[2];
    REQUIRE_OK(t, nn_parameters_add(f.set, "net.0.weight", nn_shape_of(1, 1, 1, 2), &index, &f.err), f.err);
    REQUIRE_OK(t, nn_parameters_allocate(f.set, f.backend, 0, &f.err), f.err);
    nn_parameters_write(f.set, NN_DATA, index, kept);
    REQUIRE_OK(t, safetensors_open_memory("memory", bytes, sizeof bytes, &f.file, &f.err), f.err);
    CHECK(t, model_weights_load(f.file, &(model_weights){f.set, NN_DATA, "", ""}, &f.err) == STATUS_FAILED);
    CHECK_TEXT(t, f.err.message, "net.0.weight: expected finite values, found inf");
    nn_parameters_read(f.set, NN_DATA, index, after);
    CHECK(t, memcmp(after, kept, sizeof kept) == 0);
    end(&f);
}

static bool same_generator(const model_generator_options *a, const model_generator_options *b)
{
    return a->kind == b->kind && model_generator_blocks(a) == model_generator_blocks(b) && a->ngf == b->ngf &&
           a->in_channels == b->in_channels && a->out_channels == b->out_channels && a->upsample == b->upsample;
}

static void check_inferred(test *t, const reference_network *n, const char *prefix)
{
    fixture f = start();
    nn_graph *g = nn_graph_create();
    reference_build(n, g, f.set, "", NULL);
    nn_graph_destroy(g);
    nn_parameters_allocate(f.set, f.backend, 0, &f.err);
    model_weights out = {f.set, NN_DATA, "", prefix};
    CHECK(t, model_weights_save(f.path, &out, NULL, 0, SAFETENSORS_BF16, &f.err) == STATUS_OK);
    reopen(&f);
    REQUIRE(t, f.file);
    const char *file_prefix = strcmp(prefix, "module.") == 0 ? "" : prefix;
    model_generator_options found = {0};
    status result = model_generator_infer(f.file, file_prefix, &found, &f.err);
    if (reference_is_generator(n)) {
        model_generator_options expected = reference_generator(n);
        CHECK_TEXT(t, f.err.message, "");
        CHECK(t, result == STATUS_OK && same_generator(&found, &expected));
    } else {
        CHECK(t, result == STATUS_FAILED);
        CHECK_CONTAINS(t, f.err.message, "not a generator: expected a resnet's ");
    }
    end(&f);
}

static void infers_every_kind(test *t)
{
    reference_network *networks = calloc(REFERENCE_NETWORKS, sizeof *networks);
    REQUIRE(t, networks);
    size_t count = reference_read(networks);
    CHECK(t, count == 14);
    for (size_t i = 0; i < count; i++) {
        check_inferred(t, &networks[i], "");
        check_inferred(t, &networks[i], i % 2 ? "module." : "ema.G_A.");
    }
    free(networks);
}

static void infers_any_blocks(test *t)
{
    fixture f = start_small("");
    write_renamed(&f, dropout, NULL, 0);
    REQUIRE(t, f.file);
    model_generator_options found = {0};
    REQUIRE_OK(t, model_generator_infer(f.file, "", &found, &f.err), f.err);
    CHECK(t, found.blocks == 2 && found.kind == MODEL_RESNET_9);
    model_generator_options expected = small;
    expected.kind = MODEL_RESNET_9;
    CHECK(t, same_generator(&found, &expected));
    end(&f);
}

static void infers_channels(test *t)
{
    for (int kind = MODEL_RESNET_6; kind <= MODEL_UNET_256; kind++) {
        model_generator_options options = {.kind = (model_generator_kind)kind, .ngf = 3, .in_channels = 1,
                                           .out_channels = 2, .upsample = MODEL_TRANSPOSE};
        fixture f = start();
        add_generator(f.set, "", &options);
        nn_parameters_allocate(f.set, f.backend, 0, &f.err);
        write_renamed(&f, same, NULL, 0);
        REQUIRE(t, f.file);
        model_generator_options found = {0};
        CHECK(t, model_generator_infer(f.file, "", &found, &f.err) == STATUS_OK);
        CHECK(t, same_generator(&found, &options));
        end(&f);
    }
}

static const char *infer_failure(fixture *f, const extra_tensor *tensors, size_t count)
{
    model_generator_options found;
    write_renamed(f, same, tensors, count);
    if (!f->file) return f->err.message;
    return model_generator_infer(f->file, "", &found, &f->err) == STATUS_OK ? "" : f->err.message;
}

static void refuses_what_is_no_generator(test *t)
{
    static const extra_tensor resnet[] = {{"model.1.weight", 4, {1, 1, 7, 7}},
                                          {"model.10.conv_block.1.weight", 4, {1, 1, 3, 3}},
                                          {"model.11.weight", 4, {1, 1, 3, 3}}};
    static const extra_tensor unet[] = {{"model.model.0.weight", 4, {1, 1, 4, 4}},
                                        {"model.model.1.model.1.weight", 4, {1, 1, 4, 4}},
                                        {"model.model.1.model.3.model.1.weight", 4, {1, 1, 4, 4}}};
    static const extra_tensor flat[] = {{"model.1.weight", 2, {1, 7}}};
    fixture f = start();
    CHECK_CONTAINS(t, infer_failure(&f, resnet, 1), "expected a resnet's model.10.conv_block.1.weight");
    CHECK_TEXT(t, infer_failure(&f, resnet, 3),
               "expected after the last residual block, model.10, either model.11.weight and model.18.weight "
               "(transpose) or model.13.weight and model.22.weight (resize_conv), found neither");
    CHECK_TEXT(t, infer_failure(&f, unet, 3), "expected a unet of 7 levels (unet_128) or 8 (unet_256), found 3");
    CHECK_TEXT(t, infer_failure(&f, flat, 1),
               "not a generator: expected a resnet's model.1.weight (...x...x7x7) or a unet's model.model.0.weight "
               "(...x...x4x4) among its 1 tensors, found neither");
    end(&f);
}

static void first_values(test *t)
{
    fixture f = start();
    model_generator_options options = {.kind = MODEL_RESNET_6, .ngf = 8, .in_channels = 3, .out_channels = 3};
    add_generator(f.set, "", &options);
    REQUIRE_OK(t, nn_parameters_allocate(f.set, f.backend, NN_AVERAGED, &f.err), f.err);
    fill(f.set, NN_DATA, 1);
    REQUIRE_OK(t, model_initialise(f.set, 3, 0, &f.err), f.err);
    size_t a = nn_parameters_find(f.set, "model.10.conv_block.1.weight");
    size_t b = nn_parameters_find(f.set, "model.10.conv_block.5.weight");
    size_t bias = nn_parameters_find(f.set, "model.10.conv_block.5.bias");
    REQUIRE(t, a != SIZE_MAX && b != SIZE_MAX && bias != SIZE_MAX);
    enum { COUNT = 32 * 32 * 9 };
    static float first[COUNT], second[COUNT], again[COUNT], average[COUNT], zeros[32];
    nn_parameters_read(f.set, NN_DATA, a, first);
    nn_parameters_read(f.set, NN_DATA, b, second);
    nn_parameters_read(f.set, NN_AVERAGE, a, average);
    nn_parameters_read(f.set, NN_DATA, bias, zeros);
    double sum = 0, squares = 0, cross = 0;
    for (size_t i = 0; i < COUNT; i++) {
        sum += first[i];
        squares += (double)first[i] * first[i];
        cross += (double)first[i] * second[i];
    }
    /* Within five standard errors. */
    CHECK_NEAR(t, sum / COUNT, 0, 5 * 0.02 / sqrt(COUNT));
    CHECK_NEAR(t, sqrt(squares / COUNT), 0.02, 5 * 0.02 / sqrt(2.0 * COUNT));
    CHECK_NEAR(t, cross / COUNT / 4e-4, 0, 5 / sqrt(COUNT));
    CHECK(t, memcmp(first, average, sizeof first) == 0);
    for (size_t i = 0; i < 32; i++) CHECK(t, zeros[i] == 0);
    REQUIRE_OK(t, model_initialise(f.set, 3, 0, &f.err), f.err);
    nn_parameters_read(f.set, NN_DATA, a, again);
    CHECK(t, memcmp(first, again, sizeof first) == 0);
    REQUIRE_OK(t, model_initialise(f.set, 4, 0, &f.err), f.err);
    nn_parameters_read(f.set, NN_DATA, a, again);
    CHECK(t, memcmp(first, again, sizeof first) != 0);
    REQUIRE_OK(t, model_initialise(f.set, 3, b - a, &f.err), f.err);
    nn_parameters_read(f.set, NN_DATA, a, again);
    CHECK(t, memcmp(second, again, sizeof second) == 0);
    end(&f);
}

/* Those in checkpoints/ have checksums (tools/add_checksum.py), and are whole. */
static void shipped_generators_are_whole(test *t)
{
    static const char *const paths[] = {"checkpoints/snacks2fractals.safetensors",
                                        "checkpoints/fractals2snacks.safetensors"};
    error err = {0};
    for (size_t i = 0; i < 2; i++) {
        safetensors_file *file;
        REQUIRE_OK(t, safetensors_open(paths[i], &file, &err), err);
        CHECK(t, safetensors_metadata_get(file, "data_xxh64") != NULL);
        CHECK(t, safetensors_verify(file, &err) == STATUS_OK);
        safetensors_close(file);
    }
}

TEST_MAIN(TEST(round_trip), TEST(parts_of_a_file), TEST(other_spellings), TEST(refusals), TEST(refuses_integers),
          TEST(refuses_what_is_not_finite),
          TEST(infers_every_kind), TEST(infers_any_blocks), TEST(infers_channels), TEST(refuses_what_is_no_generator),
          TEST(first_values), TEST(shipped_generators_are_whole))
