/* The commands. Each reads its words, works, and returns a status with one line in `err`; main.c turns that into a
 * message and an exit status.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <signal.h>

#include "base/log.h"
#include "base/status.h"
#include "cli/arguments.h"
#include "nn/backend.h"

#define CLI_VERSION "0.1.0"

typedef struct cli_context {
    log_sink *log;                     /* to stderr; a command sets `quiet` */
    const volatile sig_atomic_t *stop; /* the signal that asks to end, or 0 */
    volatile sig_atomic_t *listening;  /* 1; a command may make it 0 while it has nothing to save: then a signal ends
                                          the program at once, whatever it waits for */
} cli_context;

/* words: what follows the command's name. */
typedef status (*cli_command)(const cli_context *context, int count, char *const *words, error *err);

status cli_train(const cli_context *context, int count, char *const *words, error *err);
status cli_translate(const cli_context *context, int count, char *const *words, error *err);
status cli_export(const cli_context *context, int count, char *const *words, error *err);
status cli_evaluate(const cli_context *context, int count, char *const *words, error *err);
status cli_compare(const cli_context *context, int count, char *const *words, error *err);
status cli_fractals(const cli_context *context, int count, char *const *words, error *err);
status cli_inspect(const cli_context *context, int count, char *const *words, error *err);
status cli_gatys(const cli_context *context, int count, char *const *words, error *err);
status cli_sheet(const cli_context *context, int count, char *const *words, error *err);

/* A table's --help on the standard output. */
status cli_print_help(const argument_table *table, error *err);

/* What --device says: its choices are nn_device_names. */
nn_device cli_device(const argument_list *given);

/* A command that is told what to do by a config; its table has the option --help-markdown. */
typedef struct cli_config_command {
    const argument_table *table;
    const char *fields_title;                   /* stands above the config's fields in --help */
    void (*fields)(bool markdown, text *out);   /* the config's fields, for people or as a Markdown table */
    status (*run)(const cli_context *context, const argument_list *given, error *err);
} cli_config_command;

/* Parses the words; prints --help or --help-markdown, or runs the command. */
status cli_run_with_config(const cli_config_command *command, const cli_context *context, int count, char *const *words,
                           error *err);

#endif
