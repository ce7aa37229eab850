/* The way back from products to pictures: gather.h.
 *
 * Every product is read once, by the pixel that it belongs to. A thread takes four channels of a pixel where it can, and
 * what a pixel reads of a tap is a line of memory or more. Of three channels it would be 12 bytes here and there: there a
 * block brings the taps that a part of a row meets, which lie side by side for each source pixel, to shared memory.
 */
#include "nn/cuda/gather.h"
#include "nn/cuda/wide.h"

struct folding {
    cuda_mapping m;
    const float *products, *bias;
    float *y;
    unsigned c, row;
    /* Of few channels: pixels of a block, source pixels that they meet at most, and rows of taps that fit. */
    unsigned tile, slots;
    int lines;
};

/* What an element meets along one side: `tap` at element `source`, and from there on every `divide`-th tap, each `sign`
 * further on. Sources may lie beside the grid. */
struct meeting {
    int tap, source;
};

__device__ static inline meeting first_met(const cuda_mapping &m, unsigned at)
{
    int place = (int)at * m.multiply + m.offset;
    meeting first = {0, place};
    if (m.divide == 2) { /* sign is -1 where there is something to divide by */
        first.tap = place & 1;
        first.source = (place - first.tap) >> 1;
    } else if (m.divide > 2) {
        first.tap = (place % m.divide + m.divide) % m.divide;
        first.source = (place - first.tap) / m.divide;
    }
    return first;
}

/* The source's element, mirrored where the mapping is; or -1. */
__device__ static inline int on_grid(const cuda_mapping &m, int source, unsigned size)
{
    if (m.reflect) source = source < 0 ? -source : source < (int)size ? source : 2 * ((int)size - 1) - source;
    return source >= 0 && source < (int)size ? source : -1;
}

/* line: of a row of taps at the source's row, from this thread's channel on. */
template <int N>
__device__ static inline cuda_few<N> product_at(const folding &f, const float *line, int source, int tap)
{
    cuda_few<N> zeros = {};
    int x = tap < (int)f.m.kw ? on_grid(f.m, source, f.m.source_w) : -1;
    return x < 0 ? zeros : cuda_load<N>(line + (unsigned)x * (size_t)f.row + (unsigned)tap * f.c);
}

template <int N> static __global__ void fold(folding f)
{
    cuda_pixel p = cuda_this_pixel<N>();
    if (p.column >= f.m.w || p.channel >= f.c) return;
    unsigned image = p.row / f.m.h;
    meeting down = first_met(f.m, p.row % f.m.h), across = first_met(f.m, p.column);
    const float *products = f.products + image * (size_t)f.m.source_h * f.m.source_w * f.row + p.channel;
    cuda_few<N> sum = {};
    if (f.bias) sum = cuda_load<N>(f.bias + p.channel);
#pragma unroll 1
    for (int a = down.tap, i = down.source; a < (int)f.m.kh; a += f.m.divide, i += f.m.sign) {
        int y = on_grid(f.m, i, f.m.source_h);
        if (y < 0) continue;
        const float *line = products + (unsigned)y * (size_t)f.m.source_w * f.row + (unsigned)a * f.m.kw * f.c;
#pragma unroll 1
        for (int b = across.tap, j = across.source; b < (int)f.m.kw; b += 2 * f.m.divide, j += 2 * f.m.sign) {
            cuda_few<N> first = product_at<N>(f, line, j, b), /* both on their way at once */
                        second = product_at<N>(f, line, j + f.m.sign, b + f.m.divide);
            for (int k = 0; k < N; k++) sum.v[k] = sum.v[k] + first.v[k] + second.v[k];
        }
    }
    cuda_store(f.y + (p.row * (size_t)f.m.w + p.column) * f.c + p.channel, sum);
}

enum { STAGE = 6144, /* floats in shared memory: eight blocks on a processor */
       THIN = 16 };  /* channels at most */

/* The first source pixel that elements from `at` on meet. */
__device__ static inline int first_slot(const cuda_mapping &m, unsigned at)
{
    int place = (int)at * m.multiply + m.offset - (m.sign < 0 ? (int)m.kw - 1 : 0);
    return place < 0 ? -(-place / m.divide) : (place + m.divide - 1) / m.divide;
}

/* Products of one row of taps with the slots, zeros beside the grid. from: of the row of taps at the source's row. */
__device__ static inline void bring(const folding &f, const float *from, int first, float *stage)
{
    enum { AT_ONCE = 6 }; /* on their way: 7x7 taps of 3 channels with 70 slots are 1470 */
    unsigned taps = f.m.kw * f.c, size = f.slots * taps, slots_on = CUDA_BLOCK / taps, taps_on = CUDA_BLOCK % taps,
             slot = threadIdx.x / taps, tap = threadIdx.x % taps;
    for (unsigned k = threadIdx.x; k < size; k += AT_ONCE * CUDA_BLOCK) {
        float value[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            int x = slot < f.slots ? on_grid(f.m, first + (int)slot, f.m.source_w) : -1;
            value[i] = x < 0 ? 0 : from[(unsigned)x * (size_t)f.row + tap];
            slot += slots_on;
            tap += taps_on;
            if (tap >= taps) tap -= taps, slot++;
        }
#pragma unroll
        for (unsigned i = 0; i < AT_ONCE; i++)
            if (k + i * CUDA_BLOCK < size) stage[k + i * CUDA_BLOCK] = value[i];
    }
}

/* A thread for each channel of the tile's pixels; all of a block bring products. */
static __global__ void fold_thin(folding f)
{
    __shared__ float stage[STAGE];
    unsigned begin = blockIdx.y * f.tile, column = begin + threadIdx.x / f.c, channel = threadIdx.x % f.c,
             image = blockIdx.x / f.m.h, taps = f.m.kw * f.c, size = f.slots * taps; /* of a line in shared memory */
    bool mine = threadIdx.x < f.tile * f.c && column < f.m.w;
    meeting down = first_met(f.m, blockIdx.x % f.m.h), across = first_met(f.m, column);
    int first = first_slot(f.m, begin);
    const float *products = f.products + image * (size_t)f.m.source_h * f.m.source_w * f.row;
    float sum = f.bias ? f.bias[channel] : 0;
    for (int a = down.tap, i = down.source; a < (int)f.m.kh; a += f.lines * f.m.divide, i += f.lines * f.m.sign) {
        int left = ((int)f.m.kh - 1 - a) / f.m.divide + 1, lines = left < f.lines ? left : f.lines;
        for (int line = 0; line < lines; line++) {
            int y = on_grid(f.m, i + line * f.m.sign, f.m.source_h);
            const float *from = products + (unsigned)(a + line * f.m.divide) * taps;
            if (y >= 0) bring(f, from + (unsigned)y * (size_t)f.m.source_w * f.row, first, stage + line * size);
        }
        __syncthreads();
        for (int line = 0; mine && line < lines; line++) {
            if (on_grid(f.m, i + line * f.m.sign, f.m.source_h) < 0) continue;
            const float *at = stage + line * size + (unsigned)(across.source - first) * taps + channel;
            for (int b = across.tap; b < (int)f.m.kw; b += f.m.divide, at += f.m.sign * (int)taps) sum += at[b * f.c];
        }
        __syncthreads();
    }
    if (mine) f.y[(blockIdx.x * (size_t)f.m.w + column) * f.c + channel] = sum;
}

/* Whether channels are so few, and what a block then takes. */
static bool plan_thin(folding *f)
{
    if (f->c > THIN) return false;
    unsigned tiles = (unsigned)cuda_divide_up(f->m.w, CUDA_BLOCK / f->c);
    f->tile = (unsigned)cuda_divide_up(f->m.w, tiles);
    f->slots = ((f->tile - 1) * (unsigned)f->m.multiply + f->m.kw - 1) / (unsigned)f->m.divide + 1;
    f->lines = (int)(STAGE / (f->slots * f->m.kw * f->c));
    return f->lines > 0;
}

void cuda_fold(const nn_call *call, const cuda_mapping *m, const float *products, unsigned c, size_t images,
               const float *bias, float *y)
{
    folding f = {*m, products, bias, y, c, (unsigned)cuda_padded(m->kh * m->kw * c), 0, 0, 0};
    size_t rows = images * m->h;
    bool aligned = cuda_aligned(products) && cuda_aligned(bias) && cuda_aligned(y);
    if ((c % CUDA_WIDE == 0 && aligned) || !plan_thin(&f))
        cuda_launch_pixels(call, aligned, fold<CUDA_WIDE>, fold<1>, f, rows, m->w, c);
    else if (rows > 0)
        cuda_launch(call, CUDA_TOGETHER, fold_thin, f, dim3((unsigned)rows, (unsigned)cuda_divide_up(m->w, f.tile)),
                    dim3(CUDA_BLOCK));
}
