#include "report/folders.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "image/folder.h"
#include "image/image.h"
#include "report/sheet.h"

enum { GAP = 4 };

/* Length of a relative name without its extension. */
static size_t stem(const char *name)
{
    const char *dot = strrchr(text_base_name(name), '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

/* The picture of that relative name, else one that differs in the extension alone, else NULL. */
static const image_item *find(const image_list *list, const char *name)
{
    const image_item *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const char *other = list->items[i].relative;
        if (strcmp(other, name) == 0) return &list->items[i];
        if (!found && stem(other) == stem(name) && strncmp(other, name, stem(name)) == 0) found = &list->items[i];
    }
    return found;
}

static status place(report_sheet *sheet, const char *path, size_t column, size_t row, error *err)
{
    image picture = {0};
    TRY(image_read(path, NULL, &picture, err));
    status result = report_sheet_place(sheet, &picture, column, row, err);
    image_free(&picture);
    return result;
}

static status fill(report_sheet *sheet, const image_list *lists, size_t count, size_t shown, size_t columns,
                   error *err)
{
    for (size_t i = 0; i < shown; i++) {
        const char *name = lists[0].items[i * lists[0].count / shown].relative;
        for (size_t row = 0; row < count; row++) {
            const image_item *item = find(&lists[row], name);
            if (item) TRY(place(sheet, item->path, i % columns, i / columns * count + row, err));
        }
    }
    return STATUS_OK;
}

static status write_sheet(const char *path, const report_folder *rows, const image_list *lists, size_t count,
                          const report_folders_options *o, error *err)
{
    size_t most = o->most ? o->most : 20, shown = lists[0].count < most ? lists[0].count : most;
    size_t columns = o->columns ? o->columns : 10, bands = (shown + columns - 1) / columns;
    if (columns > shown) columns = shown;
    const char **titles = malloc(bands * count * sizeof *titles);
    if (!titles) return error_no_memory(err, "a contact sheet", bands * count * sizeof *titles);
    for (size_t i = 0; i < bands * count; i++) titles[i] = rows[i % count].title;
    size_t cell = o->cell ? o->cell : 128;
    report_sheet_options options = {.columns = columns, .rows = bands * count, .cell_width = cell, .cell_height = cell,
                                    .gap = GAP, .row_titles = titles};
    report_sheet *sheet = NULL;
    status result = report_sheet_create(&options, &sheet, err);
    if (result == STATUS_OK) result = fill(sheet, lists, count, shown, columns, err);
    if (result == STATUS_OK) result = file_make_parent(path, err);
    if (result == STATUS_OK) result = report_sheet_write(sheet, path, err);
    report_sheet_destroy(sheet);
    free(titles);
    return result;
}

status report_folders_write(const char *path, const report_folder *rows, size_t count,
                            const report_folders_options *options, error *err)
{
    static const report_folders_options defaults = {0};
    image_list *lists = calloc(count + 1, sizeof *lists);
    if (!lists) return error_no_memory(err, "a contact sheet", count * sizeof *lists);
    status result = count ? STATUS_OK : error_set(err, STATUS_USAGE, "a contact sheet needs a folder");
    for (size_t i = 0; i < count && result == STATUS_OK; i++) result = image_list_add(&lists[i], rows[i].path, err);
    if (result == STATUS_OK && lists[0].count == 0)
        result = error_set(err, STATUS_FAILED, "%s: no pictures", rows[0].path);
    if (result == STATUS_OK) result = write_sheet(path, rows, lists, count, options ? options : &defaults, err);
    for (size_t i = 0; i < count; i++) image_list_free(&lists[i]);
    free(lists);
    return result;
}
