#include "inspect/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image/image.h"

/* A header of JSON behind its length, in a file of that length at least. */
static bool looks_like_safetensors(const unsigned char *head, size_t read, uint64_t size)
{
    uint64_t length = 0;
    for (int i = 7; read > 8 && i >= 0; i--) length = length << 8 | head[i];
    return read > 8 && head[8] == '{' && length <= size;
}

static bool looks_like_picture(const unsigned char *head, size_t read)
{
    static const char *const marks[] = {"\x89PNG", "\xff\xd8\xff", "RIFF"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (read >= strlen(marks[i]) && memcmp(head, marks[i], strlen(marks[i])) == 0) return true;
    return false;
}

static status inspect_file(const char *path, const struct stat *info, const inspect_options *options,
                           inspect_facts *facts, error *err)
{
    unsigned char head[9];
    FILE *file = fopen(path, "rbe");
    if (!file) return error_set(err, STATUS_FAILED, "%s: cannot open: %s", path, strerror(errno));
    size_t read = fread(head, 1, sizeof head, file);
    fclose(file);
    /* By the name too, so that the readers say what is wrong with a damaged file. */
    if (text_ends_with_ignoring_case(path, ".safetensors") ||
        looks_like_safetensors(head, read, (uint64_t)info->st_size))
        return inspect_weights(path, options, facts, err);
    if (image_extension_known(path) || looks_like_picture(head, read))
        return inspect_picture(path, options, facts, err);
    return error_set(err, STATUS_FAILED, "%s: expected a picture (PNG, JPEG, WebP), a .safetensors file, or a folder "
                     "of pictures or of a run, found something else", path);
}

status inspect_path(const char *path, const inspect_options *options, inspect_facts *facts, error *err)
{
    struct stat info;
    status result;
    if (stat(path, &info) != 0)
        return error_set(err, STATUS_FAILED, "%s: cannot read: %s", path, strerror(errno));
    if (S_ISDIR(info.st_mode) && inspect_is_run(path))
        result = inspect_run(path, options, facts, err);
    else if (S_ISDIR(info.st_mode))
        result = inspect_picture_folder(path, options, facts, err);
    else if (S_ISREG(info.st_mode))
        result = inspect_file(path, &info, options, facts, err);
    else /* reading it might wait for ever */
        result = error_set(err, STATUS_FAILED, "%s: expected a file or a folder, found a pipe, socket or device", path);
    if (result == STATUS_OK && (facts->failed || facts->lines.failed))
        result = error_no_memory(err, "what was found out", facts->lines.length);
    if (result != STATUS_OK) inspect_facts_free(facts);
    return result;
}
