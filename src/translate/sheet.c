#include "translate/sheet.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "image/image.h"
#include "report/sheet.h"

enum { PICTURES_A_ROW = 10, CELL = 144, GAP = 4 };

status translate_sheet_check(const char *path, const output_list *outputs, error *err)
{
    if (!image_extension_known(path))
        return error_set(err, STATUS_USAGE, "%s: a contact sheet is .png, .jpg, .jpeg or .webp", path);
    struct stat info;
    bool there = stat(path, &info) == 0;
    for (size_t i = 0; i < outputs->count; i++) {
        const translate_output *o = &outputs->items[i];
        if (there && o->found && o->device == info.st_dev && o->number == info.st_ino)
            return error_set(err, STATUS_USAGE, "%s: the contact sheet would overwrite the input %s", path,
                             o->source->path);
        struct stat made;
        if (strcmp(path, o->path) == 0 ||
            (there && stat(o->path, &made) == 0 && made.st_dev == info.st_dev && made.st_ino == info.st_ino))
            return error_set(err, STATUS_USAGE, "%s: the contact sheet would overwrite the result of %s", path,
                             o->source->path);
    }
    return STATUS_OK;
}

static status place(report_sheet *sheet, const char *path, const image_limits *limits, size_t column, size_t row,
                    error *err)
{
    image picture = {0};
    TRY(image_read(path, limits, &picture, err));
    status result = report_sheet_place(sheet, &picture, column, row, err);
    image_free(&picture);
    return result;
}

/* pictures[i * count / shown] stands at place i. */
static status fill(report_sheet *sheet, const translate_output *const *pictures, size_t count, size_t shown,
                   size_t columns, const image_limits *limits, error *err)
{
    for (size_t i = 0; i < shown; i++) {
        const translate_output *o = pictures[i * count / shown];
        TRY(place(sheet, o->source->path, limits, i % columns, i / columns * 2, err));
        TRY(place(sheet, o->path, limits, i % columns, i / columns * 2 + 1, err));
    }
    return STATUS_OK;
}

status translate_sheet_write(const char *path, const translate_output *const *pictures, size_t count, const char *from,
                             const char *to, const image_limits *limits, error *err)
{
    if (!count) return error_set(err, STATUS_FAILED, "%s: no pictures for a contact sheet", path);
    size_t shown = count < TRANSLATE_SHEET_PICTURES ? count : TRANSLATE_SHEET_PICTURES;
    size_t bands = (shown - 1) / PICTURES_A_ROW + 1, columns = (shown + bands - 1) / bands;
    const char *titles[2 * (TRANSLATE_SHEET_PICTURES / PICTURES_A_ROW)];
    char *result_title = to ? text_printf("-> %s", to) : text_copy("output");
    if (!result_title) return error_no_memory(err, "a contact sheet", strlen(path));
    for (size_t i = 0; i < bands; i++) {
        titles[2 * i] = from ? from : "input";
        titles[2 * i + 1] = result_title;
    }
    report_sheet_options options = {.columns = columns, .rows = 2 * bands, .cell_width = CELL, .cell_height = CELL,
                                    .gap = GAP, .row_titles = titles};
    report_sheet *sheet = NULL;
    status result = report_sheet_create(&options, &sheet, err);
    if (result == STATUS_OK) result = fill(sheet, pictures, count, shown, columns, limits, err);
    if (result == STATUS_OK) result = file_make_parent(path, err);
    if (result == STATUS_OK) result = report_sheet_write(sheet, path, err);
    report_sheet_destroy(sheet);
    free(result_title);
    return result;
}
