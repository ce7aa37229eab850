/* Starting from trained weights: does a file's generator fit?
 *
 *     TRY(training_check_generator(&generator, file, "G_A.", err));
 */
#ifndef TRAINING_START_H
#define TRAINING_START_H

#include "models/generator.h"
#include "nn/safetensors.h"

/* The generator under `prefix` is of our architecture, or the error (STATUS_USAGE) names the keys of the config that say
 * otherwise. */
status training_check_generator(const model_generator_options *ours, const safetensors_file *file, const char *prefix,
                                error *err);

#endif
