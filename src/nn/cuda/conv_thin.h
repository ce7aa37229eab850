/* Convolutions of stride 1 between a thin picture, of one granule of channels, and a wide one, on Hopper: first and last
 * layers. What is summed over together is not channels but neighbouring taps: with eight channels to a pixel, the pixels
 * beside one another that the taps of a row meet are the granules that follow on one another.
 *
 * Weights are (wide / 64, kh, 8, 64, 8) of bf16: for 64 wide channels, a row of taps and each of eight taps a plane of
 * granules of thin channels. Sums are (wide, kh, 8, 8) of float. Behind the last tap of a row, and the last channel, both
 * have zeros. In the layouts of rows "in" taps are counted from the last, as a data gradient meets them.
 */
#ifndef NN_CUDA_CONV_THIN_H
#define NN_CUDA_CONV_THIN_H

#include "nn/cuda/conv_tensor.h"

enum { THIN_TAPS = 8, THIN_ROWS = 64 };

/* A layer from `thin` channels to `wide`, or its data gradient the other way about. */
bool thin_suits(const nn_call *call, size_t thin, size_t wide, size_t kh, size_t kw);

/* conv->weight in the layout above. p: the thin picture. */
void thin_conv_run(const nn_call *call, const tensor_conv *conv);
/* As tensor_conv_parts. */
size_t thin_conv_parts(const tensor_conv *conv);

/* sums: over h x w pixels (i, j) of every image of the wide picture's (i + top, j + left) times the thin one's
 * (i + a, j + b). wide_c: its channels without padding. Both in planes. */
typedef struct thin_weight_grad {
    picture wide, thin;
    float *sums;
    unsigned h, w, wide_c, top, left, kh;
} thin_weight_grad;

size_t thin_weight_grad_workspace(const nn_call *call, const thin_weight_grad *grad);
void thin_weight_grad_run(const nn_call *call, const thin_weight_grad *grad);

/* NN_REORDER from plain order to CUDA_OUT_THIN and CUDA_IN_THIN, from CUDA_OUT_THIN_SUMS and CUDA_IN_THIN_SUMS to it. */
bool is_thin_layout(nn_layout layout);
size_t thin_bytes(nn_layout layout, nn_shape weight);
void thin_reorder(const nn_call *call);

#endif
