/* Going on from the last good state of a run.
 *
 *     TRY(training_restore(&run, load_state, context, log, err));
 */
#ifndef TRAINING_RESTORE_H
#define TRAINING_RESTORE_H

#include "base/log.h"
#include "nn/safetensors.h"
#include "training/run.h"

/* Takes the state from the file. STATUS_FAILED: the file is damaged or no state; another failure ends the restoring. */
typedef status (*training_restore_load)(void *context, const safetensors_file *file, error *err);

/* Verifies and loads latest.safetensors, and when it is missing or damaged previous.safetensors, with a warning that
 * says what is wrong. A damaged latest is then kept as damaged.safetensors, and previous becomes latest, so that the
 * next checkpoint cannot put the damaged one in the place of the good one. A latest of another format (models/format.h)
 * is no damaged one, and fails. When neither can be loaded the error names what is wrong with both. The run must be open,
 * and so locked. */
status training_restore(const training_run *run, training_restore_load load, void *context, log_sink *log, error *err);

#endif
