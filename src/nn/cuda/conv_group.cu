/* conv_tensor.h's convolution on Hopper: blocks of 16x8 pixels times 64 or 128 channels of the result, two groups of
 * threads with 8x8 pixels each.
 *
 * As in conv_tensor.cu a block reads the pixels that its taps meet into shared memory once for 64 channels, and the weight
 * tap by tap. Granules of one place in all pixels' channels are a plane: the eight pixels beside one another that a product takes
 * as rows are neighbours there, from whatever pixel a tap begins. Planes are an odd number of granules, so that the eight
 * granules of a pixel go to different banks.
 *
 * Products of a tap run while the next one's are prepared: weights are asked for STAGES - 2 taps ahead, into memory whose
 * products are done since the barrier before.
 */
#include "nn/cuda/conv_tensor.h"

#include "nn/cuda/launch.h"
#include "nn/cuda/tensor_group.h"

enum {
    TILE_H = 16,
    TILE_W = 8,
    CHUNK = 8, /* granules of a pixel that are there at once: 64 channels */
    STAGES = 4,
    AHEAD = STAGES - 2,
    GROUPS = 2,
    THREADS = GROUPS * TENSOR_GROUP,
    COPIES = THREADS / CHUNK, /* pixels or channels that a block copies at once */
    MULTIPROCESSORS = 132
};

struct grouped {
    tensor_conv v;
    unsigned rows, columns;    /* tiles of an image */
    unsigned granules, chunks; /* of a pixel of the picture */
    unsigned halo_w, halo_pixels;
};

__host__ __device__ static inline unsigned halo_plane(const grouped &d)
{
    return (d.halo_pixels | 1) * TENSOR_GRANULE_BYTES;
}

__host__ __device__ static inline unsigned weight_plane(unsigned columns) { return (columns + 1) * TENSOR_GRANULE_BYTES; }

/* A tap of a chunk, in the order in which they are multiplied. */
struct step {
    unsigned chunk, a, b;
    __device__ void advance(const grouped &d)
    {
        if (++b < d.v.kw) return;
        b = 0;
        if (++a < d.v.kh) return;
        a = 0;
        chunk++;
    }
};

/* One block's place and memory. */
template <int columns> struct tile {
    const grouped &d;
    unsigned image, top, left, first; /* first: channel of the result */
    tensor_address halo, weights;

    __device__ tile(const grouped &v) : d(v)
    {
        unsigned tiles = d.rows * d.columns, at = blockIdx.x % tiles;
        image = blockIdx.x / tiles;
        top = at / d.columns * TILE_H;
        left = at % d.columns * TILE_W;
        first = blockIdx.y * columns;
        halo = tensor_shared(CUDA_SHARED());
        weights = halo + (d.chunks > 1 ? 2 : 1) * CHUNK * halo_plane(d);
    }

    /* The pixels that the taps meet, 64 channels of them; zeros where there are none. */
    __device__ void copy_halo(unsigned chunk) const
    {
        const picture &p = d.v.p;
        const uint4 *from = (const uint4 *)(const void *)p.data + (size_t)image * p.h * p.w * d.granules;
        unsigned part = threadIdx.x % CHUNK, number = chunk * CHUNK + part;
        tensor_address to = halo + (chunk % 2 * CHUNK + part) * halo_plane(d);
        for (unsigned pixel = threadIdx.x / CHUNK; pixel < d.halo_pixels; pixel += COPIES) {
            unsigned i = pixel / d.halo_w, j = pixel - i * d.halo_w, row = top + i, column = left + j;
            bool there = row < p.h && column < p.w && number < d.granules;
            tensor_copy(to + pixel * TENSOR_GRANULE_BYTES,
                        there ? from + ((size_t)row * p.w + column) * d.granules + number : from, !there);
        }
    }

    /* The weight of one tap for 64 channels. */
    __device__ void copy_weight(const step &s, unsigned stage) const
    {
        unsigned taps = d.v.kh * d.v.kw, tap = s.a * d.v.kw + s.b;
        if (d.v.backwards) tap = taps - 1 - tap;
        const uint4 *from = (const uint4 *)d.v.weight;
        unsigned part = threadIdx.x % CHUNK, number = s.chunk * CHUNK + part;
        tensor_address to = weights + (stage * CHUNK + part) * weight_plane(columns);
#pragma unroll
        for (unsigned row = threadIdx.x / CHUNK; row < columns; row += COPIES) {
            bool there = first + row < d.v.c && number < d.granules;
            const uint4 *at = from + ((size_t)(first + row) * taps + tap) * d.granules + number;
            tensor_copy(to + row * TENSOR_GRANULE_BYTES, there ? at : from, !there);
        }
    }

    /* sums += this group's pixels, moved by a tap, times the tap's weight. */
    __device__ void multiply(tensor_group_sums<columns> &sums, const step &s, unsigned stage) const
    {
        unsigned group = threadIdx.x / TENSOR_GROUP, plane = halo_plane(d);
        unsigned pixel = (group * (TILE_H / GROUPS) + s.a) * d.halo_w + s.b;
        tensor_matrix pixels = tensor_matrix_at(halo + s.chunk % 2 * CHUNK * plane + pixel * TENSOR_GRANULE_BYTES, plane,
                                                d.halo_w * TENSOR_GRANULE_BYTES);
        tensor_matrix weight = tensor_matrix_at(weights + stage * CHUNK * weight_plane(columns), weight_plane(columns),
                                                8 * TENSOR_GRANULE_BYTES);
        tensor_group_begin();
#pragma unroll
        for (unsigned k = 0; k < CHUNK; k += 2)
            tensor_group_multiply<false>(sums, tensor_matrix_moved(pixels, k * plane),
                                         tensor_matrix_moved(weight, k * weight_plane(columns)));
        tensor_group_commit();
    }

    __device__ void store_pair(float *y, unsigned channel, float low, float high) const
    {
        if (d.v.bias && channel < d.v.c) low += d.v.bias[channel];
        if (d.v.bias && channel + 1 < d.v.c) high += d.v.bias[channel + 1];
        if (d.v.c % 2 == 0 && channel < d.v.c) {
            float2 both = {low, high};
            *(float2 *)(void *)(y + channel) = both;
            return;
        }
        if (channel < d.v.c) y[channel] = low;
        if (channel + 1 < d.v.c) y[channel + 1] = high;
    }

    __device__ void store(const tensor_group_sums<columns> &sums) const
    {
        unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            unsigned row = top + warp * 2 + half, column = left + lane / 4;
            if (row >= d.v.h || column >= d.v.w) continue;
            float *y = d.v.y + (((size_t)image * d.v.h + row) * d.v.w + column) * d.v.c;
#pragma unroll
            for (unsigned j = 0; j < columns / 8; j++)
                store_pair(y, first + j * 8 + lane % 4 * 2, sums.part[j * 4 + half * 2], sums.part[j * 4 + half * 2 + 1]);
        }
    }
};

/* blockIdx.x: image and tile; blockIdx.y: channels of the result. */
template <int columns> static __global__ void __launch_bounds__(THREADS) convolve_grouped(grouped d)
{
    const tile<columns> t(d);
    tensor_group_sums<columns> sums = {};
    const unsigned taps = d.v.kh * d.v.kw, iterations = d.chunks * taps;
    step now = {}, later = {};
    unsigned stage = 0, later_stage = 0;
    t.copy_halo(0);
    for (unsigned i = 0; i < AHEAD; i++) {
        if (i < iterations) t.copy_weight(later, later_stage++);
        later.advance(d);
        tensor_commit();
    }
    for (unsigned i = 0; i < iterations; i++) {
        tensor_wait<AHEAD - 1>();
        tensor_publish();
        __syncthreads();
        if (i + AHEAD < iterations) t.copy_weight(later, later_stage);
        if (++later_stage == STAGES) later_stage = 0;
        later.advance(d);
        if (now.a * d.v.kw + now.b == 1 && now.chunk + 1 < d.chunks) t.copy_halo(now.chunk + 1);
        tensor_commit();
        t.multiply(sums, now, stage);
        tensor_group_wait<1>();
        now.advance(d);
        if (++stage == STAGES) stage = 0;
    }
    tensor_group_wait<0>();
    t.store(sums);
}

static unsigned shared_bytes(const grouped &d, unsigned columns)
{
    return (d.chunks > 1 ? 2 : 1) * CHUNK * halo_plane(d) + STAGES * CHUNK * weight_plane(columns);
}

void tensor_conv_run_grouped(const nn_call *call, const tensor_conv *conv)
{
    grouped d = {};
    d.v = *conv;
    d.rows = (unsigned)cuda_divide_up(conv->h, TILE_H), d.columns = (unsigned)cuda_divide_up(conv->w, TILE_W);
    d.granules = conv->p.c / TENSOR_GRANULE, d.chunks = (unsigned)cuda_divide_up(d.granules, CHUNK);
    d.halo_w = TILE_W + conv->kw - 1, d.halo_pixels = (TILE_H + conv->kh - 1) * d.halo_w;
    size_t tiles = (size_t)conv->p.images * d.rows * d.columns;
    bool broad = tiles * cuda_divide_up(conv->c, 128) >= MULTIPROCESSORS;
    unsigned columns = broad ? 128 : 64;
    cuda_launch_shared(call, broad ? convolve_grouped<128> : convolve_grouped<64>, d,
                       dim3((unsigned)tiles, (unsigned)cuda_divide_up(conv->c, columns)), dim3(THREADS),
                       shared_bytes(d, columns));
}
