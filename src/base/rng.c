#include "base/rng.h"

#include <math.h>

static uint32_t multiply_high(uint32_t a, uint32_t b, uint32_t *low)
{
    uint64_t product = (uint64_t)a * b;
    *low = (uint32_t)product;
    return (uint32_t)(product >> 32);
}

void rng_block(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index, uint32_t out[4])
{
    uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = index, c1 = (uint32_t)step, c2 = (uint32_t)(step >> 32), c3 = (uint32_t)stream;
    for (int round = 0; round < 10; round++) {
        uint32_t low0, low1;
        uint32_t high0 = multiply_high(0xD2511F53u, c0, &low0);
        uint32_t high1 = multiply_high(0xCD9E8D57u, c2, &low1);
        c0 = high1 ^ c1 ^ key0;
        c1 = low1;
        c2 = high0 ^ c3 ^ key1;
        c3 = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t rng_u32(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index)
{
    uint32_t words[4];
    rng_block(seed, stream, step, index, words);
    return words[0];
}

float rng_uniform(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index)
{
    return (float)(rng_u32(seed, stream, step, index) >> 8) * 0x1p-24f;
}

float rng_normal(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index)
{
    uint32_t words[4];
    rng_block(seed, stream, step, index, words);
    double u = ((double)words[0] + 1.0) * 0x1p-32; /* (0, 1]: the logarithm is finite */
    double v = (double)words[1] * 0x1p-32;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

uint32_t rng_below(uint64_t seed, rng_stream stream, uint64_t step, uint32_t index, uint32_t n)
{
    return (uint32_t)(((uint64_t)rng_u32(seed, stream, step, index) * n) >> 32);
}

void rng_permutation(uint64_t seed, rng_stream stream, uint64_t step, uint32_t n, uint32_t *out)
{
    for (uint32_t i = 0; i < n; i++) out[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = rng_below(seed, stream, step, i, i);
        uint32_t swap = out[i - 1];
        out[i - 1] = out[j];
        out[j] = swap;
    }
}
