#include "translate/summary.h"

#include "base/text.h"

void translate_summary_log(const translate_summary *s, double seconds, log_sink *log)
{
    text line = {0};
    if (s->flattened)
        log_warn(log, "%zu picture%s lost transparency, which JPEG does not have, and stand%s on white",
                 s->flattened, s->flattened == 1 ? "" : "s", s->flattened == 1 ? "s" : "");
    text_format(&line, "%zu picture%s in %.1f s", s->made, s->made == 1 ? "" : "s", seconds);
    if (s->present) text_format(&line, ", %zu there already", s->present);
    if (s->left) text_format(&line, ", %zu left alone", s->left);
    if (s->failed) text_format(&line, ", %zu failed", s->failed);
    log_info(log, "%s", text_get(&line));
    text_free(&line);
}

status translate_summary_result(const translate_summary *s, size_t count, bool stopped, error *err)
{
    text line = {0};
    if (stopped)
        return error_set(err, STATUS_INTERRUPTED, "interrupted; %zu of %zu pictures are written", s->made + s->present,
                         count);
    if (!s->failed && !s->unread) return STATUS_OK;
    if (s->failed) text_format(&line, "%zu of %zu pictures failed", s->failed, count);
    if (s->unread)
        text_format(&line, "%s%zu input%s or folder%s could not be read", s->failed ? "; " : "", s->unread,
                    s->unread == 1 ? "" : "s", s->unread == 1 ? "" : "s");
    status result = error_set(err, STATUS_FAILED, "%s", text_get(&line));
    text_free(&line);
    return result;
}
