/* Total variation with an exponent, and its gradient.
 *
 * At every pixel that has a right and a lower neighbour, per channel: dx = x[y][x+1] - x[y][x],
 * dy = x[y+1][x] - x[y][x], base = dx^2 + dy^2 + epsilon; the value is scale * sum base^(exponent/2).
 */
#include <math.h>
#include <string.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/kernels.h"

/* Elements whose bases are worked on at a time, on the stack. */
enum { BATCH = 256 };

/* Replaces each base by its power. Roots vectorise, powf does not: those of exponents 1, 2 and 2.5 and of their
 * derivatives have loops of their own. A base of 0 stays 0, because dx = dy = 0 there and a negative power, infinite,
 * would only bring in NaN. */
static void raise_to(float *base, size_t count, float power)
{
    if (power == 1) return;
    if (power == 0) {
        for (size_t i = 0; i < count; i++) base[i] = 1;
    } else if (power == 0.5f) {
#pragma omp simd
        for (size_t i = 0; i < count; i++) base[i] = sqrtf(base[i]);
    } else if (power == -0.5f) {
#pragma omp simd
        for (size_t i = 0; i < count; i++) {
            float inverse = 1 / sqrtf(base[i]);
            base[i] = base[i] == 0 ? 0 : inverse;
        }
    } else if (power == 0.25f) {
#pragma omp simd
        for (size_t i = 0; i < count; i++) base[i] = sqrtf(sqrtf(base[i]));
    } else if (power == 1.25f) {
#pragma omp simd
        for (size_t i = 0; i < count; i++) base[i] *= sqrtf(sqrtf(base[i]));
    } else {
        for (size_t i = 0; i < count; i++) base[i] = base[i] == 0 ? 0 : powf(base[i], power);
    }
}

/* x points at the first of `count` elements of a row; right and below are the distances to the neighbours. */
static void find_bases(const float *x, size_t right, size_t below, float epsilon, size_t count, float *base)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        float dx = x[i + right] - x[i], dy = x[i + below] - x[i];
        base[i] = dx * dx + dy * dy + epsilon;
    }
}

/* x is (n,h,w,c); rows and columns that have a lower and a right neighbour. */
typedef struct inner {
    size_t images, rows, row, below, right; /* row: elements with a right neighbour; below: elements of a whole row */
} inner;

static inner inner_of(nn_shape s)
{
    size_t w = s.dim[NN_W], c = s.dim[NN_C];
    return (inner){.images = s.dim[NN_N], .rows = s.dim[NN_H] - 1, .row = (w - 1) * c, .below = w * c, .right = c};
}

static double row_sum(const float *x, const inner *in, const nn_attributes *attr)
{
    double sum = 0;
    float base[BATCH];
    for (size_t begin = 0; begin < in->row; begin += BATCH) {
        size_t count = in->row - begin < BATCH ? in->row - begin : BATCH;
        find_bases(x + begin, in->right, in->below, attr->epsilon, count, base);
        raise_to(base, count, attr->exponent / 2);
#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < count; i++) sum += (double)base[i];
    }
    return sum;
}

/* One partial sum for each row. */
static void run_total_variation(const nn_call *call)
{
    const inner in = inner_of(call->input_shape[0]);
    size_t rows = in.images * in.rows;
    double *partial = call->workspace, sum = 0;
#pragma omp parallel for num_threads(call->threads)
    for (size_t i = 0; i < rows; i++) {
        size_t row = i / in.rows * (in.rows + 1) + i % in.rows;
        partial[i] = row_sum(call->input[0] + row * in.below, &in, &call->attr);
    }
    for (size_t i = 0; i < rows; i++) sum += partial[i];
    call->output[0][0] = (float)((double)call->attr.scale * sum);
}

static size_t total_variation_workspace(const nn_call *call)
{
    const inner in = inner_of(call->input_shape[0]);
    return in.images * in.rows * sizeof(double);
}

/* d value / d dx and d value / d dy of a row: factor * base^(exponent/2 - 1) * dx or dy. */
static void row_flow(const float *x, const inner *in, const nn_attributes *attr, float factor, float *flow_x,
                     float *flow_y)
{
    float base[BATCH];
    for (size_t begin = 0; begin < in->row; begin += BATCH) {
        size_t count = in->row - begin < BATCH ? in->row - begin : BATCH, right = in->right, below = in->below;
        const float *from = x + begin;
        float *to_x = flow_x + begin, *to_y = flow_y + begin;
        find_bases(from, right, below, attr->epsilon, count, base);
        raise_to(base, count, attr->exponent / 2 - 1);
#pragma omp simd
        for (size_t i = 0; i < count; i++) {
            to_x[i] = factor * base[i] * (from[i + right] - from[i]);
            to_y[i] = factor * base[i] * (from[i + below] - from[i]);
        }
    }
}

/* One row of the gradient. The flows begin at this row; those of the row above are in->row elements before. */
static void row_gradient(const float *flow_x, const float *flow_y, const inner *in, size_t y, float *dx)
{
    size_t row = in->row, right = in->right;
    memset(dx, 0, in->below * sizeof *dx);
    if (y < in->rows) {
#pragma omp simd
        for (size_t i = 0; i < row; i++) dx[i] -= flow_x[i] + flow_y[i];
#pragma omp simd
        for (size_t i = 0; i < row; i++) dx[i + right] += flow_x[i];
    }
    if (y > 0) {
        const float *above = flow_y - row;
#pragma omp simd
        for (size_t i = 0; i < row; i++) dx[i] += above[i];
    }
}

/* x is read in the first loop only, so that dx may take its place. */
static void run_total_variation_grad(const nn_call *call)
{
    const inner in = inner_of(call->input_shape[0]);
    const nn_attributes *attr = &call->attr;
    size_t rows = in.images * in.rows, all_rows = in.images * (in.rows + 1);
    float factor = (float)((double)attr->scale * (double)attr->exponent * (double)call->input[1][0]);
    float *flow_x = call->workspace, *flow_y = flow_x + rows * in.row;
#pragma omp parallel for num_threads(call->threads)
    for (size_t i = 0; i < rows; i++) {
        size_t row = i / in.rows * (in.rows + 1) + i % in.rows;
        row_flow(call->input[0] + row * in.below, &in, attr, factor, flow_x + i * in.row, flow_y + i * in.row);
    }
#pragma omp parallel for num_threads(call->threads)
    for (size_t i = 0; i < all_rows; i++) {
        size_t y = i % (in.rows + 1), at = (i / (in.rows + 1) * in.rows + y) * in.row;
        row_gradient(flow_x + at, flow_y + at, &in, y, call->output[0] + i * in.below);
    }
}

static size_t total_variation_grad_workspace(const nn_call *call)
{
    const inner in = inner_of(call->input_shape[0]);
    return 2 * in.images * in.rows * in.row * sizeof(float);
}

const nn_kernel CPU_NAME(cpu_total_variation) = {.run = run_total_variation, .workspace = total_variation_workspace};
const nn_kernel CPU_NAME(cpu_total_variation_grad) = {.run = run_total_variation_grad,
                                                      .workspace = total_variation_grad_workspace};
