/* What the loop needs to know of a method of training (the CycleGAN; a feed-forward style network). */
#ifndef TRAINING_METHOD_H
#define TRAINING_METHOD_H

#include "models/weights.h"
#include "training/checkpoint.h"

enum { TRAINING_MAX_LOSSES = 16 };

typedef struct training_step {
    uint64_t number; /* from 0 */
    double learning_rate;
    const float *images[2]; /* of a, b: (batch, crop, crop, 3) in [-1, 1]; of a one-way training b is NULL */
} training_step;

/* A network that users take away. */
typedef struct training_export {
    const char *file;      /* "generator_a.safetensors" */
    const char *direction; /* "a_to_b" */
    int from, to;          /* domains */
    model_weights weights;
} training_export;

typedef struct training_method {
    void *context;
    size_t loss_count;
    const char *const *loss_names; /* "gan_a", ... */
    /* One step; losses: loss_count. STATUS_NOT_FINITE leaves the weights as they were. */
    status (*step)(void *context, const training_step *step, float *losses, error *err);
    /* A picture of `domain`, (crop, crop, 3), translated, and translated back. Of a one-way training: a alone, and not
     * back (reconstructed is left alone). */
    status (*sample)(void *context, int domain, const float *picture, float *translated, float *reconstructed,
                     error *err);
    training_state state; /* all that a checkpoint holds */
    const training_export *exports;
    size_t export_count;
} training_method;

#endif
