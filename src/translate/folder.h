/* A generator over files and folders.
 *
 *     const char *inputs[] = {"snacks/test"};
 *     translate_request request = {.inputs = inputs, .input_count = 1, .output = "out"};
 *     translate_summary summary;
 *     TRY(translate_folder(t, &request, &log, &summary, err));
 */
#ifndef TRANSLATE_FOLDER_H
#define TRANSLATE_FOLDER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "translate/outputs.h"
#include "translate/translator.h"

typedef struct translate_request {
    const char *const *inputs; /* files or folders */
    size_t input_count;
    const char *output; /* a folder, created with those below it */
    translate_format format;
    int quality;    /* JPEG, 1 to 100; 0: 95 */
    bool overwrite; /* replace pictures that exist; never inputs */
    const char *sheet; /* file for a contact sheet (translate/sheet.h) of what was made or is there; may be NULL */
    const volatile sig_atomic_t *stop; /* becomes non-zero when it should end; may be NULL */
} translate_request;

typedef struct translate_summary {
    size_t made;    /* written */
    size_t present; /* there already, made by the same model and options from the same input */
    size_t left;    /* there already, made otherwise, and left alone with a warning */
    size_t failed;  /* unreadable, or could not be written; each is reported */
} translate_summary;

/* Writes one picture for each input, under the names of translate/outputs.h, while the next is decoded and the one
 * before is encoded; at most four pictures are in memory. A picture that fails is reported and the rest is done.
 * Pictures in the output folder are no inputs when it lies in a folder that was named. STATUS_FAILED when one failed
 * or nothing could be begun, STATUS_INTERRUPTED after *stop (what is written is whole). `summary` may be NULL. */
status translate_folder(translator *t, const translate_request *request, log_sink *log, translate_summary *summary,
                        error *err);

#endif
