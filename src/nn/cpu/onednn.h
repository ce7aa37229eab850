/* oneDNN on the CPU: an engine, a stream, and the numbers of its weight layouts. The kernels are in cpu.h.
 *
 * Activations are plain NHWC always; a convolution's weight has the layout that the library chose for it. Such a
 * layout belongs to one shape of weights; its number holds for the life of this object, 0 being (out, in, kh, kw).
 */
#ifndef NN_CPU_ONEDNN_H
#define NN_CPU_ONEDNN_H

#include "nn/backend.h"

struct cpu_onednn;

/* threads: at least 1. NULL and an error when the library cannot start. Free with cpu_onednn_destroy. */
struct cpu_onednn *cpu_onednn_create(int threads, error *err);
void cpu_onednn_destroy(struct cpu_onednn *onednn); /* accepts NULL */

/* Whether the library has kernels for bf16 here; ONEDNN_MAX_CPU_ISA may forbid what the CPU has. */
bool cpu_onednn_has_bf16(void);
/* Whether that variable leaves AMX, which our kernels alone use, to them. */
bool cpu_onednn_allows_tiles(void);

/* Bytes of a weight of `shape` in `layout`, padding included. */
size_t cpu_onednn_layout_bytes(const struct cpu_onednn *onednn, nn_layout layout, nn_shape shape);

#endif
