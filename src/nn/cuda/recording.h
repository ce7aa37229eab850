/* Recordings of the CUDA backend: a program's kernels as a CUDA graph, with a branch for each lane (nn/backend.h). */
#ifndef NN_CUDA_RECORDING_H
#define NN_CUDA_RECORDING_H

#include "nn/cuda/cuda.h"

/* Failures are noted, but for those of cuda_record. */
void cuda_lanes_create(cuda_backend *cuda);
void cuda_lanes_destroy(cuda_backend *cuda);

void *cuda_record(nn_backend *backend, void (*work)(void *context), void *context);
void cuda_replay(nn_backend *backend, void *recording);
void cuda_forget(nn_backend *backend, void *recording);
void cuda_use_lane(nn_backend *backend, size_t lane);
void cuda_mark(nn_backend *backend, size_t mark);
void cuda_await(nn_backend *backend, size_t mark);

#endif
