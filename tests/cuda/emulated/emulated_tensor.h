/* src/nn/cuda/tensor.h on the host. What a warp does together is a barrier of the whole block here, so all warps of a
 * block must go the same way, as those kernels do; the emulator says so when they do not. */
#ifndef EMULATED_TENSOR_H
#define EMULATED_TENSOR_H

#include "cuda_runtime.h"

typedef const char *tensor_address;

static inline tensor_address tensor_shared(const void *pointer) { return (tensor_address)pointer; }

/* Each thread's copies are kept back until it waits for them, so that a missing wait shows. */
void emulated_copy(tensor_address to, const void *from, unsigned bytes, bool zero);
static inline void tensor_copy(tensor_address to, const void *from, bool zero)
{
    emulated_copy(to, from, TENSOR_GRANULE_BYTES, zero);
}
static inline void tensor_copy_half(tensor_address to, const void *from, bool zero)
{
    emulated_copy(to, from, TENSOR_GRANULE_BYTES / 2, zero);
}
void tensor_commit();
void emulated_wait(int pending);
template <int pending> static inline void tensor_wait() { emulated_wait(pending); }

tensor_fragment tensor_load(tensor_address granule);
tensor_fragment tensor_load_transposed(tensor_address granule);
void tensor_multiply(tensor_sums &sums, const tensor_fragment &a, const tensor_fragment &b, int second);

#endif
