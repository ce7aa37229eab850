/* What became of a folder's pictures. */
#ifndef TRANSLATE_SUMMARY_H
#define TRANSLATE_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "base/status.h"

typedef struct translate_summary {
    size_t made;    /* written */
    size_t present; /* there already, made by the same model and options from the same input */
    size_t left;    /* there already, made otherwise, and left alone with a warning */
    size_t failed;  /* unreadable, or could not be written; each is reported */
    size_t unread;  /* inputs, folders and links that could not be listed; each is reported */
    size_t flattened; /* of those made: JPEGs that lost their transparency */
} translate_summary;

void translate_summary_log(const translate_summary *s, double seconds, log_sink *log);
/* Of `count` pictures. STATUS_INTERRUPTED when `stopped`, STATUS_FAILED when something failed or could not be read. */
status translate_summary_result(const translate_summary *s, size_t count, bool stopped, error *err);

#endif
