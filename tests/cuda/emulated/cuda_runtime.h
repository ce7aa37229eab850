/* The part of the CUDA runtime that src/nn/cuda uses, played on the host, so that a wrong index meets AddressSanitizer
 * instead of a GPU. Found before the toolkit's own header when tests/cuda is built.
 *
 * A block's threads are fibers: they run one at a time, each until a barrier, in an order that changes from round to
 * round, so that a missing barrier shows. The blocks of a cluster run together, others one after the other.
 * Streams run what they are given in its order, but later: when it is waited for, or by dice, so that memory shows which the
 * host takes back too early. Or they record it; a recording runs in a random order of those that its edges allow, so that a
 * missing edge shows.
 */
#ifndef EMULATED_CUDA_RUNTIME_H
#define EMULATED_CUDA_RUNTIME_H

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>

using std::isfinite;

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __launch_bounds__(...)

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

void __syncthreads();
void __syncwarp();
/* All lanes of the warp. */
float __shfl_xor_sync(unsigned lanes, float value, unsigned apart);
unsigned __shfl_xor_sync(unsigned lanes, unsigned value, unsigned apart);
unsigned __ballot_sync(unsigned lanes, bool value);

static inline unsigned __float_as_uint(float value)
{
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float __uint_as_float(unsigned bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
static inline int __ffs(int bits) { return __builtin_ffs(bits); }
static inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
static inline float __fadd_rn(float a, float b) { return a + b; } /* never part of a multiply-add */

typedef enum cudaError { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2 } cudaError_t;
typedef struct emulated_stream *cudaStream_t;
typedef struct emulated_event *cudaEvent_t;
typedef struct emulated_graph *cudaGraph_t, *cudaGraphExec_t;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal };
typedef enum cudaDataType { CUDA_R_32F, CUDA_R_16BF } cudaDataType_t;
struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount;
    size_t sharedMemPerBlockOptin;
};

const char *cudaGetErrorString(cudaError_t code);
cudaError_t cudaGetLastError();
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMemGetInfo(size_t *there, size_t *all);
cudaError_t cudaMallocHost(void **memory, size_t bytes);
cudaError_t cudaFreeHost(void *memory);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream);
struct cudaFuncAttributes {
    int numRegs;
};
/* 168 for all kernels, or EMULATED_REGISTERS of the environment. */
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, const void *kernel);
template <typename A> static cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, void (*kernel)(A))
{
    return cudaFuncGetAttributes(attributes, (const void *)kernel);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);
cudaError_t cudaEventCreate(cudaEvent_t *event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end);

/* Runs `work` when it is its turn, or records it. */
void emulated_enqueue(cudaStream_t stream, const std::function<void()> &work);
/* Every thread of every block calls `thread`: as fibers when they are together, else one after the other, and then a
 * barrier ends the program. cluster: blocks that run at the same time. */
void emulated_run_grid(bool together, const std::function<void()> &thread, dim3 grid, dim3 block, size_t shared,
                       unsigned cluster);
/* The block's memory that was asked for at the launch: `shared` bytes. Static memory (__shared__) is one and the same for
 * the blocks of a cluster here, so their kernels have none. */
unsigned char *emulated_shared();

/* Calls of cuda_wait_for_others so far: a kernel that is launched early makes one in each of its threads. */
extern size_t emulated_waits;
void emulated_run_early(const std::function<void()> &thread, dim3 grid, dim3 block, size_t shared);

template <typename A>
static void emulated_launch_early(void (*kernel)(A), const A &arguments, dim3 grid, dim3 block, size_t shared,
                                  cudaStream_t stream)
{
    emulated_enqueue(stream, [=] { emulated_run_early([=] { kernel(arguments); }, grid, block, shared); });
}

template <typename A>
static void emulated_launch(bool together, void (*kernel)(A), const A &arguments, dim3 grid, dim3 block, size_t shared,
                            cudaStream_t stream, unsigned cluster = 1)
{
    emulated_enqueue(stream,
                     [=] { emulated_run_grid(together, [=] { kernel(arguments); }, grid, block, shared, cluster); });
}

#endif
