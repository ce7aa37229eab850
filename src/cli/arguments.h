/* A command's options and arguments: parsing, checking and --help from one table.
 *
 *     static const argument_option options[] = {
 *         {.name = "model", .value = "FILE", .required = true, .help = "the generator"},
 *         {.name = "quiet", .help = "say nothing but warnings and errors"},
 *     };
 *     static const argument_table table = {.command = "translate", .summary = "Translates pictures.",
 *         .options = options, .option_count = 2, .positional = "INPUT", .minimum = 1, .maximum = SIZE_MAX};
 *     argument_list given;
 *     TRY(arguments_parse(&table, argc, argv, &given, err));
 *     const char *model = arguments_value(&given, "model");
 *     arguments_free(&given);
 *
 * Understood: --name VALUE, --name=VALUE, -x VALUE, and -- before arguments that begin with '-'. Every table has
 * -h and --help beside its own options.
 */
#ifndef CLI_ARGUMENTS_H
#define CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"

typedef struct argument_option {
    const char *name;           /* "model" for --model */
    char letter;                /* 'o' for -o; 0: none */
    const char *value;          /* placeholder of its value, "FILE"; NULL: a flag */
    const char *const *choices; /* allowed values, ends with NULL; NULL: any */
    const char *help;
    bool required;
    bool repeated; /* may be given several times */
    bool ends;     /* a flag like --help: what follows is not read, and nothing is missing */
} argument_option;

typedef struct argument_table {
    const char *command; /* "translate" */
    const char *summary; /* one sentence or more */
    const argument_option *options;
    size_t option_count;
    const char *positional, *positional_help; /* placeholder and help of the arguments; NULL: none are allowed */
    size_t minimum, maximum;                  /* how many of them */
} argument_table;

typedef struct argument_given {
    const argument_option *option;
    const char *value; /* NULL for a flag */
} argument_given;

/* What was found; the strings are argv's. */
typedef struct argument_list {
    const argument_table *table;
    argument_given *given; /* in their order */
    size_t given_count;
    const char **positional;
    size_t positional_count;
} argument_list;

/* words: what follows the command's name. STATUS_USAGE for an unknown option (naming the nearest known one), a value
 * that is missing, not allowed or not among the choices, an option given twice, required ones that are missing, too
 * few or too many arguments. Free with arguments_free; nothing is held after a failure. */
status arguments_parse(const argument_table *table, int count, char *const *words, argument_list *out, error *err);
void arguments_free(argument_list *a);

/* Whether the option was given. */
bool arguments_has(const argument_list *a, const char *name);
/* Its value; NULL when it was not given. */
const char *arguments_value(const argument_list *a, const char *name);
/* Its values in their order, as a new array that the caller frees; *out is NULL when *count is 0. */
status arguments_values(const argument_list *a, const char *name, const char ***out, size_t *count, error *err);
/* Its value as a whole number; `fallback` when it was not given. STATUS_USAGE when it is none from minimum to
 * maximum. */
status arguments_integer(const argument_list *a, const char *name, int minimum, int maximum, int fallback, int *out,
                         error *err);

/* Its value as a number of bytes, "500M" or "1.5G" (powers of 1024); `fallback` when it was not given. STATUS_USAGE when
 * it is no such number, or below `minimum`. */
status arguments_bytes(const argument_list *a, const char *name, double minimum, double fallback, double *out,
                       error *err);

/* The text of --help. */
void arguments_help(const argument_table *table, text *out);

#endif
