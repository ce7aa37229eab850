/* Between host and device: uploads through pinned memory or a kernel's arguments, downloads, and reads in two parts. */
#include "nn/cuda/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "nn/cuda/pixels.h"

extern "C" {
#include "base/pixels.h"
}

static cuda_backend *of(nn_backend *backend) { return (cuda_backend *)(void *)backend; }

void cuda_transfers_free(cuda_backend *cuda)
{
    for (int i = 0; i < CUDA_SLOTS; i++) {
        if (cuda->slot[i].memory) cudaFreeHost(cuda->slot[i].memory);
        if (cuda->slot[i].free) cudaEventDestroy(cuda->slot[i].free);
    }
    for (int i = 0; i < NN_READS; i++) {
        if (cuda->reading[i].memory) cudaFreeHost(cuda->reading[i].memory);
        if (cuda->reading[i].there) cudaEventDestroy(cuda->reading[i].there);
    }
}

/* A slot of pinned memory of `bytes` at least whose earlier upload is over, or NULL. */
static cuda_slot *take_slot(cuda_backend *cuda, size_t bytes)
{
    cuda_slot *slot = &cuda->slot[cuda->next_slot++ % CUDA_SLOTS];
    if (!slot->free) {
        if (!cuda_note(cuda, "upload", "cudaEventCreateWithFlags",
                       cudaEventCreateWithFlags(&slot->free, cudaEventDisableTiming)))
            return NULL;
    } else if (!cuda_note(cuda, "upload", "cudaEventSynchronize", cudaEventSynchronize(slot->free))) {
        return NULL;
    }
    if (bytes <= slot->bytes) return slot;
    if (slot->memory) cudaFreeHost(slot->memory);
    slot->memory = NULL;
    slot->bytes = 0;
    if (!cuda_note(cuda, "upload", "cudaMallocHost", cudaMallocHost(&slot->memory, bytes))) return NULL;
    slot->bytes = bytes;
    return slot;
}

/* What has been enqueued reads the slot until then. */
static void give_slot(cuda_backend *cuda, cuda_slot *slot)
{
    cuda_note(cuda, "upload", "cudaEventRecord", cudaEventRecord(slot->free, cuda->stream));
}

/* A few numbers of a step (rates, decisions) go as arguments of a kernel: no copy to wait for between two programs. */
static bool upload_words(cuda_backend *cuda, void *device, const void *host, size_t bytes)
{
    if (bytes > sizeof(cuda_words) || bytes % sizeof(uint32_t) != 0) return false;
    cuda_words words = {};
    memcpy(words.v, host, bytes);
    cuda_note(cuda, "upload", "kernel launch",
              cuda_store_words(cuda->stream, &words, bytes / sizeof(uint32_t), (uint32_t *)device));
    return true;
}

/* Large uploads (weights, once) go from where they lie, which waits; smaller ones pass through pinned memory, and the host
 * goes on. */
void cuda_upload(nn_backend *backend, void *device, const void *host, size_t bytes)
{
    enum { LARGEST = 64 << 20 };
    cuda_backend *cuda = of(backend);
    if (upload_words(cuda, device, host, bytes)) return;
    cuda_slot *slot = bytes <= LARGEST ? take_slot(cuda, bytes) : NULL;
    if (slot) memcpy(slot->memory, host, bytes);
    cuda_note(cuda, "upload", "cudaMemcpyAsync",
              cudaMemcpyAsync(device, slot ? slot->memory : host, bytes, cudaMemcpyHostToDevice, cuda->stream));
    if (slot)
        give_slot(cuda, slot);
    else
        cuda_note(cuda, "upload", "cudaStreamSynchronize", cudaStreamSynchronize(cuda->stream));
}

/* A kernel reads the pinned memory itself, across the bus: a copy to the device, to be read again, would only be later. */
void cuda_write_pixels(nn_backend *backend, float *device, const uint8_t *host, size_t count)
{
    cuda_backend *cuda = of(backend);
    cuda_slot *slot = take_slot(cuda, count);
    if (!slot) return;
    memcpy(slot->memory, host, count);
    cuda_note(cuda, "upload", "kernel launch",
              cuda_pixels_to_floats(cuda->stream, (const uint8_t *)slot->memory, count, device));
    give_slot(cuda, slot);
}

/* After a failure all that is read is NaN. */
void cuda_download(nn_backend *backend, void *host, const void *device, size_t bytes)
{
    cuda_backend *cuda = of(backend);
    if (cuda->failure.code == STATUS_OK &&
        cuda_note(cuda, "download", "cudaMemcpyAsync",
                  cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, cuda->stream)))
        cuda_note(cuda, "download", "cudaStreamSynchronize", cudaStreamSynchronize(cuda->stream));
    if (cuda->failure.code != STATUS_OK) memset(host, 0xFF, bytes);
}

/* Not having the memory is no failure: the caller reads at once then. */
static bool make_room(cuda_backend *cuda, cuda_reading *r, size_t bytes)
{
    if (!r->there && !cuda_note(cuda, "download", "cudaEventCreateWithFlags",
                                cudaEventCreateWithFlags(&r->there, cudaEventDisableTiming)))
        return false;
    if (bytes <= r->bytes) return true;
    if (r->memory) cudaFreeHost(r->memory);
    r->memory = NULL;
    r->bytes = 0;
    if (cudaMallocHost(&r->memory, bytes) != cudaSuccess) {
        cudaGetLastError(); /* takes it back */
        r->memory = NULL;
        return false;
    }
    r->bytes = bytes;
    return true;
}

/* One that is free and large enough, if there is one; any that is free, else; NULL: none is. */
static cuda_reading *free_reading(cuda_backend *cuda, size_t bytes)
{
    cuda_reading *found = NULL;
    for (int i = 0; i < NN_READS; i++) {
        cuda_reading *r = &cuda->reading[i];
        if (r->number == 0 && (!found || (found->bytes < bytes && r->bytes >= bytes))) found = r;
    }
    return found;
}

/* What is to arrive in r->memory has been enqueued. */
static void number_reading(cuda_backend *cuda, cuda_reading *r)
{
    cuda_note(cuda, "download", "cudaEventRecord", cudaEventRecord(r->there, cuda->stream));
    r->number = ++cuda->readings;
}

/* The oldest of those that have begun; NULL: none has. */
static cuda_reading *oldest_reading(cuda_backend *cuda)
{
    cuda_reading *oldest = NULL;
    for (int i = 0; i < NN_READS; i++) {
        cuda_reading *r = &cuda->reading[i];
        if (r->number && (!oldest || r->number < oldest->number)) oldest = r;
    }
    return oldest;
}

/* Waits for it, if there is one. It is free again, and keeps its memory until the next begins. Whether its memory holds what
 * was read: what failed meanwhile may be of a later program; this one's numbers are then lost too. */
static bool end_reading(cuda_backend *cuda, cuda_reading *r)
{
    if (!r) return false;
    r->number = 0;
    cuda_note(cuda, "download", "cudaEventSynchronize", cudaEventSynchronize(r->there));
    return cuda->failure.code == STATUS_OK;
}

bool cuda_begin_read_scalars(nn_backend *backend, const float *const *device, size_t count)
{
    cuda_backend *cuda = of(backend);
    cuda_reading *r = free_reading(cuda, count * sizeof(float));
    if (!r || !make_room(cuda, r, count * sizeof(float))) return false;
    cuda_note(cuda, "download", "kernel launch", cuda_gather_scalars(cuda->stream, device, count, (float *)r->memory));
    number_reading(cuda, r);
    return true;
}

void cuda_end_read_scalars(nn_backend *backend, float *host, size_t count)
{
    cuda_backend *cuda = of(backend);
    cuda_reading *r = oldest_reading(cuda);
    if (end_reading(cuda, r))
        memcpy(host, r->memory, count * sizeof *host);
    else
        memset(host, 0xFF, count * sizeof *host);
}

/* Pinned memory gets the pixels, and behind them a byte for each image, which a kernel sets where one is not finite. NULL:
 * there is none. */
static cuda_reading *begin_pixels(cuda_backend *cuda, const float *device, size_t images, size_t count)
{
    size_t bytes = images * count;
    cuda_reading *r = free_reading(cuda, bytes + images);
    if (!r || !make_room(cuda, r, bytes + images)) return NULL;
    uint8_t *pixels = (uint8_t *)r->memory;
    memset(pixels + bytes, 0, images);
    cuda_note(cuda, "download", "kernel launch",
              cuda_pixels_from_floats(cuda->stream, device, images, count, pixels, pixels + bytes));
    number_reading(cuda, r);
    return r;
}

static void end_pixels(cuda_backend *cuda, cuda_reading *r, uint8_t *host, bool *finite, size_t images, size_t count)
{
    bool there = end_reading(cuda, r);
    const uint8_t *others = r ? (const uint8_t *)r->memory + images * count : NULL;
    if (there) memcpy(host, r->memory, images * count);
    for (size_t i = 0; i < images; i++) finite[i] = there && !others[i];
}

bool cuda_begin_read_pixels(nn_backend *backend, const float *device, size_t images, size_t count)
{
    return begin_pixels(of(backend), device, images, count) != NULL;
}

void cuda_end_read_pixels(nn_backend *backend, uint8_t *host, bool *finite, size_t images, size_t count)
{
    cuda_backend *cuda = of(backend);
    end_pixels(cuda, oldest_reading(cuda), host, finite, images, count);
}

/* Where no pinned memory is free for them: the floats, which the driver copies, and the host's pixels of these. */
static void read_floats(nn_backend *backend, uint8_t *host, bool *finite, const float *device, size_t images, size_t count)
{
    float *floats = (float *)malloc(count * sizeof *floats);
    if (!floats) cuda_note(of(backend), "download", "malloc", cudaErrorMemoryAllocation);
    for (size_t i = 0; i < images; i++) {
        finite[i] = false;
        if (!floats) continue;
        cuda_download(backend, floats, device + i * count, count * sizeof *floats);
        pixels_from_floats(floats, count, host + i * count);
        finite[i] = pixels_are_finite(floats, count);
    }
    free(floats);
}

/* Its own: older ones may have begun, and stay open. */
void cuda_read_pixels(nn_backend *backend, uint8_t *host, bool *finite, const float *device, size_t images, size_t count)
{
    cuda_backend *cuda = of(backend);
    cuda_reading *r = begin_pixels(cuda, device, images, count);
    if (r)
        end_pixels(cuda, r, host, finite, images, count);
    else
        read_floats(backend, host, finite, device, images, count);
}
