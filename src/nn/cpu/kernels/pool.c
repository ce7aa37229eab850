/* Maximum and average pooling; a window that reaches over the edge (ceil_mode) is cut to the image. */
#include <string.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/sizes.h"

/* Channels that a window is searched for at a time. */
enum { BATCH = 64 };

typedef struct window {
    size_t top, bottom, left, right; /* bottom and right: one past the end */
} window;

typedef struct pool {
    size_t kernel, stride, h, w, c, out_h, out_w, images; /* h, w: the input's */
} pool;

static pool pool_of(const nn_attributes *attr, nn_shape in, nn_shape out)
{
    return (pool){.kernel = attr->kernel, .stride = attr->stride, .h = in.dim[NN_H], .w = in.dim[NN_W],
                  .c = in.dim[NN_C], .out_h = out.dim[NN_H], .out_w = out.dim[NN_W], .images = in.dim[NN_N]};
}

static inline window window_at(const pool *p, size_t oy, size_t ox)
{
    size_t top = oy * p->stride, left = ox * p->stride;
    return (window){top, cpu_least(top + p->kernel, p->h), left, cpu_least(left + p->kernel, p->w)};
}

static inline size_t window_count(window at) { return (at.bottom - at.top) * (at.right - at.left); }

/* best: the maximum of `count` channels; NaN wins, as in torch. */
static inline void find_maximum(const float *x, const pool *p, window at, size_t count, float *best)
{
    memcpy(best, x + (at.top * p->w + at.left) * p->c, count * sizeof *best);
    for (size_t iy = at.top; iy < at.bottom; iy++)
        for (size_t ix = at.left; ix < at.right; ix++) {
            const float *from = x + (iy * p->w + ix) * p->c;
#pragma omp simd
            for (size_t k = 0; k < count; k++) best[k] = from[k] > best[k] || from[k] != from[k] ? from[k] : best[k];
        }
}

static void run_max_pool(const nn_call *call)
{
    const pool p = pool_of(&call->attr, call->input_shape[0], call->output_shape[0]);
    size_t rows = p.images * p.out_h;
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const float *x = call->input[0] + row / p.out_h * p.h * p.w * p.c;
        float *y = call->output[0] + row * p.out_w * p.c;
        for (size_t ox = 0; ox < p.out_w; ox++)
            find_maximum(x, &p, window_at(&p, row % p.out_h, ox), p.c, y + ox * p.c);
    }
}

static void run_average_pool(const nn_call *call)
{
    const pool p = pool_of(&call->attr, call->input_shape[0], call->output_shape[0]);
    size_t rows = p.images * p.out_h;
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const float *x = call->input[0] + row / p.out_h * p.h * p.w * p.c;
        float *y = call->output[0] + row * p.out_w * p.c;
        for (size_t ox = 0; ox < p.out_w; ox++, y += p.c) {
            window at = window_at(&p, row % p.out_h, ox);
            float share = 1 / (float)window_count(at);
            memset(y, 0, p.c * sizeof *y);
            for (size_t iy = at.top; iy < at.bottom; iy++)
                for (size_t ix = at.left; ix < at.right; ix++) {
                    const float *from = x + (iy * p.w + ix) * p.c;
#pragma omp simd
                    for (size_t k = 0; k < p.c; k++) y[k] += from[k];
                }
#pragma omp simd
            for (size_t k = 0; k < p.c; k++) y[k] *= share;
        }
    }
}

/* Adds a window's share of the gradient to those of its rows that lie in [first, end). x and dx are an image's, dy a
 * window's. */
typedef void window_grad(const pool *p, window at, size_t first, size_t end, const float *x, const float *dy,
                         float *dx);

/* Windows may overlap, so each thread owns whole groups of `stride` rows of dx and visits every window that reaches
 * into them. x is NULL where the gradient does not depend on it. */
static void spread(const nn_call *call, const pool *p, const float *x, const float *dy, window_grad *grad)
{
    size_t groups = (p->h + p->stride - 1) / p->stride, reach = (p->kernel - 1) / p->stride;
    size_t image = p->h * p->w * p->c, line = p->w * p->c;
#pragma omp parallel for num_threads(call->threads)
    for (size_t i = 0; i < p->images * groups; i++) {
        size_t n = i / groups, group = i % groups;
        size_t first = group * p->stride, end = cpu_least(first + p->stride, p->h);
        float *dx = call->output[0] + n * image;
        memset(dx + first * line, 0, (end - first) * line * sizeof *dx);
        for (size_t oy = group > reach ? group - reach : 0; oy < cpu_least(group + 1, p->out_h); oy++)
            for (size_t ox = 0; ox < p->out_w; ox++)
                grad(p, window_at(p, oy, ox), first, end, x ? x + n * image : NULL,
                     dy + ((n * p->out_h + oy) * p->out_w + ox) * p->c, dx);
    }
}

/* The place of the maximum: the first in row order, the last NaN if there is one (as in torch). */
static inline void find_place(const float *x, const pool *p, window at, size_t count, int *place)
{
    float best[BATCH];
    int number = 0;
    memcpy(best, x + (at.top * p->w + at.left) * p->c, count * sizeof *best);
    memset(place, 0, count * sizeof *place);
    for (size_t iy = at.top; iy < at.bottom; iy++)
        for (size_t ix = at.left; ix < at.right; ix++, number++) {
            const float *from = x + (iy * p->w + ix) * p->c;
#pragma omp simd
            for (size_t k = 0; k < count; k++) {
                bool better = from[k] > best[k] || from[k] != from[k];
                best[k] = better ? from[k] : best[k];
                place[k] = better ? number : place[k];
            }
        }
}

static void max_window_grad(const pool *p, window at, size_t first, size_t end, const float *x, const float *dy,
                            float *dx)
{
    int place[BATCH];
    for (size_t begin = 0; begin < p->c; begin += BATCH) {
        size_t count = cpu_least(p->c - begin, BATCH);
        int number = 0;
        find_place(x + begin, p, at, count, place);
        for (size_t iy = at.top; iy < at.bottom; iy++)
            for (size_t ix = at.left; ix < at.right; ix++, number++) {
                if (iy < first || iy >= end) continue;
                float *to = dx + (iy * p->w + ix) * p->c + begin;
                const float *from = dy + begin;
#pragma omp simd
                for (size_t k = 0; k < count; k++) to[k] += place[k] == number ? from[k] : 0;
            }
    }
}

static void average_window_grad(const pool *p, window at, size_t first, size_t end, const float *x, const float *dy,
                                float *dx)
{
    (void)x;
    float share = 1 / (float)window_count(at);
    for (size_t iy = at.top < first ? first : at.top; iy < cpu_least(at.bottom, end); iy++)
        for (size_t ix = at.left; ix < at.right; ix++) {
            float *to = dx + (iy * p->w + ix) * p->c;
#pragma omp simd
            for (size_t k = 0; k < p->c; k++) to[k] += share * dy[k];
        }
}

static void run_max_pool_grad(const nn_call *call)
{
    const pool p = pool_of(&call->attr, call->output_shape[0], call->input_shape[1]);
    spread(call, &p, call->input[0], call->input[1], max_window_grad);
}

static void run_average_pool_grad(const nn_call *call)
{
    const pool p = pool_of(&call->attr, call->output_shape[0], call->input_shape[0]);
    spread(call, &p, NULL, call->input[0], average_window_grad);
}

const nn_kernel CPU_NAME(cpu_max_pool) = {.run = run_max_pool};
const nn_kernel CPU_NAME(cpu_max_pool_grad) = {.run = run_max_pool_grad};
const nn_kernel CPU_NAME(cpu_average_pool) = {.run = run_average_pool};
const nn_kernel CPU_NAME(cpu_average_pool_grad) = {.run = run_average_pool_grad};
