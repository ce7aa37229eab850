#include <math.h>
#include <stdlib.h>

#include "base/pixels.h"
#include "style/feedforward_internal.h"
#include "style/features.h"
#include "style/target.h"

enum { MEASURED_PICTURES = 16 }; /* at least, for the scale of content features */

/* Makes a mean of squared differences relative. What is 0 everywhere has no scale to be relative to. */
static double factor(double mean_square) { return mean_square > 0 ? 1 / mean_square : 1; }

/* Adds the mean squares of each content layer for the pictures of a batch. floats: room for one. */
static status add_batch(const style_feedforward *f, style_extractor *x, const uint8_t *pictures, float *floats, double *sums,
                        error *err)
{
    size_t side = (size_t)f->training->crop_size, count = side * side * 3;
    for (size_t k = 0; k < (size_t)f->training->batch_size; k++) {
        float *features[STYLE_MOST_LAYERS];
        pixels_to_floats(pictures + k * count, count, floats);
        TRY(style_extract(x, floats, side, side, features, err));
        for (size_t i = 0; i < f->loss.content.count; i++) {
            sums[i] += style_mean_square(features[i], x->counts[i]);
            free(features[i]);
        }
    }
    return STATUS_OK;
}

/* Over the first batches of the training: they follow from its seed, and so repeat when it is resumed. */
static status measure_content(style_feedforward *f, training_loader *loader, error *err)
{
    size_t batch = (size_t)f->training->batch_size, batches = (MEASURED_PICTURES + batch - 1) / batch;
    double sums[STYLE_MOST_LAYERS] = {0};
    if (!f->loss.content.count) return STATUS_OK;
    style_extractor x = {.vgg = f->vgg, .backend = f->backend, .layers = &f->loss.content};
    size_t bytes = training_loader_slot_bytes(loader); /* of one domain: as many as it has pixels */
    uint8_t *slot = malloc(bytes);
    float *floats = malloc(bytes / batch * sizeof *floats);
    status result = slot && floats ? STATUS_OK : error_no_memory(err, "a batch", bytes + bytes / batch * sizeof *floats);
    for (size_t step = 0; step < batches && result == STATUS_OK; step++) {
        result = training_loader_produce(loader, step, slot, err);
        if (result == STATUS_OK) result = add_batch(f, &x, slot, floats, sums, err);
    }
    for (size_t i = 0; i < f->loss.content.count; i++)
        f->content_factors[i] = factor(sums[i] / (double)(batches * batch));
    style_extractor_free(&x);
    free(slot);
    free(floats);
    return result;
}

static status place_grams(style_feedforward *f, const float *const *grams, error *err)
{
    size_t batch = (size_t)f->training->batch_size, total = 0, counts[STYLE_MOST_LAYERS];
    for (size_t i = 0; i < f->loss.style.count; i++) {
        size_t channels = model_vgg_channels(f->vgg, f->loss.style.at[i]);
        counts[i] = channels * channels;
        f->gram_offsets[i] = total;
        total += (batch * counts[i] + 15) / 16 * 16;
    }
    TRY(nn_block_allocate(&f->grams, f->backend, total, err));
    for (size_t i = 0; i < f->loss.style.count; i++) {
        f->style_factors[i] = factor(style_mean_square(grams[i], counts[i]));
        for (size_t k = 0; k < batch; k++)
            nn_block_write(&f->grams, f->gram_offsets[i] + k * counts[i], grams[i], counts[i]);
    }
    return STATUS_OK;
}

static status measure_style(style_feedforward *f, log_sink *log, error *err)
{
    const float *grams[STYLE_MOST_LAYERS];
    style_target *target;
    style_target_settings settings = {.paths = f->training->domains[1].train, .colour = STYLE_COLOUR_OF_STYLE,
                                      .vgg = f->vgg, .backend = f->backend, .layers = &f->loss.style};
    if (!f->loss.style.count) return STATUS_OK;
    double side = round((double)f->training->crop_size * f->options.style_scale);
    TRY(style_target_create(&settings, log, &target, err));
    status result = style_target_grams(target, side < 1 ? 1 : (size_t)side, NULL, grams, err);
    if (result == STATUS_OK) result = place_grams(f, grams, err);
    style_target_destroy(target);
    return result;
}

status style_feedforward_measure(style_feedforward *f, training_loader *loader, log_sink *log, error *err)
{
    TRY(measure_content(f, loader, err));
    if (measure_style(f, log, err) == STATUS_OK) return STATUS_OK;
    return error_prefix(err, "domain %s", f->training->domains[1].name);
}

status style_feedforward_suppose(style_feedforward *f, error *err)
{
    const float *grams[STYLE_MOST_LAYERS];
    size_t most = 0;
    for (size_t i = 0; i < f->loss.style.count; i++) {
        size_t channels = model_vgg_channels(f->vgg, f->loss.style.at[i]);
        if (channels > most) most = channels;
    }
    for (size_t i = 0; i < f->loss.content.count; i++) f->content_factors[i] = 1;
    if (!f->loss.style.count) return STATUS_OK;
    float *zeros = calloc(most * most, sizeof *zeros);
    if (!zeros) return error_no_memory(err, "Gram matrices", most * most * sizeof *zeros);
    for (size_t i = 0; i < f->loss.style.count; i++) grams[i] = zeros;
    status result = place_grams(f, grams, err);
    free(zeros);
    return result;
}
