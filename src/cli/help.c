#include <stdio.h>

#include "cli/cli.h"

status cli_print_help(const argument_table *table, error *err)
{
    text out = {0};
    arguments_help(table, &out);
    bool failed = out.failed;
    if (!failed) fputs(text_get(&out), stdout);
    text_free(&out);
    return failed ? error_no_memory(err, "the help", 0) : STATUS_OK;
}
