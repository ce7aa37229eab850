#include "translate/lanes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "translate/internal.h"

typedef struct task {
    const image *in;
    translate_result *result;
    bool done;
} task;

typedef struct lane {
    translate_lanes *lanes;
    pthread_t thread;
    bool started;
    translator own; /* the thread's: a backend and programs, and another's weights */
} lane;

/* Pictures are numbered as they are put; n is tasks[n % TRANSLATE_LANES_DEPTH]. `taken` is the next for whichever lane is
 * free, `waited` the next to be waited for. All of it changes under the mutex. */
struct translate_lanes {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool stop;
    task tasks[TRANSLATE_LANES_DEPTH];
    size_t put, taken, waited;
    const translator *of;
    size_t count;
    lane lane[];
};

/* Where there is no backend yet, or was no memory for one: it must be made by the thread that runs its kernels. */
static status make_backend(lane *l, error *err)
{
    int threads = l->lanes->of->backend->threads / (int)l->lanes->count;
    return l->own.backend ? STATUS_OK : nn_cpu_create(threads > 1 ? threads : 1, &l->own.backend, err);
}

static void translate(lane *l, const task *todo)
{
    translate_result *r = todo->result;
    *r = (translate_result){0};
    r->result = make_backend(l, &r->problem);
    if (r->result == STATUS_OK) r->result = translate_image(&l->own, todo->in, &r->picture, &r->problem);
}

static void *work(void *argument)
{
    lane *l = argument;
    translate_lanes *lanes = l->lanes;
    pthread_mutex_lock(&lanes->mutex);
    for (;;) {
        while (lanes->taken == lanes->put && !lanes->stop) pthread_cond_wait(&lanes->changed, &lanes->mutex);
        if (lanes->taken == lanes->put) break;
        task *todo = &lanes->tasks[lanes->taken++ % TRANSLATE_LANES_DEPTH];
        pthread_mutex_unlock(&lanes->mutex);
        translate(l, todo);
        pthread_mutex_lock(&lanes->mutex);
        todo->done = true;
        pthread_cond_broadcast(&lanes->changed);
    }
    pthread_mutex_unlock(&lanes->mutex);
    return NULL;
}

static status start(lane *l, error *err)
{
    int number = pthread_create(&l->thread, NULL, work, l);
    if (number != 0) return error_set(err, STATUS_FAILED, "cannot start a thread: %s", strerror(number));
    l->started = true;
    return STATUS_OK;
}

status translate_lanes_create(const translator *of, size_t count, translate_lanes **out, error *err)
{
    *out = NULL;
    translate_lanes *lanes = calloc(1, sizeof *lanes + count * sizeof *lanes->lane);
    if (!lanes) return error_no_memory(err, "pictures side by side", count * sizeof *lanes->lane);
    lanes->of = of;
    lanes->count = count;
    pthread_mutex_init(&lanes->mutex, NULL);
    pthread_cond_init(&lanes->changed, NULL);
    for (size_t i = 0; i < count; i++) {
        lanes->lane[i].lanes = lanes;
        lanes->lane[i].own = (translator){.precision = of->precision, .generator = of->generator, .weights = of->weights,
                                          .limits = {.max_memory = of->limits.max_memory, .stop = of->limits.stop},
                                          .sharers = count};
    }
    for (size_t i = 0; i < count; i++)
        if (start(&lanes->lane[i], err) != STATUS_OK) {
            translate_lanes_destroy(lanes);
            return STATUS_FAILED;
        }
    *out = lanes;
    return STATUS_OK;
}

void translate_lanes_destroy(translate_lanes *lanes)
{
    if (!lanes) return;
    pthread_mutex_lock(&lanes->mutex);
    lanes->stop = true;
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->mutex);
    for (size_t i = 0; i < lanes->count; i++) {
        lane *l = &lanes->lane[i];
        if (l->started) pthread_join(l->thread, NULL);
        if (l->own.backend) translator_forget_programs(&l->own);
        nn_backend_destroy(l->own.backend);
    }
    pthread_cond_destroy(&lanes->changed);
    pthread_mutex_destroy(&lanes->mutex);
    free(lanes);
}

void translate_lanes_put(translate_lanes *lanes, const image *in, translate_result *result)
{
    pthread_mutex_lock(&lanes->mutex);
    lanes->tasks[lanes->put++ % TRANSLATE_LANES_DEPTH] = (task){in, result, false};
    pthread_cond_broadcast(&lanes->changed);
    pthread_mutex_unlock(&lanes->mutex);
}

void translate_lanes_wait(translate_lanes *lanes, size_t count)
{
    pthread_mutex_lock(&lanes->mutex);
    for (size_t i = 0; i < count; i++, lanes->waited++)
        while (!lanes->tasks[lanes->waited % TRANSLATE_LANES_DEPTH].done)
            pthread_cond_wait(&lanes->changed, &lanes->mutex);
    pthread_mutex_unlock(&lanes->mutex);
}
