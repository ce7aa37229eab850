/* A whole comparison: every method's picture of every input, the numbers, and the page that shows them.
 *
 *     comparison_request request = {.config_path = "configs/compare.yaml", .launch = launch, .stop = stop};
 *     TRY(comparison_run(&request, log, err));
 *
 * It leaves FOLDER/{config.yaml, index.html, contact_sheet.png, metrics.csv, metrics.json, images/METHOD/...}.
 */
#ifndef COMPARE_COMPARISON_H
#define COMPARE_COMPARISON_H

#include "base/log.h"
#include "compare/method.h"

/* Runs comparison_method_run(job) in a process of its own and passes its events on; *peak_bytes: the most memory that
 * process had at once, NAN when not known. Fails as the method did, or saying how its process ended. */
typedef status (*comparison_launch)(void *context, const comparison_job *job, const comparison_listener *listener,
                                    double *peak_bytes, error *err);

typedef struct comparison_request {
    const char *config_path;
    const char *const *settings; /* KEY=VALUE of --set */
    size_t setting_count;
    const char *out; /* the comparison's folder; NULL: output.folder/name */
    bool overwrite;  /* a comparison that is there already, with all its pictures */
    nn_device device; /* of the methods; what measures is the CPU */
    int threads;     /* of the CPU; 0: all cores */
    const volatile sig_atomic_t *stop;
    comparison_launch launch;
    void *launch_context;
} comparison_request;

/* A folder that holds something already is refused; one that holds a comparison is emptied of it with `overwrite`,
 * after all that can be checked has been, and of nothing else. Pictures of targets or the style that cannot be read are
 * warned of, and the rest is done without them, with STATUS_FAILED. A method that fails, or does for some pictures, is warned of and
 * shown as such on the page; the others are done, and STATUS_FAILED is returned at the end. STATUS_INTERRUPTED after
 * *stop, without a page. Until the last method's end this process starts no threads, so that launching may fork. */
status comparison_run(const comparison_request *request, log_sink *log, error *err);

/* The config's fields; `methods.1` stands for all eight. */
void comparison_help(bool markdown, text *out);

#endif
