/* The image pool: hands out stored images in place of new ones (Shrivastava et al. 2017). An element is one thread's,
 * which takes the images in order: a later one may meet what an earlier one stored. */
#include "nn/cuda/launch.h"

struct swap {
    float *pool, *y;
    const float *x, *decision; /* decision[n]: see NN_POOL_SWAP's file in ops/ */
    size_t images, count;      /* count: elements of an image */
    float slots;
};

static __global__ void pool_swap(swap s)
{
    for (size_t i = cuda_first(); i < s.count; i += cuda_step())
        for (size_t n = 0; n < s.images; n++) {
            float decision = s.decision[n], number = fabsf(decision), value = s.x[n * s.count + i];
            float *y = s.y + n * s.count + i;
            if (!(number <= s.slots)) { /* a slot that does not exist must not pass for a picture: the losses will tell */
                *y = NAN;
                continue;
            }
            float *slot = number >= 1 ? s.pool + ((size_t)number - 1) * s.count + i : NULL;
            *y = slot && decision < 0 ? *slot : value;
            if (slot) *slot = value;
        }
}

static void run_pool_swap(const nn_call *call)
{
    nn_shape x = call->input_shape[1];
    swap s = {nn_call_mutable(call, 0), call->output[0], call->input[1], call->input[2], x.dim[NN_N],
              nn_count(x) / x.dim[NN_N], (float)call->input_shape[0].dim[NN_N]};
    cuda_launch_flat(call, pool_swap, s, s.count);
}

const nn_kernel cuda_pool_swap = {run_pool_swap};
