/* Which of cuBLASLt's algorithms multiplies matrices of a shape: what was measured, and what an earlier process measured
 * and handed on as bytes (nn_backend_interface's give_choices and take_choices).
 *
 * Bytes from outside are never given to cuBLASLt. A choice that was taken is a wish: it holds when cuBLASLt itself
 * proposes that algorithm for the product, and is measured anew otherwise. So the worst that forged bytes can do is
 * to have a slower one of its proposals chosen.
 */
#ifndef NN_CUDA_CHOICES_H
#define NN_CUDA_CHOICES_H

#include "nn/cuda/cuda.h"

/* All that a choice may depend on but for device and library, compared byte by byte. */
struct cuda_choice_key {
    uint64_t m, n, k, lda, ldb, ldc;
    uint64_t batch, stride_a, stride_b, stride_c;
    uint32_t alignment[3];
    uint32_t kind; /* operands, transpositions, bias */
};

struct cuda_choice {
    cuda_choice_key key;
    cublasLtMatmulAlgo_t algorithm;
};

/* The choice for a shape, or NULL. *wish: it was taken, and cuBLASLt has not proposed it yet. */
const cuda_choice *cuda_choices_find(const cuda_choices *choices, const cuda_choice_key *key, bool *wish);
/* In place of what was known of the shape, and no wish. Without memory it is not kept, and made again next time. */
void cuda_choices_keep(cuda_backend *cuda, const cuda_choice *chosen);
void cuda_choices_destroy(cuda_choices *choices);

/* Of nn_backend_interface. */
status cuda_give_choices(nn_backend *backend, void **out, size_t *bytes, error *err);
status cuda_take_choices(nn_backend *backend, const void *bytes, size_t count, error *err);

#endif
