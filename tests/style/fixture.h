/* Reading fixtures made by tools/oracle/style.py. */
#ifndef TESTS_STYLE_FIXTURE_H
#define TESTS_STYLE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "nn/safetensors.h"
#include "test.h"

/* NULL, with a message, when the tensor is not there; the caller frees. */
static inline float *fixture_values(const safetensors_file *file, const char *name, const safetensors_entry **entry)
{
    const safetensors_entry *e = safetensors_find(file, name);
    float *values = e ? malloc((e->count + 1) * sizeof *values) : NULL;
    error err = {0};
    if (entry) *entry = e;
    if (values && safetensors_read_f32(file, e, values, &err) == STATUS_OK) return values;
    printf("%s: cannot read the fixture: %s\n", name, err.message);
    free(values);
    return NULL;
}

/* A picture of bytes, (h, w, 3), as floats in [-1, 1]. */
static inline float *fixture_picture(const safetensors_file *file, const char *name, size_t *height, size_t *width)
{
    const safetensors_entry *entry;
    float *values = fixture_values(file, name, &entry);
    for (size_t i = 0; values && i < entry->count; i++) values[i] = values[i] / 127.5f - 1;
    *height = values ? entry->shape[0] : 0;
    *width = values ? entry->shape[1] : 0;
    return values;
}

#endif
