#include <stdlib.h>

#include "cli/arguments.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "compare/comparison.h"

enum { MAX_THREADS = 1024 };

static const argument_option options[] = {
    {.name = "set", .value = "KEY=VALUE", .repeated = true,
     .help = "set a field of the config, after the file; may be repeated"},
    {.name = "out", .value = "DIR", .help = "the comparison's folder (output.folder/name of the config)"},
    {.name = "overwrite", .help = "replace the comparison that is there, with all its pictures"},
    {.name = "device", .value = "auto|cpu|cuda", .choices = nn_device_names,
     .help = "where to compute; auto: on the GPU where there is one (auto)"},
    {.name = "threads", .value = "N", .help = "threads of the CPU; 0: all cores (0)"},
    {.name = "quiet", .help = "say nothing but warnings and errors"},
    {.name = "help-markdown", .ends = true, .help = "print the config's fields as a Markdown table"},
};

static const argument_table table = {
    .command = "compare",
    .summary = "Gives the same pictures to several methods, measures what they make of them, and leaves a page that "
               "shows it.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .positional = "CONFIG.yaml",
    .positional_help = "the config; its fields are listed below",
    .minimum = 1,
    .maximum = 1,
};

static status compare(const cli_context *context, const argument_list *given, error *err)
{
    comparison_request request = {.config_path = given->positional[0],
                                  .out = arguments_value(given, "out"),
                                  .overwrite = arguments_has(given, "overwrite"),
                                  .stop = context->stop,
                                  .device = cli_device(given),
                                  .launch = cli_launch};
    TRY(arguments_integer(given, "threads", 0, MAX_THREADS, 0, &request.threads, err));
    if (request.out && !request.out[0]) return error_set(err, STATUS_USAGE, "compare: --out: expected a folder, found ''");
    const char **settings;
    TRY(arguments_values(given, "set", &settings, &request.setting_count, err));
    request.settings = settings;
    context->log->quiet = arguments_has(given, "quiet");
    status result = comparison_run(&request, context->log, err);
    free(settings);
    return result;
}

status cli_compare(const cli_context *context, int count, char *const *words, error *err)
{
    static const cli_config_command command = {&table, "Fields of the config (methods.2 to methods.8 are as methods.1)", comparison_help, compare};
    return cli_run_with_config(&command, context, count, words, err);
}
