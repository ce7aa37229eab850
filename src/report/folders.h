/* A contact sheet of folders that hold the same pictures in different versions: a row a folder, a column a picture.
 *
 *     report_folder rows[] = {{"input", "data/snacks/test"}, {"translated", "out"}};
 *     TRY(report_folders_write("sheet.jpg", rows, 2, NULL, err));
 */
#ifndef REPORT_FOLDERS_H
#define REPORT_FOLDERS_H

#include "base/status.h"

#include <stddef.h>

typedef struct report_folder {
    const char *title, *path;
} report_folder;

typedef struct report_folders_options {
    size_t cell;    /* side of a cell in pixels; 0: 128 */
    size_t most;    /* pictures shown, spread over the folder; 0: 20 */
    size_t columns; /* pictures in a band of rows; 0: 10 */
} report_folders_options;

/* The first folder says which pictures there are (recursively); the others have them under the same relative names, or
 * with another extension. One that a folder lacks leaves its cell empty. options may be NULL. */
status report_folders_write(const char *path, const report_folder *rows, size_t count,
                            const report_folders_options *options, error *err);

#endif
