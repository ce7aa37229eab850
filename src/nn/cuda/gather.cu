#include "nn/cuda/gather.h"

#include "nn/cuda/tensor.h"
#include "nn/cuda/wide.h"

size_t cuda_chunk_rows(size_t row_bytes, size_t rows)
{
    enum { STEP = 128 };
    size_t chunk = CUDA_CHUNK_BYTES / row_bytes / STEP * STEP;
    if (chunk < STEP) chunk = STEP;
    return chunk < rows ? chunk : rows;
}

bool cuda_fold_pays(size_t images, size_t source_pixels, size_t taps, size_t c, size_t gathered_bytes)
{
    const size_t greatest = (size_t)1 << 30; /* bytes of one picture */
    size_t folded = source_pixels * cuda_padded(taps * c) * sizeof(float);
    return folded < gathered_bytes && folded / images <= greatest;
}

static cuda_mapping mapping_of(nn_shape source, nn_shape destination, nn_shape weight)
{
    cuda_mapping m = {};
    m.source_h = (unsigned)source.dim[NN_H];
    m.source_w = (unsigned)source.dim[NN_W];
    m.h = (unsigned)destination.dim[NN_H];
    m.w = (unsigned)destination.dim[NN_W];
    m.kh = (unsigned)weight.dim[NN_KH];
    m.kw = (unsigned)weight.dim[NN_KW];
    return m;
}

cuda_mapping cuda_mapping_to_x(nn_shape x, nn_shape y, nn_shape weight, const nn_attributes *attr)
{
    cuda_mapping m = mapping_of(x, y, weight);
    m.multiply = (int)attr->stride;
    m.sign = 1;
    m.offset = -(int)attr->padding;
    m.divide = 1;
    m.reflect = attr->mode == NN_PAD_REFLECT;
    return m;
}

cuda_mapping cuda_mapping_to_y(nn_shape x, nn_shape y, nn_shape weight, const nn_attributes *attr)
{
    cuda_mapping m = mapping_of(y, x, weight);
    m.multiply = 1;
    m.sign = -1;
    m.offset = (int)attr->padding;
    m.divide = (int)attr->stride;
    m.collect = attr->mode == NN_PAD_REFLECT;
    return m;
}

/* The source's element, or -1. */
__device__ static inline int met(const cuda_mapping &m, unsigned at, unsigned tap, unsigned size)
{
    int place = (int)at * m.multiply + m.sign * (int)tap + m.offset;
    if (m.reflect) return place < 0 ? -place : place < (int)size ? place : 2 * ((int)size - 1) - place;
    if (place < 0 || (m.divide > 1 && place % m.divide != 0)) return -1;
    place /= m.divide;
    return place < (int)size ? place : -1;
}

/* With `collect`: the source's element that meets element `at`, or the one beside the grid before its first or behind its
 * last element of which that is the mirror; or -1. last: of the destination. */
enum { ITSELF, BEFORE, BEHIND, WAYS };

__device__ static inline int met_by(int way, const cuda_mapping &m, unsigned at, unsigned tap, unsigned size, unsigned last)
{
    if ((way == BEFORE && at == 0) || (way == BEHIND && at == last)) return -1; /* no mirror of itself */
    int place = way == ITSELF ? (int)at : way == BEFORE ? -(int)at : 2 * (int)last - (int)at;
    int source = place - (int)tap + m.offset;
    return source >= 0 && source < (int)size ? source : -1;
}

struct gathering {
    cuda_mapping m;
    const float *source;
    void *rows;
    unsigned c, row; /* row: elements with the padding */
    size_t first;
};

__device__ static inline void store(float *to, float value) { *to = value; }
__device__ static inline void store(__nv_bfloat16 *to, float value) { *to = __float2bfloat16(value); }

/* channel: that of the image's first pixel; i, j: the destination's element; a, b: the tap. */
__device__ static inline float collected(const gathering &g, const float *channel, unsigned i, unsigned j, unsigned a,
                                         unsigned b)
{
    float sum = 0;
    for (int down = ITSELF; down < WAYS; down++) {
        int y = met_by(down, g.m, i, a, g.m.source_h, g.m.h - 1);
        for (int across = ITSELF; y >= 0 && across < WAYS; across++) {
            int x = met_by(across, g.m, j, b, g.m.source_w, g.m.w - 1);
            if (x >= 0) sum += channel[((size_t)y * g.m.source_w + (unsigned)x) * g.c];
        }
    }
    return sum;
}

/* blockIdx.x: the pixel, counted from the first of this matrix. */
template <typename T> static __global__ void gather(gathering g)
{
    size_t pixel = g.first + blockIdx.x, line = pixel / g.m.w, image = line / g.m.h;
    unsigned i = (unsigned)(line % g.m.h), j = (unsigned)(pixel % g.m.w);
    const float *source = g.source + image * g.m.source_h * g.m.source_w * g.c;
    T *to = (T *)g.rows + blockIdx.x * (size_t)g.row;
    for (unsigned k = cuda_row_first(), end = cuda_row_end(g.row); k < end; k += CUDA_BLOCK) {
        unsigned tap = k / g.c, a = tap / g.m.kw, b = tap % g.m.kw;
        if (g.m.collect) {
            store(to + k, a < g.m.kh ? collected(g, source + k % g.c, i, j, a, b) : 0);
            continue;
        }
        int y = a < g.m.kh ? met(g.m, i, a, g.m.source_h) : -1, x = met(g.m, j, b, g.m.source_w);
        store(to + k, y < 0 || x < 0 ? 0 : source[((size_t)y * g.m.source_w + (unsigned)x) * g.c + k % g.c]);
    }
}

void cuda_gather(const nn_call *call, const cuda_mapping *m, const float *source, unsigned c, size_t first,
                 size_t count, void *rows, bool bf16)
{
    gathering g = {*m, source, rows, c, (unsigned)cuda_padded(m->kh * m->kw * c), first};
    cuda_launch_rows(call, bf16 ? gather<__nv_bfloat16> : gather<float>, g, count, g.row);
}

struct conversion {
    const float *from;
    __nv_bfloat16 *to;
    size_t count; /* of results */
    unsigned c, padded;
};

static __global__ void convert(conversion v)
{
    for (size_t i = cuda_first(); i < v.count; i += cuda_step()) {
        size_t row = i / v.padded;
        unsigned channel = (unsigned)(i % v.padded);
        v.to[i] = __float2bfloat16(channel < v.c ? v.from[row * v.c + channel] : 0);
    }
}

/* Nothing to pad, so rows do not matter: four numbers a thread. */
static __global__ void convert_fours(conversion v)
{
    for (size_t i = cuda_first(); i < v.count / 4; i += cuda_step()) {
        float4 from = ((const float4 *)(const void *)v.from)[i];
        uint2 to = {tensor_pair(from.x, from.y), tensor_pair(from.z, from.w)};
        ((uint2 *)(void *)v.to)[i] = to;
    }
}

void cuda_to_bf16(const nn_call *call, const float *from, size_t rows, size_t c, void *to)
{
    size_t padded = cuda_padded(c);
    conversion v = {from, (__nv_bfloat16 *)to, rows * padded, (unsigned)c, (unsigned)padded};
    bool whole = padded == c && cuda_aligned(from);
    cuda_launch_flat(call, whole ? convert_fours : convert, v, whole ? v.count / 4 : v.count);
}
