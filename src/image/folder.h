/* Listing pictures.
 *
 *     image_list list = {0};
 *     TRY(image_list_add(&list, "data/snacks", err));    a file, or a folder recursively
 *     for (size_t i = 0; i < list.count; i++) use(list.items[i].path, list.items[i].relative);
 *     image_list_free(&list);
 */
#ifndef IMAGE_FOLDER_H
#define IMAGE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct image_item {
    char *path;     /* to open it */
    char *relative; /* below the folder that was named; the base name for a file that was named itself */
} image_item;

typedef struct image_list {
    image_item *items;
    size_t count, capacity;
} image_list;

/* Adds the file, or all files with a known image extension below the folder, in natural order ("2" before "10").
 * Hidden files and folders are passed over; a folder is entered once, however many links lead to it (a loop ends).
 * A broken link with an image's name is listed, so that reading it says what is wrong; another is passed over. Fails,
 * leaving the list as it was, when `path` does not exist or a folder cannot be read. Free with image_list_free. */
status image_list_add(image_list *list, const char *path, error *err);

typedef struct image_list_options {
    /* Is told what below `path` cannot be read, and the rest is listed; NULL: such a folder fails the call. */
    void (*report)(void *context, const error *problem);
    void *context;
    /* A folder is listed under each of its names, up to 64 of them, instead of the first that was met. Loops end. */
    bool every_name;
    const char *except; /* a folder that is not entered, by whatever name; may be NULL, or not be there */
} image_list_options;

/* The same with options, which may be NULL. *passed_over, which may be NULL: whether `except` was met. */
status image_list_add_with(image_list *list, const char *path, const image_list_options *options, bool *passed_over,
                           error *err);
void image_list_free(image_list *list); /* leaves an empty list */

#endif
