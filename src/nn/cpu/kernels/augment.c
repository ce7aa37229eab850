/* Colour, shift and a hole; see ops/augment.c. */
#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/kernels.h"

typedef struct augmentation {
    float brightness, saturation, contrast;
    long down, right, top, left; /* the hole's first row and column */
} augmentation;

/* Draws are whole numbers of this size; what is none must not make undefined behaviour of it. */
static long whole(float draw) { return draw > -1e6f && draw < 1e6f ? (long)draw : 0; }

static augmentation augmentation_of(const nn_call *call, size_t image)
{
    const float *d = call->input[1] + (call->attr.begin + image) * NN_DRAWS;
    return (augmentation){d[0], d[1], d[2], whole(d[3]), whole(d[4]), whole(d[5]), whole(d[6])};
}

static bool is_within(long i, size_t size) { return i >= 0 && (size_t)i < size; }

static bool is_seen(const augmentation *a, long row, long column, size_t hole)
{
    return !is_within(row - a->top, hole) || !is_within(column - a->left, hole);
}

static float mean_of(const float *pixel, size_t c)
{
    float sum = 0;
    for (size_t k = 0; k < c; k++) sum += pixel[k];
    return sum / (float)c;
}

static void run_augment(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    size_t h = s.dim[NN_H], w = s.dim[NN_W], c = s.dim[NN_C], rows = s.dim[NN_N] * h;
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const augmentation a = augmentation_of(call, row / h);
        const float *image = call->input[0] + row / h * h * w * c;
        float *y = call->output[0] + row * w * c;
        long to = (long)(row % h), from = to - a.down;
        for (long j = 0; j < (long)w; j++, y += c) {
            bool there = is_within(from, h) && is_within(j - a.right, w) && is_seen(&a, to, j, call->attr.extent);
            const float *x = there ? image + ((size_t)from * w + (size_t)(j - a.right)) * c : NULL;
            float mean = there ? mean_of(x, c) : 0;
            for (size_t k = 0; k < c; k++)
                y[k] = there ? a.contrast * (a.saturation * (x[k] - mean) + mean + a.brightness) : 0;
        }
    }
}

/* A pixel's gradient is that of the one which it became. */
static void run_augment_grad(const nn_call *call)
{
    nn_shape s = call->output_shape[0];
    size_t h = s.dim[NN_H], w = s.dim[NN_W], c = s.dim[NN_C], rows = s.dim[NN_N] * h;
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const augmentation a = augmentation_of(call, row / h);
        const float *image = call->input[0] + row / h * h * w * c;
        float *dx = call->output[0] + row * w * c;
        long to = (long)(row % h) + a.down;
        for (long j = 0; j < (long)w; j++, dx += c) {
            bool there = is_within(to, h) && is_within(j + a.right, w) && is_seen(&a, to, j + a.right, call->attr.extent);
            const float *dy = there ? image + ((size_t)to * w + (size_t)(j + a.right)) * c : NULL;
            float mean = there ? mean_of(dy, c) : 0;
            for (size_t k = 0; k < c; k++) dx[k] = there ? a.contrast * (a.saturation * (dy[k] - mean) + mean) : 0;
        }
    }
}

const nn_kernel CPU_NAME(cpu_augment) = {.run = run_augment};
const nn_kernel CPU_NAME(cpu_augment_grad) = {.run = run_augment_grad};
