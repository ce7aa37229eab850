/* Walks over (pixels, c), c contiguous, with vectors of a value per channel and sums per channel.
 *
 * A walk hands its body rows of many lanes. With many channels a row is a pixel, or CPU_LANES of its channels; with few
 * it is CPU_REPEAT pixels in one, lane j being channel j % c, so that three channels fill vectors as well as 256 do.
 *
 * Pixels are cut into chunks by shape alone. A chunk's sums are those of at most CPU_BLOCK rows in float, added up in
 * double: the same for any number of threads, and as exact as needed for large pictures.
 */
#ifndef NN_CPU_KERNELS_CHANNELS_H
#define NN_CPU_KERNELS_CHANNELS_H

#include <string.h>

#include "nn/cpu/kernels/bf16.h"
#include "nn/tensor.h"

enum {
    CPU_FEW_CHANNELS = 32,
    CPU_REPEAT = 16,
    CPU_LANES = 512, /* at least CPU_FEW_CHANNELS * CPU_REPEAT */
    CPU_BLOCK = 64,
    CPU_CHUNKS = 64,
    CPU_CHUNK_VALUES = 8192, /* fewer are not worth a task */
    CPU_VECTORS = 4,
    CPU_BUFFERS = 4
};

typedef struct cpu_channels {
    size_t pixels, c;
    size_t repeat; /* pixels in a row */
    size_t chunk;  /* pixels in a chunk, the last one's may be fewer; a multiple of CPU_REPEAT */
    size_t chunks;
} cpu_channels;

/* Operands, each (pixels, c), and vectors, each (c); NULL where a body needs none. */
typedef struct cpu_walk {
    const float *a, *b;
    float *y; /* may be a or b */
    const uint16_t *a_bf16; /* in place of a; NULL: a is in floats */
    uint16_t *y_bf16;       /* in place of y */
    const float *vector[CPU_VECTORS];
    float slope;
} cpu_walk;

/* Row i's lane j is element offset + i * stride + j of each operand. */
typedef struct cpu_rows {
    size_t offset, count, stride, width;
    float vector[CPU_VECTORS][CPU_LANES]; /* by lane */
    float sum[2][CPU_LANES];              /* zero beforehand; the body adds to them */
    float buffer[CPU_BUFFERS][CPU_LANES]; /* for rows in bf16 */
} cpu_rows;

typedef void cpu_rows_body(const cpu_walk *walk, cpu_rows *rows);

/* Row i of operand a, perhaps in buffer number `buffer`. */
static inline const float *cpu_rows_a(const cpu_walk *walk, cpu_rows *rows, size_t i, size_t buffer)
{
    size_t at = rows->offset + i * rows->stride;
    if (!walk->a_bf16) return walk->a + at;
    cpu_widen(walk->a_bf16 + at, rows->width, rows->buffer[buffer]);
    return rows->buffer[buffer];
}

static inline cpu_channels cpu_channels_of(size_t pixels, size_t c)
{
    size_t chunk = (pixels + CPU_CHUNKS - 1) / CPU_CHUNKS, least = (CPU_CHUNK_VALUES + c - 1) / c;
    chunk = ((chunk > least ? chunk : least) + CPU_BLOCK - 1) / CPU_BLOCK * CPU_BLOCK;
    return (cpu_channels){.pixels = pixels, .c = c, .repeat = c < CPU_FEW_CHANNELS ? CPU_REPEAT : 1, .chunk = chunk,
                          .chunks = (pixels + chunk - 1) / chunk};
}

static inline void cpu_channels_spread(const float *vector, size_t c, size_t lane, size_t width, float *lanes)
{
    if (lane + width <= c) {
        memcpy(lanes, vector + lane, width * sizeof(float));
        return;
    }
    for (size_t j = 0, channel = 0; j < width; j++) {
        lanes[j] = vector[channel];
        channel = channel + 1 < c ? channel + 1 : 0;
    }
}

/* Adds lanes to the channels' sums. */
static inline void cpu_channels_fold(const float *lanes, size_t c, size_t lane, size_t width, double *sum)
{
    if (lane + width <= c) {
#pragma omp simd
        for (size_t j = 0; j < width; j++) sum[lane + j] += (double)lanes[j];
        return;
    }
    for (size_t j = 0, channel = 0; j < width; j++) {
        sum[channel] += (double)lanes[j];
        channel = channel + 1 < c ? channel + 1 : 0;
    }
}

/* `count` sums, each (c): sum is (count, c). */
static inline void cpu_channels_body(const cpu_channels *v, const cpu_walk *walk, cpu_rows *rows, size_t lane,
                                     cpu_rows_body *body, size_t count, double *sum)
{
    for (size_t s = 0; s < count; s++) memset(rows->sum[s], 0, rows->width * sizeof(float));
    body(walk, rows);
    for (size_t s = 0; s < count; s++) cpu_channels_fold(rows->sum[s], v->c, lane, rows->width, sum + s * v->c);
}

/* One chunk. sum: (count, c), overwritten; count is 0 to 2. */
static inline void cpu_channels_walk(const cpu_channels *v, const cpu_walk *walk, size_t chunk, cpu_rows_body *body,
                                     size_t count, double *sum)
{
    size_t begin = chunk * v->chunk, end = begin + v->chunk < v->pixels ? begin + v->chunk : v->pixels;
    size_t lanes = v->repeat * v->c, whole = (end - begin) / v->repeat, rest = (end - begin) % v->repeat;
    /* cppcheck-suppress nullPointer ; sum is NULL only where count is 0 */
    for (size_t i = 0; i < count * v->c; i++) sum[i] = 0;
    cpu_rows rows;
    rows.stride = lanes;
    for (size_t lane = 0; lane < lanes; lane += CPU_LANES) {
        rows.width = lanes - lane < CPU_LANES ? lanes - lane : CPU_LANES;
        for (size_t i = 0; i < CPU_VECTORS && walk->vector[i]; i++)
            cpu_channels_spread(walk->vector[i], v->c, lane, rows.width, rows.vector[i]);
        for (size_t row = 0; row < whole; row += CPU_BLOCK) {
            rows.offset = begin * v->c + row * lanes + lane;
            rows.count = whole - row < CPU_BLOCK ? whole - row : CPU_BLOCK;
            cpu_channels_body(v, walk, &rows, lane, body, count, sum);
        }
    }
    if (rest > 0) { /* few channels only: one tile, whose vectors are there still */
        rows.offset = begin * v->c + whole * lanes;
        rows.count = 1;
        rows.width = rest * v->c;
        cpu_channels_body(v, walk, &rows, 0, body, count, sum);
    }
}

/* Channels begin .. end-1 of the chunks' sums, in order. partial: (chunks, stride); sum: (end - begin). */
static inline void cpu_channels_total(const double *partial, size_t chunks, size_t stride, size_t begin, size_t end,
                                      double *sum)
{
    for (size_t i = 0; i < end - begin; i++) sum[i] = 0;
    for (size_t chunk = 0; chunk < chunks; chunk++) {
#pragma omp simd
        for (size_t i = 0; i < end - begin; i++) sum[i] += partial[chunk * stride + begin + i];
    }
}

/* A body: the sum of `a`. */
static inline void cpu_rows_sum(const cpu_walk *walk, cpu_rows *rows)
{
    size_t width = rows->width, i = 0;
    float *sum = rows->sum[0];
    for (; i + 4 <= rows->count; i += 4) {
        const float *a0 = cpu_rows_a(walk, rows, i, 0), *a1 = cpu_rows_a(walk, rows, i + 1, 1);
        const float *a2 = cpu_rows_a(walk, rows, i + 2, 2), *a3 = cpu_rows_a(walk, rows, i + 3, 3);
#pragma omp simd
        for (size_t j = 0; j < width; j++) sum[j] += (a0[j] + a1[j]) + (a2[j] + a3[j]);
    }
    for (; i < rows->count; i++) {
        const float *a = cpu_rows_a(walk, rows, i, 0);
#pragma omp simd
        for (size_t j = 0; j < width; j++) sum[j] += a[j];
    }
}

#endif
