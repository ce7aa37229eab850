#include "base/pixels.h"

#include <float.h>
#include <math.h>

void pixels_to_floats(const uint8_t *pixels, size_t count, float *floats)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) floats[i] = (float)pixels[i] / 127.5f - 1.0f;
}

void pixels_from_floats(const float *floats, size_t count, uint8_t *pixels)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        float value = (floats[i] + 1.0f) * 127.5f + 0.5f;
        /* In this form NaN becomes 0; converting it to an integer would be undefined. */
        float low = value > 0.0f ? value : 0.0f;
        pixels[i] = (uint8_t)(low < 255.0f ? low : 255.0f);
    }
}

bool pixels_are_finite(const float *floats, size_t count)
{
    size_t others = 0; /* no early end, so that it goes by vectors */
#pragma omp simd reduction(+ : others)
    for (size_t i = 0; i < count; i++) others += !(fabsf(floats[i]) <= FLT_MAX);
    return others == 0;
}
