#include "training/choices.h"

#include <stdlib.h>

status training_choices_of(nn_backend *backend, training_choices *out, error *err)
{
    *out = (training_choices){0};
    if (!backend->interface->give_choices) return STATUS_OK;
    return backend->interface->give_choices(backend, &out->bytes, &out->count, err);
}

void training_choices_free(training_choices *choices)
{
    free(choices->bytes);
    *choices = (training_choices){0};
}

void training_choices_declare(const training_choices *choices, safetensors_writer *w)
{
    if (choices->count) safetensors_declare(w, TRAINING_CHOICES, SAFETENSORS_U8, 1, &choices->count);
}

status training_choices_put(const training_choices *choices, safetensors_writer *w, error *err)
{
    return choices->count ? safetensors_put_u8(w, choices->bytes, choices->count, err) : STATUS_OK;
}

static status restore(const safetensors_file *file, const safetensors_entry *entry, nn_backend *backend, error *err)
{
    void *bytes = malloc(entry->bytes + 1);
    if (!bytes) return error_no_memory(err, TRAINING_CHOICES, entry->bytes);
    status result = safetensors_read_u8(file, entry, bytes, err);
    if (result == STATUS_OK) result = backend->interface->take_choices(backend, bytes, entry->bytes, err);
    free(bytes);
    return result;
}

void training_choices_restore(const safetensors_file *file, nn_backend *backend, log_sink *log)
{
    error problem = {0};
    const safetensors_entry *entry = safetensors_find(file, TRAINING_CHOICES);
    if (!entry || !backend->interface->take_choices) return;
    if (restore(file, entry, backend, &problem) != STATUS_OK)
        log_warn(log, "the checkpoint's choice of algorithms is not used, and last digits may differ: %s",
                 problem.message);
}

void training_choices_resume(const training_run *run, nn_backend *backend, log_sink *log)
{
    safetensors_file *file;
    if (safetensors_open(run->latest, &file, NULL) != STATUS_OK &&
        safetensors_open(run->previous, &file, NULL) != STATUS_OK)
        return; /* that there is nothing to resume from is training_restore's to tell */
    training_choices_restore(file, backend, log);
    safetensors_close(file);
}
