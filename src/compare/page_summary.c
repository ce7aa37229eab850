/* The page's beginning and end: the table of all numbers, the plots, what the numbers mean, each method's settings. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare/page_internal.h"
#include "report/html.h"
#include "report/plot.h"

static const comparison_measure *find(const char *key)
{
    for (size_t i = 0; i < comparison_measure_count; i++)
        if (strcmp(comparison_measures[i].key, key) == 0) return &comparison_measures[i];
    return NULL;
}

/* "45 s", "22 min", "2.5 h". */
static void add_duration(text *out, double seconds)
{
    if (seconds < 90)
        text_format(out, "%.0f&nbsp;s", seconds);
    else if (seconds < 90 * 60)
        text_format(out, "%.0f&nbsp;min", seconds / 60);
    else
        text_format(out, "%.1f&nbsp;h", seconds / 3600);
}

static void add_value(text *out, const comparison_measure *measure, double value)
{
    char buffer[40];
    if (!isfinite(value)) {
        text_add(out, "&ndash;");
    } else if (strcmp(measure->key, "memory") == 0) {
        text_add(out, text_bytes(value, buffer, sizeof buffer));
    } else if (strcmp(measure->key, "training") == 0) {
        if (value > 0)
            add_duration(out, value);
        else
            text_add(out, "none");
    } else if (measure->percent) {
        text_format(out, "%.0f&nbsp;%%", 100 * value);
    } else {
        page_add_number(out, value);
        if (strcmp(measure->key, "seconds") == 0) text_add(out, "&nbsp;s");
    }
}

static bool has_interval(const compare_estimate *e) { return isfinite(e->low) && isfinite(e->high); }

/* Whether a number with an interval is better than each other method's, their intervals apart. */
static bool is_best(const comparison_result *r, const comparison_measure *measure, size_t method)
{
    compare_estimate own = comparison_estimate(&r->methods[method], measure);
    size_t others = 0;
    if ((measure->better != COMPARISON_LESS && measure->better != COMPARISON_MORE) || !own.n || !has_interval(&own)) return false;
    for (size_t i = 0; i < r->count; i++) {
        compare_estimate e = comparison_estimate(&r->methods[i], measure);
        if (i == method || !e.n) continue;
        if (!has_interval(&e)) return false;
        if (measure->better == COMPARISON_LESS ? own.high >= e.low : own.low <= e.high) return false;
        others++;
    }
    return others > 0;
}

static void add_cell(const comparison_result *r, const comparison_measure *measure, size_t method, text *out)
{
    compare_estimate e = comparison_estimate(&r->methods[method], measure);
    text_add(out, is_best(r, measure, method) ? "<td class=\"best\">" : "<td>");
    add_value(out, measure, e.n ? e.value : NAN);
    if (e.n && has_interval(&e)) {
        text_add(out, "<small>");
        add_value(out, measure, e.low);
        text_add(out, " to ");
        add_value(out, measure, e.high);
        text_add(out, "</small>");
    }
    text_add(out, "</td>");
}

static const char *direction(const comparison_measure *measure)
{
    switch (measure->better) {
    case COMPARISON_LESS: return "less is better";
    case COMPARISON_MORE: return "more is better";
    case COMPARISON_REFERENCE: return "for reference";
    case COMPARISON_NEITHER: break;
    }
    return "neither end is best";
}

static void add_table(const comparison_result *r, text *out)
{
    text_add(out, "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Summary of all numbers\">"
                  "<table id=\"summary\"><thead><tr><th scope=\"col\">Number</th>");
    for (size_t i = 0; i < r->count; i++) {
        text_add(out, "<th scope=\"col\">");
        html_text(out, r->methods[i].options->name);
        text_format(out, "<small>%s</small></th>", comparison_kind_names[r->methods[i].options->kind]);
    }
    text_add(out, "</tr></thead><tbody>\n");
    for (size_t k = 0; k < comparison_measure_count; k++) {
        const comparison_measure *measure = &comparison_measures[k];
        if (!comparison_is_measured(r, measure)) continue;
        text_format(out, "<tr><th scope=\"row\"><a href=\"#about-%s\">%s</a><small>%s</small></th>", measure->key,
                    measure->title, direction(measure));
        for (size_t i = 0; i < r->count; i++) add_cell(r, measure, i, out);
        text_add(out, "</tr>\n");
    }
    text_add(out, "</tbody></table></div>\n");
}

static void add_problem(text *out, const char *method, const char *what, const char *message)
{
    text_add(out, "<p class=\"failure\"><strong>");
    html_text(out, method);
    text_format(out, " %s</strong> ", what);
    html_text(out, message);
    text_add(out, "</p>\n");
}

static void add_problems(const comparison_result *r, text *out)
{
    for (size_t i = 0; i < r->count; i++) {
        const comparison_method_result *m = &r->methods[i];
        char what[80];
        if (m->made && m->missing)
            snprintf(what, sizeof what, "failed for %zu of %zu pictures:", m->missing, m->made + m->missing);
        else
            snprintf(what, sizeof what, m->made ? "is not as it was meant:" : "failed:");
        if (m->failure[0]) add_problem(out, m->options->name, what, m->failure);
        if (m->unmeasured[0]) add_problem(out, m->options->name, "has no measures:", m->unmeasured);
    }
}

static void add_path(text *out, const char *path)
{
    text_add(out, "<code class=\"path\">");
    html_text(out, path);
    text_add(out, "</code>");
}

static void add_introduction(const comparison_result *r, text *out)
{
    const comparison_options *o = r->options;
    size_t inputs = r->pictures->count;
    text_add(out, "<header>\n<h1>");
    html_text(out, o->name);
    text_format(out, "</h1>\n<p>%zu picture%s of ", inputs, inputs == 1 ? "" : "s");
    add_path(out, o->inputs);
    text_format(out, ", given to %zu method%s that should turn them into something like ", r->count,
                r->count == 1 ? "" : "s");
    add_path(out, o->targets);
    if (o->size) text_format(out, ". Inputs were scaled to a shorter side of %lld pixels", (long long)o->size);
    if (r->pictures->left_out) text_format(out, ". %zu inputs could not be read", r->pictures->left_out);
    text_add(out, ".</p>\n<nav aria-label=\"Parts of this page\"><a href=\"#numbers\">Numbers</a> <a href=\"#plots\">Plots</a> "
                  "<a href=\"#pictures\">Pictures</a> <a href=\"#words\">What the numbers mean</a> "
                  "<a href=\"#settings\">Settings</a></nav>\n");
    add_problems(r, out);
    text_add(out, "</header>\n");
}

void page_add_summary(const comparison_result *r, text *out)
{
    add_introduction(r, out);
    text_add(out, "<main>\n<section id=\"numbers\">\n<h2>Numbers</h2>\n");
    add_table(r, out);
    text_add(out, "<p class=\"soft\">Small print below a number: its 95&nbsp;% confidence interval. <span class=\"best\">"
                  "Marked</span>: better than every other method, with intervals that do not overlap. No number knows "
                  "which picture is beautiful: look at them.");
    if (r->network[0]) {
        text_add(out, " Style, KID, content, copies and diversity are seen through this network: ");
        html_text(out, r->network);
        text_add(out, ".");
    }
    text_add(out, "</p>\n</section>\n");
}

static bool add_plot(const comparison_result *r, const char *title, const comparison_measure *x,
                     const comparison_measure *y, const char *caption, text *out)
{
    report_point points[COMPARISON_METHODS];
    text svg = {0};
    char x_title[80];
    bool time = strcmp(x->key, "seconds") == 0;
    snprintf(x_title, sizeof x_title, "%s%s", x->title, time ? ", seconds" : "");
    for (size_t i = 0; i < r->count; i++) {
        compare_estimate a = comparison_estimate(&r->methods[i], x), b = comparison_estimate(&r->methods[i], y);
        points[i] = (report_point){r->methods[i].options->name, a.value, a.low, a.high, b.value, b.low, b.high};
    }
    bool drawn = report_plot_svg(&(report_plot){title, x_title, y->title, time, points, r->count}, &svg);
    if (drawn) {
        text_add(out, "<figure>");
        text_append(out, text_get(&svg), svg.length);
        text_format(out, "<figcaption>%s</figcaption></figure>\n", caption);
    }
    out->failed = out->failed || svg.failed;
    text_free(&svg);
    return drawn;
}

void page_add_plots(const comparison_result *r, text *out)
{
    const comparison_measure *style = find("style_nearest");
    if (!comparison_is_measured(r, style)) style = find("swd");
    const comparison_measure *content = find("content");
    if (!comparison_is_measured(r, content)) content = find("ssim");
    text_add(out, "<section id=\"plots\">\n<h2>Plots</h2>\n<div class=\"plots\">\n");
    bool any = add_plot(r, "Time and style", find("seconds"), style,
                        "Lower is nearer to the targets' style, further left is faster. Bars: 95&nbsp;% confidence "
                        "intervals.", out);
    any = add_plot(r, "Content and style", content, style,
                   "What is kept of the input against what is taken of the style: most methods trade one for the other.",
                   out) || any;
    if (!any) text_add(out, "<p>Nothing was measured that could be drawn.</p>\n");
    text_add(out, "</div>\n</section>\n");
}

void page_add_words(const comparison_result *r, text *out)
{
    text_add(out, "<section id=\"words\">\n<h2>What the numbers mean</h2>\n<p>");
    if (r->network[0]) {
        text_add(out, "Features are those of layer ");
        html_text(out, r->options->layer);
        text_add(out, " of this network: ");
        html_text(out, r->network);
        text_add(out, ". ");
    }
    text_format(out, "Measures see the middle square of each picture at %lld pixels. An interval says where the number "
                     "would be expected with other pictures of the same kind; it is wide because the sets are small, "
                     "and cut where the number cannot be. The time's interval is one for the median, and needs six pictures.</p>\n<dl>\n",
                (long long)r->options->side);
    for (size_t i = 0; i < comparison_measure_count; i++) {
        const comparison_measure *m = &comparison_measures[i];
        if (!comparison_is_measured(r, m)) continue;
        text_format(out, "<dt id=\"about-%s\">%s</dt><dd>%s</dd>\n", m->key, m->title, m->words);
    }
    text_add(out, "</dl>\n</section>\n");
}

static void add_setting(const comparison_setting *s, text *out)
{
    if (s->block) {
        text_add(out, "<details><summary>");
        html_text(out, s->key);
        text_add(out, "</summary><pre tabindex=\"0\">");
        html_text(out, s->value);
        text_add(out, "</pre></details>\n");
        return;
    }
    text_add(out, "<div><strong>");
    html_text(out, s->key);
    text_add(out, ":</strong> <span class=\"path\">");
    html_text(out, s->value);
    text_add(out, "</span></div>\n");
}

void page_add_settings(const comparison_result *r, text *out)
{
    text_add(out, "<section id=\"settings\">\n<h2>Settings of each method</h2>\n");
    for (size_t i = 0; i < r->count; i++) {
        const comparison_method_result *m = &r->methods[i];
        text_add(out, "<details open><summary>");
        html_text(out, m->options->name);
        text_add(out, "</summary>\n");
        for (size_t k = 0; k < m->settings.count; k++) add_setting(&m->settings.items[k], out);
        if (isfinite(m->start_seconds)) text_format(out, "<div><strong>loading:</strong> %.2f s</div>\n", m->start_seconds);
        text_add(out, "</details>\n");
    }
    text_add(out, "</section>\n");
}
