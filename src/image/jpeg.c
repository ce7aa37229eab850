#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs FILE and size_t */
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
/* After jpeglib.h, whose macros decide on the numbers of its messages. */
#include <jerror.h>

#include "base/text.h"
#include "image/codec.h"

enum { EXIF_MARKER = JPEG_APP0 + 1, PROFILE_MARKER = JPEG_APP0 + 2, MAX_SCANS = 500 };

/* What both directions need when libjpeg fails; its client_data points here. */
typedef struct jpeg_failure {
    struct jpeg_error_mgr handler;
    struct jpeg_progress_mgr progress;
    const volatile sig_atomic_t *stop;
    jmp_buf jump;
    const char *name;
    error *err;
    status result;
} jpeg_failure;

static void on_error(j_common_ptr common)
{
    jpeg_failure *f = common->client_data;
    char message[JMSG_LENGTH_MAX];
    common->err->format_message(common, message);
    if (common->err->msg_code == JERR_OUT_OF_MEMORY)
        f->result = error_set(f->err, STATUS_NO_MEMORY, "%s: JPEG: not enough memory to %s it", f->name,
                              common->is_decompressor ? "decode" : "encode");
    else
        f->result = error_set(f->err, STATUS_FAILED, "%s: JPEG: %s", f->name, message);
    longjmp(f->jump, 1);
}

/* libjpeg only warns about truncated and corrupt data and goes on with grey: here that is an error. What costs no
 * pixels (bytes between segments, odd versions, an unusual order of scans, a damaged profile) is let pass. */
static void on_message(j_common_ptr common, int level)
{
    if (level >= 0) return; /* a trace, not a warning */
    switch (common->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_NOT_SEQUENTIAL:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_BOGUS_ICC: break;
    default: on_error(common);
    }
}

static struct jpeg_error_mgr *failure_handler(jpeg_failure *f)
{
    jpeg_std_error(&f->handler);
    f->handler.error_exit = on_error;
    f->handler.emit_message = on_message;
    return &f->handler;
}

/* libjpeg calls it for each row, and for each row of blocks in passes of its own. */
static void on_progress(j_common_ptr common)
{
    jpeg_failure *f = common->client_data;
    if (!image_stopped(f->stop)) return;
    f->result = image_interrupted(f->name, f->err);
    longjmp(f->jump, 1);
}

typedef struct jpeg_reader {
    struct jpeg_decompress_struct jpeg;
    jpeg_failure failure;
    struct jpeg_source_mgr feed;
    image_source *source;
    image picture;
    uint8_t *inks;   /* one row of CMYK */
    JOCTET *profile; /* whole, as libjpeg joins it from its segments */
} jpeg_reader;

static void start_source(j_decompress_ptr jpeg) { (void)jpeg; }

/* At its end an end of image is made up, with the warning, which is an error here, as libjpeg's own sources do. */
static boolean feed(j_decompress_ptr jpeg)
{
    static const JOCTET end[] = {0xff, JPEG_EOI};
    jpeg_reader *r = (jpeg_reader *)jpeg;
    r->feed.bytes_in_buffer = image_source_next(r->source, &r->feed.next_input_byte);
    if (r->feed.bytes_in_buffer > 0) return TRUE;
    WARNMS(jpeg, JWRN_JPEG_EOF);
    r->feed.next_input_byte = end;
    r->feed.bytes_in_buffer = sizeof end;
    return TRUE;
}

static void skip(j_decompress_ptr jpeg, long count)
{
    jpeg_reader *r = (jpeg_reader *)jpeg;
    size_t left = count > 0 ? (size_t)count : 0;
    while (left > r->feed.bytes_in_buffer) {
        left -= r->feed.bytes_in_buffer;
        feed(jpeg);
    }
    r->feed.next_input_byte += left;
    r->feed.bytes_in_buffer -= left;
}

/* A small progressive file can ask for thousands of passes over a large picture. */
static void limit_scans(j_common_ptr common)
{
    on_progress(common);
    if (((j_decompress_ptr)common)->input_scan_number > MAX_SCANS) {
        jpeg_failure *f = common->client_data;
        f->result = error_set(f->err, STATUS_FAILED, "%s: JPEG: more than %d scans", f->name, MAX_SCANS);
        longjmp(f->jump, 1);
    }
}

static int find_orientation(const struct jpeg_decompress_struct *jpeg)
{
    for (jpeg_saved_marker_ptr m = jpeg->marker_list; m; m = m->next)
        if (m->marker == EXIF_MARKER && m->data_length > 6 && memcmp(m->data, "Exif\0", 6) == 0)
            return image_exif_orientation(m->data + 6, m->data_length - 6);
    return 0;
}

/* Adobe stores 255 for no ink; every decoder takes all CMYK files so, with and without Adobe's marker. */
static void inks_to_rgb(const uint8_t *inks, uint8_t *rgb, size_t width)
{
    for (size_t x = 0; x < width; x++, inks += 4, rgb += 3)
        for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)((inks[c] * inks[3] + 127) / 255);
}

static void read_rows(jpeg_reader *r)
{
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        uint8_t *row = r->picture.pixels + (size_t)r->jpeg.output_scanline * r->picture.width * 3;
        JSAMPROW target = r->inks ? r->inks : row;
        jpeg_read_scanlines(&r->jpeg, &target, 1);
        if (r->inks) inks_to_rgb(r->inks, row, r->picture.width);
    }
}

/* Of 8x8 samples. */
static double count_blocks(const struct jpeg_decompress_struct *jpeg)
{
    double blocks = 0;
    for (int c = 0; c < jpeg->num_components; c++)
        blocks += (double)jpeg->comp_info[c].width_in_blocks * jpeg->comp_info[c].height_in_blocks;
    return blocks;
}

/* A Huffman code takes at least one bit, and each block of 8x8 samples needs one for its mean: a header that claims
 * more lies, and is found out before memory is taken. Arithmetic coding has no such bound. */
static bool claims_too_much(const struct jpeg_decompress_struct *jpeg, size_t size)
{
    return !jpeg->arith_code && count_blocks(jpeg) / 8 > (double)size;
}

/* Of a file with several scans libjpeg keeps all coefficients, two bytes each. */
static double coefficient_bytes(struct jpeg_decompress_struct *jpeg)
{
    return jpeg_has_multiple_scans(jpeg) ? count_blocks(jpeg) * DCTSIZE2 * sizeof(JCOEF) : 0;
}

static status create_picture(jpeg_reader *r, size_t size, const image_limits *limits)
{
    const char *name = r->failure.name;
    error *err = r->failure.err;
    size_t width = r->jpeg.image_width, height = r->jpeg.image_height;
    TRY(image_check_limits(name, width, height, coefficient_bytes(&r->jpeg), limits, err));
    if (claims_too_much(&r->jpeg, size))
        return error_set(err, STATUS_FAILED, "%s: JPEG: the file is too short for its %zux%zu pixels", name, width,
                         height);
    if (image_create(&r->picture, width, height, err) != STATUS_OK) return error_prefix(err, "%s", name);
    bool has_inks = r->jpeg.jpeg_color_space == JCS_CMYK || r->jpeg.jpeg_color_space == JCS_YCCK;
    r->jpeg.out_color_space = has_inks ? JCS_CMYK : JCS_RGB;
    if (has_inks && !(r->inks = malloc(width * 4))) return error_no_memory(err, name, width * 4);
    r->picture.orientation = find_orientation(&r->jpeg);
    return STATUS_OK;
}

static void decode(jpeg_reader *r, const image_limits *limits)
{
    jpeg_failure *f = &r->failure;
    size_t size = image_source_left(r->source);
    unsigned profile_bytes;
    if (setjmp(f->jump)) return;
    jpeg_create_decompress(&r->jpeg);
    f->progress.progress_monitor = limit_scans;
    r->jpeg.progress = &f->progress;
    r->feed = (struct jpeg_source_mgr){.init_source = start_source, .fill_input_buffer = feed, .skip_input_data = skip,
                                       .resync_to_restart = jpeg_resync_to_restart, .term_source = start_source};
    r->jpeg.src = &r->feed;
    jpeg_save_markers(&r->jpeg, EXIF_MARKER, 0xffff);
    jpeg_save_markers(&r->jpeg, PROFILE_MARKER, 0xffff);
    jpeg_read_header(&r->jpeg, TRUE);
    f->result = create_picture(r, size, limits);
    if (f->result != STATUS_OK) return;
    if (jpeg_read_icc_profile(&r->jpeg, &r->profile, &profile_bytes) && !r->inks)
        f->result = image_keep_profile(&r->picture, r->profile, profile_bytes, f->err);
    if (f->result != STATUS_OK) return;
    jpeg_start_decompress(&r->jpeg);
    read_rows(r);
    jpeg_finish_decompress(&r->jpeg);
}

status image_jpeg_decode(const char *name, image_source *source, const image_limits *limits, image *out, error *err)
{
    jpeg_reader r = {.failure = {.name = name, .err = err, .stop = limits ? limits->stop : NULL}, .source = source};
    *out = (image){0};
    r.jpeg.err = failure_handler(&r.failure);
    r.jpeg.client_data = &r.failure;
    decode(&r, limits);
    jpeg_destroy_decompress(&r.jpeg);
    free(r.inks);
    free(r.profile);
    if (r.failure.result != STATUS_OK) {
        image_free(&r.picture);
        return r.failure.result;
    }
    *out = r.picture;
    return STATUS_OK;
}

typedef struct jpeg_writer {
    struct jpeg_compress_struct jpeg;
    jpeg_failure failure;
    struct jpeg_destination_mgr destination;
    uint8_t *row; /* of a picture with alpha, over white */
    JOCTET part[65536];
    text file;
} jpeg_writer;

/* libjpeg's own destination in memory forgets what it has allocated when it finds no more. */
static void start_file(j_compress_ptr jpeg)
{
    jpeg_writer *w = (jpeg_writer *)jpeg;
    w->destination.next_output_byte = w->part;
    w->destination.free_in_buffer = sizeof w->part;
}

static void append_to_file(jpeg_writer *w, size_t count)
{
    text_append(&w->file, (const char *)w->part, count);
    if (w->file.failed) ERREXIT1(&w->jpeg, JERR_OUT_OF_MEMORY, 0);
}

/* To be called with a full buffer alone, whatever free_in_buffer says. */
static boolean add_to_file(j_compress_ptr jpeg)
{
    append_to_file((jpeg_writer *)jpeg, sizeof ((jpeg_writer *)jpeg)->part);
    start_file(jpeg);
    return TRUE;
}

static void end_file(j_compress_ptr jpeg)
{
    jpeg_writer *w = (jpeg_writer *)jpeg;
    append_to_file(w, sizeof w->part - w->destination.free_in_buffer);
}

static void lay_over_white(const uint8_t *rgb, const uint8_t *alpha, size_t width, uint8_t *to)
{
    for (size_t x = 0; x < width; x++)
        for (size_t c = x * 3; c < x * 3 + 3; c++)
            to[c] = (uint8_t)((rgb[c] * alpha[x] + 255 * (255 - alpha[x]) + 127) / 255);
}

static void write_rows(jpeg_writer *w, const image *picture)
{
    while (w->jpeg.next_scanline < w->jpeg.image_height) {
        size_t at = (size_t)w->jpeg.next_scanline * picture->width;
        JSAMPROW row = picture->pixels + at * 3;
        if (w->row) {
            lay_over_white(row, picture->alpha + at, picture->width, w->row);
            row = w->row;
        }
        jpeg_write_scanlines(&w->jpeg, &row, 1);
    }
}

static void encode(jpeg_writer *w, const image *picture, int quality)
{
    jpeg_failure *f = &w->failure;
    if (setjmp(f->jump)) return;
    jpeg_create_compress(&w->jpeg);
    f->progress.progress_monitor = on_progress;
    w->jpeg.progress = &f->progress;
    w->destination = (struct jpeg_destination_mgr){
        .init_destination = start_file, .empty_output_buffer = add_to_file, .term_destination = end_file};
    w->jpeg.dest = &w->destination;
    if (picture->width > JPEG_MAX_DIMENSION || picture->height > JPEG_MAX_DIMENSION) {
        f->result = error_set(f->err, STATUS_FAILED, "%s: a JPEG's sides are at most %ld, not %zux%zu; PNG has room",
                              f->name, JPEG_MAX_DIMENSION, picture->width, picture->height);
        return;
    }
    w->jpeg.image_width = (JDIMENSION)picture->width;
    w->jpeg.image_height = (JDIMENSION)picture->height;
    w->jpeg.input_components = 3;
    w->jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&w->jpeg);
    jpeg_set_quality(&w->jpeg, quality, TRUE);
    w->jpeg.optimize_coding = picture->width <= IMAGE_JPEG_MOST_OPTIMISED / picture->height;
    if (quality >= 90) /* halved chroma would be the larger error: keep it whole */
        w->jpeg.comp_info[0].h_samp_factor = w->jpeg.comp_info[0].v_samp_factor = 1;
    if (picture->alpha && !(w->row = malloc(picture->width * 3))) {
        f->result = error_no_memory(f->err, f->name, picture->width * 3);
        return;
    }
    jpeg_start_compress(&w->jpeg, TRUE);
    if (picture->profile) jpeg_write_icc_profile(&w->jpeg, picture->profile, (unsigned)picture->profile_bytes);
    write_rows(w, picture);
    jpeg_finish_compress(&w->jpeg);
}

status image_jpeg_encode(const char *name, const image *picture, const image_write_options *options, uint8_t **bytes,
                         size_t *size, error *err)
{
    *bytes = NULL;
    *size = 0;
    jpeg_writer *w = calloc(1, sizeof *w);
    if (!w) return error_no_memory(err, name, sizeof *w);
    w->failure.name = name;
    w->failure.stop = options->stop;
    w->failure.err = err;
    w->jpeg.err = failure_handler(&w->failure);
    w->jpeg.client_data = &w->failure;
    encode(w, picture, options->quality);
    jpeg_destroy_compress(&w->jpeg);
    free(w->row);
    status result = w->failure.result;
    if (result == STATUS_OK) {
        *bytes = (uint8_t *)w->file.data;
        *size = w->file.length;
    } else {
        text_free(&w->file);
    }
    free(w);
    return result;
}
