#include "training/restore.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "models/format.h"

static status load_from(const char *path, training_restore_load load, void *context, error *err)
{
    safetensors_file *file;
    TRY(model_file_open(path, &file, err));
    status result = load(context, file, err);
    if (result != STATUS_OK) error_prefix(err, "%s", path);
    safetensors_close(file);
    return result;
}

/* Such a file is not damaged, and the steps since the checkpoint before it are not to be lost. */
static bool is_of_another_format(const char *path)
{
    safetensors_file *file;
    if (safetensors_open(path, &file, NULL) != STATUS_OK) return false;
    bool other = model_format_check(file, NULL) != STATUS_OK;
    safetensors_close(file);
    return other;
}

static status move(const char *from, const char *to, error *err)
{
    if (rename(from, to) == 0 || errno == ENOENT) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s: cannot rename to %s: %s", from, to, strerror(errno));
}

status training_restore(const training_run *run, training_restore_load load, void *context, log_sink *log, error *err)
{
    error latest = {0}, previous = {0};
    bool missing = !file_exists(run->latest);
    status result = missing ? error_set(&latest, STATUS_FAILED, "%s is missing", run->latest)
                            : load_from(run->latest, load, context, &latest);
    if (result != STATUS_FAILED || !file_exists(run->previous) || is_of_another_format(run->latest)) {
        if (result != STATUS_OK) error_set(err, result, "%s", latest.message);
        return result;
    }
    result = load_from(run->previous, load, context, &previous);
    if (result == STATUS_FAILED)
        return error_set(err, result, "neither checkpoint can be resumed from: %s; %s", latest.message,
                         previous.message);
    if (result != STATUS_OK) return error_set(err, result, "%s", previous.message);
    log_warn(log, "%s; going on from the checkpoint before it%s", latest.message,
             missing ? "" : " (the damaged one is kept as damaged.safetensors)");
    TRY(move(run->latest, run->damaged, err));
    return move(run->previous, run->latest, err);
}
