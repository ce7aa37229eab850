#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"

/* What iCCP may unpack to, and any chunk but pixels may hold. */
enum { MAX_CHUNK_BYTES = 16 << 20 };

typedef struct png_state {
    png_structp png;
    png_infop info;
    jmp_buf jump;
    const char *name;
    const volatile sig_atomic_t *stop;
    error *err;
    status result;
    image_source *source; /* reading */
    image picture;
    uint8_t *levels; /* the 8-bit level of each value of a sample */
    uint8_t *row;    /* RGB or RGBA; reading, of one pass of an interlaced file, maybe with 16 bits */
    uint8_t *out;    /* writing */
    size_t size, capacity;
} png_state;

static void on_error(png_structp png, png_const_charp message)
{
    png_state *s = png_get_error_ptr(png);
    /* "insufficient memory" of zlib, "out of memory" and "Out of memory" of libpng */
    status result = strstr(message, " memory") ? STATUS_NO_MEMORY : STATUS_FAILED;
    if (s->result == STATUS_OK) s->result = error_set(s->err, result, "%s: PNG: %s", s->name, message);
    longjmp(s->jump, 1);
}

static void check_stop(png_state *s)
{
    if (!image_stopped(s->stop)) return;
    s->result = image_interrupted(s->name, s->err);
    longjmp(s->jump, 1);
}

/* Warnings are about ancillary chunks, such as a colour profile, which is then left. But tRNS holds alpha. */
static void on_warning(png_structp png, png_const_charp message)
{
    if (strcmp(message, "tRNS: CRC error") == 0) on_error(png, message);
}

static void read_bytes(png_structp png, png_bytep to, size_t count)
{
    png_state *s = png_get_io_ptr(png);
    if (!image_source_take(s->source, to, count)) png_error(png, "the file is truncated");
}

/* Of the chunks that can be left, only these are looked into: none of the others may unpack to more than it is worth. */
static void choose_chunks(png_structp png)
{
    static const png_byte used[] = "gAMA\0sRGB\0iCCP\0eXIf";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* libpng excepts tRNS */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, used, 4);
    png_set_chunk_malloc_max(png, MAX_CHUNK_BYTES);
}

/* deflate packs at most 1032 bytes into one: a header that claims more lies, and is found out before memory is taken. */
static bool claims_too_much(png_state *s, size_t width, size_t height)
{
    double bits = png_get_bit_depth(s->png, s->info) * png_get_channels(s->png, s->info);
    return (double)width * (double)height * bits / 8 / 1032 > (double)image_source_left(s->source);
}

/* What brings samples to the gamma 1/2.2 of sRGB: 1 when they have it, within libpng's threshold of 5 %. libpng's own
 * conversion of 16 bits is coarse in the darks. */
static double gamma_exponent(png_state *s)
{
    png_fixed_point gamma; /* times 100000 */
    if (png_get_valid(s->png, s->info, PNG_INFO_sRGB | PNG_INFO_iCCP)) return 1;
    if (!png_get_gAMA_fixed(s->png, s->info, &gamma)) return 1;
    double product = 2.2 * gamma / 100000;
    return fabs(product - 1) > 0.05 ? 1 / product : 1;
}

static void create_picture(png_state *s, size_t width, size_t height)
{
    size_t channels = png_get_channels(s->png, s->info), depth = png_get_bit_depth(s->png, s->info);
    double exponent = gamma_exponent(s);
    size_t values = (size_t)1 << depth, row_bytes = png_get_rowbytes(s->png, s->info);
    if (row_bytes != width * channels * depth / 8) png_error(s->png, "unsupported kind of pixels");
    s->result = image_create(&s->picture, width, height, s->err);
    if (s->result == STATUS_OK && channels == 4) s->result = image_alpha_create(&s->picture, s->err);
    if (s->result == STATUS_OK) {
        s->levels = malloc(values);
        s->row = malloc(row_bytes);
        if (!s->levels || !s->row) s->result = error_no_memory(s->err, "a row", row_bytes + values);
    }
    if (s->result != STATUS_OK) {
        error_prefix(s->err, "%s", s->name);
        longjmp(s->jump, 1);
    }
    for (size_t i = 0; i < values; i++) {
        double part = (double)i / (double)(values - 1);
        s->levels[i] = (uint8_t)(255 * (exponent == 1 ? part : pow(part, exponent)) + 0.5);
    }
}

/* Samples of s->row, `count` pixels, to every `step`th pixel from `to`. */
static void spread_row(const png_state *s, size_t to, size_t step, size_t count, bool two_bytes)
{
    const uint8_t *from = s->row;
    for (size_t i = 0; i < count; i++, to += step) {
        for (int c = 0; c < 3; c++, from += 1 + two_bytes)
            s->picture.pixels[to * 3 + c] = s->levels[two_bytes ? from[0] << 8 | from[1] : from[0]];
        if (!s->picture.alpha) continue;
        s->picture.alpha[to] = two_bytes ? (uint8_t)(((from[0] << 8 | from[1]) + 128) / 257) : from[0];
        from += 1 + two_bytes;
    }
}

/* Each pass of an interlaced file is a small picture; libpng could put them together only in the file's own depth. */
static void read_rows(png_state *s, size_t width, size_t height)
{
    bool interlaced = png_get_interlace_type(s->png, s->info) != PNG_INTERLACE_NONE;
    bool two_bytes = png_get_bit_depth(s->png, s->info) == 16;
    for (int pass = 0; pass < (interlaced ? PNG_INTERLACE_ADAM7_PASSES : 1); pass++) {
        size_t left = 0, top = 0, step_x = 1, step_y = 1, columns = width;
        if (interlaced) {
            left = PNG_PASS_START_COL(pass), top = PNG_PASS_START_ROW(pass);
            step_x = PNG_PASS_COL_OFFSET(pass), step_y = PNG_PASS_ROW_OFFSET(pass);
            columns = PNG_PASS_COLS(width, pass);
        }
        if (columns == 0) continue; /* such a pass is not in the file */
        for (size_t y = top; y < height; y += step_y) {
            check_stop(s);
            png_read_row(s->png, s->row, NULL);
            spread_row(s, y * width + left, step_x, columns, two_bytes);
        }
    }
}

static void read_extras(png_state *s)
{
    png_charp title;
    png_bytep profile, exif;
    png_uint_32 size;
    int method;
    if (png_get_eXIf_1(s->png, s->info, &size, &exif)) s->picture.orientation = image_exif_orientation(exif, size);
    if (png_get_iCCP(s->png, s->info, &title, &method, &profile, &size))
        s->result = image_keep_profile(&s->picture, profile, size, s->err);
}

/* Everything becomes RGB or RGBA. The full API and not png_image: that one brings 16 bits to 8 through gamma. */
static void decode(png_state *s, const image_limits *limits)
{
    if (setjmp(s->jump)) return;
    s->info = png_create_info_struct(s->png);
    if (!s->info) png_error(s->png, "out of memory");
    png_set_read_fn(s->png, s, read_bytes);
    choose_chunks(s->png);
    png_read_info(s->png, s->info);
    size_t width = png_get_image_width(s->png, s->info), height = png_get_image_height(s->png, s->info);
    s->result = image_check_limits(s->name, width, height, 0, limits, s->err);
    if (s->result != STATUS_OK) return;
    if (claims_too_much(s, width, height)) png_error(s->png, "the file is too short for its pixels");
    png_set_expand(s->png);
    png_set_gray_to_rgb(s->png);
    png_read_update_info(s->png, s->info);
    create_picture(s, width, height);
    read_rows(s, width, height);
    png_read_end(s->png, s->info); /* eXIf may come last */
    read_extras(s);
}

status image_png_decode(const char *name, image_source *source, const image_limits *limits, image *out, error *err)
{
    png_state s = {.name = name, .stop = limits ? limits->stop : NULL, .err = err, .source = source};
    *out = (image){0};
    s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    if (!s.png) return error_no_memory(err, name, image_source_left(source));
    /* The limit on pixels is ours; a strip of a million by one is as good as a square. */
    png_set_user_limits(s.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    decode(&s, limits);
    png_destroy_read_struct(&s.png, &s.info, NULL);
    free(s.levels);
    free(s.row);
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

static void write_rows(png_state *s, const image *picture)
{
    size_t width = picture->width;
    if (picture->alpha && !(s->row = malloc(width * 4))) {
        s->result = error_no_memory(s->err, s->name, width * 4);
        longjmp(s->jump, 1);
    }
    for (size_t y = 0; y < picture->height; y++) {
        check_stop(s);
        const uint8_t *rgb = picture->pixels + y * width * 3;
        for (size_t x = 0; picture->alpha && x < width; x++) {
            memcpy(s->row + x * 4, rgb + x * 3, 3);
            s->row[x * 4 + 3] = picture->alpha[y * width + x];
        }
        png_write_row(s->png, picture->alpha ? s->row : rgb);
    }
}

static void encode(png_state *s, const image *picture)
{
    if (setjmp(s->jump)) return;
    s->info = png_create_info_struct(s->png);
    if (!s->info) png_error(s->png, "out of memory");
    png_set_write_fn(s->png, s, write_bytes, flush_nothing);
    if (picture->width > PNG_UINT_31_MAX || picture->height > PNG_UINT_31_MAX)
        png_error(s->png, "a side is longer than 2^31-1");
    png_set_IHDR(s->png, s->info, (png_uint_32)picture->width, (png_uint_32)picture->height, 8,
                 picture->alpha ? PNG_COLOR_TYPE_RGB_ALPHA : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_benign_errors(s->png, 1); /* leave out a profile that libpng finds wrong, rather than fail */
    if (picture->profile)
        png_set_iCCP(s->png, s->info, "ICC profile", PNG_COMPRESSION_TYPE_BASE, picture->profile,
                     (png_uint_32)picture->profile_bytes);
    png_set_compression_level(s->png, 2); /* twice as fast as 4 and 5 % larger on photographs */
    png_set_filter(s->png, PNG_FILTER_TYPE_BASE, PNG_ALL_FILTERS);
    png_write_info(s->png, s->info);
    write_rows(s, picture);
    png_write_end(s->png, NULL);
}

status image_png_encode(const char *name, const image *picture, const image_write_options *options, uint8_t **bytes,
                        size_t *size, error *err)
{
    png_state s = {.name = name, .stop = options->stop, .err = err};
    *bytes = NULL;
    *size = 0;
    s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s, on_error, on_warning);
    if (!s.png) return error_no_memory(err, name, picture->width * picture->height * 3);
    png_set_user_limits(s.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    encode(&s, picture);
    png_destroy_write_struct(&s.png, &s.info);
    free(s.row);
    if (s.result != STATUS_OK) {
        free(s.out);
        return s.result;
    }
    *bytes = s.out;
    *size = s.size;
    return STATUS_OK;
}
