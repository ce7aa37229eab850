/* A backend: memory, transfers, and a kernel for every operation. Nothing above it knows which one runs.
 *
 * A program's node becomes an `nn_call`: shapes, attributes and, once memory is planned, static pointers. Running a
 * program is calling run(call) for each in turn; kernels own no memory but what `prepare` made (library primitives).
 */
#ifndef NN_BACKEND_H
#define NN_BACKEND_H

#include "base/status.h"
#include "nn/op.h"

/* Physical layout of a value: 0 is the plain one of nn/tensor.h, others are numbers that the backend hands out. */
typedef uint32_t nn_layout;
enum { NN_LAYOUT_PLAIN = 0 };

typedef struct nn_backend nn_backend;
typedef struct nn_call nn_call;

struct nn_call {
    void (*run)(const nn_call *call);
    nn_op op;
    nn_attributes attr;
    size_t input_count, output_count;
    nn_shape input_shape[NN_MAX_INPUTS], output_shape[NN_MAX_OUTPUTS];
    nn_layout input_layout[NN_MAX_INPUTS], output_layout[NN_MAX_OUTPUTS];
    /* Set before bind. An in-place call has output[0] == input[0]. Absent optional inputs are beyond input_count. */
    const float *input[NN_MAX_INPUTS];
    float *output[NN_MAX_OUTPUTS];
    void *workspace;
    size_t workspace_bytes;
    int threads;    /* how many threads a CPU kernel may use */
    void *prepared; /* what prepare made; release frees it */
    nn_backend *backend;
};

/* An effect writes through these of its inputs (memory that outlives the program). */
static inline float *nn_call_mutable(const nn_call *call, size_t input)
{
    return (float *)(uintptr_t)call->input[input];
}

typedef struct nn_kernel {
    void (*run)(const nn_call *call); /* NULL: prepare sets call->run, choosing among several */
    /* (optional) Bytes of scratch that the planner must provide; shapes and attributes are set, pointers are not. */
    size_t (*workspace)(const nn_call *call);
    /* (optional) Builds library objects, chooses layouts (input_layout, output_layout), sets workspace_bytes. */
    status (*prepare)(nn_backend *backend, nn_call *call, error *err);
    /* (optional) Pointers have become known or have changed. */
    status (*bind)(nn_call *call, error *err);
    /* (optional) Frees call->prepared. */
    void (*release)(nn_call *call);
} nn_kernel;

typedef struct nn_backend_interface {
    const char *name; /* "cpu", "cuda" */
    void (*destroy)(nn_backend *backend);
    /* 64-byte aligned device memory, not cleared; NULL when there is none. */
    void *(*allocate)(nn_backend *backend, size_t bytes);
    void (*release)(nn_backend *backend, void *memory);
    /* Host to device, device to host, clearing; ordered with the programs that run. */
    void (*write)(nn_backend *backend, void *device, const void *host, size_t bytes);
    void (*read)(nn_backend *backend, void *host, const void *device, size_t bytes);
    void (*clear)(nn_backend *backend, void *device, size_t bytes);
    void (*synchronise)(nn_backend *backend);
    /* The kernel of an operation, or NULL: the planner then reports the operation by name. */
    const nn_kernel *(*kernel)(const nn_backend *backend, nn_op op);
    /* Bytes that a value of `shape` takes in `layout`. */
    size_t (*layout_bytes)(const nn_backend *backend, nn_layout layout, nn_shape shape);
} nn_backend_interface;

struct nn_backend {
    const nn_backend_interface *interface;
    int threads;
};

static inline void nn_backend_destroy(nn_backend *backend)
{
    if (backend) backend->interface->destroy(backend);
}

/* The CPU: oneDNN for convolutions, OpenMP for the rest. threads 0: all cores. Free with nn_backend_destroy. */
status nn_cpu_create(int threads, nn_backend **out, error *err);

#endif
