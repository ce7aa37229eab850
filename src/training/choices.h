/* What the backend measured (nn/backend.h: give_choices), in a training state: a tensor of bytes beside the values, so
 * that a resumed training need not measure again, and computes with the same kernels. */
#ifndef TRAINING_CHOICES_H
#define TRAINING_CHOICES_H

#include "base/log.h"
#include "nn/backend.h"
#include "nn/safetensors.h"
#include "training/run.h"

#define TRAINING_CHOICES "backend_choices" /* the tensor's name: U8, (bytes) */

/* {0}: none. Free with training_choices_free. */
typedef struct training_choices {
    void *bytes;
    size_t count;
} training_choices;

/* None where the backend does not measure, or has not yet. */
status training_choices_of(nn_backend *backend, training_choices *out, error *err);
void training_choices_free(training_choices *choices);
/* In two parts, as model_weights_declare and model_weights_put; nothing for none. */
void training_choices_declare(const training_choices *choices, safetensors_writer *w);
status training_choices_put(const training_choices *choices, safetensors_writer *w, error *err);

/* Gives the file's to the backend. Where that cannot use them a warning says why, and it measures anew; a backend that
 * measures nothing and a file without any are no reason for one. */
void training_choices_restore(const safetensors_file *file, nn_backend *backend, log_sink *log);
/* Those of the run's latest state, or of the previous one where that is no file to read from. Before the model is made,
 * which may compute and so measure; whether the rest of the state is whole does not matter to them. */
void training_choices_resume(const training_run *run, nn_backend *backend, log_sink *log);

#endif
