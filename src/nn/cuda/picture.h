/* Pictures as tensor cores take them: bf16, channels padded with zeros to whole granules of 8, and a border of zeros or of
 * mirrored pixels, so that a convolution reads every tap without asking where it is. A layout of activations: the
 * planner makes one copy for all who want the same.
 */
#ifndef NN_CUDA_PICTURE_H
#define NN_CUDA_PICTURE_H

#include "nn/cuda/cuda.h"

enum { PICTURE_MOST_BORDER = 15 };

typedef struct picture_border {
    unsigned top, left; /* and as much below and to the right; PICTURE_MOST_BORDER at most */
    bool reflect;       /* once: less than the sides */
} picture_border;

/* By pixels: (images, h, w, c). In planes of granules: (images, c / 8, h, w, 8), for kernels that copy a window of each
 * plane to shared memory as it lies. */
typedef enum picture_order { PICTURE_PIXELS, PICTURE_PLANES } picture_order;

typedef struct picture {
    const __nv_bfloat16 *data;
    unsigned images, h, w, c; /* with the border; c padded */
} picture;

nn_layout picture_layout(picture_border border, picture_order order);
bool is_picture_layout(nn_layout layout);
size_t picture_bytes(nn_layout layout, nn_shape shape);

/* Input `number` of a call, which has asked for it in a picture's layout. */
picture picture_of(const nn_call *call, size_t number);

/* A plain picture to one with a border: NN_REORDER. */
void picture_reorder(const nn_call *call);

/* Rows of a matrix: what each pixel of a grid of (images, h, w) meets in the picture, kh x kw pixels from (stride i + top,
 * stride j + left) on, in order of taps, or from the last to the first. `count` rows from pixel `first` on,
 * kh * kw * picture.c numbers each. */
typedef struct picture_grid {
    unsigned h, w, kh, kw, stride, top, left;
    bool backwards;
} picture_grid;

void picture_gather(const nn_call *call, const picture *p, const picture_grid *grid, size_t first, size_t count,
                    void *rows);

#endif
