#include "image/source.h"

#include <stdlib.h>
#include <string.h>

static const size_t max_file_bytes = (size_t)2 << 30;

image_source image_source_of(const uint8_t *bytes, size_t size) { return (image_source){.next = bytes, .there = size}; }

/* Where all that were there are taken. */
static void refill(image_source *s)
{
    size_t now = s->later < IMAGE_SOURCE_BYTES ? s->later : IMAGE_SOURCE_BYTES;
    if (s->there || !now) return;
    s->next = s->buffer;
    s->there = file_read(s->file, s->buffer, now);
    s->later = s->there == now ? s->later - now : 0; /* it has become shorter, or cannot be read */
}

status image_source_open(const char *path, image_source *out, error *err)
{
    *out = (image_source){0};
    TRY(file_reader_open(path, &out->file, err));
    uint64_t size = file_reader_size(out->file);
    out->buffer = size <= max_file_bytes ? malloc(IMAGE_SOURCE_BYTES) : NULL;
    if (!out->buffer) {
        image_source_close(out, NULL);
        if (size <= max_file_bytes) return error_no_memory(err, path, IMAGE_SOURCE_BYTES);
        return error_set(err, STATUS_FAILED, "%s: larger than the limit of %zu bytes", path, max_file_bytes);
    }
    out->later = (size_t)size;
    refill(out);
    return STATUS_OK;
}

status image_source_close(image_source *s, error *err)
{
    status result = file_reader_close(s->file, err);
    free(s->buffer);
    *s = (image_source){0};
    return result;
}

bool image_source_take(image_source *s, void *to, size_t count)
{
    if (count > image_source_left(s)) return false;
    for (uint8_t *at = to; count > 0;) {
        refill(s);
        size_t now = count < s->there ? count : s->there;
        if (now == 0) return false;
        memcpy(at, s->next, now);
        s->next += now;
        s->there -= now;
        at += now;
        count -= now;
    }
    return true;
}

size_t image_source_next(image_source *s, const uint8_t **bytes)
{
    refill(s);
    size_t count = s->there;
    *bytes = s->next;
    s->next += count;
    s->there = 0;
    return count;
}

status image_source_gather(image_source *s, const char *name, error *err)
{
    if (!s->later) return STATUS_OK;
    size_t size = image_source_left(s);
    uint8_t *whole = malloc(size);
    if (!whole) return error_no_memory(err, name, size);
    memcpy(whole, s->next, s->there);
    size_t read = file_read(s->file, whole + s->there, s->later);
    free(s->buffer);
    s->next = s->buffer = whole;
    s->there += read;
    s->later = 0;
    return STATUS_OK;
}
