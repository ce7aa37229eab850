/* A convolution's weight from plain order (out, in, kh, kw) to the blocks that conv_group.cu copies. Rows are channels of the
 * result: out, or in for a data gradient. A thread block turns 8 others of 64 rows at all taps in shared memory, so that it
 * reads runs of taps x 8 or taps x 64 numbers and writes whole planes. */
#include "nn/cuda/conv_tensor.h"
#include "nn/cuda/launch.h"
#include "nn/cuda/tensor.h"

enum { ROWS = 64, CHUNK = 8, GRANULE = TENSOR_GRANULE };

struct blocking {
    const float *from;
    uint4 *to;
    unsigned rows, other, taps, chunks;
    bool out_rows;
};

static blocking blocking_of(nn_layout layout, nn_shape w)
{
    blocking b = {};
    b.out_rows = layout == CUDA_OUT_BLOCKS;
    b.rows = (unsigned)w.dim[b.out_rows ? NN_OUT : NN_IN];
    b.other = (unsigned)w.dim[b.out_rows ? NN_IN : NN_OUT];
    b.taps = (unsigned)(w.dim[NN_KH] * w.dim[NN_KW]);
    b.chunks = (unsigned)cuda_divide_up(b.other, CHUNK * GRANULE);
    return b;
}

static unsigned row_blocks(const blocking &b) { return (unsigned)cuda_divide_up(b.rows, ROWS); }

size_t weight_blocks_bytes(nn_layout layout, nn_shape w)
{
    blocking b = blocking_of(layout, w);
    return (size_t)row_blocks(b) * b.chunks * b.taps * CHUNK * ROWS * TENSOR_GRANULE_BYTES;
}

/* From one run of the weight, which is contiguous, to the next in shared memory: an odd number, so that granules are
 * gathered from different banks. */
__host__ __device__ static inline unsigned run_of(const blocking &b)
{
    return ((b.out_rows ? (unsigned)GRANULE : (unsigned)ROWS) * b.taps) | 1;
}

/* blockIdx.x: 8 others; blockIdx.y: 64 rows. Shared: (rows, 8 x taps) or (8, rows x taps), as it lies in the weight. */
static __global__ void to_blocks(blocking b)
{
    float *tile = (float *)(void *)CUDA_SHARED();
    const unsigned other = blockIdx.x * GRANULE, row = blockIdx.y * ROWS, run = run_of(b);
    const unsigned runs = b.out_rows ? ROWS : GRANULE, length = (b.out_rows ? (unsigned)GRANULE : (unsigned)ROWS) * b.taps;
    const unsigned outer = b.out_rows ? row : other, outer_end = b.out_rows ? b.rows : b.other;
    const unsigned inner = b.out_rows ? other : row, inner_end = b.out_rows ? b.other : b.rows;
    const unsigned there = inner < inner_end ? (inner_end - inner) * b.taps : 0;
    enum { AT_ONCE = 6 }; /* loads on their way */
    unsigned o = threadIdx.x / length, i = threadIdx.x % length, o_on = CUDA_BLOCK / length, i_on = CUDA_BLOCK % length;
    while (o < runs) {
        float value[AT_ONCE];
        unsigned place[AT_ONCE];
#pragma unroll
        for (unsigned k = 0; k < AT_ONCE; k++) {
            bool inside = o < runs && outer + o < outer_end && i < there;
            place[k] = o < runs ? o * run + i : UINT32_MAX;
            value[k] = inside ? b.from[((size_t)(outer + o) * inner_end + inner) * b.taps + i] : 0;
            o += o_on, i += i_on;
            if (i >= length) i -= length, o++;
        }
#pragma unroll
        for (unsigned k = 0; k < AT_ONCE; k++)
            if (place[k] != UINT32_MAX) tile[place[k]] = value[k];
    }
    __syncthreads();
    uint4 *to = b.to + ((size_t)(blockIdx.y * b.chunks + blockIdx.x / CHUNK) * b.taps * CHUNK + blockIdx.x % CHUNK) * ROWS;
    const unsigned next = b.out_rows ? b.taps : run; /* from one other to the next */
    for (unsigned e = threadIdx.x; e < b.taps * ROWS; e += CUDA_BLOCK) {
        unsigned tap = e / ROWS, r = e % ROWS;
        const float *v = tile + r * (b.out_rows ? run : b.taps) + tap;
        uint4 granule = {tensor_pair(v[0], v[next]), tensor_pair(v[2 * next], v[3 * next]),
                         tensor_pair(v[4 * next], v[5 * next]), tensor_pair(v[6 * next], v[7 * next])};
        to[(size_t)tap * CHUNK * ROWS + r] = granule;
    }
}

void weight_blocks_reorder(const nn_call *call)
{
    blocking b = blocking_of(call->output_layout[0], call->input_shape[0]);
    b.from = call->input[0];
    b.to = (uint4 *)(void *)call->output[0];
    cuda_launch_shared(call, to_blocks, b, dim3(b.chunks * CHUNK, row_blocks(b)), dim3(CUDA_BLOCK),
                       (size_t)run_of(b) * (b.out_rows ? ROWS : GRANULE) * sizeof(float));
}
