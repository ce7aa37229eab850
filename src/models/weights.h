/* Weights in files: export and strict import, under the reference's state-dict keys.
 *
 *     model_weights weights = {.set = set, .slot = NN_AVERAGE, .set_prefix = "G_A.", .file_prefix = ""};
 *     safetensors_metadata about[] = {{"cyclegan_format", "1"}};
 *     TRY(model_weights_save("generator_a.safetensors", &weights, about, 1, SAFETENSORS_F32, err));
 *
 *     TRY(safetensors_open(path, &file, err));
 *     if (model_weights_load(file, &weights, err) != STATUS_OK) error_prefix(err, "%s", path);
 */
#ifndef MODELS_WEIGHTS_H
#define MODELS_WEIGHTS_H

#include "nn/parameters.h"
#include "nn/safetensors.h"

/* The tensors of `set` whose names begin with set_prefix, as they are in block `slot`; tensor set_prefix + key is
 * file_prefix + key in the file. Both prefixes may be "". */
typedef struct model_weights {
    nn_parameters *set;
    nn_slot slot;
    const char *set_prefix, *file_prefix;
} model_weights;

/* Whether a tensor is a bias by its name: a vector, of rank 1 in files and (1, 1, 1, c) here. */
bool model_is_bias(const char *name);

size_t model_weights_elements(const model_weights *weights);

/* One file of one network. type: SAFETENSORS_F32 or SAFETENSORS_BF16. */
status model_weights_save(const char *path, const model_weights *weights, const safetensors_metadata *metadata,
                          size_t metadata_count, safetensors_type type, error *err);
/* The same in two parts, for files that hold more: all declarations, safetensors_begin, then the values in the order
 * of the declarations. */
status model_weights_declare(const model_weights *weights, safetensors_writer *w, safetensors_type type, error *err);
status model_weights_put(const model_weights *weights, safetensors_writer *w, error *err);

/* Reads every tensor, or fails with one line that counts and names what is missing, unexpected (under file_prefix) or
 * of another shape, and leaves the set as it was. Other spellings of the same network are understood:
 *   - "module." after file_prefix (saved from DataParallel);
 *   - a residual block's second convolution at conv_block.6 (made with dropout) instead of conv_block.5;
 *   - running_mean, running_var and num_batches_tracked without an affine weight (old instance norms) are dropped;
 *     beside one they mean batch norm, which is refused. */
status model_weights_load(const safetensors_file *file, const model_weights *weights, error *err);

#endif
