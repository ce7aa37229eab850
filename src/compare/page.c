#include "compare/page.h"

#include <math.h>

#include "base/file.h"
#include "compare/page_internal.h"
#include "report/html.h"

void page_add_number(text *out, double value)
{
    double size = fabs(value);
    if (!isfinite(value))
        text_add(out, "&ndash;");
    else if (size >= 100 || value == 0)
        text_format(out, "%.0f", value);
    else if (size >= 10)
        text_format(out, "%.1f", value);
    else if (size >= 0.0995)
        text_format(out, "%.2f", value);
    else if (size >= 0.000995)
        text_format(out, "%.3f", value);
    else
        text_format(out, "%.1e", value);
}

static void add_lines(text *out, const char *const *lines)
{
    for (; *lines; lines++) {
        text_add(out, *lines);
        text_add(out, "\n");
    }
}

/* The policy lets the page load nothing, from wherever a name in it may point. */
static void add_head(const comparison_result *r, text *out)
{
    text_add(out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                  "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n<link rel=\"icon\" href=\"data:,\">\n<title>");
    html_text(out, r->options->name);
    text_add(out, ": comparison</title>\n<style>\n");
    add_lines(out, page_style);
    text_add(out, "</style>\n</head>\n<body>\n");
}

static status add_body(const comparison_result *r, text *out, error *err)
{
    page_add_summary(r, out);
    page_add_plots(r, out);
    TRY(page_add_rows(r, out, err));
    page_add_words(r, out);
    page_add_settings(r, out);
    text_add(out, "</main>\n<footer>The same numbers for machines: <a href=\"metrics.json\">metrics.json</a>, "
                  "<a href=\"metrics.csv\">metrics.csv</a>. All pictures on one sheet: "
                  "<a href=\"contact_sheet.png\">contact_sheet.png</a>. To repeat it: "
                  "<a href=\"config.yaml\">config.yaml</a>.</footer>\n<script>\n");
    add_lines(out, page_script);
    text_add(out, "</script>\n</body>\n</html>\n");
    return STATUS_OK;
}

status comparison_write_page(const comparison_result *r, const char *path, error *err)
{
    text out = {0};
    add_head(r, &out);
    status result = add_body(r, &out, err);
    if (result == STATUS_OK && out.failed) result = error_no_memory(err, "the page", out.length);
    if (result == STATUS_OK) result = file_write_all(path, text_get(&out), out.length, err);
    text_free(&out);
    return result;
}
