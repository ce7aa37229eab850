#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a text that is too long, as with the path of a deep folder, the middle goes: what is wrong stands at the end. */
static void keep_both_ends(error *err, const char *whole, size_t length)
{
    size_t half = sizeof err->message / 2, rest = sizeof err->message - half; /* with the NUL */
    memcpy(err->message, whole, half - 3);
    memcpy(err->message + half - 3, "...", 3);
    memcpy(err->message + half, whole + length + 1 - rest, rest);
}

status error_set(error *err, status code, const char *format, ...)
{
    if (!err) return code;
    err->code = code;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length < sizeof err->message) return code;
    char *whole = malloc((size_t)length + 1);
    if (!whole) return code;
    va_start(arguments, format);
    vsnprintf(whole, (size_t)length + 1, format, arguments);
    va_end(arguments);
    keep_both_ends(err, whole, (size_t)length);
    free(whole);
    return code;
}

status error_prefix(error *err, const char *format, ...)
{
    if (!err) return STATUS_FAILED;
    status code = err->code == STATUS_OK ? STATUS_FAILED : err->code;
    error old = *err;
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *prefix = used >= 0 ? malloc((size_t)used + 1) : NULL;
    if (!prefix) return code;
    va_start(arguments, format);
    vsnprintf(prefix, (size_t)used + 1, format, arguments);
    va_end(arguments);
    error_set(err, err->code, "%s: %s", prefix, old.message);
    free(prefix);
    return code;
}

status error_no_memory(error *err, const char *what, unsigned long long bytes)
{
    return error_set(err, STATUS_NO_MEMORY, "out of memory: %s needs %llu bytes", what, bytes);
}
