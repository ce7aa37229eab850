#include "nn/parameters.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { ALIGN_FLOATS = 16 }; /* 64 bytes: every tensor starts on a cache line */

status nn_block_allocate(nn_block *block, nn_backend *backend, size_t count, error *err)
{
    size_t bytes = count * sizeof(float);
    *block = (nn_block){.backend = backend, .count = count};
    if (!count) return STATUS_OK;
    block->memory = backend->interface->allocate(backend, bytes);
    if (!block->memory) return error_no_memory(err, "a block of parameters", bytes);
    backend->interface->clear(backend, block->memory, bytes);
    return STATUS_OK;
}

void nn_block_free(nn_block *block)
{
    if (block->memory) block->backend->interface->release(block->backend, block->memory);
    *block = (nn_block){0};
}

void nn_block_write(nn_block *block, size_t offset, const float *host, size_t count)
{
    block->backend->interface->write(block->backend, block->memory + offset, host, count * sizeof *host);
    block->changes++;
}

void nn_block_read(const nn_block *block, size_t offset, float *host, size_t count)
{
    block->backend->interface->read(block->backend, host, block->memory + offset, count * sizeof *host);
}

nn_parameters *nn_parameters_create(void) { return calloc(1, sizeof(nn_parameters)); }

void nn_parameters_destroy(nn_parameters *set)
{
    if (!set) return;
    for (size_t i = 0; i < set->count; i++) free(set->tensors[i].name);
    free(set->tensors);
    for (int slot = 0; slot < NN_SLOTS; slot++) nn_block_free(&set->blocks[slot]);
    free(set);
}

size_t nn_parameters_find(const nn_parameters *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->tensors[i].name, name) == 0) return i;
    return SIZE_MAX;
}

static status grow(nn_parameters *set, error *err)
{
    if (set->count < set->capacity) return STATUS_OK;
    size_t capacity = set->capacity ? 2 * set->capacity : 64;
    nn_tensor *tensors = realloc(set->tensors, capacity * sizeof *tensors);
    if (!tensors) return error_no_memory(err, "the list of parameters", capacity * sizeof *tensors);
    set->tensors = tensors;
    set->capacity = capacity;
    return STATUS_OK;
}

status nn_parameters_add(nn_parameters *set, const char *name, nn_shape shape, size_t *index, error *err)
{
    *index = nn_parameters_find(set, name);
    if (*index != SIZE_MAX) {
        nn_shape there = set->tensors[*index].shape;
        if (nn_shape_equal(there, shape)) return STATUS_OK;
        nn_shape_text a, b;
        return error_set(err, STATUS_FAILED, "parameter %s: has the shape %s, asked for as %s", name,
                         nn_shape_print(there, &a), nn_shape_print(shape, &b));
    }
    if (set->allocated)
        return error_set(err, STATUS_FAILED, "parameter %s: the set is allocated and has no such tensor", name);
    TRY(grow(set, err));
    char *copy = text_copy(name);
    if (!copy) return error_no_memory(err, name, strlen(name) + 1);
    *index = set->count;
    set->tensors[set->count++] = (nn_tensor){copy, shape, set->total};
    set->total += (nn_count(shape) + ALIGN_FLOATS - 1) / ALIGN_FLOATS * ALIGN_FLOATS;
    return STATUS_OK;
}

status nn_parameters_allocate(nn_parameters *set, nn_backend *backend, unsigned blocks, error *err)
{
    if (set->allocated) return error_set(err, STATUS_FAILED, "a parameter set is allocated twice");
    for (int slot = 0; slot < NN_SLOTS; slot++)
        if (slot == NN_DATA || (blocks & 1u << slot))
            TRY(nn_block_allocate(&set->blocks[slot], backend, set->total, err));
    set->allocated = true;
    return STATUS_OK;
}

void nn_parameters_write(nn_parameters *set, nn_slot slot, size_t index, const float *host)
{
    const nn_tensor *t = &set->tensors[index];
    nn_block_write(&set->blocks[slot], t->offset, host, nn_count(t->shape));
}

void nn_parameters_read(const nn_parameters *set, nn_slot slot, size_t index, float *host)
{
    const nn_tensor *t = &set->tensors[index];
    nn_block_read(&set->blocks[slot], t->offset, host, nn_count(t->shape));
}

size_t nn_parameters_elements(const nn_parameters *set)
{
    size_t elements = 0;
    for (size_t i = 0; i < set->count; i++) elements += nn_count(set->tensors[i].shape);
    return elements;
}
