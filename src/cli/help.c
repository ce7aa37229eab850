#include <stdio.h>

#include "cli/cli.h"

static status print(text *out, error *err)
{
    bool failed = out->failed;
    if (!failed) fputs(text_get(out), stdout);
    text_free(out);
    return failed ? error_no_memory(err, "the help", 0) : STATUS_OK;
}

status cli_print_help(const argument_table *table, error *err)
{
    text out = {0};
    arguments_help(table, &out);
    return print(&out, err);
}

static status print_fields(const cli_config_command *command, bool markdown, error *err)
{
    text out = {0};
    if (!markdown) {
        arguments_help(command->table, &out);
        text_format(&out, "\n%s:\n\n", command->fields_title);
    }
    command->fields(markdown, &out);
    return print(&out, err);
}

status cli_run_with_config(const cli_config_command *command, const cli_context *context, int count, char *const *words,
                           error *err)
{
    argument_list given;
    TRY(arguments_parse(command->table, count, words, &given, err));
    status result;
    if (arguments_has(&given, "help"))
        result = print_fields(command, false, err);
    else if (arguments_has(&given, "help-markdown"))
        result = print_fields(command, true, err);
    else
        result = command->run(context, &given, err);
    arguments_free(&given);
    return result;
}
