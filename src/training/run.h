/* A run's folder: config.yaml, log.jsonl, samples/, checkpoints/.
 *
 *     training_run run;
 *     status result = training_run_open(&run, "runs/x", resume, err);
 *     ... write a whole state to run.next, then training_run_publish(&run, err) ...
 *     training_run_close(&run);
 *
 * A state is written under the name `next`; then latest becomes previous, and next becomes latest. A kill between these
 * renames leaves next whole, and opening the run to resume it does the renames that are missing: at every instant there
 * is a whole state under one of the three names.
 */
#ifndef TRAINING_RUN_H
#define TRAINING_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

typedef struct training_run {
    char *folder, *config, *log, *samples, *checkpoints; /* paths */
    char *next, *latest, *previous, *damaged;            /* in `checkpoints` */
    FILE *log_file;
    int lock; /* descriptor of the folder, locked while the run is open; -1 */
} training_run;

/* Makes the folders. A run that has a checkpoint is refused unless `resume`, which in turn needs one. So is a run that
 * another process is training. What killed processes left is removed: temporary files; and an unfinished change of
 * checkpoints is finished. After a failure close the run too. */
status training_run_open(training_run *run, const char *folder, bool resume, error *err);
void training_run_close(training_run *run);

/* latest becomes previous, next becomes latest. */
status training_run_publish(const training_run *run, error *err);

/* Drops the lines of log.jsonl after `step` (they will be written again) and opens it for appending. Lines that are
 * no JSON, such as a half-written last one, go too. */
status training_run_open_log(training_run *run, uint64_t step, error *err);

typedef struct training_log_line {
    uint64_t step, epoch;
    double seconds, learning_rate;
    size_t loss_count;
    const char *const *loss_names;
    const float *losses;
} training_log_line;
/* One JSON object: step, epoch, seconds, lr, loss {...}. */
status training_run_log(training_run *run, const training_log_line *line, error *err);
/* The lines so far are on the disk when it returns: a state must not be newer than its log after a power cut. */
status training_run_sync_log(training_run *run, error *err);

#endif
