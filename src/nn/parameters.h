/* Named tensors in flat blocks: one for the parameters, one for their gradients, two for Adam's moments, one for the
 * exponential moving average. Offsets are the same in all of them.
 *
 *     nn_parameters *set = nn_parameters_create();
 *     ... nn_parameter(graph, set, "model.1.weight", shape) while graphs are built adds tensors ...
 *     TRY(nn_parameters_allocate(set, backend, NN_TRAINED, err));    zeros; no tensor can be added any more
 *     nn_parameters_write(set, NN_DATA, index, values);
 */
#ifndef NN_PARAMETERS_H
#define NN_PARAMETERS_H

#include "base/status.h"
#include "nn/backend.h"
#include "nn/tensor.h"

/* Device memory of `count` floats. */
typedef struct nn_block {
    nn_backend *backend;
    float *memory; /* the device's; NULL until allocated */
    size_t count;
    /* How often it was written, by the host or by runs of programs: what is kept of it (nn_program_options.prepack) is
     * made again when this has grown. Whoever writes the memory in another way counts it here. */
    uint64_t changes;
} nn_block;

status nn_block_allocate(nn_block *block, nn_backend *backend, size_t count, error *err); /* zeros */
void nn_block_free(nn_block *block);
void nn_block_write(nn_block *block, size_t offset, const float *host, size_t count);
void nn_block_read(const nn_block *block, size_t offset, float *host, size_t count);

typedef enum nn_slot { NN_DATA = 0, NN_GRADIENT, NN_ADAM_M, NN_ADAM_V, NN_AVERAGE, NN_SLOTS } nn_slot;
/* Which blocks are allocated; NN_DATA always is. */
enum { NN_TRAINED = 1 << NN_GRADIENT | 1 << NN_ADAM_M | 1 << NN_ADAM_V, NN_AVERAGED = 1 << NN_AVERAGE };

typedef struct nn_tensor {
    char *name;
    nn_shape shape;
    size_t offset; /* in floats, a multiple of 16 */
} nn_tensor;

typedef struct nn_parameters {
    nn_tensor *tensors;
    size_t count, capacity;
    size_t total; /* floats in a block, alignment included */
    nn_block blocks[NN_SLOTS];
    bool allocated;
} nn_parameters;

nn_parameters *nn_parameters_create(void); /* NULL without memory */
void nn_parameters_destroy(nn_parameters *set);
/* Index of the tensor, or SIZE_MAX. */
size_t nn_parameters_find(const nn_parameters *set, const char *name);
/* Adds a tensor; fails when the set is allocated or has the name with another shape. Returns an existing one. */
status nn_parameters_add(nn_parameters *set, const char *name, nn_shape shape, size_t *index, error *err);
/* `blocks`: an or of NN_TRAINED and NN_AVERAGED, or 0. */
status nn_parameters_allocate(nn_parameters *set, nn_backend *backend, unsigned blocks, error *err);
/* host: count(shape) floats in the tensor's own order. */
void nn_parameters_write(nn_parameters *set, nn_slot slot, size_t index, const float *host);
void nn_parameters_read(const nn_parameters *set, nn_slot slot, size_t index, float *host);
/* Elements of all tensors, alignment not counted. */
size_t nn_parameters_elements(const nn_parameters *set);

#endif
