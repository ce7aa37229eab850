/* Between the program and the CUDA backend, which is a module of its own (a shared object), because cuBLASLt alone is
 * hundreds of megabytes and must not load where there is no GPU. */
#ifndef NN_CUDA_MODULE_H
#define NN_CUDA_MODULE_H

#ifdef __cplusplus
extern "C" {
#endif

#include "nn/backend.h"

/* The module's only symbol. */
typedef status nn_cuda_module(const nn_cuda_options *options, nn_backend **out, error *err);
nn_cuda_module nn_cuda_module_create;

#ifdef __cplusplus
}
#endif
#endif
