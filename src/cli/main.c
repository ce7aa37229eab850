/* The program: chooses the command, hears signals, gives the exit status. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/cli.h"

typedef struct command {
    const char *name;
    cli_command run;
    const char *help;
} command;

static const command commands[] = {
    {"train", cli_train, "train a CycleGAN from a config file"},
    {"translate", cli_translate, "translate pictures with a trained generator"},
    {"export", cli_export, "write a trained generator as an ONNX file"},
    {"gatys", cli_gatys, "paint pictures in the style of others, by optimising each"},
    {"inspect", cli_inspect, "tell what a checkpoint, a run or a folder of pictures holds"},
    {"evaluate", cli_evaluate, "measure translated pictures against real ones"},
    {"compare", cli_compare, "set methods side by side: pictures, times, measures, a page"},
    {"fractals", cli_fractals, "render a set of fractals"},
    {"sheet", cli_sheet, "make a contact sheet of folders"},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

/* The signal that asked to end, or 0. */
static volatile sig_atomic_t stop_signal;

/* Whether the command looks at stop_signal; while it does not, a signal ends the program at once. */
static volatile sig_atomic_t listening = 1;

static void on_signal(int number)
{
    static const char message[] = "cyclegan: interrupted; there is nothing to save\n";
    if (!listening) {
        (void)!write(STDERR_FILENO, message, sizeof message - 1);
        _exit(128 + number);
    }
    stop_signal = number;
}

static void listen_to_signals(void)
{
    /* Once only: a second Ctrl-C ends the program at once. */
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND}, old;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigemptyset(&stop.sa_mask);
    sigemptyset(&ignore.sa_mask);
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* as nohup and & leave it */
            sigaction(numbers[i], &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL); /* a file over the limit is then a write that fails */
}

/* Where the standard streams are closed, the next file to be opened would take their number, and messages would be
 * written into it. Opened for reading, so that writing to them fails as before. */
static void occupy_standard_streams(void)
{
    for (int i = 0; i < 3; i++)
        if (fcntl(i, F_GETFD) < 0) (void)!open("/dev/null", O_RDONLY);
}

static void print_help(FILE *stream)
{
    fputs("usage: cyclegan COMMAND [OPTIONS]\n\n"
          "Unpaired image-to-image translation.\n\n", stream);
    for (size_t i = 0; i < COMMANDS; i++) fprintf(stream, "  %-12s%s\n", commands[i].name, commands[i].help);
    fputs("\n"
          "  -h, --help  print this text; 'cyclegan COMMAND --help' tells about a command\n"
          "  --version   print the version\n\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage or config, 129, 130 or 143 interrupted.\n", stream);
}

static status unknown_command(const char *word, error *err)
{
    const char *names[COMMANDS + 2];
    size_t count = 0;
    for (; count < COMMANDS; count++) names[count] = commands[count].name;
    names[count++] = "--help";
    names[count++] = "--version";
    const char *kind = word[0] == '-' ? "option" : "command", *nearest = text_nearest(word, names, count);
    char shown[200];
    text_printable(word, shown, sizeof shown);
    if (nearest)
        return error_set(err, STATUS_USAGE, "unknown %s '%s'; did you mean '%s'?", kind, shown, nearest);
    return error_set(err, STATUS_USAGE, "unknown %s '%s'; 'cyclegan --help' lists the commands", kind, shown);
}

static status dispatch(const cli_context *context, int argc, char **argv, error *err)
{
    if (argc < 2) {
        print_help(stderr);
        return error_set(err, STATUS_USAGE, "a command is missing");
    }
    const char *word = argv[1];
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, word) == 0) return commands[i].run(context, argc - 2, argv + 2, err);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
        print_help(stdout);
    else if (strcmp(word, "--version") == 0)
        puts("cyclegan " CLI_VERSION);
    else
        return unknown_command(word, err);
    return STATUS_OK;
}

static int exit_status(status result)
{
    switch (result) {
    case STATUS_OK: return 0;
    case STATUS_USAGE: return 2;
    case STATUS_INTERRUPTED: return 128 + (stop_signal ? (int)stop_signal : SIGINT);
    case STATUS_FAILED:
    case STATUS_NO_MEMORY:
    case STATUS_NOT_FINITE: break;
    }
    return 1;
}

/* OpenMP's threads spin for milliseconds where they wait for each other, which on a machine with other work to do
 * makes a training step ten times slower: the thread that is waited for cannot run. The library reads the length of
 * its spinning when it is loaded, so the program begins again with a short one, unless the user has chosen. */
static void shorten_spinning(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return;
    if (setenv("GOMP_SPINCOUNT", "1000", 1) == 0) execv("/proc/self/exe", argv); /* returns only when it failed */
}

int main(int argc, char **argv)
{
    shorten_spinning(argv);
    occupy_standard_streams();
    listen_to_signals();
    log_sink log = log_create(stderr, false);
    cli_context context = {.log = &log, .stop = &stop_signal, .listening = &listening};
    error err = {0};
    status result = dispatch(&context, argc, argv, &err);
    /* A full disk or a closed pipe shows only now. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && result == STATUS_OK)
        result = error_set(&err, STATUS_FAILED, "cannot write to the standard output");
    if (result != STATUS_OK && err.message[0]) log_error(&log, "%s", err.message);
    return exit_status(result);
}
