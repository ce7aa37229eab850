/* What Hopper has for blocks whose warps do different things at their own pace (PTX ISA, "mbarrier", "cp.async.bulk" and
 * "Cluster of cooperative thread arrays"):
 *
 *   a barrier        8 bytes of shared memory. A phase of it is over when as many have arrived as it was made for and all
 *                    bytes that were announced to it are there; then the next one begins. Who waits names the parity of a
 *                    phase, that of the first being 0, and goes on when it is over: what is used in turn, filled for the
 *                    n-th time (from 0), is there after bulk_wait (full, n % 2), and may be filled after
 *                    bulk_wait (empty, (n + 1) % 2), which at n = 0 is true of a new barrier.
 *   a bulk copy      a piece of global memory to shared memory, started by one thread, run by an engine of its own and
 *                    counted by a barrier. Addresses and bytes are multiples of 16. Products of tensor_group.h find what it
 *                    brings without tensor_publish.
 *   a cluster        blocks, neighbours along x, that run at the same time (cuda_launch_cluster) and may store to each
 *                    other's shared memory: not before all have begun and are done with what lies there (cluster_meet),
 *                    nor when the other one has ended
 *
 * A warp arrives by one or a few of its threads, after __syncwarp. Where the compiler knows that the warp is together it makes no
 * instruction of that, and racecheck, which sees machine code alone, takes what the other threads wrote for not published.
 * For it CUDA_EACH_ARRIVES makes every thread arrive.
 */
#ifndef NN_CUDA_BULK_H
#define NN_CUDA_BULK_H

#include "nn/cuda/tensor.h"

enum {
    BULK_BARRIER_BYTES = 8,
#ifdef CUDA_EACH_ARRIVES
    BULK_WARP = 32 /* arrivals that one of a warp is: what a barrier is made for counts them */
#else
    BULK_WARP = 1
#endif
};

#ifdef __CUDACC__
#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/* By one thread: before bulk_made and a barrier of the block. */
__device__ static inline void bulk_make(tensor_address barrier, unsigned arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

/* The same thread, after the last of its barriers. */
__device__ static inline void bulk_made() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

/* What this thread wrote before is seen by those who waited for it. */
__device__ static inline void bulk_arrive(tensor_address barrier)
{
    asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/* The same place in the memory of block `rank` of the cluster, for cluster_store. */
__device__ static inline tensor_address bulk_there(tensor_address place, unsigned rank)
{
    tensor_address there;
    asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(place), "r"(rank));
    return there;
}

/* Arrives, and announces bytes. */
__device__ static inline void bulk_expect(tensor_address barrier, unsigned bytes)
{
    asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

/* Until the phase of that parity is over. */
__device__ static inline void bulk_wait(tensor_address barrier, unsigned parity)
{
    asm volatile("{\n.reg .pred over;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 over, [%0], %1;\n"
                 "@over bra done;\n"
                 "bra again;\n"
                 "done:\n}" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

__device__ static inline void bulk_copy(tensor_address to, const void *from, unsigned bytes, tensor_address barrier)
{
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(barrier)
                 : "memory");
}

__device__ static inline unsigned cluster_rank()
{
    unsigned rank;
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

/* All threads of the cluster: what they stored before is there for all of them, and what they loaded may be overwritten. */
__device__ static inline void cluster_meet()
{
    __syncwarp();
    asm volatile("barrier.cluster.arrive.release.aligned;\n"
                 "barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/* 16 bytes to a place that bulk_there gave; there after cluster_meet. */
__device__ static inline void cluster_store(tensor_address to, float4 v)
{
    asm volatile("st.shared::cluster.v4.f32 [%0], {%1,%2,%3,%4};" ::"r"(to), "f"(v.x), "f"(v.y), "f"(v.z), "f"(v.w)
                 : "memory");
}

#else /* code for other devices, where no such kernel is launched (cuda_has_groups) */

__device__ static inline void bulk_make(tensor_address, unsigned) {}
__device__ static inline void bulk_made() {}
__device__ static inline void bulk_arrive(tensor_address) {}
__device__ static inline tensor_address bulk_there(tensor_address place, unsigned) { return place; }
__device__ static inline void bulk_expect(tensor_address, unsigned) {}
__device__ static inline void bulk_wait(tensor_address, unsigned) {}
__device__ static inline void bulk_copy(tensor_address, const void *, unsigned, tensor_address) {}
__device__ static inline unsigned cluster_rank() { return 0; }
__device__ static inline void cluster_meet() {}
__device__ static inline void cluster_store(tensor_address, float4) {}

#endif
#else
#include "emulated_bulk.h"
#endif

/* By all threads of a warp, after __syncwarp: `times` arrivals of it, 32 at most. What its threads wrote before is seen by those
 * who waited. */
__device__ static inline void bulk_arrive_warp(unsigned lane, tensor_address barrier, unsigned times = 1)
{
#ifdef CUDA_EACH_ARRIVES
    (void)lane;
    for (unsigned i = 0; i < times; i++) bulk_arrive(barrier);
#else
    if (lane < times) bulk_arrive(barrier);
#endif
}

#endif
