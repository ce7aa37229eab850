#include "compare/describe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "models/format.h"
#include "models/generator.h"
#include "models/infer.h"
#include "nn/safetensors.h"
#include "translate/choice.h"

static void add_known(comparison_settings *s, const char *key, const char *value)
{
    if (value) comparison_settings_add(s, key, value);
}

static void add_network(comparison_settings *s, const model_generator_options *g)
{
    char line[200];
    if (model_generator_is_unet(g))
        snprintf(line, sizeof line, "%s, %zu channels in its first layer", model_generator_names[g->kind], g->ngf);
    else
        snprintf(line, sizeof line, "ResNet of %zu blocks, %zu channels in its first layer, %s", model_generator_blocks(g),
                 g->ngf, model_upsample_names[g->upsample]);
    comparison_settings_add(s, "network", line);
}

/* A number in the metadata, or NAN. */
static double number(const safetensors_file *file, const char *key)
{
    const char *value = safetensors_metadata_get(file, key);
    char *end;
    double number = value ? strtod(value, &end) : NAN;
    return value && end != value && !*end && isfinite(number) && number >= 0 ? number : NAN;
}

static status describe_file(comparison_method_result *m, const safetensors_file *file, error *err)
{
    generator_choice choice;
    model_generator_options generator;
    comparison_settings *s = &m->settings;
    TRY(model_format_check(file, err));
    TRY(generator_choose(file, m->options->to, &choice, err));
    TRY(model_generator_infer(file, choice.prefix, &generator, err));
    comparison_settings_add(s, "model", m->options->model);
    add_known(s, "from", choice.from);
    add_known(s, "to", choice.to);
    add_network(s, &generator);
    add_known(s, "training steps", safetensors_metadata_get(file, "step"));
    m->training_seconds = number(file, "seconds");
    const char *trained_with = safetensors_metadata_get(file, "config");
    if (trained_with) comparison_settings_add_block(s, "training config", trained_with);
    return STATUS_OK;
}

static status describe_generator(comparison_method_result *m, error *err)
{
    safetensors_file *file;
    TRY(safetensors_open(m->options->model, &file, err));
    status result = describe_file(m, file, err);
    if (result != STATUS_OK) error_prefix(err, "%s", m->options->model);
    safetensors_close(file);
    return result;
}

status comparison_describe(comparison_method_result *m, const comparison_options *options, error *err)
{
    comparison_settings_add(&m->settings, "kind", comparison_kind_names[m->options->kind]);
    if (m->options->kind == COMPARISON_GATYS)
        TRY(comparison_describe_gatys(m, options, err));
    else
        TRY(describe_generator(m, err));
    if (!isnan(m->options->training_seconds)) m->training_seconds = m->options->training_seconds;
    return m->settings.failed ? error_no_memory(err, "a method's settings", 0) : STATUS_OK;
}
