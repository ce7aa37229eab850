/* Tests that are built with -Dnn_cpu_create=nn_cuda_test_create run on the CUDA backend instead of the CPU's. */
#include "nn/cuda/module.h"

status nn_cuda_test_create(int threads, nn_backend **out, error *err);

status nn_cuda_test_create(int threads, nn_backend **out, error *err)
{
    (void)threads;
    return nn_cuda_module_create(&(nn_cuda_options){.device = 0}, out, err);
}

/* In place of the library's, for what creates its device itself. */
status nn_device_create(nn_device device, int threads, log_sink *log, nn_backend **out, error *err)
{
    (void)device, (void)log;
    return nn_cuda_test_create(threads, out, err);
}
