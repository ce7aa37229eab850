/* Colour, shift and a hole; see ops/augment.c. A thread has a pixel of the result. */
#include "nn/cuda/launch.h"

struct augmenting {
    const float *x, *draws; /* draws: of the first picture */
    float *y;
    unsigned h, w, c, hole;
    size_t pixels;
};

/* Draws are whole numbers of this size. */
__device__ static inline int whole(float draw) { return draw > -1e6f && draw < 1e6f ? (int)draw : 0; }

__device__ static inline bool is_within(int i, unsigned size) { return i >= 0 && (unsigned)i < size; }

/* BACK: x is the gradient of what the augmentation gives, y that of what it takes. */
template <bool BACK> static __global__ void augment(augmenting a)
{
    for (size_t i = cuda_first(); i < a.pixels; i += cuda_step()) {
        const size_t image = i / ((size_t)a.h * a.w);
        const unsigned place = (unsigned)(i - image * a.h * a.w);
        const float *d = a.draws + image * NN_DRAWS, brightness = BACK ? 0 : d[0], saturation = d[1], contrast = d[2];
        const int row = (int)(place / a.w), column = (int)(place % a.w), down = whole(d[3]), right = whole(d[4]);
        const int other_row = BACK ? row + down : row - down, other = BACK ? column + right : column - right;
        const int seen_row = BACK ? other_row : row, seen = BACK ? other : column;
        const bool there = is_within(other_row, a.h) && is_within(other, a.w) &&
                           !(is_within(seen_row - whole(d[5]), a.hole) && is_within(seen - whole(d[6]), a.hole));
        float *y = a.y + i * a.c;
        const float *x = there ? a.x + ((image * a.h + (unsigned)other_row) * a.w + (unsigned)other) * a.c : NULL;
        float mean = 0;
        for (unsigned k = 0; there && k < a.c; k++) mean += x[k];
        mean /= (float)a.c;
        for (unsigned k = 0; k < a.c; k++)
            y[k] = there ? contrast * (saturation * (x[k] - mean) + mean + brightness) : 0;
    }
}

static augmenting augmenting_of(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    augmenting a = {call->input[0], call->input[1] + call->attr.begin * NN_DRAWS, call->output[0],
                    (unsigned)s.dim[NN_H], (unsigned)s.dim[NN_W], (unsigned)s.dim[NN_C], (unsigned)call->attr.extent,
                    s.dim[NN_N] * s.dim[NN_H] * s.dim[NN_W]};
    return a;
}

static void run_augment(const nn_call *call)
{
    augmenting a = augmenting_of(call);
    cuda_launch_flat(call, augment<false>, a, a.pixels);
}

static void run_augment_grad(const nn_call *call)
{
    augmenting a = augmenting_of(call);
    cuda_launch_flat(call, augment<true>, a, a.pixels);
}

const nn_kernel cuda_augment = {run_augment}, cuda_augment_grad = {run_augment_grad};
