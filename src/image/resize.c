/* Pillow's resampling (src/libImaging/Resample.c), bit for bit: the same coefficients in fixed point, the same
 * rounding, 8 bits between the two passes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static status resize_horizontally(const image *in, size_t width, image *out, error *err)
{
    taps t;
    TRY(image_create(out, width, in->height, err));
    status result = taps_create(in->width, width, &t, err);
    if (result != STATUS_OK) {
        image_free(out);
        return result;
    }
    uint8_t *to = out->pixels;
    for (size_t y = 0; y < in->height; y++) {
        const uint8_t *row = in->pixels + y * in->width * 3;
        for (size_t x = 0; x < width; x++, to += 3) {
            const int32_t *weights = t.weights + x * t.stride;
            const uint8_t *from = row + t.first[x] * 3;
            int32_t red = 1 << (PRECISION_BITS - 1), green = red, blue = red;
            for (size_t k = 0; k < t.count[x]; k++, from += 3) {
                red += from[0] * weights[k];
                green += from[1] * weights[k];
                blue += from[2] * weights[k];
            }
            to[0] = clip(red);
            to[1] = clip(green);
            to[2] = clip(blue);
        }
    }
    taps_free(&t);
    return STATUS_OK;
}

static status resize_vertically(const image *in, size_t height, image *out, error *err)
{
    taps t = {0};
    status result;
    size_t row_bytes = in->width * 3;
    int32_t *sums = NULL; /* one row */
    TRY_OR(error, image_create(out, in->width, height, err));
    TRY_OR(error, taps_create(in->height, height, &t, err));
    sums = malloc(row_bytes * sizeof *sums);
    if (!sums) {
        result = error_no_memory(err, "resampling", row_bytes * sizeof *sums);
        goto error;
    }
    for (size_t y = 0; y < height; y++) {
        for (size_t i = 0; i < row_bytes; i++) sums[i] = 1 << (PRECISION_BITS - 1);
        for (size_t k = 0; k < t.count[y]; k++) {
            const uint8_t *row = in->pixels + (t.first[y] + k) * row_bytes;
            int32_t weight = t.weights[y * t.stride + k];
            for (size_t i = 0; i < row_bytes; i++) sums[i] += row[i] * weight;
        }
        uint8_t *to = out->pixels + y * row_bytes;
        for (size_t i = 0; i < row_bytes; i++) to[i] = clip(sums[i]);
    }
error:
    if (result != STATUS_OK) image_free(out);
    taps_free(&t);
    free(sums);
    return result;
}

/* A pass that would change nothing is left out, as in Pillow. */
status image_resize(const image *in, size_t width, size_t height, image *out, error *err)
{
    *out = (image){0};
    if (width == in->width && height == in->height) return image_crop(in, 0, 0, width, height, out, err);
    if (width == in->width) return resize_vertically(in, height, out, err);
    if (height == in->height) return resize_horizontally(in, width, out, err);
    image between;
    TRY(resize_horizontally(in, width, &between, err));
    status result = resize_vertically(&between, height, out, err);
    image_free(&between);
    return result;
}
