#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

typedef struct png_state {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    const char *name;
    error *err;
    status result;
    const uint8_t *in; /* reading */
    size_t left;
    image picture;
    uint8_t *out; /* writing */
    size_t size, capacity;
} png_state;

static void on_error(png_structp png, png_const_charp message)
{
    png_state *s = png_get_error_ptr(png);
    if (s->result == STATUS_OK) s->result = error_set(s->err, STATUS_FAILED, "%s: PNG: %s", s->name, message);
    longjmp(s->jump, 1);
}

/* Warnings are about ancillary chunks (colour profiles, text), which are not used. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static void read_bytes(png_structp png, png_bytep to, size_t count)
{
    png_state *s = png_get_io_ptr(png);
    if (count > s->left) png_error(png, "the file is truncated");
    memcpy(to, s->in, count);
    s->in += count;
    s->left -= count;
}

/* Everything becomes 8-bit RGB. The full API and not png_image: that one brings 16 bits to 8 through gamma. */
static void ask_for_rgb(png_state *s)
{
    png_set_scale_16(s->png); /* round(v * 255 / 65535); png_set_strip_16 would cut */
    png_set_expand(s->png);
    png_set_gray_to_rgb(s->png);
    png_set_strip_alpha(s->png);
}

static void decode(png_state *s, const image_limits *limits)
{
    if (setjmp(s->jump)) return;
    s->info = png_create_info_struct(s->png);
    if (!s->info) png_error(s->png, "out of memory");
    png_set_read_fn(s->png, s, read_bytes);
    png_read_info(s->png, s->info);
    size_t width = png_get_image_width(s->png, s->info), height = png_get_image_height(s->png, s->info);
    s->result = image_check_limits(s->name, width, height, limits, s->err);
    if (s->result != STATUS_OK) return;
    ask_for_rgb(s);
    int passes = png_set_interlace_handling(s->png);
    png_read_update_info(s->png, s->info);
    if (png_get_rowbytes(s->png, s->info) != width * 3) png_error(s->png, "unsupported kind of pixels");
    s->result = image_create(&s->picture, width, height, s->err);
    if (s->result != STATUS_OK) {
        s->result = error_prefix(s->err, "%s", s->name);
        return;
    }
    for (int pass = 0; pass < passes; pass++)
        for (size_t y = 0; y < height; y++) png_read_row(s->png, s->picture.pixels + y * width * 3, NULL);
    png_read_end(s->png, NULL);
}

status image_png_decode(const char *name, const uint8_t *bytes, size_t size, const image_limits *limits, image *out,
                        error *err)
{
    png_state s = {.name = name, .err = err, .in = bytes, .left = size};
    *out = (image){0};
    s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    if (!s.png) return error_no_memory(err, name, size);
    /* The limit on pixels is ours; a strip of a million by one is as good as a square. */
    png_set_user_limits(s.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    decode(&s, limits);
    png_destroy_read_struct(&s.png, &s.info, NULL);
    if (s.result == STATUS_OK)
        *out = s.picture;
    else
        image_free(&s.picture);
    return s.result;
}

static void write_bytes(png_structp png, png_bytep from, size_t count)
{
    png_state *s = png_get_io_ptr(png);
    if (count > s->capacity - s->size) {
        size_t capacity = (s->size + count) * 2;
        uint8_t *larger = realloc(s->out, capacity);
        if (!larger) {
            s->result = error_no_memory(s->err, s->name, capacity);
            png_error(png, "out of memory");
        }
        s->out = larger;
        s->capacity = capacity;
    }
    memcpy(s->out + s->size, from, count);
    s->size += count;
}

static void flush_nothing(png_structp png)
{
    (void)png;
}

static void encode(png_state *s, const image *picture)
{
    if (setjmp(s->jump)) return;
    s->info = png_create_info_struct(s->png);
    if (!s->info) png_error(s->png, "out of memory");
    png_set_write_fn(s->png, s, write_bytes, flush_nothing);
    if (picture->width > PNG_UINT_31_MAX || picture->height > PNG_UINT_31_MAX)
        png_error(s->png, "a side is longer than 2^31-1");
    png_set_IHDR(s->png, s->info, (png_uint_32)picture->width, (png_uint_32)picture->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(s->png, 2); /* twice as fast as 4 and 5 % larger on photographs */
    png_set_filter(s->png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
    png_write_info(s->png, s->info);
    for (size_t y = 0; y < picture->height; y++) png_write_row(s->png, picture->pixels + y * picture->width * 3);
    png_write_end(s->png, NULL);
}

status image_png_encode(const char *name, const image *picture, uint8_t **bytes, size_t *size, error *err)
{
    png_state s = {.name = name, .err = err};
    *bytes = NULL;
    *size = 0;
    s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    if (!s.png) return error_no_memory(err, name, picture->width * picture->height * 3);
    png_set_user_limits(s.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    encode(&s, picture);
    png_destroy_write_struct(&s.png, &s.info);
    if (s.result != STATUS_OK) {
        free(s.out);
        return s.result;
    }
    *bytes = s.out;
    *size = s.size;
    return STATUS_OK;
}
