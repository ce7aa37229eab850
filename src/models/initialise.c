#include "models/initialise.h"

#include <stdlib.h>

#include "base/rng.h"
#include "models/weights.h"

static const float deviation = 0.02f;

static void fill(float *values, size_t count, uint64_t seed, uint64_t step)
{
#pragma omp parallel for
    for (size_t i = 0; i < count; i++) values[i] = deviation * rng_normal(seed, RNG_INIT, step, (uint32_t)i);
}

status model_initialise(nn_parameters *set, uint64_t seed, uint64_t first, error *err)
{
    size_t largest = 0;
    for (size_t i = 0; i < set->count; i++) {
        size_t count = nn_count(set->tensors[i].shape);
        if (count > largest) largest = count;
    }
    if (largest > UINT32_MAX)
        return error_set(err, STATUS_FAILED, "initialise: expected tensors of at most 2^32 - 1 elements, found %zu",
                         largest);
    float *values = malloc((largest ? largest : 1) * sizeof *values);
    if (!values) return error_no_memory(err, "initialising the weights", largest * sizeof *values);
    for (size_t i = 0; i < set->count; i++) {
        const nn_tensor *tensor = &set->tensors[i];
        size_t count = nn_count(tensor->shape);
        if (model_is_bias(tensor->name))
            for (size_t k = 0; k < count; k++) values[k] = 0;
        else
            fill(values, count, seed, first + i);
        nn_parameters_write(set, NN_DATA, i, values);
        if (set->blocks[NN_AVERAGE].memory) nn_parameters_write(set, NN_AVERAGE, i, values);
    }
    free(values);
    return STATUS_OK;
}
