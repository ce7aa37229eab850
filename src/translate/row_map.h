/* Rows of floats, more than may be in memory: they lie there, or in a temporary file.
 *
 *     row_map map;
 *     TRY(row_map_create(&map, rows, row_count, in_file, err));
 *     TRY(row_map_write(&map, first, count, floats, err));
 *     const float *now;
 *     TRY(row_map_read(&map, first, count, buffer, &now, err));
 *     row_map_free(&map);
 *
 * The file has no name (it is gone when the process ends, however that happens), in $TMPDIR or else /var/tmp.
 */
#ifndef TRANSLATE_ROW_MAP_H
#define TRANSLATE_ROW_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct row_map {
    size_t rows, floats; /* floats of a row */
    float *memory;       /* NULL: in a file */
    bool in_file;
    int file;
} row_map;

/* Not cleared. Fails without memory, and when the file cannot be made or its room is not there. */
status row_map_create(row_map *map, size_t rows, size_t floats, bool in_file, error *err);
void row_map_free(row_map *map); /* accepts {0} and one that failed */
status row_map_write(row_map *map, size_t first, size_t count, const float *from, error *err);
/* *out: the rows, either in `buffer`, which has room for them, or where they lie, until those are written. */
status row_map_read(const row_map *map, size_t first, size_t count, float *buffer, const float **out, error *err);

#endif
