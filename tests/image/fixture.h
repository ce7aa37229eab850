/* Reading the little-endian fixtures that tools/oracle writes.
 *
 *     fixture f = fixture_open("tests/fixtures/resize.bin");
 *     while (fixture_left(&f)) { uint32_t n = fixture_number(&f); const uint8_t *bytes = fixture_bytes(&f, n); }
 *     fixture_close(&f);
 */
#ifndef TESTS_IMAGE_FIXTURE_H
#define TESTS_IMAGE_FIXTURE_H

#include <stdint.h>
#include <stdlib.h>

#include "base/file.h"

typedef struct fixture {
    char *data; /* NULL when the file could not be read */
    size_t size, at;
    error err;
} fixture;

static inline fixture fixture_open(const char *path)
{
    fixture f = {0};
    file_read_all(path, 1 << 24, &f.data, &f.size, &f.err);
    return f;
}

static inline size_t fixture_left(const fixture *f)
{
    return f->size - f->at;
}

/* NULL past the end, which a test sees as a crash. */
static inline const uint8_t *fixture_bytes(fixture *f, size_t count)
{
    if (count > fixture_left(f)) return NULL;
    const uint8_t *bytes = (const uint8_t *)f->data + f->at;
    f->at += count;
    return bytes;
}

static inline uint32_t fixture_number(fixture *f)
{
    const uint8_t *b = fixture_bytes(f, 4);
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline void fixture_close(fixture *f)
{
    free(f->data);
}

#endif
