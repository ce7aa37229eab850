#include "translate/moments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 256, BLOCKS = 32 }; /* pixels of a block; blocks that are gathered before they are merged */

status moments_create(moments *m, size_t channels, int threads, error *err)
{
    size_t doubles = (2 + 2 * BLOCKS) * channels;
    *m = (moments){.channels = channels, .threads = threads};
    m->mean = calloc(doubles, sizeof *m->mean);
    m->shift = calloc(2 * channels, sizeof *m->shift);
    if (!m->mean || !m->shift) {
        moments_free(m);
        return error_no_memory(err, "statistics", doubles * sizeof *m->mean);
    }
    m->sum2 = m->mean + channels;
    m->partial = m->sum2 + channels;
    m->rate = m->shift + channels;
    return STATUS_OK;
}

void moments_free(moments *m)
{
    free(m->mean);
    free(m->shift);
    *m = (moments){0};
}

/* mean and sum2: (c), overwritten. */
static void gather(const float *x, size_t pixels, size_t c, double *mean, double *sum2)
{
    memset(mean, 0, c * sizeof *mean);
    memset(sum2, 0, c * sizeof *sum2);
    for (size_t i = 0; i < pixels; i++) {
        const float *from = x + i * c;
#pragma omp simd
        for (size_t j = 0; j < c; j++) mean[j] += (double)from[j];
    }
    for (size_t j = 0; j < c; j++) mean[j] /= (double)pixels;
    for (size_t i = 0; i < pixels; i++) {
        const float *from = x + i * c;
#pragma omp simd
        for (size_t j = 0; j < c; j++) {
            double d = (double)from[j] - mean[j];
            sum2[j] += d * d;
        }
    }
}

static void merge(moments *m, size_t pixels, const double *mean, const double *sum2)
{
    double before = m->pixels, added = (double)pixels, all = before + added;
    for (size_t j = 0; j < m->channels; j++) {
        double delta = mean[j] - m->mean[j];
        m->mean[j] += delta * (added / all);
        m->sum2[j] += sum2[j] + delta * delta * (before * added / all);
    }
    m->pixels = all;
}

void moments_add(moments *m, const float *x, size_t pixels)
{
    size_t c = m->channels;
    while (pixels > 0) {
        size_t now = pixels < BLOCK * BLOCKS ? pixels : BLOCK * BLOCKS, blocks = (now + BLOCK - 1) / BLOCK;
#pragma omp parallel for num_threads(m->threads) if (blocks > 1)
        for (size_t b = 0; b < blocks; b++) {
            double *partial = m->partial + b * 2 * c;
            size_t left = now - b * BLOCK;
            gather(x + b * BLOCK * c, left < BLOCK ? left : BLOCK, c, partial, partial + c);
        }
        for (size_t b = 0; b < blocks; b++) {
            const double *partial = m->partial + b * 2 * c;
            size_t left = now - b * BLOCK;
            merge(m, left < BLOCK ? left : BLOCK, partial, partial + c);
        }
        x += now * c;
        pixels -= now;
    }
}

void moments_finish(moments *m, float epsilon)
{
    for (size_t j = 0; j < m->channels; j++) {
        m->shift[j] = (float)m->mean[j];
        m->rate[j] = (float)(1 / sqrt(m->sum2[j] / m->pixels + (double)epsilon));
    }
}

void moments_normalise(const moments *m, const float *x, size_t pixels, bool rectify, float *y)
{
    size_t c = m->channels;
    const float *shift = m->shift, *rate = m->rate;
    float least = rectify ? 0 : -INFINITY;
#pragma omp parallel for num_threads(m->threads) if (pixels > BLOCK)
    for (size_t i = 0; i < pixels; i++) {
#pragma omp simd
        for (size_t j = 0; j < c; j++) {
            float value = (x[i * c + j] - shift[j]) * rate[j];
            y[i * c + j] = value < least ? least : value; /* NaN stays */
        }
    }
}

void moments_normalise_onto(const moments *m, const float *x, size_t pixels, float *y)
{
    size_t c = m->channels;
    const float *shift = m->shift, *rate = m->rate;
#pragma omp parallel for num_threads(m->threads) if (pixels > BLOCK)
    for (size_t i = 0; i < pixels; i++) {
#pragma omp simd
        for (size_t j = 0; j < c; j++) y[i * c + j] += (x[i * c + j] - shift[j]) * rate[j];
    }
}
