#include "training/train.h"

#include <stdlib.h>
#include <string.h>

#include "nn/program.h"
#include "training/check.h"
#include "training/choices.h"
#include "training/settings.h"

/* What the program has in memory besides the model: pictures, of which the largest has `largest` pixels, batches, a
 * tensor on its way to a file, itself. */
static double other_bytes(const training_settings *s, const training_loader *loader, double largest)
{
    const double program = 48 << 20, side = (double)s->training.crop_size;
    double own = s->trainer->other_bytes(s->options, &s->training);
    double sheet = (double)s->training.sample_count * 6 * side * side * 3;
    return training_loader_bytes(loader, largest) +
           (double)(TRAINING_BATCHES_AHEAD * training_loader_slot_bytes(loader)) + (own > sheet ? own : sheet) + program;
}

/* "40 s", "35 min", "5.5 h", "3.2 days". */
static const char *about(double seconds, char *buffer, size_t size)
{
    if (seconds < 90)
        snprintf(buffer, size, "%.0f s", seconds);
    else if (seconds < 90 * 60)
        snprintf(buffer, size, "%.0f min", seconds / 60);
    else if (seconds < 48 * 3600)
        snprintf(buffer, size, "%.1f h", seconds / 3600);
    else
        snprintf(buffer, size, "%.1f days", seconds / 86400);
    return buffer;
}

static void describe(const training_settings *s, void *model, double others, const training_loop *loop)
{
    char step[32], kept[32], rest[32], all[32], time[32];
    training_footprint f;
    const training_options *o = &s->training;
    uint64_t end = training_schedule_steps(&loop->schedule), left = end > loop->first ? end - loop->first : 0;
    s->trainer->measure(model, &f);
    log_info(loop->log, "%zu %s, %zu %s; %llu steps of %lld at %lldx%lld; %s",
             training_loader_count(loop->loader, 0), o->domains[0].name, training_loader_count(loop->loader, 1),
             o->domains[1].name, (unsigned long long)end, (long long)o->batch_size, (long long)o->crop_size,
             (long long)o->crop_size, f.parameters);
    log_info(loop->log, "memory: about %s: %s for a step, %s for %s, up to %s for pictures and the rest",
             text_bytes(f.step_bytes + f.kept_bytes + others, all, sizeof all),
             text_bytes(f.step_bytes, step, sizeof step), text_bytes(f.kept_bytes, kept, sizeof kept), f.kept,
             text_bytes(others, rest, sizeof rest));
    log_info(loop->log, "disk: up to about %s for a training state; two are kept, and a third while it is written",
             text_bytes(training_checkpoint_bytes(&loop->method->state, end), all, sizeof all));
    if (left == 0 || loop->log->quiet) return;
    double seconds = s->trainer->predict_seconds(model);
    log_info(loop->log, "time: about %s (predicted: %llu steps of %.3g s)",
             about(seconds * (double)left, time, sizeof time), (unsigned long long)left, seconds);
}

static void print_profile(const nn_profile *profile, log_sink *log)
{
    double total = 0;
    for (int op = 0; op < NN_OP_COUNT; op++) total += profile->seconds[op];
    log_info(log, "%-22s %8s %10s %6s", "operation", "calls", "seconds", "share");
    for (int op = 0; op < NN_OP_COUNT; op++)
        if (profile->calls[op])
            log_info(log, "%-22s %8llu %10.3f %5.1f%%", nn_op_name((nn_op)op), (unsigned long long)profile->calls[op],
                     profile->seconds[op], 100 * profile->seconds[op] / total);
}

static status train_model(const training_request *r, const training_settings *s, void *model, double others,
                          training_loop *loop, error *err)
{
    nn_profile profile = {0};
    if (r->resume)
        TRY(training_resume(s, loop, err));
    else
        TRY(s->trainer->start(model, s->options, loop->log, err));
    text dump = {0};
    config_dump(s->config, &dump);
    status result = dump.failed ? error_no_memory(err, "the config", dump.length) : STATUS_OK;
    loop->config = text_get(&dump);
    describe(s, model, others, loop);
    if (r->profile) s->trainer->set_profile(model, &profile);
    if (r->listening) *r->listening = 1;
    if (result == STATUS_OK) result = training_loop_run(loop, err);
    if (r->profile) print_profile(&profile, loop->log);
    text_free(&dump);
    if (result == STATUS_OK) log_info(loop->log, "done: %s", loop->run->checkpoints);
    return result;
}

static status with_loader(const training_request *r, const training_settings *s, training_run *run,
                          training_loader *loader, nn_backend *backend, log_sink *log, error *err)
{
    void *model;
    double largest;
    TRY(training_check_pictures(loader, &s->training, r->threads, log, &largest, err));
    double others = other_bytes(s, loader, largest);
    training_setup setup = {s->options, &s->training, loader, backend, others, log};
    if (r->resume) training_choices_resume(run, backend, log);
    TRY(s->trainer->create(&setup, &model, err));
    training_loop loop = {.options = &s->training, .loader = loader, .method = s->trainer->method(model), .run = run,
                          .log = log, .stop = r->stop,
                          .schedule = {&s->training, training_loader_steps_per_epoch(loader)}};
    status result = train_model(r, s, model, others, &loop, err);
    s->trainer->destroy(model);
    return result;
}

/* Before anything is made. */
static status check_precision(const training_settings *s, const nn_backend *backend, error *err)
{
    if (nn_precision_check(backend, (nn_precision)s->training.precision, err) == STATUS_OK) return STATUS_OK;
    return error_prefix(err, "%s: train.precision", config_where(s->config, "train.precision"));
}

static status train_in(const training_request *r, const training_settings *s, const char *folder, log_sink *log,
                       error *err)
{
    training_run run = {.lock = -1};
    training_loader *loader = NULL;
    nn_backend *backend = NULL;
    status result;
    TRY_OR(done, training_loader_create(&s->training, &loader, err));
    TRY_OR(done, nn_device_create(r->device, r->threads, log, &backend, err));
    TRY_OR(done, check_precision(s, backend, err));
    TRY_OR(done, training_run_open(&run, folder, r->resume, err));
    result = with_loader(r, s, &run, loader, backend, log, err);
done:
    training_run_close(&run);
    training_loader_destroy(loader);
    nn_backend_destroy(backend);
    return result;
}

status training_train(const training_request *request, const training_trainer *trainer, log_sink *log, error *err)
{
    training_settings s;
    status result = training_settings_read(&s, trainer, request->config_path, request->settings,
                                           request->setting_count, err);
    if (result == STATUS_OK) {
        char *folder = request->out ? text_copy(request->out) : text_join_path(s.training.folder, s.training.name);
        result = folder ? train_in(request, &s, folder, log, err) : error_no_memory(err, "the run's path", 256);
        free(folder);
    }
    training_settings_free(&s);
    return result;
}

void training_help(const training_trainer *const *trainers, size_t count, bool markdown, text *out)
{
    for (size_t i = 0; i < count; i++) {
        const training_trainer *t = trainers[i];
        config_table tables[] = {{training_fields, training_field_count, NULL}, {t->fields, *t->field_count, NULL}};
        if (i) text_format(out, "\nWith `method: %s`, in place of model, loss and train.beta1 and what follows it:\n\n",
                           training_kind_names[t->kind]);
        config_help(i ? tables + 1 : tables, i ? 1 : 2, markdown, out);
    }
}
