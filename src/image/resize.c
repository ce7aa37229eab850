/* Pillow's resampling (src/libImaging/Resample.c), bit for bit: the same coefficients in fixed point, the same
 * rounding, 8 bits between the two passes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/codec.h"
#include "image/image.h"

/* 8 bits for the pixel, 2 for the sums of weights above 1 that negative lobes leave. */
enum { PRECISION_BITS = 32 - 8 - 2 };
static const double cubic_support = 2.0;

/* Output i is the sum over k < count[i] of weights[i * stride + k] * input[first[i] + k]. */
typedef struct taps {
    size_t *first, *count; /* (outputs) */
    int32_t *weights;      /* (outputs, stride), times 2^PRECISION_BITS */
    size_t stride;
} taps;

static void taps_free(taps *t)
{
    free(t->first);
    free(t->count);
    free(t->weights);
}

/* Keys' cubic convolution kernel with a = -0.5. */
static double cubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

/* The kernel is stretched by the scale when shrinking, so that it averages what it passes over. `scratch` holds
 * `stride` weights. */
static void taps_fill(taps *t, size_t inputs, size_t outputs, double *scratch)
{
    double scale = (double)inputs / (double)outputs, stretch = scale < 1.0 ? 1.0 : scale;
    double support = cubic_support * stretch;
    for (size_t i = 0; i < outputs; i++) {
        double center = ((double)i + 0.5) * scale, sum = 0.0;
        double low = center - support + 0.5, high = center + support + 0.5;
        size_t first = low < 0 ? 0 : (size_t)low, end = (size_t)high < inputs ? (size_t)high : inputs;
        size_t count = end - first;
        for (size_t k = 0; k < count; k++) {
            scratch[k] = cubic(((double)(first + k) - center + 0.5) * (1.0 / stretch));
            sum += scratch[k];
        }
        for (size_t k = 0; k < count; k++) {
            double weight = sum != 0.0 ? scratch[k] / sum : scratch[k];
            t->weights[i * t->stride + k] = (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * (1 << PRECISION_BITS));
        }
        t->first[i] = first;
        t->count[i] = count;
    }
}

static status taps_create(size_t inputs, size_t outputs, taps *out, error *err)
{
    double scale = (double)inputs / (double)outputs;
    size_t stride = (size_t)ceil(cubic_support * (scale < 1.0 ? 1.0 : scale)) * 2 + 1;
    *out = (taps){.stride = stride};
    if (outputs > SIZE_MAX / sizeof(double) / stride)
        return error_set(err, STATUS_NO_MEMORY, "a side of %zu pixels does not fit into memory", outputs);
    out->first = malloc(outputs * sizeof *out->first);
    out->count = malloc(outputs * sizeof *out->count);
    out->weights = malloc(outputs * stride * sizeof *out->weights);
    double *scratch = malloc(stride * sizeof *scratch);
    bool complete = out->first && out->count && out->weights && scratch;
    if (complete) taps_fill(out, inputs, outputs, scratch);
    free(scratch);
    if (complete) return STATUS_OK;
    taps_free(out);
    return error_no_memory(err, "resampling weights", outputs * stride * sizeof *out->weights);
}

static uint8_t clip(int32_t sum)
{
    int32_t value = sum >> PRECISION_BITS;
    return value < 0 ? 0 : value > 255 ? 255 : (uint8_t)value;
}

/* Samples of a picture: its colours, or its alpha. */
typedef struct plane {
    size_t width, height, channels; /* channels: 3 or 1 */
    uint8_t *samples;               /* (height, width, channels) */
} plane;

/* Compiled for AVX2 too, which a processor that has it takes: sums of integers are the same however they are formed. */
#if defined(__x86_64__)
#define WITH_AVX2 __attribute__((target_clones("avx2", "default")))
#else
#define WITH_AVX2
#endif

/* A pixel of up to four channels. */
typedef int32_t quad __attribute__((vector_size(4 * sizeof(int32_t))));

static void widen_row(const uint8_t *row, size_t width, size_t channels, quad *to)
{
    for (size_t x = 0; x < width; x++, row += channels)
        to[x] = channels == 3 ? (quad){row[0], row[1], row[2]} : (quad){row[0]};
}

WITH_AVX2 static void convolve_row(const quad *row, const taps *t, size_t width, size_t channels, uint8_t *to)
{
    for (size_t x = 0; x < width; x++, to += channels) {
        const int32_t *weights = t->weights + x * t->stride;
        const quad *from = row + t->first[x];
        quad sum = (quad){0} + (1 << (PRECISION_BITS - 1));
        for (size_t k = 0; k < t->count[x]; k++) sum += from[k] * weights[k];
        sum >>= PRECISION_BITS;
        sum &= sum > 0;
        sum = (sum & (sum < 255)) | (255 & (sum >= 255));
        for (size_t c = 0; c < channels; c++) to[c] = (uint8_t)sum[c];
    }
}

/* `out` has its size and its samples. */
static status resize_horizontally(const plane *in, const plane *out, error *err)
{
    taps t;
    quad *row = aligned_alloc(sizeof *row, in->width * sizeof *row);
    if (!row) return error_no_memory(err, "resampling", in->width * sizeof *row);
    status result = taps_create(in->width, out->width, &t, err);
    for (size_t y = 0; result == STATUS_OK && y < in->height; y++) {
        widen_row(in->samples + y * in->width * in->channels, in->width, in->channels, row);
        convolve_row(row, &t, out->width, in->channels, out->samples + y * out->width * in->channels);
    }
    if (result == STATUS_OK) taps_free(&t);
    free(row);
    return result;
}

/* Adds a row, times its weight. */
WITH_AVX2 static void add_row(const uint8_t *row, int32_t weight, size_t count, int32_t *sums)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) sums[i] += row[i] * weight;
}

WITH_AVX2 static void clip_row(const int32_t *sums, size_t count, uint8_t *to)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++) to[i] = clip(sums[i]);
}

static status resize_vertically(const plane *in, const plane *out, error *err)
{
    taps t = {0};
    status result;
    size_t row_bytes = in->width * in->channels;
    int32_t *sums = malloc(row_bytes * sizeof *sums); /* one row */
    if (!sums) return error_no_memory(err, "resampling", row_bytes * sizeof *sums);
    TRY_OR(error, taps_create(in->height, out->height, &t, err));
    for (size_t y = 0; y < out->height; y++) {
        for (size_t i = 0; i < row_bytes; i++) sums[i] = 1 << (PRECISION_BITS - 1);
        for (size_t k = 0; k < t.count[y]; k++) {
            const uint8_t *row = in->samples + (t.first[y] + k) * row_bytes;
            add_row(row, t.weights[y * t.stride + k], row_bytes, sums);
        }
        clip_row(sums, row_bytes, out->samples + y * row_bytes);
    }
error:
    taps_free(&t);
    free(sums);
    return result;
}

/* A pass that would change nothing is left out, as in Pillow. */
static status resize_plane(const plane *in, const plane *out, error *err)
{
    if (out->width == in->width) return resize_vertically(in, out, err);
    if (out->height == in->height) return resize_horizontally(in, out, err);
    plane between = {.width = out->width, .height = in->height, .channels = in->channels};
    size_t row_bytes = between.width * between.channels;
    if (between.height > SIZE_MAX / row_bytes || !(between.samples = malloc(row_bytes * between.height)))
        return error_set(err, STATUS_NO_MEMORY, "a picture of %zux%zu pixels does not fit into memory", between.width,
                         between.height);
    status result = resize_horizontally(in, &between, err);
    if (result == STATUS_OK) result = resize_vertically(&between, out, err);
    free(between.samples);
    return result;
}

static plane colours_of(const image *picture)
{
    return (plane){picture->width, picture->height, 3, picture->pixels};
}

static plane alpha_of(const image *picture)
{
    return (plane){picture->width, picture->height, 1, picture->alpha};
}

/* Colours times alpha and back, rounded as Pillow's RGBA to RGBa and RGBa to RGBA (src/libImaging/Convert.c). */
static void multiply_by_alpha(const uint8_t *colours, const uint8_t *alpha, size_t count, uint8_t *to)
{
    for (size_t i = 0; i < count * 3; i++) {
        unsigned product = (unsigned)colours[i] * alpha[i / 3] + 128;
        to[i] = (uint8_t)((product + (product >> 8)) >> 8);
    }
}

static void divide_by_alpha(uint8_t *colours, const uint8_t *alpha, size_t count)
{
    for (size_t i = 0; i < count * 3; i++) {
        if (alpha[i / 3] == 0) continue;
        unsigned quotient = 255u * colours[i] / alpha[i / 3];
        colours[i] = quotient < 255 ? (uint8_t)quotient : 255;
    }
}

/* `out` has its pixels. */
static status resize_with_alpha(const image *in, image *out, error *err)
{
    TRY(image_alpha_create(out, err));
    plane alpha_in = alpha_of(in), alpha_out = alpha_of(out);
    plane colours_in = colours_of(in), colours_out = colours_of(out);
    TRY(resize_plane(&alpha_in, &alpha_out, err));
    size_t count = in->width * in->height;
    colours_in.samples = malloc(count * 3);
    if (!colours_in.samples) return error_no_memory(err, "resampling", count * 3);
    multiply_by_alpha(in->pixels, in->alpha, count, colours_in.samples);
    status result = resize_plane(&colours_in, &colours_out, err);
    free(colours_in.samples);
    if (result == STATUS_OK) divide_by_alpha(out->pixels, out->alpha, out->width * out->height);
    return result;
}

status image_resize(const image *in, size_t width, size_t height, image *out, error *err)
{
    status result;
    *out = (image){0};
    if (width == in->width && height == in->height) return image_crop(in, 0, 0, width, height, out, err);
    TRY(image_create(out, width, height, err));
    plane from = colours_of(in), to = colours_of(out);
    TRY_OR(error, in->alpha ? resize_with_alpha(in, out, err) : resize_plane(&from, &to, err));
    TRY_OR(error, image_copy_profile(in, out, err));
error:
    if (result != STATUS_OK) image_free(out);
    return result;
}
