/* Several floats a thread, which is what it takes to keep memory busy: 16 bytes in one load or store.
 *
 * Kernels are templates over N, the floats that a thread takes at once: CUDA_WIDE where rows of channels are a multiple
 * of it and every pointer is aligned to it, else 1.
 *
 *     cuda_map      y[i] = f(a[i], b[i]), with a scalar end; launched by cuda_launch_map
 *     cuda_pixel    N channels of one pixel of a picture, a thread each; launched by cuda_launch_pixels
 */
#ifndef NN_CUDA_WIDE_H
#define NN_CUDA_WIDE_H

#include <string.h>

#include "nn/cuda/launch.h"

enum { CUDA_WIDE = 4 };

template <int N> struct alignas(N * sizeof(float)) cuda_few {
    float v[N];
};

template <int N> __device__ static inline cuda_few<N> cuda_load(const float *from)
{
    return *(const cuda_few<N> *)(const void *)from;
}

/* Numbers of a bf16 picture in plain order (NN_LAYOUT_BF16): the upper halves of floats. */
typedef uint16_t cuda_half;

/* Words of two: compilers take apart in time, and one by one, what is loaded as numbers of two bytes. */
template <int N> struct alignas(N * sizeof(cuda_half)) cuda_halves {
    uint32_t words[N / 2];
};

/* N numbers as they lie in memory, floats or halves. */
template <int N, typename T> struct cuda_stored;
template <int N> struct cuda_stored<N, float> {
    typedef cuda_few<N> few;
};
template <int N> struct cuda_stored<N, cuda_half> {
    typedef cuda_halves<N> few;
};

template <int N> __device__ static inline cuda_few<N> cuda_widen(const cuda_few<N> &few) { return few; }

template <int N> __device__ static inline cuda_few<N> cuda_widen(const cuda_halves<N> &halves)
{
    cuda_few<N> few;
#pragma unroll
    for (int k = 0; k < N; k++) {
        uint32_t word = halves.words[k / 2], bits = k % 2 == 0 ? word << 16 : word & 0xffff0000;
        memcpy(&few.v[k], &bits, sizeof bits);
    }
    return few;
}

template <int N> __device__ static inline cuda_few<N> cuda_load(const cuda_half *from)
{
    if constexpr (N > 1) {
        return cuda_widen(*(const cuda_halves<N> *)(const void *)from);
    } else {
        cuda_few<N> few;
        uint32_t bits = (uint32_t)*from << 16;
        memcpy(few.v, &bits, sizeof bits);
        return few;
    }
}

template <int N> __device__ static inline void cuda_store(float *to, const cuda_few<N> &few)
{
    *(cuda_few<N> *)(void *)to = few;
}

/* Of NULL too. */
__host__ __device__ static inline bool cuda_aligned(const void *pointer)
{
    return (uintptr_t)pointer % (CUDA_WIDE * sizeof(float)) == 0;
}

/* y may be a. */
template <typename F> __device__ static inline void cuda_map(size_t count, const float *a, float *y, F f)
{
    size_t wide = cuda_aligned(a) && cuda_aligned(y) ? count / CUDA_WIDE : 0;
    for (size_t i = cuda_first(); i < wide; i += cuda_step()) {
        cuda_few<CUDA_WIDE> few = cuda_load<CUDA_WIDE>(a + i * CUDA_WIDE);
        for (int k = 0; k < CUDA_WIDE; k++) few.v[k] = f(few.v[k]);
        cuda_store(y + i * CUDA_WIDE, few);
    }
    for (size_t i = wide * CUDA_WIDE + cuda_first(); i < count; i += cuda_step()) y[i] = f(a[i]);
}

/* y may be a or b. */
template <typename F>
__device__ static inline void cuda_map(size_t count, const float *a, const float *b, float *y, F f)
{
    size_t wide = cuda_aligned(a) && cuda_aligned(b) && cuda_aligned(y) ? count / CUDA_WIDE : 0;
    for (size_t i = cuda_first(); i < wide; i += cuda_step()) {
        cuda_few<CUDA_WIDE> few = cuda_load<CUDA_WIDE>(a + i * CUDA_WIDE),
                            other = cuda_load<CUDA_WIDE>(b + i * CUDA_WIDE);
        for (int k = 0; k < CUDA_WIDE; k++) few.v[k] = f(few.v[k], other.v[k]);
        cuda_store(y + i * CUDA_WIDE, few);
    }
    for (size_t i = wide * CUDA_WIDE + cuda_first(); i < count; i += cuda_step()) y[i] = f(a[i], b[i]);
}

/* For kernels that call cuda_map, or take CUDA_WIDE of `count` elements at once otherwise. Many blocks, which even out:
 * unlike those of a sum, nobody has to add them up. */
template <typename A>
static void cuda_launch_map(const nn_call *call, void (*kernel)(A), const A &arguments, size_t count)
{
    size_t most = 1 << 16, blocks = cuda_divide_up(cuda_divide_up(count, CUDA_WIDE), CUDA_BLOCK);
    if (count > 0)
        cuda_launch(call, CUDA_APART, kernel, arguments, dim3((unsigned)(blocks < most ? blocks : most)), dim3(CUDA_BLOCK));
}

/* This thread's place in a picture, or in a matrix whose rows are pixels: all three may be past the end. Neighbouring
 * threads have neighbouring channels, and a thread keeps its own: no division by the number of channels. */
struct cuda_pixel {
    unsigned row, column, channel; /* row: of all images in one count */
};

template <int N> __device__ static inline cuda_pixel cuda_this_pixel()
{
    cuda_pixel p = {blockIdx.x, blockIdx.y * blockDim.y + threadIdx.y, (blockIdx.z * blockDim.x + threadIdx.x) * N};
    return p;
}

/* A thread for each of rows x w pixels and N of their c channels: `one` or `few`, N = CUDA_WIDE, if the pointers are
 * aligned and c is a multiple of it. */
template <typename A>
static void cuda_launch_pixels(const nn_call *call, bool aligned, void (*few)(A), void (*one)(A), const A &arguments,
                               size_t rows, size_t w, size_t c)
{
    if (rows == 0 || w == 0 || c == 0) return;
    bool wide = aligned && c % CUDA_WIDE == 0;
    size_t most = CUDA_BLOCK, across = wide ? c / CUDA_WIDE : c, lanes = across < most ? across : most, deep = most / lanes;
    deep = cuda_divide_up(w, cuda_divide_up(w, deep)); /* no last block for a pixel or two */
    cuda_launch(call, CUDA_APART, wide ? few : one, arguments,
                dim3((unsigned)rows, (unsigned)cuda_divide_up(w, deep), (unsigned)cuda_divide_up(across, lanes)),
                dim3((unsigned)lanes, (unsigned)deep));
}

#endif
