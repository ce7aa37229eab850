/* The option parser: what it understands, every refusal, and the help. */
#include "cli/arguments.h"
#include "test.h"

static const char *const colours[] = {"red", "green", NULL};
static const argument_option options[] = {
    {.name = "model", .value = "FILE", .required = true, .help = "the model"},
    {.name = "out", .letter = 'o', .value = "DIR", .help = "where to"},
    {.name = "set", .value = "KEY=VALUE", .repeated = true, .help = "a field"},
    {.name = "colour", .value = "red|green", .choices = colours, .help = "of the house"},
    {.name = "threads", .value = "N", .help = "a number and a text that is long enough to be continued on a second "
                                              "line of the help"},
    {.name = "quiet", .help = "say nothing"},
};
static const argument_table table = {.command = "paint", .summary = "Paints.", .options = options,
                                     .option_count = sizeof options / sizeof *options, .positional = "INPUT",
                                     .positional_help = "what to paint", .minimum = 1, .maximum = 2};

enum { MOST = 12 };

typedef struct words {
    char *items[MOST];
    int count;
} words;

/* Splits at spaces. */
static words split(char *line)
{
    words w = {.count = 0};
    for (char *word = strtok(line, " "); word && w.count < MOST; word = strtok(NULL, " ")) w.items[w.count++] = word;
    return w;
}

static status parse(const char *text_line, argument_list *out, error *err)
{
    static char line[256]; /* the result points into it */
    snprintf(line, sizeof line, "%s", text_line);
    words w = split(line);
    *err = (error){0};
    return arguments_parse(&table, w.count, w.items, out, err);
}

static void check_refused(test *t, const char *line, const char *part)
{
    argument_list a;
    error err;
    status result = parse(line, &a, &err);
    if (result != STATUS_USAGE) test_failed(t, __FILE__, __LINE__, "\"%s\" gives status %d", line, result);
    CHECK_CONTAINS(t, err.message, part);
    CHECK(t, strncmp(err.message, "paint: ", 7) == 0);
    CHECK(t, a.given == NULL && a.positional == NULL);
    arguments_free(&a);
}

static void understands(test *t)
{
    argument_list a;
    error err;
    REQUIRE_OK(t, parse("one --model m.st -o dir --set a=1 two --set=b=2=3 --quiet", &a, &err), err);
    CHECK_TEXT(t, arguments_value(&a, "model"), "m.st");
    CHECK_TEXT(t, arguments_value(&a, "out"), "dir");
    CHECK(t, arguments_has(&a, "quiet") && !arguments_has(&a, "colour"));
    CHECK(t, arguments_value(&a, "colour") == NULL);
    const char **values;
    size_t count;
    REQUIRE_OK(t, arguments_values(&a, "set", &values, &count, &err), err);
    REQUIRE(t, count == 2);
    CHECK_TEXT(t, values[0], "a=1");
    CHECK_TEXT(t, values[1], "b=2=3");
    free(values);
    REQUIRE(t, a.positional_count == 2);
    CHECK_TEXT(t, a.positional[0], "one");
    CHECK_TEXT(t, a.positional[1], "two");
    arguments_free(&a);
}

static void understands_dashes(test *t)
{
    argument_list a;
    error err;
    REQUIRE_OK(t, parse("--model=--out - -- --quiet", &a, &err), err);
    CHECK_TEXT(t, arguments_value(&a, "model"), "--out");
    CHECK(t, !arguments_has(&a, "quiet"));
    REQUIRE(t, a.positional_count == 2);
    CHECK_TEXT(t, a.positional[0], "-");
    CHECK_TEXT(t, a.positional[1], "--quiet");
    arguments_free(&a);
    REQUIRE_OK(t, parse("x --model m --threads -3 --out=", &a, &err), err);
    CHECK_TEXT(t, arguments_value(&a, "threads"), "-3");
    CHECK_TEXT(t, arguments_value(&a, "out"), "");
    arguments_free(&a);
}

static void refuses(test *t)
{
    check_refused(t, "x --modle m", "unknown option '--modle'; did you mean '--model'?");
    check_refused(t, "x --colr=red", "unknown option '--colr'; did you mean '--colour'?");
    check_refused(t, "x --hlep", "did you mean '--help'?");
    check_refused(t, "x --zzzzzzzzz", "'cyclegan paint --help'");
    check_refused(t, "x -z", "unknown option '-z'");
    check_refused(t, "x -ofile", "unknown option '-ofile'");
    check_refused(t, "x --model", "--model needs a value: --model FILE");
    check_refused(t, "x --model --out dir", "--model needs a value");
    check_refused(t, "x --model -o dir", "--model needs a value");
    check_refused(t, "x --quiet=1 --model m", "--quiet takes no value");
    check_refused(t, "x --model m --model n", "--model is given twice");
    check_refused(t, "x --model m --colour gren", "expected one of red, green, found 'gren'; did you mean 'green'?");
    check_refused(t, "x", "--model FILE is missing");
    check_refused(t, "--model m", "INPUT is missing");
    check_refused(t, "x y z --model m", "expected 2 arguments, found also 'z'");
}

static void reads_numbers(test *t)
{
    static const char *const wrong[] = {"0", "65", "abc", "", "7x", "99999999999999999999", "1.5"};
    argument_list a;
    error err;
    int number;
    REQUIRE_OK(t, parse("x --model m --threads 64", &a, &err), err);
    CHECK(t, arguments_integer(&a, "threads", 1, 64, 5, &number, &err) == STATUS_OK && number == 64);
    arguments_free(&a);
    REQUIRE_OK(t, parse("x --model m", &a, &err), err);
    CHECK(t, arguments_integer(&a, "threads", 1, 64, 5, &number, &err) == STATUS_OK && number == 5);
    arguments_free(&a);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char line[64];
        snprintf(line, sizeof line, "x --model m --threads=%s", wrong[i]);
        REQUIRE_OK(t, parse(line, &a, &err), err);
        CHECK(t, arguments_integer(&a, "threads", 1, 64, 5, &number, &err) == STATUS_USAGE);
        CHECK_CONTAINS(t, err.message, "expected a whole number from 1 to 64");
        arguments_free(&a);
    }
}

static void reads_sizes(test *t)
{
    static const struct {
        const char *word;
        double bytes; /* 0: refused */
    } sizes[] = {{"100", 100}, {"1K", 1024}, {"1.5M", 1.5 * (1 << 20)}, {"2G", 2.0 * (1 << 30)}, {"1T", 1e12 * 1.099511627776},
                 {"99", 0}, {"", 0}, {"G", 0}, {"2GB", 0}, {"2 G", 0}, {"-5G", 0}, {"nan", 0}, {"inf", 0}, {"1e99", 0},
                 {"x2G", 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        argument_list a;
        error err = {0};
        double bytes = -1;
        const char *line[] = {"x", "--model", "m", "--threads", sizes[i].word};
        REQUIRE_OK(t, arguments_parse(&table, 5, (char *const *)(uintptr_t)line, &a, &err), err);
        status result = arguments_bytes(&a, "threads", 100, 7, &bytes, &err);
        CHECK(t, result == (sizes[i].bytes > 0 ? STATUS_OK : STATUS_USAGE));
        CHECK(t, bytes == (sizes[i].bytes > 0 ? sizes[i].bytes : 7));
        if (result != STATUS_OK) CHECK_CONTAINS(t, err.message, "expected a size of at least 100 B, like 500M or 2G");
        arguments_free(&a);
    }
}

static void helps(test *t)
{
    argument_list a;
    error err;
    REQUIRE_OK(t, parse("--help --nonsense", &a, &err), err); /* nothing is missing, nothing more is read */
    CHECK(t, arguments_has(&a, "help"));
    arguments_free(&a);
    REQUIRE_OK(t, parse("x -h", &a, &err), err);
    CHECK(t, arguments_has(&a, "help"));
    arguments_free(&a);
    text out = {0};
    arguments_help(&table, &out);
    const char *help = out.data;
    REQUIRE(t, help != NULL && !out.failed);
    CHECK_CONTAINS(t, help, "usage: cyclegan paint --model FILE INPUT... [-o DIR] [--set KEY=VALUE]...\n");
    CHECK_CONTAINS(t, help, "\nPaints.\n");
    CHECK_CONTAINS(t, help, "  INPUT                   what to paint\n");
    CHECK_CONTAINS(t, help, "  -o, --out DIR           where to\n");
    CHECK_CONTAINS(t, help, "  -h, --help ");
    for (const char *line = help, *end; (end = strchr(line, '\n')) != NULL; line = end + 1)
        if (end - line > 80) test_failed(t, __FILE__, __LINE__, "a line of %d characters", (int)(end - line));
    text_free(&out);
}

TEST_MAIN(TEST(understands), TEST(understands_dashes), TEST(refuses), TEST(reads_numbers), TEST(reads_sizes), TEST(helps))
