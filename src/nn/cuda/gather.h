/* From pictures to matrices and back: what makes convolutions products.
 *
 * A convolution relates two grids, that of x and that of y, by taps: element i of x's grid meets element o of y's at tap
 * a where i = stride * o + a - padding. Seen from either grid, a `mapping` tells which element of the other one, the
 * source, meets element d of this one, the destination, at tap a:
 *
 *     source = (d * multiply + sign * a + offset) / divide       if that is whole and on the grid
 */
#ifndef NN_CUDA_GATHER_H
#define NN_CUDA_GATHER_H

#include "nn/cuda/cuda.h"

struct cuda_mapping {
    unsigned source_h, source_w, h, w; /* h, w: the destination's */
    unsigned kh, kw;
    int multiply, sign, offset, divide;
    /* Beside x's grid are its mirrored elements instead of zeros, and stride is 1. With the source on it: they are met. With
     * the destination: what meets a mirrored element is added to what meets the element itself. */
    bool reflect, collect;
};

/* From y's grid (the destination) to x's, and from x's to y's. */
cuda_mapping cuda_mapping_to_x(nn_shape x, nn_shape y, nn_shape weight, const nn_attributes *attr);
cuda_mapping cuda_mapping_to_y(nn_shape x, nn_shape y, nn_shape weight, const nn_attributes *attr);

/* Gathered rows, or folded products of whole pictures, exist a chunk at a time: so many bytes stay in the second-level
 * cache. */
enum { CUDA_CHUNK_BYTES = 24 << 20 };

/* Rows of a chunk: a multiple of 128, or all `rows` where those are fewer. */
size_t cuda_chunk_rows(size_t row_bytes, size_t rows);

/* Whether products of every tap with every source pixel of all images, folded to c channels, are less to write than a
 * gathered matrix of so many bytes; and not so many for one picture that chunks of a gather are better all the same. */
bool cuda_fold_pays(size_t images, size_t source_pixels, size_t taps, size_t c, size_t gathered_bytes);

/* Rows first .. first + count - 1 of the matrix (destination pixels of all images, padded(kh * kw * c)): what each pixel
 * meets, in order of taps, c channels each (with `collect` sums); zeros beside the grid and behind the last. rows: float
 * or bf16. */
void cuda_gather(const nn_call *call, const cuda_mapping *m, const float *source, unsigned c, size_t first,
                 size_t count, void *rows, bool bf16);

/* The reverse: y (images, h, w, c) = sum over taps of products (source pixels of all images, padded(kh * kw * c)), at
 * the places that meet, + bias (c), which may be NULL. */
void cuda_fold(const nn_call *call, const cuda_mapping *m, const float *products, unsigned c, size_t images,
               const float *bias, float *y);

/* (rows, c) of float to (rows, padded(c)) of bf16, padded with zeros. */
void cuda_to_bf16(const nn_call *call, const float *from, size_t rows, size_t c, void *to);

#endif
