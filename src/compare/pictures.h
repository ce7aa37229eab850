/* The pictures that every method gets: the inputs, scaled once and written into the comparison's folder, and the names
 * of what each method makes of them.
 *
 *     comparison_pictures p;
 *     TRY(comparison_pictures_prepare("runs/x", "data/snacks/test", 128, log, &p, err));
 *     for (size_t i = 0; i < p.count; i++) translate(p.items[i].path, ...);
 *     comparison_pictures_free(&p);
 */
#ifndef COMPARE_PICTURES_H
#define COMPARE_PICTURES_H

#include <stddef.h>

#include "base/log.h"
#include "base/status.h"

#define COMPARISON_IMAGES "images" /* below the comparison's folder: input, and a folder for each method */
#define COMPARISON_INPUT "input"

typedef struct comparison_picture {
    char *relative; /* below images/input and images/METHOD: "cakes/1.png" */
    char *path;     /* to open the input, FOLDER/images/input/cakes/1.png */
    size_t width, height;
} comparison_picture;

typedef struct comparison_pictures {
    comparison_picture *items;
    size_t count, left_out; /* inputs that could not be read */
} comparison_pictures;

/* size: the shorter side, 0: as it is. Inputs that cannot be read are warned of and left out; fails when none is left.
 * Everything is PNG; names as in translate/outputs.h. After a failure there is nothing to free. */
status comparison_pictures_prepare(const char *folder, const char *inputs, size_t size, log_sink *log,
                                   comparison_pictures *out, error *err);
void comparison_pictures_free(comparison_pictures *p);

/* FOLDER/images/METHOD/RELATIVE as new memory, or NULL without; relative may be NULL: the method's folder. */
char *comparison_path(const char *folder, const char *method, const char *relative);

#endif
