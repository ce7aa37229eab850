/* A contact sheet of what was translated: inputs above outputs, in labelled rows.
 *
 *     TRY(translate_sheet_write("sheet.png", pictures, count, "snacks", "fractals", NULL, err));
 */
#ifndef TRANSLATE_SHEET_H
#define TRANSLATE_SHEET_H

#include "translate/outputs.h"

enum { TRANSLATE_SHEET_PICTURES = 40 };

/* Reads the inputs and their results back from disk and writes at most TRANSLATE_SHEET_PICTURES of them, evenly spread
 * over the list (count: at least 1), in the format of the extension of `path`, whose folders are created. `from` and
 * `to` are the domains' names; NULL: "input", "output". */
status translate_sheet_write(const char *path, const translate_output *const *pictures, size_t count, const char *from,
                             const char *to, const image_limits *limits, error *err);
/* STATUS_USAGE when a sheet cannot be written to `path`: no known extension, or it is an input or an output. */
status translate_sheet_check(const char *path, const output_list *outputs, error *err);

#endif
