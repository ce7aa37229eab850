/* Nearest (by an integer factor) and bilinear resizing.
 *
 * Bilinear is torch.nn.functional.interpolate(align_corners=False, antialias=False): output pixel o lies at
 * (o + 0.5) * in / out - 0.5 of the input, not below 0, between two pixels of which the second is clamped.
 */
#include "nn/cuda/wide.h"

struct resizing {
    const float *x;
    float *y;
    unsigned h, w, c, out_h, out_w, factor; /* h, w: the smaller side of nearest, the input's of bilinear */
    double ratio_y, ratio_x;                /* in / out */
};

/* Rows of all images are in one count, so that a row of the larger side has its own in the smaller. */
template <int N> static __global__ void nearest(resizing r)
{
    cuda_pixel p = cuda_this_pixel<N>();
    if (p.column >= r.out_w || p.channel >= r.c) return;
    size_t from = p.row / r.factor * (size_t)r.w + p.column / r.factor, to = p.row * (size_t)r.out_w + p.column;
    cuda_store(r.y + to * r.c + p.channel, cuda_load<N>(r.x + from * r.c + p.channel));
}

template <int N> static __global__ void nearest_grad(resizing r)
{
    cuda_pixel p = cuda_this_pixel<N>();
    if (p.column >= r.w || p.channel >= r.c) return;
    size_t line = (size_t)r.out_w * r.c;
    const float *dy = r.x + p.row * (size_t)r.factor * line + (size_t)p.column * r.factor * r.c + p.channel;
    cuda_few<N> sum = {};
    for (unsigned ky = 0; ky < r.factor; ky++)
        for (unsigned kx = 0; kx < r.factor; kx++) {
            cuda_few<N> few = cuda_load<N>(dy + ky * line + (size_t)kx * r.c);
            for (int k = 0; k < N; k++) sum.v[k] += few.v[k];
        }
    cuda_store(r.y + (p.row * (size_t)r.w + p.column) * r.c + p.channel, sum);
}

/* Where an output pixel lies: between `first` and `second`, with these weights. */
struct place {
    unsigned first, second;
    float weight1, weight2;
};

__device__ static inline place place_of(unsigned out, double ratio, unsigned in)
{
    double at = ((double)out + 0.5) * ratio - 0.5;
    at = at > 0 ? at : 0;
    unsigned first = (unsigned)at;
    first = first < in - 1 ? first : in - 1;
    float fraction = (float)(at - (double)first);
    place p = {first, first + 1 < in ? first + 1 : first, 1 - fraction, fraction};
    return p;
}

static __global__ void bilinear(resizing r)
{
    unsigned width = r.out_w * r.c, image = blockIdx.x / r.out_h;
    size_t line = (size_t)r.w * r.c;
    place v = place_of(blockIdx.x % r.out_h, r.ratio_y, r.h);
    const float *x = r.x + image * r.h * line, *top = x + v.first * line, *bottom = x + v.second * line;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(width); i < end; i += CUDA_BLOCK) {
        unsigned channel = i % r.c;
        place u = place_of(i / r.c, r.ratio_x, r.w);
        unsigned a = u.first * r.c + channel, b = u.second * r.c + channel;
        r.y[blockIdx.x * (size_t)width + i] = v.weight1 * (u.weight1 * top[a] + u.weight2 * top[b]) +
                                              v.weight2 * (u.weight1 * bottom[a] + u.weight2 * bottom[b]);
    }
}

/* What output pixel `out` took of input pixel `in`. */
__device__ static inline float weight_of(place p, unsigned in)
{
    return (p.first == in ? p.weight1 : 0) + (p.second == in ? p.weight2 : 0);
}

/* The first output pixel that can have used input pixel i; those that follow go on until place.first is past it. */
__device__ static inline unsigned first_user(unsigned i, double ratio)
{
    double at = ((double)i - 0.5) / ratio - 1.5; /* one early: rounding */
    return at > 0 ? (unsigned)at : 0;
}

static __global__ void bilinear_grad(resizing r)
{
    unsigned width = r.w * r.c, image = blockIdx.x / r.h, iy = blockIdx.x % r.h;
    size_t line = (size_t)r.out_w * r.c;
    for (unsigned i = cuda_row_first(), end = cuda_row_end(width); i < end; i += CUDA_BLOCK) {
        const float *dy = r.x + image * r.out_h * line + i % r.c;
        unsigned ix = i / r.c;
        float sum = 0;
        for (unsigned oy = first_user(iy, r.ratio_y); oy < r.out_h; oy++) {
            place v = place_of(oy, r.ratio_y, r.h);
            if (v.first > iy) break;
            float down = weight_of(v, iy);
            for (unsigned ox = first_user(ix, r.ratio_x); down != 0 && ox < r.out_w; ox++) {
                place u = place_of(ox, r.ratio_x, r.w);
                if (u.first > ix) break;
                sum += down * weight_of(u, ix) * dy[oy * line + (size_t)ox * r.c];
            }
        }
        r.y[blockIdx.x * (size_t)width + i] = sum;
    }
}

static resizing resizing_of(const nn_call *call, nn_shape in, nn_shape out)
{
    resizing r = {call->input[0],
                  call->output[0],
                  (unsigned)in.dim[NN_H],
                  (unsigned)in.dim[NN_W],
                  (unsigned)in.dim[NN_C],
                  (unsigned)out.dim[NN_H],
                  (unsigned)out.dim[NN_W],
                  (unsigned)call->attr.factor,
                  (double)in.dim[NN_H] / (double)out.dim[NN_H],
                  (double)in.dim[NN_W] / (double)out.dim[NN_W]};
    return r;
}

static bool is_aligned(const resizing &r) { return cuda_aligned(r.x) && cuda_aligned(r.y); }

static void run_nearest(const nn_call *call)
{
    nn_shape out = call->output_shape[0];
    resizing r = resizing_of(call, call->input_shape[0], out);
    cuda_launch_pixels(call, is_aligned(r), nearest<CUDA_WIDE>, nearest<1>, r, out.dim[NN_N] * out.dim[NN_H], r.out_w, r.c);
}

static void run_nearest_grad(const nn_call *call)
{
    nn_shape in = call->output_shape[0];
    resizing r = resizing_of(call, in, call->input_shape[0]);
    cuda_launch_pixels(call, is_aligned(r), nearest_grad<CUDA_WIDE>, nearest_grad<1>, r, in.dim[NN_N] * in.dim[NN_H], r.w,
                       r.c);
}

static void launch(const nn_call *call, void (*kernel)(resizing), nn_shape in, nn_shape out)
{
    nn_shape y = call->output_shape[0];
    cuda_launch_rows(call, kernel, resizing_of(call, in, out), y.dim[NN_N] * y.dim[NN_H], y.dim[NN_W] * y.dim[NN_C]);
}

static void run_bilinear(const nn_call *call) { launch(call, bilinear, call->input_shape[0], call->output_shape[0]); }
static void run_bilinear_grad(const nn_call *call)
{
    launch(call, bilinear_grad, call->output_shape[0], call->input_shape[0]);
}

const nn_kernel cuda_resize_nearest = {run_nearest}, cuda_resize_nearest_grad = {run_nearest_grad},
                cuda_resize_bilinear = {run_bilinear}, cuda_resize_bilinear_grad = {run_bilinear_grad};
