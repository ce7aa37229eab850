#include "style/feedforward_train.h"

#include <stdio.h>

#include "style/feedforward.h"

static status check(void *options, const training_options *training, const config *c, error *err)
{
    return style_feedforward_options_check(options, c, training->crop_size, err);
}

static double other_bytes(const void *options, const training_options *training)
{
    (void)options, (void)training;
    return 0;
}

static status create(const training_setup *setup, void **model, error *err)
{
    style_feedforward *f;
    TRY(style_feedforward_create(setup->options, setup, &f, err));
    *model = f;
    return STATUS_OK;
}

static void destroy(void *model) { style_feedforward_destroy(model); }
static const training_method *method(void *model) { return style_feedforward_method(model); }

static status start(void *model, const void *options, log_sink *log, error *err)
{
    const style_feedforward_options *o = options;
    return o->init_from ? style_feedforward_start_from(model, o->init_from, log, err) : STATUS_OK;
}

static void measure(void *model, training_footprint *out)
{
    *out = (training_footprint){.step_bytes = (double)style_feedforward_arena_bytes(model),
                                .kept_bytes = (double)style_feedforward_kept_bytes(model),
                                .kept = "weights, moments and features' weights"};
    snprintf(out->parameters, sizeof out->parameters, "%zu parameters",
             nn_parameters_elements(style_feedforward_generator(model)));
}

static double predict_seconds(void *model) { return style_feedforward_predict_seconds(model); }
static void set_profile(void *model, nn_profile *profile) { style_feedforward_set_profile(model, profile); }

const training_trainer style_feedforward_trainer = {
    .kind = TRAINING_FEEDFORWARD,
    .one_way = true,
    .fields = style_feedforward_fields,
    .field_count = &style_feedforward_field_count,
    .options_size = sizeof(style_feedforward_options),
    .check = check,
    .other_bytes = other_bytes,
    .create = create,
    .destroy = destroy,
    .method = method,
    .start = start,
    .measure = measure,
    .predict_seconds = predict_seconds,
    .set_profile = set_profile,
};
