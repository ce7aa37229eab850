#include "report/sheet.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/font.h"

enum { BACKGROUND = 236, INK = 40 }; /* neutral greys */
enum { LONGEST_ROW_TITLE = 24 };     /* characters */

struct report_sheet {
    report_sheet_options options; /* without titles */
    image canvas;
    size_t left, top; /* margins for titles */
};

/* Small cells get small titles. */
static size_t title_factor(const report_sheet_options *o)
{
    size_t cell = o->cell_width < o->cell_height ? o->cell_width : o->cell_height;
    return cell < 96 ? 1 : cell < 400 ? 2 : 3;
}

/* The left margin: the widest row title and some space. */
static size_t row_title_margin(const report_sheet_options *o)
{
    size_t widest = 0, factor = title_factor(o), most = (LONGEST_ROW_TITLE * REPORT_FONT_WIDTH - 1) * factor;
    for (size_t i = 0; o->row_titles && i < o->rows; i++) {
        size_t width = o->row_titles[i] ? report_text_width(o->row_titles[i], factor) : 0;
        if (width > widest) widest = width < most ? width : most;
    }
    return widest ? widest + 2 * REPORT_FONT_WIDTH * factor : 0;
}

static size_t column_title_margin(const report_sheet_options *o)
{
    for (size_t i = 0; o->column_titles && i < o->columns; i++)
        if (o->column_titles[i]) return (REPORT_FONT_HEIGHT + 3) * title_factor(o);
    return 0;
}

/* In `width` pixels from `left`: centred there, with some space to its neighbours, or at its right end. */
static status draw_title(report_sheet *sheet, const char *title, size_t left, size_t width, size_t top, bool centred,
                         error *err)
{
    size_t factor = title_factor(&sheet->options);
    size_t space = centred ? REPORT_FONT_WIDTH * factor : 0;
    char *cut = report_text_cut(title, report_text_fit(width > space ? width - space : 0, factor));
    if (!cut) return error_no_memory(err, "a title", strlen(title));
    size_t used = report_text_width(cut, factor), free_width = width > used ? width - used : 0;
    report_text_draw(&sheet->canvas, left + (centred ? free_width / 2 : free_width), top, factor, cut, INK);
    free(cut);
    return STATUS_OK;
}

static status draw_titles(report_sheet *sheet, const report_sheet_options *o, error *err)
{
    size_t factor = title_factor(o), capitals = 7 * factor; /* their height: what seems to be the middle */
    for (size_t i = 0; sheet->top && i < o->columns; i++)
        if (o->column_titles[i])
            TRY(draw_title(sheet, o->column_titles[i], sheet->left + o->gap + i * (o->cell_width + o->gap),
                           o->cell_width, 3 * factor, true, err));
    for (size_t i = 0; sheet->left && i < o->rows; i++) {
        size_t middle = sheet->top + o->gap + i * (o->cell_height + o->gap) + o->cell_height / 2;
        if (o->row_titles[i])
            TRY(draw_title(sheet, o->row_titles[i], REPORT_FONT_WIDTH * factor,
                           sheet->left - 2 * REPORT_FONT_WIDTH * factor,
                           middle > capitals / 2 ? middle - capitals / 2 : 0, false, err));
    }
    return STATUS_OK;
}

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
    *sheet = (report_sheet){.options = *o, .left = row_title_margin(o), .top = column_title_margin(o)};
    sheet->options.column_titles = sheet->options.row_titles = NULL;
    status result = image_create(&sheet->canvas, width + sheet->left, height + sheet->top, err);
    if (result == STATUS_OK) {
        memset(sheet->canvas.pixels, BACKGROUND, sheet->canvas.width * sheet->canvas.height * 3);
        result = draw_titles(sheet, o, err);
    }
    if (result != STATUS_OK) {
        report_sheet_destroy(sheet);
        return error_prefix(err, "contact sheet");
    }
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

/* Lays a picture over what is there; `pitch` bytes from row to row. */
static void lay_over(const image *picture, uint8_t *to, size_t pitch)
{
    for (size_t y = 0; y < picture->height; y++)
        for (size_t x = 0; x < picture->width; x++) {
            const uint8_t *from = picture->pixels + (y * picture->width + x) * 3;
            uint8_t *under = to + y * pitch + x * 3;
            unsigned alpha = picture->alpha ? picture->alpha[y * picture->width + x] : 255;
            for (size_t c = 0; c < 3; c++)
                under[c] = (uint8_t)((from[c] * alpha + under[c] * (255 - alpha) + 127) / 255);
        }
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
    size_t left = sheet->left + o->gap + column * (o->cell_width + o->gap);
    size_t top = sheet->top + o->gap + row * (o->cell_height + o->gap);
    size_t pitch = sheet->canvas.width * 3;
    uint8_t *cell = sheet->canvas.pixels + top * pitch + left * 3;
    for (size_t y = 0; y < o->cell_height; y++) memset(cell + y * pitch, BACKGROUND, o->cell_width * 3);
    uint8_t *to = cell + (o->cell_height - height) / 2 * pitch + (o->cell_width - width) / 2 * 3;
    lay_over(&scaled, to, pitch);
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
