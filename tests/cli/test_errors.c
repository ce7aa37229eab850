#define _XOPEN_SOURCE 700 /* realpath, mkdtemp */
/* docs/errors.md against the program: each row's message is provoked, and compared with what the program says and
 * with the exit status of the row.
 *
 * tests/cli/errors.txt holds the cases: a line "= MESSAGE", as the row has it, and below it the shell commands, of
 * which the last one's status counts. They run in a folder of their own, a copy of what the first part, "= setup",
 * made; $C is the program, $ROOT the folder of the sources. "<name>" in a message stands for any text. "= needs COMMAND" after a message skips the case
 * where the command fails.
 */
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "test.h"

enum { MAX_ROWS = 400, MAX_OUTPUT = 1 << 16 };

typedef struct row {
    char *message;
    int status;
    int cases; /* that ran, or were skipped */
} row;

typedef struct sheet {
    char *document, *script;
    row rows[MAX_ROWS];
    size_t count;
    char folder[64];
} sheet;

static char *read_text(test *t, const char *path)
{
    error err = {0};
    char *bytes = NULL;
    size_t size;
    if (file_read_all(path, 1 << 20, &bytes, &size, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    return bytes;
}

/* Rows look so: | `message` | 1 | what to do | */
static void read_rows(test *t, sheet *s)
{
    for (char *line = s->document, *next; line && *line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = '\0';
        if (strncmp(line, "| `", 3) != 0) continue;
        char *end = strstr(line + 3, "` | ");
        int expected;
        char help[8];
        if (!end || sscanf(end + 4, "%d | %7s", &expected, help) != 2 || s->count == MAX_ROWS) {
            test_failed(t, __FILE__, __LINE__, "not a row of message, status and help: %s", line);
            continue;
        }
        *end = '\0';
        s->rows[s->count++] = (row){.message = line + 3, .status = expected};
    }
}

static row *find_row(sheet *s, const char *message)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->rows[i].message, message) == 0) return &s->rows[i];
    return NULL;
}

/* Whether the line is the message, "<...>" standing for one character or more. */
static bool matches(const char *line, size_t length, const char *message)
{
    const char *open = strchr(message, '<'), *close = open ? strchr(open, '>') : NULL;
    if (!close) return strlen(message) == length && memcmp(line, message, length) == 0;
    size_t literal = (size_t)(open - message);
    if (length < literal || memcmp(line, message, literal) != 0) return false;
    for (size_t skipped = literal + 1; skipped <= length; skipped++)
        if (matches(line + skipped, length - skipped, close + 1)) return true;
    return false;
}

static bool says(const char *output, const char *message)
{
    static const char *const prefixes[] = {"", "cyclegan: ", "warning: "};
    for (const char *line = output; *line;) {
        size_t length = strcspn(line, "\n");
        for (size_t i = 0; i < 3; i++) {
            size_t prefix = strlen(prefixes[i]);
            if (strncmp(line, prefixes[i], prefix) == 0 && matches(line + prefix, length - prefix, message)) return true;
        }
        line += length + (line[length] == '\n');
    }
    return false;
}

/* Runs the commands in `folder`; both streams go to output. */
static int run_script(const char *folder, const char *script, char output[MAX_OUTPUT])
{
    char path[128], command[512];
    error err = {0};
    snprintf(path, sizeof path, "%s.sh", folder);
    if (file_write_all(path, script, strlen(script), &err) != STATUS_OK) return -1;
    snprintf(command, sizeof command, "cd '%s' && sh '%s' 2>&1 </dev/null", folder, path);
    FILE *pipe = popen(command, "r");
    if (!pipe) return -1;
    size_t used = 0, n;
    while ((n = fread(output + used, 1, MAX_OUTPUT - 1 - used, pipe)) > 0) used += n;
    while (fgetc(pipe) != EOF) continue; /* a closed pipe would end the program */
    output[used] = '\0';
    int result = pclose(pipe);
    return WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result);
}

static int shell(const char *format, const char *a, const char *b)
{
    char command[512];
    snprintf(command, sizeof command, format, a, b);
    return system(command);
}

static void run_case(test *t, sheet *s, const char *message, const char *script, size_t number)
{
    static char output[MAX_OUTPUT];
    row *r = find_row(s, message);
    if (!r) {
        test_failed(t, __FILE__, __LINE__, "docs/errors.md has no row: %s", message);
        return;
    }
    r->cases++;
    const char needs[] = "= needs ";
    if (strncmp(script, needs, sizeof needs - 1) == 0) {
        char *condition = text_copy(script + sizeof needs - 1);
        condition[strcspn(condition, "\n")] = '\0';
        int missing = shell("(%s) >/dev/null 2>&1%s", condition, "");
        free(condition);
        script = strchr(script, '\n') + 1;
        if (missing) return;
    }
    char folder[96];
    snprintf(folder, sizeof folder, "%s/case%zu", s->folder, number);
    if (shell("cp -r '%s/base' '%s'", s->folder, folder) != 0) return;
    int found = run_script(folder, script, output);
    if (found != r->status || !says(output, message))
        test_failed(t, __FILE__, __LINE__, "row `%s`: expected status %d, found %d with:\n%s", message, r->status,
                    found, output);
    shell("chmod -R u+rwX '%s'; rm -rf '%s'", folder, folder);
}

/* Splits the script at its "= " lines, runs setup and cases. */
static void run_cases(test *t, sheet *s)
{
    static char output[MAX_OUTPUT];
    size_t number = 0;
    for (char *at = strstr(s->script, "\n= "), *next; at; at = next) {
        char *message = at + 3, *body = strchr(message, '\n');
        if (!body) break;
        *body++ = '\0';
        next = body;
        do next = strstr(next, "\n= "); while (next && strncmp(next, "\n= needs ", 9) == 0 && (next += 2));
        if (next) *next = '\0';
        if (strcmp(message, "setup") != 0) {
            run_case(t, s, message, body, ++number);
            continue;
        }
        char base[96];
        snprintf(base, sizeof base, "%s/base", s->folder);
        if (mkdir(base, 0755) != 0 || run_script(base, body, output) != 0) {
            test_failed(t, __FILE__, __LINE__, "setup: %s", output);
            return;
        }
    }
}

static void every_row_is_true(test *t)
{
    const char *given = getenv("CYCLEGAN");
    char *program = realpath(given ? given : "build/cyclegan", NULL);
    if (!program) SKIP(t, "the program is not built");
    static sheet s;
    snprintf(s.folder, sizeof s.folder, "/tmp/cyclegan-errors-XXXXXX");
    char *root = realpath(".", NULL);
    setenv("C", program, 1);
    setenv("ROOT", root, 1);
    free(root);
    free(program);
    REQUIRE(t, mkdtemp(s.folder));
    s.document = read_text(t, "docs/errors.md");
    s.script = read_text(t, "tests/cli/errors.txt");
    if (s.document && s.script) {
        read_rows(t, &s);
        CHECK(t, s.count > 0);
        run_cases(t, &s);
        for (size_t i = 0; i < s.count; i++)
            if (!s.rows[i].cases) test_failed(t, __FILE__, __LINE__, "no case for the row: %s", s.rows[i].message);
    }
    free(s.document);
    free(s.script);
    shell("rm -rf '%s'%s", s.folder, "");
}

TEST_MAIN(TEST(every_row_is_true))
