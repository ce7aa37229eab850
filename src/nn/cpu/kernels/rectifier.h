/* The activations that are linear on either side of zero: identity, ReLU, leaky ReLU, by their slope below zero.
 * Shared, so that an instance norm with a fused activation gives the bits of the two kernels run in turn. */
#ifndef NN_CPU_KERNELS_RECTIFIER_H
#define NN_CPU_KERNELS_RECTIFIER_H

#include "nn/op.h"

static inline float cpu_slope(const nn_attributes *attr)
{
    return attr->activation == NN_LINEAR ? 1 : attr->activation == NN_RELU ? 0 : attr->slope;
}

/* `through` where v > 0, else slope * through: the activation with through = v, its gradient with through = dy, and v
 * then x or y. NaN goes through, to be found; a slope of 0 does not multiply, since 0 * infinity is NaN. */
static inline float cpu_rectify(float v, float through, float slope)
{
    float below = slope * through;
    below = slope == 0 ? 0 : below;
    return v <= 0 ? below : through;
}

#endif
