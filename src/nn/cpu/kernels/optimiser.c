/* What a training step does to memory that outlives it: Adam, moving averages, and the checks that gate both. */
#include <math.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/parts.h"

static double squares(const float *g, size_t begin, size_t end)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = begin; i < end; i++) {
        double v = g[i];
        sum += v * v;
    }
    return sum;
}

static void run_squared_norm(const nn_call *call)
{
    size_t count = nn_count(call->input_shape[0]), parts = cpu_parts(count);
    const float *g = call->input[0];
    double *partial = call->workspace;
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++)
        partial[part] = squares(g, part * CPU_PART, cpu_part_end(part, count));
    call->output[0][0] = (float)cpu_parts_sum(partial, parts);
}

static size_t squared_norm_workspace(const nn_call *call)
{
    return cpu_parts(nn_count(call->input_shape[0])) * sizeof(double);
}

static void run_all_finite(const nn_call *call)
{
    bool finite = true;
    for (size_t i = 0; i < call->input_count; i++) finite = finite && isfinite(call->input[i][0]);
    call->output[0][0] = finite ? 1 : 0;
}

typedef struct adam_step {
    float beta1, beta2, rest1, rest2, epsilon; /* rest: 1 - beta, rounded once */
    float rate, root_rate; /* lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t) */
    float gradient_scale;  /* below 1 when the gradient is clipped */
} adam_step;

/* As torch.nn.utils.clip_grad_norm_. */
static float clip_scale(float clip, float squared_norm)
{
    double norm = sqrt((double)squared_norm);
    return clip > 0 && norm > (double)clip ? (float)((double)clip / (norm + 1e-6)) : 1;
}

static void adam_part(const adam_step *s, float *p, const float *g, float *m, float *v, size_t count)
{
    float beta1 = s->beta1, beta2 = s->beta2, epsilon = s->epsilon, scale = s->gradient_scale, rate = s->rate,
          root_rate = s->root_rate;
    float rest1 = s->rest1, rest2 = s->rest2;
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        float gradient = g[i] * scale;
        float mean = beta1 * m[i] + rest1 * gradient;
        float square = beta2 * v[i] + rest2 * gradient * gradient;
        m[i] = mean;
        v[i] = square;
        p[i] -= rate * mean / (sqrtf(square) * root_rate + epsilon);
    }
}

static void run_adam(const nn_call *call)
{
    const float *g = call->input[1], *rates = call->input[4];
    if (call->input[5][0] == 0) return;
    float *p = nn_call_mutable(call, 0), *m = nn_call_mutable(call, 2), *v = nn_call_mutable(call, 3);
    const adam_step step = {.beta1 = (float)call->attr.beta1,
                            .beta2 = (float)call->attr.beta2,
                            .rest1 = (float)(1 - call->attr.beta1),
                            .rest2 = (float)(1 - call->attr.beta2),
                            .epsilon = call->attr.epsilon,
                            .rate = rates[0],
                            .root_rate = rates[1],
                            .gradient_scale = clip_scale(call->attr.clip, call->input[6][0])};
    size_t count = nn_count(call->input_shape[0]), parts = cpu_parts(count);
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++) {
        size_t begin = part * CPU_PART;
        adam_part(&step, p + begin, g + begin, m + begin, v + begin, cpu_part_end(part, count) - begin);
    }
}

static void ema_part(float *average, const float *p, float rate, size_t begin, size_t end)
{
#pragma omp simd
    for (size_t i = begin; i < end; i++) average[i] += rate * (p[i] - average[i]);
}

static void run_ema(const nn_call *call)
{
    const float *p = call->input[1];
    if (call->input[3][0] == 0) return;
    float *average = nn_call_mutable(call, 0), rate = call->input[2][0];
    size_t count = nn_count(call->input_shape[0]), parts = cpu_parts(count);
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++)
        ema_part(average, p, rate, part * CPU_PART, cpu_part_end(part, count));
}

const nn_kernel CPU_NAME(cpu_squared_norm) = {.run = run_squared_norm, .workspace = squared_norm_workspace};
const nn_kernel CPU_NAME(cpu_all_finite) = {.run = run_all_finite};
const nn_kernel CPU_NAME(cpu_adam) = {.run = run_adam};
const nn_kernel CPU_NAME(cpu_ema) = {.run = run_ema};
