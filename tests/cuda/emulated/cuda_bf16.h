/* bf16 on the host: the upper half of a float, rounded to nearest even. */
#ifndef EMULATED_CUDA_BF16_H
#define EMULATED_CUDA_BF16_H

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
    uint16_t bits;
};

static inline __nv_bfloat16 __float2bfloat16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value == value) bits += 0x7FFF + (bits >> 16 & 1);
    __nv_bfloat16 result = {(uint16_t)(bits >> 16)};
    return result;
}

static inline float __bfloat162float(__nv_bfloat16 value)
{
    uint32_t bits = (uint32_t)value.bits << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

#endif
