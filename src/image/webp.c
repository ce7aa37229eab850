#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include "base/text.h"
#include "image/codec.h"

/* RIFF's numbers are little-endian. */
static size_t riff_number(const uint8_t *at)
{
    return at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24;
}

/* The data of the first chunk of this kind in a RIFF file of `size` bytes; NULL when there is none. */
static const uint8_t *find_chunk(const uint8_t *bytes, size_t size, const char *kind, size_t *length)
{
    for (size_t at = 12; size - at >= 8;) {
        *length = riff_number(bytes + at + 4);
        size_t left = size - at - 8;
        if (*length > left) return NULL;
        if (memcmp(bytes + at, kind, 4) == 0) return bytes + at + 8;
        size_t padded = *length + *length % 2;
        if (padded > left) return NULL;
        at += 8 + padded;
    }
    return NULL;
}

static status say(const char *name, VP8StatusCode code, error *err)
{
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return error_set(err, STATUS_NO_MEMORY, "%s: WebP: not enough memory to decode it", name);
    bool cut = code == VP8_STATUS_NOT_ENOUGH_DATA || code == VP8_STATUS_SUSPENDED;
    return error_set(err, STATUS_FAILED, "%s: WebP: the file is %s", name, cut ? "truncated" : "damaged");
}

/* Each macroblock of 16x16 pixels spends over two bits on its prediction modes, whose probabilities in a key frame
 * are fixed (RFC 6386, 11.2): a header that claims more lies, and is found out before memory is taken. A lossless
 * picture of one colour takes no bits for its pixels. */
static bool claims_too_much(const WebPBitstreamFeatures *features, size_t size)
{
    enum { LOSSY = 1 };
    size_t macroblocks = ((size_t)features->width + 15) / 16 * (((size_t)features->height + 15) / 16);
    return features->format == LOSSY && macroblocks / 4 > size;
}

static VP8StatusCode decode_to(const uint8_t *bytes, size_t size, const image *picture, WEBP_CSP_MODE mode,
                               uint8_t *pixels)
{
    WebPDecoderConfig config;
    size_t stride = picture->width * (mode == MODE_RGBA ? 4 : 3);
    if (!WebPInitDecoderConfig(&config)) return VP8_STATUS_INVALID_PARAM;
    config.output.colorspace = mode;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = pixels;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size = stride * picture->height;
    return WebPDecode(bytes, size, &config);
}

static status decode_with_alpha(const char *name, const uint8_t *bytes, size_t size, image *picture, error *err)
{
    size_t count = picture->width * picture->height;
    TRY(image_alpha_create(picture, err));
    uint8_t *rgba = malloc(count * 4);
    if (!rgba) return error_no_memory(err, name, count * 4);
    VP8StatusCode code = decode_to(bytes, size, picture, MODE_RGBA, rgba);
    for (size_t i = 0; i < count && code == VP8_STATUS_OK; i++) {
        memcpy(picture->pixels + i * 3, rgba + i * 4, 3);
        picture->alpha[i] = rgba[i * 4 + 3];
    }
    free(rgba);
    return code == VP8_STATUS_OK ? STATUS_OK : say(name, code, err);
}

static status read_metadata(const uint8_t *bytes, size_t size, image *picture, error *err)
{
    size_t length;
    const uint8_t *exif = find_chunk(bytes, size, "EXIF", &length);
    if (exif) {
        /* Some writers put JPEG's mark before it. */
        size_t mark = length >= 6 && memcmp(exif, "Exif\0", 6) == 0 ? 6 : 0;
        picture->orientation = image_exif_orientation(exif + mark, length - mark);
    }
    const uint8_t *profile = find_chunk(bytes, size, "ICCP", &length);
    return profile ? image_keep_profile(picture, profile, length, err) : STATUS_OK;
}

/* Bytes beside 4 for each pixel: the file; libwebp's own pixels (4) of a lossless picture, or its alpha as it is unpacked (5)
 * of a lossy one; and with alpha the pixels that it gives (4). A beginning need not tell yet whether a picture is lossy. */
static double bytes_beside(const WebPBitstreamFeatures *features, size_t size)
{
    enum { LOSSY = 1 };
    double each = features->has_alpha ? 8 : 4;
    if (features->format == LOSSY) each = features->has_alpha ? 9 : 0;
    return each * features->width * features->height + (double)size;
}

/* Before all of the file is in memory: it begins with what tells the size. */
static status look_at_beginning(const char *name, const image_source *source, size_t size, const image_limits *limits,
                                error *err)
{
    WebPBitstreamFeatures features;
    VP8StatusCode code = WebPGetFeatures(source->next, source->there < size ? source->there : size, &features);
    if (code != VP8_STATUS_OK) return say(name, code, err);
    if (features.has_animation)
        return error_set(err, STATUS_FAILED, "%s: expected a still picture, found an animated WebP", name);
    return image_check_limits(name, (size_t)features.width, (size_t)features.height, bytes_beside(&features, size),
                              limits, err);
}

static status decode(const char *name, image_source *source, const image_limits *limits, image *picture, error *err)
{
    WebPBitstreamFeatures features;
    size_t riff = riff_number(source->next + 4);
    if (riff > image_source_left(source) - 8) return say(name, VP8_STATUS_NOT_ENOUGH_DATA, err);
    if (riff < 4) return say(name, VP8_STATUS_BITSTREAM_ERROR, err);
    size_t size = riff + 8; /* what follows is not the picture's */
    TRY(look_at_beginning(name, source, size, limits, err));
    TRY(image_source_gather(source, name, err));
    if (source->there < size) return say(name, VP8_STATUS_NOT_ENOUGH_DATA, err);
    const uint8_t *bytes = source->next;
    VP8StatusCode code = WebPGetFeatures(bytes, size, &features);
    if (code != VP8_STATUS_OK) return say(name, code, err);
    if (claims_too_much(&features, size)) return say(name, VP8_STATUS_NOT_ENOUGH_DATA, err);
    if (image_create(picture, (size_t)features.width, (size_t)features.height, err) != STATUS_OK)
        return error_prefix(err, "%s", name);
    if (features.has_alpha)
        TRY(decode_with_alpha(name, bytes, size, picture, err));
    else if ((code = decode_to(bytes, size, picture, MODE_RGB, picture->pixels)) != VP8_STATUS_OK)
        return say(name, code, err);
    return read_metadata(bytes, size, picture, err);
}

status image_webp_decode(const char *name, image_source *source, const image_limits *limits, image *out, error *err)
{
    *out = (image){0};
    status result = decode(name, source, limits, out, err);
    if (result != STATUS_OK) image_free(out);
    return result;
}

static int write_bytes(const uint8_t *bytes, size_t size, const WebPPicture *picture)
{
    text *file = picture->custom_ptr;
    text_append(file, (const char *)bytes, size);
    return !file->failed;
}

/* A WebPProgressHook: 0 ends the encoding. */
static int goes_on(int percent, const WebPPicture *picture)
{
    const image_write_options *options = picture->user_data;
    (void)percent;
    return !image_stopped(options->stop);
}

/* Rewrites the file with the profile in it. */
static bool add_profile(const image *picture, text *file)
{
    WebPData plain = {(const uint8_t *)file->data, file->length}, profile = {picture->profile, picture->profile_bytes};
    WebPData whole = {0};
    WebPMux *mux = WebPMuxCreate(&plain, 0);
    bool done = mux && WebPMuxSetChunk(mux, "ICCP", &profile, 0) == WEBP_MUX_OK
                && WebPMuxAssemble(mux, &whole) == WEBP_MUX_OK;
    WebPMuxDelete(mux);
    if (done) {
        text_clear(file);
        text_append(file, (const char *)whole.bytes, whole.size);
    }
    WebPDataClear(&whole);
    return done && !file->failed;
}

static status say_why(const char *name, const WebPPicture *webp, error *err)
{
    switch (webp->error_code) {
    case VP8_ENC_ERROR_USER_ABORT: return image_interrupted(name, err);
    case VP8_ENC_ERROR_OUT_OF_MEMORY:
    case VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY:
    case VP8_ENC_ERROR_BAD_WRITE: /* write_bytes fails only so */
        return error_set(err, STATUS_NO_MEMORY, "%s: WebP: not enough memory to encode it", name);
    case VP8_ENC_ERROR_PARTITION0_OVERFLOW:
    case VP8_ENC_ERROR_PARTITION_OVERFLOW:
    case VP8_ENC_ERROR_FILE_TOO_BIG:
        return error_set(err, STATUS_FAILED, "%s: %dx%d pixels are too many for a WebP of this quality; PNG has room",
                         name, webp->width, webp->height);
    default: return error_set(err, STATUS_FAILED, "%s: WebP: encoder error %d", name, (int)webp->error_code);
    }
}

static status encode(const char *name, const image *picture, const WebPConfig *config, WebPPicture *webp, text *file,
                     error *err)
{
    webp->width = (int)picture->width;
    webp->height = (int)picture->height;
    webp->use_argb = 1;
    webp->writer = write_bytes;
    webp->custom_ptr = file;
    webp->progress_hook = goes_on;
    if (!WebPPictureAlloc(webp)) return say_why(name, webp, err);
    for (size_t y = 0; y < picture->height; y++) {
        const uint8_t *from = picture->pixels + y * picture->width * 3;
        uint32_t *to = webp->argb + y * (size_t)webp->argb_stride;
        for (size_t x = 0; x < picture->width; x++, from += 3) {
            uint32_t alpha = picture->alpha ? picture->alpha[y * picture->width + x] : 255;
            to[x] = alpha << 24 | (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        }
    }
    if (!WebPEncode(config, webp)) return say_why(name, webp, err);
    if (picture->profile && !add_profile(picture, file))
        return error_set(err, STATUS_NO_MEMORY, "%s: WebP: not enough memory to add the ICC profile", name);
    return STATUS_OK;
}

status image_webp_encode(const char *name, const image *picture, const image_write_options *options, uint8_t **bytes,
                         size_t *size, error *err)
{
    WebPConfig config;
    WebPPicture webp;
    text file = {0};
    *bytes = NULL;
    *size = 0;
    if (picture->width > WEBP_MAX_DIMENSION || picture->height > WEBP_MAX_DIMENSION)
        return error_set(err, STATUS_FAILED, "%s: a WebP's sides are at most %d, not %zux%zu; PNG has room", name,
                         WEBP_MAX_DIMENSION, picture->width, picture->height);
    if (!WebPConfigInit(&config) || !WebPPictureInit(&webp))
        return error_set(err, STATUS_FAILED, "%s: WebP: the library is not the one this program was built for", name);
    config.method = 4;
    webp.user_data = (void *)(uintptr_t)options; /* which is only read */
    if (options->quality < 100) {
        config.quality = (float)options->quality;
    } else {
        config.lossless = config.exact = 1; /* exact: colours under transparent pixels as well */
    }
    status result = encode(name, picture, &config, &webp, &file, err);
    WebPPictureFree(&webp);
    if (result != STATUS_OK) {
        text_free(&file);
        return result;
    }
    *bytes = (uint8_t *)file.data;
    *size = file.length;
    return STATUS_OK;
}
