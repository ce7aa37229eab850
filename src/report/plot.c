#include "report/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/html.h"

enum { WIDTH = 420, HEIGHT = 280, LEFT = 62, RIGHT = 18, TOP = 14, BOTTOM = 48, TICKS = 7, SERIES = 8,
       LINE = 15, CHARACTER = 7, /* of a name */ LONGEST = 24, NAMES = 32 };

typedef struct axis {
    double low, high; /* of the data, widened; logarithms (base 10) if logarithmic */
    double begin, end; /* in the picture */
    bool logarithmic;
} axis;

static double measure(const axis *a, double value) { return a->logarithmic ? log10(value) : value; }

static double place(const axis *a, double value)
{
    double part = (measure(a, value) - a->low) / (a->high - a->low);
    return a->begin + part * (a->end - a->begin);
}

static void widen(axis *a, double value)
{
    if (!isfinite(value) || (a->logarithmic && value <= 0)) return;
    a->low = fmin(a->low, measure(a, value));
    a->high = fmax(a->high, measure(a, value));
}

/* A tenth more on both sides; something for points that are all the same. */
static void leave_room(axis *a)
{
    double room = (a->high - a->low) / 10;
    if (room <= 0) room = a->logarithmic ? 0.5 : fmax(fabs(a->high) / 10, 0.5);
    bool positive = !a->logarithmic && a->low >= 0;
    a->low -= room;
    a->high += room;
    if (positive && a->low < 0) a->low = 0;
}

/* 1, 2 or 5 times a power of ten, so that at most TICKS steps fit. */
static double tick_step(double range)
{
    double power = pow(10, floor(log10(range / TICKS))), ratio = range / TICKS / power;
    return power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
}

static void draw_tick(const axis *a, double value, bool horizontal, text *out)
{
    double at = place(a, value);
    if (horizontal)
        text_format(out, "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"
                         "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.3g</text>\n",
                    at, TOP, at, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 16, value);
    else
        text_format(out, "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
                         "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n",
                    LEFT, at, WIDTH - RIGHT, at, LEFT - 6, at + 4, value);
}

static void draw_ticks(const axis *a, bool horizontal, text *out)
{
    if (a->logarithmic && a->high - a->low > 1) {
        bool between = a->high - a->low < 3;
        for (double power = floor(a->low); power <= a->high; power++)
            for (int times = 1; times <= (between ? 5 : 1); times += times == 2 ? 3 : 1) {
                double value = times * pow(10, power);
                if (log10(value) >= a->low && log10(value) <= a->high) draw_tick(a, value, horizontal, out);
            }
        return;
    }
    double low = a->logarithmic ? pow(10, a->low) : a->low, high = a->logarithmic ? pow(10, a->high) : a->high;
    double step = tick_step(high - low);
    for (double i = ceil(low / step); i * step <= high; i++)
        if (!a->logarithmic || i > 0) draw_tick(a, i * step, horizontal, out);
}

static bool can_be_drawn(const axis *x, const report_point *p)
{
    return isfinite(p->x) && isfinite(p->y) && (!x->logarithmic || p->x > 0);
}

static void draw_interval(const axis *x, const axis *y, const report_point *p, size_t series, text *out)
{
    double px = place(x, p->x), py = place(y, p->y);
    bool known = isfinite(p->x_low) && isfinite(p->x_high) && (!x->logarithmic || p->x_low > 0);
    if (known)
        text_format(out, "<line class=\"interval series-%zu\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                    series, place(x, p->x_low), py, place(x, p->x_high), py);
    if (isfinite(p->y_low) && isfinite(p->y_high))
        text_format(out, "<line class=\"interval series-%zu\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                    series, px, place(y, p->y_low), px, place(y, p->y_high));
}

/* Where names stand already. */
typedef struct name_places {
    struct { double left, right, base; } items[NAMES];
    size_t count;
} name_places;

static bool is_taken(const name_places *names, double left, double right, double base)
{
    for (size_t i = 0; i < names->count; i++)
        if (left < names->items[i].right && right > names->items[i].left && fabs(base - names->items[i].base) < LINE)
            return true;
    return false;
}

/* The baseline of a name from `left` to `right` that should stand at `base`: the next free line above, or below. */
static double find_line(name_places *names, double left, double right, double base)
{
    double found = base;
    for (size_t i = 1; is_taken(names, left, right, found) && i < 2 * NAMES; i++)
        found = base + (i % 2 ? 1.0 : -1.0) * (double)((i + 1) / 2) * LINE;
    if (names->count < NAMES) {
        names->items[names->count].left = left;
        names->items[names->count].right = right;
        names->items[names->count++].base = found;
    }
    return found;
}

/* The name, cut at the end of a character. */
static void add_name(text *out, const char *name)
{
    char cut[LONGEST + 1];
    size_t length = strlen(name);
    if (length > LONGEST)
        for (length = LONGEST; length > 0 && ((unsigned char)name[length] & 0xc0) == 0x80;) length--;
    snprintf(cut, sizeof cut, "%.*s", (int)length, name);
    html_text(out, cut);
    if (name[length]) text_add(out, "&hellip;");
}

/* The name stands on that side of the point where there is room. */
static void draw_point(const axis *x, const axis *y, const report_point *p, size_t series, name_places *names, text *out)
{
    double px = place(x, p->x), py = place(y, p->y);
    bool left = px > (LEFT + WIDTH - RIGHT) / 2.0;
    double length = (double)(strlen(p->name) < LONGEST ? strlen(p->name) : LONGEST + 1) * CHARACTER;
    double line = find_line(names, left ? px - 9 - length : px + 9, left ? px - 9 : px + 9 + length, py - 8);
    draw_interval(x, y, p, series, out);
    text_format(out, "<circle class=\"point series-%zu\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\"><title>", series, px, py);
    html_text(out, p->name);
    text_format(out, ": %.3g, %.3g</title></circle><text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">",
                p->x, p->y, left ? px - 9 : px + 9, line, left ? "end" : "start");
    add_name(out, p->name);
    text_add(out, "</text>\n");
}

static void draw_titles(const report_plot *plot, text *out)
{
    text_format(out, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + WIDTH - RIGHT) / 2,
                HEIGHT - 10);
    html_text(out, plot->x_title);
    text_format(out, "</text>\n<text class=\"axis\" transform=\"translate(14 %d) rotate(-90)\" text-anchor=\"middle\">",
                (TOP + HEIGHT - BOTTOM) / 2);
    html_text(out, plot->y_title);
    text_add(out, "</text>\n");
}

/* What a screen reader says. */
static void describe(const report_plot *plot, const axis *x, text *out)
{
    text_add(out, "<svg class=\"plot\" role=\"img\" aria-label=\"");
    html_text(out, plot->title);
    for (size_t i = 0; i < plot->count; i++) {
        const report_point *p = &plot->points[i];
        if (!can_be_drawn(x, p)) continue;
        text_add(out, ". ");
        html_text(out, p->name);
        text_format(out, ": %.3g ", p->x);
        html_text(out, plot->x_title);
        text_format(out, ", %.3g ", p->y);
        html_text(out, plot->y_title);
    }
    text_format(out, "\" viewBox=\"0 0 %d %d\">\n", WIDTH, HEIGHT);
}

bool report_plot_svg(const report_plot *plot, text *out)
{
    axis x = {INFINITY, -INFINITY, LEFT, WIDTH - RIGHT, plot->x_logarithmic};
    axis y = {INFINITY, -INFINITY, HEIGHT - BOTTOM, TOP, false};
    for (size_t i = 0; i < plot->count; i++) {
        const report_point *p = &plot->points[i];
        if (!can_be_drawn(&x, p)) continue;
        const double xs[] = {p->x, p->x_low, p->x_high}, ys[] = {p->y, p->y_low, p->y_high};
        for (size_t k = 0; k < 3; k++) {
            widen(&x, xs[k]);
            widen(&y, ys[k]);
        }
    }
    if (x.low > x.high) return false;
    leave_room(&x);
    leave_room(&y);
    describe(plot, &x, out);
    draw_ticks(&x, true, out);
    draw_ticks(&y, false, out);
    name_places names = {.count = 0};
    for (size_t i = 0; i < plot->count; i++)
        if (can_be_drawn(&x, &plot->points[i])) draw_point(&x, &y, &plot->points[i], i % SERIES, &names, out);
    draw_titles(plot, out);
    text_add(out, "</svg>\n");
    return true;
}
