/* What every training has in its config: the sections name, domains, data, train and output. */
#ifndef TRAINING_OPTIONS_H
#define TRAINING_OPTIONS_H

#include "config/config.h"

typedef struct training_domain {
    char *name;  /* what people call it: "snacks" */
    char *train; /* folder of pictures, recursively */
    char *test;  /* folder, or NULL */
} training_domain;

typedef enum training_fit { TRAINING_SQUASH, TRAINING_COVER, TRAINING_AS_IS } training_fit;
typedef enum training_schedule_kind { TRAINING_LINEAR, TRAINING_CONSTANT, TRAINING_COSINE } training_schedule_kind;

typedef enum training_storage { TRAINING_F32, TRAINING_BF16 } training_storage;

typedef enum training_kind { TRAINING_CYCLEGAN, TRAINING_FEEDFORWARD } training_kind;
/* "cyclegan", "feedforward", NULL. */
extern const char *const training_kind_names[];

typedef struct training_options {
    char *name;
    int kind;     /* training_kind */
    bool one_way; /* not of the config: only pictures of a are trained on, those of b are counted alone */
    training_domain domains[2]; /* a, b */
    /* data */
    int64_t load_size, crop_size;
    int fit; /* training_fit */
    bool flip;
    int64_t cache_mb, workers, max_megapixels, check;
    /* train */
    int64_t epochs, decay_epochs, steps, decay_steps;
    int schedule; /* training_schedule_kind */
    double learning_rate;
    int64_t batch_size, seed;
    int precision; /* nn_precision */
    /* output */
    char *folder;
    int64_t checkpoint_every, sample_every, sample_count, log_every;
    int storage; /* training_storage */
} training_options;

/* The table's rows; its target is a training_options. */
extern const config_field training_fields[];
extern const size_t training_field_count;

/* What one row cannot check: crop within load size, something to train, decay within steps, a
 * name that is one. */
status training_options_check(const training_options *options, const config *c, error *err);

#endif
