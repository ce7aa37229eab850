/* Hopper's tensor cores: products that four warps start together and that then run beside them (wgmma; PTX ISA,
 * "Asynchronous warpgroup level matrix instructions"). Operands lie in shared memory, bf16, in granules of 16 bytes:
 *
 *   a granule holds 8 numbers along k, or, `across`, along the rows of a (the columns of b)
 *   8 granules that follow on one another in the other direction are neighbours in memory
 *   tensor_matrix says how far apart such groups of eight are, along k and along rows or columns
 *
 * which is the layout without swizzle: any granule can be a matrix's first, so a picture's window moves by a pixel.
 * All 128 threads of a group call each of these together.
 */
#ifndef NN_CUDA_TENSOR_GROUP_H
#define NN_CUDA_TENSOR_GROUP_H

#include "nn/cuda/tensor.h"

/* compute-sanitizer takes a matrix of 64 rows for 2 KiB in one piece, however its groups overlap: where one is near the end of
 * shared memory, TENSOR_GROUP_SLACK more bytes are asked for. */
enum { TENSOR_GROUP = 128, TENSOR_GROUP_SLACK = 2048 };

/* Sums of 64 rows by `columns`. Number i of a thread: row thread / 32 * 16 + lane / 4 + i / 2 % 2 * 8, column
 * i / 4 * 8 + lane % 4 * 2 + i % 2. */
template <int columns> struct tensor_group_sums {
    float part[columns / 2];
};

#ifdef __CUDACC__

typedef uint64_t tensor_matrix;

/* Bytes. */
__device__ static inline tensor_matrix tensor_matrix_at(tensor_address first, unsigned along_k, unsigned along_rows)
{
    return (uint64_t)(first >> 4 & 0x3FFF) | (uint64_t)(along_k >> 4) << 16 | (uint64_t)(along_rows >> 4) << 32;
}

/* In the lower half alone, where the address is. */
__device__ static inline tensor_matrix tensor_matrix_moved(tensor_matrix m, unsigned bytes)
{
    return (m & 0xFFFFFFFF00000000) | (uint32_t)(m + (bytes >> 4));
}

/* The thread's warp, known to be the same for all of the warp: what is computed from it needs no registers of threads. */
__device__ static inline unsigned tensor_warp() { return __shfl_sync(0xFFFFFFFF, threadIdx.x / 32, 0); }

/* A barrier of the `groups` groups of a team; number: the team's among the block's, which all begin with its first group. */
template <int groups> __device__ static inline void tensor_groups_meet(unsigned number)
{
    asm volatile("bar.sync %0, %1;" ::"r"(number + 1), "n"(groups * TENSOR_GROUP) : "memory"); /* 0: __syncthreads */
}

/* 64 rows of a, 16 numbers along k, in the registers of a group: read once for several products. */
typedef tensor_fragment tensor_group_rows;

/* From where tensor_matrix_at would find them, across. */
__device__ static inline tensor_group_rows tensor_group_load_across(tensor_address first, unsigned along_k,
                                                                    unsigned along_rows)
{
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x % TENSOR_GROUP / 32;
    return tensor_load_transposed(first + (warp * 2 + lane / 8 % 2) * along_rows + lane / 16 * along_k +
                                  lane % 8 * TENSOR_GRANULE_BYTES);
}

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/* What this thread has written to shared memory is there for the products. Before the barrier that they begin after. */
__device__ static inline void tensor_publish() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/* Registers of each thread from here on, fewer than the block was started with, or more when others have given theirs. */
template <int registers> __device__ static inline void tensor_group_give_registers()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(registers));
}

template <int registers> __device__ static inline void tensor_group_take_registers()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(registers));
}

__device__ static inline void tensor_group_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ static inline void tensor_group_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

/* Waits until all committed products but the latest `pending` commits' are done. */
template <int pending> __device__ static inline void tensor_group_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(pending) : "memory");
}

#define SUMS8(s, i)                                                                                                   \
    "+f"(s.part[i]), "+f"(s.part[i + 1]), "+f"(s.part[i + 2]), "+f"(s.part[i + 3]), "+f"(s.part[i + 4]),              \
        "+f"(s.part[i + 5]), "+f"(s.part[i + 6]), "+f"(s.part[i + 7])

#define SUMS64                                                                                                        \
    "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"                                                         \
    "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}"

/* sums += a b, 16 numbers along k. */
template <bool across>
__device__ static inline void tensor_group_multiply(tensor_group_sums<48> &s, tensor_matrix a, tensor_matrix b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n48k16.f32.bf16.bf16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
                 "%16,%17,%18,%19,%20,%21,%22,%23}, %24, %25, 1, 1, 1, %26, %26;"
                 : SUMS8(s, 0), SUMS8(s, 8), SUMS8(s, 16)
                 : "l"(a), "l"(b), "n"(across ? 1 : 0));
}

template <bool across>
__device__ static inline void tensor_group_multiply(tensor_group_sums<64> &s, tensor_matrix a, tensor_matrix b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " SUMS64 ", %32, %33, 1, 1, 1, %34, %34;"
                 : SUMS8(s, 0), SUMS8(s, 8), SUMS8(s, 16), SUMS8(s, 24)
                 : "l"(a), "l"(b), "n"(across ? 1 : 0));
}

/* The same with a in registers; or sums = a b, where they are not to `add`: what would write zeros beforehand, beside
 * products that run, makes the compiler wait for each of these. */
template <bool across>
__device__ static inline void tensor_group_multiply(tensor_group_sums<64> &s, const tensor_group_rows &a, tensor_matrix b,
                                                    bool add)
{
    asm volatile("{\n"
                 ".reg .pred add;\n"
                 "setp.ne.b32 add, %38, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 " SUMS64 ", {%32,%33,%34,%35}, %36, add, 1, 1, %37;\n"
                 "}"
                 : SUMS8(s, 0), SUMS8(s, 8), SUMS8(s, 16), SUMS8(s, 24)
                 : "r"(a.part[0]), "r"(a.part[1]), "r"(a.part[2]), "r"(a.part[3]), "l"(b), "n"(across ? 1 : 0),
                   "r"((int)add));
}

template <bool across>
__device__ static inline void tensor_group_multiply(tensor_group_sums<128> &s, tensor_matrix a, tensor_matrix b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
                 "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31,"
                 "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,"
                 "%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%60,%61,%62,%63}, %64, %65, 1, 1, 1, %66, %66;"
                 : SUMS8(s, 0), SUMS8(s, 8), SUMS8(s, 16), SUMS8(s, 24), SUMS8(s, 32), SUMS8(s, 40), SUMS8(s, 48),
                   SUMS8(s, 56)
                 : "l"(a), "l"(b), "n"(across ? 1 : 0));
}

#undef SUMS64
#undef SUMS8

#else /* code for other devices: the host never launches a kernel of groups there (cuda_has_groups) */

__device__ static inline void tensor_publish() {}
template <int registers> __device__ static inline void tensor_group_give_registers() {}
template <int registers> __device__ static inline void tensor_group_take_registers() {}
__device__ static inline void tensor_group_begin() {}
__device__ static inline void tensor_group_commit() {}
template <int pending> __device__ static inline void tensor_group_wait() {}
template <bool across, int columns>
__device__ static inline void tensor_group_multiply(tensor_group_sums<columns> &, tensor_matrix, tensor_matrix)
{
}
template <bool across, int columns>
__device__ static inline void tensor_group_multiply(tensor_group_sums<columns> &, const tensor_group_rows &, tensor_matrix,
                                                    bool)
{
}

#endif
#else
#include "emulated_tensor_group.h"
#endif

#endif
