/* The CPU backend: host memory, oneDNN's convolutions, and the kernels of the best instruction set at hand. */
#define _DEFAULT_SOURCE /* madvise */
#include "nn/cpu/cpu.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/pixels.h"
#include "nn/cpu/conv2d.h"
#include "nn/cpu/kernels/conv_thin.h"
#include "nn/cpu/onednn.h"

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20, LEAST_HUGE = 4 << 20 };

static void cpu_destroy(nn_backend *backend)
{
    cpu_backend *cpu = (cpu_backend *)backend;
    cpu_onednn_destroy(cpu->onednn);
    free(cpu);
}

static void *cpu_allocate(nn_backend *backend, size_t bytes)
{
    (void)backend;
    size_t alignment = bytes >= LEAST_HUGE ? HUGE_PAGE : ALIGNMENT;
    if (bytes > SIZE_MAX - alignment) return NULL;
    size_t whole = (bytes + alignment - 1) / alignment * alignment;
    void *memory = aligned_alloc(alignment, whole > 0 ? whole : alignment);
    /* Advice: nothing depends on it. Winograd's 36 streams miss the translation buffer on small pages. */
    if (memory && alignment == HUGE_PAGE) madvise(memory, whole, MADV_HUGEPAGE);
    return memory;
}

static void cpu_release(nn_backend *backend, void *memory)
{
    (void)backend;
    free(memory);
}

static void cpu_write(nn_backend *backend, void *device, const void *host, size_t bytes)
{
    (void)backend;
    memcpy(device, host, bytes);
}

static void cpu_read(nn_backend *backend, void *host, const void *device, size_t bytes)
{
    (void)backend;
    memcpy(host, device, bytes);
}

static void cpu_clear(nn_backend *backend, void *device, size_t bytes)
{
    (void)backend;
    memset(device, 0, bytes);
}

static void cpu_write_pixels(nn_backend *backend, float *device, const uint8_t *host, size_t count)
{
    (void)backend;
    pixels_to_floats(host, count, device);
}

static void cpu_read_pixels(nn_backend *backend, uint8_t *host, bool *finite, const float *device, size_t images,
                            size_t count)
{
    (void)backend;
    for (size_t i = 0; i < images; i++) {
        pixels_from_floats(device + i * count, count, host + i * count);
        finite[i] = pixels_are_finite(device + i * count, count);
    }
}

/* Kernels have finished when they return. */
static void cpu_synchronise(nn_backend *backend) { (void)backend; }

static const nn_kernel *cpu_kernel(const nn_backend *backend, nn_op op)
{
    switch (op) {
    case NN_CONV2D: return &cpu_conv2d;
    case NN_CONV2D_DATA_GRAD: return &cpu_conv2d_data_grad;
    case NN_CONV2D_WEIGHT_GRAD: return &cpu_conv2d_weight_grad;
    case NN_REORDER: return &cpu_onednn_reorder;
    default: return op < NN_OP_COUNT ? ((const cpu_backend *)backend)->kernels->kernel[op] : NULL;
    }
}

static size_t cpu_layout_bytes(const nn_backend *backend, nn_layout layout, nn_shape shape)
{
    if (layout == NN_LAYOUT_PLAIN) return nn_count(shape) * sizeof(float);
    if (layout == NN_LAYOUT_BF16) return nn_count(shape) * sizeof(uint16_t);
    return cpu_onednn_layout_bytes(((const cpu_backend *)backend)->onednn, layout, shape);
}

/* The kernels that filter rows can, but for data gradients, and Winograd's 3x3 ones. Of these, in bf16, where a padded copy
 * is no larger than what it was made of and is kept in its place, reading that is faster. */
static bool cpu_can_reflect(const nn_backend *backend, const nn_call *call)
{
    (void)backend;
    nn_shape w = call->op == NN_CONV2D_WEIGHT_GRAD ? call->output_shape[0] : call->input_shape[1];
    bool copies = call->precision == NN_BF16 && call->op != NN_CONV2D_DATA_GRAD;
    if (call->op == NN_CONV2D && (cpu_conv2d_is_to_many(call) || cpu_conv2d_is_to_few(call))) return true;
    if (cpu_conv2d_is_lines_weight(call)) return true;
    return call->attr.padding == 1 && w.dim[NN_KH] == 3 && cpu_conv2d_is_winograd(call) && !copies;
}

static bool cpu_can_enlarge(const nn_backend *backend, const nn_call *call)
{
    (void)backend;
    return cpu_conv2d_is_enlarged(call);
}

static size_t cpu_moment_parts(const nn_backend *backend, const nn_call *call)
{
    return cpu_conv2d_moment_parts((const cpu_backend *)backend, call);
}

static status cpu_check_precision(const nn_backend *backend, nn_precision precision, error *err)
{
    (void)backend;
    if (precision == NN_FP32 || (cpu_kernels_bf16() && cpu_onednn_has_bf16())) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "precision bf16 needs a CPU with AVX512-BF16; this one has none");
}

/* Convolutions by kernels that have fp32 alone on both sides: few channels out of many, or in dy. */
static bool is_to_few(const nn_call *call) { return cpu_conv_thin_fits(call) || cpu_conv2d_is_to_few(call); }

/* Activations of convolutions, but towards few channels, of those that filter rows what these read, and where biases are
 * added afterwards; normalised values and what is normalised; padded pictures and what they are made of. Those are what
 * a backward pass needs of a forward one. */
static bool cpu_reads_bf16(const nn_backend *backend, const nn_call *call, size_t number)
{
    (void)backend;
    switch (call->op) {
    case NN_CONV2D:
    case NN_CONV2D_DATA_GRAD: return number == 0 && !is_to_few(call) && !cpu_conv2d_is_to_many(call);
    case NN_CONV2D_WEIGHT_GRAD: return !is_to_few(call) && !cpu_conv2d_is_lines_weight(call);
    case NN_INSTANCE_NORM:
    case NN_INSTANCE_NORM_GRAD: return number == 0;
    case NN_PAD: return call->output_layout[0] == NN_LAYOUT_BF16; /* else it would round what somebody wants in fp32 */
    default: return false;
    }
}

static bool cpu_writes_bf16(const nn_backend *backend, const nn_call *call, size_t number)
{
    const cpu_backend *cpu = (const cpu_backend *)backend;
    switch (call->op) {
    case NN_CONV2D: return number == 0 && !is_to_few(call);
    case NN_CONV2D_DATA_GRAD:
        return number == 0 && !is_to_few(call) && call->attr.mode != NN_PAD_REFLECT &&
               (call->input_count == 2 || cpu_conv2d_is_tiled(cpu, call));
    case NN_INSTANCE_NORM: return number == 0;
    case NN_INSTANCE_NORM_GRAD: return cpu->tiles; /* which round it anyway; Winograd's transforms come before rounding */
    case NN_PAD: return true;
    default: return false;
    }
}

static const nn_backend_interface cpu_interface = {
    .name = "cpu",
    .destroy = cpu_destroy,
    .allocate = cpu_allocate,
    .release = cpu_release,
    .write = cpu_write,
    .read = cpu_read,
    .clear = cpu_clear,
    .write_pixels = cpu_write_pixels,
    .read_pixels = cpu_read_pixels,
    .synchronise = cpu_synchronise,
    .kernel = cpu_kernel,
    .layout_bytes = cpu_layout_bytes,
    .can_reflect = cpu_can_reflect,
    .can_enlarge = cpu_can_enlarge,
    .moment_parts = cpu_moment_parts,
    .check_precision = cpu_check_precision,
    .reads_bf16 = cpu_reads_bf16,
    .writes_bf16 = cpu_writes_bf16,
};

status nn_cpu_create(int threads, nn_backend **out, error *err)
{
    *out = NULL;
    if (threads < 0) return error_set(err, STATUS_USAGE, "threads: expected 0 (all cores) or more, found %d", threads);
    if (threads == 0) threads = omp_get_num_procs(); /* those that this process may run on */
    omp_set_num_threads(threads);                    /* for oneDNN, which asks OpenMP */

    cpu_backend *cpu = calloc(1, sizeof *cpu);
    if (!cpu) return error_no_memory(err, "the CPU backend", sizeof *cpu);
    cpu->base = (nn_backend){.interface = &cpu_interface, .threads = threads};
    for (size_t level = 0; cpu_kernels_supported(level); level++) cpu->kernels = cpu_kernels_supported(level);
    if (cpu_onednn_allows_tiles()) cpu->tiles = cpu_kernels_tiles();
    cpu->onednn = cpu_onednn_create(threads, err);
    if (!cpu->onednn) {
        free(cpu);
        return err ? err->code : STATUS_FAILED;
    }
    *out = &cpu->base;
    return STATUS_OK;
}
