/* Sums over the pixels of each channel, of tensors (images, pixels, c).
 *
 * A block of 32 x 8 threads takes 32 channels of a chunk of pixels: neighbouring threads read neighbouring channels,
 * and rows of threads go through the pixels. Chunks follow from the shape alone, and their sums are added in order, in
 * double, by a second kernel: the same bits each time.
 */
#ifndef NN_CUDA_COLUMNS_H
#define NN_CUDA_COLUMNS_H

#include "nn/cuda/launch.h"

enum { COLUMNS_WIDE = 32, COLUMNS_DEEP = 8, COLUMNS_CHUNKS = 64, COLUMNS_LEAST = 64 };

struct columns {
    size_t images, pixels, c;
    size_t chunk;  /* pixels of a chunk; the last one's may be fewer */
    size_t chunks; /* of an image */
};

static inline columns columns_of(size_t images, size_t pixels, size_t c)
{
    size_t chunk = cuda_divide_up(pixels, COLUMNS_CHUNKS);
    if (chunk < COLUMNS_LEAST) chunk = COLUMNS_LEAST;
    columns v = {images, pixels, c, chunk, cuda_divide_up(pixels, chunk)};
    return v;
}

static inline dim3 columns_grid(const columns *v)
{
    return dim3((unsigned)cuda_divide_up(v->c, COLUMNS_WIDE), (unsigned)v->chunks, (unsigned)v->images);
}

static inline dim3 columns_block(void) { return dim3(COLUMNS_WIDE, COLUMNS_DEEP); }

/* This thread's channel, which may be past the last. */
__device__ static inline size_t columns_channel() { return blockIdx.x * COLUMNS_WIDE + threadIdx.x; }
__device__ static inline size_t columns_begin(const columns &v) { return blockIdx.y * v.chunk; }
__device__ static inline size_t columns_end(const columns &v)
{
    size_t end = (blockIdx.y + 1) * v.chunk;
    return end < v.pixels ? end : v.pixels;
}

/* Adds up a column of a block's threads; the first row of threads gets the sum. */
__device__ static inline float columns_fold(float value, float (*shared)[COLUMNS_WIDE])
{
    shared[threadIdx.y][threadIdx.x] = value;
    __syncthreads();
    float sum = 0;
    if (threadIdx.y == 0)
        for (int i = 0; i < COLUMNS_DEEP; i++) sum += shared[i][threadIdx.x];
    __syncthreads();
    return sum;
}

#endif
