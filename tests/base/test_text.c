#include "base/text.h"

#include <stdint.h>

#include "base/status.h"
#include "test.h"

static void appends(test *t)
{
    text s = {0};
    CHECK_TEXT(t, text_get(&s), "");
    text_add(&s, "ab");
    text_append(&s, "cde", 2);
    text_format(&s, "-%d-%s", 42, "x");
    CHECK_TEXT(t, text_get(&s), "abcd-42-x");
    CHECK(t, s.length == 9 && !s.failed);
    text_clear(&s);
    CHECK_TEXT(t, text_get(&s), "");
    for (int i = 0; i < 1000; i++) text_format(&s, "%03d", i);
    CHECK(t, s.length == 3000);
    CHECK(t, strncmp(s.data + 3 * 567, "567", 3) == 0);
    text_append(&s, "\0z", 2);
    CHECK(t, s.length == 3002 && s.data[3000] == '\0' && s.data[3001] == 'z' && s.data[3002] == '\0');
    text_free(&s);
    CHECK(t, s.data == NULL && s.length == 0);
    text_free(&s);
}

static void an_append_without_memory_is_kept(test *t)
{
    text s = {0};
    text_add(&s, "kept");
    text_append(&s, "x", SIZE_MAX / 2);
    CHECK(t, s.failed);
    text_add(&s, "dropped");
    CHECK_TEXT(t, text_get(&s), "kept");
    text_free(&s);
}

static void check_join(test *t, const char *dir, const char *name, const char *expected)
{
    char *joined = text_join_path(dir, name);
    REQUIRE(t, joined);
    CHECK_TEXT(t, joined, expected);
    free(joined);
}

static void joins_paths(test *t)
{
    check_join(t, "a/b", "c", "a/b/c");
    check_join(t, "a/b/", "c", "a/b/c");
    check_join(t, "", "c", "c");
    check_join(t, "a", "/c", "/c");
    check_join(t, "/", "c", "/c");
}

static void words(test *t)
{
    CHECK(t, text_starts_with("domains.a", "domains"));
    CHECK(t, !text_starts_with("dom", "domains"));
    CHECK(t, text_ends_with_ignoring_case("A.JPeG", ".jpeg"));
    CHECK(t, !text_ends_with_ignoring_case("peg", ".jpeg"));
    CHECK_TEXT(t, text_base_name("a/b/c.png"), "c.png");
    CHECK_TEXT(t, text_base_name("c.png"), "c.png");
    CHECK_TEXT(t, text_base_name("a/"), "");
}

static void distances(test *t)
{
    CHECK(t, text_distance("", "") == 0);
    CHECK(t, text_distance("", "abc") == 3);
    CHECK(t, text_distance("abc", "abc") == 0);
    CHECK(t, text_distance("abc", "abd") == 1);
    CHECK(t, text_distance("abc", "ac") == 1);
    CHECK(t, text_distance("abc", "acb") == 1); /* a transposition is one edit */
    CHECK(t, text_distance("kitten", "sitting") == 3);
    CHECK(t, text_distance("lamda_cycle", "lambda_cycle") == 1);
    char a[201], b[201];
    memset(a, 'x', 200);
    memset(b, 'x', 200);
    a[200] = b[200] = '\0';
    CHECK(t, text_distance(a, b) == 0);
    b[150] = '\0';
    CHECK(t, text_distance(a, b) == 50);
}

static void nearest_words(test *t)
{
    static const char *const names[] = {"lambda_cycle", "lambda_identity", "a", "epochs"};
    const char *near = text_nearest("lamda_cycle", names, 4);
    REQUIRE(t, near);
    CHECK_TEXT(t, near, "lambda_cycle");
    near = text_nearest("epohcs", names, 4);
    REQUIRE(t, near);
    CHECK_TEXT(t, near, "epochs");
    CHECK(t, text_nearest("epo", names, 4) == NULL);     /* three edits away */
    CHECK(t, text_nearest("xxxchs", names, 4) == NULL);  /* three of six */
    CHECK(t, text_nearest("b", names, 4) == NULL);       /* one edit, but nothing left of the word */
    CHECK(t, text_nearest("epochs", names, 0) == NULL);
}

static void check_printable(test *t, const char *string, const char *expected)
{
    char buffer[64];
    CHECK_TEXT(t, text_printable(string, buffer, sizeof buffer), expected);
}

static void makes_text_printable(test *t)
{
    check_printable(t, "plain.png", "plain.png");
    check_printable(t, "a\x1b[31mb\n\x7f", "a\\x1b[31mb\\x0a\\x7f");
    check_printable(t, "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
    check_printable(t, "a\xc2\x9b" "31m\xc2\xa9", "a\\xc2\\x9b31m\xc2\xa9"); /* U+009B begins an escape code */
    check_printable(t, "\x9b" "2J\xff\xe2\x82\xac\xe2\x82", "\\x9b2J\\xff\xe2\x82\xac\\xe2\\x82");
    /* U+1F369, and a number beyond U+10FFFF. */
    check_printable(t, "\xf0\x9f\x8d\xa9\xf4\x90\x80\x80", "\xf0\x9f\x8d\xa9\\xf4\\x90\\x80\\x80");
    check_printable(t, "\xc0\x9b\xe0\x82\x9b", "\\xc0\\x9b\\xe0\\x82\\x9b"); /* overlong escapes */
    check_printable(t, "\xed\xa0\x80", "\\xed\\xa0\\x80");                     /* a surrogate */
    char small[8];
    text_printable("\n\n\n\n\n", small, sizeof small);
    CHECK(t, strlen(small) < sizeof small);
    CHECK(t, strncmp(small, "\\x0a", 4) == 0);
}

static void durations_and_sizes(test *t)
{
    char b[32];
    CHECK_TEXT(t, text_duration(0, b, sizeof b), "0:00");
    CHECK_TEXT(t, text_duration(59.6, b, sizeof b), "1:00");
    CHECK_TEXT(t, text_duration(123, b, sizeof b), "2:03");
    CHECK_TEXT(t, text_duration(3723, b, sizeof b), "1:02:03");
    CHECK_TEXT(t, text_duration(-1, b, sizeof b), "-:--");
    CHECK_TEXT(t, text_duration(NAN, b, sizeof b), "-:--");
    CHECK_TEXT(t, text_duration(INFINITY, b, sizeof b), "-:--");
    CHECK_TEXT(t, text_bytes(0, b, sizeof b), "0 B");
    CHECK_TEXT(t, text_bytes(1023, b, sizeof b), "1023 B");
    CHECK_TEXT(t, text_bytes(1536, b, sizeof b), "1.5 KiB");
    CHECK_TEXT(t, text_bytes(1.5 * (1 << 30), b, sizeof b), "1.5 GiB");
}

static void errors(test *t)
{
    error err = {0};
    CHECK(t, error_set(&err, STATUS_USAGE, "%s is %d", "x", 3) == STATUS_USAGE);
    CHECK_TEXT(t, err.message, "x is 3");
    CHECK(t, error_prefix(&err, "file %d", 7) == STATUS_USAGE);
    CHECK_TEXT(t, err.message, "file 7: x is 3");
    CHECK(t, error_no_memory(&err, "the graph", 12) == STATUS_NO_MEMORY && err.code == STATUS_NO_MEMORY);
    CHECK_TEXT(t, err.message, "out of memory: the graph needs 12 bytes");
    CHECK(t, error_set(NULL, STATUS_USAGE, "unheard") == STATUS_USAGE);

    char longer[3000];
    memset(longer, 'y', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    error_set(&err, STATUS_FAILED, "%s", longer);
    CHECK(t, strlen(err.message) == sizeof err.message - 1);
    error_set(&err, STATUS_FAILED, "%s: cannot read", longer);
    CHECK(t, text_starts_with(err.message, "yyy") && strlen(err.message) == sizeof err.message - 1);
    CHECK_CONTAINS(t, err.message, "y...y");
    CHECK_CONTAINS(t, err.message, "yyy: cannot read");
    error_prefix(&err, "front");
    CHECK(t, text_starts_with(err.message, "front: yyy") && strlen(err.message) < sizeof err.message);
    error_prefix(&err, "%s", longer);
    CHECK(t, strlen(err.message) == sizeof err.message - 1);
    for (size_t length = sizeof err.message - 5; length <= sizeof err.message; length++) {
        error_set(&err, STATUS_FAILED, "old");
        error_prefix(&err, "%.*s", (int)length, longer);
        CHECK(t, strlen(err.message) < sizeof err.message);
    }
}

TEST_MAIN(TEST(appends), TEST(an_append_without_memory_is_kept), TEST(joins_paths), TEST(words), TEST(distances),
          TEST(nearest_words), TEST(makes_text_printable), TEST(durations_and_sizes), TEST(errors))
