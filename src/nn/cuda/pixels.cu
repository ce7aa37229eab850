/* Pixels between bytes of the host, which these kernels read and write across the bus, and floats; see pixels.h. Four pixels
 * a thread: a warp asks the bus for 128 bytes at once, and memory for 512. */
#include "nn/cuda/pixels.h"

#include <float.h>

#include "nn/cuda/wide.h"

struct bytes_to_floats {
    const uint8_t *pixels;
    float *floats;
    size_t count;
};

/* No multiply-add can come of it: a division, rounded, and a subtraction. */
__device__ static inline float float_of(uint32_t pixel) { return (float)pixel / 127.5f - 1.0f; }

/* Of memory that nobody has written since the kernel began: the host waits for its end. */
static __global__ void to_floats(bytes_to_floats a)
{
    size_t wide = cuda_aligned(a.pixels) && cuda_aligned(a.floats) ? a.count / CUDA_WIDE : 0;
    for (size_t i = cuda_first(); i < wide; i += cuda_step()) {
        uint32_t four = ((const uint32_t *)(const void *)a.pixels)[i];
        cuda_few<CUDA_WIDE> few;
        for (int k = 0; k < CUDA_WIDE; k++) few.v[k] = float_of(four >> 8 * k & 255);
        cuda_store(a.floats + i * CUDA_WIDE, few);
    }
    for (size_t i = wide * CUDA_WIDE + cuda_first(); i < a.count; i += cuda_step()) a.floats[i] = float_of(a.pixels[i]);
}

cudaError_t cuda_pixels_to_floats(cudaStream_t stream, const uint8_t *pixels, size_t count, float *floats)
{
    bytes_to_floats a = {pixels, floats, count};
    unsigned blocks = cuda_flat_blocks(cuda_divide_up(count, CUDA_WIDE));
    return count == 0 ? cudaSuccess : cuda_launch_in(stream, CUDA_APART, to_floats, a, dim3(blocks), dim3(CUDA_BLOCK));
}

struct bytes_from_floats {
    const float *floats;
    uint8_t *pixels, *others;
    size_t count; /* of an image, which is blockIdx.y */
};

/* The sum is rounded by itself, as the host's is; NaN becomes 0. */
__device__ static inline uint32_t pixel_of(float v)
{
    float value = __fadd_rn((v + 1.0f) * 127.5f, 0.5f);
    return value > 0.0f ? (value < 255.0f ? (uint32_t)value : 255) : 0;
}

__device__ static inline bool is_finite(float v) { return fabsf(v) <= FLT_MAX; }

static __global__ void from_floats(bytes_from_floats a)
{
    const float *floats = a.floats + blockIdx.y * a.count;
    uint8_t *pixels = a.pixels + blockIdx.y * a.count;
    size_t wide = cuda_aligned(floats) && (uintptr_t)pixels % sizeof(uint32_t) == 0 ? a.count / CUDA_WIDE : 0;
    bool finite = true;
    for (size_t i = cuda_first(); i < wide; i += cuda_step()) {
        cuda_few<CUDA_WIDE> few = cuda_load<CUDA_WIDE>(floats + i * CUDA_WIDE);
        uint32_t four = 0;
        for (int k = 0; k < CUDA_WIDE; k++) {
            four |= pixel_of(few.v[k]) << 8 * k;
            finite = finite && is_finite(few.v[k]);
        }
        ((uint32_t *)(void *)pixels)[i] = four;
    }
    for (size_t i = wide * CUDA_WIDE + cuda_first(); i < a.count; i += cuda_step()) {
        pixels[i] = (uint8_t)pixel_of(floats[i]);
        finite = finite && is_finite(floats[i]);
    }
    if (!finite) a.others[blockIdx.y] = 1; /* whoever comes stores the same */
}

cudaError_t cuda_pixels_from_floats(cudaStream_t stream, const float *floats, size_t images, size_t count, uint8_t *pixels,
                                    uint8_t *others)
{
    bytes_from_floats a = {floats, pixels, others, count};
    dim3 grid(cuda_flat_blocks(cuda_divide_up(count, CUDA_WIDE)), (unsigned)images);
    return count == 0 || images == 0 ? cudaSuccess
                                     : cuda_launch_in(stream, CUDA_APART, from_floats, a, grid, dim3(CUDA_BLOCK));
}

struct words_to_memory {
    cuda_words words;
    uint32_t *to;
    unsigned count;
};

static __global__ void store_words(words_to_memory a)
{
    if (threadIdx.x < a.count) a.to[threadIdx.x] = a.words.v[threadIdx.x];
}

cudaError_t cuda_store_words(cudaStream_t stream, const cuda_words *words, size_t count, uint32_t *to)
{
    words_to_memory a = {*words, to, (unsigned)count};
    const unsigned threads = sizeof words->v / sizeof *words->v;
    return count == 0 ? cudaSuccess : cuda_launch_in(stream, CUDA_APART, store_words, a, dim3(1), dim3(threads));
}

struct scalars_to_host {
    const float *from[NN_READ_SCALARS];
    float *to;
    unsigned count;
};

static __global__ void gather_scalars(scalars_to_host a)
{
    if (threadIdx.x < a.count) a.to[threadIdx.x] = *a.from[threadIdx.x];
}

cudaError_t cuda_gather_scalars(cudaStream_t stream, const float *const *from, size_t count, float *to)
{
    scalars_to_host a = {{}, to, (unsigned)count};
    for (size_t i = 0; i < count; i++) a.from[i] = from[i];
    return count == 0 ? cudaSuccess : cuda_launch_in(stream, CUDA_APART, gather_scalars, a, dim3(1), dim3(NN_READ_SCALARS));
}
