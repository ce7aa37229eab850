/* Tensor cores by warp: products of bf16 with sums in float, by mma.sync.m16n8k16 (PTX ISA, "Matrix multiply-accumulate
 * operation"), and what feeds them: copies into shared memory that run beside the arithmetic (cp.async) and loads of
 * 8x8 matrices from there (ldmatrix). All 32 lanes of a warp call each of these together, but for the copies.
 *
 * Operands lie in shared memory as rows of granules of 8 numbers, 16 bytes. A fragment is 16x16 of a and two times 8 columns
 * of b, four registers each:
 *
 *   tensor_load             rows of a by k, or of b by k: the summed index runs along a row
 *   tensor_load_transposed  rows of k by a or b: the summed index runs from row to row
 *
 * The lane's granule for a fragment whose first row is `row` and whose first granule is `column`:
 *
 *   a, k along rows     row + lane % 16,                     column + lane / 16
 *   b, k along rows     row + lane / 16 * 8 + lane % 8,      column + lane / 8 % 2
 *   a, k across rows    row + lane / 16 * 8 + lane % 8,      column + lane / 8 % 2
 *   b, k across rows    row + lane % 16,                     column + lane / 16
 */
#ifndef NN_CUDA_TENSOR_H
#define NN_CUDA_TENSOR_H

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stdint.h>
#include <string.h>

enum { TENSOR_K = 16, TENSOR_GRANULE = 8, TENSOR_GRANULE_BYTES = 16 };

typedef struct tensor_fragment {
    uint32_t part[4];
} tensor_fragment;

/* Sums of 16x8: elements (lane / 4, lane % 4 * 2 + {0, 1}) and the same 8 rows below. */
typedef struct tensor_sums {
    float part[4];
} tensor_sums;

/* Two numbers in bf16, the first one below. */
__device__ static inline uint32_t tensor_pair(float first, float second)
{
    __nv_bfloat16 lower = __float2bfloat16(first), upper = __float2bfloat16(second);
    uint16_t bits[2];
    memcpy(bits, &lower, sizeof *bits);
    memcpy(bits + 1, &upper, sizeof *bits);
    return (uint32_t)bits[1] << 16 | bits[0];
}

#ifdef __CUDACC__

typedef uint32_t tensor_address; /* in shared memory */

__device__ static inline tensor_address tensor_shared(const void *pointer)
{
    return (tensor_address)__cvta_generic_to_shared(pointer);
}

/* 16 bytes from global memory, or zeros. They are there after tensor_wait and a barrier. */
__device__ static inline void tensor_copy(tensor_address to, const void *from, bool zero)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(zero ? 0 : 16) : "memory");
}

/* 8 bytes likewise. */
__device__ static inline void tensor_copy_half(tensor_address to, const void *from, bool zero)
{
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from), "r"(zero ? 0 : 8) : "memory");
}

/* Closes a group of copies. */
__device__ static inline void tensor_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

/* Waits until all of this thread's groups but the latest `pending` are there. */
template <int pending> __device__ static inline void tensor_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

__device__ static inline tensor_fragment tensor_load(tensor_address granule)
{
    tensor_fragment f;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(f.part[0]), "=r"(f.part[1]), "=r"(f.part[2]), "=r"(f.part[3])
                 : "r"(granule)
                 : "memory");
    return f;
}

__device__ static inline tensor_fragment tensor_load_transposed(tensor_address granule)
{
    tensor_fragment f;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(f.part[0]), "=r"(f.part[1]), "=r"(f.part[2]), "=r"(f.part[3])
                 : "r"(granule)
                 : "memory");
    return f;
}

/* sums += a * (8 columns of b: the first or the second). */
__device__ static inline void tensor_multiply(tensor_sums &sums, const tensor_fragment &a, const tensor_fragment &b,
                                              int second)
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sums.part[0]), "+f"(sums.part[1]), "+f"(sums.part[2]), "+f"(sums.part[3])
                 : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "r"(b.part[2 * second]),
                   "r"(b.part[2 * second + 1]));
}

#else
#include "emulated_tensor.h"
#endif

#endif
