/* The operations: their numbers and attributes. Each has a file in ops/ (documentation, shape rule, gradient rule)
 * and one per backend.
 *
 * Three convolution operations are closed under differentiation: the gradient of conv2d with respect to its input is
 * conv2d_data_grad, and a transposed convolution *is* conv2d_data_grad of its input (PyTorch stores its weight as
 * (in, out, kh, kw), which is the (out, in, kh, kw) of the convolution it transposes).
 */
#ifndef NN_OP_H
#define NN_OP_H

#include "nn/tensor.h"

enum { NN_MAX_INPUTS = 8, NN_MAX_OUTPUTS = 3, NN_DRAWS = 8 /* of a picture, for augment */ };

typedef enum nn_op {
    /* Products. */
    NN_CONV2D,             /* x, w[, bias] -> y[, moments (n,parts,3,c), where fuse.c asks for them: of each part of an
                              image's pixels how many there are, their mean, the sum of squares about it] */
    NN_CONV2D_DATA_GRAD,   /* dy, w[, bias] -> dx[, moments]; also the transposed convolution, whose bias is fused here */
    NN_CONV2D_WEIGHT_GRAD, /* x, dy -> dw */
    NN_GRAM,               /* x (n,h,w,c) -> (n,1,c,c): scale * sum over pixels of x_i x_j */
    NN_GRAM_GRAD,          /* x, dg -> dx */
    /* Per channel. */
    NN_BIAS,               /* x, b (1,1,1,c) -> x + b */
    NN_BIAS_GRAD,          /* dy -> (1,1,1,c) sum over n, h, w */
    NN_INSTANCE_NORM,      /* x[, r][, x's moments] -> y, statistics (n,1,2,c)[, y]: mean, 1/sqrt(variance + eps); activation
                              may be fused, and behind it the addition of r, like x; layout.c may ask for y in two layouts */
    NN_INSTANCE_NORM_GRAD, /* x, statistics, dy -> dx; activation may be fused */
    /* Elementwise. */
    NN_ACTIVATION,      /* x -> y */
    NN_ACTIVATION_GRAD, /* y, dy -> dx */
    NN_ADD,             /* a, b -> a + b */
    NN_MULTIPLY,        /* a, b -> a * b */
    NN_SCALE,           /* x -> scale * x */
    /* Moving values. */
    NN_PAD,       /* x -> y, modes zero, reflect (repeated if need be), edge */
    NN_PAD_GRAD,  /* dy[, s] -> dx: every padded element added to its source; the addition of s, like dx, may be fused */
    NN_CONCAT,    /* a, b, ... -> y along n or c */
    NN_SLICE,     /* x -> y: [begin, begin + extent) along n or c */
    NN_SLICE_GRAD,/* dy -> dx: zero outside the slice */
    NN_COPY,      /* x -> x */
    NN_AUGMENT,   /* x, draws (m,1,1,8) -> y: colour, shift, a hole, by the draws of each picture from row begin on */
    NN_AUGMENT_GRAD, /* dy, draws -> dx */
    NN_REORDER,   /* x in one physical layout -> another; inserted by the planner only */
    /* Resampling. */
    NN_RESIZE_NEAREST,       /* x -> y, by an integer factor */
    NN_RESIZE_NEAREST_GRAD,  /* dy -> dx */
    NN_RESIZE_BILINEAR,      /* x -> y of attr.shape (align_corners false, no antialiasing) */
    NN_RESIZE_BILINEAR_GRAD, /* dy -> dx */
    NN_MAX_POOL,             /* x -> y, window kernel, stride; ceil_mode */
    NN_MAX_POOL_GRAD,        /* x, dy -> dx: to the first maximum of each window in row order */
    NN_AVERAGE_POOL,         /* x -> y, window inside the image only */
    NN_AVERAGE_POOL_GRAD,    /* dy -> dx */
    /* Losses, each a scalar; the gradients take the scalar's gradient as last input. */
    NN_MEAN_ABS,             /* a[, b] -> mean |a - b|, or |a - target| */
    NN_MEAN_ABS_GRAD,        /* a[, b], dl -> da */
    NN_MEAN_SQUARE,          /* a[, b] -> mean (a - b)^2, or (a - target)^2 */
    NN_MEAN_SQUARE_GRAD,     /* a[, b], dl -> da */
    NN_BCE_LOGITS,           /* x -> mean of max(x,0) - x*target + log(1 + exp(-|x|)) */
    NN_BCE_LOGITS_GRAD,      /* x, dl -> dx */
    NN_TOTAL_VARIATION,      /* x -> scale * sum (dx^2 + dy^2 + eps)^(exponent/2) */
    NN_TOTAL_VARIATION_GRAD, /* x, dl -> dx */
    NN_CONSTANT,             /* -> a value filled with `scale` */
    /* Effects: they change memory that outlives the program, and run after all else, in the order of appending. */
    NN_SQUARED_NORM, /* g -> scalar sum of g^2 (accumulated in double) */
    NN_ALL_FINITE,   /* scalars... -> 1 if all are finite, else 0 */
    NN_ADAM,         /* p, g, m, v, rates (1,1,1,2), flag, norm2 -> changes p, m, v unless flag is 0 */
    NN_EMA,          /* average, p, rate (scalar), flag -> average += rate * (p - average) unless flag is 0 */
    /* Changes memory, and has a result. */
    NN_POOL_SWAP,    /* pool (k,h,w,c), x (n,h,w,c), decision (1,1,1,n) -> y (n,h,w,c); changes pool */
    NN_OP_COUNT
} nn_op;

typedef enum nn_activation { NN_LINEAR = 0, NN_RELU, NN_LEAKY_RELU, NN_TANH, NN_SIGMOID } nn_activation;
typedef enum nn_pad_mode { NN_PAD_ZERO = 0, NN_PAD_REFLECT, NN_PAD_EDGE } nn_pad_mode;

/* One struct for all operations; each uses the fields that its line names. Sizes are in elements. */
typedef struct nn_attributes {
    size_t stride, padding;                               /* convolutions (zeros, all four sides), pools */
    size_t kernel;                                        /* pools */
    bool ceil_mode;                                       /* max_pool */
    nn_pad_mode mode;                                     /* pad; convolutions that fuse.c joined to one */
    size_t top, bottom, left, right;                      /* pad */
    size_t axis, begin, extent;                           /* concat, slice: axis is NN_N or NN_C; slice_grad: extent is
                                                             the whole length of its result; augment: the hole's side */
    size_t factor;                                        /* resize_nearest; a conv2d that fuse.c joined to one by 2 */
    nn_activation activation;                             /* activation; fused into instance_norm and its gradient */
    bool has_moments;                                     /* instance_norm: its last input is x's moments */
    float slope;                                          /* leaky_relu, below zero */
    float epsilon;                                        /* instance_norm, adam, total_variation */
    float scale, target, exponent;                        /* scale, gram, constant; losses; total_variation */
    double beta1, beta2;                                  /* adam: doubles, so that 1 - beta2 is right */
    float clip;                                           /* adam; clip: greatest norm of the gradient, 0 for none */
    nn_shape shape;                                       /* the result, where inputs do not determine it */
    uint32_t from_layout, to_layout;                      /* reorder */
} nn_attributes;

/* "conv2d", "instance_norm_grad", ... */
const char *nn_op_name(nn_op op);

#endif
