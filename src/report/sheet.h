/* A contact sheet: pictures in a grid on a neutral background, with titles, for example inputs above outputs.
 *
 *     report_sheet *sheet;
 *     const char *const rows[] = {"snacks", "-> fractals"};
 *     report_sheet_options options = {.columns = 8, .rows = 2, .cell_width = 128, .cell_height = 128, .gap = 4,
 *                                     .row_titles = rows};
 *     TRY(report_sheet_create(&options, &sheet, err));
 *     TRY(report_sheet_place(sheet, &input, 0, 0, err));
 *     TRY(report_sheet_place(sheet, &output, 0, 1, err));
 *     TRY(report_sheet_write(sheet, "samples/step_1000.png", err));
 *     report_sheet_destroy(sheet);
 */
#ifndef REPORT_SHEET_H
#define REPORT_SHEET_H

#include <stddef.h>

#include "base/status.h"
#include "image/image.h"

typedef struct report_sheet report_sheet;

typedef struct report_sheet_options {
    size_t columns, rows;           /* at least 1 */
    size_t cell_width, cell_height; /* pixels, at least 1 */
    size_t gap;                     /* pixels between cells and around all of them; may be 0 */
    /* Titles over the columns and left of the rows: as many as there are, single ones may be NULL; NULL: none. Over
     * long ones are cut with "..". Used by report_sheet_create only. */
    const char *const *column_titles, *const *row_titles;
} report_sheet_options;

/* A sheet with its titles and empty cells. End with report_sheet_destroy. */
status report_sheet_create(const report_sheet_options *options, report_sheet **out, error *err);
/* Scales the picture (up or down, its aspect kept) to fit the cell and centres it there. Columns and rows count from
 * 0 at the top left. The picture is copied, laid over the background where it has alpha; what was in the cell
 * before is gone. */
status report_sheet_place(report_sheet *sheet, const image *picture, size_t column, size_t row, error *err);
/* As image_write: in the format of the extension, atomically. The sheet can be added to afterwards. */
status report_sheet_write(const report_sheet *sheet, const char *path, error *err);
void report_sheet_destroy(report_sheet *sheet); /* accepts NULL */

#endif
