/* The graphs; see feedforward.h for the losses. */
#include "style/feedforward_internal.h"

/* Smooths the root of total variation at 0; far below one grey level squared. */
static const float tv_epsilon = 1e-6f;

static nn_value generate(style_feedforward *f, nn_graph *graph, nn_value x, model_trainables *trained)
{
    return model_generator_build(graph, f->set, "G_A.", &f->generator, x, trained);
}

/* Adds `weight` * `term` to a loss. */
static void add_term(nn_graph *graph, nn_value *loss, nn_value term, double weight)
{
    nn_value weighted = nn_scale(graph, term, (float)weight);
    *loss = *loss == NN_NONE ? weighted : nn_add(graph, *loss, weighted);
}

/* features: of y, at the layers of content and then of style. */
static void add_content(style_feedforward *f, nn_graph *graph, const nn_value *features)
{
    const style_layers *layers = &f->loss.content;
    nn_value wanted[STYLE_MOST_LAYERS];
    if (!layers->count) return;
    model_vgg_build(f->vgg, graph, f->pictures, layers->at, layers->count, wanted);
    for (size_t i = 0; i < layers->count; i++)
        add_term(graph, &f->losses[STYLE_FEEDFORWARD_CONTENT], nn_mean_square(graph, features[i], wanted[i], 0),
                 layers->weights[i] * f->content_factors[i]);
}

static void add_style(style_feedforward *f, nn_graph *graph, const nn_value *features)
{
    const style_layers *layers = &f->loss.style;
    for (size_t i = 0; i < layers->count && features[i] != NN_NONE; i++) {
        nn_shape shape = nn_shape_at(graph, features[i]);
        double places = (double)shape.dim[NN_H] * (double)shape.dim[NN_W];
        nn_value gram = nn_gram(graph, features[i], (float)(1 / places));
        nn_value wanted = nn_memory(graph, "gram", nn_shape_at(graph, gram), &f->grams, f->gram_offsets[i]);
        add_term(graph, &f->losses[STYLE_FEEDFORWARD_STYLE], nn_mean_square(graph, gram, wanted, 0),
                 layers->weights[i] * f->style_factors[i]);
    }
}

static nn_value total_of(style_feedforward *f, nn_graph *graph)
{
    nn_value total = NN_NONE;
    for (int i = 0; i < STYLE_FEEDFORWARD_LOSSES; i++) {
        if (f->losses[i] == NN_NONE) continue;
        nn_output(graph, f->losses[i]);
        total = total == NN_NONE ? f->losses[i] : nn_add(graph, total, f->losses[i]);
    }
    return total;
}

void style_feedforward_build_step(style_feedforward *f, nn_graph *graph)
{
    size_t side = (size_t)f->training->crop_size, contents = f->loss.content.count, styles = f->loss.style.count;
    nn_shape shape = nn_shape_of((size_t)f->training->batch_size, side, side, 3);
    size_t layers[2 * STYLE_MOST_LAYERS];
    nn_value features[2 * STYLE_MOST_LAYERS];
    model_trainables trained = {0};
    for (int i = 0; i < STYLE_FEEDFORWARD_LOSSES; i++) f->losses[i] = NN_NONE;
    for (size_t i = 0; i < contents; i++) layers[i] = f->loss.content.at[i];
    for (size_t i = 0; i < styles; i++) layers[contents + i] = f->loss.style.at[i];
    f->pictures = nn_input(graph, "pictures", shape);
    nn_value styled = generate(f, graph, f->pictures, &trained);
    model_vgg_build(f->vgg, graph, styled, layers, contents + styles, features);
    add_content(f, graph, features);
    add_style(f, graph, features + contents);
    if (f->loss.variation_weight > 0) {
        float scale = (float)(f->loss.variation_weight / (double)nn_count(shape));
        f->losses[STYLE_FEEDFORWARD_VARIATION] =
            nn_total_variation(graph, styled, scale, (float)f->loss.variation_exponent, tv_epsilon);
    }
    training_update_append(graph, f->set, &trained, total_of(f, graph), NULL, &f->update_options, &f->update);
    model_trainables_free(&trained);
}

void style_feedforward_build_sampler(style_feedforward *f, nn_graph *graph)
{
    size_t side = (size_t)f->training->crop_size;
    if (f->options.ema > 0) nn_graph_use_slot(graph, NN_AVERAGE);
    f->sample = nn_input(graph, "picture", nn_shape_of(1, side, side, 3));
    f->translated = generate(f, graph, f->sample, NULL);
    nn_output(graph, f->translated);
}
