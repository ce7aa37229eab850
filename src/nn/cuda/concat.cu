/* Concatenation and slices along images or channels: blocks of columns moved between two matrices. Along channels their
 * rows are pixels; along images all is one row. */
#include "nn/cuda/wide.h"

struct block {
    const float *from; /* NULL: zeros */
    float *to;
    size_t from_stride, to_stride, rows, width;
};

template <int N> static __global__ void move(block b)
{
    for (size_t row = blockIdx.x * (size_t)blockDim.y + threadIdx.y; row < b.rows; row += gridDim.x * (size_t)blockDim.y)
        for (size_t at = (blockIdx.y * (size_t)blockDim.x + threadIdx.x) * N; at < b.width;
             at += gridDim.y * (size_t)blockDim.x * N) {
            cuda_few<N> few = {};
            if (b.from) few = cuda_load<N>(b.from + row * b.from_stride + at);
            cuda_store(b.to + row * b.to_stride + at, few);
        }
}

static size_t rows_of(nn_shape s, size_t axis) { return axis == NN_C ? nn_count(s) / s.dim[NN_C] : 1; }
static size_t width_of(nn_shape s, size_t axis) { return axis == NN_C ? s.dim[NN_C] : nn_count(s); }

template <int N> static void launch(const nn_call *call, const block &b)
{
    size_t most = CUDA_BLOCK, across = cuda_divide_up(b.width, N), lanes = across < most ? across : most,
           deep = most / lanes, columns = cuda_divide_up(across, lanes), limit = 1 << 14;
    cuda_launch(call, CUDA_APART, move<N>, b,
                dim3((unsigned)cuda_divide_up(b.rows, deep), (unsigned)(columns < limit ? columns : limit)),
                dim3((unsigned)lanes, (unsigned)deep));
}

static void copy_block(const nn_call *call, const float *from, size_t from_stride, float *to, size_t to_stride,
                       size_t rows, size_t width)
{
    block b = {from, to, from_stride, to_stride, rows, width};
    bool wide = (from_stride | to_stride | width) % CUDA_WIDE == 0 && cuda_aligned(from) && cuda_aligned(to);
    if (rows == 0 || width == 0) return;
    wide ? launch<CUDA_WIDE>(call, b) : launch<1>(call, b);
}

static void run_concat(const nn_call *call)
{
    size_t axis = call->attr.axis, stride = width_of(call->output_shape[0], axis);
    float *y = call->output[0];
    for (size_t i = 0; i < call->input_count; i++) {
        size_t width = width_of(call->input_shape[i], axis);
        copy_block(call, call->input[i], width, y, stride, rows_of(call->input_shape[i], axis), width);
        y += width;
    }
}

/* Where the slice starts in a row of the whole. */
static size_t slice_offset(const nn_call *call, nn_shape whole)
{
    return call->attr.begin * (call->attr.axis == NN_C ? 1 : nn_count(whole) / whole.dim[NN_N]);
}

static void run_slice(const nn_call *call)
{
    size_t axis = call->attr.axis;
    nn_shape whole = call->input_shape[0], part = call->output_shape[0];
    copy_block(call, call->input[0] + slice_offset(call, whole), width_of(whole, axis), call->output[0],
               width_of(part, axis), rows_of(part, axis), width_of(part, axis));
}

/* Zeros before the slice, the slice, zeros after it. */
static void run_slice_grad(const nn_call *call)
{
    size_t axis = call->attr.axis, offset = slice_offset(call, call->output_shape[0]);
    nn_shape part = call->input_shape[0], whole = call->output_shape[0];
    size_t stride = width_of(whole, axis), width = width_of(part, axis), rows = rows_of(part, axis);
    float *dx = call->output[0];
    copy_block(call, NULL, 0, dx, stride, rows, offset);
    copy_block(call, call->input[0], width, dx + offset, stride, rows, width);
    copy_block(call, NULL, 0, dx + offset + width, stride, rows, stride - offset - width);
}

const nn_kernel cuda_concat = {run_concat}, cuda_slice = {run_slice}, cuda_slice_grad = {run_slice_grad};
