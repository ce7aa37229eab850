/* What made the pictures of an output folder: FOLDER/.cyclegan-manifest.json.
 *
 *     {"cyclegan_manifest": 1,
 *      "pictures": {"cakes/1.png": {"made_by": "af63dc4c8601ec8c png size 512", "source_bytes": 81234,
 *                                   "source_modified": "1700000000.000000000"}}}
 *
 * The keys are paths below the folder; bytes outside printable ASCII, and '%', are written as %XX, because a file's
 * name need not be UTF-8.
 */
#ifndef TRANSLATE_MANIFEST_H
#define TRANSLATE_MANIFEST_H

#include <stdint.h>
#include <time.h>

#include "base/log.h"
#include "base/status.h"

typedef struct manifest manifest;

/* How a picture came to be. */
typedef struct manifest_entry {
    const char *made_by; /* model and options */
    uint64_t source_bytes;
    struct timespec source_modified;
} manifest_entry;

typedef enum manifest_match {
    MANIFEST_UNKNOWN,      /* the manifest does not know the picture */
    MANIFEST_OTHER_MODEL,  /* made by another model or with other options */
    MANIFEST_OTHER_SOURCE, /* made from an input that has changed since */
    MANIFEST_SAME
} manifest_match;

/* Reads the folder's manifest. A missing one is empty; a damaged one too, with a warning; one that cannot be read
 * fails. Free with manifest_destroy. */
status manifest_open(const char *folder, log_sink *log, manifest **out, error *err);
void manifest_destroy(manifest *m); /* accepts NULL */

manifest_match manifest_compare(const manifest *m, const char *relative, const manifest_entry *entry);
status manifest_record(manifest *m, const char *relative, const manifest_entry *entry, error *err);
/* Takes a picture's record away, if there is one. */
status manifest_forget(manifest *m, const char *relative, error *err);
/* Writes it, atomically, when something was recorded since; the folder must be there. */
status manifest_save(manifest *m, error *err);

#endif
