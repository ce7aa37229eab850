#include "gan/augment.h"

#include "base/rng.h"
#include "nn/op.h"

/* The paper's half of a side, and shifts by an eighth at most; rounded as its code does. */
size_t gan_augment_hole(size_t side) { return (side + 1) / 2; }
static size_t most_shift(size_t side) { return (side + 4) / 8; }

static float between(uint32_t word, long low, size_t count)
{
    return (float)(low + (long)((uint64_t)word * count >> 32));
}

static float uniform(uint32_t word) { return (float)(word >> 8) * 0x1p-24f; }

/* The hole's middle is anywhere in the picture. */
static void draw_one(uint64_t seed, uint64_t step, uint32_t number, size_t side, float draws[NN_DRAWS])
{
    uint32_t colour[4], place[4];
    size_t shift = most_shift(side), hole = gan_augment_hole(side), places = side + 1 - hole % 2;
    rng_block(seed, RNG_JUDGE, step, 2 * number, colour);
    rng_block(seed, RNG_JUDGE, step, 2 * number + 1, place);
    draws[0] = uniform(colour[0]) - 0.5f; /* brightness */
    draws[1] = 2 * uniform(colour[1]);    /* saturation */
    draws[2] = uniform(colour[2]) + 0.5f; /* contrast */
    for (int i = 0; i < 2; i++) {
        draws[3 + i] = between(place[i], -(long)shift, 2 * shift + 1);
        draws[5 + i] = between(place[2 + i], -(long)(hole / 2), places);
    }
    draws[7] = 0;
}

void gan_augment_draw(uint64_t seed, uint64_t step, size_t first, size_t count, size_t side, float *draws)
{
    for (size_t i = 0; i < count; i++) draw_one(seed, step, (uint32_t)(first + i), side, draws + i * NN_DRAWS);
}
