#include "image/prefetch.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { SLOT_ALIGNMENT = 64 };

typedef struct slot {
    void *data;
    bool made;
    status result;
    error problem;
} slot;

/* Numbers below `oldest` are released, below `next` are given to a thread; next - oldest <= depth. Number n lives in
 * slot n % depth. All of it changes under the mutex, but a slot's data belongs to its thread until `made`. */
struct prefetch {
    prefetch_options options;
    pthread_mutex_t mutex;
    pthread_cond_t room, made;
    uint64_t next, oldest;
    bool held, stop;
    slot *slots;
    unsigned char *block;
    pthread_t *threads;
    size_t started;
};

/* False when there is nothing more to do. */
static bool next_number(prefetch *p, uint64_t *number)
{
    while (!p->stop && p->next < p->options.end && p->next - p->oldest >= p->options.depth)
        pthread_cond_wait(&p->room, &p->mutex);
    if (p->stop || p->next >= p->options.end) return false;
    *number = p->next++;
    return true;
}

static void *work(void *argument)
{
    prefetch *p = argument;
    uint64_t number;
    pthread_mutex_lock(&p->mutex);
    while (next_number(p, &number)) {
        slot *s = &p->slots[number % p->options.depth];
        pthread_mutex_unlock(&p->mutex);
        s->problem = (error){0};
        s->result = p->options.produce(p->options.context, number, s->data, &s->problem);
        pthread_mutex_lock(&p->mutex);
        s->made = true;
        pthread_cond_broadcast(&p->made);
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

static status allocate(prefetch *p, error *err)
{
    size_t depth = p->options.depth, bytes = p->options.slot_bytes;
    if (bytes > SIZE_MAX - SLOT_ALIGNMENT) return error_no_memory(err, "prefetching", bytes);
    /* A cache line between slots: neighbours are written by different threads. */
    size_t stride = (bytes + SLOT_ALIGNMENT) / SLOT_ALIGNMENT * SLOT_ALIGNMENT;
    if (depth > SIZE_MAX / stride) return error_no_memory(err, "prefetching", bytes);
    p->slots = calloc(depth, sizeof *p->slots);
    p->threads = calloc(p->options.threads, sizeof *p->threads);
    p->block = aligned_alloc(SLOT_ALIGNMENT, depth * stride);
    if (!p->slots || !p->threads || !p->block) return error_no_memory(err, "prefetching", depth * stride);
    for (size_t i = 0; i < depth; i++) p->slots[i].data = p->block + i * stride;
    return STATUS_OK;
}

static status start(prefetch *p, error *err)
{
    while (p->started < p->options.threads) {
        int number = pthread_create(&p->threads[p->started], NULL, work, p);
        if (number != 0) return error_set(err, STATUS_FAILED, "cannot start a thread: %s", strerror(number));
        p->started++;
    }
    return STATUS_OK;
}

status prefetch_create(const prefetch_options *options, prefetch **out, error *err)
{
    *out = NULL;
    if (options->depth < 1 || options->threads < 1)
        return error_set(err, STATUS_FAILED, "prefetching needs at least 1 slot and 1 thread, not %zu and %zu",
                         options->depth, options->threads);
    prefetch *p = calloc(1, sizeof *p);
    if (!p) return error_no_memory(err, "prefetching", sizeof *p);
    p->options = *options;
    p->next = p->oldest = options->first;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->room, NULL);
    pthread_cond_init(&p->made, NULL);
    status result;
    TRY_OR(error, allocate(p, err));
    TRY_OR(error, start(p, err));
    *out = p;
    return STATUS_OK;
error:
    prefetch_destroy(p);
    return result;
}

/* With the mutex locked. */
static void release_oldest(prefetch *p)
{
    p->slots[p->oldest % p->options.depth].made = false;
    p->oldest++;
    p->held = false;
    pthread_cond_signal(&p->room);
}

status prefetch_take(prefetch *p, const void **out, error *err)
{
    *out = NULL;
    status result = STATUS_OK;
    pthread_mutex_lock(&p->mutex);
    if (p->held) {
        result = error_set(err, STATUS_FAILED, "number %llu was not released before the next was taken",
                           (unsigned long long)p->oldest);
    } else if (p->oldest >= p->options.end) {
        result = error_set(err, STATUS_FAILED, "all numbers up to %llu are taken",
                           (unsigned long long)p->options.end);
    } else {
        slot *s = &p->slots[p->oldest % p->options.depth];
        while (!s->made) pthread_cond_wait(&p->made, &p->mutex);
        result = s->result;
        if (result == STATUS_OK) {
            p->held = true;
            *out = s->data;
        } else {
            if (err) *err = s->problem;
            release_oldest(p);
        }
    }
    pthread_mutex_unlock(&p->mutex);
    return result;
}

void prefetch_release(prefetch *p)
{
    pthread_mutex_lock(&p->mutex);
    if (p->held) release_oldest(p);
    pthread_mutex_unlock(&p->mutex);
}

void prefetch_destroy(prefetch *p)
{
    if (!p) return;
    pthread_mutex_lock(&p->mutex);
    p->stop = true;
    pthread_cond_broadcast(&p->room);
    pthread_mutex_unlock(&p->mutex);
    for (size_t i = 0; i < p->started; i++) pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->made);
    pthread_cond_destroy(&p->room);
    pthread_mutex_destroy(&p->mutex);
    free(p->block);
    free(p->threads);
    free(p->slots);
    free(p);
}
