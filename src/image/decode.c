#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "image/codec.h"
#include "image/image.h"

static const size_t default_max_pixels = 256000000;
static const double worth_asking = 64 << 20; /* bytes */

/* need: bytes that are to be allocated; taken: for the same picture, before. Memory that is not there may be promised all the
 * same, and touching it would end the program. */
static status check_memory(const char *name, size_t width, size_t height, double need, double taken,
                           const image_limits *limits, error *err)
{
    char need_text[32], there_text[32];
    double all = need + taken + (limits ? limits->taken_bytes : 0), most = limits ? limits->max_bytes : 0;
    if (most > 0 && all > most)
        return error_set(err, STATUS_NO_MEMORY, "%s: reading a picture of %zux%zu takes %s of memory, the limit is %s: "
                         "raise --max-memory, or shrink the picture", name, width, height,
                         text_bytes(all, need_text, sizeof need_text), text_bytes(most, there_text, sizeof there_text));
    double there = need > worth_asking ? memory_available() : 0;
    if (there <= 0 || need <= there) return STATUS_OK;
    return error_set(err, STATUS_NO_MEMORY, "%s: reading a picture of %zux%zu takes %s of memory, %s are available", name,
                     width, height, text_bytes(need, need_text, sizeof need_text),
                     text_bytes(there, there_text, sizeof there_text));
}

status image_check_limits(const char *name, size_t width, size_t height, double beside, const image_limits *limits,
                          error *err)
{
    size_t most = limits && limits->max_pixels ? limits->max_pixels : default_max_pixels;
    if (width != 0 && height != 0 && width > most / height)
        return error_set(err, STATUS_FAILED, "%s: a picture of %zux%zu is over the limit of %zu pixels", name, width,
                         height, most);
    TRY(check_memory(name, width, height, 4 * (double)width * (double)height + beside, 0, limits, err));
    if (limits && limits->admit) limits->admit(limits->context, width, height);
    return STATUS_OK;
}

/* TIFF's numbers, in either byte order. */
static unsigned tiff_number(const uint8_t *at, int bytes, bool big_endian)
{
    unsigned value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | at[big_endian ? i : bytes - 1 - i];
    return value;
}

/* EXIF is a TIFF: a header with the offset of a directory of 12-byte entries (tag, type, count, value). */
int image_exif_orientation(const uint8_t *exif, size_t size)
{
    enum { tag_orientation = 0x0112, type_short = 3 };
    if (size < 8) return 0;
    bool big_endian = exif[0] == 'M';
    if (memcmp(exif, big_endian ? "MM\0*" : "II*\0", 4) != 0) return 0;
    size_t at = tiff_number(exif + 4, 4, big_endian);
    if (at > size - 2) return 0;
    size_t entries = tiff_number(exif + at, 2, big_endian);
    for (at += 2; entries > 0 && size - at >= 12; entries--, at += 12) {
        if (tiff_number(exif + at, 2, big_endian) != tag_orientation) continue;
        if (tiff_number(exif + at + 2, 2, big_endian) != type_short) return 0;
        unsigned value = tiff_number(exif + at + 8, 2, big_endian);
        return value >= 1 && value <= 8 ? (int)value : 0;
    }
    return 0;
}

/* EXIF 2.3, 4.6.4 A: orientations 5 to 8 swap the axes; the rest mirror one or both. */
static status apply_orientation(const char *name, image *picture, const image_limits *limits, error *err)
{
    int orientation = picture->orientation;
    if (orientation <= 1) return STATUS_OK;
    bool swapped = orientation >= 5;
    bool right_to_left = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    bool bottom_to_top = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    size_t width = picture->width, height = picture->height;
    double bytes = (picture->alpha ? 4 : 3) * (double)width * (double)height;
    image turned;
    TRY(check_memory(name, width, height, bytes, bytes, limits, err));
    if (image_create(&turned, swapped ? height : width, swapped ? width : height, err) != STATUS_OK)
        return error_prefix(err, "%s", name);
    if (picture->alpha && image_alpha_create(&turned, err) != STATUS_OK) {
        image_free(&turned);
        return error_prefix(err, "%s", name);
    }
    for (size_t y = 0, to = 0; y < turned.height; y++) {
        for (size_t x = 0; x < turned.width; x++, to++) {
            size_t from_x = swapped ? y : x, from_y = swapped ? x : y;
            if (right_to_left) from_x = width - 1 - from_x;
            if (bottom_to_top) from_y = height - 1 - from_y;
            size_t from = from_y * width + from_x;
            memcpy(turned.pixels + to * 3, picture->pixels + from * 3, 3);
            if (turned.alpha) turned.alpha[to] = picture->alpha[from];
        }
    }
    turned.orientation = orientation;
    turned.format = picture->format;
    turned.profile = picture->profile;
    turned.profile_bytes = picture->profile_bytes;
    picture->profile = NULL;
    image_free(picture);
    *picture = turned;
    return STATUS_OK;
}

static void drop_opaque_alpha(image *picture)
{
    size_t count = picture->width * picture->height;
    for (size_t i = 0; picture->alpha && i < count; i++)
        if (picture->alpha[i] != 255) return;
    free(picture->alpha);
    picture->alpha = NULL;
}

/* A file's kind by its first bytes, for the message. */
static const char *kind_of(const uint8_t *bytes, size_t size)
{
    static const struct {
        size_t offset;
        const char *mark, *kind;
    } kinds[] = {
        {0, "GIF8", "a GIF"},   {0, "BM", "a BMP"},     {0, "II*", "a TIFF"},
        {0, "MM", "a TIFF"},    {0, "%PDF", "a PDF"},   {4, "ftyp", "a HEIF, AVIF or MP4 file"},
        {0, "<", "text (SVG, HTML or XML)"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t length = strlen(kinds[i].mark);
        if (size >= kinds[i].offset + length && memcmp(bytes + kinds[i].offset, kinds[i].mark, length) == 0)
            return kinds[i].kind;
    }
    return size == 0 ? "an empty file" : "something else";
}

static image_format format_of(const uint8_t *bytes, size_t size)
{
    static const uint8_t png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, jpeg[] = {0xff, 0xd8, 0xff};
    if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0) return IMAGE_PNG;
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0) return IMAGE_JPEG;
    if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) return IMAGE_WEBP;
    return IMAGE_UNKNOWN;
}

static status decode_any(const char *name, image_format format, image_source *source, const image_limits *limits,
                         image *out, error *err)
{
    switch (format) {
    case IMAGE_PNG: return image_png_decode(name, source, limits, out, err);
    case IMAGE_JPEG: return image_jpeg_decode(name, source, limits, out, err);
    case IMAGE_WEBP: return image_webp_decode(name, source, limits, out, err);
    case IMAGE_UNKNOWN: break;
    }
    return error_set(err, STATUS_FAILED, "%s: expected a PNG, JPEG or WebP picture, found %s", name,
                     kind_of(source->next, source->there));
}

/* Closes the source. */
static status decode(const char *name, image_source *source, const image_limits *limits, image *out, error *err)
{
    error unread = {0};
    image_format format = format_of(source->next, source->there);
    status result = decode_any(name, format, source, limits, out, err);
    if (image_source_close(source, &unread) != STATUS_OK) { /* the reason for whatever else was found */
        image_free(out);
        return error_set(err, STATUS_FAILED, "%s", unread.message);
    }
    TRY(result);
    out->format = format;
    drop_opaque_alpha(out);
    result = apply_orientation(name, out, limits, err);
    if (result != STATUS_OK) image_free(out);
    return result;
}

status image_decode(const char *name, const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                    error *err)
{
    image_source source = image_source_of(bytes, size);
    *out = (image){0};
    return decode(name, &source, limits, out, err);
}

status image_read(const char *path, const image_limits *limits, image *out, error *err)
{
    image_source source;
    *out = (image){0};
    TRY(file_check_readable(path, err));
    TRY(image_source_open(path, &source, err));
    return decode(path, &source, limits, out, err);
}
