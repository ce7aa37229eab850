#include "style/colour.h"

#include <math.h>
#include <string.h>

style_statistics style_statistics_of(const float *pixels, size_t count)
{
    style_statistics s = {0};
    for (size_t i = 0; i < count; i++)
        for (int c = 0; c < 3; c++) s.mean[c] += pixels[3 * i + (size_t)c] / (double)count;
    for (size_t i = 0; i < count; i++) {
        double x[3];
        for (int c = 0; c < 3; c++) x[c] = pixels[3 * i + (size_t)c] - s.mean[c];
        for (int a = 0; a < 3; a++)
            for (int b = 0; b < 3; b++) s.covariance[a][b] += x[a] * x[b] / (double)count;
    }
    return s;
}

/* Turns the plane of axes p and q so that m[p][q] becomes 0 (Jacobi); the columns of v are turned along. */
static void rotate(double m[3][3], double v[3][3], int p, int q)
{
    if (m[p][q] == 0) return;
    double theta = (m[q][q] - m[p][p]) / (2 * m[p][q]);
    double t = copysign(1, theta) / (fabs(theta) + sqrt(theta * theta + 1)), c = 1 / sqrt(t * t + 1), s = t * c;
    for (int k = 0; k < 3; k++) {
        double a = m[k][p], b = m[k][q];
        m[k][p] = c * a - s * b;
        m[k][q] = s * a + c * b;
    }
    for (int k = 0; k < 3; k++) {
        double a = m[p][k], b = m[q][k];
        m[p][k] = c * a - s * b;
        m[q][k] = s * a + c * b;
        a = v[k][p], b = v[k][q];
        v[k][p] = c * a - s * b;
        v[k][q] = s * a + c * b;
    }
}

/* Variance that is next to nothing: far below a grey level's square, 6e-5. */
static const double no_variance = 1e-8;

/* covariance^power, symmetric; eigenvalues that are next to nothing count as 0, and 0 to a negative power as 0. */
static void power_of(const double covariance[3][3], double power, double out[3][3])
{
    enum { SWEEPS = 12 };
    double m[3][3], v[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, largest = 0;
    memcpy(m, covariance, sizeof m);
    for (int i = 0; i < SWEEPS; i++) {
        rotate(m, v, 0, 1);
        rotate(m, v, 0, 2);
        rotate(m, v, 1, 2);
    }
    for (int i = 0; i < 3; i++) largest = fmax(largest, m[i][i]);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++) {
            out[a][b] = 0;
            for (int k = 0; k < 3; k++)
                if (m[k][k] > 1e-6 * largest && m[k][k] > no_variance)
                    out[a][b] += v[a][k] * pow(m[k][k], power) * v[b][k];
        }
}

void style_match_colours(float *pixels, size_t count, const style_statistics *wanted)
{
    style_statistics own = style_statistics_of(pixels, count);
    double to[3][3], from[3][3], map[3][3] = {{0}};
    power_of(wanted->covariance, 0.5, to);
    power_of(own.covariance, -0.5, from);
    for (int a = 0; a < 3; a++)
        for (int b = 0; b < 3; b++)
            for (int k = 0; k < 3; k++) map[a][b] += to[a][k] * from[k][b];
    for (size_t i = 0; i < count; i++) {
        double x[3];
        for (int c = 0; c < 3; c++) x[c] = pixels[3 * i + (size_t)c] - own.mean[c];
        for (int c = 0; c < 3; c++) {
            double mapped = map[c][0] * x[0] + map[c][1] * x[1] + map[c][2] * x[2];
            pixels[3 * i + (size_t)c] = (float)(mapped + wanted->mean[c]);
        }
    }
}

static float luminance(const float *pixel) { return 0.299f * pixel[0] + 0.587f * pixel[1] + 0.114f * pixel[2]; }

void style_make_grey(float *pixels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float y = luminance(pixels + 3 * i);
        for (size_t c = 0; c < 3; c++) pixels[3 * i + c] = y;
    }
}

void style_take_colours(float *pixels, const float *content, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        float difference = luminance(pixels + 3 * i) - luminance(content + 3 * i);
        for (size_t c = 0; c < 3; c++) pixels[3 * i + c] = content[3 * i + c] + difference;
    }
}
