/* What the loop needs to know of a method of training (the CycleGAN; a feed-forward style network). */
#ifndef TRAINING_METHOD_H
#define TRAINING_METHOD_H

#include "models/weights.h"
#include "training/checkpoint.h"

enum { TRAINING_MAX_LOSSES = 16, TRAINING_OPEN_STEPS = 2 };

typedef struct training_step {
    uint64_t number; /* from 0 */
    double learning_rate;
    const uint8_t *pixels[2]; /* of a, b: (batch, crop, crop, 3); of a one-way training b is NULL */
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
    /* A step in two parts, between which the host is free. So many steps may be open at once, TRAINING_OPEN_STEPS at most: a
     * device then need not wait for the host between two. They end in the order they began; what else the method is asked
     * for, and reading its state, is for times when none is open. step->pixels are free when it has begun. losses:
     * loss_count. STATUS_NOT_FINITE leaves the weights as they were. */
    size_t open_steps;
    status (*begin)(void *context, const training_step *step, error *err);
    status (*end)(void *context, float *losses, error *err);
    /* A picture of `domain`, (crop, crop, 3), translated, and translated back. Of a one-way training: a alone, and not
     * back (reconstructed is left alone). */
    status (*sample)(void *context, int domain, const uint8_t *picture, uint8_t *translated, uint8_t *reconstructed,
                     error *err);
    training_state state; /* all that a checkpoint holds */
    const training_export *exports;
    size_t export_count;
} training_method;

/* A whole step, when none is open. */
static inline status training_method_step(const training_method *method, const training_step *step, float *losses, error *err)
{
    TRY(method->begin(method->context, step, err));
    return method->end(method->context, losses, err);
}

#endif
