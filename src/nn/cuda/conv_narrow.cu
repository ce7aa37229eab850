/* See conv_narrow.h. A block computes 12 rows of as many pixels as 32 source pixels give: two groups of threads with six rows
 * each, two rows to a product, whose 64 pixels follow on one another in shared memory. Two blocks fit on a multiprocessor,
 * and one copies while the other multiplies. */
#include "nn/cuda/conv_narrow.h"

#include "nn/cuda/launch.h"
#include "nn/cuda/tensor_group.h"

enum {
    SOURCE_W = 32,
    TILE_H = 12,
    PRODUCT_ROWS = 64 / SOURCE_W,
    GROUPS = 2,
    PRODUCTS = TILE_H / PRODUCT_ROWS / GROUPS, /* of a group */
    THREADS = GROUPS * TENSOR_GROUP,
    CHUNK = 8,     /* granules of a pixel that are there at once */
    COLUMNS = 32,  /* of a product: taps of a row times channels */
    ODD = COLUMNS + 1, /* floats from one source pixel's sums to the next one's: no two in the same bank */
    LINE_BYTES = SOURCE_W * TENSOR_GRANULE_BYTES,
    WEIGHT_PLANE = COLUMNS * TENSOR_GRANULE_BYTES,
    WEIGHT_BYTES = CHUNK * WEIGHT_PLANE, /* of a row of taps */
    MOST_KERNEL = 8,
    LEAST_CHANNELS = 16,
    MOST_CHANNELS = 128 /* nothing is copied ahead: with many chunks that would show */
};

struct narrow {
    tensor_conv v;
    unsigned rows, columns, tile_w; /* tiles of an image; pixels of a tile's row */
    unsigned granules, chunks, lines; /* lines: rows of source pixels of a tile */
};

__device__ static inline unsigned plane_bytes(const narrow &d) { return d.lines * LINE_BYTES; }

/* A warp copies a line of a plane; zeros beside the picture and behind the last channel. */
__device__ static inline void copy_pixels(const narrow &d, const tensor_tile &t, unsigned chunk, tensor_address to)
{
    const picture &p = d.v.p;
    unsigned lane = threadIdx.x % 32, column = t.left + lane;
    const uint4 *data = (const uint4 *)(const void *)p.data;
    for (unsigned i = threadIdx.x / 32; i < CHUNK * d.lines; i += THREADS / 32) {
        unsigned granule = chunk * CHUNK + i / d.lines, row = t.top + i % d.lines;
        bool there = granule < d.granules && row < p.h && column < p.w;
        const uint4 *from = data + ((t.image * d.granules + granule) * p.h + row) * p.w + column;
        tensor_copy(to + i * LINE_BYTES + lane * TENSOR_GRANULE_BYTES, there ? from : data, !there);
    }
}

__device__ static inline void copy_weight(const narrow &d, unsigned chunk, tensor_address to)
{
    unsigned count = d.v.kh * (WEIGHT_BYTES / TENSOR_GRANULE_BYTES);
    const uint4 *from = (const uint4 *)d.v.weight + chunk * count;
    for (unsigned i = threadIdx.x; i < count; i += THREADS) tensor_copy(to + i * TENSOR_GRANULE_BYTES, from + i, false);
}

__device__ static inline void multiply(const narrow &d, tensor_group_sums<COLUMNS> (&sums)[PRODUCTS],
                                       tensor_address pixels, tensor_address weights)
{
    unsigned plane = plane_bytes(d), first = threadIdx.x / TENSOR_GROUP * (TILE_H / GROUPS);
    tensor_matrix a = tensor_matrix_at(pixels + first * LINE_BYTES, plane, 8 * TENSOR_GRANULE_BYTES);
    tensor_matrix b = tensor_matrix_at(weights, WEIGHT_PLANE, 8 * TENSOR_GRANULE_BYTES);
#pragma unroll 1
    for (unsigned row = 0; row < d.v.kh; row++) {
        tensor_group_begin();
#pragma unroll
        for (unsigned k = 0; k < CHUNK; k += 2)
#pragma unroll
            for (unsigned i = 0; i < PRODUCTS; i++)
                tensor_group_multiply<false>(sums[i], tensor_matrix_moved(a, k * plane + i * PRODUCT_ROWS * LINE_BYTES),
                                             tensor_matrix_moved(b, k * WEIGHT_PLANE));
        a = tensor_matrix_moved(a, LINE_BYTES);
        b = tensor_matrix_moved(b, WEIGHT_BYTES);
    }
    tensor_group_commit();
    tensor_group_wait<0>();
}

/* To shared memory: (TILE_H, SOURCE_W, ODD). */
__device__ static inline void keep(const tensor_group_sums<COLUMNS> (&sums)[PRODUCTS], float *to)
{
    unsigned group = threadIdx.x / TENSOR_GROUP, lane = threadIdx.x % 32, warp = threadIdx.x % TENSOR_GROUP / 32;
#pragma unroll
    for (unsigned i = 0; i < PRODUCTS; i++)
#pragma unroll
        for (unsigned k = 0; k < COLUMNS / 2; k++) {
            unsigned pixel = (group * PRODUCTS + i) * 64 + warp * 16 + lane / 4 + k / 2 % 2 * 8;
            to[pixel * ODD + k / 4 * 8 + lane % 4 * 2 + k % 2] = sums[i].part[k];
        }
}

__device__ static inline void store(const narrow &d, const tensor_tile &t, const float *from)
{
    unsigned c = d.v.c, count = TILE_H * d.tile_w * c;
    for (unsigned i = threadIdx.x; i < count; i += THREADS) {
        unsigned channel = i % c, column = i / c % d.tile_w, row = i / c / d.tile_w;
        if (t.top + row >= d.v.h || t.left + column >= d.v.w) continue;
        const float *sums = from + (row * SOURCE_W + column) * ODD + channel;
        float sum = d.v.bias ? d.v.bias[channel] : 0;
        for (unsigned b = 0; b < d.v.kw; b++) sum += sums[b * (ODD + c)];
        d.v.y[((t.image * d.v.h + t.top + row) * d.v.w + t.left + column) * c + channel] = sum;
    }
}

/* blockIdx.x: image and tile. */
static __global__ void __launch_bounds__(THREADS, 2) convolve_narrow(narrow d)
{
    tensor_tile t = tensor_tile_at(blockIdx.x, d.rows, d.columns, TILE_H, d.tile_w);
    tensor_address pixels = tensor_shared(CUDA_SHARED()), weights = pixels + CHUNK * plane_bytes(d);
    tensor_group_sums<COLUMNS> sums[PRODUCTS] = {};
    cuda_wait_for_others();
    for (unsigned chunk = 0; chunk < d.chunks; chunk++) {
        if (chunk > 0) __syncthreads();
        copy_weight(d, chunk, weights);
        copy_pixels(d, t, chunk, pixels);
        tensor_commit();
        tensor_wait<0>();
        tensor_publish();
        __syncthreads();
        multiply(d, sums, pixels, weights);
    }
    __syncthreads();
    float *kept = (float *)(void *)CUDA_SHARED();
    keep(sums, kept);
    __syncthreads();
    store(d, t, kept);
}

bool narrow_suits(const nn_call *call, size_t channels, size_t narrow, size_t kh, size_t kw)
{
    return tensor_by_groups(call) && kw * narrow <= COLUMNS && channels >= LEAST_CHANNELS && channels <= MOST_CHANNELS &&
           kh <= MOST_KERNEL && kw <= MOST_KERNEL;
}

void narrow_conv_run(const nn_call *call, const tensor_conv *conv)
{
    const size_t kept = TILE_H * SOURCE_W * ODD * sizeof(float);
    narrow d = {};
    d.v = *conv;
    d.tile_w = SOURCE_W - conv->kw + 1;
    d.rows = (unsigned)cuda_divide_up(conv->h, TILE_H), d.columns = (unsigned)cuda_divide_up(conv->w, d.tile_w);
    d.granules = conv->p.c / TENSOR_GRANULE, d.chunks = (unsigned)cuda_divide_up(d.granules, CHUNK);
    d.lines = TILE_H + conv->kh - 1;
    size_t shared = CHUNK * d.lines * LINE_BYTES + conv->kh * WEIGHT_BYTES + TENSOR_GROUP_SLACK;
    cuda_launch_early(call, convolve_narrow, d, dim3(conv->p.images * d.rows * d.columns), dim3(THREADS),
                       shared > kept ? shared : kept);
}

struct narrowing {
    const float *from;
    __nv_bfloat16 *to;
    unsigned channels, narrow, kh, kw;
    bool out_rows; /* narrow: out */
};

static narrowing narrowing_of(nn_layout layout, nn_shape w)
{
    narrowing r = {};
    r.out_rows = layout == CUDA_OUT_NARROW;
    r.channels = (unsigned)w.dim[r.out_rows ? NN_IN : NN_OUT], r.narrow = (unsigned)w.dim[r.out_rows ? NN_OUT : NN_IN];
    r.kh = (unsigned)w.dim[NN_KH], r.kw = (unsigned)w.dim[NN_KW];
    return r;
}

static unsigned chunks_of(const narrowing &r) { return (unsigned)cuda_divide_up(r.channels, CHUNK * TENSOR_GRANULE); }

size_t narrow_bytes(nn_layout layout, nn_shape w)
{
    narrowing r = narrowing_of(layout, w);
    return (size_t)chunks_of(r) * r.kh * WEIGHT_BYTES;
}

/* blockIdx.x: 64 channels and a row of taps; by numbers in order of the result. */
static __global__ void to_narrow(narrowing r)
{
    enum { COUNT = WEIGHT_BYTES / 2 };
    for (unsigned i = threadIdx.x; i < COUNT; i += CUDA_BLOCK) {
        unsigned column = i / TENSOR_GRANULE % COLUMNS, b = column / r.narrow, narrow = column % r.narrow;
        unsigned granule = blockIdx.x / r.kh * CHUNK + i / (TENSOR_GRANULE * COLUMNS);
        unsigned channel = granule * TENSOR_GRANULE + i % TENSOR_GRANULE, a = blockIdx.x % r.kh;
        float value = 0;
        if (b < r.kw && channel < r.channels) {
            if (!r.out_rows) a = r.kh - 1 - a, b = r.kw - 1 - b;
            size_t pair = r.out_rows ? (size_t)narrow * r.channels + channel : (size_t)channel * r.narrow + narrow;
            value = r.from[(pair * r.kh + a) * r.kw + b];
        }
        r.to[(size_t)blockIdx.x * COUNT + i] = __float2bfloat16(value);
    }
}

void narrow_reorder(const nn_call *call)
{
    narrowing r = narrowing_of(call->output_layout[0], call->input_shape[0]);
    r.from = call->input[0];
    r.to = (__nv_bfloat16 *)(void *)call->output[0];
    cuda_launch(call, CUDA_APART, to_narrow, r, dim3(chunks_of(r) * r.kh), dim3(CUDA_BLOCK));
}
