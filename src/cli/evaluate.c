#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "compare/evaluate.h"
#include "nn/cpu/cpu.h"

enum { MAX_THREADS = 1024 };

static const char default_layer[] = "relu4_2";
static const char *const sizes[] = {"16", "32", "64", "128", "256", "512", "1024", "2048", NULL};

static const argument_option options[] = {
    {.name = "real", .value = "DIR", .required = true, .help = "real pictures of the domain that was translated to"},
    {.name = "fake", .value = "DIR", .required = true, .help = "the outputs"},
    {.name = "content", .value = "DIR", .help = "the inputs, of the outputs' relative names: what was kept of them"},
    {.name = "train", .value = "DIR", .help = "training pictures of that domain: whether outputs are copies of them"},
    {.name = "features", .value = "FILE|random|none",
     .help = "VGG weights (.safetensors) for measures of features, a random VGG-19, or no such measures (random)"},
    {.name = "layer", .value = "NAME", .help = "the features' layer (relu4_2)"},
    {.name = "size", .value = "PIXELS", .choices = sizes, .help = "side to which all pictures are brought (256)"},
    {.name = "seed", .value = "N", .help = "of random weights, patches and directions (1)"},
    {.name = "json", .help = "one JSON object instead of a table"},
    {.name = "threads", .value = "N", .help = "threads of the CPU; 0: all cores (0)"},
    {.name = "quiet", .help = "say nothing but results, warnings and errors"},
};

static const argument_table table = {
    .command = "evaluate",
    .summary = "Measures how near translated pictures are to real ones of the target domain, what they kept of their "
               "inputs, and how varied they are; each number with its 95 % confidence interval. docs/metrics.md "
               "defines them.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
};

/* Results to the standard output; a failure after them when pictures were left out. */
static status print(const compare_evaluation *e, const compare_network *network, const char *layer, bool json,
                    error *err)
{
    if (json) {
        char *string;
        TRY(compare_evaluation_json(e, network, layer, &string, err));
        puts(string);
        free(string);
    } else {
        text lines = {0};
        compare_evaluation_print(e, network, layer, &lines);
        bool failed = lines.failed;
        fputs(text_get(&lines), stdout);
        text_free(&lines);
        if (failed) return error_no_memory(err, "a table", 0);
    }
    if (e->left_out == 0) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%zu %s could not be read and %s left out", e->left_out,
                     e->left_out == 1 ? "picture" : "pictures", e->left_out == 1 ? "was" : "were");
}

static status evaluate_with(const cli_context *context, const argument_list *given, const compare_request *request,
                            const char *layer, error *err)
{
    compare_evaluation e;
    TRY(compare_evaluate(request, context->log, &e, err));
    status result = print(&e, request->network, layer, arguments_has(given, "json"), err);
    compare_evaluation_free(&e);
    return result;
}

static status evaluate(const cli_context *context, const argument_list *given, error *err)
{
    const char *features = arguments_value(given, "features"), *layer = arguments_value(given, "layer");
    const char *size = arguments_value(given, "size");
    bool none = features && strcmp(features, "none") == 0, random = !features || strcmp(features, "random") == 0;
    int threads, seed;
    TRY(arguments_integer(given, "threads", 0, MAX_THREADS, 0, &threads, err));
    TRY(arguments_integer(given, "seed", 0, INT32_MAX, 1, &seed, err));
    if (none && layer) return error_set(err, STATUS_USAGE, "--layer has no meaning with --features none");
    if (!layer) layer = default_layer;
    context->log->quiet = arguments_has(given, "quiet");
    *context->listening = 0; /* nothing is saved */
    compare_request request = {.real = arguments_value(given, "real"),
                               .fake = arguments_value(given, "fake"),
                               .content = arguments_value(given, "content"),
                               .train = arguments_value(given, "train"),
                               .side = size ? (size_t)strtoul(size, NULL, 10) : 256,
                               .seed = (uint64_t)seed};
    const compare_network_options network = {
        .file = random ? NULL : features, .layer = layer, .side = request.side, .seed = request.seed};
    nn_backend *backend;
    TRY(nn_cpu_create(threads, &backend, err));
    status result = none ? STATUS_OK : compare_network_create(backend, &network, &request.network, err);
    if (result == STATUS_OK) result = evaluate_with(context, given, &request, layer, err);
    compare_network_destroy(request.network);
    nn_backend_destroy(backend);
    return result;
}

status cli_evaluate(const cli_context *context, int count, char *const *words, error *err)
{
    argument_list given;
    TRY(arguments_parse(&table, count, words, &given, err));
    status result = arguments_has(&given, "help") ? cli_print_help(&table, err) : evaluate(context, &given, err);
    arguments_free(&given);
    return result;
}
