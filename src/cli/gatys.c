#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/cli.h"
#include "style/transfer.h"

enum { MAX_THREADS = 1024 };

static const argument_option options[] = {
    {.name = "content", .value = "FILE|DIR", .help = "the picture, or a folder of them (content.path)"},
    {.name = "style", .value = "FILE|DIR",
     .help = "a picture, a folder whose mean is the style, or several of both, with commas (style.path)"},
    {.name = "out", .letter = 'o', .value = "FILE|DIR", .help = "the result; a folder for a folder (output.path)"},
    {.name = "features", .value = "FILE", .help = "a VGG, .safetensors (features: random)"},
    {.name = "size", .value = "PIXELS", .help = "shorter side of the result (image.size: the content's)"},
    {.name = "iterations", .value = "N", .help = "at each scale (optimiser.iterations: 200)"},
    {.name = "preset", .value = "none|gatys|keras", .help = "defaults of published programs (preset)"},
    {.name = "set", .value = "KEY=VALUE", .repeated = true,
     .help = "set a field of the config, after the file; may be repeated"},
    {.name = "overwrite", .help = "replace results that exist (output.overwrite)"},
    {.name = "device", .value = "auto|cpu|cuda", .choices = nn_device_names,
     .help = "where to compute; auto: on the GPU where there is one (auto)"},
    {.name = "threads", .value = "N", .help = "threads of the CPU; 0: all cores (0)"},
    {.name = "quiet", .help = "say nothing but warnings and errors"},
    {.name = "help-markdown", .ends = true, .help = "print the config's fields as a Markdown table"},
};

static const argument_table table = {
    .command = "gatys",
    .summary = "Paints a picture in the style of others, by optimising it (Gatys, Ecker, Bethge 2016). What is to be "
               "done is said by options, or by a config file, or by both.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .positional = "CONFIG.yaml",
    .positional_help = "the config; its fields are listed below",
    .minimum = 0,
    .maximum = 1,
};

/* Options that are fields of the config. */
static const struct {
    const char *option, *key;
} fields[] = {{"content", "content.path"}, {"style", "style.path"},   {"out", "output.path"},
              {"features", "features"},    {"size", "image.size"},    {"iterations", "optimiser.iterations"},
              {"preset", "preset"},        {"overwrite", "output.overwrite"}};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Options as settings, before those of --set. *made: how many of them are ours to free. */
static status gather_settings(const argument_list *given, char ***out, size_t *made, size_t *count, error *err)
{
    const char **set;
    size_t set_count;
    TRY(arguments_values(given, "set", &set, &set_count, err));
    char **settings = calloc(FIELDS + set_count, sizeof *settings);
    status result = settings ? STATUS_OK : error_no_memory(err, "the settings", FIELDS + set_count);
    *made = 0;
    for (size_t i = 0; result == STATUS_OK && i < FIELDS; i++) {
        if (!arguments_has(given, fields[i].option)) continue;
        const char *value = arguments_value(given, fields[i].option);
        settings[*made] = text_printf("%s=%s", fields[i].key, value ? value : "true");
        if (!settings[*made]) result = error_no_memory(err, "the settings", 0);
        if (settings[*made]) ++*made;
    }
    *count = *made;
    for (size_t i = 0; result == STATUS_OK && i < set_count; i++) settings[(*count)++] = (char *)(uintptr_t)set[i];
    free(set);
    *out = settings;
    return result;
}

static status gatys(const cli_context *context, const argument_list *given, error *err)
{
    static const char *const needed[] = {"content", "style", "out"};
    style_transfer_request request = {.config_path = given->positional_count ? given->positional[0] : NULL,
                                      .stop = context->stop};
    TRY(arguments_integer(given, "threads", 0, MAX_THREADS, 0, &request.threads, err));
    request.device = cli_device(given);
    for (size_t i = 0; !request.config_path && !arguments_has(given, "set") && i < 3; i++)
        if (!arguments_has(given, needed[i]))
            return error_set(err, STATUS_USAGE, "gatys: --%s FILE|DIR is missing (or a config file)", needed[i]);
    context->log->quiet = arguments_has(given, "quiet");
    char **settings = NULL;
    size_t made = 0;
    status result = gather_settings(given, &settings, &made, &request.setting_count, err);
    request.settings = (const char *const *)settings;
    if (result == STATUS_OK) result = style_transfer(&request, context->log, err);
    for (size_t i = 0; i < made; i++) free(settings[i]);
    free(settings);
    return result;
}

status cli_gatys(const cli_context *context, int count, char *const *words, error *err)
{
    static const cli_config_command command = {&table, "Fields of the config", style_transfer_help, gatys};
    return cli_run_with_config(&command, context, count, words, err);
}
