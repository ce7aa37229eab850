#include "image/folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "image/image.h"

enum { MOST_NAMES = 64 }; /* of one folder: links to folders of links could give it billions */

typedef struct folder_visit {
    dev_t device;
    ino_t number;
    size_t names; /* under which it was entered */
    bool open;    /* its entries are being gone through */
} folder_visit;

/* One call of image_list_add: the folders that were entered so far. */
typedef struct walk {
    image_list *list;
    const image_list_options *options;
    folder_visit *visits;
    size_t count, capacity;
    bool passed_over;
} walk;

typedef struct names {
    char **items;
    size_t count, capacity;
} names;

/* Makes room for one more. */
static status grow(void **items, size_t count, size_t *capacity, size_t item_bytes, error *err)
{
    if (count < *capacity) return STATUS_OK;
    size_t larger = *capacity ? *capacity * 2 : 64;
    void *moved = realloc(*items, larger * item_bytes);
    if (!moved) return error_no_memory(err, "a list of files", larger * item_bytes);
    *items = moved;
    *capacity = larger;
    return STATUS_OK;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Runs of digits compare as numbers of any length, other bytes one by one. */
static int compare_naturally(const char *a, const char *b)
{
    while (*a && *b) {
        if (!is_digit(*a) || !is_digit(*b)) {
            if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++, b++;
            continue;
        }
        while (*a == '0') a++;
        while (*b == '0') b++;
        size_t digits_a = 0, digits_b = 0;
        while (is_digit(a[digits_a])) digits_a++;
        while (is_digit(b[digits_b])) digits_b++;
        if (digits_a != digits_b) return digits_a < digits_b ? -1 : 1;
        int order = memcmp(a, b, digits_a);
        if (order != 0) return order;
        a += digits_a;
        b += digits_b;
    }
    return *a ? 1 : *b ? -1 : 0;
}

static int compare_names(const void *a, const void *b)
{
    const char *first = *(char *const *)a, *second = *(char *const *)b;
    int order = compare_naturally(first, second);
    return order ? order : strcmp(first, second); /* "01" and "1" must not change places */
}

static void names_free(names *n)
{
    for (size_t i = 0; i < n->count; i++) free(n->items[i]);
    free(n->items);
}

/* The folder's visible names, sorted. It is closed before its subfolders are opened, so that depth costs no handles. */
static status names_read(const char *folder, names *out, error *err)
{
    *out = (names){0};
    DIR *stream = opendir(folder);
    if (!stream) return error_set(err, STATUS_FAILED, "%s: cannot read the folder: %s", folder, strerror(errno));
    status result = STATUS_OK;
    struct dirent *entry;
    errno = 0;
    while (result == STATUS_OK && (entry = readdir(stream))) {
        if (entry->d_name[0] == '.') continue;
        result = grow((void **)&out->items, out->count, &out->capacity, sizeof *out->items, err);
        if (result != STATUS_OK) break;
        char *name = text_copy(entry->d_name);
        if (name)
            out->items[out->count++] = name;
        else
            result = error_no_memory(err, "a list of files", strlen(entry->d_name) + 1);
        errno = 0;
    }
    if (result == STATUS_OK && errno != 0)
        result = error_set(err, STATUS_FAILED, "%s: cannot read the folder: %s", folder, strerror(errno));
    closedir(stream);
    if (result != STATUS_OK) {
        names_free(out);
        return result;
    }
    if (out->count) qsort(out->items, out->count, sizeof *out->items, compare_names);
    return STATUS_OK;
}

static status add_item(image_list *list, const char *path, const char *relative, error *err)
{
    TRY(grow((void **)&list->items, list->count, &list->capacity, sizeof *list->items, err));
    image_item item = {.path = text_copy(path), .relative = text_copy(relative)};
    if (!item.path || !item.relative) {
        free(item.path);
        free(item.relative);
        return error_no_memory(err, "a list of files", strlen(path));
    }
    list->items[list->count++] = item;
    return STATUS_OK;
}

static bool is_excepted(const walk *w, const struct stat *info)
{
    struct stat other;
    return w->options->except && stat(w->options->except, &other) == 0 && other.st_dev == info->st_dev &&
           other.st_ino == info->st_ino;
}

/* Tells of a failure and goes on, where that is asked for and it is not the lack of memory. */
static status report(walk *w, status result, error *problem, error *err)
{
    if (result == STATUS_FAILED && w->options->report) {
        w->options->report(w->options->context, problem);
        return STATUS_OK;
    }
    if (result != STATUS_OK && err) *err = *problem;
    return result;
}

/* *visit: the folder's number; *entered: whether to go through its entries. */
static status enter(walk *w, const char *folder, const struct stat *info, size_t *visit, bool *entered, error *err)
{
    size_t i = 0;
    while (i < w->count && (w->visits[i].device != info->st_dev || w->visits[i].number != info->st_ino)) i++;
    *visit = i;
    *entered = false;
    if (i == w->count) {
        TRY(grow((void **)&w->visits, w->count, &w->capacity, sizeof *w->visits, err));
        w->visits[w->count++] = (folder_visit){.device = info->st_dev, .number = info->st_ino};
    }
    if (w->visits[i].open || (w->visits[i].names && !w->options->every_name)) return STATUS_OK;
    if (w->visits[i].names == MOST_NAMES)
        return error_set(err, STATUS_FAILED, "%s: not entered: the folder has over %d names already", folder,
                         MOST_NAMES);
    w->visits[i].names++;
    *entered = w->visits[i].open = true;
    return STATUS_OK;
}

static status add_folder(walk *w, const char *folder, const char *relative, const struct stat *info, error *err);

/* A broken link with the name of a picture is listed, so that reading it tells; another is passed over, as what is no
 * picture, and so is what has vanished. The rest may be a folder. */
static status add_missing(walk *w, const char *path, const char *relative, int number, error *err)
{
    error problem = {0};
    if (image_extension_known(path) && number != ENAMETOOLONG) return add_item(w->list, path, relative, err);
    if (!w->options->report || number == ENOENT) return STATUS_OK;
    status result = error_set(&problem, STATUS_FAILED, "%s: cannot read: %s", path, strerror(number));
    return report(w, result, &problem, err);
}

static status add_entry(walk *w, const char *path, const char *relative, error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) return add_missing(w, path, relative, errno, err);
    if (S_ISDIR(info.st_mode)) return add_folder(w, path, relative, &info, err);
    /* Not a pipe or device, which reading would wait for. */
    if (!S_ISREG(info.st_mode) || !image_extension_known(path)) return STATUS_OK;
    return add_item(w->list, path, relative, err);
}

static status add_entries(walk *w, const char *folder, const char *relative, error *err)
{
    names entries;
    error problem = {0};
    status result = names_read(folder, &entries, &problem);
    if (result != STATUS_OK) return report(w, result, &problem, err);
    for (size_t i = 0; result == STATUS_OK && i < entries.count; i++) {
        char *path = text_join_path(folder, entries.items[i]);
        char *below = text_join_path(relative, entries.items[i]);
        result = path && below ? add_entry(w, path, below, err)
                               : error_no_memory(err, "a list of files", strlen(folder));
        free(path);
        free(below);
    }
    names_free(&entries);
    return result;
}

static status add_folder(walk *w, const char *folder, const char *relative, const struct stat *info, error *err)
{
    size_t visit;
    bool entered;
    error problem = {0};
    if (is_excepted(w, info)) {
        w->passed_over = true;
        return STATUS_OK;
    }
    status result = enter(w, folder, info, &visit, &entered, &problem);
    if (result != STATUS_OK) return report(w, result, &problem, err);
    if (!entered) return STATUS_OK;
    result = add_entries(w, folder, relative, err);
    w->visits[visit].open = false;
    return result;
}

static void forget_from(image_list *list, size_t first)
{
    while (list->count > first) {
        image_item *item = &list->items[--list->count];
        free(item->path);
        free(item->relative);
    }
}

status image_list_add_with(image_list *list, const char *path, const image_list_options *options, bool *passed_over,
                           error *err)
{
    static const image_list_options defaults = {0};
    struct stat info;
    if (passed_over) *passed_over = false;
    if (stat(path, &info) != 0) return error_set(err, STATUS_FAILED, "%s: cannot read: %s", path, strerror(errno));
    if (!S_ISDIR(info.st_mode)) return add_item(list, path, text_base_name(path), err);
    walk w = {.list = list, .options = options ? options : &defaults};
    size_t before = list->count;
    status result = add_folder(&w, path, "", &info, err);
    if (result != STATUS_OK) forget_from(list, before);
    if (passed_over) *passed_over = w.passed_over;
    free(w.visits);
    return result;
}

status image_list_add(image_list *list, const char *path, error *err)
{
    return image_list_add_with(list, path, NULL, NULL, err);
}

void image_list_free(image_list *list)
{
    forget_from(list, 0);
    free(list->items);
    *list = (image_list){0};
}
