/* Elementwise sums, products, multiples, copies, and constants. Output 0 may be any of the inputs. */
#include <string.h>

#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/parts.h"

/* Floats in memory of output 0; operands share its layout, and a layout of the backend's own may pad the channels. */
static size_t floats_of(const nn_call *call)
{
    if (call->output_layout[0] == NN_LAYOUT_PLAIN) return nn_count(call->output_shape[0]);
    return call->backend->interface->layout_bytes(call->backend, call->output_layout[0], call->output_shape[0]) /
           sizeof(float);
}

static void run_add(const nn_call *call)
{
    const float *a = call->input[0], *b = call->input[1];
    float *y = call->output[0];
    size_t count = floats_of(call), parts = cpu_parts(count);
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++) {
        size_t end = cpu_part_end(part, count);
#pragma omp simd
        for (size_t i = part * CPU_PART; i < end; i++) y[i] = a[i] + b[i];
    }
}

static void run_multiply(const nn_call *call)
{
    const float *a = call->input[0], *b = call->input[1];
    float *y = call->output[0];
    size_t count = floats_of(call), parts = cpu_parts(count);
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++) {
        size_t end = cpu_part_end(part, count);
#pragma omp simd
        for (size_t i = part * CPU_PART; i < end; i++) y[i] = a[i] * b[i];
    }
}

static void run_scale(const nn_call *call)
{
    const float *x = call->input[0];
    float *y = call->output[0], scale = call->attr.scale;
    size_t count = floats_of(call), parts = cpu_parts(count);
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++) {
        size_t end = cpu_part_end(part, count);
#pragma omp simd
        for (size_t i = part * CPU_PART; i < end; i++) y[i] = scale * x[i];
    }
}

static void run_copy(const nn_call *call)
{
    const float *x = call->input[0];
    float *y = call->output[0];
    size_t count = floats_of(call), parts = cpu_parts(count);
    if (y == x) return;
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++) {
        size_t begin = part * CPU_PART;
        memcpy(y + begin, x + begin, (cpu_part_end(part, count) - begin) * sizeof(float));
    }
}

static void run_constant(const nn_call *call)
{
    float *y = call->output[0], scale = call->attr.scale;
    size_t count = floats_of(call), parts = cpu_parts(count);
#pragma omp parallel for num_threads(call->threads) if (parts > 1)
    for (size_t part = 0; part < parts; part++) {
        size_t end = cpu_part_end(part, count);
#pragma omp simd
        for (size_t i = part * CPU_PART; i < end; i++) y[i] = scale;
    }
}

const nn_kernel CPU_NAME(cpu_add) = {.run = run_add};
const nn_kernel CPU_NAME(cpu_multiply) = {.run = run_multiply};
const nn_kernel CPU_NAME(cpu_scale) = {.run = run_scale};
const nn_kernel CPU_NAME(cpu_copy) = {.run = run_copy};
const nn_kernel CPU_NAME(cpu_constant) = {.run = run_constant};
