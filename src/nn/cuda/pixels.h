/* Kernels of transfers: pixels as base/pixels.h has them, with the same bits, in pinned memory of the host; a few numbers. */
#ifndef NN_CUDA_PIXELS_H
#define NN_CUDA_PIXELS_H

#include "nn/cuda/cuda.h"

/* pixels: pinned. */
cudaError_t cuda_pixels_to_floats(cudaStream_t stream, const uint8_t *pixels, size_t count, float *floats);
/* floats: `images` of `count` each. others: pinned, 0 for each image; 1 is stored where one has a NaN or an infinity. */
cudaError_t cuda_pixels_from_floats(cudaStream_t stream, const float *floats, size_t images, size_t count, uint8_t *pixels,
                                    uint8_t *others);

/* 256 bytes: they go with a kernel's arguments. */
typedef struct cuda_words {
    uint32_t v[64];
} cuda_words;
/* The first `count` of them to `to`, which are the kernel's by value: free when this returns. */
cudaError_t cuda_store_words(cudaStream_t stream, const cuda_words *words, size_t count, uint32_t *to);
/* from: NN_READ_SCALARS at most. to: pinned. */
cudaError_t cuda_gather_scalars(cudaStream_t stream, const float *const *from, size_t count, float *to);

#endif
