#include <string.h>

#include "training/restore.h"
#include "training/settings.h"

/* "line; line" */
static void join_lines(const text *lines, text *out)
{
    for (const char *line = text_get(lines), *end; (end = strchr(line, '\n')); line = end + 1)
        text_format(out, "%s%.*s", out->length ? "; " : "", (int)(end - line), line);
}

/* What a checkpoint is compared with and loaded into. */
typedef struct resumption {
    const training_settings *now;
    training_loop *loop;
} resumption;

/* STATUS_USAGE where what may not change did. */
static status report_difference(const training_settings *before, const training_settings *now, log_sink *log, error *err)
{
    text allowed = {0}, forbidden = {0}, may = {0}, may_not = {0};
    status result = STATUS_OK;
    config_difference(before->config, now->config, &allowed, &forbidden);
    join_lines(&allowed, &may);
    join_lines(&forbidden, &may_not);
    if (may_not.length)
        result = error_set(err, STATUS_USAGE, "--resume: the config differs from the run's in what cannot change: %s%s%s",
                           text_get(&may_not), may.length ? "; what differs besides may change: " : "", text_get(&may));
    else if (may.length)
        log_info(log, "changed since the checkpoint: %s", text_get(&may));
    text_free(&allowed);
    text_free(&forbidden);
    text_free(&may);
    text_free(&may_not);
    return result;
}

/* The config that the checkpoint was trained with may differ from the present one only where that is harmless. */
static status compare_settings(const training_settings *now, const safetensors_file *file, log_sink *log, error *err)
{
    const char *stored = safetensors_metadata_get(file, "config"), *kind = safetensors_metadata_get(file, "kind");
    if (kind && strcmp(kind, "training_state") != 0)
        return error_set(err, STATUS_FAILED, "metadata 'kind': expected training_state, found %.80s", kind);
    if (!stored) return error_set(err, STATUS_FAILED, "metadata 'config' is missing: not a training state");
    static const char name[] = "config of the checkpoint";
    training_kind trained;
    training_settings before = {0};
    status result = training_settings_kind_of_text(name, stored, &trained, err);
    if (result == STATUS_OK && trained != now->trainer->kind)
        return error_set(err, STATUS_USAGE, "--resume: the run's method is %s, the config's is %s",
                         training_kind_names[trained], training_kind_names[now->trainer->kind]);
    if (result == STATUS_OK) result = training_settings_read_text(&before, now->trainer, name, stored, err);
    if (result == STATUS_USAGE) result = STATUS_FAILED; /* the file's fault, not the user's */
    if (result == STATUS_OK) result = report_difference(&before, now, log, err);
    training_settings_free(&before);
    return result;
}

static status load_state(void *context, const safetensors_file *file, error *err)
{
    const resumption *r = context;
    training_loop *loop = r->loop;
    double step;
    TRY(compare_settings(r->now, file, loop->log, err));
    TRY(training_checkpoint_number(file, "step", &step, err));
    TRY(training_checkpoint_number(file, "seconds", &loop->seconds, err));
    TRY(training_checkpoint_load(file, &loop->method->state, (uint64_t)step, err));
    loop->first = (uint64_t)step;
    for (int d = 0; d < 2; d++)
        training_loader_compare(loop->loader, d, safetensors_metadata_get(file, d ? "pictures_b" : "pictures_a"),
                                loop->log);
    return STATUS_OK;
}

status training_resume(const training_settings *s, training_loop *loop, error *err)
{
    resumption r = {s, loop};
    TRY(training_restore(loop->run, load_state, &r, loop->log, err));
    log_info(loop->log, "continuing after step %llu", (unsigned long long)loop->first);
    return STATUS_OK;
}
