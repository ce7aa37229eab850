#include "training/settings.h"

#include <stdlib.h>
#include <string.h>

static const config_field kind_field = {"method", CONFIG_CHOICE, 0, "cyclegan", .choices = training_kind_names};

static status set_all(config *c, const char *const *settings, size_t count, error *err)
{
    for (size_t i = 0; i < count; i++) TRY(config_set(c, settings[i], err));
    return STATUS_OK;
}

/* A config of that one field. */
static status create_for_kind(int *kind, config **out, error *err)
{
    config_table table = {&kind_field, 1, kind};
    TRY(config_create(&table, 1, out, err));
    config_pass_over_unknown(*out);
    return STATUS_OK;
}

status training_settings_kind(const char *path, const char *const *settings, size_t count, training_kind *out,
                              error *err)
{
    int kind;
    config *c;
    TRY(create_for_kind(&kind, &c, err));
    status result = config_read_file(c, path, err);
    if (result == STATUS_OK) result = set_all(c, settings, count, err);
    config_destroy(c);
    *out = (training_kind)kind;
    return result;
}

status training_settings_kind_of_text(const char *name, const char *bytes, training_kind *out, error *err)
{
    int kind;
    config *c;
    TRY(create_for_kind(&kind, &c, err));
    status result = config_read_text(c, name, bytes, strlen(bytes), err);
    config_destroy(c);
    *out = (training_kind)kind;
    return result;
}

status training_settings_init(training_settings *s, const training_trainer *trainer, error *err)
{
    *s = (training_settings){.trainer = trainer, .options = calloc(1, trainer->options_size)};
    if (!s->options) return error_no_memory(err, "the config", trainer->options_size);
    s->tables[0] = (config_table){training_fields, training_field_count, &s->training};
    s->tables[1] = (config_table){trainer->fields, *trainer->field_count, s->options};
    return config_create(s->tables, 2, &s->config, err);
}

static status check(training_settings *s, error *err)
{
    s->training.one_way = s->trainer->one_way;
    TRY(training_options_check(&s->training, s->config, err));
    return s->trainer->check(s->options, &s->training, s->config, err);
}

status training_settings_read(training_settings *s, const training_trainer *trainer, const char *path,
                              const char *const *settings, size_t count, error *err)
{
    TRY(training_settings_init(s, trainer, err));
    TRY(config_read_file(s->config, path, err));
    TRY(set_all(s->config, settings, count, err));
    TRY(config_finish(s->config, err));
    return check(s, err);
}

status training_settings_read_text(training_settings *s, const training_trainer *trainer, const char *name,
                                   const char *bytes, error *err)
{
    TRY(training_settings_init(s, trainer, err));
    TRY(config_read_text(s->config, name, bytes, strlen(bytes), err));
    TRY(config_finish(s->config, err));
    return check(s, err);
}

void training_settings_free(training_settings *s)
{
    config_destroy(s->config);
    free(s->options);
    *s = (training_settings){0};
}
