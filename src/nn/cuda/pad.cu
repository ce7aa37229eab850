/* Padding of rows and columns with zeros, by reflection, or by the edge; its gradient is the exact adjoint. */
#include "nn/cuda/wide.h"

struct padding {
    const float *x;
    const float *added; /* pad_grad: like y, or NULL */
    float *y;
    unsigned h, w, c;                  /* of the unpadded side */
    unsigned top, left, padded_h, padded_w;
    nn_pad_mode mode;
};

/* Where element i of a padded side comes from, i counted from the first element of the source; -1 for a zero.
 * Reflection leaves the edge out and goes to and fro where the padding is longer than the side. */
__device__ static inline int source_of(int i, int size, nn_pad_mode mode)
{
    int last = size - 1;
    if (i >= 0 && i <= last) return i;
    if (mode == NN_PAD_ZERO) return -1;
    if (mode == NN_PAD_EDGE) return i < 0 ? 0 : last;
    if (last == 0) return 0;
    int distance = (i < 0 ? -i : i) % (2 * last);
    return distance > last ? 2 * last - distance : distance;
}

template <int N> static __global__ void pad(padding p)
{
    cuda_pixel at = cuda_this_pixel<N>();
    if (at.column >= p.padded_w || at.channel >= p.c) return;
    unsigned image = at.row / p.padded_h;
    int row = source_of((int)(at.row % p.padded_h) - (int)p.top, (int)p.h, p.mode),
        column = source_of((int)at.column - (int)p.left, (int)p.w, p.mode);
    cuda_few<N> few = {};
    if (row >= 0 && column >= 0)
        few = cuda_load<N>(p.x + ((image * (size_t)p.h + (unsigned)row) * p.w + (unsigned)column) * p.c + at.channel);
    cuda_store(p.y + (at.row * (size_t)p.padded_w + at.column) * p.c + at.channel, few);
}

/* The places of a padded side that were copied from one element of the source: `at` and those that follow, less than
 * `end`; steps between them are `step` and `other` in turn. */
struct places {
    int at, end, step, other;
};

__device__ static inline void advance(places &v)
{
    int step = v.step;
    v.at += step;
    v.step = v.other;
    v.other = step;
}

/* Mirrors lie 2 at and 2 (last - at) further in turn; where that is 0, the element is its own mirror. */
__device__ static inline places reflected(int at, int last, int before, int padded)
{
    int period = 2 * last, left = 2 * at, right = period - left;
    if (left == 0 || right == 0) left = right = period;
    places v = {at + before, padded, right, left};
    while (v.at >= v.other) { /* back to the first */
        int step = v.other;
        v.at -= step;
        v.other = v.step;
        v.step = step;
    }
    return v;
}

/* before: the padding in front of a side of `size`; padded: all of it. */
__device__ static inline places places_of(unsigned at, unsigned size, unsigned before, unsigned padded, nn_pad_mode mode)
{
    int last = (int)size - 1, place = (int)(at + before);
    if (mode == NN_PAD_REFLECT && last > 0) return reflected((int)at, last, (int)before, (int)padded);
    places v = {place, place + 1, 1, 1};
    if (mode == NN_PAD_ZERO) return v;
    if (at == 0) v.at = 0;
    if ((int)at == last) v.end = (int)padded;
    return v;
}

/* x: dy, padded; y: dx. Each element of dx gathers what was copied from it; another gradient is added last. */
template <int N> static __global__ void pad_grad(padding p)
{
    cuda_pixel at = cuda_this_pixel<N>();
    if (at.column >= p.w || at.channel >= p.c) return;
    unsigned image = at.row / p.h;
    const size_t own = (at.row * (size_t)p.w + at.column) * p.c + at.channel;
    cuda_few<N> sum = {}, added = {}; /* the latter on its way meanwhile */
    if (p.added) added = cuda_load<N>(p.added + own);
    const float *x = p.x + image * (size_t)p.padded_h * p.padded_w * p.c + at.channel;
    places across = places_of(at.column, p.w, p.left, p.padded_w, p.mode);
    for (places i = places_of(at.row % p.h, p.h, p.top, p.padded_h, p.mode); i.at < i.end; advance(i))
        for (places j = across; j.at < j.end; advance(j)) {
            cuda_few<N> few = cuda_load<N>(x + ((unsigned)i.at * (size_t)p.padded_w + (unsigned)j.at) * p.c);
            for (int k = 0; k < N; k++) sum.v[k] += few.v[k];
        }
    for (int k = 0; p.added && k < N; k++) sum.v[k] += added.v[k];
    cuda_store(p.y + own, sum);
}

static padding padding_of(const nn_call *call, nn_shape in, nn_shape out)
{
    padding p = {call->input[0],
                 call->input_count > 1 ? call->input[1] : NULL,
                 call->output[0],
                 (unsigned)in.dim[NN_H],
                 (unsigned)in.dim[NN_W],
                 (unsigned)in.dim[NN_C],
                 (unsigned)call->attr.top,
                 (unsigned)call->attr.left,
                 (unsigned)out.dim[NN_H],
                 (unsigned)out.dim[NN_W],
                 call->attr.mode};
    return p;
}

static bool is_aligned(const padding &p) 
{
    return cuda_aligned(p.x) && cuda_aligned(p.added) && cuda_aligned(p.y);
}

static void run_pad(const nn_call *call)
{
    nn_shape out = call->output_shape[0];
    padding p = padding_of(call, call->input_shape[0], out);
    cuda_launch_pixels(call, is_aligned(p), pad<CUDA_WIDE>, pad<1>, p, out.dim[NN_N] * out.dim[NN_H], p.padded_w, p.c);
}

static void run_pad_grad(const nn_call *call)
{
    nn_shape in = call->output_shape[0];
    padding p = padding_of(call, in, call->input_shape[0]);
    cuda_launch_pixels(call, is_aligned(p), pad_grad<CUDA_WIDE>, pad_grad<1>, p, in.dim[NN_N] * in.dim[NN_H], p.w, p.c);
}

const nn_kernel cuda_pad = {run_pad}, cuda_pad_grad = {run_pad_grad};
