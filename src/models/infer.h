/* Recognising a generator by the names and shapes of a file's tensors alone.
 *
 *     model_generator_options options;
 *     TRY(model_generator_infer(file, "", &options, err));
 */
#ifndef MODELS_INFER_H
#define MODELS_INFER_H

#include "models/generator.h"
#include "nn/safetensors.h"

/* A ResNet of any number of blocks (kind MODEL_RESNET_6 for six, else MODEL_RESNET_9; `blocks` is always set) or a
 * U-Net of 7 or 8 levels, under file_prefix, with or without "module.". Only what tells them apart is looked at:
 * model_weights_load checks the rest. Fails with what was expected when nothing fits. */
status model_generator_infer(const safetensors_file *file, const char *file_prefix, model_generator_options *out,
                             error *err);

#endif
