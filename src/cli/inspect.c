#include <stdio.h>

#include "cli/arguments.h"
#include "cli/cli.h"
#include "inspect/inspect.h"

enum { MAX_THREADS = 1024, MOST_PICTURES = 1000000000, LARGEST_SIDE = 65536, MOST_MEGAPIXELS = 1000000, TINY = 128 };

static const argument_option options[] = {
    {.name = "json", .help = "one JSON object a line for each argument, for machines"},
    {.name = "minimum", .value = "PIXELS", .help = "pictures with a shorter side below it are named as tiny (128)"},
    {.name = "most", .value = "N", .help = "look at N pictures of a folder, evenly spread; 0: all (0)"},
    {.name = "max-megapixels", .value = "N", .help = "larger pictures are not decoded (256)"},
    {.name = "tensors", .help = "list every tensor of a file"},
    {.name = "threads", .value = "N", .help = "threads of the CPU; 0: all cores (0)"},
    {.name = "quiet", .help = "say nothing but results, warnings and errors"},
};

static const argument_table table = {
    .command = "inspect",
    .summary = "Tells what a thing holds. Of a folder of pictures: how many, sizes, formats, and which are unreadable, "
               "duplicate, tiny, sideways or nearly constant. Of a run: its config, step and losses. Of a .safetensors "
               "file: architecture, sizes, step, domains, config, and the memory that it takes to use it.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .positional = "PATH",
    .positional_help = "folders of pictures, folders of runs, .safetensors files, pictures",
    .minimum = 1,
    .maximum = SIZE_MAX,
};

static status print_facts(const inspect_facts *facts, bool json, error *err)
{
    text line = {0};
    bool whole = !json || inspect_json_line(facts, &line);
    if (whole && json) printf("%s\n", text_get(&line));
    if (whole && !json) fputs(text_get(&facts->lines), stdout);
    text_free(&line);
    return whole ? STATUS_OK : error_no_memory(err, "what was found out", facts->lines.length);
}

/* Machines get a line for what fails, too. */
static void print_failure(const char *path, const error *problem)
{
    inspect_facts facts = {0};
    inspect_begin(&facts, path, "error");
    inspect_string(&facts, "error", problem->message);
    print_facts(&facts, true, NULL);
    inspect_facts_free(&facts);
}

/* *failed: whether something could not be told, or is damaged. */
static status inspect_one(const cli_context *context, const char *path, const inspect_options *o, bool json,
                          bool *failed, error *err)
{
    inspect_facts facts = {0};
    error problem = {0};
    status result = inspect_path(path, o, &facts, &problem);
    if (result == STATUS_INTERRUPTED) {
        *err = problem;
        return result;
    }
    *failed = *failed || result != STATUS_OK || facts.trouble;
    if (result != STATUS_OK) {
        log_error(context->log, "%s", problem.message);
        if (json) print_failure(path, &problem);
        return STATUS_OK;
    }
    result = print_facts(&facts, json, err);
    inspect_facts_free(&facts);
    return result;
}

static status inspect(const cli_context *context, const argument_list *given, error *err)
{
    int minimum, most, megapixels;
    bool json = arguments_has(given, "json"), failed = false;
    inspect_options o = {.tensors = arguments_has(given, "tensors"), .stop = context->stop};
    TRY(arguments_integer(given, "minimum", 0, LARGEST_SIDE, TINY, &minimum, err));
    TRY(arguments_integer(given, "most", 0, MOST_PICTURES, 0, &most, err));
    TRY(arguments_integer(given, "max-megapixels", 1, MOST_MEGAPIXELS, 256, &megapixels, err));
    TRY(arguments_integer(given, "threads", 0, MAX_THREADS, 0, &o.threads, err));
    o.minimum = (size_t)minimum;
    o.most = (size_t)most;
    o.max_pixels = (size_t)megapixels * 1000000;
    context->log->quiet = arguments_has(given, "quiet");
    for (size_t i = 0; i < given->positional_count; i++) {
        if (*context->stop) return STATUS_INTERRUPTED;
        TRY(inspect_one(context, given->positional[i], &o, json, &failed, err));
    }
    return failed ? STATUS_FAILED : STATUS_OK;
}

status cli_inspect(const cli_context *context, int count, char *const *words, error *err)
{
    argument_list given;
    TRY(arguments_parse(&table, count, words, &given, err));
    status result = arguments_has(&given, "help") ? cli_print_help(&table, err) : inspect(context, &given, err);
    arguments_free(&given);
    return result;
}
