#include "translate/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"

struct picture_writer {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    pthread_t thread;
    bool started, busy, stop; /* under the mutex; the rest is the thread's while busy */
    image picture;
    char *path;
    image_write_options options;
    status result;
    error problem;
};

static void write_picture(picture_writer *w)
{
    w->problem = (error){0};
    w->result = file_make_parent(w->path, &w->problem);
    if (w->result == STATUS_OK) w->result = image_write(w->path, &w->picture, &w->options, &w->problem);
    image_free(&w->picture);
    free(w->path);
    w->path = NULL;
}

static void *work(void *argument)
{
    picture_writer *w = argument;
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (!w->busy && !w->stop) pthread_cond_wait(&w->changed, &w->mutex);
        if (!w->busy) break;
        pthread_mutex_unlock(&w->mutex);
        write_picture(w);
        pthread_mutex_lock(&w->mutex);
        w->busy = false;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

status picture_writer_create(picture_writer **out, error *err)
{
    *out = NULL;
    picture_writer *w = calloc(1, sizeof *w);
    if (!w) return error_no_memory(err, "writing pictures", sizeof *w);
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->changed, NULL);
    int number = pthread_create(&w->thread, NULL, work, w);
    if (number != 0) {
        picture_writer_destroy(w);
        return error_set(err, STATUS_FAILED, "cannot start a thread: %s", strerror(number));
    }
    w->started = true;
    *out = w;
    return STATUS_OK;
}

void picture_writer_destroy(picture_writer *w)
{
    if (!w) return;
    pthread_mutex_lock(&w->mutex);
    w->stop = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    if (w->started) pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

status picture_writer_put(picture_writer *w, image *picture, const char *path, const image_write_options *options, error *err)
{
    char *copy = text_copy(path);
    if (!copy) return error_no_memory(err, path, strlen(path) + 1);
    pthread_mutex_lock(&w->mutex);
    w->picture = *picture;
    w->path = copy;
    w->options = *options;
    w->busy = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    *picture = (image){0};
    return STATUS_OK;
}

status picture_writer_wait(picture_writer *w, error *err)
{
    pthread_mutex_lock(&w->mutex);
    while (w->busy) pthread_cond_wait(&w->changed, &w->mutex);
    status result = w->result;
    if (result != STATUS_OK && err) *err = w->problem;
    pthread_mutex_unlock(&w->mutex);
    return result;
}
