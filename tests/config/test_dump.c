#include <string.h>

#include "fixture.h"

/* Writes the dump of f into another config and checks that every value came back. */
static void check_round_trip(test *t, fixture *f)
{
    fixture g;
    text dump = {0}, again = {0}, difference = {0};
    REQUIRE(t, setup(&g));
    config_dump(f->c, &dump);
    if (read_yaml(&g, text_get(&dump)) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s\n%s", g.err.message, text_get(&dump));
    config_difference(f->c, g.c, &difference, &difference);
    CHECK_TEXT(t, text_get(&difference), "");
    CHECK(t, !f->o.name == !g.o.name && (!f->o.name || strcmp(f->o.name, g.o.name) == 0));
    CHECK(t, f->o.rate == g.o.rate && f->o.lambda_cycle == g.o.lambda_cycle && f->o.seed == g.o.seed);
    config_dump(g.c, &again);
    CHECK_TEXT(t, text_get(&again), text_get(&dump));
    text_free(&dump);
    text_free(&again);
    text_free(&difference);
    config_destroy(g.c);
}

static void dump_text(test *t)
{
    fixture f;
    text dump = {0};
    REQUIRE(t, setup(&f));
    config_dump(f.c, &dump);
    CHECK_TEXT(t, text_get(&dump), "name: run\nnote: null\ndata:\n  flip: true\n  workers: 2\n  cache:\n    kind: null\n"
                                   "model:\n  upsample: resize_conv\nloss:\n  lambda_cycle: 10\ntrain:\n  epochs: 100\n"
                                   "  seed: 0\n  learning_rate: 0.0002\n");
    text_clear(&dump);
    REQUIRE_OK(t, read_yaml(&f, "name:\nmodel: {upsample: off}\ndomains: {a: {train: caf\xc3\xa9}}\ntrain: {later: 3}\n"),
               f.err);
    config_dump(f.c, &dump);
    CHECK_TEXT(t, text_get(&dump), "name: null\nnote: null\ndomains:\n  a:\n    train: \"caf\xc3\xa9\"\n"
                                   "data:\n  flip: true\n  workers: 2\n  cache:\n    kind: null\n"
                                   "model:\n  upsample: \"off\"\nloss:\n  lambda_cycle: 10\ntrain:\n  epochs: 100\n"
                                   "  seed: 0\n  learning_rate: 0.0002\n  later: 3\n");
    check_round_trip(t, &f);
    text_free(&dump);
    config_destroy(f.c);
}

static void dump_round_trips_text(test *t)
{
    static const char *const strings[] = {
        "plain", "data/snacks/train", "../shared/data", "./x", "/abs/path.png", "a b", " a", "a ", "", "null", "~", "true",
        "No", "5", "1e5", "0x1f", "2001-01-01", ".inf", "- item", "-", "-x", "key: value", "a:", ":a", "a #b", "#b",
        "\"quoted\"", "it's", "a\\b", "line\nline\n", "\n", "tab\there", "\x01\x7f", "caf\xc3\xa9", "\xe4\xba\xba",
        "\xf0\x9f\x8d\xaa", "\xc2\x85", "\xc2\xa0", "\xe2\x80\xa8", "\xef\xbb\xbf", "\xef\xbf\xbf", "%x", "@x", "`x",
        "&x", "*x", "!x", "|", ">", "{a}", "[a]", "a, b", "? x", "---", "...", "=", "<<", "a\r\nb", "\x1b[2J",
    };
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        fixture f;
        REQUIRE(t, setup(&f));
        free(f.o.name);
        f.o.name = text_copy(strings[i]); /* as an owner may do */
        check_round_trip(t, &f);
        config_destroy(f.c);
    }
    for (unsigned code = 1; code < 256; code++) {
        fixture f;
        char string[8] = "x";
        if (code < 128)
            snprintf(string, sizeof string, "%c%c-", code, code);
        else
            snprintf(string, sizeof string, "%c%c", 0xc0 | code >> 6, 0x80 | (code & 63));
        REQUIRE(t, setup(&f));
        free(f.o.name);
        f.o.name = text_copy(string);
        check_round_trip(t, &f);
        config_destroy(f.c);
    }
}

static void dump_round_trips_numbers(test *t)
{
    static const double numbers[] = {0, 1, 0.1, 1.0 / 3, 2e-4, 1e-8, 1e22, 1e23, 123456789.123456789, 5e-324, 0x1.fffffffffffffp1023,
                                     0.30000000000000004, 4503599627370497.5, 1e100, 6.02214076e23};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        fixture f;
        REQUIRE(t, setup(&f));
        f.o.rate = numbers[i];
        f.o.seed = INT64_MAX - (int64_t)i;
        check_round_trip(t, &f);
        config_destroy(f.c);
    }
    fixture f;
    text dump = {0};
    REQUIRE(t, setup(&f));
    f.o.rate = 1e-8;
    f.o.lambda_cycle = 0.1;
    config_dump(f.c, &dump);
    CHECK_CONTAINS(t, text_get(&dump), "learning_rate: 1.0e-08\n"); /* PyYAML wants the dot */
    CHECK_CONTAINS(t, text_get(&dump), "lambda_cycle: 0.1\n");
    text_free(&dump);
    config_destroy(f.c);
}

static void difference(test *t)
{
    fixture f, g;
    text allowed = {0}, forbidden = {0};
    REQUIRE(t, setup(&f) && setup(&g));
    config_difference(f.c, g.c, &allowed, &forbidden);
    CHECK(t, allowed.length == 0 && forbidden.length == 0);
    /* Given or not is no difference; the value is. */
    REQUIRE_OK(t, read_yaml(&g, "name: run\nnote: 'a: b'\nloss: {lambda_cycle: 5}\ntrain: {epochs: 7, later: 0}\n"), g.err);
    config_difference(f.c, g.c, &allowed, &forbidden);
    CHECK_TEXT(t, text_get(&allowed), "note: null -> \"a: b\"\ntrain.epochs: 100 -> 7\n");
    CHECK_TEXT(t, text_get(&forbidden), "loss.lambda_cycle: 10 -> 5\ntrain.later: null -> 0\n");
    text_free(&allowed);
    text_free(&forbidden);
    config_destroy(f.c);
    config_destroy(g.c);
}

static void help(test *t)
{
    config_table table = {fields, sizeof fields / sizeof *fields, NULL};
    text out = {0};
    config_help(&table, 1, false, &out);
    CHECK_CONTAINS(t, text_get(&out), "  loss.lambda_cycle: a number from 0 to 1000 (default 10)\n"
                                      "      weight of the cycle-consistency loss\n");
    CHECK_CONTAINS(t, text_get(&out), "  domains.a.train: text (required)\n");
    CHECK_CONTAINS(t, text_get(&out), "  model.upsample: one of resize_conv, transpose, off (default resize_conv)\n");
    text_clear(&out);
    config_help(&table, 1, true, &out);
    CHECK_CONTAINS(t, text_get(&out), "| key | value | default | meaning |\n|---|---|---|---|\n| `name` | text | run | ");
    CHECK_CONTAINS(t, text_get(&out), "| `note` | text | not set | a \\| b |\n");
    CHECK_CONTAINS(t, text_get(&out), "| `train.epochs` | an integer from 1 to 100000 | 100 | epochs |\n");
    text_free(&out);
}

TEST_MAIN(TEST(dump_text), TEST(dump_round_trips_text), TEST(dump_round_trips_numbers), TEST(difference), TEST(help))
