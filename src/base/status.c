#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

status error_set(error *err, status code, const char *format, ...)
{
    if (!err) return code;
    err->code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    return code;
}

status error_prefix(error *err, const char *format, ...)
{
    if (!err) return STATUS_FAILED;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof err->message) {
        size_t room = sizeof err->message - (size_t)used;
        snprintf(err->message + used, room, ": %.*s", (int)room, old);
    }
    return err->code == STATUS_OK ? STATUS_FAILED : err->code;
}

status error_no_memory(error *err, const char *what, unsigned long long bytes)
{
    return error_set(err, STATUS_NO_MEMORY, "out of memory: %s needs %llu bytes", what, bytes);
}
