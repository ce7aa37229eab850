/* Where a pixel beside a picture lies in it. */
#ifndef NN_CPU_KERNELS_BORDER_H
#define NN_CPU_KERNELS_BORDER_H

#include <stddef.h>
#include <stdint.h>

#include "nn/op.h"

#define CPU_NOWHERE SIZE_MAX

/* Pixel `place` of a padded side of which the first `before` pixels come before the picture's `length`; CPU_NOWHERE: it is
 * zero. Mirroring takes before < length, and reaches as far behind the picture as before it. */
static inline size_t cpu_place_of(size_t place, size_t before, size_t length, nn_pad_mode border)
{
    if (place >= before && place - before < length) return place - before;
    if (border == NN_PAD_ZERO) return CPU_NOWHERE;
    if (border == NN_PAD_EDGE) return place < before ? 0 : length - 1;
    if (place < before) return before - place;
    size_t behind = place - before - length;
    return behind < before ? length - 2 - behind : CPU_NOWHERE;
}

#endif
