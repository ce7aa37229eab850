#include "style/loss.h"

#include <math.h>
#include <stdlib.h>

#include "style/list.h"

static status read_layers(style_layers *out, const char *section, const char *names, const char *weights,
                          double fallback, const model_vgg *vgg, error *err)
{
    style_list list;
    char key[64];
    status result = style_list_read(&list, names, err);
    out->count = list.count;
    if (result == STATUS_OK && list.count > STYLE_MOST_LAYERS)
        result = error_set(err, STATUS_USAGE, "%s.layers: expected at most %d, found %zu", section, STYLE_MOST_LAYERS,
                           list.count);
    for (size_t i = 0; result == STATUS_OK && i < list.count; i++) {
        result = model_vgg_layer(vgg, list.items[i], &out->at[i], err);
        if (result != STATUS_OK) error_prefix(err, "%s.layers", section);
    }
    snprintf(key, sizeof key, "%s.weights", section);
    if (result == STATUS_OK)
        result = style_weights_read(key, weights, fallback > 0 ? fallback : 1 / (double)(list.count ? list.count : 1),
                                    out->weights, list.count, err);
    style_list_free(&list);
    return result;
}

/* Layers whose weight is 0 are not computed. */
static void weigh(style_layers *layers, double weight, size_t *deepest)
{
    size_t kept = 0;
    for (size_t i = 0; i < layers->count; i++) {
        double product = layers->weights[i] * weight;
        if (product == 0) continue;
        layers->at[kept] = layers->at[i];
        layers->weights[kept++] = product;
        if (layers->at[i] > *deepest) *deepest = layers->at[i];
    }
    layers->count = kept;
}

status style_loss_init(style_loss *loss, const style_options *o, const model_vgg *vgg, error *err)
{
    *loss = (style_loss){.content_form = (style_content_form)o->content_form, .gram = (style_gram_form)o->gram,
                         .variation_weight = o->variation_weight, .variation_exponent = o->variation_exponent};
    TRY(read_layers(&loss->content, "content", o->content_layers, o->content_weights, 1, vgg, err));
    TRY(read_layers(&loss->style, "style", o->style_layers, o->style_weights, 0, vgg, err));
    weigh(&loss->content, o->content_weight, &loss->deepest);
    weigh(&loss->style, o->style_weight, &loss->deepest);
    if (loss->content.count + loss->style.count) return STATUS_OK;
    return error_set(err, STATUS_USAGE, "content.layers and style.layers: none has a weight above 0");
}

enum { MOST_TERMS = 2 * STYLE_MOST_LAYERS + 1 };

struct style_evaluator {
    nn_block targets;
    nn_program *program;
    nn_arena arena;
    nn_value picture, gradient, terms[MOST_TERMS]; /* content, style, variation */
    size_t content_count, style_count, term_count;
};

void style_evaluator_destroy(style_evaluator *e)
{
    if (!e) return;
    nn_program_destroy(e->program);
    nn_arena_free(&e->arena);
    nn_block_free(&e->targets);
    free(e);
}

double style_mean_square(const float *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)values[i] * values[i];
    return sum / (double)count;
}

/* 1 / the target's mean square; a target that is 0 everywhere has no scale to be relative to. */
static double relative(const float *target, size_t count)
{
    double square = style_mean_square(target, count);
    return square > 0 ? 1 / square : 1;
}

/* What the mean of squared differences is multiplied by in each form. */
static double content_factor(style_content_form form, const float *target, size_t count)
{
    switch (form) {
    case STYLE_CONTENT_RELATIVE: return relative(target, count);
    case STYLE_CONTENT_HALF_SUM: return (double)count / 2;
    case STYLE_CONTENT_SUM: return (double)count;
    case STYLE_CONTENT_MEAN: break;
    }
    return 1;
}

/* The same for Gram matrices over the number of places m. c: channels; area: of the picture. */
static double gram_factor(style_gram_form form, const float *target, double c, double m, double area)
{
    switch (form) {
    case STYLE_GRAM_RELATIVE: return relative(target, (size_t)(c * c));
    case STYLE_GRAM_GATYS: return 0.25;
    case STYLE_GRAM_ELEMENT: return 1 / (c * c);
    case STYLE_GRAM_KERAS: return c * c * m * m / (36 * area * area);
    }
    return 1;
}

/* A target as the graph's memory, copied into the block from *offset on. */
static nn_value target_memory(style_evaluator *e, nn_graph *g, const float *target, nn_shape shape, size_t *offset)
{
    size_t at = *offset;
    *offset += (nn_count(shape) + 15) / 16 * 16;
    if (e->targets.memory) nn_block_write(&e->targets, at, target, nn_count(shape));
    return nn_memory(g, "target", shape, &e->targets, at);
}

static void add_term(style_evaluator *e, nn_graph *g, nn_value term, double factor)
{
    e->terms[e->term_count] = nn_scale(g, term, (float)factor);
    nn_output(g, e->terms[e->term_count++]);
}

/* All terms. Before the block is there, only counts: *offset becomes its size. */
static void build(style_evaluator *e, nn_graph *g, const style_loss *loss, const model_vgg *vgg, nn_shape shape,
                  const style_targets *t, size_t *offset)
{
    size_t layers[2 * STYLE_MOST_LAYERS], contents = loss->content.count, styles = loss->style.count;
    nn_value features[2 * STYLE_MOST_LAYERS];
    for (size_t i = 0; i < contents; i++) layers[i] = loss->content.at[i];
    for (size_t i = 0; i < styles; i++) layers[contents + i] = loss->style.at[i];
    e->content_count = contents;
    e->style_count = styles;
    e->term_count = 0;
    *offset = 0;
    e->picture = nn_input(g, "picture", shape);
    model_vgg_build(vgg, g, e->picture, layers, contents + styles, features);
    for (size_t i = 0; i < contents && features[i] != NN_NONE; i++) {
        nn_shape s = nn_shape_at(g, features[i]);
        nn_value target = target_memory(e, g, t->content[i], s, offset);
        add_term(e, g, nn_mean_square(g, features[i], target, 0),
                 loss->content.weights[i] * content_factor(loss->content_form, t->content[i], nn_count(s)));
    }
    double area = (double)shape.dim[NN_H] * (double)shape.dim[NN_W];
    for (size_t i = 0; i < styles && features[contents + i] != NN_NONE; i++) {
        nn_shape s = nn_shape_at(g, features[contents + i]);
        double c = (double)s.dim[NN_C], m = (double)s.dim[NN_H] * (double)s.dim[NN_W];
        nn_value gram = nn_gram(g, features[contents + i], (float)(1 / m));
        nn_value target = target_memory(e, g, t->grams[i], nn_shape_of(1, 1, s.dim[NN_C], s.dim[NN_C]), offset);
        add_term(e, g, nn_mean_square(g, gram, target, 0),
                 loss->style.weights[i] * gram_factor(loss->gram, t->grams[i], c, m, area));
    }
    if (loss->variation_weight > 0) {
        double grey_levels = pow(127.5, loss->variation_exponent);
        add_term(e, g, nn_total_variation(g, e->picture, 1, (float)loss->variation_exponent, 0),
                 loss->variation_weight * grey_levels);
    }
}

static status compile(style_evaluator *e, const style_loss *loss, const model_vgg *vgg, nn_backend *backend,
                      nn_shape shape, const style_targets *targets, bool counting, error *err)
{
    size_t floats;
    nn_graph *g = nn_graph_create();
    if (!g) return error_no_memory(err, "a graph", 0);
    build(e, g, loss, vgg, shape, targets, &floats);
    status result = nn_graph_status(g, err);
    if (result == STATUS_OK && counting) {
        result = nn_block_allocate(&e->targets, backend, floats, err);
    } else if (result == STATUS_OK) {
        nn_value total = e->terms[0];
        for (size_t i = 1; i < e->term_count; i++) total = nn_add(g, total, e->terms[i]);
        nn_grad(g, total, &e->picture, 1, &e->gradient);
        nn_output(g, e->gradient);
        result = nn_graph_status(g, err);
        if (result == STATUS_OK) result = nn_program_create(g, backend, NULL, &e->program, err);
        if (result == STATUS_OK) result = nn_arena_bind(&e->arena, backend, &e->program, 1, err);
    }
    nn_graph_destroy(g);
    return result;
}

status style_evaluator_create(const style_loss *loss, const model_vgg *vgg, nn_backend *backend, size_t height,
                              size_t width, const style_targets *targets, style_evaluator **out, error *err)
{
    nn_shape shape = nn_shape_of(1, height, width, 3);
    style_evaluator *e = calloc(1, sizeof *e);
    *out = NULL;
    if (!e) return error_no_memory(err, "a loss", sizeof *e);
    status result = compile(e, loss, vgg, backend, shape, targets, true, err);
    if (result == STATUS_OK) result = compile(e, loss, vgg, backend, shape, targets, false, err);
    if (result == STATUS_OK)
        *out = e;
    else
        style_evaluator_destroy(e);
    return result;
}

status style_evaluate(style_evaluator *e, const float *picture, style_parts *parts, float *gradient, error *err)
{
    *parts = (style_parts){0};
    nn_program_write(e->program, e->picture, picture);
    nn_program_run(e->program);
    for (size_t i = 0; i < e->term_count; i++) {
        float term;
        nn_program_read(e->program, e->terms[i], &term);
        if (i < e->content_count)
            parts->content += term;
        else if (i < e->content_count + e->style_count)
            parts->style += term;
        else
            parts->variation += term;
    }
    parts->total = parts->content + parts->style + parts->variation;
    nn_program_read(e->program, e->gradient, gradient);
    return nn_program_check(e->program, err);
}
