/* What the checks of the CUDA backend share. They are linked with the backend itself: on a machine without a GPU with
 * one for the emulated device (`make test`), on one with a GPU with nvcc's (`make check-cuda`).
 *
 * The environment: CHECK_SEED (the random inputs; 1), CHECK_GROWTH (how much larger than tests/nn/gradient_cases.h the
 * tensors are; 2), CHECK_FREE (training steps that are compared one by one; 2), CHECK_STEPS (of the training whose curve
 * is compared; 3), CHECK_SIDE (of its pictures; 16), CHECK_WIDTH (its ngf and ndf; 4), CHECK_CURVES (a file that its
 * losses are written to; none), CHECK_NGF (of the generator whose gradients are compared; 8), CHECK_THREADS (of the CPU's
 * side; all cores), CHECK_LITTLE (1: the least that launches every kernel, for tools under which everything takes a
 * hundred times as long; 0), CHECK_MAJOR, CHECK_MINOR and CHECK_MULTIPROCESSORS (the compute capability and the
 * multiprocessors of a lesser device, as which the real one is used; those it has).
 */
#ifndef TESTS_CUDA_CHECK_H
#define TESTS_CUDA_CHECK_H

#include "base/rng.h"
#include "nn/cuda/module.h"
#include "nn/program.h"
#include "test.h"

static inline size_t check_setting(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    return text ? (size_t)strtoull(text, NULL, 10) : otherwise;
}

/* [-1, 1), no number nearer to 0 than `distance`. */
static inline void check_noise(float *out, size_t count, uint32_t stream, double distance)
{
    uint64_t seed = check_setting("CHECK_SEED", 1);
    for (size_t i = 0; i < count; i++) {
        float u = 2 * rng_uniform(seed, RNG_TEST, stream, (uint32_t)i) - 1;
        out[i] = u + (float)(u < 0 ? -distance : distance);
    }
}

/* Such numbers to an input of a program made from `graph`. */
static inline void check_write_noise(nn_program *p, const nn_graph *graph, nn_value input, uint32_t stream)
{
    size_t count = nn_count(nn_shape_at(graph, input));
    float *host = malloc((count + 1) * sizeof *host);
    check_noise(host, count, stream, 0);
    nn_program_write(p, input, host);
    free(host);
}

typedef struct check_precision {
    const char *name;
    bool tf32;
    nn_precision precision;
    double bound; /* of ||gpu - cpu|| / ||cpu|| where there are products; elsewhere it is that of fp32 */
} check_precision;

static const check_precision check_precisions[] = {
    {"fp32", false, NN_FP32, 1e-5}, {"tf32", true, NN_FP32, 2e-3}, {"bf16", false, NN_BF16, 1e-2}};
enum { CHECK_PRECISIONS = sizeof check_precisions / sizeof *check_precisions };

/* With the kernels of the device that the environment describes. The emulated device is such a one. A block's memory: CUDA C++
 * Programming Guide, "Technical Specifications per Compute Capability". */
static inline status check_create_device(const check_precision *precision, nn_backend **out, error *err)
{
    size_t major = check_setting("CHECK_MAJOR", 0), minor = check_setting("CHECK_MINOR", 0);
    const nn_cuda_limits limits = {.major = major,
                                   .multiprocessors = check_setting("CHECK_MULTIPROCESSORS", 0),
                                   .shared_bytes = (size_t)(major != 8 ? 0 : minor == 0 ? 163 : 99) << 10,
                                   .algorithms = check_setting("CHECK_LITTLE", 0)};
    return nn_cuda_module_create(&(nn_cuda_options){.tf32 = precision->tf32, .limits = limits}, out, err);
}

/* It takes the same time for everything, so that what is measured comes out the same each time. */
static inline bool check_is_emulated(const nn_backend *device)
{
    return strcmp(device->device_name, "emulated device") == 0;
}

/* What the device is compared with. */
static inline status check_create_cpu(nn_backend **out, error *err)
{
    return nn_cpu_create((int)check_setting("CHECK_THREADS", 0), out, err);
}

#endif
