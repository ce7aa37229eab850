/* Shapes. Every value of the engine has four dimensions and 32-bit floats.
 *
 * Activations are (n, h, w, c): images, rows, columns, channels, contiguous in that order (NHWC).
 * Convolution weights carry PyTorch's order (out, in, kh, kw), transposed ones (in, out, kh, kw); a per-channel
 * vector is (1, 1, 1, c), a scalar (1, 1, 1, 1).
 */
#ifndef NN_TENSOR_H
#define NN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct nn_shape {
    size_t dim[4];
} nn_shape;

/* Names of the dimensions of an activation. */
enum { NN_N = 0, NN_H = 1, NN_W = 2, NN_C = 3 };
/* Names of the dimensions of a convolution's weight. */
enum { NN_OUT = 0, NN_IN = 1, NN_KH = 2, NN_KW = 3 };

static inline nn_shape nn_shape_of(size_t a, size_t b, size_t c, size_t d) { return (nn_shape){{a, b, c, d}}; }
static inline nn_shape nn_shape_vector(size_t c) { return (nn_shape){{1, 1, 1, c}}; }
static inline nn_shape nn_shape_scalar(void) { return (nn_shape){{1, 1, 1, 1}}; }

/* Number of elements. */
static inline size_t nn_count(nn_shape s) { return s.dim[0] * s.dim[1] * s.dim[2] * s.dim[3]; }

static inline bool nn_shape_equal(nn_shape a, nn_shape b)
{
    return a.dim[0] == b.dim[0] && a.dim[1] == b.dim[1] && a.dim[2] == b.dim[2] && a.dim[3] == b.dim[3];
}

/* "1x256x256x3" in `buffer`, which is returned. */
typedef struct nn_shape_text {
    char data[96];
} nn_shape_text;
const char *nn_shape_print(nn_shape s, nn_shape_text *buffer);

#endif
