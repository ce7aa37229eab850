/* Matrix products by cuBLASLt. */
#ifndef NN_CUDA_PRODUCT_H
#define NN_CUDA_PRODUCT_H

#include "nn/cuda/cuda.h"

/* c = alpha * op(a) op(b) + beta * c (+ bias), all row-major: op(a) is (m, k), op(b) (k, n), c (m, n) float. A transposed
 * operand lies in memory as (k, m) or (n, k). a and b hold float, or bf16 with CUDA_BF16. bias: (n), or NULL. */
typedef struct cuda_product {
    cuda_operands operands;
    bool transpose_a, transpose_b;
    size_t m, n, k;
    const void *a, *b;
    size_t lda, ldb, ldc; /* elements from row to row */
    float *c;
    float alpha, beta;
    const float *bias;
    /* Several products at once: how many (0 or 1: one), and elements from each one's matrix to the next one's. */
    size_t batch, stride_a, stride_b, stride_c;
} cuda_product;

/* On the backend's stream. The algorithm for a shape is chosen once by measuring, when the first product of that shape
 * runs and nothing is being recorded; or it is known from before (choices.h). Failures are noted. */
void cuda_multiply_matrices(const nn_call *call, const cuda_product *p);

#endif
