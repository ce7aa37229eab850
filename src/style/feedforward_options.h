/* What a feed-forward style network has in its config: the sections model, features, network, content, style and
 * total_variation, and its part of train. */
#ifndef STYLE_FEEDFORWARD_OPTIONS_H
#define STYLE_FEEDFORWARD_OPTIONS_H

#include "config/config.h"

typedef struct style_feedforward_options {
    int generator; /* model_generator_kind */
    int upsample;  /* model_upsample */
    int64_t ngf;
    char *features;           /* a file, or "random" */
    int input, padding, pool; /* model_vgg_input, model_vgg_padding, model_vgg_pool */
    int64_t network_seed;
    char *content_layers, *content_weights, *style_layers, *style_weights; /* see style_list_read */
    double content_weight, style_weight, style_scale;
    double variation_weight, variation_exponent;
    double beta1, beta2, adam_eps;
    double ema;       /* decay of the averaged generator; 0: none */
    double clip_norm; /* greatest norm of a gradient; 0: none */
    char *init_from;  /* file with weights to start from, or NULL */
} style_feedforward_options;

extern const config_field style_feedforward_fields[];
extern const size_t style_feedforward_field_count;

/* Checks what one row cannot. crop: data.crop_size. */
status style_feedforward_options_check(const style_feedforward_options *options, const config *c, int64_t crop,
                                       error *err);

#endif
