/* See conv_narrow.h. A group of threads goes down a strip of the picture, two rows of the result at a time, with a ring of
 * lines of 64 source pixels in shared memory, of which the next two are always on their way. The two rows are columns of the
 * same products: what a line gives the first of them with one row of taps it gives the second with the row before that, so
 * that the line is read once for both; before the first row of taps and behind the last there are zeros. Shared memory has
 * room for two groups on a multiprocessor. They make a block, for they have the weight in common, but go their own ways: one
 * adds up its sums while the other multiplies. */
#include "nn/cuda/conv_narrow.h"

#include "nn/cuda/launch.h"
#include "nn/cuda/tensor_group.h"

enum {
    LINE = 64, /* source pixels, the rows of a product */
    GROUPS = 2,
    THREADS = GROUPS * TENSOR_GROUP,
    STEP = 2, /* rows of the result */
    MOST_KERNEL = 7,
    RING = MOST_KERNEL - 1 + 2 * STEP, /* lines of a group: of a step and the next one's */
    CHUNK = 8,                         /* granules of a pixel that are there at once */
    COLUMNS = 24,                      /* of a row: taps of a row times channels */
    PITCH = LINE + 4,                  /* floats from column to column of kept sums: a warp's stores meet in no bank */
    LINE_BYTES = LINE * TENSOR_GRANULE_BYTES,
    PLANE_BYTES = RING * LINE_BYTES,
    TAPS_BYTES = COLUMNS * TENSOR_GRANULE_BYTES,
    TAPS_PLANE_BYTES = (MOST_KERNEL + STEP) * TAPS_BYTES,
    WEIGHT_BYTES = CHUNK * TAPS_BYTES, /* of a row of taps in memory */
    LEAST_CHANNELS = 16,
    MOST_CHANNELS = 128, /* a chunk behind another reads and writes the result again */
    BEGIN = 4            /* steps that a group could take in the time it needs to begin, about */
};

static_assert((int)TENSOR_GROUP == STEP * LINE);

struct narrow_shared {
    unsigned char lines[GROUPS][CHUNK * PLANE_BYTES], taps[CHUNK * TAPS_PLANE_BYTES];
    float kept[GROUPS][STEP * COLUMNS * PITCH], bias[COLUMNS];
};

static_assert(sizeof(narrow_shared) <= 227 * 1024);

struct narrow {
    tensor_conv v;
    unsigned steps;                         /* of a group */
    unsigned rows, columns, strip_w, parts; /* parts of an image; pixels of a strip; parts of all images */
    unsigned granules, chunk;
};

__device__ static inline narrow_shared &shared_of_block() { return *(narrow_shared *)(void *)CUDA_SHARED(); }
__device__ static inline unsigned group_of_thread() { return tensor_warp() / (TENSOR_GROUP / 32); }

/* Half of a group to a line; zeros beside the picture and behind the last channel. */
__device__ static inline void copy_lines(const narrow &d, const tensor_tile &t, unsigned first, unsigned count)
{
    const picture &p = d.v.p;
    const unsigned column = threadIdx.x % LINE, end = first + count, granule = d.chunk * CHUNK;
    const tensor_address lines = tensor_shared(shared_of_block().lines[group_of_thread()]);
    const size_t plane = (size_t)p.h * p.w;
    const uint4 *data = (const uint4 *)(const void *)p.data;
    for (unsigned line = first + threadIdx.x % TENSOR_GROUP / LINE; line < end; line += STEP) {
        const bool inside = t.top + line < p.h && t.left + column < p.w;
        const uint4 *from = data;
        if (inside) from += (t.image * d.granules + granule) * plane + (size_t)(t.top + line) * p.w + t.left + column;
        const tensor_address to = lines + line % RING * LINE_BYTES + column * TENSOR_GRANULE_BYTES;
#pragma unroll
        for (unsigned k = 0; k < CHUNK; k++) {
            const bool there = inside && granule + k < d.granules;
            tensor_copy(to + k * PLANE_BYTES, there ? from + k * plane : data, !there);
        }
    }
}

/* Rows of taps from the last to the first, between zeros. */
__device__ static inline void copy_weight(const narrow &d)
{
    enum { ROW = CHUNK * COLUMNS };
    const tensor_address taps = tensor_shared(shared_of_block().taps);
    const uint4 *from = (const uint4 *)d.v.weight + d.chunk * d.v.kh * ROW;
    for (unsigned i = threadIdx.x; i < (d.v.kh + STEP) * ROW; i += THREADS) {
        const unsigned place = i / ROW, row = d.v.kh - place, k = i % ROW / COLUMNS, column = i % COLUMNS;
        const bool there = row < d.v.kh;
        tensor_copy(taps + k * TAPS_PLANE_BYTES + place * TAPS_BYTES + column * TENSOR_GRANULE_BYTES,
                    there ? from + row * ROW + i % ROW : from, !there);
    }
}

typedef tensor_group_sums<STEP * COLUMNS> sums_of_step;

__device__ static inline void multiply(const narrow &d, sums_of_step &sums, unsigned step)
{
    narrow_shared &shared = shared_of_block();
    const tensor_matrix lines =
        tensor_matrix_at(tensor_shared(shared.lines[group_of_thread()]), PLANE_BYTES, 8 * TENSOR_GRANULE_BYTES);
    const tensor_matrix taps = tensor_matrix_at(tensor_shared(shared.taps), TAPS_PLANE_BYTES, 8 * TENSOR_GRANULE_BYTES);
    unsigned slot = step * STEP % RING;
#pragma unroll 1
    for (unsigned row = 0; row <= d.v.kh; row++) {
        const tensor_matrix a = tensor_matrix_moved(lines, slot * LINE_BYTES);
        const tensor_matrix b = tensor_matrix_moved(taps, (d.v.kh - row) * TAPS_BYTES);
        tensor_group_begin();
#pragma unroll
        for (unsigned k = 0; k < CHUNK; k += 2)
            tensor_group_multiply<false>(sums, tensor_matrix_moved(a, k * PLANE_BYTES),
                                         tensor_matrix_moved(b, k * TAPS_PLANE_BYTES));
        slot = slot + 1 < RING ? slot + 1 : 0;
    }
    tensor_group_commit();
    tensor_group_wait<0>();
}

/* To shared memory: (STEP, COLUMNS, PITCH). */
__device__ static inline void keep(const sums_of_step &sums, float *kept)
{
    const unsigned lane = threadIdx.x % 32, warp = threadIdx.x % TENSOR_GROUP / 32;
    float *to = kept + lane % 4 * 2 * PITCH + warp * 16 + lane / 4;
#pragma unroll
    for (unsigned i = 0; i < STEP * COLUMNS / 2; i++) to[(i / 4 * 8 + i % 2) * PITCH + i / 2 % 2 * 8] = sums.part[i];
}

/* A pixel of the result by each thread. */
__device__ static inline void store(const narrow &d, const tensor_tile &t, unsigned step, const float *kept)
{
    const unsigned place = threadIdx.x % TENSOR_GROUP / LINE, x = threadIdx.x % LINE, c = d.v.c;
    const unsigned row = t.top + step * STEP + place, column = t.left + x;
    if (x >= d.strip_w || row >= d.v.h || column >= d.v.w) return;
    const float *bias = shared_of_block().bias, *sums = kept + place * COLUMNS * PITCH + x;
    float *to = d.v.y + ((t.image * d.v.h + row) * d.v.w + column) * c;
#pragma unroll 1
    for (unsigned channel = 0; channel < c; channel++, sums += PITCH) {
        float sum = d.chunk > 0 ? to[channel] : bias[channel];
#pragma unroll
        for (unsigned b = 0; b < MOST_KERNEL; b++)
            if (b < d.v.kw) sum += sums[b * (c * PITCH + 1)];
        to[channel] = sum;
    }
}

/* blockIdx.x: two parts of strips, one for each group. */
static __global__ void __launch_bounds__(THREADS) convolve_narrow(narrow d)
{
    const unsigned group = group_of_thread(), part = blockIdx.x * GROUPS + group;
    const bool any = part < d.parts;
    const tensor_tile t = tensor_tile_at(part, d.rows, d.columns, d.steps * STEP, d.strip_w);
    narrow_shared &shared = shared_of_block();
    cuda_wait_for_others();
    copy_weight(d);
    if (any) copy_lines(d, t, 0, d.v.kh - 1 + STEP);
    tensor_commit();
    if (any && d.steps > 1) copy_lines(d, t, d.v.kh - 1 + STEP, STEP);
    tensor_commit();
    if (threadIdx.x < COLUMNS) shared.bias[threadIdx.x] = tensor_bias(d.v, threadIdx.x);
    tensor_wait<1>();
    tensor_publish();
    __syncthreads();
    if (!any) return;
    for (unsigned step = 0; step < d.steps; step++) {
        sums_of_step sums = {};
        multiply(d, sums, step);
        tensor_groups_meet<1>(group); /* those kept before are stored */
        keep(sums, shared.kept[group]);
        tensor_wait<0>();
        tensor_publish();
        tensor_groups_meet<1>(group); /* sums are kept, the next lines there, and those before them no longer needed */
        if (step + 2 < d.steps) copy_lines(d, t, d.v.kh - 1 + (step + 2) * STEP, STEP);
        tensor_commit();
        store(d, t, step, shared.kept[group]);
    }
}

bool narrow_suits(const nn_call *call, size_t channels, size_t narrow, size_t kh, size_t kw)
{
    return tensor_by_groups(call) && kw * narrow <= COLUMNS && channels >= LEAST_CHANNELS && channels <= MOST_CHANNELS &&
           kh <= MOST_KERNEL && kw <= MOST_KERNEL;
}

/* Steps of a group, two of which run on a multiprocessor: what takes least time for so many strips of so many steps. */
static unsigned steps_of_group(size_t strips, size_t steps, size_t multiprocessors)
{
    size_t best = steps, least = SIZE_MAX;
    for (size_t length = steps; length > 0; length--) {
        const size_t parts = strips * cuda_divide_up(steps, length);
        const size_t time = cuda_divide_up(parts, GROUPS * multiprocessors) * (length + BEGIN);
        if (time < least) least = time, best = length;
    }
    return (unsigned)best;
}

void narrow_conv_run(const nn_call *call, const tensor_conv *conv)
{
    narrow d = {};
    d.v = *conv;
    d.strip_w = LINE - conv->kw + 1, d.columns = (unsigned)cuda_divide_up(conv->w, d.strip_w);
    const size_t steps = cuda_divide_up(conv->h, STEP), strips = (size_t)conv->p.images * d.columns;
    d.steps = steps_of_group(strips, steps, cuda_of(call)->multiprocessors);
    d.rows = (unsigned)cuda_divide_up(steps, d.steps);
    d.parts = (unsigned)strips * d.rows;
    d.granules = conv->p.c / TENSOR_GRANULE;
    for (d.chunk = 0; d.chunk * CHUNK < d.granules; d.chunk++)
        cuda_launch_early(call, convolve_narrow, d, dim3((unsigned)cuda_divide_up(d.parts, GROUPS)), dim3(THREADS),
                          sizeof(narrow_shared));
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
