/* The device: memory, errors. */
#include <stdlib.h>
#include <string.h>

#include "nn/cuda/choices.h"
#include "nn/cuda/conv_bf16.h"
#include "nn/cuda/module.h"
#include "nn/cuda/recording.h"
#include "nn/cuda/transfer.h"

enum { OLDEST_MAJOR = 8 }; /* compute capability: TF32 and bf16 on tensor cores */

bool cuda_note(cuda_backend *cuda, const char *what, const char *function, cudaError_t code)
{
    if (code != cudaSuccess && cuda->failure.code == STATUS_OK)
        error_set(&cuda->failure, code == cudaErrorMemoryAllocation ? STATUS_NO_MEMORY : STATUS_FAILED,
                  "cuda: %s: %s: %s", what, function, cudaGetErrorString(code));
    return code == cudaSuccess;
}

bool cuda_note_blas(cuda_backend *cuda, const char *what, const char *function, cublasStatus_t code)
{
    if (code != CUBLAS_STATUS_SUCCESS && cuda->failure.code == STATUS_OK)
        error_set(&cuda->failure, STATUS_FAILED, "cuda: %s: %s: %s", what, function, cublasLtGetStatusString(code));
    return code == CUBLAS_STATUS_SUCCESS;
}

bool cuda_note_call(const nn_call *call, const char *function, cudaError_t code)
{
    return code == cudaSuccess || cuda_note(cuda_of(call), nn_op_name(call->op), function, code);
}

static cuda_backend *of(nn_backend *backend) { return (cuda_backend *)(void *)backend; }

static void destroy(nn_backend *backend)
{
    cuda_backend *cuda = of(backend);
    if (cuda->stream) cudaStreamSynchronize(cuda->stream);
    cuda_transfers_free(cuda);
    if (cuda->lt) cublasLtDestroy(cuda->lt);
    cuda_lanes_destroy(cuda);
    cuda_choices_destroy(cuda->choices);
    free(cuda);
}

/* Running out of memory is the caller's to report, who knows what for: it is not noted. */
static void *allocate(nn_backend *backend, size_t bytes)
{
    void *memory = NULL;
    cudaError_t code = cudaMalloc(&memory, bytes > 0 ? bytes : 1);
    if (code == cudaSuccess) return memory;
    cudaGetLastError(); /* takes it back */
    if (code != cudaErrorMemoryAllocation) cuda_note(of(backend), "memory", "cudaMalloc", code);
    return NULL;
}

static void release(nn_backend *backend, void *memory) { cuda_note(of(backend), "memory", "cudaFree", cudaFree(memory)); }

static void clear_memory(nn_backend *backend, void *device, size_t bytes)
{
    cuda_backend *cuda = of(backend);
    cuda_note(cuda, "memory", "cudaMemsetAsync", cudaMemsetAsync(device, 0, bytes, cuda->stream));
}

static void synchronise(nn_backend *backend)
{
    cuda_backend *cuda = of(backend);
    cuda_note(cuda, "the device", "cudaStreamSynchronize", cudaStreamSynchronize(cuda->stream));
}

static status check(nn_backend *backend, error *err)
{
    const error *failure = &of(backend)->failure;
    return failure->code == STATUS_OK ? STATUS_OK : error_set(err, failure->code, "%s", failure->message);
}

static double available(nn_backend *backend)
{
    size_t there = 0, all = 0;
    return cuda_note(of(backend), "memory", "cudaMemGetInfo", cudaMemGetInfo(&there, &all)) ? (double)there : 0;
}

static status check_precision(const nn_backend *backend, nn_precision precision, error *err)
{
    (void)backend, (void)precision, (void)err; /* every device that open_device lets pass has both */
    return STATUS_OK;
}

/* What is normalised, which a backward pass reads again: the largest part of what a step moves. */
static bool reads_bf16(const nn_backend *backend, const nn_call *call, size_t number)
{
    (void)backend;
    return (call->op == NN_INSTANCE_NORM || call->op == NN_INSTANCE_NORM_GRAD) && number == 0;
}

static bool writes_bf16(const nn_backend *backend, const nn_call *call, size_t number)
{
    (void)backend;
    return (call->op == NN_CONV2D || call->op == NN_CONV2D_DATA_GRAD) && number == 0 && cuda_conv_writes_bf16(call);
}

static size_t moment_parts(const nn_backend *backend, const nn_call *call)
{
    (void)backend;
    return cuda_conv_moment_parts(call);
}

static const nn_backend_interface cuda_interface = {
    "cuda",      destroy,           allocate,        release, cuda_upload, cuda_download, clear_memory,
    cuda_write_pixels, cuda_read_pixels,
    cuda_begin_read_scalars, cuda_end_read_scalars, cuda_begin_read_pixels, cuda_end_read_pixels, synchronise,
    cuda_kernel, cuda_layout_bytes, cuda_can_reflect, check_precision, reads_bf16, writes_bf16,
    cuda_can_write_layout, cuda_can_write_both, check, available,
    cuda_give_choices, cuda_take_choices, cuda_record, cuda_replay, cuda_forget,
    cuda_use_lane, cuda_mark, cuda_await,
    NULL, /* no kernel enlarges */
    moment_parts,
};

static status open_device(int number, cudaDeviceProp *properties, error *err)
{
    int count = 0;
    cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess) return error_set(err, STATUS_FAILED, "no CUDA device: %s", cudaGetErrorString(code));
    if (number >= count)
        return error_set(err, STATUS_USAGE, "CUDA device %d: there are %d, counted from 0", number, count);
    code = cudaGetDeviceProperties(properties, number);
    if (code == cudaSuccess) code = cudaSetDevice(number);
    if (code != cudaSuccess)
        return error_set(err, STATUS_FAILED, "CUDA device %d: %s", number, cudaGetErrorString(code));
    if (properties->major < OLDEST_MAJOR)
        return error_set(err, STATUS_FAILED, "%s: compute capability %d.%d is too old; expected %d.0 or later",
                         properties->name, properties->major, properties->minor, OLDEST_MAJOR);
    return STATUS_OK;
}

static size_t limited(size_t has, size_t limit) { return limit > 0 && limit < has ? limit : has; }

static void describe_device(cuda_backend *cuda, const cudaDeviceProp *has, const nn_cuda_limits *limits)
{
    cuda->major = (int)limited((size_t)has->major, limits->major), cuda->minor = has->minor;
    cuda->multiprocessors = limited((size_t)has->multiProcessorCount, limits->multiprocessors);
    cuda->shared_bytes = limited(has->sharedMemPerBlockOptin, limits->shared_bytes);
    cuda->algorithms = limited(CUDA_ALGORITHMS, limits->algorithms);
}

static status start(cuda_backend *cuda, error *err)
{
    cuda_lanes_create(cuda);
    cuda_note_blas(cuda, "starting", "cublasLtCreate", cublasLtCreate(&cuda->lt));
    return check(&cuda->base, err);
}

extern "C" __attribute__((visibility("default"))) status nn_cuda_module_create(const nn_cuda_options *options,
                                                                               nn_backend **out, error *err)
{
    cudaDeviceProp properties;
    *out = NULL;
    TRY(open_device(options->device, &properties, err));
    cuda_backend *cuda = (cuda_backend *)calloc(1, sizeof *cuda);
    if (!cuda) return error_no_memory(err, "the CUDA backend", sizeof *cuda);
    cuda->base.interface = &cuda_interface;
    cuda->base.threads = 1;
    cuda->base.wide = true;
    cuda->base.lanes = CUDA_LANES;
    memcpy(cuda->name, properties.name, sizeof cuda->name - 1);
    cuda->base.device_name = cuda->name;
    cuda->tf32 = options->tf32;
    describe_device(cuda, &properties, &options->limits);
    status result = start(cuda, err);
    if (result == STATUS_OK)
        *out = &cuda->base;
    else
        destroy(&cuda->base);
    return result;
}
