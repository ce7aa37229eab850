#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "translate/export.h"

static const argument_option options[] = {
    {.name = "out", .letter = 'o', .value = "FILE", .required = true, .help = "the file to write, .onnx"},
    {.name = "to", .value = "a|b|NAME", .help = "the domain to translate to; a training state needs it"},
    {.name = "overwrite", .help = "replace a file that exists"},
    {.name = "quiet", .help = "say nothing but warnings and errors"},
};

static const argument_table table = {
    .command = "export",
    .summary = "Writes a trained generator as an ONNX file, which onnxruntime and other programs run. Its input and its "
               "output are RGB from -1 to 1, (batch, 3, height, width).",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .positional = "MODEL",
    .positional_help = "a generator or a whole training state (.safetensors)",
    .minimum = 1,
    .maximum = 1,
};

static status check_output(const char *path, const char *model, bool overwrite, error *err)
{
    char shown[200], input[200];
    text_printable(path, shown, sizeof shown);
    if (!text_ends_with_ignoring_case(path, ".onnx"))
        return error_set(err, STATUS_USAGE, "%s: the name of an ONNX file ends in .onnx", shown);
    if (file_is_same(path, model))
        return error_set(err, STATUS_FAILED, "%s would overwrite the input %s: choose another output", shown,
                         text_printable(model, input, sizeof input));
    if (file_exists(path) && !overwrite)
        return error_set(err, STATUS_FAILED, "%s exists, and is left alone; --overwrite replaces it", shown);
    return STATUS_OK;
}

static status write_model(const cli_context *context, translator *t, const char *path, error *err)
{
    translator_sides sides = translator_export_sides(t);
    const char *from = translator_from(t), *to = translator_to(t);
    TRY(file_make_parent(path, err));
    TRY(translator_export(t, path, CLI_VERSION, err));
    log_info(context->log, "%s: %s%s%s%ssides must be multiples of %zu, at least %zu", path, from ? from : "",
             from ? " to " : "", from ? to : "", from ? "; " : "", sides.multiple, sides.least);
    return STATUS_OK;
}

static status export_model(const cli_context *context, const argument_list *given, error *err)
{
    const char *path = arguments_value(given, "out"), *model = given->positional[0];
    context->log->quiet = arguments_has(given, "quiet");
    TRY(check_output(path, model, arguments_has(given, "overwrite"), err));
    nn_backend *backend;
    TRY(nn_cpu_create(1, &backend, err));
    translator *t;
    status result = translator_create(backend, model, arguments_value(given, "to"), &t, err);
    if (result == STATUS_OK) result = write_model(context, t, path, err);
    translator_destroy(t);
    nn_backend_destroy(backend);
    return result;
}

status cli_export(const cli_context *context, int count, char *const *words, error *err)
{
    argument_list given;
    TRY(arguments_parse(&table, count, words, &given, err));
    status result = arguments_has(&given, "help") ? cli_print_help(&table, err) : export_model(context, &given, err);
    arguments_free(&given);
    return result;
}
