#include "nn/backend.h"

const char *const nn_device_names[] = {"auto", "cpu", "cuda", NULL};

status nn_device_create(nn_device device, int threads, nn_backend **out, error *err)
{
    static const nn_cuda_options options = {.tf32 = true};
    if (device == NN_DEVICE_CUDA) return nn_cuda_create(&options, out, err);
    if (device == NN_DEVICE_AUTO && nn_cuda_has_driver() && nn_cuda_create(&options, out, NULL) == STATUS_OK)
        return STATUS_OK;
    return nn_cpu_create(threads, out, err);
}
