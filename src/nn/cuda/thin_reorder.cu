/* Weights of conv_thin.h from plain order (out, in, kh, kw), and sums to it. */
#include "nn/cuda/conv_thin.h"
#include "nn/cuda/launch.h"
#include "nn/cuda/tensor.h"

struct thinning {
    const float *from;
    void *to;
    unsigned wide, thin, kh, kw; /* channels */
    bool out_rows;               /* wide: out */
};

bool is_thin_layout(nn_layout layout) { return layout >= CUDA_OUT_THIN && layout <= CUDA_IN_THIN_SUMS; }

static thinning thinning_of(nn_layout layout, nn_shape w)
{
    thinning t = {};
    t.out_rows = layout == CUDA_OUT_THIN || layout == CUDA_OUT_THIN_SUMS;
    t.wide = (unsigned)w.dim[t.out_rows ? NN_OUT : NN_IN], t.thin = (unsigned)w.dim[t.out_rows ? NN_IN : NN_OUT];
    t.kh = (unsigned)w.dim[NN_KH], t.kw = (unsigned)w.dim[NN_KW];
    return t;
}

size_t thin_bytes(nn_layout layout, nn_shape w)
{
    thinning t = thinning_of(layout, w);
    bool sums = layout == CUDA_OUT_THIN_SUMS || layout == CUDA_IN_THIN_SUMS;
    size_t rows = sums ? t.wide : cuda_divide_up(t.wide, THIN_ROWS) * THIN_ROWS;
    return rows * t.kh * THIN_TAPS * TENSOR_GRANULE * (sums ? sizeof(float) : sizeof(__nv_bfloat16));
}

/* Where the weight of a wide and a thin channel at a tap lies in plain order; -1: that is padding. */
__device__ static inline ptrdiff_t plain_place(const thinning &t, unsigned wide, unsigned a, unsigned b, unsigned narrow)
{
    if (wide >= t.wide || b >= t.kw || narrow >= t.thin) return -1;
    if (!t.out_rows) a = t.kh - 1 - a, b = t.kw - 1 - b;
    size_t pair = t.out_rows ? (size_t)wide * t.thin + narrow : (size_t)narrow * t.wide + wide;
    return (ptrdiff_t)((pair * t.kh + a) * t.kw + b);
}

/* blockIdx.x: 64 wide channels and a row of taps; by numbers in order of the result. */
static __global__ void to_thin(thinning t)
{
    unsigned a = blockIdx.x % t.kh, first = blockIdx.x / t.kh * THIN_ROWS;
    enum { COUNT = THIN_TAPS * THIN_ROWS * TENSOR_GRANULE };
    __nv_bfloat16 *to = (__nv_bfloat16 *)t.to + (size_t)blockIdx.x * COUNT;
    for (unsigned i = threadIdx.x; i < COUNT; i += CUDA_BLOCK) {
        unsigned narrow = i % TENSOR_GRANULE, wide = first + i / TENSOR_GRANULE % THIN_ROWS;
        ptrdiff_t place = plain_place(t, wide, a, i / (TENSOR_GRANULE * THIN_ROWS), narrow);
        to[i] = __float2bfloat16(place < 0 ? 0 : t.from[place]);
    }
}

/* blockIdx.x: a wide channel. */
static __global__ void from_thin(thinning t)
{
    unsigned count = t.kh * THIN_TAPS * TENSOR_GRANULE;
    const float *from = t.from + (size_t)blockIdx.x * count;
    for (unsigned i = threadIdx.x; i < count; i += CUDA_BLOCK) {
        unsigned tap = i / TENSOR_GRANULE;
        ptrdiff_t place = plain_place(t, blockIdx.x, tap / THIN_TAPS, tap % THIN_TAPS, i % TENSOR_GRANULE);
        if (place >= 0) ((float *)t.to)[place] = from[i];
    }
}

void thin_reorder(const nn_call *call)
{
    nn_layout from = call->input_layout[0], to = call->output_layout[0];
    thinning t = thinning_of(from ? from : to, call->input_shape[0]);
    t.from = call->input[0];
    t.to = call->output[0];
    if (from)
        cuda_launch(call, CUDA_APART, from_thin, t, dim3(t.wide), dim3(CUDA_BLOCK));
    else
        cuda_launch(call, CUDA_APART, to_thin, t, dim3((unsigned)cuda_divide_up(t.wide, THIN_ROWS) * t.kh), dim3(CUDA_BLOCK));
}
