#include "training/loop.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "image/prefetch.h"
#include "training/samples.h"
#include "training/save.h"

/* "gan 0.61 cycle 2.13 identity 1.02 d 0.41": losses of both directions added up. */
static void summarise(const training_method *method, const float *losses, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < method->loss_count; i++) {
        const char *name = method->loss_names[i];
        size_t length = strcspn(name, "_");
        double sum = 0;
        bool first = true;
        for (size_t j = 0; j < method->loss_count; j++) {
            const char *other = method->loss_names[j];
            if (strcspn(other, "_") != length || strncmp(other, name, length) != 0) continue;
            first = first && j >= i;
            sum += (double)losses[j];
        }
        if (!first || used + 1 >= size) continue;
        used += (size_t)snprintf(out + used, size - used, "%s%.*s %.3g", used ? " " : "", (int)length, name, sum);
    }
}

static bool stopped(const training_loop *loop) { return loop->stop && *loop->stop; }

/* Steps that have begun and not ended are open: on the device the weights are then of another step than `step`. */
typedef struct position {
    uint64_t step, begun, end, saved; /* ended; begun; `saved`: step of the last checkpoint */
    double began;
    bool save_failed;
} position;

static double seconds_trained(const training_loop *loop, const position *at)
{
    return loop->seconds + log_clock() - at->began;
}

static status save(const training_loop *loop, position *at, error *err)
{
    status result = training_save(loop, at->step, seconds_trained(loop, at), err);
    at->save_failed = result != STATUS_OK;
    if (result != STATUS_OK)
        return error_prefix(err, "no checkpoint of step %llu, --resume goes on from that of step %llu",
                            (unsigned long long)at->step, (unsigned long long)at->saved);
    at->saved = at->step;
    return STATUS_OK;
}

static bool sample_is_due(const training_loop *loop, uint64_t step, uint64_t end)
{
    uint64_t every = (uint64_t)loop->options->sample_every;
    return every && (step % every == 0 || step == end);
}

static bool checkpoint_is_due(const training_loop *loop, uint64_t step, uint64_t end)
{
    return step % (uint64_t)loop->options->checkpoint_every == 0 || step == end;
}

/* What is due after step at->step - 1. */
static status after_step(training_loop *loop, position *at, const float *losses, double rate, error *err)
{
    const training_options *o = loop->options;
    uint64_t step = at->step;
    if (step % (uint64_t)o->log_every == 0 || step == at->end) {
        training_log_line line = {step, training_schedule_epoch(&loop->schedule, step - 1), seconds_trained(loop, at),
                                  rate, loop->method->loss_count, loop->method->loss_names, losses};
        TRY(training_run_log(loop->run, &line, err));
    }
    /* Before the samples: a test picture that cannot be read must not cost the steps since the last checkpoint. */
    if (checkpoint_is_due(loop, step, at->end) || (stopped(loop) && at->begun == step)) TRY(save(loop, at, err));
    if (sample_is_due(loop, step, at->end))
        TRY(training_samples_write(loop->loader, o, loop->method, loop->run->samples, step, err));
    return STATUS_OK;
}

/* What is due after a step needs its weights: the next one waits until that is done. */
static bool may_begin(const training_loop *loop, const position *at)
{
    uint64_t next = at->begun;
    if (next == at->end || stopped(loop) || next - at->step >= loop->method->open_steps) return false;
    return next == at->step || !(checkpoint_is_due(loop, next, at->end) || sample_is_due(loop, next, at->end));
}

static status begin_step(training_loop *loop, prefetch *batches, position *at, error *err)
{
    const void *slot;
    size_t bytes = training_loader_slot_bytes(loop->loader);
    status taken = prefetch_take(batches, &slot, err);
    training_loader_report(loop->loader, loop->log);
    if (taken != STATUS_OK) return taken;
    const uint8_t *pixels = slot;
    training_step step = {at->begun, training_schedule_rate(&loop->schedule, at->begun),
                          {pixels, loop->options->one_way ? NULL : pixels + bytes / 2}};
    status result = loop->method->begin(loop->method->context, &step, err);
    prefetch_release(batches);
    if (result != STATUS_OK) return error_prefix(err, "step %llu", (unsigned long long)at->begun + 1);
    at->begun++;
    return STATUS_OK;
}

/* A failing device is found out when a step ends, and may then have failed in the one that has begun behind it. A NaN is
 * the step's own. */
static status name_steps(const position *at, status result, error *err)
{
    unsigned long long step = at->step;
    if (result != STATUS_NOT_FINITE && at->begun > at->step)
        return error_prefix(err, "step %llu or %llu", step, (unsigned long long)at->begun);
    return error_prefix(err, "step %llu", step);
}

static status end_step(training_loop *loop, position *at, progress *bar, error *err)
{
    float losses[TRAINING_MAX_LOSSES];
    char note[128];
    double rate = training_schedule_rate(&loop->schedule, at->step);
    status result = loop->method->end(loop->method->context, losses, err);
    at->step++;
    at->save_failed = at->save_failed || result != STATUS_OK; /* its weights are of no step */
    if (result != STATUS_OK) return name_steps(at, result, err);
    summarise(loop->method, losses, note, sizeof note);
    progress_update(bar, at->step, note);
    return after_step(loop, at, losses, rate, err);
}

/* After a failure: those that are open have changed the weights, or failed themselves. */
static void end_open_steps(training_loop *loop, position *at)
{
    float losses[TRAINING_MAX_LOSSES];
    for (; at->step < at->begun; at->step++)
        if (loop->method->end(loop->method->context, losses, NULL) != STATUS_OK) at->save_failed = true;
}

/* What keeps a step from beginning is told when those before it have ended well. */
static status run_steps(training_loop *loop, prefetch *batches, position *at, progress *bar, error *err)
{
    error later = {0};
    status refused = STATUS_OK, result = STATUS_OK;
    while (result == STATUS_OK) {
        if (refused == STATUS_OK && may_begin(loop, at))
            refused = begin_step(loop, batches, at, &later);
        else if (at->step < at->begun)
            result = end_step(loop, at, bar, err);
        else
            break;
    }
    end_open_steps(loop, at);
    if (result != STATUS_OK || refused == STATUS_OK) return result;
    if (err) *err = later;
    return refused;
}

/* A run that is killed before its first checkpoint could neither go on nor begin again: it has one at once, and the
 * config, by which the folder is known as a run, after it. One that goes on first makes up for what a kill, or the
 * loss of a later checkpoint, left different from an uninterrupted run: generators of another step, a missing sheet. */
static status begin(const training_loop *loop, const position *at, error *err)
{
    if (loop->first == 0)
        TRY(training_save(loop, 0, loop->seconds, err));
    else
        TRY(training_save_stale_exports(loop, loop->first, loop->seconds, err));
    TRY(file_write_all(loop->run->config, loop->config, strlen(loop->config), err));
    if (loop->first == 0 || !sample_is_due(loop, at->step, at->end)) return STATUS_OK;
    char *sheet = training_samples_path(loop->run->samples, loop->first);
    if (!sheet) return error_no_memory(err, "a path", strlen(loop->run->samples));
    bool there = file_exists(sheet);
    free(sheet);
    if (there) return STATUS_OK;
    return training_samples_write(loop->loader, loop->options, loop->method, loop->run->samples, loop->first, err);
}

static bool has_its_steps(const training_loop *loop, const position *at)
{
    unsigned long long done = at->step, asked = at->end;
    if (done < asked) return false;
    if (done == asked)
        log_info(loop->log, "the run has its %llu steps already", asked);
    else
        log_warn(loop->log, "the run has done %llu steps and the config asks for %llu: it is left as it is", done, asked);
    return true;
}

status training_loop_run(training_loop *loop, error *err)
{
    position at = {loop->first, loop->first, training_schedule_steps(&loop->schedule), loop->first, log_clock(), false};
    /* Of a run that has them something may be missing all the same: its last sheet failed. */
    if (has_its_steps(loop, &at)) return at.step == at.end && loop->first > 0 ? begin(loop, &at, err) : STATUS_OK;
    TRY(begin(loop, &at, err));
    TRY(training_run_open_log(loop->run, loop->first, err));
    prefetch_options ahead = {.produce = training_loader_produce, .context = loop->loader,
                              .slot_bytes = training_loader_slot_bytes(loop->loader), .depth = TRAINING_BATCHES_AHEAD,
                              .threads = (size_t)loop->options->workers, .first = at.step, .end = at.end};
    prefetch *batches;
    TRY(prefetch_create(&ahead, &batches, err));
    progress bar = progress_start(loop->log, "train", at.step, at.end);
    status result = run_steps(loop, batches, &at, &bar, err);
    progress_finish(&bar);
    prefetch_destroy(batches);
    if (result != STATUS_OK && result != STATUS_NOT_FINITE && at.saved != at.step && !at.save_failed) {
        error ignored = {0}; /* the pictures or the log failed, not the weights: keep what was trained, if that works */
        (void)save(loop, &at, &ignored);
    }
    if (result != STATUS_OK || !stopped(loop)) return result;
    if (at.saved != at.step) TRY(save(loop, &at, err)); /* stopped between steps */
    return error_set(err, STATUS_INTERRUPTED, "stopped after step %llu of %llu; continue with --resume",
                     (unsigned long long)at.step, (unsigned long long)at.end);
}
