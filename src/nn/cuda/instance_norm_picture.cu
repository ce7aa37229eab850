/* Instance normalisation and its gradient whose results convolutions read, and all as the same picture (picture.h): it is
 * written here, border and all, so that there is neither a plain result nor a copy of it. The numbers are those of
 * instance_norm.cu, rounded. Where others read the normalised values as well, as a residual block's addition does, they
 * are written beside the picture.
 *
 * A block takes 64 channels, eight granules, of a part of a picture's places, which count row by row with the border; a
 * thread keeps its granule. Places that mirror a pixel compute it once more: nobody writes but to his own.
 */
#include "nn/cuda/instance_norm.h"
#include "nn/cuda/picture_frame.h"

enum {
    PART_CHANNELS = COLUMNS_LANES * CUDA_WIDE,
    PART_GRANULES = PART_CHANNELS / TENSOR_GRANULE,
    STEP = COLUMNS_LANES * COLUMNS_DEEP / PART_GRANULES, /* places that a block's threads take at once */
    DEEP = 3,                                            /* of a thread, on their way at once */
    NEIGHBOURS = 8                                       /* threads that write 128 bytes */
};

typedef cuda_few<TENSOR_GRANULE> numbers;

struct painting {
    normalisation n;
    picture_frame frame;
    unsigned places, part; /* of a picture, of a block */
};

/* A thread's granule, of the block's; and its places: from, in steps of STEP, to less than. In order of planes eight
 * neighbouring threads take neighbouring places, else a place's granules: they lie beside one another in the picture. */
struct share {
    unsigned granule, first, end;
};

__device__ static inline share share_of(const painting &a)
{
    unsigned thread = threadIdx.y * COLUMNS_LANES + threadIdx.x, low = thread % NEIGHBOURS, high = thread / NEIGHBOURS;
    unsigned end = (blockIdx.y + 1) * a.part;
    share s = {low, blockIdx.y * a.part + high, end < a.places ? end : a.places};
    if (a.frame.planes)
        s.granule = high % PART_GRANULES, s.first = blockIdx.y * a.part + high / PART_GRANULES * NEIGHBOURS + low;
    if (blockIdx.x * PART_GRANULES + s.granule >= a.frame.granules) s.end = 0;
    return s;
}

/* Pixels of the plain picture that are seen from `place` on; -1 where zeros are. */
__device__ static inline void find_pixels(const painting &a, const share &s, unsigned place, int (&pixel)[DEEP])
{
    const picture_frame &f = a.frame;
#pragma unroll
    for (unsigned d = 0; d < DEEP; d++) {
        unsigned at = place + d * STEP;
        int row = picture_source(f, at / f.w, f.border.top, f.source_h);
        int column = picture_source(f, at % f.w, f.border.left, f.source_w);
        pixel[d] = at < s.end && row >= 0 && column >= 0 ? row * (int)f.source_w + column : -1;
    }
}

template <bool wide, typename T>
__device__ static inline void load(const painting &a, const share &s, const T *from, const int (&pixel)[DEEP],
                                   numbers (&value)[DEEP])
{
    const unsigned c = a.frame.c, channel = (blockIdx.x * PART_GRANULES + s.granule) * TENSOR_GRANULE;
    const unsigned first = blockIdx.z * a.frame.source_h * a.frame.source_w;
#pragma unroll
    for (unsigned d = 0; d < DEEP; d++) {
        numbers zeros = {};
        value[d] = zeros;
        if (pixel[d] < 0) continue;
        value[d] = granule_load<wide>(from + ((first + (unsigned)pixel[d]) * c + channel), c - channel);
    }
}

/* Zeros where there is no pixel. */
__device__ static inline void store(const painting &a, const share &s, unsigned place, const int (&pixel)[DEEP],
                                    const numbers (&value)[DEEP])
{
    unsigned number = blockIdx.x * PART_GRANULES + s.granule;
#pragma unroll
    for (unsigned d = 0; d < DEEP; d++) {
        unsigned at = place + d * STEP;
        if (at >= s.end) continue;
        numbers zeros = {};
        unsigned to = a.frame.planes ? (blockIdx.z * a.frame.granules + number) * a.places + at
                                     : (blockIdx.z * a.places + at) * a.frame.granules + number;
        a.frame.to[to] = granule_of(pixel[d] < 0 ? zeros : value[d]);
    }
}

/* The plain values beside the picture, by who has the pixel's own place and no mirror of it. */
template <bool wide>
__device__ static inline void store_plain(const painting &a, const share &s, unsigned place, const int (&pixel)[DEEP],
                                          const numbers (&value)[DEEP])
{
    const picture_frame &f = a.frame;
    const unsigned channel = (blockIdx.x * PART_GRANULES + s.granule) * TENSOR_GRANULE;
    const unsigned first = blockIdx.z * f.source_h * f.source_w;
#pragma unroll
    for (unsigned d = 0; d < DEEP; d++) {
        unsigned at = place + d * STEP; /* above and to the left of the pixels the differences are huge */
        bool own = at / f.w - f.border.top < f.source_h && at % f.w - f.border.left < f.source_w;
        if (at >= s.end || !own) continue;
        granule_store<wide>(a.n.y + ((first + (unsigned)pixel[d]) * f.c + channel), value[d], f.c - channel);
    }
}

/* Two values for each of a block's channels; zeros past the last, which make zeros of those that fill a granule up. */
struct alignas(TENSOR_GRANULE * sizeof(float)) channel_pairs {
    float v[2][PART_CHANNELS];
};

__device__ static inline void spread(channel_pairs &to, const pair<CUDA_WIDE> &found)
{
    for (int m = 0; m < 2 && threadIdx.y == 0; m++) cuda_store(to.v[m] + threadIdx.x * CUDA_WIDE, found[m]);
}

__device__ static inline void spread(channel_pairs &to, const normalisation &n, const float *pairs)
{
    unsigned thread = threadIdx.y * COLUMNS_LANES + threadIdx.x, m = thread / PART_CHANNELS, k = thread % PART_CHANNELS;
    size_t channel = blockIdx.x * PART_CHANNELS + k;
    if (m < 2) to.v[m][k] = channel < n.v.c ? pairs[pair_of(n, blockIdx.z) + m * n.v.c + channel] : 0;
}

__device__ static inline void take(const channel_pairs &from, const share &s, pair<TENSOR_GRANULE> &p)
{
    for (int m = 0; m < 2; m++) p[m] = cuda_load<TENSOR_GRANULE>(from.v[m] + s.granule * TENSOR_GRANULE);
}

template <bool wide, bool adds, typename X> static __global__ COLUMNS_BOUNDS void paint(painting a)
{
    __shared__ columns_shared<CUDA_WIDE, 2> shared;
    __shared__ channel_pairs statistics;
    const normalisation &n = a.n;
    const share own = share_of(a);
    int pixel[DEEP];
    numbers x[DEEP], added[DEEP]; /* on their way while statistics are found */
    find_pixels(a, own, own.first, pixel);
    load<wide>(a, own, input_at<X>(n, 0), pixel, x);
    if (adds) load<wide>(a, own, n.added, pixel, added);
    if (wide && !n.merged) {
        size_t channel = columns_channel<CUDA_WIDE>();
        pair<CUDA_WIDE> found;
        merge_parts<CUDA_WIDE>(n, channel, found, shared);
        store_pair<CUDA_WIDE>(n, n.statistics, channel, found);
        spread(statistics, found);
    } else {
        spread(statistics, n, n.statistics);
    }
    __syncthreads();
    pair<TENSOR_GRANULE> s;
    take(statistics, own, s);
    for (unsigned place = own.first; place < own.end; place += DEEP * STEP) {
        if (place > own.first) {
            find_pixels(a, own, place, pixel);
            load<wide>(a, own, input_at<X>(n, 0), pixel, x);
            if (adds) load<wide>(a, own, n.added, pixel, added);
        }
        for (unsigned d = 0; d < DEEP; d++) {
            normalise_few<TENSOR_GRANULE>(n, s, x[d]);
            if (adds) add_few(x[d], added[d]);
        }
        store(a, own, place, pixel, x);
        if (n.y) store_plain<wide>(a, own, place, pixel, x);
    }
}

template <bool wide, typename X> static __global__ COLUMNS_BOUNDS void paint_gradient(painting a)
{
    __shared__ columns_shared<CUDA_WIDE, 2> shared;
    __shared__ channel_pairs statistics, means;
    const normalisation &n = a.n;
    const share own = share_of(a);
    int pixel[DEEP];
    numbers x[DEEP], g[DEEP]; /* on their way while means are found */
    find_pixels(a, own, own.first, pixel);
    load<wide>(a, own, input_at<X>(n, 0), pixel, x);
    load<wide>(a, own, n.dy, pixel, g);
    spread(statistics, n, n.statistics);
    if (wide && !n.merged) {
        pair<CUDA_WIDE> found;
        find_means<CUDA_WIDE>(n, columns_channel<CUDA_WIDE>(), found, shared);
        spread(means, found);
    } else {
        spread(means, n, n.means);
    }
    __syncthreads();
    for (unsigned place = own.first; place < own.end; place += DEEP * STEP) {
        if (place > own.first) {
            find_pixels(a, own, place, pixel);
            load<wide>(a, own, input_at<X>(n, 0), pixel, x);
            load<wide>(a, own, n.dy, pixel, g);
        }
        pair<TENSOR_GRANULE> s, mean; /* from shared memory each time: registers are for loads */
        take(statistics, own, s);
        take(means, own, mean);
        for (unsigned d = 0; d < DEEP; d++) gradient_few<TENSOR_GRANULE>(n, s, mean, x[d], g[d]);
        store(a, own, place, pixel, g);
    }
}

bool norm_picture_is_wide(const normalisation &n)
{
    return n.v.c % TENSOR_GRANULE == 0 && cuda_aligned(n.x) && cuda_aligned(n.dy) && cuda_aligned(n.added) &&
           cuda_aligned(n.y) && cuda_aligned(n.statistics) && cuda_aligned(n.partial) && cuda_aligned(n.moments);
}

/* Parts such that the device runs all blocks at once: two on each processor (COLUMNS_BOUNDS). */
static void launch(const nn_call *call, const normalisation &n, void (*kernel)(painting))
{
    painting a = {n, picture_frame_of(call), 0, 0};
    a.places = a.frame.h * a.frame.w;
    size_t groups = cuda_divide_up(n.v.c, PART_CHANNELS);
    size_t parts = 2 * cuda_of(call)->multiprocessors / (groups * n.v.images);
    if (parts == 0) parts = 1;
    a.part = (unsigned)(cuda_divide_up(a.places, parts * NEIGHBOURS) * NEIGHBOURS);
    if (a.part < STEP) a.part = STEP;
    dim3 grid((unsigned)groups, (unsigned)cuda_divide_up(a.places, a.part), (unsigned)n.v.images);
    cuda_launch(call, CUDA_TOGETHER, kernel, a, grid, dim3(COLUMNS_LANES, COLUMNS_DEEP));
}

template <bool wide, typename X> static void launch_paint(const nn_call *call, const normalisation &n)
{
    launch(call, n, n.added ? paint<wide, true, X> : paint<wide, false, X>);
}

void norm_picture(const nn_call *call, const normalisation &n)
{
    if (n.halves)
        norm_picture_is_wide(n) ? launch_paint<true, cuda_half>(call, n) : launch_paint<false, cuda_half>(call, n);
    else
        norm_picture_is_wide(n) ? launch_paint<true, float>(call, n) : launch_paint<false, float>(call, n);
}

void norm_picture_grad(const nn_call *call, const normalisation &n)
{
    if (n.halves)
        launch(call, n, norm_picture_is_wide(n) ? paint_gradient<true, cuda_half> : paint_gradient<false, cuda_half>);
    else
        launch(call, n, norm_picture_is_wide(n) ? paint_gradient<true, float> : paint_gradient<false, float>);
}

/* Elements are counted in 32 bits. */
bool cuda_can_write_layout(const nn_backend *backend, const nn_call *call, size_t output, nn_layout layout)
{
    bool norm = call->op == NN_INSTANCE_NORM || call->op == NN_INSTANCE_NORM_GRAD;
    return norm && output == 0 && is_picture_layout(layout) &&
           cuda_layout_bytes(backend, layout, call->output_shape[0]) <= INT32_MAX;
}

bool cuda_can_write_both(const nn_backend *backend, const nn_call *call, nn_layout layout)
{
    return call->op == NN_INSTANCE_NORM && cuda_can_write_layout(backend, call, 0, layout);
}
