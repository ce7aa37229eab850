/* Listing pictures.
 *
 *     image_list list = {0};
 *     TRY(image_list_add(&list, "data/snacks", err));    a file, or a folder recursively
 *     for (size_t i = 0; i < list.count; i++) use(list.items[i].path, list.items[i].relative);
 *     image_list_free(&list);
 */
#ifndef IMAGE_FOLDER_H
#define IMAGE_FOLDER_H

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
 * A broken link with an image's name is listed, so that reading it says what is wrong. Fails, leaving the list as it
 * was, when `path` does not exist or a folder cannot be read. Free with image_list_free. */
status image_list_add(image_list *list, const char *path, error *err);
void image_list_free(image_list *list); /* leaves an empty list */

#endif
