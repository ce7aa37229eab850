/* A convolution's weight between PyTorch's order (out, in, kh, kw) and the rows of cuda.h's layouts; and pictures. */
#include "nn/cuda/conv_narrow.h"
#include "nn/cuda/conv_thin.h"
#include "nn/cuda/launch.h"
#include "nn/cuda/winograd.h"

struct reordering {
    const float *from;
    void *to;
    unsigned rows, other, taps, step, row; /* rows: out, or in; step: elements of a tap; row: with the padding */
    bool out_rows;
};

static bool is_of_taps(nn_layout layout) { return layout >= CUDA_OUT_TAPS && layout <= CUDA_IN_TAPS_BF16; }

static bool is_out_rows(nn_layout layout)
{
    return layout == CUDA_OUT_ROWS || layout == CUDA_OUT_ROWS_BF16 || layout == CUDA_OUT_TAPS ||
           layout == CUDA_OUT_TAPS_BF16;
}

static bool is_bf16(nn_layout layout)
{
    return layout == CUDA_OUT_ROWS_BF16 || layout == CUDA_IN_ROWS_BF16 || layout == CUDA_OUT_TAPS_BF16 ||
           layout == CUDA_IN_TAPS_BF16;
}

static reordering reordering_of(nn_layout layout, nn_shape w)
{
    reordering r = {};
    r.out_rows = is_out_rows(layout);
    r.rows = (unsigned)w.dim[r.out_rows ? NN_OUT : NN_IN];
    r.other = (unsigned)w.dim[r.out_rows ? NN_IN : NN_OUT];
    r.taps = (unsigned)(w.dim[NN_KH] * w.dim[NN_KW]);
    r.step = is_of_taps(layout) ? (unsigned)cuda_padded(r.other) : r.other;
    r.row = (unsigned)cuda_padded((size_t)r.taps * r.step);
    return r;
}

size_t cuda_layout_bytes(const nn_backend *backend, nn_layout layout, nn_shape w)
{
    (void)backend;
    if (layout == NN_LAYOUT_PLAIN) return nn_count(w) * sizeof(float);
    if (layout == NN_LAYOUT_BF16) return nn_count(w) * sizeof(__nv_bfloat16);
    if (cuda_is_winograd(layout)) return CUDA_WINOGRAD_PRODUCTS * w.dim[NN_OUT] * w.dim[NN_IN] * sizeof(float);
    if (is_picture_layout(layout)) return picture_bytes(layout, w);
    if (is_weight_blocks(layout)) return weight_blocks_bytes(layout, w);
    if (is_thin_layout(layout)) return thin_bytes(layout, w);
    if (is_narrow_layout(layout)) return narrow_bytes(layout, w);
    reordering r = reordering_of(layout, w);
    return (size_t)r.rows * r.row * (is_bf16(layout) ? sizeof(__nv_bfloat16) : sizeof(float));
}

/* Where element k of a row of the layout lies in PyTorch's order; -1: it is padding. */
__device__ static inline ptrdiff_t plain_place(const reordering &r, unsigned row, unsigned k)
{
    unsigned tap = k / r.step, other = k % r.step;
    if (tap >= r.taps || other >= r.other) return -1;
    size_t pair = r.out_rows ? (size_t)row * r.other + other : (size_t)other * r.rows + row;
    return (ptrdiff_t)(pair * r.taps + tap);
}

__device__ static inline float element(const reordering &r, unsigned k)
{
    ptrdiff_t place = plain_place(r, blockIdx.x, k);
    return place < 0 ? 0 : r.from[place];
}

static __global__ void to_float_rows(reordering r)
{
    float *to = (float *)r.to + blockIdx.x * (size_t)r.row;
    for (unsigned k = cuda_row_first(), end = cuda_row_end(r.row); k < end; k += CUDA_BLOCK) to[k] = element(r, k);
}

static __global__ void to_bf16_rows(reordering r)
{
    __nv_bfloat16 *to = (__nv_bfloat16 *)r.to + blockIdx.x * (size_t)r.row;
    for (unsigned k = cuda_row_first(), end = cuda_row_end(r.row); k < end; k += CUDA_BLOCK)
        to[k] = __float2bfloat16(element(r, k));
}

static __global__ void to_plain(reordering r)
{
    const float *from = r.from + blockIdx.x * (size_t)r.row;
    for (unsigned k = cuda_row_first(), end = cuda_row_end(r.row); k < end; k += CUDA_BLOCK) {
        ptrdiff_t place = plain_place(r, blockIdx.x, k);
        if (place >= 0) ((float *)r.to)[place] = from[k];
    }
}

/* The same for rows of out, which are runs of the plain weight too: turned in shared memory, where a tap's numbers begin an
 * odd number after the one before's, so that those of neighbouring taps are in different banks. blockIdx.x: the row. */
static __global__ void to_plain_rows(reordering r)
{
    float *tile = (float *)(void *)CUDA_SHARED();
    const float *from = r.from + blockIdx.x * (size_t)r.row;
    const unsigned odd = r.step | 1, count = r.taps * r.other;
    for (unsigned k = threadIdx.x; k < r.taps * r.step; k += CUDA_BLOCK) tile[k / r.step * odd + k % r.step] = from[k];
    __syncthreads();
    float *to = (float *)r.to + (size_t)blockIdx.x * count;
    for (unsigned k = threadIdx.x; k < count; k += CUDA_BLOCK) to[k] = tile[k % r.taps * odd + k / r.taps];
}

static void launch_to_plain(const nn_call *call, const reordering &r)
{
    enum { MOST_SHARED = 96 << 10 };
    size_t bytes = (size_t)r.taps * (r.step | 1) * sizeof(float);
    if (r.out_rows && bytes <= MOST_SHARED)
        cuda_launch_shared(call, to_plain_rows, r, dim3(r.rows), dim3(CUDA_BLOCK), bytes);
    else
        cuda_launch_rows(call, to_plain, r, r.rows, r.row);
}

static void run_reorder(const nn_call *call)
{
    nn_layout from = call->input_layout[0], to = call->output_layout[0], rows = from ? from : to;
    if (cuda_is_winograd(to)) {
        cuda_winograd_weight(call);
        return;
    }
    if (is_picture_layout(to)) {
        picture_reorder(call);
        return;
    }
    if (is_thin_layout(rows)) {
        thin_reorder(call);
        return;
    }
    if (is_narrow_layout(to)) {
        narrow_reorder(call);
        return;
    }
    if (is_weight_blocks(to)) {
        weight_blocks_reorder(call);
        return;
    }
    reordering r = reordering_of(rows, call->input_shape[0]);
    r.from = call->input[0];
    r.to = call->output[0];
    if (from)
        launch_to_plain(call, r);
    else
        cuda_launch_rows(call, is_bf16(to) ? to_bf16_rows : to_float_rows, r, r.rows, r.row);
}

/* Convolutions ask for what the planner then makes of a plain weight, and the other way: no other pair occurs. */
static status prepare_reorder(nn_backend *backend, nn_call *call, error *err)
{
    (void)backend;
    nn_layout from = call->input_layout[0], to = call->output_layout[0];
    bool leaves = to < CUDA_LAYOUT_END || is_picture_layout(to);
    bool returns = from < CUDA_OUT_BLOCKS ? !is_bf16(from) : from == CUDA_OUT_THIN_SUMS || from == CUDA_IN_THIN_SUMS;
    if (from == NN_LAYOUT_PLAIN ? to != NN_LAYOUT_PLAIN && leaves : to == NN_LAYOUT_PLAIN && returns) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "no reorder from layout %u to %u", from, to);
}

const nn_kernel cuda_reorder = {run_reorder, NULL, prepare_reorder};
