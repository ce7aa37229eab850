/* Nearest (by an integer factor) and bilinear resizing.
 *
 * Bilinear is torch.nn.functional.interpolate(align_corners=False, antialias=False): output pixel o lies at
 * (o + 0.5) * in / out - 0.5 of the input, not below 0, between two pixels of which the second is clamped.
 */
#include <math.h>
#include <string.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/kernels.h"

static void run_resize_nearest(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    size_t factor = call->attr.factor, w = s.dim[NN_W], c = s.dim[NN_C], rows = s.dim[NN_N] * s.dim[NN_H];
    size_t wide = w * factor * c;
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const float *x = call->input[0] + row * w * c;
        float *first = call->output[0] + row * factor * wide, *y = first;
        for (size_t i = 0; i < w; i++, x += c)
            for (size_t k = 0; k < factor; k++, y += c) memcpy(y, x, c * sizeof *y);
        for (size_t k = 1; k < factor; k++) memcpy(first + k * wide, first, wide * sizeof *y);
    }
}

static void run_resize_nearest_grad(const nn_call *call)
{
    nn_shape s = call->output_shape[0];
    size_t factor = call->attr.factor, w = s.dim[NN_W], c = s.dim[NN_C], rows = s.dim[NN_N] * s.dim[NN_H];
    size_t wide = w * factor * c;
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const float *dy = call->input[0] + row * factor * wide;
        float *dx = call->output[0] + row * w * c;
        memset(dx, 0, w * c * sizeof *dx);
        for (size_t ky = 0; ky < factor; ky++)
            for (size_t i = 0; i < w; i++)
                for (size_t kx = 0; kx < factor; kx++) {
                    const float *from = dy + ky * wide + (i * factor + kx) * c;
                    float *to = dx + i * c;
#pragma omp simd
                    for (size_t k = 0; k < c; k++) to[k] += from[k];
                }
    }
}

/* Where an output pixel lies: between `first` and `second`, with these weights. */
typedef struct place {
    size_t first, second;
    float weight1, weight2;
} place;

/* in_per_out: the sizes' ratio. */
static inline place place_of(size_t out, double in_per_out, size_t in)
{
    double at = ((double)out + 0.5) * in_per_out - 0.5;
    at = at > 0 ? at : 0;
    size_t first = (size_t)at;
    first = first < in - 1 ? first : in - 1;
    float fraction = (float)(at - (double)first);
    return (place){first, first + 1 < in ? first + 1 : first, 1 - fraction, fraction};
}

static inline double ratio(nn_shape in, nn_shape out, int axis) { return (double)in.dim[axis] / (double)out.dim[axis]; }

static void run_resize_bilinear(const nn_call *call)
{
    nn_shape in = call->input_shape[0], out = call->output_shape[0];
    size_t c = in.dim[NN_C], line = in.dim[NN_W] * c, w = out.dim[NN_W], h = out.dim[NN_H];
    size_t rows = out.dim[NN_N] * h;
    double ratio_y = ratio(in, out, NN_H), ratio_x = ratio(in, out, NN_W);
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const float *image = call->input[0] + row / h * in.dim[NN_H] * line;
        const place v = place_of(row % h, ratio_y, in.dim[NN_H]);
        const float *top = image + v.first * line, *bottom = image + v.second * line;
        float *y = call->output[0] + row * w * c;
        for (size_t i = 0; i < w; i++, y += c) {
            const place u = place_of(i, ratio_x, in.dim[NN_W]);
            const float *a = top + u.first * c, *b = top + u.second * c;
            const float *d = bottom + u.first * c, *e = bottom + u.second * c;
#pragma omp simd
            for (size_t k = 0; k < c; k++)
                y[k] = v.weight1 * (u.weight1 * a[k] + u.weight2 * b[k]) +
                       v.weight2 * (u.weight1 * d[k] + u.weight2 * e[k]);
        }
    }
}

/* Adds weight * (a row of dy) to the row of dx that it was made from. */
static void spread_row(const float *dy, float weight, double in_per_out, size_t in, size_t out, size_t c, float *dx)
{
    for (size_t i = 0; i < out; i++, dy += c) {
        const place u = place_of(i, in_per_out, in);
        float *a = dx + u.first * c, *b = dx + u.second * c, weight1 = weight * u.weight1, weight2 = weight * u.weight2;
#pragma omp simd
        for (size_t k = 0; k < c; k++) a[k] += weight1 * dy[k];
#pragma omp simd
        for (size_t k = 0; k < c; k++) b[k] += weight2 * dy[k];
    }
}

/* Each row of dx gathers from the rows of dy that used it, so that threads never meet. */
static void run_resize_bilinear_grad(const nn_call *call)
{
    nn_shape in = call->output_shape[0], out = call->input_shape[0];
    size_t c = in.dim[NN_C], h = in.dim[NN_H], w = in.dim[NN_W], line = out.dim[NN_W] * c;
    size_t rows = in.dim[NN_N] * h;
    double ratio_y = ratio(in, out, NN_H), ratio_x = ratio(in, out, NN_W);
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const float *image = call->input[0] + row / h * out.dim[NN_H] * line;
        float *dx = call->output[0] + row * w * c;
        memset(dx, 0, w * c * sizeof *dx);
        for (size_t i = 0; i < out.dim[NN_H]; i++) {
            const place v = place_of(i, ratio_y, h);
            if (v.first > row % h) break;
            if (v.first == row % h)
                spread_row(image + i * line, v.weight1, ratio_x, w, out.dim[NN_W], c, dx);
            if (v.second == row % h)
                spread_row(image + i * line, v.weight2, ratio_x, w, out.dim[NN_W], c, dx);
        }
    }
}

const nn_kernel CPU_NAME(cpu_resize_nearest) = {.run = run_resize_nearest};
const nn_kernel CPU_NAME(cpu_resize_nearest_grad) = {.run = run_resize_nearest_grad};
const nn_kernel CPU_NAME(cpu_resize_bilinear) = {.run = run_resize_bilinear};
const nn_kernel CPU_NAME(cpu_resize_bilinear_grad) = {.run = run_resize_bilinear_grad};
