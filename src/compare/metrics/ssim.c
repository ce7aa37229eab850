#include <math.h>
#include <stdlib.h>

#include "compare/metrics/pictures.h"

enum { RADIUS = 5, TAPS = 2 * RADIUS + 1 };

/* Local means that are needed: of a, b, a^2, b^2, ab. */
enum { OF_A, OF_B, OF_AA, OF_BB, OF_AB, MOMENTS };

static void gaussian(double taps[TAPS])
{
    double sum = 0;
    for (int i = 0; i < TAPS; i++) sum += taps[i] = exp(-(i - RADIUS) * (i - RADIUS) / (2 * 1.5 * 1.5));
    for (int i = 0; i < TAPS; i++) taps[i] /= sum;
}

static double luminance(const uint8_t *pixel)
{
    return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

/* Row y of the moments averaged down the window's TAPS rows; columns: (side, MOMENTS). */
static void average_down(const uint8_t *a, const uint8_t *b, size_t side, size_t y, const double taps[TAPS],
                         double *columns)
{
    for (size_t x = 0; x < side; x++) {
        double *sum = columns + x * MOMENTS;
        for (int m = 0; m < MOMENTS; m++) sum[m] = 0;
        for (size_t k = 0; k < TAPS; k++) {
            size_t at = ((y + k) * side + x) * 3;
            double p = luminance(a + at), q = luminance(b + at), w = taps[k];
            sum[OF_A] += w * p;
            sum[OF_B] += w * q;
            sum[OF_AA] += w * p * p;
            sum[OF_BB] += w * q * q;
            sum[OF_AB] += w * p * q;
        }
    }
}

/* From the moments of one window, equation 13 of the paper. */
static double similarity(const double m[MOMENTS])
{
    const double c1 = 0.01 * 255 * 0.01 * 255, c2 = 0.03 * 255 * 0.03 * 255;
    double both = m[OF_A] * m[OF_B], squares = m[OF_A] * m[OF_A] + m[OF_B] * m[OF_B];
    double covariance = m[OF_AB] - both, variances = m[OF_AA] + m[OF_BB] - squares;
    return (2 * both + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2));
}

static double row_sum(const double *columns, size_t windows, const double taps[TAPS])
{
    double sum = 0;
    for (size_t x = 0; x < windows; x++) {
        double moments[MOMENTS] = {0};
        for (size_t k = 0; k < TAPS; k++)
            for (int m = 0; m < MOMENTS; m++) moments[m] += taps[k] * columns[(x + k) * MOMENTS + (size_t)m];
        sum += similarity(moments);
    }
    return sum;
}

status compare_ssim(const uint8_t *a, const uint8_t *b, size_t side, double *out, error *err)
{
    if (side < TAPS)
        return error_set(err, STATUS_FAILED, "structural similarity: pictures of %zu pixels, expected %d at least",
                         side, TAPS);
    double taps[TAPS], sum = 0;
    double *columns = malloc(side * MOMENTS * sizeof *columns);
    if (!columns) return error_no_memory(err, "structural similarity", side * MOMENTS * sizeof *columns);
    gaussian(taps);
    size_t windows = side - TAPS + 1;
    for (size_t y = 0; y < windows; y++) {
        average_down(a, b, side, y, taps, columns);
        sum += row_sum(columns, windows, taps);
    }
    free(columns);
    *out = sum / ((double)windows * (double)windows);
    return STATUS_OK;
}
