/* The loop around a step: batches made ahead, learning rate, log, samples, checkpoints, an orderly end. */
#ifndef TRAINING_LOOP_H
#define TRAINING_LOOP_H

#include <signal.h>

#include "base/log.h"
#include "training/loader.h"
#include "training/method.h"
#include "training/run.h"
#include "training/schedule.h"

enum { TRAINING_BATCHES_AHEAD = 4 };

typedef struct training_loop {
    const training_options *options;
    training_schedule schedule;
    training_loader *loader;
    const training_method *method;
    training_run *run;
    log_sink *log;
    const char *config;                /* YAML text, for the metadata */
    const volatile sig_atomic_t *stop; /* NULL: nothing stops it */
    uint64_t first;                    /* step to begin with: 0, or a checkpoint's */
    double seconds;                    /* trained before */
} training_loop;

/* Trains from `first` to the schedule's end. A checkpoint is written at the start of a new run, every checkpoint_every
 * steps, at the end, and when *stop becomes non-zero (then STATUS_INTERRUPTED). */
status training_loop_run(training_loop *loop, error *err);

#endif
