/* Pixels as bytes and as what networks see: floats in [-1, 1], v / 127.5 - 1 and back with rounding and clipping, as
 * torchvision's ToTensor and Normalize(0.5, 0.5), and the reference's util/util.py, have it. On a GPU: nn/cuda/pixels.cu,
 * with the same bits. */
#ifndef BASE_PIXELS_H
#define BASE_PIXELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void pixels_to_floats(const uint8_t *pixels, size_t count, float *floats);
/* NaN becomes 0. */
void pixels_from_floats(const float *floats, size_t count, uint8_t *pixels);
/* Whether none of them is NaN or infinite: what pixels_from_floats would hide. */
bool pixels_are_finite(const float *floats, size_t count);

#endif
