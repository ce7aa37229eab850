/* The whole state of a training in one .safetensors file, written atomically.
 *
 * The file's tensors are those of `weights` under their file prefixes, then `tensors`, then what the backend measured;
 * what resume needs besides (step, seconds, config) is in the metadata, all strings.
 */
#ifndef TRAINING_CHECKPOINT_H
#define TRAINING_CHECKPOINT_H

#include "models/weights.h"
#include "nn/parameters.h"
#include "nn/safetensors.h"

/* A tensor that is no parameter: an image pool. It fills its block, from its beginning and by so many of its pictures
 * (dim[0]) with each step; a file has those alone that are filled. */
typedef struct training_tensor {
    const char *name;
    nn_shape shape;
    nn_block *block;
    size_t filled_a_step;
} training_tensor;

typedef struct training_state {
    const model_weights *weights;
    size_t weight_count;
    const training_tensor *tensors;
    size_t tensor_count;
    nn_backend *backend; /* which computes with them: what it measured is kept beside them (training/choices.h) */
} training_state;

/* step: how many are done. */
status training_checkpoint_save(const char *path, const training_state *state, uint64_t step,
                                const safetensors_metadata *metadata, size_t metadata_count, error *err);
/* Strict: every tensor of the state must be there with its shape at that step, or whole, as older programs wrote them.
 * After a failure the state is undefined. What the backend measured is left to training/choices.h. */
status training_checkpoint_load(const safetensors_file *file, const training_state *state, uint64_t step, error *err);
/* Of the file's data at that step. */
double training_checkpoint_bytes(const training_state *state, uint64_t step);
/* An unsigned number in the metadata. */
status training_checkpoint_number(const safetensors_file *file, const char *key, double *out, error *err);

#endif
