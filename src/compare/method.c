#include "compare/method.h"

#include <stdlib.h>
#include <stdio.h>

#include "base/file.h"
#include "translate/translator.h"

static bool stopped(const comparison_job *job) { return job->stop && *job->stop; }

static status run_generator(void *state, const image *in, image *out, error *err)
{
    return translate_image(state, in, out, err);
}

static void destroy_generator(void *state) { translator_destroy(state); }

static status create_generator(nn_backend *backend, const comparison_job *job, comparison_engine *out, error *err)
{
    const comparison_method_options *method = &job->options->methods[job->method];
    translator *t;
    TRY(translator_create(backend, method->model, method->to, &t, err));
    *out = (comparison_engine){t, run_generator, NULL, destroy_generator};
    return STATUS_OK;
}

static status create_engine(nn_backend *backend, const comparison_job *job, comparison_engine *out, error *err)
{
    switch ((comparison_kind)job->options->methods[job->method].kind) {
    case COMPARISON_GAN:
    case COMPARISON_FEEDFORWARD: return create_generator(backend, job, out, err);
    case COMPARISON_GATYS: break;
    }
    return comparison_gatys_create(backend, job, out, err);
}

/* Reading and writing are not in the time: they are the same for all methods. */
static status make(const comparison_job *job, const comparison_engine *engine, size_t index, double *seconds,
                   error *err)
{
    const comparison_picture *p = &job->pictures->items[index];
    image in = {0}, out = {0};
    char *path = comparison_path(job->folder, job->options->methods[job->method].name, p->relative);
    status result = path ? STATUS_OK : error_no_memory(err, "a path", 0);
    if (result == STATUS_OK) result = image_read(p->path, NULL, &in, err);
    double began = log_clock();
    if (result == STATUS_OK) result = engine->run(engine->state, &in, &out, err);
    *seconds = log_clock() - began;
    if (result == STATUS_OK) result = file_make_parent(path, err);
    if (result == STATUS_OK) result = image_write(path, &out, NULL, err);
    image_free(&in);
    image_free(&out);
    free(path);
    return result;
}

static status make_all(const comparison_job *job, const comparison_engine *engine, const comparison_listener *listener,
                       error *err)
{
    for (size_t i = 0; i < job->pictures->count; i++) {
        comparison_event event = {.kind = COMPARISON_PICTURE, .index = i};
        error problem = {0};
        if (stopped(job)) return error_set(err, STATUS_INTERRUPTED, "interrupted");
        status result = make(job, engine, i, &event.seconds, &problem);
        if (result == STATUS_INTERRUPTED) return error_set(err, result, "interrupted");
        if (result != STATUS_OK) {
            event.kind = COMPARISON_MISSING;
            snprintf(event.message, sizeof event.message, "%s", problem.message);
        }
        TRY(listener->hear(listener->context, &event, err));
    }
    return STATUS_OK;
}

status comparison_method_run(const comparison_job *job, const comparison_listener *listener, error *err)
{
    nn_backend *backend;
    comparison_engine engine = {0};
    double began = log_clock();
    TRY(nn_device_create(job->device, job->threads, NULL, &backend, err));
    status result = create_engine(backend, job, &engine, err);
    comparison_event ready = {.kind = COMPARISON_READY, .seconds = log_clock() - began};
    if (result == STATUS_OK) result = listener->hear(listener->context, &ready, err);
    if (result == STATUS_OK) result = make_all(job, &engine, listener, err);
    if (result == STATUS_OK && engine.finish) result = engine.finish(engine.state, err);
    if (engine.destroy) engine.destroy(engine.state);
    nn_backend_destroy(backend);
    return result;
}
