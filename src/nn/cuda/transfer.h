/* Transfers of the CUDA backend, as nn_backend_interface has them. After a failure floats that are read are NaN, and pixels
 * not finite. */
#ifndef NN_CUDA_TRANSFER_H
#define NN_CUDA_TRANSFER_H

#include "nn/cuda/cuda.h"

void cuda_upload(nn_backend *backend, void *device, const void *host, size_t bytes);
void cuda_download(nn_backend *backend, void *host, const void *device, size_t bytes);
void cuda_write_pixels(nn_backend *backend, float *device, const uint8_t *host, size_t count);
void cuda_read_pixels(nn_backend *backend, uint8_t *host, bool *finite, const float *device, size_t images, size_t count);
bool cuda_begin_read_scalars(nn_backend *backend, const float *const *device, size_t count);
void cuda_end_read_scalars(nn_backend *backend, float *host, size_t count);
bool cuda_begin_read_pixels(nn_backend *backend, const float *device, size_t images, size_t count);
void cuda_end_read_pixels(nn_backend *backend, uint8_t *host, bool *finite, size_t images, size_t count);
/* Pinned memory and events, when nothing uses them any more. */
void cuda_transfers_free(cuda_backend *cuda);

#endif
