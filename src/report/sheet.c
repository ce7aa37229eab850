#include "report/sheet.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BACKGROUND = 236 }; /* a light neutral grey */

struct report_sheet {
    report_sheet_options options;
    image canvas;
};

/* gap + count * (cell + gap); 0 when it does not fit a size_t. */
static size_t side(size_t count, size_t cell, size_t gap)
{
    if (gap > SIZE_MAX - cell || count > (SIZE_MAX - gap) / (cell + gap)) return 0;
    return gap + count * (cell + gap);
}

status report_sheet_create(const report_sheet_options *options, report_sheet **out, error *err)
{
    *out = NULL;
    const report_sheet_options *o = options;
    if (o->columns < 1 || o->rows < 1 || o->cell_width < 1 || o->cell_height < 1)
        return error_set(err, STATUS_FAILED, "a contact sheet needs at least 1x1 cells of 1x1 pixels, not %zux%zu of "
                         "%zux%zu", o->columns, o->rows, o->cell_width, o->cell_height);
    size_t width = side(o->columns, o->cell_width, o->gap), height = side(o->rows, o->cell_height, o->gap);
    if (!width || !height) return error_set(err, STATUS_NO_MEMORY, "a contact sheet so large does not fit into memory");
    report_sheet *sheet = malloc(sizeof *sheet);
    if (!sheet) return error_no_memory(err, "a contact sheet", sizeof *sheet);
    sheet->options = *options;
    status result = image_create(&sheet->canvas, width, height, err);
    if (result != STATUS_OK) {
        free(sheet);
        return error_prefix(err, "contact sheet");
    }
    memset(sheet->canvas.pixels, BACKGROUND, width * height * 3);
    *out = sheet;
    return STATUS_OK;
}

/* The largest size of the picture's aspect within the cell, rounded, at least 1x1. */
static void fit(const image *picture, const report_sheet_options *o, size_t *width, size_t *height)
{
    double by_width = (double)o->cell_width / (double)picture->width;
    double by_height = (double)o->cell_height / (double)picture->height;
    double scale = by_width < by_height ? by_width : by_height;
    size_t w = (size_t)((double)picture->width * scale + 0.5), h = (size_t)((double)picture->height * scale + 0.5);
    *width = w < 1 ? 1 : w > o->cell_width ? o->cell_width : w;
    *height = h < 1 ? 1 : h > o->cell_height ? o->cell_height : h;
}

status report_sheet_place(report_sheet *sheet, const image *picture, size_t column, size_t row, error *err)
{
    const report_sheet_options *o = &sheet->options;
    if (column >= o->columns || row >= o->rows)
        return error_set(err, STATUS_FAILED, "no cell (%zu, %zu) on a contact sheet of %zux%zu", column, row,
                         o->columns, o->rows);
    if (!picture->pixels) return error_set(err, STATUS_FAILED, "an empty picture for a contact sheet");
    size_t width, height;
    fit(picture, o, &width, &height);
    image scaled;
    TRY(image_resize(picture, width, height, &scaled, err));
    size_t left = o->gap + column * (o->cell_width + o->gap), top = o->gap + row * (o->cell_height + o->gap);
    size_t pitch = sheet->canvas.width * 3;
    uint8_t *cell = sheet->canvas.pixels + top * pitch + left * 3;
    for (size_t y = 0; y < o->cell_height; y++) memset(cell + y * pitch, BACKGROUND, o->cell_width * 3);
    uint8_t *to = cell + (o->cell_height - height) / 2 * pitch + (o->cell_width - width) / 2 * 3;
    for (size_t y = 0; y < height; y++) memcpy(to + y * pitch, scaled.pixels + y * width * 3, width * 3);
    image_free(&scaled);
    return STATUS_OK;
}

status report_sheet_write(const report_sheet *sheet, const char *path, error *err)
{
    return image_write(path, &sheet->canvas, NULL, err);
}

void report_sheet_destroy(report_sheet *sheet)
{
    if (!sheet) return;
    image_free(&sheet->canvas);
    free(sheet);
}
