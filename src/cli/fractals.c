#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "fractal/fractal.h"
#include "image/image.h"

enum { MAX_THREADS = 1024, MAX_COUNT = 100000, MAX_SEED = 2147483647, QUALITY = 92 };

static const argument_option options[] = {
    {.name = "out", .letter = 'o', .value = "DIR", .required = true, .help = "folder for fractal_001.jpg and so on"},
    {.name = "number", .letter = 'n', .value = "N", .help = "how many (60)"},
    {.name = "size", .value = "PIXELS", .help = "of a side, 16 to 4096 (286)"},
    {.name = "seed", .value = "N", .help = "another seed, another set (1)"},
    {.name = "threads", .value = "N", .help = "threads of the CPU; 0: all cores (0)"},
    {.name = "quiet", .help = "say nothing but warnings and errors"},
};

static const argument_table table = {
    .command = "fractals",
    .summary = "Renders a set of fractals of many kinds, for training. The same seed gives the same set; files of the "
               "same names are replaced.",
    .options = options,
    .option_count = sizeof options / sizeof *options,
};

static status write_picture(const image *picture, const char *folder, int number, int digits, error *err)
{
    char *path = text_printf("%s/fractal_%0*d.jpg", folder, digits, number);
    if (!path) return error_no_memory(err, "a file name", 0);
    image_write_options jpeg = {.quality = QUALITY};
    status result = image_write(path, picture, &jpeg, err);
    free(path);
    return result;
}

static status render_set(const cli_context *context, fractal_set *set, image *picture, const char *folder, int count,
                         error *err)
{
    int digits = snprintf(NULL, 0, "%d", count);
    if (digits < 3) digits = 3;
    double begin = log_clock();
    progress bar = progress_start(context->log, "fractals", 0, (uint64_t)count);
    for (int i = 0; i < count; i++) {
        if (*context->stop)
            return error_set(err, STATUS_INTERRUPTED, "interrupted; %d of %d pictures are written", i, count);
        fractal_info info;
        TRY(fractal_set_next(set, picture->pixels, &info, err));
        TRY(write_picture(picture, folder, i + 1, digits, err));
        progress_update(&bar, (uint64_t)i + 1, info.family);
    }
    progress_finish(&bar);
    log_info(context->log, "%d picture%s in %.1f s", count, count == 1 ? "" : "s", log_clock() - begin);
    return STATUS_OK;
}

static status fractals(const cli_context *context, const argument_list *given, error *err)
{
    int count, size, seed, threads;
    const char *folder = arguments_value(given, "out");
    TRY(arguments_integer(given, "number", 1, MAX_COUNT, 60, &count, err));
    TRY(arguments_integer(given, "size", FRACTAL_MINIMUM_SIZE, FRACTAL_MAXIMUM_SIZE, 286, &size, err));
    TRY(arguments_integer(given, "seed", 0, MAX_SEED, 1, &seed, err));
    TRY(arguments_integer(given, "threads", 0, MAX_THREADS, 0, &threads, err));
    context->log->quiet = arguments_has(given, "quiet");
    TRY(file_make_folders(folder, err));
    fractal_set *set;
    TRY(fractal_set_create(&(fractal_options){.seed = (uint64_t)seed, .size = (size_t)size, .threads = threads}, &set,
                           err));
    image picture = {0};
    status result = image_create(&picture, (size_t)size, (size_t)size, err);
    if (result == STATUS_OK) result = render_set(context, set, &picture, folder, count, err);
    image_free(&picture);
    fractal_set_destroy(set);
    return result;
}

status cli_fractals(const cli_context *context, int count, char *const *words, error *err)
{
    argument_list given;
    TRY(arguments_parse(&table, count, words, &given, err));
    status result = arguments_has(&given, "help") ? cli_print_help(&table, err) : fractals(context, &given, err);
    arguments_free(&given);
    return result;
}
