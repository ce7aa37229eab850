/* The image pool: hands out stored images in place of new ones (Shrivastava et al. 2017). */
#include <math.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/kernels.h"

/* y <- x; slot <- x. slot may be NULL. */
static void pass_on(const float *x, float *slot, float *y, size_t count, int threads)
{
#pragma omp parallel for simd num_threads(threads)
    for (size_t i = 0; i < count; i++) y[i] = x[i];
    if (!slot) return;
#pragma omp parallel for simd num_threads(threads)
    for (size_t i = 0; i < count; i++) slot[i] = x[i];
}

/* y <- slot; slot <- x. */
static void exchange(const float *x, float *slot, float *y, size_t count, int threads)
{
#pragma omp parallel for simd num_threads(threads)
    for (size_t i = 0; i < count; i++) {
        float stored = slot[i];
        slot[i] = x[i];
        y[i] = stored;
    }
}

/* In order: a later image may meet what an earlier one stored. */
static void run_pool_swap(const nn_call *call)
{
    float *pool = nn_call_mutable(call, 0), *y = call->output[0];
    const float *x = call->input[1], *decision = call->input[2];
    nn_shape shape = call->input_shape[1];
    size_t images = shape.dim[NN_N], count = nn_count(shape) / images;
    float slots = (float)call->input_shape[0].dim[NN_N];
    for (size_t n = 0; n < images; n++) {
        float number = fabsf(decision[n]);
        const float *from = x + n * count;
        float *to = y + n * count;
        /* A slot that does not exist (or NaN) must not pass for a picture: the losses will tell. */
        if (!(number <= slots)) {
            for (size_t i = 0; i < count; i++) to[i] = NAN;
            continue;
        }
        float *slot = number >= 1 ? pool + ((size_t)number - 1) * count : NULL;
        if (slot && decision[n] < 0)
            exchange(from, slot, to, count, call->threads);
        else
            pass_on(from, slot, to, count, call->threads);
    }
}

const nn_kernel CPU_NAME(cpu_pool_swap) = {.run = run_pool_swap};
