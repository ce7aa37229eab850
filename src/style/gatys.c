#include "style/gatys.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/text.h"
#include "style/features.h"
#include "style/optimise.h"
#include "style/picture.h"
#include "style/target.h"

struct style_gatys {
    style_options o;
    nn_backend *backend;
    log_sink *log;
    model_vgg *vgg;
    style_loss loss;
    style_target *target;
    style_extractor content; /* features of content pictures */
    image start;             /* of image.start, or empty */
};

void style_gatys_destroy(style_gatys *g)
{
    if (!g) return;
    style_target_destroy(g->target);
    style_extractor_free(&g->content);
    model_vgg_destroy(g->vgg);
    image_free(&g->start);
    free(g);
}

const char *style_gatys_network(const style_gatys *g) { return model_vgg_description(g->vgg); }
const char *style_gatys_find_input(const style_gatys *g, const char *path)
{
    if (file_is_same(g->o.features, path)) return g->o.features;
    if (g->o.init == STYLE_FROM_IMAGE && file_is_same(g->o.start, path)) return g->o.start;
    return style_target_find(g->target, path);
}

uint64_t style_gatys_fingerprint(const style_gatys *g)
{
    const uint64_t parts[] = {model_vgg_fingerprint(g->vgg), style_target_fingerprint(g->target)};
    hash64 h = hash64_start(0);
    hash64_add(&h, parts, sizeof parts);
    if (g->start.pixels) hash64_add(&h, g->start.pixels, g->start.width * g->start.height * 3);
    return hash64_value(&h);
}

size_t style_gatys_style_count(const style_gatys *g) { return style_target_count(g->target); }
size_t style_gatys_style_broken(const style_gatys *g) { return style_target_broken(g->target); }

/* Destroy *vgg after a failure too. */
static status open_network(const style_options *o, model_vgg **vgg, style_loss *loss, error *err)
{
    model_vgg_options network = {.input = (model_vgg_input)o->input, .padding = (model_vgg_padding)o->padding,
                                 .pool = (model_vgg_pool)o->pool, .seed = (uint64_t)o->network_seed};
    const char *file = strcmp(o->features, "random") == 0 ? NULL : o->features;
    TRY(model_vgg_open(file, &network, vgg, err));
    return style_loss_init(loss, o, *vgg, err);
}

status style_gatys_check(const style_options *options, error *err)
{
    model_vgg *vgg = NULL;
    style_loss loss;
    status result = open_network(options, &vgg, &loss, err);
    model_vgg_destroy(vgg);
    return result;
}

static status open_parts(style_gatys *g, const char *cache, error *err)
{
    const style_options *o = &g->o;
    TRY(open_network(o, &g->vgg, &g->loss, err));
    style_target_settings target = {.paths = o->style_path, .blend = o->style_blend, .colour = (style_colour)o->colour,
                                    .vgg = g->vgg, .backend = g->backend, .layers = &g->loss.style, .cache = cache};
    TRY(style_target_create(&target, g->log, &g->target, err));
    if (o->init == STYLE_FROM_IMAGE) TRY(image_read(o->start, NULL, &g->start, err));
    g->content = (style_extractor){.vgg = g->vgg, .backend = g->backend, .layers = &g->loss.content};
    return model_vgg_load(g->vgg, g->backend, g->loss.deepest, err);
}

status style_gatys_create(const style_options *options, nn_backend *backend, const char *cache, log_sink *log,
                          style_gatys **out, error *err)
{
    *out = NULL;
    style_gatys *g = calloc(1, sizeof *g);
    if (!g) return error_no_memory(err, "style transfer", sizeof *g);
    g->o = *options;
    g->backend = backend;
    g->log = log;
    status result = open_parts(g, cache, err);
    if (result == STATUS_OK)
        *out = g;
    else
        style_gatys_destroy(g);
    return result;
}

static size_t shorter_side(const image *picture)
{
    return picture->width < picture->height ? picture->width : picture->height;
}

/* One run, at one of its scales. */
typedef struct run {
    style_gatys *g;
    const style_watch *watch;
    const float *original; /* the content at this size with its colours, for STYLE_COLOUR_LUMINANCE */
    size_t width, height, done; /* done: iterations of the scales before */
    style_evaluator *evaluator;
    style_parts last; /* of the last evaluation */
    bool begun;       /* there was one at this scale */
    progress bar;
    style_result *result;
} run;

static status objective(void *context, const float *x, double *loss, float *gradient, error *err)
{
    run *r = context;
    if (r->watch->stop && *r->watch->stop) return error_set(err, STATUS_INTERRUPTED, "interrupted");
    TRY(style_evaluate(r->evaluator, x, &r->last, gradient, err));
    if (!r->begun) r->result->start = r->last;
    r->begun = true;
    r->result->evaluations++;
    *loss = r->last.total;
    return STATUS_OK;
}

/* The picture that floats are, its colours settled. */
static status finish_picture(const run *r, const float *x, image *out, error *err)
{
    size_t count = r->width * r->height;
    if (!r->original) return style_from_floats(x, r->width, r->height, out, err);
    float *coloured = malloc(count * 3 * sizeof *coloured);
    if (!coloured) return error_no_memory(err, "a picture", count * 3 * sizeof *coloured);
    memcpy(coloured, x, count * 3 * sizeof *coloured);
    style_take_colours(coloured, r->original, count);
    status result = style_from_floats(coloured, r->width, r->height, out, err);
    free(coloured);
    return result;
}

static status iterated(void *context, size_t iteration, double loss, const float *x, error *err)
{
    run *r = context;
    char note[80];
    size_t number = r->done + iteration;
    snprintf(note, sizeof note, "loss %.4g (content %.3g, style %.3g, variation %.3g)", loss, r->last.content,
             r->last.style, r->last.variation);
    progress_update(&r->bar, number, note);
    if (!r->watch->intermediate || !r->watch->every || number % r->watch->every) return STATUS_OK;
    image picture = {0};
    status result = finish_picture(r, x, &picture, err);
    if (result == STATUS_OK) result = r->watch->intermediate(r->watch->context, number, &picture, err);
    image_free(&picture);
    return result;
}

/* The parts of the loss at the end: the last evaluation may have been a step that was not taken. */
static status measure_end(run *r, const float *x, error *err)
{
    size_t bytes = r->width * r->height * 3 * sizeof(float);
    float *gradient = malloc(bytes);
    if (!gradient) return error_no_memory(err, "a gradient", bytes);
    status result = style_evaluate(r->evaluator, x, &r->result->end, gradient, err);
    free(gradient);
    return result;
}

static status minimise(run *r, float *x, error *err)
{
    const style_options *o = &r->g->o;
    style_minimisation m = {.count = r->width * r->height * 3, .objective = objective, .iterated = iterated,
                            .context = r, .iterations = (size_t)o->iterations};
    style_minimum found;
    double begin = log_clock();
    status result;
    r->begun = false;
    if (o->method == STYLE_LBFGS)
        result = style_lbfgs(&m, &(style_lbfgs_options){.history = (size_t)o->history}, x, &found, err);
    else
        result = style_adam(&m, &(style_adam_options){.learning_rate = o->learning_rate}, x, &found, err);
    r->result->optimising += log_clock() - begin;
    r->result->iterations += found.iterations;
    return result == STATUS_OK ? measure_end(r, x, err) : result;
}

/* The targets at one size. features: new arrays, freed by the caller. */
static status find_targets(run *r, const float *content, size_t side, float **features, style_targets *t, error *err)
{
    style_gatys *g = r->g;
    style_statistics statistics = style_statistics_of(content, r->width * r->height);
    size_t style_side = (size_t)((double)side * g->o.style_scale + 0.5);
    bool matched = g->o.colour != STYLE_COLOUR_OF_STYLE;
    TRY(style_target_grams(g->target, style_side ? style_side : 1, matched ? &statistics : NULL, t->grams, err));
    TRY(style_extract(&g->content, content, r->height, r->width, features, err));
    for (size_t i = 0; i < g->loss.content.count; i++) t->content[i] = features[i];
    return STATUS_OK;
}

static status compile(run *r, const float *content, size_t side, error *err)
{
    float *features[STYLE_MOST_LAYERS] = {NULL};
    style_targets targets = {{NULL}, {NULL}};
    status result = find_targets(r, content, side, features, &targets, err);
    if (result == STATUS_OK)
        result = style_evaluator_create(&r->g->loss, r->g->vgg, r->g->backend, r->height, r->width, &targets,
                                        &r->evaluator, err);
    for (size_t i = 0; i < r->g->loss.content.count; i++) free(features[i]);
    return result;
}

/* What the first scale starts from; x holds the content. */
static status fill_start(const run *r, float *x, error *err)
{
    const style_gatys *g = r->g;
    size_t count = r->width * r->height * 3;
    if (g->o.init == STYLE_FROM_NOISE)
        for (size_t i = 0; i < count; i++) x[i] = 0.5f * rng_normal((uint64_t)g->o.seed, RNG_NOISE, 0, (uint32_t)i);
    if (g->o.init != STYLE_FROM_IMAGE) return STATUS_OK;
    image resized = {0};
    TRY(image_resize(&g->start, r->width, r->height, &resized, err));
    image_to_floats(&resized, x);
    image_free(&resized);
    return STATUS_OK;
}

/* One scale: content at its size -> *out. `before`: the result of the scale before, or NULL. */
static status run_scale(run *r, const image *content, const image *before, image *out, error *err)
{
    size_t count = content->width * content->height, side = shorter_side(content);
    bool grey = r->g->o.colour == STYLE_COLOUR_LUMINANCE;
    float *original = NULL, *x = NULL;
    image enlarged = {0};
    status result;
    r->width = content->width;
    r->height = content->height;
    TRY_OR(done, style_to_floats(content, &original, err));
    TRY_OR(done, style_to_floats(content, &x, err));
    r->original = grey ? original : NULL;
    if (grey) style_make_grey(x, count);
    TRY_OR(done, compile(r, x, side, err));
    if (before) {
        TRY_OR(done, image_resize(before, content->width, content->height, &enlarged, err));
        image_to_floats(&enlarged, x);
    } else {
        TRY_OR(done, fill_start(r, x, err));
    }
    if (grey) style_make_grey(x, count);
    TRY_OR(done, minimise(r, x, err));
    result = finish_picture(r, x, out, err);
done:
    style_evaluator_destroy(r->evaluator);
    r->evaluator = NULL;
    image_free(&enlarged);
    free(x);
    free(original);
    return result;
}

/* How many halvings leave the network a result. */
static size_t scales_of(const style_gatys *g, const image *content)
{
    size_t scales = 1, least = model_vgg_minimum(g->vgg, g->loss.deepest);
    size_t side = shorter_side(content);
    while (scales < (size_t)g->o.scales && side >> scales >= least) scales++;
    return scales;
}

static status run_scales(run *r, const image *content, image *out, error *err)
{
    size_t scales = scales_of(r->g, content);
    size_t side = shorter_side(content);
    image before = {0};
    status result = STATUS_OK;
    r->bar = progress_start(r->g->log, r->watch->label ? r->watch->label : "gatys", 0,
                            scales * (uint64_t)r->g->o.iterations);
    for (size_t k = scales; k-- > 0 && result == STATUS_OK;) {
        image resized = {0}, made = {0};
        result = style_resize(content, side >> k, &resized, err);
        if (result == STATUS_OK) result = run_scale(r, &resized, before.pixels ? &before : NULL, &made, err);
        r->done = r->result->iterations;
        image_free(&resized);
        image_free(&before);
        before = made;
    }
    if (result == STATUS_OK) {
        r->bar.now = r->bar.end; /* L-BFGS may have ended early */
        progress_finish(&r->bar);
        result = image_copy_extras(content, &before, err);
    }
    if (result == STATUS_OK)
        *out = before;
    else
        image_free(&before);
    return result;
}

status style_gatys_run(style_gatys *g, const image *content, const style_watch *watch, image *out, style_result *result,
                       error *err)
{
    static const style_watch nobody = {0};
    image resized = {0};
    double begin = log_clock();
    size_t side = shorter_side(content);
    *out = (image){0};
    *result = (style_result){0};
    TRY(style_resize(content, g->o.size ? (size_t)g->o.size : side, &resized, err));
    run r = {.g = g, .watch = watch ? watch : &nobody, .result = result};
    result->width = resized.width;
    result->height = resized.height;
    status ended = run_scales(&r, &resized, out, err);
    image_free(&resized);
    result->seconds = log_clock() - begin;
    return ended;
}
