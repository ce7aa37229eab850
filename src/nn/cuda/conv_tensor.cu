/* Convolution and data gradient, stride 1, by blocks of 8x16 pixels times 64 or 128 channels of the result.
 *
 * Per 64 channels of the picture a block reads its pixels and the border that its taps meet into shared memory once, and
 * multiplies them by the weight of tap after tap; a gathered matrix would be as many times larger as there are taps. Copies
 * run STAGES - 1 taps ahead. 8 rows of a matrix that a load wants are neighbouring pixels or channels of the result; their
 * granules lie in turned order, so that they are in different banks.
 *
 * Operations: 2 h w c taps p.c. Bytes from the second-level cache, a block: its part of the picture 1.4 times (3x3) and
 * 64 or 128 rows of the weight once: what bounds it after the tensor cores.
 */
#include "nn/cuda/conv_tensor.h"

#include "nn/cuda/launch.h"
#include "nn/cuda/tensor.h"

enum {
    TILE_H = 8,
    TILE_W = 16,
    CHUNK = 8, /* granules of a pixel that are there at once */
    STAGES = 4,
    WARP_ROWS = 4,    /* of pixels: 4 fragments of 16 */
    WARP_COLUMNS = 32, /* channels of the result */
    LEAST_CHANNELS = 32,
    MOST_SHARED = 96 << 10 /* with 64 channels of the result: less than any device has for a block */
};

struct direct {
    tensor_conv v;
    unsigned rows, columns;         /* tiles of an image */
    unsigned granules, chunks;      /* of a pixel of the picture */
    unsigned halo_w, halo_pixels;
};

__device__ static inline unsigned turned(unsigned row, unsigned granule)
{
    return (row * CHUNK + (granule ^ (row % CHUNK))) * TENSOR_GRANULE_BYTES;
}

static unsigned halo_bytes(const direct &d) { return d.halo_pixels * CHUNK * TENSOR_GRANULE_BYTES; }
static unsigned stage_bytes(int columns) { return (unsigned)columns * CHUNK * TENSOR_GRANULE_BYTES; }

static unsigned shared_bytes(const direct &d, int columns)
{
    return (d.chunks > 1 ? 2 : 1) * halo_bytes(d) + STAGES * stage_bytes(columns);
}

/* One block's place and memory. columns: channels of the result; 2 x columns threads. */
template <int columns> struct tile {
    enum { THREADS = 2 * columns };
    const direct &d;
    size_t image;
    unsigned top, left, first; /* first: channel of the result */
    tensor_address halo, weights;
    unsigned halo_size;

    __device__ tile(const direct &v) : d(v)
    {
        tensor_tile at = tensor_tile_at(blockIdx.x, d.rows, d.columns, TILE_H, TILE_W);
        image = at.image, top = at.top, left = at.left;
        first = blockIdx.y * columns;
        halo_size = d.halo_pixels * CHUNK * TENSOR_GRANULE_BYTES;
        halo = tensor_shared(CUDA_SHARED());
        weights = halo + (d.chunks > 1 ? 2 : 1) * halo_size;
    }

    /* The pixels that the taps meet, 64 channels of them; zeros where there are none. */
    __device__ void copy_halo(unsigned chunk) const
    {
        const picture &p = d.v.p;
        const uint4 *from = (const uint4 *)(const void *)p.data + image * p.h * p.w * d.granules;
        tensor_address to = halo + chunk % 2 * halo_size;
        unsigned part = threadIdx.x % CHUNK, number = chunk * CHUNK + part;
        for (unsigned pixel = threadIdx.x / CHUNK; pixel < d.halo_pixels; pixel += THREADS / CHUNK) {
            unsigned i = pixel / d.halo_w, j = pixel - i * d.halo_w, row = top + i, column = left + j;
            bool there = row < p.h && column < p.w && number < d.granules;
            tensor_copy(to + turned(pixel, part), there ? from + ((size_t)row * p.w + column) * d.granules + number : from,
                        !there);
        }
    }

    /* The weight of one tap for 64 channels. */
    __device__ void copy_weight(unsigned iteration) const
    {
        unsigned taps = d.v.kh * d.v.kw, chunk = iteration / taps, tap = iteration - chunk * taps;
        if (d.v.backwards) tap = taps - 1 - tap;
        const uint4 *from = (const uint4 *)d.v.weight;
        tensor_address to = weights + iteration % STAGES * columns * CHUNK * TENSOR_GRANULE_BYTES;
        unsigned part = threadIdx.x % CHUNK, number = chunk * CHUNK + part;
#pragma unroll
        for (unsigned row = threadIdx.x / CHUNK; row < columns; row += THREADS / CHUNK) {
            bool there = first + row < d.v.c && number < d.granules;
            const uint4 *at = from + ((size_t)(first + row) * taps + tap) * d.granules + number;
            tensor_copy(to + turned(row, part), there ? at : from, !there);
        }
    }

    /* sums += pixels of the halo from (a, b) on, times the weight of a tap. */
    __device__ void multiply(tensor_sums (*sums)[4], unsigned iteration, unsigned chunk, unsigned a, unsigned b) const
    {
        unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warp_row = warp % 2 * WARP_ROWS;
        tensor_address pixels = halo + chunk % 2 * halo_size;
        tensor_address weight = weights + iteration % STAGES * columns * CHUNK * TENSOR_GRANULE_BYTES;
        unsigned pixel = (warp_row + a) * d.halo_w + b + lane % 16;
        unsigned row = warp / 2 * WARP_COLUMNS + lane / 16 * 8 + lane % 8;
#pragma unroll
        for (unsigned k = 0; k < CHUNK; k += 2) {
            tensor_fragment of_weight[2], of_pixels;
#pragma unroll
            for (unsigned j = 0; j < 2; j++)
                of_weight[j] = tensor_load(weight + turned(row + j * 16, k + lane / 8 % 2));
#pragma unroll
            for (unsigned i = 0; i < WARP_ROWS; i++) {
                of_pixels = tensor_load(pixels + turned(pixel + i * d.halo_w, k + lane / 16));
#pragma unroll
                for (unsigned j = 0; j < 4; j++)
                    tensor_multiply(sums[i][j], of_pixels, of_weight[j / 2], (int)(j % 2));
            }
        }
    }

    __device__ void store(const tensor_sums (*sums)[4]) const
    {
        unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (unsigned i = 0; i < WARP_ROWS; i++)
#pragma unroll
            for (unsigned half = 0; half < 2; half++) {
                unsigned row = top + warp % 2 * WARP_ROWS + i, column = left + lane / 4 + 8 * half;
                if (row >= d.v.h || column >= d.v.w) continue;
                const size_t pixel = (image * d.v.h + row) * d.v.w + column;
#pragma unroll
                for (unsigned j = 0; j < 4; j++) {
                    const unsigned channel = first + warp / 2 * WARP_COLUMNS + j * 8 + lane % 4 * 2;
                    const float *own = &sums[i][j].part[2 * half];
                    tensor_store_pair(d.v, pixel, channel, own[0] + tensor_bias(d.v, channel),
                                      own[1] + tensor_bias(d.v, channel + 1));
                }
            }
    }
};

/* blockIdx.x: image and tile; blockIdx.y: channels of the result. */
template <int columns> static __global__ void __launch_bounds__(2 * columns) convolve(direct d)
{
    const tile<columns> t(d);
    tensor_sums sums[WARP_ROWS][4] = {};
    const unsigned taps = d.v.kh * d.v.kw, iterations = d.chunks * taps;
    t.copy_halo(0);
    for (unsigned i = 0; i < STAGES - 1; i++) {
        if (i < iterations) t.copy_weight(i);
        tensor_commit();
    }
    unsigned chunk = 0, a = 0, b = 0;
    for (unsigned i = 0; i < iterations; i++) {
        tensor_wait<STAGES - 2>();
        __syncthreads();
        if (i + STAGES - 1 < iterations) t.copy_weight(i + STAGES - 1);
        if (a == 0 && b == 0 && chunk + 1 < d.chunks) t.copy_halo(chunk + 1);
        tensor_commit();
        t.multiply(sums, i, chunk, a, b);
        if (++b < d.v.kw) continue;
        b = 0;
        if (++a < d.v.kh) continue;
        a = 0;
        chunk++;
    }
    t.store(sums);
}

static unsigned halo_pixels(size_t kh, size_t kw) { return (unsigned)((TILE_H + kh - 1) * (TILE_W + kw - 1)); }

/* A kernel of fewer taps than stages would want its pixels before they are asked for. */
bool tensor_conv_suits(size_t from, size_t to, size_t kh, size_t kw)
{
    return from >= LEAST_CHANNELS && to >= LEAST_CHANNELS && kh * kw >= STAGES && kh < TILE_H && kw < TILE_W &&
           2 * halo_pixels(kh, kw) * CHUNK * TENSOR_GRANULE_BYTES + stage_bytes(64) * STAGES <= MOST_SHARED;
}

void tensor_conv_run(const nn_call *call, const tensor_conv *conv)
{
    if (cuda_has_groups(cuda_of(call))) {
        tensor_conv_run_grouped(call, conv);
        return;
    }
    direct d = {};
    d.v = *conv;
    d.rows = (unsigned)cuda_divide_up(conv->h, TILE_H), d.columns = (unsigned)cuda_divide_up(conv->w, TILE_W);
    d.granules = conv->p.c / TENSOR_GRANULE, d.chunks = (unsigned)cuda_divide_up(d.granules, CHUNK);
    d.halo_w = TILE_W + conv->kw - 1, d.halo_pixels = halo_pixels(conv->kh, conv->kw);
    size_t tiles = (size_t)conv->p.images * d.rows * d.columns;
    bool broad = conv->c > 64 && tiles * cuda_divide_up(conv->c, 128) >= cuda_of(call)->multiprocessors &&
                 shared_bytes(d, 128) <= cuda_of(call)->shared_bytes;
    int columns = broad ? 128 : 64;
    cuda_launch_shared(call, broad ? convolve<128> : convolve<64>, d,
                       dim3((unsigned)tiles, (unsigned)cuda_divide_up(conv->c, (size_t)columns)),
                       dim3(2 * (unsigned)columns), shared_bytes(d, columns));
}
