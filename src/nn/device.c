#include "nn/backend.h"

const char *const nn_device_names[] = {"auto", "cpu", "cuda", NULL};

status nn_device_create(nn_device device, int threads, log_sink *log, nn_backend **out, error *err)
{
    static const nn_cuda_options options = {.tf32 = true};
    error problem = {0};
    if (device == NN_DEVICE_CPU || (device == NN_DEVICE_AUTO && !nn_cuda_has_driver()))
        return nn_cpu_create(threads, out, err);
    if (nn_cuda_create(&options, out, &problem) == STATUS_OK) {
        if (log) log_info(log, "device: %s", (*out)->device_name);
        return STATUS_OK;
    }
    if (device == NN_DEVICE_CUDA) return error_set(err, problem.code, "%s", problem.message);
    if (log) log_info(log, "device: the CPU, since %s", problem.message);
    return nn_cpu_create(threads, out, err);
}
