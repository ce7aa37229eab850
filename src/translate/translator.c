#include "translate/translator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/memory.h"
#include "base/text.h"
#include "models/format.h"
#include "models/infer.h"
#include "models/weights.h"
#include "nn/program.h"
#include "translate/choice.h"
#include "translate/internal.h"
#include "translate/large.h"
#include "translate/picture_rows.h"

enum { PROGRAMS = TRANSLATE_PROGRAMS, CHANNELS = TRANSLATE_CHANNELS };

/* Bytes of each pixel beside the network: the picture 4, the result 4; as a whole also the padded one 3. A device of its own
 * has it pass through pinned memory, which stays: 3 for each of four uploads, and 3 for what comes back. */
static const double picture_bytes = 8, padded_bytes = 3, pinned_bytes = 15, result_bytes = 4;
/* More than a ResNet's program takes for each pixel and channel of its first layer (8 to 10 from 256x256 on), beside
 * transformed weights, which are fewer than all weights; should it be too little, a lane goes by strips. Larger pictures
 * have work enough for all threads, and would take as many times more memory. */
static const double lane_bytes = 16;
enum { MOST_LANE_PIXELS = 1 << 18 };
/* The program with its libraries and its threads' stacks. */
static const double process_bytes = 48 << 20;
/* The same when it rests (31 MiB, two threads). */
static const double resting_bytes = 32 << 20;

const char *translator_from(const translator *t) { return t->from; }
const char *translator_to(const translator *t) { return t->to; }
const model_generator_options *translator_generator(const translator *t) { return &t->generator; }
uint64_t translator_fingerprint(const translator *t) { return t->fingerprint; }
nn_precision translator_precision(const translator *t) { return t->precision; }

void translator_leave_lanes(translator *t)
{
    translate_lanes_destroy(t->lanes);
    t->lanes = NULL;
    for (size_t i = 0; i < TRANSLATE_JOBS; i++) t->jobs[i].in_lanes = false;
}

void translator_limit(translator *t, const translator_limits *limits)
{
    translator_leave_lanes(t); /* which have the old ones */
    t->limits = *limits;
}

void translator_forget_programs(translator *t)
{
    t->backend->interface->synchronise(t->backend); /* one may be running still */
    for (size_t i = 0; i < PROGRAMS; i++) {
        nn_program_destroy(t->programs[i].program);
        t->programs[i] = (translate_program){0};
    }
    nn_arena_free(&t->arena);
}

void translator_destroy(translator *t)
{
    if (!t) return;
    translate_lanes_destroy(t->lanes);
    translator_forget_programs(t);
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

void translator_padded_size(const translator *t, size_t *width, size_t *height)
{
    padded_size(&t->generator, width, height);
}

/* NULL without memory; errors of the building are the graph's. */
static nn_graph *build(translator *t, size_t batch, size_t width, size_t height, nn_value *x, nn_value *y)
{
    nn_graph *g = nn_graph_create();
    if (!g) return NULL;
    *x = nn_input(g, "picture", nn_shape_of(batch, height, width, CHANNELS));
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
    nn_graph *g = build(t, 1, width, height, &x, &y);
    if (!g) return error_no_memory(err, "a generator", 0);
    status result = nn_graph_status(g, err);
    nn_graph_destroy(g);
    return result;
}

static status take_fingerprint(translator *t, error *err)
{
    const model_generator_options *o = &t->generator;
    const uint64_t network[] = {o->kind, model_generator_blocks(o), o->ngf, o->upsample};
    hash64 state = hash64_start(0);
    hash64_add(&state, network, sizeof network);
    for (size_t i = 0; i < t->weights->count; i++) {
        size_t bytes = nn_count(t->weights->tensors[i].shape) * sizeof(float);
        float *values = malloc(bytes);
        if (!values) return error_no_memory(err, "a tensor's values", bytes);
        nn_parameters_read(t->weights, NN_DATA, i, values);
        hash64_add(&state, values, bytes);
        free(values);
    }
    t->fingerprint = hash64_value(&state);
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
    TRY(model_file_open(path, &file, err));
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

/* 0: unknown. */
static double memory_limit(const translator *t)
{
    return t->limits.max_memory > 0 ? t->limits.max_memory : memory_total() / 2;
}

static double weight_bytes(const translator *t) { return (double)t->weights->total * sizeof(float); }

/* What a picture takes beside its programs, of which so many bytes a pixel. */
static double beside(const translator *t, size_t pixels, double bytes)
{
    return process_bytes + weight_bytes(t) + (double)pixels * bytes;
}

double translator_idle_bytes(const translator *t) { return resting_bytes + weight_bytes(t); }

/* What the limits allow its programs. */
static double allowed(const translator *t, size_t pixels, double bytes)
{
    double limit = memory_limit(t), sharers = t->sharers > 0 ? (double)t->sharers : 1;
    return limit > 0 ? (limit * 7 / 8 - beside(t, 0, 0)) / sharers - (double)pixels * bytes : HUGE_VAL;
}

/* The limit that allows programs of `need` bytes. */
static double least_limit(const translator *t, size_t pixels, double bytes, double need)
{
    return 1.05 * 8 / 7 * (need + beside(t, pixels, bytes)); /* a little more, since it is rounded when it is said */
}

/* Memory that does not exist may be promised all the same, and touching it would end the program. */
static double available(const translator *t, size_t pixels, double bytes)
{
    double there = memory_available(), sharers = t->sharers > 0 ? (double)t->sharers : 1;
    return there > 0 ? there / sharers - (double)pixels * bytes : HUGE_VAL;
}

bool translator_shares_memory(const translator *t) { return nn_backend_available(t->backend) < 0; }

static double whole_bytes(const translator *t)
{
    return picture_bytes + padded_bytes + (translator_shares_memory(t) ? 0 : pinned_bytes);
}

/* On a device with memory of its own, where the limits are about what a picture takes beside its programs. */
static bool pictures_fit(const translator *t, const translate_program *p)
{
    return allowed(t, p->batch * p->width * p->height, whole_bytes(t)) >= 0;
}

/* The arena that is there counts as available, and what other programs have of their own does not. */
static bool fits(const translator *t, const translate_program *p)
{
    size_t pixels = p->batch * p->width * p->height;
    double arena = (double)nn_program_bytes(p->program), own = (double)nn_program_packed_bytes(p->program);
    double need = arena + own, more = fmax(arena - (double)t->arena.bytes, 0) + own, bytes = whole_bytes(t);
    if (translator_shares_memory(t)) return need <= allowed(t, pixels, bytes) && more <= available(t, pixels, bytes);
    double device = nn_backend_available(t->backend);
    return (device <= 0 || more <= device) && pictures_fit(t, p);
}

bool translator_fits_in_lanes(const translator *t, size_t width, size_t height)
{
    if (!translator_shares_memory(t) || model_generator_is_unet(&t->generator)) return false;
    if (width * height > MOST_LANE_PIXELS) return false;
    padded_size(&t->generator, &width, &height);
    translator one = {.backend = t->backend, .weights = t->weights, .limits = t->limits, .sharers = translate_most(t)};
    size_t pixels = width * height;
    double most = (double)pixels * (double)t->generator.ngf * lane_bytes + (double)t->weights->total * sizeof(float);
    if (one.sharers < 2 || most > allowed(&one, pixels, whole_bytes(t))) return false;
    return t->lanes || most <= available(&one, pixels, whole_bytes(t)); /* lanes that there are have their memory already */
}

static status compile(translator *t, bool prepack, translate_program *p, error *err)
{
    nn_graph *g = build(t, p->batch, p->width, p->height, &p->x, &p->y);
    if (!g) return error_no_memory(err, "a generator", 0);
    nn_program_options planning = {.precision = t->precision, .prepack = prepack};
    status result = nn_program_create(g, t->backend, &planning, &p->program, err);
    nn_graph_destroy(g);
    return result;
}

/* Compiles; p->program is NULL when it would take too much memory. */
static status compile_if_it_fits(translator *t, bool prepack, translate_program *p, error *err)
{
    TRY(compile(t, prepack, p, err));
    if (fits(t, p)) return STATUS_OK;
    nn_program_destroy(p->program);
    p->program = NULL;
    return STATUS_OK;
}

/* On a device with memory of its own weights are prepacked where there is room, a copy for each program; and before a picture
 * goes by strips, or not at all, other programs and their copies are given up for it. None of that makes room for the picture
 * itself where it is too large for the limits. */
static status compile_to_fit(translator *t, translate_program *p, error *err)
{
    bool device = !translator_shares_memory(t);
    if (device && !pictures_fit(t, p)) return STATUS_OK;
    TRY(compile_if_it_fits(t, device, p, err));
    if (p->program || !device) return STATUS_OK;
    TRY(compile_if_it_fits(t, false, p, err));
    if (p->program || p->batch > 1 || !t->programs[0].program) return STATUS_OK;
    translator_forget_programs(t);
    return compile_if_it_fits(t, false, p, err);
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

static bool is_for(const translate_program *p, const translate_program *wanted)
{
    return p->batch == wanted->batch && p->width == wanted->width && p->height == wanted->height;
}

/* A program for the size that is kept from before, or the place of the one that rested longest. */
static translate_program *place_for(translator *t, const translate_program *wanted)
{
    translate_program *oldest = &t->programs[0];
    for (size_t i = 0; i < PROGRAMS; i++) {
        translate_program *p = &t->programs[i];
        if (!p->program || is_for(p, wanted)) return p;
        if (p->used < oldest->used) oldest = p;
    }
    return oldest;
}

status translator_prepare(translator *t, size_t batch, size_t width, size_t height, translate_program **out, error *err)
{
    translate_program fresh = {.batch = batch, .width = width, .height = height};
    translator_leave_lanes(t);
    /* The arena is the largest kept program's, and may leave too little for this picture's own pixels. */
    if (translator_shares_memory(t) && (double)t->arena.bytes > allowed(t, batch * width * height, whole_bytes(t)))
        translator_forget_programs(t);
    translate_program *p = place_for(t, &fresh);
    fresh.used = ++t->clock;
    *out = p;
    if (p->program && is_for(p, &fresh)) {
        p->used = fresh.used;
        return STATUS_OK;
    }
    *out = NULL;
    TRY(compile_to_fit(t, &fresh, err));
    if (!fresh.program) return STATUS_OK;
    *out = p = place_for(t, &fresh); /* all may have been given up */
    t->backend->interface->synchronise(t->backend); /* it may be running still */
    nn_program_destroy(p->program);
    *p = fresh;
    status result = bind(t, err);
    if (result != STATUS_OK) translator_forget_programs(t); /* they may be bound to an arena that is gone */
    return result;
}

status translator_set_precision(translator *t, nn_precision precision, error *err)
{
    TRY(nn_precision_check(t->backend, precision, err));
    if (precision != t->precision) {
        translator_leave_lanes(t);
        translator_forget_programs(t);
    }
    t->precision = precision;
    return STATUS_OK;
}

void translator_put(const image *in, size_t width, size_t height, uint8_t *to)
{
    for (size_t y = 0; y < height; y++) picture_row_padded(in, y, width, to + y * width * CHANNELS);
}

status translator_get(const uint8_t *from, bool finite, size_t width, const image *in, image *out, error *err)
{
    status result;
    *out = (image){0};
    if (!finite) return picture_not_finite(err);
    TRY_OR(error, image_create(out, in->width, in->height, err));
    TRY_OR(error, image_copy_extras(in, out, err));
    size_t row = in->width * CHANNELS;
    for (size_t y = 0; y < out->height; y++) memcpy(out->pixels + y * row, from + y * width * CHANNELS, row);
error:
    if (result != STATUS_OK) image_free(out);
    return result;
}

static status translate_whole(translate_program *p, const volatile sig_atomic_t *stop, const image *in, image *out,
                              error *err)
{
    status result = STATUS_OK;
    bool finite;
    size_t bytes = p->width * p->height * CHANNELS;
    uint8_t *pixels = malloc(bytes);
    if (!pixels) return error_no_memory(err, "a picture", bytes);
    translator_put(in, p->width, p->height, pixels);
    nn_program_write_pixels(p->program, p->x, pixels);
    TRY_OR(error, nn_program_run_until(p->program, stop) ? STATUS_OK : error_set(err, STATUS_INTERRUPTED, "interrupted"));
    nn_program_read_pixels(p->program, p->y, pixels, &finite);
    TRY_OR(error, nn_program_check(p->program, err));
    TRY_OR(error, translator_get(pixels, finite, p->width, in, out, err));
error:
    free(pixels);
    return result;
}

/* `need`: bytes beside `bytes` for each pixel. */
static status refuse(const translator *t, const image *in, size_t pixels, double bytes, double need, error *err)
{
    char need_text[32], there_text[32];
    double room = allowed(t, pixels, bytes), there = available(t, pixels, bytes);
    double device = nn_backend_available(t->backend);
    if (device > 0 && device < there) there = device;
    if (room < there) {
        bool unet = model_generator_is_unet(&t->generator);
        return error_set(err, STATUS_NO_MEMORY, "a picture of %zux%zu needs --max-memory of %s at least, it is %s%s; raise "
                         "it, or translate it smaller with --size", in->width, in->height,
                         text_bytes(least_limit(t, pixels, bytes, need), need_text, sizeof need_text),
                         text_bytes(memory_limit(t), there_text, sizeof there_text),
                         unet ? " (a U-Net takes a picture as a whole)" : "");
    }
    return error_set(err, STATUS_NO_MEMORY, "a picture of %zux%zu needs %s of memory, %s are available; translate it "
                     "smaller with --size", in->width, in->height,
                     text_bytes(need + (double)pixels * bytes, need_text, sizeof need_text),
                     text_bytes(there + (double)pixels * bytes, there_text, sizeof there_text));
}

/* Bytes that the program for the picture as a whole takes at least. */
static status measure_whole(translator *t, size_t width, size_t height, double *bytes, error *err)
{
    translate_program p = {.batch = 1, .width = width, .height = height};
    TRY(compile(t, false, &p, err));
    *bytes = (double)nn_program_bytes(p.program);
    nn_program_destroy(p.program);
    return STATUS_OK;
}

static large_network strips_of(const translator *t, size_t width, size_t height)
{
    return (large_network){.backend = t->backend, .generator = &t->generator, .weights = t->weights, .width = width,
                           .height = height, .precision = t->precision, .stop = t->limits.stop,
                           .progressed = t->limits.progressed, .context = t->limits.context};
}

/* What translating takes at least, of programs and for the picture. width, height: padded. */
static status least_bytes(translator *t, size_t width, size_t height, double *bytes, error *err)
{
    double pixels = (double)width * (double)height;
    if (model_generator_is_unet(&t->generator)) {
        TRY(measure_whole(t, width, height, bytes, err));
        *bytes += pixels * whole_bytes(t);
        return STATUS_OK;
    }
    large_network network = strips_of(t, width, height);
    large_plan plan;
    status planned = large_plan_create(&network, 0, &plan, err); /* too little for any: it tells the least */
    if (planned == STATUS_OK || plan.bytes <= 0) return planned;
    *bytes = plan.bytes + pixels * picture_bytes;
    return STATUS_OK;
}

status translator_check_writing(translator *t, const image *in, double bytes, error *err)
{
    size_t width = in->width, height = in->height, pixels = width * height;
    bytes += result_bytes;
    if (allowed(t, pixels, bytes) >= 0 && available(t, pixels, bytes) >= 0) return STATUS_OK;
    double least = 0;
    padded_size(&t->generator, &width, &height);
    TRY(least_bytes(t, width, height, &least, err));
    return refuse(t, in, pixels, bytes, fmax(0, least - (double)pixels * bytes), err);
}

/* Programs give way to a picture in strips, but where these find more of a device's own memory than the limits let them use. */
static void make_room_for_strips(translator *t, size_t pixels)
{
    if (translator_shares_memory(t) || nn_backend_available(t->backend) < allowed(t, pixels, picture_bytes))
        translator_forget_programs(t);
}

/* width, height: padded. Before the result's memory is taken, for which it leaves room. */
static status plan_strips(translator *t, size_t width, size_t height, const image *in, large_plan *plan, error *err)
{
    size_t pixels = width * height;
    make_room_for_strips(t, pixels);
    if (model_generator_is_unet(&t->generator)) {
        double need;
        TRY(measure_whole(t, width, height, &need, err));
        return refuse(t, in, pixels, whole_bytes(t), need, err);
    }
    large_network network = strips_of(t, width, height);
    double budget = fmin(allowed(t, pixels, picture_bytes), available(t, pixels, picture_bytes));
    double device = nn_backend_available(t->backend); /* as if all were there that strips take: little of it is not */
    status planned = large_plan_create(&network, device > 0 ? fmin(budget, device) : budget, plan, err);
    if (planned != STATUS_NO_MEMORY || plan->bytes <= 0) return planned;
    return refuse(t, in, pixels, picture_bytes, plan->bytes, err);
}

static status translate_in_strips(translator *t, size_t width, size_t height, const image *in, image *out, error *err)
{
    large_plan plan;
    status result;
    TRY(plan_strips(t, width, height, in, &plan, err));
    large_network network = strips_of(t, width, height);
    TRY_OR(error, image_create(out, in->width, in->height, err));
    TRY_OR(error, image_copy_extras(in, out, err));
    TRY_OR(error, large_translate(&network, &plan, in, out, err));
error:
    if (result != STATUS_OK) image_free(out);
    return result;
}

static status least_memory(translator *t, size_t width, size_t height, double *bytes, error *err)
{
    TRY(declare_weights(t, err));
    TRY(nn_parameters_allocate(t->weights, t->backend, 0, err));
    padded_size(&t->generator, &width, &height);
    double need;
    TRY(least_bytes(t, width, height, &need, err));
    *bytes = least_limit(t, 0, 0, need);
    return STATUS_OK;
}

status translator_least_memory(nn_backend *backend, const model_generator_options *generator, size_t width,
                               size_t height, double *bytes, error *err)
{
    translator t = {.backend = backend, .generator = *generator, .weights = nn_parameters_create()};
    if (!t.weights) return error_no_memory(err, "a generator", 0);
    status result = least_memory(&t, width, height, bytes, err);
    nn_parameters_destroy(t.weights);
    return result;
}

status translate_image(translator *t, const image *in, image *out, error *err)
{
    *out = (image){0};
    if (!in->pixels) return error_set(err, STATUS_FAILED, "the picture to translate is empty");
    size_t width = in->width, height = in->height;
    padded_size(&t->generator, &width, &height);
    translate_program *p;
    TRY(translator_prepare(t, 1, width, height, &p, err));
    return p ? translate_whole(p, t->limits.stop, in, out, err) : translate_in_strips(t, width, height, in, out, err);
}
