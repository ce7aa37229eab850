/* Convolutions of stride 1 from many channels to hardly any, on Hopper: last layers, and data gradients of first ones.
 *
 * With three channels of a result a product would leave most of a tensor core's columns empty, so that the taps of a row
 * are columns too: at a source pixel x' the products with tap b and channel c, summed over rows of taps and channels,
 *
 *     P[y, x', (b, c)] = sum over a, k of X[y + a, x', k] W[a, b, c, k],     out[y, x, c] = sum over b of P[y, x + b, (b, c)]
 *
 * where the second sum is over a few numbers in shared memory.
 *
 * Weights are (channels / 64, kh, 8, 24, 8) of bf16: for 64 channels and a row of taps eight planes of granules, one for
 * each (b, c); zeros behind the last. In CUDA_IN_NARROW taps are counted from the last, as a data gradient meets them.
 */
#ifndef NN_CUDA_CONV_NARROW_H
#define NN_CUDA_CONV_NARROW_H

#include "nn/cuda/conv_tensor.h"

bool narrow_suits(const nn_call *call, size_t channels, size_t narrow, size_t kh, size_t kw);

/* conv->weight in the layout above. p: in planes. */
void narrow_conv_run(const nn_call *call, const tensor_conv *conv);

/* NN_REORDER from plain order. */
static inline bool is_narrow_layout(nn_layout layout) { return layout == CUDA_OUT_NARROW || layout == CUDA_IN_NARROW; }
size_t narrow_bytes(nn_layout layout, nn_shape weight);
void narrow_reorder(const nn_call *call);

#endif
