#define _DEFAULT_SOURCE /* wait4 */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MILLISECONDS_BETWEEN_LOOKS = 200 };

/* What goes through the pipe: events, then how the method ended. */
typedef struct message {
    bool ended;
    status result; /* at the end; event.message is the error's */
    comparison_event event;
} message;

static bool send_message(int to, const message *m)
{
    const char *bytes = (const char *)m;
    for (size_t sent = 0; sent < sizeof *m;) {
        ssize_t n = write(to, bytes + sent, sizeof *m - sent);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        sent += (size_t)n;
    }
    return true;
}

static status send_event(void *context, const comparison_event *event, error *err)
{
    const message m = {.event = *event};
    if (send_message(*(const int *)context, &m)) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "the comparison has ended");
}

/* Never returns. What the parent has buffered for its standard streams stays the parent's: _exit writes nothing. */
static void be_child(const comparison_job *job, int to)
{
    error err = {0};
    log_sink quiet = log_create(stderr, true); /* the progress bar is the parent's */
    comparison_job own = *job;
    comparison_listener listener = {&to, send_event};
    message end = {.ended = true};
    own.log = &quiet;
    end.result = comparison_method_run(&own, &listener, &err);
    snprintf(end.event.message, sizeof end.event.message, "%s", err.message);
    (void)send_message(to, &end);
    _exit(end.result == STATUS_OK ? 0 : 1);
}

/* 1: there is something to read; 0: not yet; -1: it failed. */
static int wait_for_bytes(int from)
{
    struct pollfd p = {.fd = from, .events = POLLIN};
    int n = poll(&p, 1, MILLISECONDS_BETWEEN_LOOKS);
    return n < 0 && errno != EINTR ? -1 : n > 0;
}

/* A signal may have been sent to this process alone: the child is told once. */
static bool read_message(int from, pid_t child, const volatile sig_atomic_t *stop, bool *told, message *out)
{
    size_t got = 0;
    while (got < sizeof *out) {
        if (stop && *stop && !*told) *told = kill(child, SIGTERM) == 0;
        int ready = wait_for_bytes(from);
        if (ready < 0) return false;
        if (ready == 0) continue;
        ssize_t n = read(from, (char *)out + got, sizeof *out - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

static status how_it_ended(int code, error *err)
{
    if (WIFSIGNALED(code) && WTERMSIG(code) == SIGKILL)
        return error_set(err, STATUS_FAILED, "its process was killed (signal 9), as happens when memory runs out");
    if (WIFSIGNALED(code)) return error_set(err, STATUS_FAILED, "its process died of signal %d", WTERMSIG(code));
    return error_set(err, STATUS_FAILED, "its process ended without a word");
}

static status be_parent(const comparison_job *job, pid_t child, int from, const comparison_listener *listener,
                        double *peak_bytes, error *err)
{
    message m = {0};
    bool told = false;
    status result = STATUS_OK;
    while (!m.ended && read_message(from, child, job->stop, &told, &m))
        if (!m.ended && result == STATUS_OK) result = listener->hear(listener->context, &m.event, err);
    close(from); /* a child that still writes then ends */
    int code = 0;
    struct rusage used;
    pid_t waited;
    while ((waited = wait4(child, &code, 0, &used)) < 0 && errno == EINTR) {}
    if (waited == child) *peak_bytes = (double)used.ru_maxrss * 1024;
    if (result != STATUS_OK) return result;
    if (!m.ended) return how_it_ended(code, err);
    return m.result == STATUS_OK ? STATUS_OK : error_set(err, m.result, "%s", m.event.message);
}

status cli_launch(void *context, const comparison_job *job, const comparison_listener *listener, double *peak_bytes,
                  error *err)
{
    int ends[2];
    (void)context;
    *peak_bytes = NAN;
    if (pipe(ends) != 0) return error_set(err, STATUS_FAILED, "cannot start a process: %s", strerror(errno));
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]); /* so that writing fails when the parent is gone */
        be_child(job, ends[1]);
    }
    close(ends[1]);
    if (child > 0) return be_parent(job, child, ends[0], listener, peak_bytes, err);
    int number = errno;
    close(ends[0]);
    return error_set(err, STATUS_FAILED, "cannot start a process: %s", strerror(number));
}
