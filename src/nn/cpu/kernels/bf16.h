/* Numbers of NN_LAYOUT_BF16 to floats and back: the upper half of a float, rounded to nearest, ties to even. */
#ifndef NN_CPU_KERNELS_BF16_H
#define NN_CPU_KERNELS_BF16_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline float cpu_from_bf16(uint16_t number)
{
    uint32_t bits = (uint32_t)number << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint16_t cpu_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, cut = bits >> 16 | 0x40; /* 0x40: NaN stays NaN */
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? cut : rounded);
}

static inline void cpu_widen(const uint16_t *from, size_t count, float *to)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) to[i] = cpu_from_bf16(from[i]);
}

static inline void cpu_narrow(const float *from, size_t count, uint16_t *to)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) to[i] = cpu_to_bf16(from[i]);
}

/* A tensor's pointer, as the numbers that NN_LAYOUT_BF16 has. */
static inline const uint16_t *cpu_bf16_numbers(const float *tensor) { return (const uint16_t *)(const void *)tensor; }

#endif
