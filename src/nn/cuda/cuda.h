/* Inside the CUDA backend: the device, what its kernels share, and how they are launched.
 *
 * A kernel takes one struct of arguments by value, is launched by cuda_launch on the stream of the lane in use, and owns
 * nothing. Nothing waits for the device but `read` and `synchronise`. A call that fails is noted, the first one is kept
 * (nn_backend_check tells it), and from there on what is read is NaN, so that no result passes for good.
 *
 * Sources here are CUDA C++ used as C. tests/cuda compiles them for the host as well, against a runtime that plays the
 * device, so what they call of the toolkit is kept to a small part of it.
 */
#ifndef NN_CUDA_CUDA_H
#define NN_CUDA_CUDA_H

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

extern "C" {
#include "nn/backend.h"
}

/* Operands of products: what tensor cores multiply. Sums are in float always. */
typedef enum cuda_operands { CUDA_FP32, CUDA_TF32, CUDA_BF16 } cuda_operands;

typedef struct cuda_choices cuda_choices; /* choices.h: algorithms that were measured, by shape */

enum { CUDA_SLOTS = 4 };

typedef struct cuda_slot { /* pinned memory that an upload passes through */
    void *memory;
    size_t bytes;
    cudaEvent_t free; /* the upload before is over */
} cuda_slot;

typedef struct cuda_reading { /* pinned memory that a download goes to */
    void *memory;
    size_t bytes;
    cudaEvent_t there;
    uint64_t number; /* of those that have begun, from 1; 0: it is free */
} cuda_reading;

/* What runs beside other lanes of a recording has a stream and room for cuBLASLt of its own. */
typedef struct cuda_lane {
    cudaStream_t stream;
    void *lt_workspace;
    cudaEvent_t edge; /* begin or end of a recording */
} cuda_lane;

enum { CUDA_LANES = NN_LANES };

typedef struct cuda_backend {
    nn_backend base;
    cudaStream_t stream; /* of the lane in use, 0 but within a recording */
    cublasLtHandle_t lt;
    void *lt_workspace;
    cuda_lane lane[CUDA_LANES];
    size_t lane_in_use;
    cudaEvent_t *marks; /* of a recording */
    size_t mark_count;
    char name[256];
    int major, minor; /* compute capability */
    size_t multiprocessors, shared_bytes; /* shared: of a block at most */
    size_t algorithms; /* of cuBLASLt that are measured for a shape, CUDA_ALGORITHMS at most */
    bool tf32;
    cuda_choices *choices;
    cuda_slot slot[CUDA_SLOTS];
    unsigned next_slot;
    cuda_reading reading[NN_READS];
    uint64_t readings;
    bool recording;
    bool may_begin_early; /* the lane's next kernel: a kernel is before it, and no other lane is waited for (launch.h) */
    error failure; /* of the first call that failed */
} cuda_backend;

enum { CUDA_LT_WORKSPACE = 32 << 20, CUDA_ALGORITHMS = 8 };

/* Whether kernels of tensor_group.h run here: the device is Hopper, and the module holds code for it. */
static inline bool cuda_has_groups(const cuda_backend *cuda)
{
#ifdef CUDA_GROUPS
    return cuda->major == 9;
#else
    (void)cuda;
    return false;
#endif
}

static inline cuda_backend *cuda_of(const nn_call *call) { return (cuda_backend *)(void *)call->backend; }

/* What the products of a call multiply. */
static inline cuda_operands cuda_operands_of(const nn_call *call)
{
    return call->precision == NN_BF16 ? CUDA_BF16 : cuda_of(call)->tf32 ? CUDA_TF32 : CUDA_FP32;
}

/* Keeps the first failure: "cuda: <what>: <function>: <the toolkit's words>". Returns whether all is well. */
bool cuda_note(cuda_backend *cuda, const char *what, const char *function, cudaError_t code);
bool cuda_note_blas(cuda_backend *cuda, const char *what, const char *function, cublasStatus_t code);
/* The same for an operation's call. */
bool cuda_note_call(const nn_call *call, const char *function, cudaError_t code);

/* Layouts of a convolution's weight, besides NN_LAYOUT_PLAIN (out, in, kh, kw): rows of kh x kw x the other channels.
 * Rows, or in the layouts of taps the channels of each tap, are padded with zeros to a multiple of CUDA_ROW_PAD, so that
 * they begin where tensor cores can load them. Those of pictures follow in picture.h. */
enum {
    CUDA_OUT_ROWS = 1, /* (out, kh, kw, in), float */
    CUDA_IN_ROWS,      /* (in, kh, kw, out), float */
    CUDA_OUT_ROWS_BF16,
    CUDA_IN_ROWS_BF16,
    CUDA_OUT_TAPS, /* (out, kh, kw, padded(in)), float */
    CUDA_IN_TAPS,
    CUDA_OUT_TAPS_BF16,
    CUDA_IN_TAPS_BF16,
    CUDA_OUT_BLOCKS, /* bf16, by what a block of conv_group.cu copies at once: weight_blocks.cu */
    CUDA_IN_BLOCKS,
    CUDA_OUT_THIN, /* conv_thin.h; bf16 */
    CUDA_IN_THIN,
    CUDA_OUT_THIN_SUMS, /* float */
    CUDA_IN_THIN_SUMS,
    CUDA_OUT_NARROW, /* conv_narrow.h; bf16 */
    CUDA_IN_NARROW,
    CUDA_WINOGRAD_OUT, /* (16, out, in) and (16, in, out), transformed: winograd.h */
    CUDA_WINOGRAD_IN,
    CUDA_LAYOUT_END
};
enum { CUDA_ROW_PAD = 8 };

static inline size_t cuda_padded(size_t count) { return (count + CUDA_ROW_PAD - 1) / CUDA_ROW_PAD * CUDA_ROW_PAD; }
/* conv2d.cu: square kernels whose result is as large as the picture. */
bool cuda_can_reflect(const nn_backend *backend, const nn_call *call);
/* instance_norm_picture.cu: results of norms and their gradients as pictures. */
bool cuda_can_write_layout(const nn_backend *backend, const nn_call *call, size_t output, nn_layout layout);
bool cuda_can_write_both(const nn_backend *backend, const nn_call *call, nn_layout layout);
size_t cuda_layout_bytes(const nn_backend *backend, nn_layout layout, nn_shape weight);

/* Floats that output 0 occupies, in whatever layout. */
static inline size_t cuda_floats(const nn_call *call)
{
    if (call->output_layout[0] == NN_LAYOUT_PLAIN) return nn_count(call->output_shape[0]);
    return cuda_layout_bytes(call->backend, call->output_layout[0], call->output_shape[0]) / sizeof(float);
}

static inline size_t cuda_divide_up(size_t a, size_t b) { return (a + b - 1) / b; }

/* The kernel of an operation: table.cu. */
const nn_kernel *cuda_kernel(const nn_backend *backend, nn_op op);

#endif
