#define _GNU_SOURCE /* for a pseudo-terminal */
#include "base/log.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "test.h"

/* What was written to a stream in memory; `terminal` makes the sink believe that a person watches. */
typedef struct capture {
    char *data;
    size_t size;
    log_sink log;
} capture;

static void capture_start(capture *c, bool quiet, bool terminal)
{
    *c = (capture){0};
    FILE *stream = open_memstream(&c->data, &c->size);
    c->log = log_create(stream, quiet);
    c->log.terminal = terminal;
}

static const char *capture_text(capture *c)
{
    fflush(c->log.stream);
    return c->data;
}

static void capture_end(capture *c)
{
    fclose(c->log.stream);
    free(c->data);
}

static void messages(test *t)
{
    capture c;
    capture_start(&c, false, false);
    CHECK(t, !log_create(c.log.stream, false).terminal);
    log_info(&c.log, "%d images", 60);
    log_warn(&c.log, "one is %s", "odd");
    log_error(&c.log, "no such file");
    CHECK_TEXT(t, capture_text(&c), "60 images\nwarning: one is odd\ncyclegan: no such file\n");
    capture_end(&c);
}

static void quiet_keeps_warnings(test *t)
{
    capture c;
    capture_start(&c, true, true);
    log_info(&c.log, "dropped");
    log_warn(&c.log, "kept");
    progress bar = progress_start(&c.log, "train", 0, 10);
    bar.due = 0;
    progress_update(&bar, 5, NULL);
    progress_finish(&bar);
    CHECK_TEXT(t, capture_text(&c), "warning: kept\n");
    capture_end(&c);
}

static void a_message_is_one_harmless_line(test *t)
{
    capture c;
    capture_start(&c, false, false);
    log_error(&c.log, "cannot open %s", "a\nb\x1b[2Jc.png");
    CHECK_TEXT(t, capture_text(&c), "cyclegan: cannot open a\\x0ab\\x1b[2Jc.png\n");
    capture_end(&c);
    char name[10000];
    memset(name, '\n', sizeof name);
    name[sizeof name - 1] = '\0';
    capture_start(&c, false, false);
    log_info(&c.log, "%s", name);
    const char *written = capture_text(&c);
    CHECK(t, strchr(written, '\n') == written + strlen(written) - 1);
    capture_end(&c);
}

static void plain_lines_without_a_terminal(test *t)
{
    capture c;
    capture_start(&c, false, false);
    progress bar = progress_start(&c.log, "train", 0, 200);
    CHECK(t, bar.due > log_clock() + 9 && bar.due < log_clock() + 11);
    progress_update(&bar, 1, "not yet due");
    CHECK_TEXT(t, capture_text(&c) ? c.data : "", "");
    bar.due = 0;
    progress_update(&bar, 50, "cycle 0.31");
    CHECK(t, bar.due > log_clock() + 9);
    progress_finish(&bar);
    const char *written = capture_text(&c);
    CHECK_CONTAINS(t, written, "train 50/200  ");
    CHECK_CONTAINS(t, written, " left  cycle 0.31\n");
    CHECK(t, !strchr(written, '\r') && !strchr(written, '\033'));
    capture_end(&c);
}

static void a_message_clears_the_bar(test *t)
{
    capture c;
    capture_start(&c, false, true);
    progress bar = progress_start(&c.log, "train", 0, 4);
    bar.due = 0;
    progress_update(&bar, 1, NULL);
    CHECK(t, c.log.bar_shown);
    CHECK_CONTAINS(t, capture_text(&c), "\r\033[Ktrain [######..................] 1/4");
    log_info(&c.log, "saved");
    CHECK(t, !c.log.bar_shown);
    CHECK_CONTAINS(t, capture_text(&c), " left\r\033[Ksaved\n");
    progress_update(&bar, 4, NULL);
    progress_finish(&bar);
    const char *written = capture_text(&c);
    CHECK_CONTAINS(t, written, "[########################] 4/4");
    CHECK(t, written[strlen(written) - 1] == '\n' && !c.log.bar_shown);
    capture_end(&c);
}

static void a_resumed_bar_counts_only_its_own_work(test *t)
{
    capture c;
    capture_start(&c, false, false);
    progress bar = progress_start(&c.log, "train", 100, 200);
    bar.started -= 25; /* as if 25 seconds had passed */
    bar.due = 0;
    progress_update(&bar, 150, NULL);
    CHECK_CONTAINS(t, capture_text(&c), "150/200  2.0/s  0:25 left");
    bar.due = 0;
    bar.started -= 75;
    progress_update(&bar, 125, NULL);
    CHECK_CONTAINS(t, capture_text(&c), "125/200  4.00 s each  5:00 left");
    capture_end(&c);
}

static void odd_counts(test *t)
{
    capture c;
    capture_start(&c, false, true);
    progress bar = progress_start(&c.log, "none", 0, 0);
    progress_finish(&bar);
    bar = progress_start(&c.log, "beyond", 0, 3);
    progress_update(&bar, 9, NULL);
    progress_finish(&bar);
    CHECK_CONTAINS(t, capture_text(&c), "beyond [########################] 9/3");
    capture_end(&c);
}

/* A line that wraps could not be redrawn in place. */
static void the_bar_fits_the_terminal(test *t)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0) SKIP(t, "no pseudo-terminals here");
    FILE *slave = fopen(ptsname(master), "w");
    if (!slave) SKIP(t, "no pseudo-terminals here");
    struct winsize size = {.ws_row = 24, .ws_col = 40};
    REQUIRE(t, ioctl(master, TIOCSWINSZ, &size) == 0);
    log_sink log = log_create(slave, false);
    CHECK(t, log.terminal);
    progress bar = progress_start(&log, "train", 0, 1000);
    bar.due = 0;
    progress_update(&bar, 10, "a note that is much longer than the terminal is wide");
    char written[256] = "";
    ssize_t n = read(master, written, sizeof written - 1);
    CHECK(t, n == 4 + 39); /* "\r\033[K" and one column less than there are */
    CHECK(t, strncmp(written, "\r\033[Ktrain [", 11) == 0);
    fclose(slave);
    close(master);
}

TEST_MAIN(TEST(messages), TEST(quiet_keeps_warnings), TEST(a_message_is_one_harmless_line),
          TEST(plain_lines_without_a_terminal), TEST(a_message_clears_the_bar),
          TEST(a_resumed_bar_counts_only_its_own_work), TEST(odd_counts), TEST(the_bar_fits_the_terminal))
