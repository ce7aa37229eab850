/* conv_tensor.h's convolution on Hopper: blocks of 16x8 pixels times 64 or 128 channels of the result, two groups of
 * threads with 8x8 pixels each.
 *
 * As in conv_tensor.cu a block reads the pixels that its taps meet into shared memory once for 64 channels, and the weight
 * tap by tap. The eight pixels beside one another that a product takes as rows are neighbours in a plane of granules,
 * from whatever pixel a tap begins. Copies are what bounds this kernel: in another order than that of shared memory they
 * took three times as long as the products (H200), so pictures come in planes and weights in blocks.
 *
 * Products of a tap run beside the copies for later ones: weights are asked for AHEAD taps before they are wanted, into
 * memory whose products are done since the barrier before.
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
    COPIES = THREADS / CHUNK, /* pixels of a plane that a block copies at once: a warp for each plane */
    ROWS = 64,                /* channels of the result in a block of the weight */
    PLANE_BYTES = ROWS * TENSOR_GRANULE_BYTES,
    BLOCK_BYTES = CHUNK * PLANE_BYTES
};

struct grouped {
    tensor_conv v;
    unsigned rows, columns;    /* tiles of an image */
    unsigned granules, chunks; /* of a pixel of the picture */
    unsigned halo_w, halo_pixels;
    unsigned slices_each; /* of COPIES pixels, that a tap's time has to copy */
};

__host__ __device__ static inline unsigned halo_plane(const grouped &d)
{
    return d.halo_pixels * TENSOR_GRANULE_BYTES;
}

__host__ __device__ static inline unsigned halo_buffers(const grouped &d) { return d.chunks > 1 ? 2 : 1; }

/* A tap of a chunk, in the order in which they are multiplied. */
struct step {
    unsigned chunk, tap, a, b;
    __device__ void advance(const grouped &d)
    {
        tap++;
        if (++b < d.v.kw) return;
        b = 0;
        if (++a < d.v.kh) return;
        a = tap = 0;
        chunk++;
    }
};

/* One block's place and memory. */
template <int columns> struct tile {
    enum { BLOCKS = columns / ROWS, STAGE_BYTES = BLOCKS * BLOCK_BYTES };
    const grouped &d;
    size_t image;
    unsigned top, left, first; /* first: channel of the result */
    unsigned part, lane;              /* the plane that this thread copies, and its first pixel */
    tensor_address halo, weights;
    const int *offsets;    /* in shared memory: of the halo's pixels in a plane; -1: beside it */
    const uint4 *planes;   /* of the image */
    const uint4 *blocks;   /* of the weight, those of the first 64 channels */

    __device__ tile(const grouped &v) : d(v)
    {
        tensor_tile at = tensor_tile_at(blockIdx.x, d.rows, d.columns, TILE_H, TILE_W);
        image = at.image, top = at.top, left = at.left;
        first = blockIdx.y * columns;
        part = threadIdx.x / COPIES;
        lane = threadIdx.x % COPIES;
        unsigned char *shared = CUDA_SHARED() + STAGES * STAGE_BYTES;
        weights = tensor_shared(CUDA_SHARED());
        halo = tensor_shared(shared);
        offsets = (const int *)(const void *)(shared + halo_buffers(d) * CHUNK * halo_plane(d));
        planes = (const uint4 *)(const void *)d.v.p.data + image * d.granules * d.v.p.h * d.v.p.w;
        blocks = (const uint4 *)d.v.weight + blockIdx.y * BLOCKS * block_step();
    }

    /* Granules from the weight of 64 channels to that of the next. */
    __device__ size_t block_step() const
    {
        return (size_t)d.chunks * d.v.kh * d.v.kw * (BLOCK_BYTES / TENSOR_GRANULE_BYTES);
    }

    /* Before a barrier. */
    __device__ void place_halo() const
    {
        const picture &p = d.v.p;
        int *to = const_cast<int *>(offsets);
        for (unsigned pixel = threadIdx.x; pixel < d.halo_pixels; pixel += THREADS) {
            unsigned i = top + pixel / d.halo_w, j = left + pixel % d.halo_w;
            to[pixel] = i < p.h && j < p.w ? (int)(i * p.w + j) : -1;
        }
    }

    /* Pixels begin .. end - 1, in units of COPIES, of those that the taps meet, 64 channels of them; zeros where there are
     * none. */
    __device__ void copy_halo(unsigned chunk, unsigned begin, unsigned end) const
    {
        unsigned number = chunk * CHUNK + part, pixel = begin * COPIES + lane;
        tensor_address to = halo + (chunk % 2 * CHUNK + part) * halo_plane(d) + pixel * TENSOR_GRANULE_BYTES;
        const uint4 *plane = planes + (size_t)number * d.v.p.h * d.v.p.w;
        for (unsigned i = begin; i < end && pixel < d.halo_pixels; i++) {
            int offset = offsets[pixel];
            bool there = offset >= 0 && number < d.granules;
            tensor_copy(to, there ? plane + offset : planes, !there);
            pixel += COPIES;
            to += COPIES * TENSOR_GRANULE_BYTES;
        }
    }

    /* The weight of one tap for 64 channels, as it lies; zeros for 64 channels of the result that are not there. */
    __device__ void copy_weight(const step &s, unsigned stage) const
    {
        enum { GRANULES = BLOCK_BYTES / TENSOR_GRANULE_BYTES };
        unsigned taps = d.v.kh * d.v.kw, tap = d.v.backwards ? taps - 1 - s.tap : s.tap;
        const uint4 *from = blocks + (size_t)(s.chunk * taps + tap) * GRANULES + threadIdx.x;
        tensor_address to = weights + stage * STAGE_BYTES + threadIdx.x * TENSOR_GRANULE_BYTES;
#pragma unroll
        for (unsigned block = 0; block < BLOCKS; block++) {
            bool there = first + block * ROWS < d.v.c;
#pragma unroll
            for (unsigned i = 0; i < GRANULES; i += THREADS)
                tensor_copy(to + block * BLOCK_BYTES + i * TENSOR_GRANULE_BYTES,
                            there ? from + block * block_step() + i : from, !there);
        }
    }

    /* sums += this group's pixels, moved by a tap, times the tap's weight. */
    __device__ void multiply(tensor_group_sums<ROWS> *sums, const step &s, unsigned stage) const
    {
        unsigned group = threadIdx.x / TENSOR_GROUP, plane = halo_plane(d);
        unsigned pixel = (group * (TILE_H / GROUPS) + s.a) * d.halo_w + s.b;
        tensor_matrix pixels = tensor_matrix_at(halo + s.chunk % 2 * CHUNK * plane + pixel * TENSOR_GRANULE_BYTES, plane,
                                                d.halo_w * TENSOR_GRANULE_BYTES);
        tensor_matrix weight = tensor_matrix_at(weights + stage * STAGE_BYTES, PLANE_BYTES, 8 * TENSOR_GRANULE_BYTES);
        tensor_group_begin();
#pragma unroll
        for (unsigned k = 0; k < CHUNK; k += 2)
#pragma unroll
            for (unsigned block = 0; block < BLOCKS; block++)
                tensor_group_multiply<false>(sums[block], tensor_matrix_moved(pixels, k * plane),
                                             tensor_matrix_moved(weight, block * BLOCK_BYTES + k * PLANE_BYTES));
        tensor_group_commit();
    }

    __device__ void store(const tensor_group_sums<ROWS> *sums) const
    {
        unsigned warp = threadIdx.x / 32;
#pragma unroll
        for (unsigned half = 0; half < 2; half++) {
            unsigned row = top + warp * 2 + half, column = left + lane / 4;
            if (row >= d.v.h || column >= d.v.w) continue;
            float *y = d.v.y + ((image * d.v.h + row) * d.v.w + column) * d.v.c;
#pragma unroll
            for (unsigned j = 0; j < columns / 8; j++)
                tensor_store_pair(d.v, y, first + j * 8 + lane % 4 * 2, sums[j / 8].part[j % 8 * 4 + half * 2],
                           sums[j / 8].part[j % 8 * 4 + half * 2 + 1]);
        }
    }
};

/* blockIdx.x: image and tile; blockIdx.y: channels of the result. The next chunk's pixels are copied during the taps of the
 * one before, but for the first tap, when the memory is still multiplied, and the last, when they would come too late. */
template <int columns> static __global__ void __launch_bounds__(THREADS) convolve_grouped(grouped d)
{
    const tile<columns> t(d);
    tensor_group_sums<ROWS> sums[columns / ROWS] = {};
    const unsigned taps = d.v.kh * d.v.kw, iterations = d.chunks * taps;
    const unsigned slices = (d.halo_pixels + COPIES - 1) / COPIES;
    step now = {}, later = {};
    unsigned stage = 0, later_stage = 0;
    t.place_halo();
    __syncthreads();
    t.copy_halo(0, 0, slices);
    for (unsigned i = 0; i < AHEAD; i++) {
        if (i < iterations) t.copy_weight(later, later_stage++);
        later.advance(d);
        tensor_commit();
    }
    for (unsigned i = 0; i < iterations; i++) {
        tensor_wait<AHEAD - 1>();
        tensor_publish();
        __syncthreads();
        t.multiply(sums, now, stage);
        if (i + AHEAD < iterations) t.copy_weight(later, later_stage);
        if (now.tap >= 1 && now.chunk + 1 < d.chunks) {
            unsigned begin = (now.tap - 1) * d.slices_each, end = begin + d.slices_each;
            t.copy_halo(now.chunk + 1, begin, end < slices ? end : slices);
        }
        tensor_commit();
        later.advance(d);
        now.advance(d);
        if (++later_stage == STAGES) later_stage = 0;
        if (++stage == STAGES) stage = 0;
        tensor_group_wait<1>();
    }
    tensor_group_wait<0>();
    t.store(sums);
}

static unsigned shared_bytes(const grouped &d, unsigned columns)
{
    return halo_buffers(d) * CHUNK * halo_plane(d) + STAGES * columns / ROWS * BLOCK_BYTES +
           d.halo_pixels * (unsigned)sizeof(int);
}

void tensor_conv_run_grouped(const nn_call *call, const tensor_conv *conv)
{
    grouped d = {};
    d.v = *conv;
    d.rows = (unsigned)cuda_divide_up(conv->h, TILE_H), d.columns = (unsigned)cuda_divide_up(conv->w, TILE_W);
    d.granules = conv->p.c / TENSOR_GRANULE, d.chunks = (unsigned)cuda_divide_up(d.granules, CHUNK);
    d.halo_w = TILE_W + conv->kw - 1, d.halo_pixels = (TILE_H + conv->kh - 1) * d.halo_w;
    d.slices_each = (unsigned)cuda_divide_up(cuda_divide_up(d.halo_pixels, COPIES), conv->kh * conv->kw - AHEAD);
    size_t tiles = (size_t)conv->p.images * d.rows * d.columns;
    bool broad = conv->c > ROWS && tiles * cuda_divide_up(conv->c, 128) >= cuda_of(call)->multiprocessors;
    unsigned columns = broad ? 128 : 64;
    cuda_launch_shared(call, broad ? convolve_grouped<128> : convolve_grouped<64>, d,
                       dim3((unsigned)tiles, (unsigned)cuda_divide_up(conv->c, columns)), dim3(THREADS),
                       shared_bytes(d, columns));
}
