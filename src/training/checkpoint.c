#include "training/checkpoint.h"

#include <errno.h>
#include <stdlib.h>

#include "training/choices.h"

/* What is filled of it after so many steps; one picture at least, for a tensor has no dimension of 0. */
static nn_shape filled(const training_tensor *t, uint64_t step)
{
    nn_shape shape = t->shape;
    uint64_t most = shape.dim[0];
    if (t->filled_a_step && step < most && step * t->filled_a_step < most)
        shape.dim[0] = step ? (size_t)step * t->filled_a_step : 1;
    return shape;
}

double training_checkpoint_bytes(const training_state *state, uint64_t step)
{
    double floats = 0;
    for (size_t i = 0; i < state->weight_count; i++) floats += (double)model_weights_elements(&state->weights[i]);
    for (size_t i = 0; i < state->tensor_count; i++) floats += (double)nn_count(filled(&state->tensors[i], step));
    return floats * sizeof(float);
}

static status save_tensor(const training_tensor *t, uint64_t step, safetensors_writer *w, error *err)
{
    size_t count = nn_count(filled(t, step));
    float *host = malloc(count * sizeof *host);
    if (!host) return error_no_memory(err, t->name, count * sizeof *host);
    nn_block_read(t->block, 0, host, count);
    status result = nn_backend_check(t->block->backend, err);
    if (result == STATUS_OK) result = safetensors_put_f32(w, host, count, err);
    free(host);
    return result;
}

static status save_values(const training_state *state, const training_choices *choices, uint64_t step,
                          safetensors_writer *w, error *err)
{
    for (size_t i = 0; i < state->weight_count; i++) TRY(model_weights_put(&state->weights[i], w, err));
    for (size_t i = 0; i < state->tensor_count; i++) TRY(save_tensor(&state->tensors[i], step, w, err));
    return training_choices_put(choices, w, err);
}

status training_checkpoint_save(const char *path, const training_state *state, uint64_t step,
                                const safetensors_metadata *metadata, size_t metadata_count, error *err)
{
    safetensors_writer *w = NULL;
    training_choices choices;
    status result = training_choices_of(state->backend, &choices, err);
    if (result == STATUS_OK) result = safetensors_writer_create(&w, err);
    for (size_t i = 0; i < state->weight_count && result == STATUS_OK; i++)
        result = model_weights_declare(&state->weights[i], w, SAFETENSORS_F32, err);
    if (result == STATUS_OK) {
        for (size_t i = 0; i < state->tensor_count; i++)
            safetensors_declare(w, state->tensors[i].name, SAFETENSORS_F32, 4, filled(&state->tensors[i], step).dim);
        training_choices_declare(&choices, w);
        for (size_t i = 0; i < metadata_count; i++) safetensors_set_metadata(w, metadata[i].key, metadata[i].value);
        result = safetensors_begin(w, path, err);
    }
    if (result == STATUS_OK) result = save_values(state, &choices, step, w, err);
    training_choices_free(&choices);
    if (result == STATUS_OK) return safetensors_commit(w, err);
    safetensors_writer_abort(w);
    return result;
}

static status load_tensor(const safetensors_file *file, const training_tensor *t, uint64_t step, error *err)
{
    const safetensors_entry *entry = safetensors_find(file, t->name);
    if (!entry) return error_set(err, STATUS_FAILED, "tensor %s is missing", t->name);
    nn_shape shape = {{0}}, wanted = filled(t, step);
    for (size_t i = 0; i < 4 && entry->rank == 4; i++) shape.dim[i] = entry->shape[i];
    nn_shape_text expected, actual;
    if (!nn_shape_equal(shape, wanted) && !nn_shape_equal(shape, t->shape))
        return error_set(err, STATUS_FAILED, "tensor %s has the shape %s, expected %s", t->name,
                         nn_shape_print(shape, &actual), nn_shape_print(wanted, &expected));
    float *host = malloc(entry->count * sizeof *host);
    if (!host) return error_no_memory(err, t->name, entry->count * sizeof *host);
    status result = safetensors_read_f32(file, entry, host, err);
    if (result == STATUS_OK) nn_block_write(t->block, 0, host, entry->count);
    free(host);
    return result;
}

status training_checkpoint_load(const safetensors_file *file, const training_state *state, uint64_t step, error *err)
{
    for (size_t i = 0; i < state->weight_count; i++) TRY(model_weights_load(file, &state->weights[i], err));
    for (size_t i = 0; i < state->tensor_count; i++) TRY(load_tensor(file, &state->tensors[i], step, err));
    return STATUS_OK;
}

status training_checkpoint_number(const safetensors_file *file, const char *key, double *out, error *err)
{
    const char *value = safetensors_metadata_get(file, key);
    if (!value) return error_set(err, STATUS_FAILED, "metadata '%s' is missing: not a training state", key);
    char *end;
    errno = 0;
    *out = strtod(value, &end);
    if (errno || end == value || *end || !(*out >= 0 && *out < 9e15))
        return error_set(err, STATUS_FAILED, "metadata '%s' must be a number, is '%.40s'", key, value);
    return STATUS_OK;
}
