/* The bytes that a picture is decoded from, which lie in memory or come from a file as they are wanted: a large file is not in
 * memory beside its pixels.
 *
 *     image_source source = image_source_of(bytes, size);        or
 *     TRY(image_source_open(path, &source, err));
 *     if (!image_source_take(&source, header, 8)) ...             the file is truncated
 *     while ((count = image_source_next(&source, &piece)) > 0) ...
 *     TRY(image_source_close(&source, err));                      whether the file could be read
 */
#ifndef IMAGE_SOURCE_H
#define IMAGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"

enum { IMAGE_SOURCE_BYTES = 1 << 16 }; /* of a file that are in memory */

typedef struct image_source {
    const uint8_t *next; /* `there` bytes, which are not taken yet */
    size_t there, later; /* later: of the file, behind those */
    file_reader *file;   /* NULL: all are there */
    uint8_t *buffer;     /* IMAGE_SOURCE_BYTES, or the whole file */
} image_source;

image_source image_source_of(const uint8_t *bytes, size_t size);
/* The first IMAGE_SOURCE_BYTES are there, or all. After a failure there is nothing to close. */
status image_source_open(const char *path, image_source *out, error *err);
/* Fails when reading the file failed, which then looked shorter than it is. */
status image_source_close(image_source *s, error *err);

static inline size_t image_source_left(const image_source *s) { return s->there + s->later; }
/* False when there are fewer; none are taken then. */
bool image_source_take(image_source *s, void *to, size_t count);
/* Takes the bytes that are there, until the next call, or some of the file; 0 at its end. */
size_t image_source_next(image_source *s, const uint8_t **bytes);
/* Has all that are left there at once. */
status image_source_gather(image_source *s, const char *name, error *err);

#endif
