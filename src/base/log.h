/* Messages and progress for people: both go to one stream (stderr), results go elsewhere.
 *
 *     log_sink log = log_create(stderr, quiet);
 *     log_info(&log, "60 images in %s", folder);
 *     progress bar = progress_start(&log, "train", 0, steps);
 *     progress_update(&bar, step, "cycle 0.31");
 *     progress_finish(&bar);
 *
 * On a terminal the bar is redrawn in place at most ten times a second; elsewhere it is a plain line every ten
 * seconds, so that a log file stays readable.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct log_sink {
    FILE *stream;
    bool quiet, terminal;
    bool bar_shown; /* a bar stands on the current line and must be cleared before a message */
} log_sink;

log_sink log_create(FILE *stream, bool quiet);
/* Each call is one line. Info is dropped when quiet; warnings and errors are not. */
void log_info(log_sink *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_warn(log_sink *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_error(log_sink *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct progress {
    log_sink *log;
    const char *label;
    uint64_t begin, end, now; /* units done when started, in all, at present */
    double started, shown, due;
} progress;

progress progress_start(log_sink *log, const char *label, uint64_t begin, uint64_t end);
/* `note` may be NULL. */
void progress_update(progress *bar, uint64_t now, const char *note);
void progress_finish(progress *bar);

/* Seconds of a clock that never goes back. */
double log_clock(void);

#endif
