/* A way of training that `train` knows: what it adds to the config, and how its networks are made. The command around
 * it (training/train.h) is the same for all.
 *
 *     const training_trainer gan_trainer = {.kind = TRAINING_CYCLEGAN, .fields = gan_fields, ...};
 */
#ifndef TRAINING_TRAINER_H
#define TRAINING_TRAINER_H

#include "base/log.h"
#include "nn/program.h"
#include "training/loader.h"
#include "training/method.h"

/* What a model is made from. */
typedef struct training_setup {
    const void *options; /* the trainer's, filled from the config */
    const training_options *training;
    training_loader *loader;
    nn_backend *backend;
    double other_bytes; /* memory that the rest of the program will need: what does not fit beside it is refused */
    log_sink *log;
} training_setup;

/* What a model needs, for people. */
typedef struct training_footprint {
    double step_bytes, kept_bytes; /* of one step's values; of all that stays: weights, moments, pools */
    const char *kept;              /* "weights, moments and pools" */
    char parameters[64];           /* "11378179 + 2764737 parameters" */
} training_footprint;

/* `options` is a struct of options_size bytes that `fields` fill; `model` what create made. */
typedef struct training_trainer {
    training_kind kind;
    bool one_way; /* only a to b: pictures of b are not trained on */
    const config_field *fields;
    const size_t *field_count;
    size_t options_size;
    /* What one row of the table cannot check. STATUS_USAGE. */
    status (*check)(void *options, const training_options *training, const config *c, error *err);
    /* Memory beyond the model, the loader's and the program's own. */
    double (*other_bytes)(const void *options, const training_options *training);
    status (*create)(const training_setup *setup, void **model, error *err);
    void (*destroy)(void *model); /* accepts NULL */
    const training_method *(*method)(void *model); /* lives as long as the model */
    /* Before the first step of a new run: takes the weights of train.init_from, if there is one. */
    status (*start)(void *model, const void *options, log_sink *log, error *err);
    void (*measure)(void *model, training_footprint *out);
    double (*predict_seconds)(void *model); /* of a step */
    void (*set_profile)(void *model, nn_profile *profile);
} training_trainer;

#endif
