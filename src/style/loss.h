/* The loss of Gatys' style transfer, as a graph and compiled for one size of picture.
 *
 *     style_loss loss;
 *     TRY(style_loss_init(&loss, &options, vgg, err));
 *     TRY(model_vgg_load(vgg, backend, loss.deepest, err));
 *     style_evaluator *e;
 *     TRY(style_evaluator_create(&loss, vgg, backend, height, width, &targets, &e, err));
 *     TRY(style_evaluate(e, picture, &parts, gradient, err));
 *
 * Pictures are (h, w, 3) floats, RGB in [-1, 1]. Gram matrices are (c, c), over the number of places: so those of
 * pictures of other sizes compare. The forms are defined in style/options.h.
 */
#ifndef STYLE_LOSS_H
#define STYLE_LOSS_H

#include "models/vgg.h"
#include "nn/program.h"
#include "style/options.h"

enum { STYLE_MOST_LAYERS = 40 };

typedef struct style_layers {
    size_t count, at[STYLE_MOST_LAYERS]; /* numbers of model_vgg_layer */
    double weights[STYLE_MOST_LAYERS];   /* the overall weight included */
} style_layers;

typedef struct style_loss {
    style_layers content, style;
    style_content_form content_form;
    style_gram_form gram;
    double variation_weight, variation_exponent;
    size_t deepest; /* layer that is needed */
} style_loss;

/* Layers by their names in the options, weights with them. */
status style_loss_init(style_loss *loss, const style_options *o, const model_vgg *vgg, error *err);

double style_mean_square(const float *values, size_t count);

/* What to come near to. */
typedef struct style_targets {
    const float *content[STYLE_MOST_LAYERS]; /* features of loss->content, for the evaluator's size; NULL: no layer */
    const float *grams[STYLE_MOST_LAYERS];   /* of loss->style */
} style_targets;

typedef struct style_parts {
    double total, content, style, variation; /* with their weights */
} style_parts;

typedef struct style_evaluator style_evaluator;
/* The targets are copied. */
status style_evaluator_create(const style_loss *loss, const model_vgg *vgg, nn_backend *backend, size_t height,
                              size_t width, const style_targets *targets, style_evaluator **out, error *err);
void style_evaluator_destroy(style_evaluator *e); /* accepts NULL */
/* gradient: of the total, (h, w, 3). Fails where the device does. */
status style_evaluate(style_evaluator *e, const float *picture, style_parts *parts, float *gradient, error *err);

#endif
