/* What the CPU backend's files share.
 *
 * Files under kernels/ are compiled once for each instruction set (-DCPU_ISA=base, v3, v4; winograd*.c as bf16 too;
 * conv_tiles*.c as amx and plain alone): every name that they export goes through CPU_NAME, and kernels/table.c and
 * conv_tiles_table.c gather them. Files beside this one are compiled once.
 *
 * A kernel may use call->threads threads and no memory but its tensors and call->workspace. Sums are split into a
 * number of parts that does not depend on the number of threads, and added in order: a result is the same, bit for
 * bit, for any --threads.
 */
#ifndef NN_CPU_CPU_H
#define NN_CPU_CPU_H

#include "nn/backend.h"

#define CPU_JOIN2(a, b) a##_##b
#define CPU_JOIN(a, b) CPU_JOIN2(a, b)
#define CPU_NAME(name) CPU_JOIN(name, CPU_ISA)

/* Kernels of one instruction set: entries are NULL where oneDNN serves the operation. */
typedef struct cpu_kernel_table {
    const nn_kernel *kernel[NN_OP_COUNT];
    const nn_kernel *winograd[NN_CONV2D_WEIGHT_GRAD + 1]; /* of the three convolutions, for the shapes of conv2d.h */
    const nn_kernel *direct[NN_CONV2D_WEIGHT_GRAD + 1];   /* ... and for its strided shapes */
    const nn_kernel *phases[NN_CONV2D_WEIGHT_GRAD + 1];   /* ... and for most of these */
    const nn_kernel *to_many, *to_few; /* of conv2d and its data gradient, for shapes of conv2d.h with few channels */
    const nn_kernel *lines_weight;     /* of their weight gradients */
    const nn_kernel *tiles[NN_CONV2D_WEIGHT_GRAD + 1]; /* of the three convolutions in bf16, by products of tiles */
    size_t (*tiles_parts)(const nn_call *call);        /* ... and in how many parts of an image they give moments, or 0 */
    const nn_kernel *thin[NN_CONV2D_WEIGHT_GRAD + 1]; /* of the three convolutions, for calls that cpu_conv_thin_fits */
} cpu_kernel_table;
extern const cpu_kernel_table cpu_kernels_base, cpu_kernels_v3, cpu_kernels_v4;

/* The tables that this machine can run, slowest first (isa.c); NULL past the last. Level 0 always exists. */
const cpu_kernel_table *cpu_kernels_supported(size_t level);

/* Winograd's kernels in bf16 (of the other fields none is set), or NULL where the machine lacks AVX512-BF16. */
const cpu_kernel_table *cpu_kernels_bf16(void);

/* Convolutions by products of tiles (of the other fields none is set), or NULL where the machine lacks AMX or the system
 * will not let this process use it. With loops in place of the products they run anywhere: for tests. */
const cpu_kernel_table *cpu_kernels_tiles(void);
extern const cpu_kernel_table cpu_kernels_plain;

/* What nn_cpu_create makes; `base` is first, so that an nn_backend * of this backend is a cpu_backend *. */
typedef struct cpu_backend {
    nn_backend base;
    struct cpu_onednn *onednn;
    const cpu_kernel_table *kernels;
    const cpu_kernel_table *tiles; /* for bf16; NULL: this machine has none */
} cpu_backend;

/* Convolutions and layout changes by oneDNN (onednn.c). */
extern const nn_kernel cpu_onednn_conv2d, cpu_onednn_conv2d_data_grad, cpu_onednn_conv2d_weight_grad,
    cpu_onednn_reorder;

#endif
