/* Activations, and their gradients from y. Parts have fixed bounds (parts.h), so that an element is computed by the
 * same vector or scalar code, to the bit, with any number of threads. */
#include <math.h>

#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/parts.h"
#include "nn/cpu/kernels/rectifier.h"

typedef union float_bits {
    float value;
    uint32_t bits;
} float_bits;

/* first ? a : b by masks: GCC moves arithmetic into the arms of a conditional expression, and then does not vectorise. */
static inline float choose(bool first, float a, float b)
{
    float_bits yes = {.value = a}, no = {.value = b};
    uint32_t mask = -(uint32_t)first;
    float_bits result = {.bits = (yes.bits & mask) | (no.bits & ~mask)};
    return result.value;
}

/* exp(x) for x in [-87, 0], within 2 units in the last place; NaN for NaN. Cephes' expf by S. Moshier: x = n log 2 + r,
 * a polynomial for exp(r). n is read from the low bits of a float with its unit at 1: a conversion of NaN to an integer
 * would be undefined, and no instruction of SSE2 rounds. */
static inline float exp_negative(float x)
{
    const float magic = 0x1.8p23f;
    float_bits shifted = {.value = x * 1.44269504f + magic}, power;
    float n = shifted.value - magic;
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    power.bits = (shifted.bits + 127) << 23; /* the magic number's own bits are shifted out */
    return (p * r * r + r + 1) * power.value;
}

/* Below 0.625 a polynomial (Cephes' tanhf): 1 - exp(-2x) would cancel. */
static inline float tanh_of(float x)
{
    float a = fabsf(x), z = x * x;
    float p = -5.70498872745e-3f;
    p = p * z + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    float e = exp_negative(-2 * choose(a > 43, 43, a));
    return choose(a < 0.625f, p * z * x + x, copysignf((1 - e) / (1 + e), x));
}

/* By exp(-|x|), which cannot overflow; either quotient keeps its relative precision. */
static inline float sigmoid_of(float x)
{
    float a = fabsf(x), e = exp_negative(-choose(a > 87, 87, a));
    return choose(x < 0, e, 1) / (1 + e);
}

static void activate(const nn_attributes *attr, const float *x, size_t begin, size_t end, float *y)
{
    float slope = cpu_slope(attr);
    switch (attr->activation) {
    case NN_TANH:
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] = tanh_of(x[i]);
        break;
    case NN_SIGMOID:
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] = sigmoid_of(x[i]);
        break;
    default:
#pragma omp simd
        for (size_t i = begin; i < end; i++) y[i] = cpu_rectify(x[i], x[i], slope);
    }
}

static void activate_grad(const nn_attributes *attr, const float *y, const float *dy, size_t begin, size_t end,
                          float *dx)
{
    float slope = cpu_slope(attr);
    switch (attr->activation) {
    case NN_TANH:
#pragma omp simd
        for (size_t i = begin; i < end; i++) dx[i] = dy[i] * (1 - y[i] * y[i]);
        break;
    case NN_SIGMOID:
#pragma omp simd
        for (size_t i = begin; i < end; i++) dx[i] = dy[i] * (y[i] * (1 - y[i]));
        break;
    default: /* y has the sign of x */
#pragma omp simd
        for (size_t i = begin; i < end; i++) dx[i] = cpu_rectify(y[i], dy[i], slope);
    }
}

/* Inputs: x. The output may be x. */
static void run_activation(const nn_call *call)
{
    size_t count = nn_count(call->input_shape[0]), parts = cpu_parts(count);
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++)
        activate(&call->attr, call->input[0], part * CPU_PART, cpu_part_end(part, count), call->output[0]);
}

/* Inputs: y, dy. The output may be either. */
static void run_activation_grad(const nn_call *call)
{
    size_t count = nn_count(call->input_shape[0]), parts = cpu_parts(count);
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++)
        activate_grad(&call->attr, call->input[0], call->input[1], part * CPU_PART, cpu_part_end(part, count),
                      call->output[0]);
}

const nn_kernel CPU_NAME(cpu_activation) = {.run = run_activation};
const nn_kernel CPU_NAME(cpu_activation_grad) = {.run = run_activation_grad};
