/* Convolutions of the CPU backend: each call goes to our Winograd kernels (kernels/winograd.h), to those that filter rows
 * (kernels/conv_lines.h), to those by phases (kernels/conv_phases.h), to our direct ones (kernels/conv_direct.h), to
 * products of tiles (kernels/conv_tiles.h) or to oneDNN, by its shape and precision and by whether the CPU has tiles.
 *
 * Winograd takes 3x3 and 4x4 kernels of stride 1 whose padding is less than they are, from 16 channels on both sides and
 * 24 tiles of 4x4 or 3x3 in the result (in dy, for a weight gradient), at least half of whose pixels exist. Measured
 * against oneDNN's direct convolution of NHWC on AVX2, it wins above these bounds: 1.2 to 2 times as fast at 16 channels,
 * 1.7 to 5 times from 64 on, weight gradients more. Below 24 tiles, transforming the weights, which costs as much as some
 * 16 tiles, eats what the products save.
 *
 * A picture that is enlarged by 2 in front of a 3x3 convolution goes there from 16 channels in and a multiple of 16 out, and
 * 24 tiles of 5x5.
 *
 * The kernels that filter rows take 7x7 kernels of stride 1, in all directions, between at most 4 channels and a multiple
 * of 16, from 16 columns and 1024 pixels of the result (weight gradients: of dy). Towards many channels oneDNN takes 1.6
 * to 2.1 times their time (AVX-512), towards few the thin kernels 1.8 to 2.1 times; weight gradients take either 1.5 to
 * 2.2 times.
 *
 * The direct kernels take strides of 2 in fp32 from 16 channels on both sides and 1024 pixels of y (weight gradients:
 * 256), enough to be worth packing the weights. Against oneDNN with the reorders that its blocked layouts need (AVX-512):
 * 1.05 to 1.5 times as fast forward and for data gradients, 1.1 to 1.3 times for weight gradients, and no copies of the
 * activations; on AVX2 as fast as it, weight gradients 1.2 to 1.4 times.
 *
 * Of what is large enough for them, the kernels by phases take 3x3 kernels from 32 channels on both sides and 4x4 ones,
 * with padding less than they are, 1024 pixels of y and up to 16 MB of transformed weights. At the networks' layers they
 * take, of the time of the direct ones: 3x3 kernels 0.65 to 0.8 on AVX-512, 0.54 to 0.85 on AVX2; 4x4 kernels 0.47 to
 * 0.54 and 0.43 to 0.51 where y is 64x64 and 0.64 to 0.83 where it is 32x32, since transforming the weights weighs more.
 * Above the 16 MB weight gradients lose, whose sums outgrow the caches; from 16 channels, 3x3 is as fast either way.
 *
 * In bf16, where there are tiles, their products come before all of these: kernels of up to 7x7 and strides of 1 and
 * 2, with padding less than they are, from 16 channels on both sides and 96 pixels of the result (weight gradients: of
 * dy). That is all that Winograd would take, whose transforms would come before what norms' gradients are rounded for.
 */
#ifndef NN_CPU_CONV2D_H
#define NN_CPU_CONV2D_H

#include "nn/cpu/cpu.h"

/* The backend's kernels. `prepare` chooses for the call; it needs a cpu_backend. */
extern const nn_kernel cpu_conv2d, cpu_conv2d_data_grad, cpu_conv2d_weight_grad;

/* Whether a call (shapes and attributes set) of one of the three operations goes to Winograd. */
bool cpu_conv2d_is_winograd(const nn_call *call);
/* Whether a conv2d with attr.factor (shapes and attributes set) can go there. */
bool cpu_conv2d_is_enlarged(const nn_call *call);
/* The same for the kernels that filter rows: to many channels, to few, weight gradients; such a call is not Winograd's. */
bool cpu_conv2d_is_to_many(const nn_call *call);
bool cpu_conv2d_is_to_few(const nn_call *call);
bool cpu_conv2d_is_lines_weight(const nn_call *call);
/* The same for the kernels by phases; such a call is not Winograd's. */
bool cpu_conv2d_is_phased(const nn_call *call);
/* The same for the direct kernels; such a call is neither Winograd's nor the phases'. */
bool cpu_conv2d_is_direct(const nn_call *call);
/* Whether it goes to products of tiles, whatever the others say: they are asked about those that do not. */
bool cpu_conv2d_is_tiled(const cpu_backend *cpu, const nn_call *call);
/* In how many parts of each image a conv2d or conv2d_data_grad (shapes and attributes set) gives moments
 * (kernels/moments.h), or 0: Winograd's conv2d, the kernels by phases and those of tiles do, of a multiple of 16
 * channels. */
size_t cpu_conv2d_moment_parts(const cpu_backend *cpu, const nn_call *call);

#endif
