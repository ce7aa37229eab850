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
#include "translate/summary.h"
#include "translate/translator.h"

typedef struct translate_request {
    const char *const *inputs; /* files or folders */
    size_t input_count;
    const char *output; /* a folder, created with those below it */
    image_format format; /* of the results; IMAGE_UNKNOWN: that of each input (translate/outputs.h) */
    int quality;         /* JPEG and WebP, 1 to 100; 0: 95 */
    size_t size;         /* of the shorter side, to which pictures are resized before; 0: as they are */
    size_t max_pixels;   /* of an input, and of one that was resized; 0: TRANSLATE_MAX_MEGAPIXELS million */
    double max_memory;   /* bytes that the process may take; 0: half of the machine's (translate/translator.h) */
    bool overwrite;    /* replace pictures that exist; never inputs */
    const char *sheet; /* file for a contact sheet (translate/sheet.h) of what was made or is there; may be NULL */
    const volatile sig_atomic_t *stop; /* becomes non-zero when it should end; may be NULL */
} translate_request;

/* Writes one picture for each input, under the names of translate/outputs.h, while the next is decoded and the one
 * before is encoded; at most four pictures are in memory. Of many small pictures each is translated by a thread of its own,
 * several side by side (translate/lanes.h). On a device with memory of its own pictures that follow on each other and are
 * of one size after padding are translated together, and more threads decode and encode. Big pictures are taken one by one
 * all the same. What fails is reported and the rest is done. Pictures in the output folder are no inputs
 * when it lies in a folder that was named. What killed runs left half-written in the folders that are written to is
 * removed. STATUS_FAILED when something failed or nothing could be begun, STATUS_INTERRUPTED after *stop (what is written
 * is whole). `summary` may be NULL. */
status translate_folder(translator *t, const translate_request *request, log_sink *log, translate_summary *summary,
                        error *err);

#endif
