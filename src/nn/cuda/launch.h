/* Launching kernels, and the two shapes that most of them have.
 *
 *   cuda_launch_flat   one thread an element, in a loop over the grid: for (i = cuda_first(); i < count; i += cuda_step())
 *   cuda_launch_rows   blockIdx.x a row, blockIdx.y a part of it: for what needs the element's place. A row has less
 *                      than 2^31 elements, and a tensor any number of rows, so indices within a row are 32 bits wide.
 */
#ifndef NN_CUDA_LAUNCH_H
#define NN_CUDA_LAUNCH_H

#include "nn/cuda/kernels.h"

enum {
    CUDA_BLOCK = 256,
    CUDA_ROW_PART = 1024 /* elements of a row that a block takes */
};

enum cuda_threads { CUDA_APART, CUDA_TOGETHER }; /* whether a block's threads meet at barriers */

/* On the host it makes a difference how threads are run, on a device none. */
template <typename A>
static cudaError_t cuda_launch_in(cudaStream_t stream, cuda_threads threads, void (*kernel)(A), const A &arguments,
                                  dim3 grid, dim3 block)
{
#ifdef __CUDACC__
    (void)threads;
    kernel<<<grid, block, 0, stream>>>(arguments);
#else
    emulated_launch(threads == CUDA_TOGETHER, kernel, arguments, grid, block, 0, stream);
#endif
    return cudaGetLastError();
}

template <typename A>
static void cuda_launch(const nn_call *call, cuda_threads threads, void (*kernel)(A), const A &arguments, dim3 grid,
                        dim3 block)
{
    cuda_note_call(call, "kernel launch", cuda_launch_in(cuda_of(call)->stream, threads, kernel, arguments, grid, block));
}

/* A kernel that finds `shared` bytes of shared memory, more than a static array could have, at CUDA_SHARED(). */
#ifdef __CUDACC__
extern __shared__ __align__(128) unsigned char cuda_dynamic_shared[];
#define CUDA_SHARED() cuda_dynamic_shared
#else
#define CUDA_SHARED() emulated_shared()
#endif

template <typename A>
static void cuda_launch_shared(const nn_call *call, void (*kernel)(A), const A &arguments, dim3 grid, dim3 block,
                               size_t shared)
{
#ifdef __CUDACC__
    if (!cuda_note_call(call, "cudaFuncSetAttribute",
                        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared)))
        return;
    kernel<<<grid, block, shared, cuda_of(call)->stream>>>(arguments);
#else
    emulated_launch(true, kernel, arguments, grid, block, shared, cuda_of(call)->stream);
#endif
    cuda_note_call(call, "kernel launch", cudaGetLastError());
}

/* Programmatic dependent launch (CUDA C++ Programming Guide). In a recording a kernel that is launched early is on its way
 * when the last block of the one before it in its lane ends, and does not begin to come only then. Each of its threads calls
 * cuda_wait_for_others before it touches memory that a kernel writes, or writes any; then all that came before in the lane is
 * over. Beginning while blocks of the other one run gained nothing: where a kernel has a block for each multiprocessor, those
 * that are free first got two of them (a picture took 0.56 ms of an H200 and not 0.46). */
__device__ static inline void cuda_wait_for_others()
{
#ifndef __CUDACC__
    emulated_waits++;
#elif defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

template <typename A>
static void cuda_launch_early(const nn_call *call, void (*kernel)(A), const A &arguments, dim3 grid, dim3 block,
                              size_t shared = 0)
{
    cuda_backend *cuda = cuda_of(call);
#ifdef __CUDACC__
    if (shared > 0 && !cuda_note_call(call, "cudaFuncSetAttribute",
                                      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared)))
        return;
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid, config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = cuda->stream;
    config.attrs = &attribute, config.numAttrs = cuda->may_begin_early ? 1 : 0;
    cuda_note_call(call, "kernel launch", cudaLaunchKernelEx(&config, kernel, arguments));
    cudaGetLastError();
#else
    emulated_launch_early(kernel, arguments, grid, block, shared, cuda->stream);
#endif
    cuda->may_begin_early = cuda->recording && cuda_has_groups(cuda);
}

/* The same by clusters (bulk.h): `cluster` blocks along x each, which divide the grid. */
template <typename A>
static void cuda_launch_cluster(const nn_call *call, void (*kernel)(A), const A &arguments, dim3 grid, dim3 block,
                                size_t shared, unsigned cluster)
{
#ifdef __CUDACC__
    if (!cuda_note_call(call, "cudaFuncSetAttribute",
                        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared)))
        return;
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = cluster, attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = grid, config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = cuda_of(call)->stream;
    config.attrs = &attribute, config.numAttrs = 1;
    cuda_note_call(call, "kernel launch", cudaLaunchKernelEx(&config, kernel, arguments));
    cudaGetLastError();
#else
    emulated_launch(true, kernel, arguments, grid, block, shared, cuda_of(call)->stream, cluster);
#endif
}

/* How many clusters of such blocks, which find `shared` bytes each, run at the same time: they do not cross the parts that a
 * device is made of, so that it may be fewer than fit by number. */
template <typename A>
static size_t cuda_clusters_at_once(const nn_call *call, void (*kernel)(A), dim3 block, size_t shared, unsigned cluster)
{
#ifdef __CUDACC__
    int clusters = 0;
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = cluster, attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(cluster), config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.attrs = &attribute, config.numAttrs = 1;
    bool known = cuda_note_call(call, "cudaFuncSetAttribute",
                                cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared)) &&
                 cuda_note_call(call, "cudaOccupancyMaxActiveClusters",
                                cudaOccupancyMaxActiveClusters(&clusters, kernel, &config));
    return known ? (size_t)clusters : 0;
#else
    (void)kernel, (void)block, (void)shared;
    return cuda_of(call)->multiprocessors / cluster;
#endif
}

/* As many as fill the largest device; more would only be queued. */
static inline unsigned cuda_flat_blocks(size_t count)
{
    size_t most = 132 * 8, blocks = cuda_divide_up(count, CUDA_BLOCK);
    return (unsigned)(blocks < most ? blocks : most);
}

template <typename A>
static void cuda_launch_flat(const nn_call *call, void (*kernel)(A), const A &arguments, size_t count)
{
    if (count > 0) cuda_launch(call, CUDA_APART, kernel, arguments, dim3(cuda_flat_blocks(count)), dim3(CUDA_BLOCK));
}

template <typename A>
static void cuda_launch_rows(const nn_call *call, void (*kernel)(A), const A &arguments, size_t rows, size_t width)
{
    if (rows == 0 || width == 0) return;
    cuda_launch(call, CUDA_APART, kernel, arguments, dim3((unsigned)rows, (unsigned)cuda_divide_up(width, CUDA_ROW_PART)),
                dim3(CUDA_BLOCK));
}

__device__ static inline size_t cuda_first() { return blockIdx.x * (size_t)blockDim.x + threadIdx.x; }
__device__ static inline size_t cuda_step() { return gridDim.x * (size_t)blockDim.x; }

/* Elements of this thread in its part of a row: from, and to less than, in steps of CUDA_BLOCK. */
__device__ static inline unsigned cuda_row_first() { return blockIdx.y * CUDA_ROW_PART + threadIdx.x; }
__device__ static inline unsigned cuda_row_end(unsigned width)
{
    unsigned end = (blockIdx.y + 1) * CUDA_ROW_PART;
    return end < width ? end : width;
}

/* Sum over the threads of a block, in an order that is always the same; all of them get it. shared: CUDA_BLOCK. */
__device__ static inline double cuda_block_sum(double value, double *shared)
{
    shared[threadIdx.x] = value;
    __syncthreads();
    for (unsigned half = CUDA_BLOCK / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    double sum = shared[0];
    __syncthreads();
    return sum;
}

/* Activations that are linear on either side of zero: see nn/cpu/kernels/rectifier.h, whose results these are. */
static inline float cuda_slope(const nn_attributes *attr)
{
    return attr->activation == NN_LINEAR ? 1.0f : attr->activation == NN_RELU ? 0.0f : attr->slope;
}

__device__ static inline float cuda_rectify(float v, float through, float slope)
{
    float below = slope == 0 ? 0 : slope * through;
    return v <= 0 ? below : through;
}

#endif
