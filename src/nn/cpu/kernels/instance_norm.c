/* Instance norm without affine parameters, a rectifier after it, and its gradient (Ulyanov, Vedaldi and Lempitsky,
 * "Instance Normalization: The Missing Ingredient for Fast Stylization", 2016). For each image and channel, over pixels:
 *
 *     y  = act((x - mean) * rstd) [+ r]       rstd = 1 / sqrt(mean of (x - mean)^2 + eps)
 *     dx = rstd * (g - mean of g - xhat * mean of g * xhat)        g = dy * act'(xhat), xhat = (x - mean) * rstd
 *
 * The variance takes a pass of its own, since E[x^2] - mean^2 cancels to noise where the mean is large: over each chunk,
 * about the chunk's mean, while it is in the cache. Those of chunks are put together as Chan, Golub and LeVeque do
 * ("Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979). A convolution that gives moments of
 * its result (moments.h) spares both passes.
 */
#include <math.h>

#include "nn/cpu/kernels/channels.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/moments.h"
#include "nn/cpu/kernels/rectifier.h"

enum { TILE = 64 }; /* channels of a task that adds up chunks */

typedef struct norm {
    cpu_channels v;
    size_t images, c;
    size_t tasks;        /* (image, chunk) */
    size_t tiles, totals; /* tiles of an image; (image, tile) */
    double *partial;     /* (images, chunks, sums, c) */
    const float *moments; /* (images, parts, CPU_MOMENTS_ROWS, c): x's, or NULL */
    size_t parts;
} norm;

static norm norm_of(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    norm m = {.v = cpu_channels_of(s.dim[NN_H] * s.dim[NN_W], s.dim[NN_C]), .images = s.dim[NN_N], .c = s.dim[NN_C],
              .tiles = (s.dim[NN_C] + TILE - 1) / TILE, .partial = call->workspace};
    m.tasks = m.images * m.v.chunks;
    m.totals = m.images * m.tiles;
    if (call->attr.has_moments) {
        m.moments = call->input[call->input_count - 1];
        m.parts = call->input_shape[call->input_count - 1].dim[NN_H];
    }
    return m;
}

/* The channels of an (image, tile) task. */
static void channels_of(const norm *m, size_t total, size_t *begin, size_t *end)
{
    *begin = total % m->tiles * TILE;
    *end = *begin + TILE < m->c ? *begin + TILE : m->c;
}

/* Means over their pixels of sum number `which` of `sums`: mean[i - begin]. */
static void tile_means(const norm *m, size_t total, size_t which, size_t sums, size_t begin, size_t end,
                       double mean[TILE])
{
    size_t image = total / m->tiles;
    cpu_channels_total(m->partial + (image * m->v.chunks * sums + which) * m->c, m->v.chunks, sums * m->c, begin, end,
                       mean);
    for (size_t i = 0; i < end - begin; i++) mean[i] /= (double)m->v.pixels;
}

/* A walk over x of an image; `also` has what else it needs. */
static cpu_walk walk_over(const nn_call *call, size_t offset, cpu_walk also)
{
    if (call->input_layout[0] == NN_LAYOUT_BF16)
        also.a_bf16 = cpu_bf16_numbers(call->input[0]) + offset;
    else
        also.a = call->input[0] + offset;
    return also;
}

/* Sum of (a - mean)^2. */
static void add_squares(const cpu_walk *walk, cpu_rows *rows)
{
    size_t width = rows->width, i = 0;
    const float *mean = rows->vector[0];
    float *sum = rows->sum[0];
    for (; i + 2 <= rows->count; i += 2) {
        const float *a0 = cpu_rows_a(walk, rows, i, 0), *a1 = cpu_rows_a(walk, rows, i + 1, 1);
#pragma omp simd
        for (size_t j = 0; j < width; j++) {
            float d0 = a0[j] - mean[j], d1 = a1[j] - mean[j];
            sum[j] += d0 * d0 + d1 * d1;
        }
    }
    if (i < rows->count) {
        const float *a = cpu_rows_a(walk, rows, i, 0);
#pragma omp simd
        for (size_t j = 0; j < width; j++) sum[j] += (a[j] - mean[j]) * (a[j] - mean[j]);
    }
}

static void normalise_row(const cpu_rows *rows, const float *x, float slope, float *y)
{
    const float *mean = rows->vector[0], *rstd = rows->vector[1];
#pragma omp simd
    for (size_t j = 0; j < rows->width; j++) {
        float xhat = (x[j] - mean[j]) * rstd[j];
        y[j] = cpu_rectify(xhat, xhat, slope);
    }
}

/* y may be x or r. The product is rounded before the sum, as it is by two kernels: others use it too. */
static void normalise_and_add(const cpu_rows *rows, const float *x, float slope, const float *r, float *y)
{
    const float *mean = rows->vector[0], *rstd = rows->vector[1];
#pragma omp simd
    for (size_t j = 0; j < rows->width; j++) {
        float xhat = (x[j] - mean[j]) * rstd[j];
        y[j] = cpu_rectify(xhat, xhat, slope) + r[j];
    }
}

/* Operand b: r, or NULL. */
static void normalise(const cpu_walk *walk, cpu_rows *rows)
{
    float slope = walk->slope;
    size_t width = rows->width;
    for (size_t i = 0; i < rows->count; i++) {
        const float *x = cpu_rows_a(walk, rows, i, 0);
        size_t at = rows->offset + i * rows->stride;
        float *y = walk->y_bf16 ? rows->buffer[1] : walk->y + at;
        if (walk->b)
            normalise_and_add(rows, x, slope, walk->b + at, y);
        else
            normalise_row(rows, x, slope, y);
        if (walk->y_bf16) cpu_narrow(y, width, walk->y_bf16 + at);
    }
}

static double chunk_pixels(const norm *m, size_t chunk)
{
    size_t left = m->v.pixels - chunk * m->v.chunk;
    return (double)(left < m->v.chunk ? left : m->v.chunk);
}

/* A chunk's sums of x, and of squares about their mean, to m->partial. mean: (c), what the task may use. */
static void add_moments(const norm *m, cpu_walk walk, size_t task, float *mean)
{
    const size_t chunk = task % m->v.chunks;
    const double part = 1 / chunk_pixels(m, chunk);
    double *sum = m->partial + task * 2 * m->c, *squares = sum + m->c;
    cpu_channels_walk(&m->v, &walk, chunk, cpu_rows_sum, 1, sum);
    for (size_t i = 0; i < m->c; i++) mean[i] = (float)(sum[i] * part);
    walk.vector[0] = mean;
    cpu_channels_walk(&m->v, &walk, chunk, add_squares, 1, squares);
    for (size_t i = 0; i < m->c; i++) {
        double off = sum[i] * part - (double)mean[i], about_mean = squares[i] - off * off / part;
        squares[i] = about_mean < 0 ? 0 : about_mean; /* NaN stays */
    }
}

/* Means, and sums of squares about them, of the channels of an (image, tile) task: from its chunks' sums. */
static void merge_chunks(const norm *m, size_t total, size_t begin, size_t end, double mean[TILE], double squares[TILE])
{
    tile_means(m, total, 0, 2, begin, end, mean);
    for (size_t chunk = 0; chunk < m->v.chunks; chunk++) {
        const double *sum = m->partial + (total / m->tiles * m->v.chunks + chunk) * 2 * m->c + begin;
        const double pixels = chunk_pixels(m, chunk), part = 1 / pixels;
#pragma omp simd
        for (size_t i = 0; i < end - begin; i++) {
            double off = sum[i] * part - mean[i];
            squares[i] += sum[m->c + i] + pixels * (off * off);
        }
    }
}

/* The same from moments. */
static void merge_parts(const norm *m, size_t total, size_t begin, size_t end, double mean[TILE], double squares[TILE])
{
    const size_t step = CPU_MOMENTS_ROWS * m->c;
    const float *parts = m->moments + total / m->tiles * m->parts * step + begin;
    for (size_t part = 0; part < m->parts; part++) {
        const float *count = parts + part * step, *means = count + m->c;
#pragma omp simd
        for (size_t i = 0; i < end - begin; i++) mean[i] += (double)count[i] * (double)means[i];
    }
    for (size_t i = 0; i < end - begin; i++) mean[i] /= (double)m->v.pixels;
    for (size_t part = 0; part < m->parts; part++) {
        const float *count = parts + part * step, *means = count + m->c, *about_mean = means + m->c;
#pragma omp simd
        for (size_t i = 0; i < end - begin; i++) {
            double off = (double)means[i] - mean[i];
            squares[i] += (double)about_mean[i] + (double)count[i] * (off * off);
        }
    }
}

/* The statistics of the channels of an (image, tile) task. */
static void tile_statistics(const norm *m, size_t total, double epsilon, float *statistics)
{
    size_t begin, end;
    double mean[TILE] = {0}, squares[TILE] = {0};
    channels_of(m, total, &begin, &end);
    (m->moments ? merge_parts : merge_chunks)(m, total, begin, end, mean, squares);
    float *out = statistics + total / m->tiles * 2 * m->c;
    for (size_t i = begin; i < end; i++) {
        out[i] = (float)mean[i - begin];
        out[m->c + i] = (float)(1 / sqrt(squares[i - begin] / (double)m->v.pixels + epsilon));
    }
}

/* Inputs x: (n, h, w, c), perhaps r: like x, perhaps x's moments. Outputs y: like x, and statistics: (n, 1, 2, c), mean and
 * rstd. y may be x or r. Each of x and y may be in bf16. */
static void run_instance_norm(const nn_call *call)
{
    norm m = norm_of(call);
    size_t c = m.c, image_size = m.v.pixels * c;
    float *y = call->output[0], *statistics = call->output[1], slope = cpu_slope(&call->attr);
    const float *r = call->input_count - call->attr.has_moments > 1 ? call->input[1] : NULL;
#pragma omp parallel num_threads(call->threads) if (m.tasks > 1)
    {
        if (!m.moments) {
            float *means = (float *)(m.partial + m.tasks * 2 * c); /* (n, chunks, c) */
#pragma omp for
            for (size_t task = 0; task < m.tasks; task++)
                add_moments(&m, walk_over(call, task / m.v.chunks * image_size, (cpu_walk){0}), task, means + task * c);
        }
#pragma omp for
        for (size_t total = 0; total < m.totals; total++)
            tile_statistics(&m, total, (double)call->attr.epsilon, statistics);
#pragma omp for
        for (size_t task = 0; task < m.tasks; task++) {
            size_t image = task / m.v.chunks;
            const float *mean = statistics + image * 2 * c;
            cpu_walk walk = walk_over(call, image * image_size, (cpu_walk){.vector = {mean, mean + c}, .slope = slope});
            if (r) walk.b = r + image * image_size;
            if (call->output_layout[0] == NN_LAYOUT_BF16)
                walk.y_bf16 = (uint16_t *)(void *)y + image * image_size;
            else
                walk.y = y + image * image_size;
            cpu_channels_walk(&m.v, &walk, task % m.v.chunks, normalise, 0, NULL);
        }
    }
}

/* Sums of g and of g * xhat. */
static void add_gradients(const cpu_walk *walk, cpu_rows *rows)
{
    const float *mean = rows->vector[0], *rstd = rows->vector[1];
    float *sum = rows->sum[0], *product = rows->sum[1], slope = walk->slope;
    size_t width = rows->width;
    for (size_t i = 0; i < rows->count; i++) {
        const float *x = cpu_rows_a(walk, rows, i, 0), *dy = walk->b + rows->offset + i * rows->stride;
#pragma omp simd
        for (size_t j = 0; j < width; j++) {
            float xhat = (x[j] - mean[j]) * rstd[j], g = cpu_rectify(xhat, dy[j], slope);
            sum[j] += g;
            product[j] += g * xhat;
        }
    }
}

static void input_gradient(const cpu_walk *walk, cpu_rows *rows)
{
    const float *mean = rows->vector[0], *rstd = rows->vector[1], *mean_g = rows->vector[2],
                *mean_product = rows->vector[3];
    float slope = walk->slope;
    size_t width = rows->width;
    for (size_t i = 0; i < rows->count; i++) {
        const float *x = cpu_rows_a(walk, rows, i, 0), *dy = walk->b + rows->offset + i * rows->stride;
        float *dx = walk->y_bf16 ? rows->buffer[1] : walk->y + rows->offset + i * rows->stride;
#pragma omp simd
        for (size_t j = 0; j < width; j++) {
            float xhat = (x[j] - mean[j]) * rstd[j], g = cpu_rectify(xhat, dy[j], slope);
            dx[j] = rstd[j] * (g - mean_g[j] - xhat * mean_product[j]);
        }
        if (walk->y_bf16) cpu_narrow(dx, width, walk->y_bf16 + rows->offset + i * rows->stride);
    }
}

/* Inputs x: (n, h, w, c), perhaps in bf16, statistics: (n, 1, 2, c), dy: like x. Output dx: like x, perhaps in bf16; it may
 * be x or dy. */
static void run_instance_norm_grad(const nn_call *call)
{
    norm m = norm_of(call);
    size_t c = m.c, image_size = m.v.pixels * c;
    const float *statistics = call->input[1], *dy = call->input[2];
    float *dx = call->output[0], slope = cpu_slope(&call->attr);
    float *means = (float *)(m.partial + m.tasks * 2 * c); /* (n, 2, c): of g, of g * xhat */
#pragma omp parallel num_threads(call->threads) if (m.tasks > 1)
    {
#pragma omp for
        for (size_t task = 0; task < m.tasks; task++) {
            size_t image = task / m.v.chunks;
            const float *mean = statistics + image * 2 * c;
            cpu_walk walk = walk_over(call, image * image_size, (cpu_walk){.b = dy + image * image_size,
                                                                           .vector = {mean, mean + c}, .slope = slope});
            cpu_channels_walk(&m.v, &walk, task % m.v.chunks, add_gradients, 2, m.partial + task * 2 * c);
        }
#pragma omp for
        for (size_t total = 0; total < m.totals; total++)
            for (size_t which = 0; which < 2; which++) {
                size_t begin, end;
                double mean[TILE];
                channels_of(&m, total, &begin, &end);
                tile_means(&m, total, which, 2, begin, end, mean);
                float *out = means + (total / m.tiles * 2 + which) * c;
                for (size_t i = begin; i < end; i++) out[i] = (float)mean[i - begin];
            }
#pragma omp for
        for (size_t task = 0; task < m.tasks; task++) {
            size_t image = task / m.v.chunks;
            const float *mean = statistics + image * 2 * c, *mean_g = means + image * 2 * c;
            cpu_walk walk = walk_over(call, image * image_size,
                                      (cpu_walk){.b = dy + image * image_size,
                                                 .vector = {mean, mean + c, mean_g, mean_g + c}, .slope = slope});
            if (call->output_layout[0] == NN_LAYOUT_BF16)
                walk.y_bf16 = (uint16_t *)(void *)dx + image * image_size;
            else
                walk.y = dx + image * image_size;
            cpu_channels_walk(&m.v, &walk, task % m.v.chunks, input_gradient, 0, NULL);
        }
    }
}

static size_t instance_norm_workspace(const nn_call *call)
{
    norm m = norm_of(call);
    return call->attr.has_moments ? 0 : m.tasks * m.c * (2 * sizeof(double) + sizeof(float));
}

static size_t instance_norm_grad_workspace(const nn_call *call)
{
    norm m = norm_of(call);
    return m.tasks * 2 * m.c * sizeof(double) + m.images * 2 * m.c * sizeof(float);
}

const nn_kernel CPU_NAME(cpu_instance_norm) = {.run = run_instance_norm, .workspace = instance_norm_workspace};
const nn_kernel CPU_NAME(cpu_instance_norm_grad) = {.run = run_instance_norm_grad,
                                                    .workspace = instance_norm_grad_workspace};
