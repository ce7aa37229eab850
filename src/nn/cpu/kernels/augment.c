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

/* Forward a pixel comes from where it was before the shift; back, a pixel's gradient is that of the one which it became. */
static void augment(const nn_call *call, bool back)
{
    nn_shape s = call->output_shape[0];
    size_t h = s.dim[NN_H], w = s.dim[NN_W], c = s.dim[NN_C], rows = s.dim[NN_N] * h;
#pragma omp parallel for num_threads(call->threads)
    for (size_t row = 0; row < rows; row++) {
        const augmentation a = augmentation_of(call, row / h);
        const float *image = call->input[0] + row / h * h * w * c, brightness = back ? 0 : a.brightness;
        float *y = call->output[0] + row * w * c;
        long here = (long)(row % h), other = back ? here + a.down : here - a.down;
        for (long j = 0; j < (long)w; j++, y += c) {
            long column = back ? j + a.right : j - a.right;
            bool there = is_within(other, h) && is_within(column, w) &&
                         is_seen(&a, back ? other : here, back ? column : j, call->attr.extent);
            const float *x = there ? image + ((size_t)other * w + (size_t)column) * c : NULL;
            float mean = there ? mean_of(x, c) : 0;
            for (size_t k = 0; k < c; k++)
                y[k] = there ? a.contrast * (a.saturation * (x[k] - mean) + mean + brightness) : 0;
        }
    }
}

static void run_augment(const nn_call *call) { augment(call, false); }
static void run_augment_grad(const nn_call *call) { augment(call, true); }

const nn_kernel CPU_NAME(cpu_augment) = {.run = run_augment};
const nn_kernel CPU_NAME(cpu_augment_grad) = {.run = run_augment_grad};
