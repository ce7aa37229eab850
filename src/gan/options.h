/* What a CycleGAN has in its config: the sections model and loss, and its part of train. */
#ifndef GAN_OPTIONS_H
#define GAN_OPTIONS_H

#include "config/config.h"

typedef enum gan_mode { GAN_LSGAN, GAN_VANILLA } gan_mode;

typedef struct gan_options {
    /* model */
    int generator;     /* model_generator_kind */
    int upsample;      /* model_upsample */
    int discriminator; /* model_discriminator_kind */
    int64_t ngf, ndf, discriminator_layers;
    /* loss */
    int mode; /* gan_mode */
    double lambda_cycle, lambda_cycle_a, lambda_cycle_b; /* the last two are filled in by gan_options_check */
    double lambda_identity, lambda_tv;
    /* train */
    double beta1, beta2, adam_eps;
    double ema;       /* decay of the averaged generators; 0: none */
    double clip_norm; /* greatest norm of a gradient; 0: none */
    int64_t pool_size;
    bool augment; /* what discriminators see */
    char *init_from; /* file with weights to start from, or NULL */
} gan_options;

extern const config_field gan_fields[];
extern const size_t gan_field_count;

/* Fills in the weight of each direction that was not given, and checks what one row cannot. crop: data.crop_size. */
status gan_options_check(gan_options *options, const config *c, int64_t crop, error *err);

#endif
