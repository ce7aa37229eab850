/* Sums over the pixels of each channel, of tensors (images, pixels, c).
 *
 * A block takes a chunk of pixels of up to 16 N channels: sixteen threads across, N neighbouring channels each (wide.h),
 * and sixteen rows of them, which go through the pixels. Chunks follow from the shape of one image alone, and sums are
 * trees or in order: the same bits each time, and for an image in a batch those that it has alone. No sum is longer than
 * a few dozen terms before it becomes a term itself, so that float is enough.
 */
#ifndef NN_CUDA_COLUMNS_H
#define NN_CUDA_COLUMNS_H

#include "nn/cuda/wide.h"

/* COLUMNS_BLOCKS: two on each processor of the largest device; more chunks would only have to be added up. */
enum { COLUMNS_LANES = 16, COLUMNS_DEEP = 16, COLUMNS_LEAST = 64, COLUMNS_BLOCKS = 256 };

/* There are two blocks for a processor, and registers for no more: enough to keep all loads of a thread on their way. */
#define COLUMNS_BOUNDS __launch_bounds__(COLUMNS_LANES * COLUMNS_DEEP, 2)

struct columns {
    size_t images, pixels, c;
    size_t chunk;  /* pixels of a chunk; the last one's may be fewer */
    size_t chunks; /* of an image */
};

static inline columns columns_of(size_t images, size_t pixels, size_t c)
{
    size_t groups = cuda_divide_up(c, COLUMNS_LANES * CUDA_WIDE), chunk = COLUMNS_LEAST;
    while (groups * cuda_divide_up(pixels, chunk) > COLUMNS_BLOCKS && chunk < pixels) chunk *= 2;
    columns v = {images, pixels, c, chunk, cuda_divide_up(pixels, chunk)};
    return v;
}

template <int N, typename A>
static void columns_launch(const nn_call *call, void (*kernel)(A), const A &arguments, const columns &v, size_t chunks)
{
    dim3 grid((unsigned)cuda_divide_up(v.c, COLUMNS_LANES * N), (unsigned)chunks, (unsigned)v.images);
    cuda_launch(call, CUDA_TOGETHER, kernel, arguments, grid, dim3(COLUMNS_LANES, COLUMNS_DEEP));
}

/* This thread's first channel, which may be past the last. */
template <int N> __device__ static inline size_t columns_channel()
{
    return (blockIdx.x * COLUMNS_LANES + threadIdx.x) * (size_t)N;
}

/* This thread's pixels: from, in steps of COLUMNS_DEEP, to less than; none where there is no channel. */
__device__ static inline size_t columns_first(const columns &v) { return blockIdx.y * v.chunk + threadIdx.y; }
__device__ static inline size_t columns_end(const columns &v, size_t channel)
{
    size_t end = (blockIdx.y + 1) * v.chunk;
    return channel >= v.c ? 0 : end < v.pixels ? end : v.pixels;
}

/* Pixels of a chunk; none of one that is not there. */
__device__ static inline float columns_count(const columns &v, size_t chunk)
{
    if (chunk >= v.chunks) return 0;
    size_t rest = v.pixels - chunk * v.chunk;
    return (float)(rest < v.chunk ? rest : v.chunk);
}

/* COUNT of this thread's pixels or chunks, from p, on their way at once: a loop with a sum in it would wait for each.
 * Zeros from `end` on. from: at the channel, floats or halves; stride: of these from one to the next. */
template <int N, int COUNT, typename T>
__device__ static inline void columns_load(const T *from, size_t stride, size_t p, size_t end,
                                           cuda_few<N> (&value)[COUNT])
{
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        cuda_few<N> zeros = {};
        value[i] = p + i * COLUMNS_DEEP < end ? cuda_load<N>(from + (p + i * COLUMNS_DEEP) * stride) : zeros;
    }
}

template <int N, int M> struct columns_shared {
    cuda_few<N> value[M][COLUMNS_DEEP][COLUMNS_LANES];
};

/* Adds up M values of each column of a block's threads; all of them get the sums, in place of their values. */
template <int N, int M>
__device__ static inline void columns_sum(cuda_few<N> (&sum)[M], columns_shared<N, M> &shared)
{
    unsigned x = threadIdx.x, y = threadIdx.y;
    for (int m = 0; m < M; m++) shared.value[m][y][x] = sum[m];
    __syncthreads();
    for (unsigned half = COLUMNS_DEEP / 2; half > 0; half /= 2) {
        for (int m = 0; y < half && m < M; m++)
            for (int k = 0; k < N; k++) shared.value[m][y][x].v[k] += shared.value[m][y + half][x].v[k];
        __syncthreads();
    }
    for (int m = 0; m < M; m++) sum[m] = shared.value[m][0][x];
    __syncthreads();
}

/* Adds up chunks of (chunks, M, c). */
template <int N, int M>
__device__ static inline void columns_total(const columns &v, const float *partial, size_t channel, cuda_few<N> (&sum)[M],
                                            columns_shared<N, M> &shared)
{
    enum { AT_ONCE = 4 };
    size_t chunks = channel < v.c ? v.chunks : 0;
    for (int m = 0; m < M; m++) sum[m] = {};
    for (size_t chunk = threadIdx.y; chunk < chunks; chunk += AT_ONCE * COLUMNS_DEEP) {
        cuda_few<N> term[M][AT_ONCE];
        for (int m = 0; m < M; m++) columns_load(partial + m * v.c + channel, M * v.c, chunk, chunks, term[m]);
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            for (int m = 0; m < M; m++)
                for (int k = 0; k < N; k++) sum[m].v[k] += term[m][i].v[k];
    }
    columns_sum(sum, shared);
}

#endif
