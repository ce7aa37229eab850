/* What Gatys' style transfer has in its config, and its presets.
 *
 *     style_options o;
 *     config_table table = {style_fields, style_field_count, &o};
 *     TRY(config_create(&table, 1, &c, err));
 *     TRY(config_read_file(c, "configs/gatys.yaml", err));
 *     TRY(style_options_finish(&o, c, err));          the preset's values where none were given; checks
 */
#ifndef STYLE_OPTIONS_H
#define STYLE_OPTIONS_H

#include "config/config.h"

/* How the squared differences of content features F and P, n numbers, are summed. */
typedef enum style_content_form {
    STYLE_CONTENT_RELATIVE, /* |F - P|^2 / |P|^2: does not depend on the network's scale */
    STYLE_CONTENT_HALF_SUM, /* |F - P|^2 / 2, of the paper */
    STYLE_CONTENT_MEAN,     /* |F - P|^2 / n, of Gatys' code */
    STYLE_CONTENT_SUM       /* |F - P|^2, of Keras' example */
} style_content_form;

/* The same for the Gram matrices G and A of a layer with c channels and m places, sums over the places; A is brought to
 * the same m. */
typedef enum style_gram_form {
    STYLE_GRAM_RELATIVE, /* |G - A|^2 / |A|^2 */
    STYLE_GRAM_GATYS,    /* |G - A|^2 / (4 c^2 m^2): Gatys, Ecker, Bethge 2016, equation 4 */
    STYLE_GRAM_ELEMENT,  /* the mean of ((G - A) / (c m))^2 */
    STYLE_GRAM_KERAS     /* |G - A|^2 / (4 * 9 * (h w)^2) with the picture's h and w, of Keras' example */
} style_gram_form;

typedef enum style_init { STYLE_FROM_CONTENT, STYLE_FROM_NOISE, STYLE_FROM_IMAGE } style_init;

/* What becomes of the content's colours. */
typedef enum style_colour {
    STYLE_COLOUR_OF_STYLE,
    STYLE_COLOUR_LUMINANCE, /* kept: only luminance is transferred */
    STYLE_COLOUR_HISTOGRAM  /* kept: the style's pictures get the content's mean and covariance of colours first */
} style_colour;

typedef enum style_method { STYLE_LBFGS, STYLE_ADAM } style_method;

typedef struct style_options {
    int preset;
    char *content_path, *content_layers, *content_weights;
    double content_weight;
    int content_form; /* style_content_form */
    char *style_path, *style_blend, *style_layers, *style_weights;
    double style_weight, style_scale;
    int gram; /* style_gram_form */
    double variation_weight, variation_exponent;
    char *features; /* a file, or "random" */
    int input, padding, pool; /* model_vgg_input, model_vgg_padding, model_vgg_pool */
    int64_t network_seed;
    int64_t size, scales, seed;
    int init; /* style_init */
    char *start;
    int colour; /* style_colour */
    int method; /* style_method */
    int64_t iterations, history;
    double learning_rate;
    char *output;
    int64_t every, quality;
    bool overwrite;
} style_options;

extern const config_field style_fields[];
extern const size_t style_field_count;

/* After the file and the settings: takes the preset's values for what was not given, and checks what one row cannot. */
status style_options_finish(style_options *options, config *c, error *err);

#endif
