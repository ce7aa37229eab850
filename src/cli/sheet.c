#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "image/image.h"
#include "report/folders.h"

enum { LARGEST_CELL = 1024, MOST_PICTURES = 400 };

static const argument_option options[] = {
    {.name = "out", .letter = 'o', .value = "FILE", .required = true, .help = "the sheet: .png, .jpg or .webp"},
    {.name = "cell", .value = "PIXELS", .help = "side of a picture on it (128)"},
    {.name = "most", .value = "N", .help = "how many pictures, spread over the first folder (20)"},
    {.name = "columns", .value = "N", .help = "how many beside each other (10)"},
};

static const argument_table table = {
    .command = "sheet",
    .summary = "Makes a contact sheet of folders that hold the same pictures in different versions, a row a folder.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .positional = "[TITLE=]FOLDER",
    .positional_help = "the first says which pictures there are",
    .minimum = 1,
    .maximum = 64,
};

/* "TITLE=FOLDER", or a folder that is its own title. titles[i] is freed by the caller. */
static status read_rows(const argument_list *given, report_folder *rows, char **titles, error *err)
{
    for (size_t i = 0; i < given->positional_count; i++) {
        const char *word = given->positional[i], *equals = strchr(word, '=');
        titles[i] = equals ? text_printf("%.*s", (int)(equals - word), word) : text_copy(text_base_name(word));
        if (!titles[i]) return error_no_memory(err, word, strlen(word));
        rows[i] = (report_folder){titles[i], equals ? equals + 1 : word};
    }
    return STATUS_OK;
}

static status sheet(const argument_list *given, error *err)
{
    const char *path = arguments_value(given, "out");
    int cell, most, columns;
    TRY(arguments_integer(given, "cell", 8, LARGEST_CELL, 128, &cell, err));
    TRY(arguments_integer(given, "most", 1, MOST_PICTURES, 20, &most, err));
    TRY(arguments_integer(given, "columns", 1, MOST_PICTURES, 10, &columns, err));
    if (!image_extension_known(path))
        return error_set(err, STATUS_USAGE, "%s: a contact sheet is .png, .jpg, .jpeg or .webp", path);
    size_t count = given->positional_count;
    report_folder *rows = calloc(count, sizeof *rows);
    char **titles = calloc(count, sizeof *titles);
    status result = rows && titles ? read_rows(given, rows, titles, err) : error_no_memory(err, path, count);
    report_folders_options o = {.cell = (size_t)cell, .most = (size_t)most, .columns = (size_t)columns};
    for (size_t i = 0; i < count && result == STATUS_OK; i++)
        if (file_lies_in(path, rows[i].path))
            result = error_set(err, STATUS_FAILED, "%s would overwrite a picture of %s: choose another file", path,
                               rows[i].path);
    if (result == STATUS_OK) result = report_folders_write(path, rows, count, &o, err);
    if (result == STATUS_OK) printf("%s\n", path);
    for (size_t i = 0; titles && i < count; i++) free(titles[i]);
    free(titles);
    free(rows);
    return result;
}

status cli_sheet(const cli_context *context, int count, char *const *words, error *err)
{
    (void)context;
    argument_list given;
    TRY(arguments_parse(&table, count, words, &given, err));
    status result = arguments_has(&given, "help") ? cli_print_help(&table, err) : sheet(&given, err);
    arguments_free(&given);
    return result;
}
