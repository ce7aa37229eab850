#include "compare/folder.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

void compare_folder_free(compare_folder *folder)
{
    image_list_free(&folder->list);
    compare_pictures_free(&folder->set);
    free(folder->items);
    free(folder->left_out);
    *folder = (compare_folder){0};
}

const char *compare_folder_name(const compare_folder *folder, size_t picture)
{
    return folder->list.items[folder->items[picture]].relative;
}

/* Length of a relative name without its extension. */
static size_t stem(const char *name)
{
    const char *dot = strrchr(text_base_name(name), '.');
    return dot ? (size_t)(dot - name) : strlen(name);
}

size_t compare_folder_find(const compare_folder *folder, const char *name)
{
    size_t found = SIZE_MAX;
    for (size_t i = 0; i < folder->set.count; i++) {
        const char *other = compare_folder_name(folder, i);
        if (strcmp(other, name) == 0) return i;
        if (found == SIZE_MAX && stem(other) == stem(name) && strncmp(other, name, stem(name)) == 0) found = i;
    }
    return found;
}

/* The list's item as the set's next picture; `problem` says why not. */
static status take(compare_folder *folder, size_t item, error *problem)
{
    image picture = {0};
    TRY(image_read(folder->list.items[item].path, NULL, &picture, problem));
    status result = compare_pictures_put(&folder->set, folder->set.count, &picture, problem);
    image_free(&picture);
    if (result == STATUS_OK) folder->items[folder->set.count++] = item;
    return result;
}

static status read_all(compare_folder *folder, size_t side, log_sink *log, error *err)
{
    size_t count = folder->list.count;
    char shown[300];
    if (count == 0)
        return error_set(err, STATUS_FAILED, "%s: no pictures", text_printable(folder->path, shown, sizeof shown));
    TRY(compare_pictures_create(&folder->set, count, side, err));
    folder->items = calloc(count, sizeof *folder->items);
    folder->left_out = calloc(count, sizeof *folder->left_out);
    if (!folder->items || !folder->left_out) return error_no_memory(err, "a folder", count * sizeof *folder->items);
    folder->set.count = 0;
    for (size_t i = 0; i < count; i++) {
        error problem = {0};
        status result = take(folder, i, &problem);
        if (result == STATUS_OK) continue;
        if (result != STATUS_FAILED) return error_set(err, result, "%s", problem.message);
        log_warn(log, "%s; left out", problem.message);
        folder->left_out[folder->left_out_count++] = i;
    }
    return STATUS_OK;
}

status compare_folder_load(const char *path, size_t side, log_sink *log, compare_folder *out, error *err)
{
    *out = (compare_folder){.path = path};
    status result = image_list_add(&out->list, path, err);
    if (result == STATUS_OK) result = read_all(out, side, log, err);
    if (result != STATUS_OK) compare_folder_free(out);
    return result;
}
