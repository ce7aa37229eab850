#include "gan/train.h"

#include <stdio.h>

#include "gan/cyclegan.h"
#include "gan/start.h"

static status check(void *options, const training_options *training, const config *c, error *err)
{
    return gan_options_check(options, c, training->crop_size, err);
}

/* On its way to a file. */
static double pool_bytes(const void *options, const training_options *training)
{
    const gan_options *o = options;
    double side = (double)training->crop_size;
    return (double)o->pool_size * side * side * 3 * sizeof(float);
}

static status create(const training_setup *s, void **model, error *err)
{
    const training_options *o = s->training;
    gan_size size = {(size_t)o->batch_size, (size_t)o->crop_size, s->other_bytes};
    nn_program_options planning = {.precision = (nn_precision)o->precision};
    gan *g;
    TRY(gan_create(s->options, size, s->backend, (uint64_t)o->seed, &planning, &g, err));
    *model = g;
    return STATUS_OK;
}

static void destroy(void *model) { gan_destroy(model); }
static const training_method *method(void *model) { return gan_method(model); }

static status start(void *model, const void *options, log_sink *log, error *err)
{
    const gan_options *o = options;
    return o->init_from ? gan_start_from(model, o->init_from, log, err) : STATUS_OK;
}

static void measure(void *model, training_footprint *out)
{
    *out = (training_footprint){.step_bytes = (double)gan_arena_bytes(model),
                                .kept_bytes = (double)gan_parameter_bytes(model),
                                .kept = "weights, moments and pools"};
    snprintf(out->parameters, sizeof out->parameters, "%zu + %zu parameters",
             nn_parameters_elements(gan_generators(model)), nn_parameters_elements(gan_discriminators(model)));
}

static double predict_seconds(void *model) { return gan_predict_seconds(model); }
static void set_profile(void *model, nn_profile *profile) { gan_set_profile(model, profile); }

const training_trainer gan_trainer = {
    .kind = TRAINING_CYCLEGAN,
    .fields = gan_fields,
    .field_count = &gan_field_count,
    .options_size = sizeof(gan_options),
    .check = check,
    .other_bytes = pool_bytes,
    .create = create,
    .destroy = destroy,
    .method = method,
    .start = start,
    .measure = measure,
    .predict_seconds = predict_seconds,
    .set_profile = set_profile,
};
