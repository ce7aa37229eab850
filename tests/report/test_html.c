#include "report/html.h"
#include "report/plot.h"
#include "test.h"

static void check_text(test *t, const char *string, const char *expected)
{
    text out = {0};
    html_text(&out, string);
    CHECK_TEXT(t, text_get(&out), expected);
    text_free(&out);
}

static void escapes_text(test *t)
{
    check_text(t, "", "");
    check_text(t, "\"><script>alert('&')</script>",
               "&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;");
    check_text(t, "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8d\xb0\t\n", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8d\xb0\t\n");
    check_text(t, "a\x01" "b\x1b[31m\x7f", "a\xef\xbf\xbd" "b\xef\xbf\xbd[31m\xef\xbf\xbd");
}

static void replaces_what_is_no_utf8(test *t)
{
#define WRONG "\xef\xbf\xbd"
    check_text(t, "a\xff" "b", "a" WRONG "b");
    check_text(t, "\xc3", WRONG);               /* cut short by the end */
    check_text(t, "\xe2\x82", WRONG WRONG);
    check_text(t, "\xc0\xbc", WRONG WRONG);     /* an overlong '<' */
    check_text(t, "\xe0\x80\xbc", WRONG WRONG WRONG);
    check_text(t, "\xed\xa0\x80", WRONG WRONG WRONG); /* a surrogate */
    check_text(t, "\xf4\x90\x80\x80", WRONG WRONG WRONG WRONG);
    check_text(t, "\xc3<", WRONG "&lt;");       /* it must not swallow the next character */
}

static void check_url(test *t, const char *path, const char *expected)
{
    text out = {0};
    html_url(&out, path);
    CHECK_TEXT(t, text_get(&out), expected);
    text_free(&out);
}

static void encodes_links(test *t)
{
    check_url(t, "images/gan/a-1_2~.png", "images/gan/a-1_2~.png");
    check_url(t, "javascript:alert(1)", "javascript%3Aalert%281%29");
    check_url(t, "a b#c?d%41\"'<&>\\", "a%20b%23c%3Fd%2541%22%27%3C%26%3E%5C");
    check_url(t, "\xc3\xa9\xff", "%C3%A9%FF");
}

static void embeds_bytes(test *t)
{
    /* RFC 4648, section 10 */
    static const char *const expected[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t n = 0; n <= 6; n++) {
        text out = {0};
        html_data(&out, "image/png", (const uint8_t *)"foobar", n);
        CHECK(t, text_starts_with(text_get(&out), "data:image/png;base64,"));
        CHECK_TEXT(t, text_get(&out) + strlen("data:image/png;base64,"), expected[n]);
        text_free(&out);
    }
    const uint8_t high[] = {0xfb, 0xff, 0xfe};
    text out = {0};
    html_data(&out, "x", high, 3);
    CHECK_CONTAINS(t, text_get(&out), "base64,+//+");
    text_free(&out);
}

static double attribute(const char *svg, const char *name)
{
    char pattern[40];
    snprintf(pattern, sizeof pattern, " %s=\"", name);
    const char *found = strstr(svg, pattern);
    return found ? atof(found + strlen(pattern)) : NAN;
}

static void plots_points(test *t)
{
    const report_point points[] = {{"<gan>", 0.1, 0.05, 0.2, 2, 1, 3}, {"gatys", 10, NAN, NAN, 1, NAN, NAN},
                                   {"lost", NAN, NAN, NAN, 1, 1, 1}};
    const report_plot plot = {"Time & style", "seconds", "distance", true, points, 3};
    text out = {0};
    REQUIRE(t, report_plot_svg(&plot, &out));
    const char *svg = text_get(&out);
    CHECK(t, !strstr(svg, "nan") && !strstr(svg, "inf") && !strstr(svg, "lost") && !strstr(svg, "<gan>"));
    CHECK_CONTAINS(t, svg, "aria-label=\"Time &amp; style. &lt;gan&gt;: 0.1 seconds, 2 distance. gatys: 10 seconds");
    const char *first = strstr(svg, "<circle"), *second = first ? strstr(first + 1, "<circle") : NULL;
    REQUIRE(t, first && second && !strstr(second + 1, "<circle"));
    CHECK(t, attribute(first, "cx") < attribute(second, "cx"));
    CHECK(t, attribute(first, "cy") < attribute(second, "cy")); /* larger is higher */
    /* On the logarithmic axis the tick of 1 lies in the middle between 0.1 and 10. */
    const char *tick = strstr(svg, ">1</text>");
    REQUIRE(t, tick);
    while (tick > svg && strncmp(tick, "<text", 5) != 0) tick--;
    CHECK_NEAR(t, attribute(tick, "x"), (attribute(first, "cx") + attribute(second, "cx")) / 2, 0.11);
    text_free(&out);
}

static double base_of(const char *svg, const char *name)
{
    const char *found = strstr(svg, name);
    if (!found) return NAN;
    while (found > svg && strncmp(found, "<text", 5) != 0) found--;
    return attribute(found, "y");
}

static void keeps_names_apart(test *t)
{
    const report_point points[] = {{"first", 1, NAN, NAN, 1, NAN, NAN}, {"second", 1, NAN, NAN, 1, NAN, NAN},
                                   {"a name of more bytes: \xc3\xa9\xc3\xa9\xc3\xa9", 1, NAN, NAN, 1, NAN, NAN}};
    text out = {0};
    REQUIRE(t, report_plot_svg(&(report_plot){"t", "x", "y", false, points, 3}, &out));
    double a = base_of(text_get(&out), ">first</text>"), b = base_of(text_get(&out), ">second</text>");
    double c = base_of(text_get(&out), ">a name of more bytes: \xc3\xa9&hellip;</text>");
    CHECK(t, fabs(a - b) >= 14 && fabs(a - c) >= 14 && fabs(b - c) >= 14);
    text_free(&out);
}

static void plots_nothing_without_points(test *t)
{
    const report_point points[] = {{"none", 1, NAN, NAN, NAN, NAN, NAN}, {"zero", 0, 0, 0, 1, 1, 1}};
    text out = {0};
    CHECK(t, !report_plot_svg(&(report_plot){"t", "x", "y", true, points, 2}, &out));
    CHECK_TEXT(t, text_get(&out), "");
    CHECK(t, report_plot_svg(&(report_plot){"t", "x", "y", false, points, 2}, &out)); /* 0 has a place there */
    CHECK(t, !strstr(text_get(&out), "nan") && !strstr(text_get(&out), "inf"));
    text_free(&out);
}

TEST_MAIN(TEST(escapes_text), TEST(replaces_what_is_no_utf8), TEST(encodes_links), TEST(embeds_bytes),
          TEST(plots_points), TEST(keeps_names_apart), TEST(plots_nothing_without_points))
