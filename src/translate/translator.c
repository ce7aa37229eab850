#include "translate/translator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "models/infer.h"
#include "models/weights.h"
#include "nn/program.h"
#include "translate/choice.h"

enum { PROGRAMS = 4, CHANNELS = 3 };
/* Of each pixel beside the network: floats 12, padded 3, result 4; and in a folder the next picture while it is decoded
 * (15) and the one before while it is encoded (8). */
enum { PICTURE_BYTES = 42 };

/* The network compiled for one size. */
typedef struct prepared {
    size_t width, height;
    nn_program *program;
    nn_value x, y;
    uint64_t used; /* when, for replacing the one that rested longest */
} prepared;

struct translator {
    nn_backend *backend;
    nn_precision precision;
    model_generator_options generator;
    nn_parameters *weights;
    char *from, *to;
    uint64_t fingerprint, clock;
    prepared programs[PROGRAMS]; /* those with a program, then empty ones */
    nn_arena arena;
};

const char *translator_from(const translator *t) { return t->from; }
const char *translator_to(const translator *t) { return t->to; }
const model_generator_options *translator_generator(const translator *t) { return &t->generator; }
uint64_t translator_fingerprint(const translator *t) { return t->fingerprint; }
nn_precision translator_precision(const translator *t) { return t->precision; }

/* All compiled programs and their memory. */
static void forget_programs(translator *t)
{
    for (size_t i = 0; i < PROGRAMS; i++) {
        nn_program_destroy(t->programs[i].program);
        t->programs[i] = (prepared){0};
    }
    nn_arena_free(&t->arena);
}

void translator_destroy(translator *t)
{
    if (!t) return;
    forget_programs(t);
    nn_parameters_destroy(t->weights);
    free(t->from);
    free(t->to);
    free(t);
}

static size_t round_up(size_t side, size_t stride) { return (side + stride - 1) / stride * stride; }

/* The size that the network runs on. */
static void padded_size(const model_generator_options *generator, size_t *width, size_t *height)
{
    size_t stride = model_generator_stride(generator);
    *width = round_up(*width, stride);
    *height = round_up(*height, stride);
    /* Of 4x4 a ResNet's trunk would see a single pixel, which an instance norm makes 0 whatever it is. */
    if (!model_generator_is_unet(generator) && *width == stride && *height == stride) *width = *height = 2 * stride;
}

/* NULL without memory; errors of the building are the graph's. */
static nn_graph *build(translator *t, size_t width, size_t height, nn_value *x, nn_value *y)
{
    nn_graph *g = nn_graph_create();
    if (!g) return NULL;
    *x = nn_input(g, "picture", nn_shape_of(1, height, width, CHANNELS));
    *y = model_generator_build(g, t->weights, "", &t->generator, *x, NULL);
    nn_output(g, *y);
    return g;
}

/* Adds the network's tensors to the set. */
static status declare_weights(translator *t, error *err)
{
    size_t width = 1, height = 1;
    nn_value x, y;
    padded_size(&t->generator, &width, &height);
    nn_graph *g = build(t, width, height, &x, &y);
    if (!g) return error_no_memory(err, "a generator", 0);
    status result = nn_graph_status(g, err);
    nn_graph_destroy(g);
    return result;
}

static uint64_t hash(uint64_t state, const void *bytes, size_t size)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < size; i++) state = (state ^ p[i]) * 0x100000001b3u;
    return state;
}

static status take_fingerprint(translator *t, error *err)
{
    const model_generator_options *o = &t->generator;
    const uint64_t network[] = {o->kind, model_generator_blocks(o), o->ngf, o->upsample};
    uint64_t state = hash(0xcbf29ce484222325u, network, sizeof network);
    for (size_t i = 0; i < t->weights->count; i++) {
        size_t bytes = nn_count(t->weights->tensors[i].shape) * sizeof(float);
        float *values = malloc(bytes);
        if (!values) return error_no_memory(err, "a tensor's values", bytes);
        nn_parameters_read(t->weights, NN_DATA, i, values);
        state = hash(state, values, bytes);
        free(values);
    }
    t->fingerprint = state;
    return STATUS_OK;
}

static status copy_names(translator *t, const generator_choice *choice, error *err)
{
    t->from = choice->from ? text_copy(choice->from) : NULL;
    t->to = choice->to ? text_copy(choice->to) : NULL;
    bool failed = (choice->from && !t->from) || (choice->to && !t->to);
    return failed ? error_no_memory(err, "the domains' names", 0) : STATUS_OK;
}

static size_t count_elements(const safetensors_file *file)
{
    size_t elements = 0;
    for (size_t i = 0; i < safetensors_count(file); i++) elements += safetensors_at(file, i)->count;
    return elements;
}

static status load(translator *t, const safetensors_file *file, const char *to, error *err)
{
    generator_choice choice;
    TRY(generator_choose(file, to, &choice, err));
    TRY(model_generator_infer(file, choice.prefix, &t->generator, err));
    const model_generator_options *o = &t->generator;
    if (o->in_channels != CHANNELS || o->out_channels != CHANNELS)
        return error_set(err, STATUS_FAILED, "expected a generator from 3 to 3 channels, found one from %zu to %zu",
                         o->in_channels, o->out_channels);
    TRY(declare_weights(t, err));
    /* Loading finds out that a file lacks tensors; until then, no memory for what its first one claims. */
    if (nn_parameters_elements(t->weights) <= count_elements(file))
        TRY(nn_parameters_allocate(t->weights, t->backend, 0, err));
    model_weights weights = {.set = t->weights, .slot = NN_DATA, .set_prefix = "", .file_prefix = choice.prefix};
    TRY(model_weights_load(file, &weights, err));
    TRY(take_fingerprint(t, err));
    return copy_names(t, &choice, err);
}

status translator_create(nn_backend *backend, const char *path, const char *to, translator **out, error *err)
{
    *out = NULL;
    safetensors_file *file;
    TRY(safetensors_open(path, &file, err));
    if (safetensors_verify(file, err) != STATUS_OK) {
        safetensors_close(file);
        return STATUS_FAILED;
    }
    translator *t = calloc(1, sizeof *t);
    if (t) t->weights = nn_parameters_create();
    status result;
    if (t && t->weights) {
        t->backend = backend;
        result = load(t, file, to, err);
    } else {
        result = error_no_memory(err, "a generator", sizeof *t);
    }
    safetensors_close(file);
    if (result == STATUS_OK) {
        *out = t;
        return STATUS_OK;
    }
    translator_destroy(t);
    return error_prefix(err, "%s", path);
}

/* Memory that does not exist may be promised all the same, and touching it would end the program. */
static status check_memory(const translator *t, const prepared *p, error *err)
{
    double network = (double)nn_program_bytes(p->program) - (double)t->arena.bytes; /* what is held already is there */
    double device = nn_backend_available(t->backend), there = device < 0 ? memory_available() : device;
    double need = (network > 0 ? network : 0) + (device < 0 ? (double)p->width * (double)p->height * PICTURE_BYTES : 0);
    if (there <= 0 || need <= there) return STATUS_OK;
    char need_text[32], there_text[32];
    return error_set(err, STATUS_NO_MEMORY, "a picture of %zux%zu needs %s of memory, %s are available; translate it "
                     "smaller with --size", p->width, p->height, text_bytes(need, need_text, sizeof need_text),
                     text_bytes(there, there_text, sizeof there_text));
}

static status compile(translator *t, prepared *p, error *err)
{
    nn_graph *g = build(t, p->width, p->height, &p->x, &p->y);
    if (!g) return error_no_memory(err, "a generator", 0);
    nn_program_options planning = {.precision = t->precision};
    status result = nn_program_create(g, t->backend, &planning, &p->program, err);
    nn_graph_destroy(g);
    if (result == STATUS_OK) result = check_memory(t, p, err);
    return result;
}

/* Binds all programs to the arena, which may grow and move. */
static status bind(translator *t, error *err)
{
    nn_program *programs[PROGRAMS];
    size_t count = 0;
    while (count < PROGRAMS && t->programs[count].program) {
        programs[count] = t->programs[count].program;
        count++;
    }
    return nn_arena_bind(&t->arena, t->backend, programs, count, err);
}

/* The program for a padded size, compiled now or kept from before. */
static status prepare(translator *t, size_t width, size_t height, prepared **out, error *err)
{
    prepared *oldest = &t->programs[0];
    for (size_t i = 0; i < PROGRAMS; i++) {
        prepared *p = &t->programs[i];
        if (p->program && p->width == width && p->height == height) {
            *out = p;
            return STATUS_OK;
        }
        if (!p->program) {
            oldest = p;
            break;
        }
        if (p->used < oldest->used) oldest = p;
    }
    nn_program_destroy(oldest->program);
    *oldest = (prepared){.width = width, .height = height};
    status result = compile(t, oldest, err);
    if (result == STATUS_OK) result = bind(t, err);
    if (result != STATUS_OK) forget_programs(t); /* they may be bound to an arena that is gone */
    *out = oldest;
    return result;
}

status translator_set_precision(translator *t, nn_precision precision, error *err)
{
    TRY(nn_precision_check(t->backend, precision, err));
    if (precision != t->precision) forget_programs(t);
    t->precision = precision;
    return STATUS_OK;
}

/* Where position i of an endless reflection of `side` pixels comes from. */
static size_t reflected(size_t i, size_t side)
{
    if (side == 1) return 0;
    size_t period = 2 * side - 2, place = i % period;
    return place < side ? place : period - place;
}

static void pad(const image *in, image *out)
{
    for (size_t y = 0; y < out->height; y++) {
        const uint8_t *from = in->pixels + reflected(y, in->height) * in->width * CHANNELS;
        uint8_t *to = out->pixels + y * out->width * CHANNELS;
        memcpy(to, from, in->width * CHANNELS);
        for (size_t x = in->width; x < out->width; x++)
            memcpy(to + x * CHANNELS, from + reflected(x, in->width) * CHANNELS, CHANNELS);
    }
}

/* floats: (padded height, padded width, 3), room for input and result. Weights can be finite and yet so large that the
 * result is not. */
static status run(prepared *p, const image *padded, float *floats, image *out, error *err)
{
    image_to_floats(padded, floats);
    nn_program_write(p->program, p->x, floats);
    nn_program_run(p->program);
    nn_program_read(p->program, p->y, floats);
    TRY(nn_program_check(p->program, err));
    for (size_t y = 1; y < out->height; y++) /* cropping */
        memmove(floats + y * out->width * CHANNELS, floats + y * padded->width * CHANNELS,
                out->width * CHANNELS * sizeof *floats);
    for (size_t i = 0; i < out->width * out->height * CHANNELS; i++)
        if (!isfinite(floats[i]))
            return error_set(err, STATUS_NOT_FINITE, "the generator made a pixel that is %s: its weights are damaged, "
                             "or training diverged", isnan(floats[i]) ? "not a number" : "infinite");
    image_from_floats(floats, out);
    return STATUS_OK;
}

status translate_image(translator *t, const image *in, image *out, error *err)
{
    *out = (image){0};
    if (!in->pixels) return error_set(err, STATUS_FAILED, "the picture to translate is empty");
    size_t width = in->width, height = in->height;
    padded_size(&t->generator, &width, &height);
    prepared *p;
    TRY(prepare(t, width, height, &p, err));
    p->used = ++t->clock;
    image padded = {0};
    status result = STATUS_OK;
    float *floats = malloc(width * height * CHANNELS * sizeof *floats);
    if (!floats) {
        result = error_no_memory(err, "a picture", width * height * CHANNELS * sizeof *floats);
        goto error;
    }
    TRY_OR(error, image_create(&padded, width, height, err));
    TRY_OR(error, image_create(out, in->width, in->height, err));
    TRY_OR(error, image_copy_extras(in, out, err));
    pad(in, &padded);
    TRY_OR(error, run(p, &padded, floats, out, err));
error:
    if (result != STATUS_OK) image_free(out);
    image_free(&padded);
    free(floats);
    return result;
}
