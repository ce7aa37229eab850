/* A folder's pictures as a set of squares of one size, those that cannot be read left out, and pairs of pictures of two
 * folders.
 *
 *     compare_folder outputs;
 *     TRY(compare_folder_load("out", 256, log, &outputs, err));
 *     for (size_t i = 0; i < outputs.set.count; i++) puts(compare_folder_name(&outputs, i));
 *     compare_folder_free(&outputs);
 */
#ifndef COMPARE_FOLDER_H
#define COMPARE_FOLDER_H

#include "base/log.h"
#include "compare/metrics/pictures.h"
#include "image/folder.h"

typedef struct compare_folder {
    const char *path; /* the caller's */
    image_list list;
    compare_pictures set;
    size_t *items;                    /* (set.count): the list's item of each picture */
    size_t *left_out, left_out_count; /* items that could not be read; each was a warning */
} compare_folder;

/* Everything below the folder (or a single file). Fails when there is no picture at all. After a failure there is
 * nothing to free; path must outlive `out`. */
status compare_folder_load(const char *path, size_t side, log_sink *log, compare_folder *out, error *err);
void compare_folder_free(compare_folder *folder); /* accepts {0} */

/* Relative name of a picture. */
const char *compare_folder_name(const compare_folder *folder, size_t picture);

/* The picture of that relative name or, failing that, of one that differs in its extension alone; SIZE_MAX for none. */
size_t compare_folder_find(const compare_folder *folder, const char *name);

#endif
