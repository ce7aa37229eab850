#include "models/format.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

status model_format_check(const safetensors_file *file, error *err)
{
    const char *format = safetensors_metadata_get(file, MODEL_FORMAT_KEY);
    if (!format || strcmp(format, MODEL_FORMAT) == 0) return STATUS_OK;
    bool number = *format && strspn(format, "0123456789") == strlen(format);
    if (number && strtoull(format, NULL, 10) > strtoull(MODEL_FORMAT, NULL, 10))
        return error_set(err, STATUS_FAILED, "is of format %.80s; this program reads up to " MODEL_FORMAT, format);
    return error_set(err, STATUS_FAILED, "metadata '" MODEL_FORMAT_KEY "': expected " MODEL_FORMAT ", found '%.80s'",
                     format);
}

status model_file_open(const char *path, safetensors_file **out, error *err)
{
    *out = NULL;
    safetensors_file *file;
    TRY(safetensors_open(path, &file, err));
    status result = model_format_check(file, err);
    result = result == STATUS_OK ? safetensors_verify(file, err) : error_prefix(err, "%s", path);
    if (result == STATUS_OK)
        *out = file;
    else
        safetensors_close(file);
    return result;
}
