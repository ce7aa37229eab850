#define _GNU_SOURCE
#include "base/log.h"

#include <stdarg.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

log_sink log_create(FILE *stream, bool quiet)
{
    return (log_sink){.stream = stream, .quiet = quiet, .terminal = isatty(fileno(stream)) == 1};
}

static void write_line(log_sink *log, const char *prefix, const char *format, va_list arguments)
{
    if (log->bar_shown) fputs("\r\033[K", log->stream);
    log->bar_shown = false;
    fputs(prefix, log->stream);
    char message[4096], printable[2 * sizeof message];
    vsnprintf(message, sizeof message, format, arguments);
    /* A file's name can hold a newline or a terminal's escape codes. */
    fputs(text_printable(message, printable, sizeof printable), log->stream);
    fputc('\n', log->stream);
    fflush(log->stream);
}

void log_info(log_sink *log, const char *format, ...)
{
    if (log->quiet) return;
    va_list arguments;
    va_start(arguments, format);
    write_line(log, "", format, arguments);
    va_end(arguments);
}

void log_warn(log_sink *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(log, "warning: ", format, arguments);
    va_end(arguments);
}

void log_error(log_sink *log, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(log, "cyclegan: ", format, arguments);
    va_end(arguments);
}

double log_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

progress progress_start(log_sink *log, const char *label, uint64_t begin, uint64_t end)
{
    double now = log_clock();
    return (progress){.log = log, .label = label, .begin = begin, .end = end, .now = begin, .started = now,
                      .shown = now, .due = now + (log->terminal ? 0.1 : 10)};
}

/* A line longer than the terminal would wrap, and redrawing clears only its last row. 0: unknown. */
static size_t terminal_columns(FILE *stream)
{
    struct winsize size;
    return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

/* Cuts UTF-8 text to fewer than `columns` characters. */
static void cut(char *line, size_t columns)
{
    size_t used = 0;
    while (*line && (((unsigned char)*line & 0xc0) == 0x80 || ++used < columns)) line++;
    *line = '\0';
}

static void show(progress *bar, const char *note)
{
    enum { CELLS = 24 };
    double elapsed = log_clock() - bar->started;
    double done = (double)bar->now - (double)bar->begin, rate = elapsed > 0 ? done / elapsed : 0;
    double left = rate > 0 ? ((double)bar->end - (double)bar->now) / rate : -1;
    char cells[CELLS + 1], remaining[32], speed[32], line[512];
    int filled = bar->now < bar->end ? (int)((double)CELLS * (double)bar->now / (double)bar->end) : CELLS;
    for (int i = 0; i < CELLS; i++) cells[i] = i < filled ? '#' : '.';
    cells[CELLS] = '\0';
    text_duration(left, remaining, sizeof remaining);
    if (rate >= 1 || rate <= 0)
        snprintf(speed, sizeof speed, "%.1f/s", rate);
    else
        snprintf(speed, sizeof speed, "%.2f s each", 1 / rate);
    bool terminal = bar->log->terminal;
    snprintf(line, sizeof line, "%s %s%s%s%llu/%llu  %s  %s left%s%s", bar->label, terminal ? "[" : "",
             terminal ? cells : "", terminal ? "] " : "", (unsigned long long)bar->now, (unsigned long long)bar->end,
             speed, remaining, note && note[0] ? "  " : "", note ? note : "");
    FILE *out = bar->log->stream;
    size_t columns = terminal ? terminal_columns(out) : 0;
    if (columns > 1) cut(line, columns);
    fprintf(out, "%s%s%s", terminal ? "\r\033[K" : "", line, terminal ? "" : "\n");
    bar->log->bar_shown = terminal;
    fflush(out);
}

void progress_update(progress *bar, uint64_t now, const char *note)
{
    bar->now = now;
    double time = log_clock();
    if (bar->log->quiet || time < bar->due) return;
    bar->due = time + (bar->log->terminal ? 0.1 : 10);
    show(bar, note);
}

void progress_finish(progress *bar)
{
    if (bar->log->quiet) return;
    show(bar, NULL);
    if (bar->log->terminal) fputc('\n', bar->log->stream);
    bar->log->bar_shown = false;
    fflush(bar->log->stream);
}
