/* The whole training command: config, run folder, data, networks, loop.
 *
 *     gan_train_request request = {.config_path = "configs/snacks2fractals.yaml"};
 *     TRY(gan_train(&request, &log, &err));
 */
#ifndef GAN_TRAIN_H
#define GAN_TRAIN_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "base/status.h"
#include "base/text.h"

typedef struct gan_train_request {
    const char *config_path;
    const char *const *settings; /* "KEY=VALUE", after the file */
    size_t setting_count;
    bool resume;
    const char *out; /* the run's folder; NULL: output.folder/name */
    int threads;     /* 0: all cores */
    bool profile;    /* print where the time went */
    const volatile sig_atomic_t *stop; /* becomes non-zero when the run should save and end; may be NULL */
    volatile sig_atomic_t *listening;  /* set to 1 when *stop begins to be looked at; may be NULL */
} gan_train_request;

/* Trains to the end. STATUS_USAGE for a wrong config, STATUS_INTERRUPTED after *stop (everything is saved),
 * STATUS_NOT_FINITE when a loss is NaN or infinite (the last checkpoint stays). */
status gan_train(const gan_train_request *request, log_sink *log, error *err);

/* All config fields, for `train --help` and the README: see config_help. */
void gan_train_help(bool markdown, text *out);

#endif
