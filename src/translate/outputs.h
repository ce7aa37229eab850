/* Which file each input becomes.
 *
 *     output_list outputs = {0};
 *     TRY(output_list_create(&inputs, "out", IMAGE_PNG, &outputs, err));
 *     for (size_t i = 0; i < outputs.count; i++) translate(outputs.items[i].source, outputs.items[i].path);
 *     output_list_free(&outputs);
 */
#ifndef TRANSLATE_OUTPUTS_H
#define TRANSLATE_OUTPUTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "image/folder.h"
#include "image/image.h"

typedef struct translate_output {
    const image_item *source;
    char *relative; /* below the output folder */
    char *path;     /* to open it */
    image_format format;
    bool found;     /* the input could be looked at: what follows is set */
    dev_t device;
    ino_t number;
    uint64_t source_bytes;
    struct timespec source_modified;
} translate_output;

typedef struct output_list {
    translate_output *items;
    size_t count;
} output_list;

/* Each input keeps its relative path, with the extension of the format where it has another one; IMAGE_UNKNOWN: the
 * format of its own extension, and PNG, whose extension is added, where it has no known one. Inputs that would
 * fall on one name keep their full names (a.png and a.jpg as a.png.png and a.jpg.png). A file that is listed twice
 * under one name counts once. Fails, before anything is written, when two inputs still have one name and when an
 * output is one of the inputs. `inputs` must outlive the list; free with output_list_free. */
status output_list_create(const image_list *inputs, const char *folder, image_format format, output_list *out,
                          error *err);
void output_list_free(output_list *list);

#endif
