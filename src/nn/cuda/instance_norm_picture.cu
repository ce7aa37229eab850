/* Instance normalisation and its gradient whose results convolutions read, and all as the same picture (picture.h): it is
 * written here, border and all, so that there is neither a plain result nor a copy of it. The numbers are those of
 * instance_norm.cu, rounded. Where others read the normalised values as well, as a residual block's addition does, they
 * are written beside the picture.
 *
 * A block takes 64 channels of a part of a picture's places, which count row by row with the border. A thread keeps eight
 * of them, two times four, halves of granules 32 channels apart: so neighbouring threads fill the 32 bytes that memory
 * takes at once, in plain floats as in the picture. Places that mirror a pixel compute it once more: nobody writes but to
 * his own. What a thread reads it copies to shared memory first, some places ahead: there is room for more on its way than
 * in registers, and it waits for one place at a time.
 */
#include "nn/cuda/instance_norm.h"
#include "nn/cuda/picture_frame.h"

enum {
    PART_CHANNELS = COLUMNS_LANES * CUDA_WIDE,
    FEWS = 2, /* of a thread, each of CUDA_WIDE channels */
    APART = PART_CHANNELS / FEWS,
    HALVES = TENSOR_GRANULE / CUDA_WIDE,
    THREADS = COLUMNS_LANES * COLUMNS_DEEP,
    PLACE_THREADS = APART / CUDA_WIDE,
    STEP = THREADS / PLACE_THREADS, /* places that a block's threads take at once */
    NEIGHBOURS = 4,                 /* places of a warp, beside one another */
    ON_PROCESSOR = 3,               /* blocks */
    FEW_PARTS = 64                  /* with more, merging them in each block takes longer than its places */
};

#define PAINT_BOUNDS __launch_bounds__(THREADS, ON_PROCESSOR)

typedef cuda_few<CUDA_WIDE> numbers;

struct painting {
    normalisation n;
    picture_frame frame;
    unsigned places, part; /* of a picture, of a block */
    unsigned rows, columns; /* from a place to the one STEP places on: this much, or one row more and frame.w less */
};

/* A thread's channels: the first ones, and whether the picture has the others; and its places: from, in steps of STEP, to
 * less than. In order of planes a warp's neighbours are halves of a granule, then places, else a place's granules: they lie
 * beside one another in the picture. */
struct share {
    unsigned channel, first, end;
    bool both;
};

__device__ static inline unsigned this_thread() { return threadIdx.y * COLUMNS_LANES + threadIdx.x; }

__device__ static inline share share_of(const painting &a)
{
    unsigned thread = this_thread(), few = thread % PLACE_THREADS, place = thread / PLACE_THREADS;
    if (a.frame.planes) {
        unsigned high = thread / (HALVES * NEIGHBOURS);
        few = high % (PLACE_THREADS / HALVES) * HALVES + thread % HALVES;
        place = high / (PLACE_THREADS / HALVES) * NEIGHBOURS + thread / HALVES % NEIGHBOURS;
    }
    unsigned channels = a.frame.granules * TENSOR_GRANULE, begin = blockIdx.y * a.part, end = begin + a.part;
    share s = {blockIdx.x * PART_CHANNELS + few * CUDA_WIDE, begin + place, end < a.places ? end : a.places, false};
    s.both = s.channel + APART < channels;
    if (s.channel >= channels) s.end = 0;
    return s;
}

/* The row or column of `size` that is seen at `at` of it, which may be on either side beyond it. */
__device__ static inline int mirrored(int at, unsigned size)
{
    int once = at < 0 ? -at : at, twice = 2 * ((int)size - 1) - once;
    return once < twice ? once : twice;
}

/* Where a place has its numbers: the element of plain tensors, -1 of a place with zeros. own: it is the pixel's own place
 * and no mirror of it. */
struct origin {
    int element;
    bool own;
};

/* A place of the picture. It is divided by the width once, at a thread's first; from there on one adds. */
struct spot {
    unsigned place, row, column;
};

__device__ static inline spot first_spot(const painting &a, const share &s)
{
    spot at = {s.first, s.first / a.frame.w, s.first % a.frame.w};
    return at;
}

/* The next place. */
__device__ static inline origin find(const painting &a, const share &s, spot &at)
{
    const picture_frame &f = a.frame;
    int row = (int)(at.row - f.border.top), column = (int)(at.column - f.border.left);
    bool own = (unsigned)row < f.source_h && (unsigned)column < f.source_w;
    unsigned pixel = (blockIdx.z * f.source_h + (unsigned)mirrored(row, f.source_h)) * f.source_w +
                     (unsigned)mirrored(column, f.source_w);
    origin from = {(int)(pixel * f.c + s.channel) | (own || f.border.reflect ? 0 : -1), own};
    at.place += STEP, at.row += a.rows, at.column += a.columns;
    if (at.column >= a.frame.w) at.column -= a.frame.w, at.row++;
    return from;
}

/* Numbers on their way to this block's threads, of a place each. */
template <typename T> struct parcel {
    typename cuda_stored<CUDA_WIDE, T>::few few[FEWS][THREADS];
};

/* Places of a thread whose numbers are on their way at once. Static shared memory is 48 KB at most. */
template <typename X, bool both> struct depth {
    enum { BYTES = TENSOR_GRANULE * (sizeof(X) + both * sizeof(float)), PLACES = BYTES > 32 ? 144 / BYTES : 4 };
};

/* Sends for this thread's numbers of a place; zeros come where there is no pixel. */
template <typename T>
__device__ static inline void send(const share &s, const T *from, const origin &of, parcel<T> &to)
{
    bool none = of.element < 0;
    if (!none) from += of.element;
#pragma unroll
    for (int m = 0; m < FEWS; m++) {
        tensor_address address = tensor_shared(&to.few[m][this_thread()]);
        bool zero = none || (m > 0 && !s.both);
        if (sizeof(T) < sizeof(float))
            tensor_copy_half(address, from + m * APART, zero);
        else
            tensor_copy(address, from + m * APART, zero);
    }
}

/* The next of a thread's places, if there is one: x and another tensor. A group of copies either way. */
template <bool wide, bool both, typename X>
__device__ static inline void send_next(const painting &a, const share &s, const float *other, spot &at, origin &of,
                                        parcel<X> &x, parcel<float> &others)
{
    if (at.place < s.end) {
        of = find(a, s, at);
        if (wide) send(s, input_at<X>(a.n, 0), of, x);
        if (wide && both) send(s, other, of, others);
    }
    tensor_commit();
}

/* This thread's four channels from `channel` on, one by one. */
template <typename T> __device__ static inline numbers pick(const T *from, unsigned channel, unsigned c)
{
    numbers few = {};
    for (int k = 0; k < CUDA_WIDE; k++)
        if (channel + k < c) few.v[k] = cuda_load<1>(from + k).v[0];
    return few;
}

/* Numbers that have come. Where they do not lie so that they are copied four at once, they are loaded now. */
template <bool wide, typename T>
__device__ static inline numbers receive(const painting &a, const share &s, const T *from, const origin &of,
                                         const parcel<T> &came, int m)
{
    numbers zeros = {};
    if (wide) return cuda_widen(came.few[m][this_thread()]);
    return of.element < 0 ? zeros : pick(from + of.element + m * APART, s.channel + m * APART, a.frame.c);
}

/* Half a granule; zeros where there is no pixel. */
__device__ static inline void store(const painting &a, const share &s, unsigned place, const origin &of, int m,
                                    const numbers &value)
{
    const picture_frame &f = a.frame;
    unsigned few = s.channel / CUDA_WIDE + m * APART / CUDA_WIDE, number = few / HALVES;
    unsigned to = f.planes ? (blockIdx.z * f.granules + number) * a.places + place
                           : (blockIdx.z * a.places + place) * f.granules + number;
    uint2 bits = {tensor_pair(value.v[0], value.v[1]), tensor_pair(value.v[2], value.v[3])};
    if (of.element < 0) bits = {0, 0};
    ((uint2 *)(void *)f.to)[to * HALVES + few % HALVES] = bits;
}

/* Plain values beside the picture. */
template <bool wide>
__device__ static inline void store_plain(const painting &a, const share &s, const origin &of, int m, const numbers &value)
{
    float *to = a.n.y + of.element + m * APART;
    if (wide) cuda_store(to, value);
    for (int k = 0; k < CUDA_WIDE && !wide; k++)
        if (s.channel + m * APART + k < a.frame.c) to[k] = value.v[k];
}

/* Two values for each of a block's channels; zeros past the last, which make zeros of those that fill a granule up. */
struct alignas(CUDA_WIDE * sizeof(float)) channel_pairs {
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

__device__ static inline void take(const channel_pairs &from, const share &s, pair<CUDA_WIDE> (&p)[FEWS])
{
    for (int m = 0; m < FEWS; m++)
        for (int i = 0; i < 2; i++) p[m][i] = cuda_load<CUDA_WIDE>(from.v[i] + s.channel % PART_CHANNELS + m * APART);
}

template <bool wide, bool adds, typename X> static __global__ PAINT_BOUNDS void paint(painting a)
{
    enum { DEEP = depth<X, adds>::PLACES };
    __shared__ columns_shared<CUDA_WIDE, 2> shared;
    __shared__ channel_pairs statistics;
    __shared__ parcel<X> x[DEEP];
    __shared__ parcel<float> added[DEEP];
    const normalisation &n = a.n;
    const share own = share_of(a);
    spot at = first_spot(a, own);
    origin from[DEEP];
    cuda_wait_for_others();
#pragma unroll
    for (int d = 0; d < DEEP; d++) send_next<wide, adds>(a, own, n.added, at, from[d], x[d], added[d]);
    if (wide && !n.merged) { /* meanwhile */
        size_t channel = columns_channel<CUDA_WIDE>();
        pair<CUDA_WIDE> found;
        merge_parts<CUDA_WIDE>(n, channel, found, shared);
        store_pair<CUDA_WIDE>(n, n.statistics, channel, found);
        spread(statistics, found);
    } else {
        spread(statistics, n, n.statistics);
    }
    __syncthreads();
    pair<CUDA_WIDE> s[FEWS];
    take(statistics, own, s);
    for (unsigned place = own.first; place < own.end; place += (unsigned)DEEP * STEP) {
#pragma unroll
        for (int d = 0; d < DEEP; d++) {
            if (place + (unsigned)d * STEP >= own.end) break;
            const origin of = from[d];
            numbers y[FEWS];
            tensor_wait<DEEP - 1>();
            for (int m = 0; m < FEWS; m++) {
                y[m] = receive<wide>(a, own, input_at<X>(n, 0), of, x[d], m);
                normalise_few<CUDA_WIDE>(n, s[m], y[m]);
                if (adds) add_few(y[m], receive<wide>(a, own, n.added, of, added[d], m));
            }
            send_next<wide, adds>(a, own, n.added, at, from[d], x[d], added[d]);
            for (int m = 0; m < FEWS && (m == 0 || own.both); m++) {
                store(a, own, place + (unsigned)d * STEP, of, m, y[m]);
                if (n.y && of.own) store_plain<wide>(a, own, of, m, y[m]);
            }
        }
    }
}

template <bool wide, typename X> static __global__ PAINT_BOUNDS void paint_gradient(painting a)
{
    enum { DEEP = depth<X, true>::PLACES };
    __shared__ columns_shared<CUDA_WIDE, 2> shared;
    __shared__ channel_pairs statistics, means;
    __shared__ parcel<X> x[DEEP];
    __shared__ parcel<float> g[DEEP];
    const normalisation &n = a.n;
    const share own = share_of(a);
    spot at = first_spot(a, own);
    origin from[DEEP];
    cuda_wait_for_others();
#pragma unroll
    for (int d = 0; d < DEEP; d++) send_next<wide, true>(a, own, n.dy, at, from[d], x[d], g[d]);
    spread(statistics, n, n.statistics);
    if (wide && !n.merged) { /* meanwhile */
        pair<CUDA_WIDE> found;
        find_means<CUDA_WIDE>(n, columns_channel<CUDA_WIDE>(), found, shared);
        spread(means, found);
    } else {
        spread(means, n, n.means);
    }
    __syncthreads();
    pair<CUDA_WIDE> s[FEWS], mean[FEWS];
    take(statistics, own, s);
    take(means, own, mean);
    for (unsigned place = own.first; place < own.end; place += (unsigned)DEEP * STEP) {
#pragma unroll
        for (int d = 0; d < DEEP; d++) {
            if (place + (unsigned)d * STEP >= own.end) break;
            const origin of = from[d];
            numbers dx[FEWS];
            tensor_wait<DEEP - 1>();
            for (int m = 0; m < FEWS; m++) {
                numbers xhat = receive<wide>(a, own, input_at<X>(n, 0), of, x[d], m);
                dx[m] = receive<wide>(a, own, n.dy, of, g[d], m);
                gradient_few<CUDA_WIDE>(n, s[m], mean[m], xhat, dx[m]);
            }
            send_next<wide, true>(a, own, n.dy, at, from[d], x[d], g[d]);
            for (int m = 0; m < FEWS && (m == 0 || own.both); m++)
                store(a, own, place + (unsigned)d * STEP, of, m, dx[m]);
        }
    }
}

bool norm_picture_is_wide(const normalisation &n)
{
    return n.v.c % TENSOR_GRANULE == 0 && cuda_aligned(n.x) && cuda_aligned(n.dy) && cuda_aligned(n.added) &&
           cuda_aligned(n.y) && cuda_aligned(n.statistics) && cuda_aligned(n.partial) && cuda_aligned(n.moments);
}

/* Parts such that the device runs all blocks at once; fewer where each of them merges many moments for itself. */
static void launch(const nn_call *call, const normalisation &n, void (*kernel)(painting))
{
    painting a = {n, picture_frame_of(call), 0, 0, 0, 0};
    a.places = a.frame.h * a.frame.w;
    a.rows = STEP / a.frame.w, a.columns = STEP % a.frame.w;
    size_t groups = cuda_divide_up(n.v.c, PART_CHANNELS);
    size_t blocks = n.merged || n.parts <= FEW_PARTS ? ON_PROCESSOR : ON_PROCESSOR - 1;
    size_t parts = blocks * cuda_of(call)->multiprocessors / (groups * n.v.images);
    if (parts == 0) parts = 1;
    a.part = (unsigned)(cuda_divide_up(a.places, parts * NEIGHBOURS) * NEIGHBOURS);
    if (a.part < STEP) a.part = STEP;
    dim3 grid((unsigned)groups, (unsigned)cuda_divide_up(a.places, a.part), (unsigned)n.v.images);
    cuda_launch_early(call, kernel, a, grid, dim3(COLUMNS_LANES, COLUMNS_DEEP));
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
