/* Mean losses and their gradients. Sums are kept in double; see parts.h for their order. */
#include <math.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/parts.h"

/* Elements begin .. end-1 of a loss's sum; b may be NULL, a is then compared with `target`. */
typedef double loss_sum(const float *a, const float *b, float target, size_t begin, size_t end);
/* The same elements of its gradient; da may be a or b. */
typedef void loss_grad(const float *a, const float *b, float target, float factor, size_t begin, size_t end,
                       float *da);

static void mean(const nn_call *call, loss_sum *sum)
{
    size_t count = nn_count(call->input_shape[0]), parts = cpu_parts(count);
    const float *a = call->input[0], *b = call->input_count > 1 ? call->input[1] : NULL;
    float target = call->attr.target;
    double *partial = call->workspace;
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++)
        partial[part] = sum(a, b, target, part * CPU_PART, cpu_part_end(part, count));
    call->output[0][0] = (float)(cpu_parts_sum(partial, parts) / (double)count);
}

static size_t mean_workspace(const nn_call *call)
{
    return cpu_parts(nn_count(call->input_shape[0])) * sizeof(double);
}

/* `power`: the constant that differentiation brings down. The scalar's gradient is the last input. */
static void mean_grad(const nn_call *call, double power, loss_grad *grad)
{
    size_t count = nn_count(call->input_shape[0]), parts = cpu_parts(count), last = call->input_count - 1;
    const float *a = call->input[0], *b = last > 1 ? call->input[1] : NULL;
    float target = call->attr.target, factor = (float)(power * (double)call->input[last][0] / (double)count);
    float *da = call->output[0];
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++)
        grad(a, b, target, factor, part * CPU_PART, cpu_part_end(part, count), da);
}

static double abs_sum(const float *a, const float *b, float target, size_t begin, size_t end)
{
    double sum = 0;
    if (b) {
#pragma omp simd reduction(+ : sum)
        for (size_t i = begin; i < end; i++) sum += (double)fabsf(a[i] - b[i]);
    } else {
#pragma omp simd reduction(+ : sum)
        for (size_t i = begin; i < end; i++) sum += (double)fabsf(a[i] - target);
    }
    return sum;
}

/* NaN for NaN, which the first two comparisons alone would hide. */
static inline float sign(float difference)
{
    float side = difference > 0 ? 1 : 0;
    side = difference < 0 ? -1 : side;
    return difference != difference ? difference : side;
}

static void abs_grad(const float *a, const float *b, float target, float factor, size_t begin, size_t end, float *da)
{
    if (b) {
#pragma omp simd
        for (size_t i = begin; i < end; i++) da[i] = factor * sign(a[i] - b[i]);
    } else {
#pragma omp simd
        for (size_t i = begin; i < end; i++) da[i] = factor * sign(a[i] - target);
    }
}

static double square_sum(const float *a, const float *b, float target, size_t begin, size_t end)
{
    double sum = 0;
    if (b) {
#pragma omp simd reduction(+ : sum)
        for (size_t i = begin; i < end; i++) {
            double difference = a[i] - b[i];
            sum += difference * difference;
        }
    } else {
#pragma omp simd reduction(+ : sum)
        for (size_t i = begin; i < end; i++) {
            double difference = a[i] - target;
            sum += difference * difference;
        }
    }
    return sum;
}

static void square_grad(const float *a, const float *b, float target, float factor, size_t begin, size_t end,
                        float *da)
{
    if (b) {
#pragma omp simd
        for (size_t i = begin; i < end; i++) da[i] = factor * (a[i] - b[i]);
    } else {
#pragma omp simd
        for (size_t i = begin; i < end; i++) da[i] = factor * (a[i] - target);
    }
}

/* In double throughout: scores are few, and sigmoid(x) - 1 keeps digits that float would cancel. */
static double bce_sum(const float *x, const float *unused, float target, size_t begin, size_t end)
{
    (void)unused;
    double sum = 0;
    for (size_t i = begin; i < end; i++) {
        double v = x[i];
        sum += (v > 0 ? v : 0) - v * (double)target + log1p(exp(-fabs(v)));
    }
    return sum;
}

static void bce_grad(const float *x, const float *unused, float target, float factor, size_t begin, size_t end,
                     float *dx)
{
    (void)unused;
    for (size_t i = begin; i < end; i++) {
        double v = x[i], e = exp(-fabs(v)), sigmoid = (v >= 0 ? 1 : e) / (1 + e);
        dx[i] = (float)((double)factor * (sigmoid - (double)target));
    }
}

static void run_mean_abs(const nn_call *call) { mean(call, abs_sum); }
static void run_mean_abs_grad(const nn_call *call) { mean_grad(call, 1, abs_grad); }
static void run_mean_square(const nn_call *call) { mean(call, square_sum); }
static void run_mean_square_grad(const nn_call *call) { mean_grad(call, 2, square_grad); }
static void run_bce_logits(const nn_call *call) { mean(call, bce_sum); }
static void run_bce_logits_grad(const nn_call *call) { mean_grad(call, 1, bce_grad); }

const nn_kernel CPU_NAME(cpu_mean_abs) = {.run = run_mean_abs, .workspace = mean_workspace};
const nn_kernel CPU_NAME(cpu_mean_abs_grad) = {.run = run_mean_abs_grad};
const nn_kernel CPU_NAME(cpu_mean_square) = {.run = run_mean_square, .workspace = mean_workspace};
const nn_kernel CPU_NAME(cpu_mean_square_grad) = {.run = run_mean_square_grad};
const nn_kernel CPU_NAME(cpu_bce_logits) = {.run = run_bce_logits, .workspace = mean_workspace};
const nn_kernel CPU_NAME(cpu_bce_logits_grad) = {.run = run_bce_logits_grad};
