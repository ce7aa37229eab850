/* Tests that are built with -Dnn_cpu_create=nn_cuda_test_create run on the CUDA backend instead of the CPU's. */
#include "nn/cuda/module.h"

status nn_cuda_test_create(int threads, nn_backend **out, error *err);

status nn_cuda_test_create(int threads, nn_backend **out, error *err)
{
    (void)threads;
    return nn_cuda_module_create(&(nn_cuda_options){.device = 0}, out, err);
}
