#include "compare/metrics/wasserstein.h"

static const float taps[5] = {1 / 16.0f, 4 / 16.0f, 6 / 16.0f, 4 / 16.0f, 1 / 16.0f};

/* -1 is 1, and size is size - 2. */
static size_t mirrored(size_t place, size_t offset, size_t size)
{
    size_t at = place + offset; /* two more than meant, so that it is not negative */
    if (at < 2) return 2 - at;
    at -= 2;
    return at < size ? at : 2 * size - 2 - at;
}

/* Filters and takes every second sample of `count` lines: sample i of line j is in[i * step + j * line + c]. */
static void halve_lines(const float *in, size_t size, size_t step, size_t count, size_t line, float *out,
                        size_t out_step, size_t out_line)
{
    for (size_t i = 0; i < size / 2; i++)
        for (size_t j = 0; j < count; j++)
            for (size_t c = 0; c < 3; c++) {
                float sum = 0;
                for (size_t k = 0; k < 5; k++) sum += taps[k] * in[mirrored(2 * i, k, size) * step + j * line + c];
                out[i * out_step + j * out_line + c] = sum;
            }
}

/* The other way: zeros between samples, filtered, times 2. size: of the result. */
static void double_lines(const float *in, size_t size, size_t step, size_t count, size_t line, float *out,
                         size_t out_step, size_t out_line)
{
    for (size_t i = 0; i < size; i++)
        for (size_t j = 0; j < count; j++)
            for (size_t c = 0; c < 3; c++) {
                float sum = 0;
                for (size_t k = i % 2; k < 5; k += 2)
                    sum += taps[k] * in[mirrored(i, k, size) / 2 * step + j * line + c];
                out[i * out_step + j * out_line + c] = 2 * sum;
            }
}

/* in: (side, side, 3), out: (side / 2, side / 2, 3), scratch: side * side / 2 * 3. */
static void halve(const float *in, size_t side, float *out, float *scratch)
{
    size_t half = side / 2;
    halve_lines(in, side, side * 3, side, 3, scratch, side * 3, 3);       /* to (half, side, 3) */
    halve_lines(scratch, side, 3, half, side * 3, out, 3, half * 3);
}

/* out -= in, enlarged; in: (side / 2, side / 2, 3), out: (side, side, 3), scratch: side * side * 3 * 3 / 2. */
static void subtract_doubled(const float *in, size_t side, float *out, float *scratch)
{
    size_t half = side / 2, size = side * side * 3;
    float *tall = scratch + size;
    double_lines(in, side, half * 3, half, 3, tall, half * 3, 3); /* to (side, half, 3) */
    double_lines(tall, side, 3, side, half * 3, scratch, 3, side * 3);
    for (size_t i = 0; i < size; i++) out[i] -= scratch[i];
}

void compare_laplacian(const uint8_t *picture, size_t side, size_t count, float *const *levels, float *scratch)
{
    for (size_t i = 0; i < side * side * 3; i++) levels[0][i] = picture[i];
    for (size_t l = 0; l + 1 < count; l++) {
        halve(levels[l], side >> l, levels[l + 1], scratch);
        subtract_doubled(levels[l + 1], side >> l, levels[l], scratch);
    }
}
