/* One method at work: its picture for every input, each timed. Meant to run in a process of its own, so that its peak
 * memory is known and its end is not the comparison's.
 *
 *     comparison_job job = {.options = &options, .method = 0, .pictures = &pictures, .folder = "runs/x"};
 *     status result = comparison_method_run(&job, &listener, err);
 */
#ifndef COMPARE_METHOD_H
#define COMPARE_METHOD_H

#include <signal.h>

#include "base/log.h"
#include "compare/options.h"
#include "compare/pictures.h"
#include "image/image.h"
#include "nn/backend.h"

typedef struct comparison_job {
    const comparison_options *options;
    size_t method; /* index in options->methods */
    const comparison_pictures *pictures;
    const char *folder;                /* of the comparison */
    nn_device device;
    int threads;                       /* of the CPU; 0: all cores */
    log_sink *log;
    const volatile sig_atomic_t *stop; /* may be NULL */
} comparison_job;

typedef enum comparison_event_kind {
    COMPARISON_READY,   /* the method is loaded; seconds that took */
    COMPARISON_PICTURE, /* picture `index` is written; seconds from the decoded input to the result in memory */
    COMPARISON_MISSING  /* picture `index` could not be made: message */
} comparison_event_kind;

/* Without pointers and smaller than PIPE_BUF, so that it goes through a pipe whole. */
typedef struct comparison_event {
    comparison_event_kind kind;
    size_t index;
    double seconds;
    char message[1024];
} comparison_event;

typedef struct comparison_listener {
    void *context;
    status (*hear)(void *context, const comparison_event *event, error *err); /* a failure ends the method */
} comparison_listener;

/* A picture that fails is told and the rest is done. STATUS_FAILED when the method could not begin at all, or when
 * what it worked with was not whole (style pictures that cannot be read). */
status comparison_method_run(const comparison_job *job, const comparison_listener *listener, error *err);

/* A kind of method: made once, then run for each input. out: as large as in. */
typedef struct comparison_engine {
    void *state;
    status (*run)(void *state, const image *in, image *out, error *err);
    status (*finish)(void *state, error *err); /* what was wrong with the whole; may be NULL */
    void (*destroy)(void *state); /* accepts NULL */
} comparison_engine;

status comparison_gatys_create(nn_backend *backend, const comparison_job *job, comparison_engine *out, error *err);

#endif
