/* A backend: memory, transfers, and a kernel for every operation. Nothing above it knows which one runs.
 *
 * A program's node becomes an `nn_call`: shapes, attributes and, once memory is planned, static pointers. Running a
 * program is calling run(call) for each in turn; kernels own no memory but what `prepare` made (library primitives).
 */
#ifndef NN_BACKEND_H
#define NN_BACKEND_H

#include "base/log.h"
#include "base/status.h"
#include "nn/op.h"

/* Physical layout of a value: the plain one of nn/tensor.h, plain order with numbers in bf16 (the upper half of a float,
 * rounded to nearest even), or a number that the backend handed out. */
typedef uint32_t nn_layout;
#define NN_LAYOUT_PLAIN 0
#define NN_LAYOUT_BF16 UINT32_MAX

/* What a program computes its products in. NN_BF16 rounds their operands to 8 bits of mantissa, and so it may the
 * activations between kernels that say that they can take it; sums, statistics, weights, losses and the optimiser are
 * fp32 in both. */
typedef enum nn_precision { NN_FP32 = 0, NN_BF16 } nn_precision;

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
    nn_precision precision; /* of the program */
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

enum { NN_READS = 8, NN_READ_SCALARS = 32 }; /* reads that are open at once; numbers of one */

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
    /* Pictures, which are bytes on the host and floats on the device (base/pixels.h), in the same order: a quarter of the
     * bytes to move. read_pixels: `images` of `count` pixels each; finite[i]: whether all of image i were. Like `read` at any
     * time, also while reads in two parts are open. */
    void (*write_pixels)(nn_backend *backend, float *device, const uint8_t *host, size_t count);
    void (*read_pixels)(nn_backend *backend, uint8_t *host, bool *finite, const float *device, size_t images, size_t count);
    /* (optional) Reads in two parts, between which the host is free: what lies there when all before it has run is on its
     * way, whatever is run after it; the end waits for the oldest that has begun, of either kind. False, and nothing has
     * begun, when NN_READS have or there is no memory for it; NULL: never. Of single numbers, NN_READ_SCALARS at most: */
    bool (*begin_read_scalars)(nn_backend *backend, const float *const *device, size_t count);
    void (*end_read_scalars)(nn_backend *backend, float *host, size_t count);
    /* read_pixels: */
    bool (*begin_read_pixels)(nn_backend *backend, const float *device, size_t images, size_t count);
    void (*end_read_pixels)(nn_backend *backend, uint8_t *host, bool *finite, size_t images, size_t count);
    void (*synchronise)(nn_backend *backend);
    /* The kernel of an operation, or NULL: the planner then reports the operation by name. */
    const nn_kernel *(*kernel)(const nn_backend *backend, nn_op op);
    /* Bytes that a value of `shape` takes in `layout`. */
    size_t (*layout_bytes)(const nn_backend *backend, nn_layout layout, nn_shape shape);
    /* (optional) Whether the kernel of a convolution (shapes and attributes set) can take attr.mode NN_PAD_REFLECT:
     * conv2d and conv2d_weight_grad mirror what is beside the picture, as far as attr.padding, which is less than its
     * sides; conv2d_data_grad adds what it gives there to the pixels that it mirrors. NULL: none can. */
    bool (*can_reflect)(const nn_backend *backend, const nn_call *call);
    /* (optional) STATUS_OK when programs of `precision` run here, else what is missing; NULL: fp32 alone does. */
    status (*check_precision)(const nn_backend *backend, nn_precision precision, error *err);
    /* (optional) Whether the kernel of a call in NN_BF16 (shapes and attributes set) can read input `number`, write
     * output `number`, in NN_LAYOUT_BF16. The planner chooses that layout where all who touch a value can, and says so in
     * input_layout and output_layout before prepare; output_layout is final already when reads_bf16 is asked. NULL: none
     * can. */
    bool (*reads_bf16)(const nn_backend *backend, const nn_call *call, size_t number);
    bool (*writes_bf16)(const nn_backend *backend, const nn_call *call, size_t number);
    /* (optional) Whether the kernel of a call (shapes and attributes set) can write `output` in a layout of the backend's,
     * which every kernel that reads the value asks for: the planner says so in output_layout before prepare. NULL: none
     * can. */
    bool (*can_write_layout)(const nn_backend *backend, const nn_call *call, size_t output, nn_layout layout);
    /* (optional) Whether the kernel of a call can write output 0 twice: as it is, and in a layout of the backend's that
     * some kernels that read it ask for. Output 0 is then in that layout, and the plain one an output more. NULL: none
     * can. */
    bool (*can_write_both)(const nn_backend *backend, const nn_call *call, nn_layout layout);
    /* (optional) The first call to the device that failed, if one did; what is read from then on is NaN. */
    status (*check)(nn_backend *backend, error *err);
    /* (optional) Bytes of its own memory that are free; NULL: it shares the machine's. 0: unknown. */
    double (*available)(nn_backend *backend);
    /* (optional) What the backend has found out by measuring (which of a library's algorithms to use), as bytes that a
     * later process gives to take_choices, so that it need not measure and repeats the same bits: *bytes of them at
     * *out, which the caller frees; NULL: there are none yet. */
    status (*give_choices)(nn_backend *backend, void **out, size_t *bytes, error *err);
    /* (optional) Uses them from now on, where it has not measured itself. They may be any bytes at all. STATUS_FAILED with
     * the reason, and none are taken, when they are damaged or were measured on another device or by another version of
     * the library: it measures as without them. */
    status (*take_choices)(nn_backend *backend, const void *choices, size_t bytes, error *err);
    /* (optional) What `work` launches is recorded and not run; NULL when it cannot be, which is no failure. `replay` runs
     * it, as often as wanted; `forget` frees it. */
    void *(*record)(nn_backend *backend, void (*work)(void *context), void *context);
    void (*replay)(nn_backend *backend, void *recording);
    void (*forget)(nn_backend *backend, void *recording);
    /* (with lanes) Within `work`: what follows is launched in lane `lane`, 0 at first, which runs beside the others;
     * what has been launched in the lane in use is named `mark`, a number of the caller's, once in a recording; what
     * follows in the lane in use waits for what was named so. */
    void (*use_lane)(nn_backend *backend, size_t lane);
    void (*mark)(nn_backend *backend, size_t mark);
    void (*await)(nn_backend *backend, size_t mark);
    /* (optional) Whether the kernel of a conv2d of 3x3 (shapes and attributes set) can take attr.factor 2: its x is
     * enlarged so, each pixel to four, before it mirrors what is beside the picture. NULL: none can. */
    bool (*can_enlarge)(const nn_backend *backend, const nn_call *call);
    /* (optional) In how many parts of each image the kernel of a conv2d or conv2d_data_grad (shapes and attributes set)
     * can give moments of its result, which an instance norm then need not read for them. 0: in none; NULL: none can. */
    size_t (*moment_parts)(const nn_backend *backend, const nn_call *call);
} nn_backend_interface;

/* The most lanes of a backend. */
enum { NN_LANES = 4 };

struct nn_backend {
    const nn_backend_interface *interface;
    int threads;
    const char *device_name; /* "NVIDIA H100", or NULL: the CPU */
    size_t lanes; /* of a recording, whose kernels run beside one another; less than 2: they do not */
    bool wide; /* a few pictures leave most of it idle: two batches of one network are better one batch */
};

static inline void nn_backend_destroy(nn_backend *backend)
{
    if (backend) backend->interface->destroy(backend);
}

/* After reading results: STATUS_OK, or why they are none. */
static inline status nn_backend_check(nn_backend *backend, error *err)
{
    return backend->interface->check ? backend->interface->check(backend, err) : STATUS_OK;
}

/* Of the device's own memory: negative for a backend that shares the machine's. */
static inline double nn_backend_available(nn_backend *backend)
{
    return backend->interface->available ? backend->interface->available(backend) : -1;
}

/* The CPU: oneDNN for convolutions, OpenMP for the rest. threads 0: all cores. Free with nn_backend_destroy. */
status nn_cpu_create(int threads, nn_backend **out, error *err);

/* For tests: kernels are chosen as on a device that has no more than this. 0: as much as it has. */
typedef struct nn_cuda_limits {
    size_t major;                         /* of the compute capability */
    size_t multiprocessors, shared_bytes; /* shared: of a block at most */
    size_t algorithms;                    /* of cuBLASLt that are measured for a shape */
} nn_cuda_limits;

/* tf32: products of fp32 programs round their operands to 10 bits behind the point, as PyTorch's convolutions do:
 * relative error 1e-3 instead of 1e-6, and tensor cores. Those of bf16 programs: 4e-3. Sums are in float always. */
typedef struct nn_cuda_options {
    int device; /* counted from 0 */
    bool tf32;
    nn_cuda_limits limits;
} nn_cuda_options;

/* An NVIDIA GPU of compute capability 8.0 or later. Fails with one line where there is no driver or it does not start, no
 * module (see nn/cuda/module.h), no such device or too old a one. Free with nn_backend_destroy. */
status nn_cuda_create(const nn_cuda_options *options, nn_backend **out, error *err);
/* Whether there is a driver that opens; fast, and loads nothing that stays. */
bool nn_cuda_has_driver(void);

/* Where to compute. AUTO: the first GPU where there is one that can be used, else the CPU. */
typedef enum nn_device { NN_DEVICE_AUTO, NN_DEVICE_CPU, NN_DEVICE_CUDA } nn_device;
/* "auto", "cpu", "cuda", NULL: for command lines. */
extern const char *const nn_device_names[];
/* threads: of the CPU. log: told which GPU computes, or why AUTO takes the CPU although there is a driver; may be
 * NULL. */
status nn_device_create(nn_device device, int threads, log_sink *log, nn_backend **out, error *err);

#endif
