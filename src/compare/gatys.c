/* Gatys' style transfer as a method: its settings, and its engine. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/describe.h"
#include "compare/method.h"
#include "style/gatys.h"
#include "style/options.h"

static status set(config *c, const char *key, const char *value, error *err)
{
    char *assignment = text_printf("%s=%s", key, value);
    if (!assignment) return error_no_memory(err, "a setting", 0);
    status result = config_set(c, assignment, err);
    free(assignment);
    return result;
}

static status set_number(config *c, const char *key, double value, error *err)
{
    char digits[40];
    if (isnan(value)) return STATUS_OK;
    snprintf(digits, sizeof digits, "%.17g", value);
    return set(c, key, digits, err);
}

/* What the comparison's config changes in the settings' file. */
static status change_settings(config *c, const comparison_method_options *m, const comparison_options *options,
                              error *err)
{
    TRY(set(c, "content.path", options->inputs, err));
    TRY(set(c, "output.path", m->name, err));
    TRY(set(c, "image.size", "0", err));
    if (m->style || !config_was_given(c, "style.path"))
        TRY(set(c, "style.path", m->style ? m->style : options->targets, err));
    if (m->features) TRY(set(c, "features", m->features, err));
    if (m->iterations) TRY(set_number(c, "optimiser.iterations", (double)m->iterations, err));
    TRY(set_number(c, "content.weight", m->content_weight, err));
    return set_number(c, "style.weight", m->style_weight, err);
}

/* Destroy *out, which owns the texts of `o`, after a failure too. */
static status read_settings(const comparison_method_options *m, const comparison_options *options, style_options *o,
                            config **out, error *err)
{
    config_table table = {style_fields, style_field_count, o};
    *out = NULL;
    TRY(config_create(&table, 1, out, err));
    if (m->settings) TRY(config_read_file(*out, m->settings, err));
    TRY(change_settings(*out, m, options, err));
    return style_options_finish(o, *out, err);
}

static status describe(comparison_settings *s, const style_options *o, const config *c, error *err)
{
    char number[32];
    bool random = strcmp(o->features, "random") == 0;
    text dump = {0};
    snprintf(number, sizeof number, "%" PRId64, o->iterations);
    comparison_settings_add(s, "style", o->style_path);
    comparison_settings_add(s, "features", random ? "random: a VGG-19 that was not trained" : o->features);
    comparison_settings_add(s, "iterations", number);
    config_dump(c, &dump);
    comparison_settings_add_block(s, "all settings", text_get(&dump));
    status result = dump.failed ? error_no_memory(err, "the settings", 0) : STATUS_OK;
    text_free(&dump);
    return result;
}

status comparison_describe_gatys(comparison_method_result *m, const comparison_options *options, error *err)
{
    style_options o;
    config *c;
    status result = read_settings(m->options, options, &o, &c, err);
    if (result == STATUS_OK) result = style_gatys_check(&o, err);
    if (result == STATUS_OK) result = describe(&m->settings, &o, c, err);
    config_destroy(c);
    m->training_seconds = 0;
    return result;
}

typedef struct gatys_engine {
    config *settings;
    style_options o;
    style_gatys *g;
    style_watch watch;
} gatys_engine;

static status run(void *state, const image *in, image *out, error *err)
{
    gatys_engine *e = state;
    style_result ignored;
    return style_gatys_run(e->g, in, &e->watch, out, &ignored, err);
}

static status finish(void *state, error *err)
{
    const gatys_engine *e = state;
    size_t broken = style_gatys_style_broken(e->g);
    if (!broken) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%zu of %zu style pictures could not be used; the others were", broken,
                     style_gatys_style_count(e->g));
}

static void destroy(void *state)
{
    gatys_engine *e = state;
    if (!e) return;
    style_gatys_destroy(e->g);
    config_destroy(e->settings);
    free(e);
}

status comparison_gatys_create(nn_backend *backend, const comparison_job *job, comparison_engine *out, error *err)
{
    const comparison_method_options *m = &job->options->methods[job->method];
    gatys_engine *e = calloc(1, sizeof *e);
    if (!e) return error_no_memory(err, "style transfer", sizeof *e);
    e->watch = (style_watch){.stop = job->stop, .label = m->name};
    status result = read_settings(m, job->options, &e->o, &e->settings, err);
    /* No cache of Gram matrices: what the style costs belongs to the first picture's time. */
    if (result == STATUS_OK) result = style_gatys_create(&e->o, backend, NULL, job->log, &e->g, err);
    if (result == STATUS_OK)
        *out = (comparison_engine){e, run, finish, destroy};
    else
        destroy(e);
    return result;
}
