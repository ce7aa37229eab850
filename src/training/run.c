#define _DEFAULT_SOURCE /* flock */
#include "training/run.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

/* Two processes in one run would overwrite each other's checkpoints and log. The lock ends with the process. */
static status lock_folder(training_run *run, error *err)
{
    run->lock = open(run->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (run->lock < 0) return error_set(err, STATUS_FAILED, "%s: cannot open: %s", run->folder, strerror(errno));
    if (flock(run->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return STATUS_OK; /* some file systems cannot */
    return error_set(err, STATUS_FAILED, "%s: another process is training this run", run->folder);
}

static bool make_paths(training_run *run, const char *folder)
{
    run->folder = text_copy(folder);
    run->config = text_join_path(folder, "config.yaml");
    run->log = text_join_path(folder, "log.jsonl");
    run->samples = text_join_path(folder, "samples");
    run->checkpoints = text_join_path(folder, "checkpoints");
    run->next = text_join_path(folder, "checkpoints/next.safetensors");
    run->latest = text_join_path(folder, "checkpoints/latest.safetensors");
    run->previous = text_join_path(folder, "checkpoints/previous.safetensors");
    run->damaged = text_join_path(folder, "checkpoints/damaged.safetensors");
    return run->folder && run->config && run->log && run->samples && run->checkpoints && run->next && run->latest &&
           run->previous && run->damaged;
}

static status check_names(const training_run *run, bool resume, error *err)
{
    bool state = file_exists(run->latest) || file_exists(run->previous) || file_exists(run->next);
    if (resume && !state) return error_set(err, STATUS_FAILED, "%s: no checkpoint to resume from", run->latest);
    if (resume) return STATUS_OK;
    if (state)
        return error_set(err, STATUS_FAILED, "%s: there is a run already; continue it with --resume, or choose another "
                         "name or --out", run->folder);
    if (file_exists(run->config))
        return error_set(err, STATUS_FAILED, "%s: there is such a file already, without a run: choose another name or "
                         "--out", run->config);
    return STATUS_OK;
}

status training_run_open(training_run *run, const char *folder, bool resume, error *err)
{
    *run = (training_run){.lock = -1};
    if (!make_paths(run, folder)) return error_no_memory(err, "the run's paths", 9 * strlen(folder));
    TRY(check_names(run, resume, err));
    TRY(file_make_folders(run->samples, err));
    TRY(file_make_folders(run->checkpoints, err));
    TRY(lock_folder(run, err));
    file_remove_leftovers(run->checkpoints); /* a run may have been killed before its first state, too */
    file_remove_leftovers(run->samples);
    if (!resume) return STATUS_OK;
    file_remove_leftovers(run->folder);
    return file_exists(run->next) ? training_run_publish(run, err) : STATUS_OK;
}

void training_run_close(training_run *run)
{
    if (run->log_file) fclose(run->log_file);
    if (run->lock >= 0) close(run->lock);
    char *paths[] = {run->folder, run->config, run->log,      run->samples, run->checkpoints,
                     run->next,   run->latest, run->previous, run->damaged};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) free(paths[i]);
    *run = (training_run){.lock = -1};
}

status training_run_publish(const training_run *run, error *err)
{
    if (rename(run->latest, run->previous) != 0 && errno != ENOENT)
        return error_set(err, STATUS_FAILED, "%s: cannot rename to %s: %s", run->latest, run->previous, strerror(errno));
    if (rename(run->next, run->latest) != 0)
        return error_set(err, STATUS_FAILED, "%s: cannot rename to %s: %s", run->next, run->latest, strerror(errno));
    int folder = open(run->checkpoints, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        (void)fsync(folder); /* some file systems refuse; the files are safe */
        close(folder);
    }
    return STATUS_OK;
}

/* Whether a line of the log belongs to a step up to `step`. */
static bool line_kept(const char *line, size_t length, uint64_t step)
{
    json_t *object = json_loadb(line, length, 0, NULL);
    const json_t *number = json_object_get(object, "step");
    bool kept = json_is_integer(number) && json_integer_value(number) <= (json_int_t)step;
    json_decref(object);
    return kept;
}

static status cut_log(const training_run *run, uint64_t step, error *err)
{
    char *bytes;
    size_t size, kept = 0;
    TRY(file_check_readable(run->log, err));
    TRY(file_read_all(run->log, (size_t)1 << 32, &bytes, &size, err));
    for (size_t begin = 0; begin < size;) {
        const char *newline = memchr(bytes + begin, '\n', size - begin);
        size_t end = newline ? (size_t)(newline - bytes) + 1 : size;
        if (newline && line_kept(bytes + begin, end - begin, step)) {
            memmove(bytes + kept, bytes + begin, end - begin);
            kept += end - begin;
        }
        begin = end;
    }
    status result = kept == size ? STATUS_OK : file_write_all(run->log, bytes, kept, err);
    free(bytes);
    return result;
}

status training_run_open_log(training_run *run, uint64_t step, error *err)
{
    if (file_exists(run->log)) TRY(cut_log(run, step, err));
    run->log_file = fopen(run->log, "ae");
    if (!run->log_file) return error_set(err, STATUS_FAILED, "%s: cannot open: %s", run->log, strerror(errno));
    return STATUS_OK;
}

status training_run_log(training_run *run, const training_log_line *line, error *err)
{
    FILE *f = run->log_file;
    fprintf(f, "{\"step\": %llu, \"epoch\": %llu, \"seconds\": %.3f, \"lr\": %.9g, \"loss\": {",
            (unsigned long long)line->step, (unsigned long long)line->epoch, line->seconds, line->learning_rate);
    for (size_t i = 0; i < line->loss_count; i++)
        fprintf(f, "%s\"%s\": %.9g", i ? ", " : "", line->loss_names[i], (double)line->losses[i]);
    fprintf(f, "}}\n");
    if (fflush(f) == 0 && !ferror(f)) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s: cannot write: %s", run->log, strerror(errno));
}

status training_run_sync_log(training_run *run, error *err)
{
    if (!run->log_file || fsync(fileno(run->log_file)) == 0 || errno == EINVAL) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s: cannot write: %s", run->log, strerror(errno));
}
