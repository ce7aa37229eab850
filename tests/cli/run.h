/* Running the program, for its output and exit status. */
#ifndef TESTS_CLI_RUN_H
#define TESTS_CLI_RUN_H

#include <sys/wait.h>

#include "cli/program.h"

/* Runs the program with `line`; output: stdout and stderr together, unless `line` redirects one. */
static inline int run(const char *line, char output[65536])
{
    char command[2048];
    snprintf(command, sizeof command, "'%s' %s%s", program(), line, strchr(line, '>') ? "" : " 2>&1");
    FILE *pipe = popen(command, "r");
    if (!pipe) return -1;
    size_t used = 0, n;
    while ((n = fread(output + used, 1, 65535 - used, pipe)) > 0) used += n;
    output[used] = '\0';
    int result = pclose(pipe);
    return WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

static inline void check_run(test *t, const char *line, int expected, const char *part)
{
    static char output[65536];
    int found = run(line, output);
    if (found != expected || !strstr(output, part))
        test_failed(t, __FILE__, __LINE__, "cyclegan %s: status %d, expected %d with '%s'; it wrote: %s", line, found,
                    expected, part, output);
}

#endif
