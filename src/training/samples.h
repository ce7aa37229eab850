/* Sample sheets: what the generators make of a few fixed pictures. */
#ifndef TRAINING_SAMPLES_H
#define TRAINING_SAMPLES_H

#include "training/loader.h"
#include "training/method.h"

/* "folder/step_00001000.png": the caller frees; NULL without memory. */
char *training_samples_path(const char *folder, uint64_t step);
/* folder/step_00001000.png: a column a picture; rows: a, a to b, a to b to a, b, b to a, b to a to b;
 * of a one-way training a, a to b. */
status training_samples_write(training_loader *loader, const training_options *options, const training_method *method,
                              const char *folder, uint64_t step, error *err);

#endif
