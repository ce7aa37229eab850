#include "fractal/quality.h"

#include <math.h>

enum { BLOCKS = 16, STEPS = 64 };

static double luma_of(const uint8_t *p) { return 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]; }

static double flat_share(const uint8_t *rgb, size_t size)
{
    int flat = 0;
    for (size_t by = 0; by < BLOCKS; by++)
        for (size_t bx = 0; bx < BLOCKS; bx++) {
            double low = 255, high = 0;
            for (size_t y = by * size / BLOCKS; y < (by + 1) * size / BLOCKS; y++)
                for (size_t x = bx * size / BLOCKS; x < (bx + 1) * size / BLOCKS; x++) {
                    double luma = luma_of(rgb + (y * size + x) * 3);
                    low = fmin(low, luma);
                    high = fmax(high, luma);
                }
            flat += high - low < 12;
        }
    return (double)flat / (BLOCKS * BLOCKS);
}

static double detailed_share(const uint8_t *rgb, size_t size)
{
    int detailed = 0;
    for (size_t by = 0; by < BLOCKS; by++)
        for (size_t bx = 0; bx < BLOCKS; bx++) {
            double sum = 0;
            size_t count = 0;
            for (size_t y = by * size / BLOCKS; y < (by + 1) * size / BLOCKS; y++)
                for (size_t x = bx * size / BLOCKS; x < (bx + 1) * size / BLOCKS; x++) {
                    if (x < 1 || y < 1 || x + 1 >= size || y + 1 >= size) continue;
                    const uint8_t *p = rgb + (y * size + x) * 3;
                    sum += fabs(4 * luma_of(p) - luma_of(p - 3) - luma_of(p + 3) - luma_of(p - size * 3) -
                                luma_of(p + size * 3));
                    count++;
                }
            detailed += count && sum / (double)count > 16;
        }
    return (double)detailed / (BLOCKS * BLOCKS);
}

/* Of the structure tensor of the whole picture: (l1 - l2) / (l1 + l2) of its eigenvalues. */
static double coherence_of(const uint8_t *rgb, size_t size)
{
    double xx = 0, yy = 0, xy = 0;
    for (size_t y = 1; y + 1 < size; y++)
        for (size_t x = 1; x + 1 < size; x++) {
            const uint8_t *p = rgb + (y * size + x) * 3;
            double dx = luma_of(p + 3) - luma_of(p - 3), dy = luma_of(p + size * 3) - luma_of(p - size * 3);
            xx += dx * dx;
            yy += dy * dy;
            xy += dx * dy;
        }
    return xx + yy > 0 ? hypot(xx - yy, 2 * xy) / (xx + yy) : 0;
}

static double roughness_of(const uint8_t *rgb, size_t size)
{
    double sum = 0;
    for (size_t y = 1; y < size; y++)
        for (size_t x = 1; x < size; x++) {
            const uint8_t *p = rgb + (y * size + x) * 3;
            double luma = luma_of(p);
            sum += fabs(luma - luma_of(p - 3)) + fabs(luma - luma_of(p - size * 3));
        }
    return sum / (2 * (double)((size - 1) * (size - 1)));
}

/* Mean and standard deviation from sums. */
static void moments(double sum, double squares, double n, double *mean, double *deviation)
{
    *mean = sum / n;
    *deviation = sqrt(fmax(squares / n - *mean * *mean, 0));
}

fractal_quality fractal_measure(const uint8_t *rgb, size_t size)
{
    double n = (double)(size * size), sums[3] = {0}, squares[3] = {0}, means[3], deviations[3];
    size_t histogram[STEPS] = {0};
    fractal_quality q = {0};
    for (size_t i = 0; i < size * size; i++) {
        const uint8_t *p = rgb + i * 3;
        double values[3] = {luma_of(p), p[0] - p[1], 0.5 * (p[0] + p[1]) - p[2]};
        for (int k = 0; k < 3; k++) {
            sums[k] += values[k];
            squares[k] += values[k] * values[k];
        }
        histogram[(size_t)values[0] * STEPS / 256]++;
    }
    for (int k = 0; k < 3; k++) moments(sums[k], squares[k], n, &means[k], &deviations[k]);
    for (size_t i = 0; i < STEPS; i++)
        if (histogram[i]) q.entropy -= (double)histogram[i] / n * log2((double)histogram[i] / n);
    q.contrast = deviations[0];
    q.colour = hypot(deviations[1], deviations[2]) + 0.3 * hypot(means[1], means[2]);
    q.flat = flat_share(rgb, size);
    q.detail = detailed_share(rgb, size);
    q.coherence = coherence_of(rgb, size);
    q.roughness = roughness_of(rgb, size);
    return q;
}

bool fractal_good_enough(const fractal_quality *q, double *score)
{
    *score = fmin(q->contrast / 60, 1) + fmin(q->entropy / 5.5, 1) + 0.8 * fmin(q->colour / 75, 1) +
             1.5 * fmin(q->detail / 0.7, 1) - 0.8 * q->flat - 0.5 * q->coherence - fmax(q->roughness - 17, 0) / 10;
    return q->contrast > 28 && q->entropy > 3.6 && q->flat < 0.3 && q->detail > 0.3 && q->roughness > 6 &&
           q->roughness < 27 && q->coherence < 0.42 && q->colour > 18;
}

void fractal_thumbnail_make(const uint8_t *rgb, size_t size, fractal_thumbnail *out)
{
    enum { N = FRACTAL_THUMBNAIL };
    double mean = 0, length = 0, luma[N][N];
    for (size_t ty = 0; ty < N; ty++)
        for (size_t tx = 0; tx < N; tx++) {
            double sum = 0;
            size_t count = 0;
            for (size_t y = ty * size / N; y < (ty + 1) * size / N; y++)
                for (size_t x = tx * size / N; x < (tx + 1) * size / N; x++, count++)
                    sum += luma_of(rgb + (y * size + x) * 3);
            luma[ty][tx] = sum / (double)count;
            mean += luma[ty][tx] / (N * N);
        }
    for (size_t i = 0; i < N * N; i++) length += (luma[i / N][i % N] - mean) * (luma[i / N][i % N] - mean);
    double scale = length > 1e-6 ? 1 / sqrt(length) : 0;
    for (size_t i = 0; i < N * N; i++) out->luma[i / N][i % N] = (float)((luma[i / N][i % N] - mean) * scale);
}

double fractal_likeness(const fractal_thumbnail *a, const fractal_thumbnail *b)
{
    enum { N = FRACTAL_THUMBNAIL };
    double largest = 0;
    for (int symmetry = 0; symmetry < 8; symmetry++) {
        double sum = 0;
        for (int y = 0; y < N; y++)
            for (int x = 0; x < N; x++) {
                int v = symmetry & 1 ? N - 1 - y : y, u = symmetry & 2 ? N - 1 - x : x;
                sum += (double)a->luma[y][x] * (double)(symmetry & 4 ? b->luma[u][v] : b->luma[v][u]);
            }
        largest = fmax(largest, fabs(sum));
    }
    return largest;
}
