#include "gan/pool.h"

void gan_pool_decide(uint64_t seed, rng_stream stream, uint64_t step, size_t batch, size_t pool_size, float *codes)
{
    for (size_t i = 0; i < batch; i++) {
        uint64_t seen = step * batch + i;
        codes[i] = 0;
        if (seen < pool_size) {
            codes[i] = (float)(seen + 1);
        } else if (pool_size) {
            uint32_t words[4];
            rng_block(seed, stream, step, (uint32_t)i, words);
            uint64_t place = (uint64_t)words[1] * pool_size >> 32;
            if (words[0] >> 31) codes[i] = -(float)(place + 1);
        }
    }
}
