/* Writing pictures (picture.h): where a place of one has its numbers from, and granules. For kernels. */
#ifndef NN_CUDA_PICTURE_FRAME_H
#define NN_CUDA_PICTURE_FRAME_H

#include "nn/cuda/picture.h"
#include "nn/cuda/tensor.h"
#include "nn/cuda/wide.h"

/* Eight numbers, 16 bytes. */
struct granule {
    uint4 bits;
};

struct picture_frame {
    granule *to;
    unsigned source_h, source_w, c; /* of the plain picture */
    unsigned h, w, granules;        /* with the border; granules of a pixel */
    picture_border border;
    bool planes;
};

/* Output 0 of a call that writes it in a picture's layout. */
picture_frame picture_frame_of(const nn_call *call);

/* The plain picture's row or column, or -1 where a border has zeros. */
__device__ static inline int picture_source(const picture_frame &f, unsigned at, unsigned border, unsigned size)
{
    int place = (int)at - (int)border;
    if (place >= 0 && place < (int)size) return place;
    return !f.border.reflect ? -1 : place < 0 ? -place : 2 * ((int)size - 1) - place;
}

__device__ static inline granule granule_of(const cuda_few<TENSOR_GRANULE> &few)
{
    const float *v = few.v;
    granule g = {{tensor_pair(v[0], v[1]), tensor_pair(v[2], v[3]), tensor_pair(v[4], v[5]), tensor_pair(v[6], v[7])}};
    return g;
}

/* A granule's numbers; zeros past the last of `channels`, which counts from `from` on. wide: all are there, aligned to
 * 16 bytes. */
template <bool wide>
__device__ static inline cuda_few<TENSOR_GRANULE> granule_load(const cuda_half *from, unsigned channels)
{
    cuda_few<TENSOR_GRANULE> few = {};
    if (wide) {
        few = cuda_load<TENSOR_GRANULE>(from);
    } else {
#pragma unroll
        for (unsigned k = 0; k < TENSOR_GRANULE; k++)
            if (k < channels) few.v[k] = cuda_load<1>(from + k).v[0];
    }
    return few;
}

template <bool wide>
__device__ static inline cuda_few<TENSOR_GRANULE> granule_load(const float *from, unsigned channels)
{
    cuda_few<TENSOR_GRANULE> few = {};
    if (wide) {
        cuda_few<CUDA_WIDE> low = cuda_load<CUDA_WIDE>(from), high = cuda_load<CUDA_WIDE>(from + CUDA_WIDE);
#pragma unroll
        for (unsigned k = 0; k < CUDA_WIDE; k++) few.v[k] = low.v[k], few.v[CUDA_WIDE + k] = high.v[k];
    } else {
#pragma unroll
        for (unsigned k = 0; k < TENSOR_GRANULE; k++)
            if (k < channels) few.v[k] = from[k];
    }
    return few;
}

#endif
