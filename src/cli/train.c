#include <stdlib.h>
#include <string.h>

#include "cli/arguments.h"
#include "cli/cli.h"
#include "gan/train.h"
#include "style/feedforward_train.h"
#include "training/settings.h"

enum { MAX_THREADS = 1024 };

static const training_trainer *const trainers[] = {&gan_trainer, &style_feedforward_trainer};
enum { TRAINERS = sizeof trainers / sizeof *trainers };

static const argument_option options[] = {
    {.name = "set", .value = "KEY=VALUE", .repeated = true,
     .help = "set a field of the config, after the file; may be repeated"},
    {.name = "resume", .help = "go on with the run from its last checkpoint"},
    {.name = "device", .value = "auto|cpu|cuda", .choices = nn_device_names,
     .help = "where to compute; auto: on the GPU where there is one (auto)"},
    {.name = "threads", .value = "N", .help = "threads of the CPU; 0: all cores (0)"},
    {.name = "out", .value = "DIR", .help = "the run's folder (output.folder/name of the config)"},
    {.name = "profile", .help = "print where the time went"},
    {.name = "quiet", .help = "say nothing but warnings and errors"},
    {.name = "help-markdown", .ends = true, .help = "print the config's fields as a Markdown table"},
};

static const argument_table table = {
    .command = "train",
    .summary = "Trains on two folders of pictures that a config file names: a CycleGAN, or a feed-forward style network.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .positional = "CONFIG.yaml",
    .positional_help = "the config; its fields are listed below",
    .minimum = 1,
    .maximum = 1,
};

static void train_fields(bool markdown, text *out) { training_help(trainers, TRAINERS, markdown, out); }

/* By the trainer that the config asks for. */
static status train_with(const training_request *request, log_sink *log, error *err)
{
    training_kind kind;
    TRY(training_settings_kind(request->config_path, request->settings, request->setting_count, &kind, err));
    size_t i = 0;
    while (trainers[i]->kind != kind) i++;
    return training_train(request, trainers[i], log, err);
}

static status train(const cli_context *context, const argument_list *given, error *err)
{
    training_request request = {.config_path = given->positional[0],
                                 .resume = arguments_has(given, "resume"),
                                 .out = arguments_value(given, "out"),
                                 .profile = arguments_has(given, "profile"),
                                 .stop = context->stop,
                                 .listening = context->listening};
    TRY(arguments_integer(given, "threads", 0, MAX_THREADS, 0, &request.threads, err));
    if (request.out && !request.out[0]) return error_set(err, STATUS_USAGE, "train: --out: expected a folder, found ''");
    request.device = cli_device(given);
    const char **settings;
    TRY(arguments_values(given, "set", &settings, &request.setting_count, err));
    request.settings = settings;
    context->log->quiet = arguments_has(given, "quiet");
    *context->listening = 0;
    status result = train_with(&request, context->log, err);
    free(settings);
    return result;
}

status cli_train(const cli_context *context, int count, char *const *words, error *err)
{
    static const cli_config_command command = {&table, "Fields of the config", train_fields, train};
    return cli_run_with_config(&command, context, count, words, err);
}
