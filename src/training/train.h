/* The whole training command: config, run folder, data, networks, loop. What is trained is a trainer's.
 *
 *     training_request request = {.config_path = "configs/snacks2fractals.yaml"};
 *     TRY(training_train(&request, &gan_trainer, &log, &err));
 */
#ifndef TRAINING_TRAIN_H
#define TRAINING_TRAIN_H

#include <signal.h>

#include "base/text.h"
#include "training/trainer.h"

typedef struct training_request {
    const char *config_path;
    const char *const *settings; /* "KEY=VALUE", after the file */
    size_t setting_count;
    bool resume;
    const char *out; /* the run's folder; NULL: output.folder/name */
    nn_device device;
    int threads;     /* of the CPU; 0: all cores */
    bool profile;    /* print where the time went */
    const volatile sig_atomic_t *stop; /* becomes non-zero when the run should save and end; may be NULL */
    volatile sig_atomic_t *listening;  /* set to 1 when *stop begins to be looked at; may be NULL */
} training_request;

/* Trains to the end. STATUS_USAGE for a wrong config, STATUS_INTERRUPTED after *stop (everything is saved),
 * STATUS_NOT_FINITE when a loss is NaN or infinite (the last checkpoint stays). The trainer must be of the kind that the
 * config asks for: see training_settings_kind. */
status training_train(const training_request *request, const training_trainer *trainer, log_sink *log, error *err);

/* The config fields of the first trainer with the common ones, then those of the others, for `train --help` and the
 * docs: see config_help. */
void training_help(const training_trainer *const *trainers, size_t count, bool markdown, text *out);

#endif
