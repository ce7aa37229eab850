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
    unsigned rows, columns; /* from a place to the one STEP places on: this much, or one row more and frame.w less */
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

/* A place of the picture. It is divided by the width once, at a thread's first; from there on one adds. */
struct spot {
    unsigned place, row, column;
};

__device__ static inline spot first_spot(const painting &a, const share &s)
{
    spot at = {s.first, s.first / a.frame.w, s.first % a.frame.w};
    return at;
}

__device__ static inline void advance(const painting &a, spot &at)
{
    at.place += STEP, at.row += a.rows, at.column += a.columns;
    if (at.column >= a.frame.w) at.column -= a.frame.w, at.row++;
}

/* The row or column of `size` that is seen at `at` of it, which may be on either side beyond it. */
__device__ static inline int mirrored(int at, unsigned size)
{
    int once = at < 0 ? -at : at, twice = 2 * ((int)size - 1) - once;
    return once < twice ? once : twice;
}

/* Where DEEP of a thread's places have their numbers: elements of plain tensors, -1 of a place with zeros, or which is none
 * of the thread's. own: bits of those that have a pixel's own place and no mirror of it. */
struct origins {
    int element[DEEP];
    unsigned own;
};

__device__ static inline void find(const painting &a, const share &s, spot &at, origins &from)
{
    const picture_frame &f = a.frame;
    const unsigned channel = (blockIdx.x * PART_GRANULES + s.granule) * TENSOR_GRANULE;
    from.own = 0;
#pragma unroll
    for (unsigned d = 0; d < DEEP; d++) {
        int row = (int)(at.row - f.border.top), column = (int)(at.column - f.border.left);
        bool own = (unsigned)row < f.source_h && (unsigned)column < f.source_w;
        unsigned pixel = (blockIdx.z * f.source_h + (unsigned)mirrored(row, f.source_h)) * f.source_w +
                         (unsigned)mirrored(column, f.source_w);
        from.element[d] = at.place < s.end && (own || f.border.reflect) ? (int)(pixel * f.c + channel) : -1;
        if (own) from.own |= 1u << d;
        advance(a, at);
    }
}

template <bool wide>
__device__ static inline void load_stored(const float *from, unsigned channels, cuda_few<TENSOR_GRANULE> &to)
{
    to = granule_load<wide>(from, channels);
}

template <bool wide>
__device__ static inline void load_stored(const cuda_half *from, unsigned channels, cuda_halves<TENSOR_GRANULE> &to)
{
    if (wide) to = *(const cuda_halves<TENSOR_GRANULE> *)(const void *)from;
#pragma unroll
    for (unsigned k = 0; k < TENSOR_GRANULE && !wide; k++)
        if (k < channels) to.words[k / 2] |= (uint32_t)from[k] << k % 2 * 16;
}

template <bool wide, typename T>
__device__ static inline void load(const painting &a, const share &s, const T *x, const origins &from,
                                   typename cuda_stored<TENSOR_GRANULE, T>::few (&value)[DEEP])
{
    const unsigned channel = (blockIdx.x * PART_GRANULES + s.granule) * TENSOR_GRANULE;
#pragma unroll
    for (unsigned d = 0; d < DEEP; d++) {
        value[d] = {};
        if (from.element[d] >= 0) load_stored<wide>(x + from.element[d], a.frame.c - channel, value[d]);
    }
}

/* Zeros where there is no pixel. */
__device__ static inline void store(const painting &a, const share &s, unsigned place, int element, const numbers &value)
{
    unsigned number = blockIdx.x * PART_GRANULES + s.granule;
    unsigned to = a.frame.planes ? (blockIdx.z * a.frame.granules + number) * a.places + place
                                 : (blockIdx.z * a.places + place) * a.frame.granules + number;
    granule g = granule_of(value);
    if (element < 0) g = {};
    a.frame.to[to] = g;
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
    const unsigned channels = a.frame.c - (blockIdx.x * PART_GRANULES + own.granule) * TENSOR_GRANULE;
    spot at = first_spot(a, own);
    origins from;
    typename cuda_stored<TENSOR_GRANULE, X>::few x[DEEP]; /* on their way while statistics are found */
    numbers added[DEEP];
    find(a, own, at, from);
    load<wide>(a, own, input_at<X>(n, 0), from, x);
    if (adds) load<wide>(a, own, n.added, from, added);
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
            find(a, own, at, from);
            load<wide>(a, own, input_at<X>(n, 0), from, x);
            if (adds) load<wide>(a, own, n.added, from, added);
        }
#pragma unroll
        for (unsigned d = 0; d < DEEP; d++) {
            if (place + d * STEP >= own.end) break;
            numbers y = cuda_widen(x[d]);
            normalise_few<TENSOR_GRANULE>(n, s, y);
            if (adds) add_few(y, added[d]);
            store(a, own, place + d * STEP, from.element[d], y);
            if (n.y && (from.own >> d & 1)) granule_store<wide>(n.y + from.element[d], y, channels);
        }
    }
}

template <bool wide, typename X> static __global__ COLUMNS_BOUNDS void paint_gradient(painting a)
{
    __shared__ columns_shared<CUDA_WIDE, 2> shared;
    __shared__ channel_pairs statistics, means;
    const normalisation &n = a.n;
    const share own = share_of(a);
    spot at = first_spot(a, own);
    origins from;
    typename cuda_stored<TENSOR_GRANULE, X>::few x[DEEP]; /* on their way while means are found */
    numbers g[DEEP];
    find(a, own, at, from);
    load<wide>(a, own, input_at<X>(n, 0), from, x);
    load<wide>(a, own, n.dy, from, g);
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
            find(a, own, at, from);
            load<wide>(a, own, input_at<X>(n, 0), from, x);
            load<wide>(a, own, n.dy, from, g);
        }
        pair<TENSOR_GRANULE> s, mean; /* from shared memory each time: registers are for loads */
        take(statistics, own, s);
        take(means, own, mean);
#pragma unroll
        for (unsigned d = 0; d < DEEP; d++) {
            if (place + d * STEP >= own.end) break;
            numbers xhat = cuda_widen(x[d]);
            gradient_few<TENSOR_GRANULE>(n, s, mean, xhat, g[d]);
            store(a, own, place + d * STEP, from.element[d], g[d]);
        }
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
    painting a = {n, picture_frame_of(call), 0, 0, 0, 0};
    a.places = a.frame.h * a.frame.w;
    a.rows = STEP / a.frame.w, a.columns = STEP % a.frame.w;
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
