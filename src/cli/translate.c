#include <stdio.h>
#include <string.h>
#ifdef __GLIBC__ /* which the headers before define */
#include <malloc.h>
#endif

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "translate/folder.h"
#include "translate/inputs.h"
#include "translate/translator.h"

enum { MAX_THREADS = 1024, SMALLEST = 8, LARGEST = 16384, MOST_MEGAPIXELS = 100000, LEAST_MEMORY = 64 << 20 };

static const char *const formats[] = {"png", "jpeg", "webp", NULL}; /* in image_format's order */

static const argument_option options[] = {
    {.name = "model", .value = "FILE", .required = true,
     .help = "a generator or a whole training state (.safetensors)"},
    {.name = "out", .letter = 'o', .value = "DIR", .required = true, .help = "folder for the results"},
    {.name = "to", .value = "a|b|NAME", .help = "the domain to translate to; a training state needs it"},
    {.name = "size", .value = "N", .help = "resize pictures before, so that the shorter side has N pixels"},
    {.name = "format", .value = "png|jpeg|webp", .choices = formats, .help = "of the results (that of each input)"},
    {.name = "quality", .value = "N", .help = "of JPEG and WebP, 1 to 100 (95); WebP of 100 is lossless"},
    {.name = "max-megapixels", .value = "N", .help = "refuse larger pictures (256)"},
    {.name = "max-memory", .value = "SIZE",
     .help = "like 500M or 2G: what takes more is translated in strips (half of the machine's)"},
    {.name = "sheet", .value = "FILE", .help = "also write a contact sheet: up to 40 inputs above their results"},
    {.name = "overwrite", .help = "replace pictures that exist"},
    {.name = "precision", .value = "fp32|bf16", .choices = nn_precision_names,
     .help = "bf16 is faster on a CPU with AVX512-BF16; grey levels change a little (fp32)"},
    {.name = "device", .value = "auto|cpu|cuda", .choices = nn_device_names,
     .help = "where to compute; auto: on the GPU where there is one (auto)"},
    {.name = "threads", .value = "N", .help = "threads of the CPU; 0: all cores (0)"},
    {.name = "quiet", .help = "say nothing but warnings and errors"},
};

static const argument_table table = {
    .command = "translate",
    .summary = "Translates pictures with a trained generator: one file for each input, under the same relative path "
               "and name, of the input's own size unless --size is given.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .positional = "INPUT",
    .positional_help = "files, or folders with all that lies below them but hidden files (.NAME)",
    .minimum = 1,
    .maximum = SIZE_MAX,
};

static status translate_with(const cli_context *context, const translate_request *request, nn_backend *backend,
                             const char *model, const char *to, nn_precision precision, error *err)
{
    translator *t;
    TRY(nn_precision_check(backend, precision, err));
    TRY(translator_create(backend, model, to, &t, err));
    const char *from = translator_from(t);
    if (from) log_info(context->log, "%s: %s to %s", model, from, translator_to(t));
    status result = translator_set_precision(t, precision, err);
    if (result == STATUS_OK) result = translate_folder(t, request, context->log, NULL, err);
    translator_destroy(t);
    return result;
}

static nn_precision precision_of(const argument_list *given)
{
    const char *name = arguments_value(given, "precision");
    return name && strcmp(name, nn_precision_names[NN_BF16]) == 0 ? NN_BF16 : NN_FP32;
}

/* Pictures that are freed are the system's again at once. By itself glibc takes the next ones as large from its heaps, one for
 * each thread, which keep them: a fifth of --max-memory in a folder of large pictures. */
static void free_pictures_at_once(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

static status translate(const cli_context *context, const argument_list *given, error *err)
{
    int threads, size, megapixels;
    translate_request request = {.inputs = given->positional,
                                 .input_count = given->positional_count,
                                 .output = arguments_value(given, "out"),
                                 .sheet = arguments_value(given, "sheet"),
                                 .overwrite = arguments_has(given, "overwrite"),
                                 .stop = context->stop};
    TRY(arguments_integer(given, "threads", 0, MAX_THREADS, 0, &threads, err));
    TRY(arguments_integer(given, "quality", 1, 100, 0, &request.quality, err));
    TRY(arguments_integer(given, "size", SMALLEST, LARGEST, 0, &size, err));
    TRY(arguments_integer(given, "max-megapixels", 1, MOST_MEGAPIXELS, TRANSLATE_MAX_MEGAPIXELS, &megapixels, err));
    TRY(arguments_bytes(given, "max-memory", LEAST_MEMORY, 0, &request.max_memory, err));
    request.size = (size_t)size;
    request.max_pixels = (size_t)megapixels * 1000000;
    const char *format = arguments_value(given, "format");
    for (size_t i = 0; format && formats[i]; i++)
        if (strcmp(format, formats[i]) == 0) request.format = (image_format)(IMAGE_PNG + i);
    context->log->quiet = arguments_has(given, "quiet");
    const char *model = arguments_value(given, "model");
    if (request.sheet && file_is_same(request.sheet, model))
        return error_set(err, STATUS_USAGE, "%s: the contact sheet would overwrite the model", request.sheet);
    nn_backend *backend;
    free_pictures_at_once();
    TRY(nn_device_create(cli_device(given), threads, context->log, &backend, err));
    status result = translate_with(context, &request, backend, model, arguments_value(given, "to"), precision_of(given),
                                   err);
    nn_backend_destroy(backend);
    return result;
}

status cli_translate(const cli_context *context, int count, char *const *words, error *err)
{
    argument_list given;
    TRY(arguments_parse(&table, count, words, &given, err));
    status result = arguments_has(&given, "help") ? cli_print_help(&table, err) : translate(context, &given, err);
    arguments_free(&given);
    return result;
}
