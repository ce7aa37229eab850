#include "style/line_search.h"

#include <math.h>

enum { MOST_EVALUATIONS = 25 };

static const double c1 = 1e-4, c2 = 0.9;

double style_dot(const float *a, const float *b, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* What zooming needs to know of a place. */
typedef struct point {
    double step, loss, slope;
} point;

static point point_of(const style_place *p) { return (point){p->step, p->loss, p->slope}; }

/* The place at `step`; a gradient that is not finite makes the loss infinite. */
static status evaluate(style_line *line, double step, style_place *p, error *err)
{
    const style_minimisation *m = line->m;
    const float *from = line->start->x, *d = line->direction;
    for (size_t i = 0; i < m->count; i++) p->x[i] = (float)(from[i] + step * d[i]);
    line->evaluations++;
    TRY(m->objective(m->context, p->x, &p->loss, p->gradient, err));
    p->step = step;
    p->slope = style_dot(p->gradient, d, m->count);
    if (!isfinite(p->loss) || !isfinite(p->slope)) p->loss = INFINITY;
    return STATUS_OK;
}

/* The minimum within [low, high] of the cubic through two places with their slopes (Nocedal and Wright, 3.59); the
 * middle where there is none. */
static double interpolate(point a, point b, double low, double high)
{
    double middle = (low + high) / 2;
    if (!isfinite(a.loss) || !isfinite(b.loss)) return middle;
    double d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.step - b.step), square = d1 * d1 - a.slope * b.slope;
    if (!(square >= 0)) return middle;
    double d2 = copysign(sqrt(square), b.step - a.step);
    double t = b.step - (b.step - a.step) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2));
    return isfinite(t) ? fmin(fmax(t, low), high) : middle;
}

static bool too_high(const style_line *line, point p)
{
    return !(p.loss <= line->start->loss + c1 * p.step * line->start->slope);
}

static bool flat(const style_line *line, point p) { return fabs(p.slope) <= -c2 * line->start->slope; }

static void exchange(style_place *a, style_place *b)
{
    style_place kept = *a;
    *a = *b;
    *b = kept;
}

/* *best is the lower end of an interval that holds a good step; `high` is its other end. */
static status zoom(style_line *line, style_place *best, point high, style_place *other, size_t left, error *err)
{
    bool stuck = false;
    for (; left > 0; left--) {
        point low = point_of(best);
        double begin = fmin(low.step, high.step), end = fmax(low.step, high.step), width = end - begin;
        if (!(width > 1e-9 * end)) break; /* floats cannot tell the ends apart */
        double t = interpolate(low, high, begin, end), margin = 0.1 * width;
        /* Too near an end twice: go in by a tenth, so that the interval shrinks. */
        bool near = fmin(t - begin, end - t) < margin;
        if (near && (stuck || t <= begin || t >= end)) {
            t = t - begin < end - t ? begin + margin : end - margin;
            near = false;
        }
        stuck = near;
        TRY(evaluate(line, t, other, err));
        point found = point_of(other);
        if (too_high(line, found) || found.loss >= low.loss) {
            high = found;
            continue;
        }
        if (found.slope * (high.step - low.step) >= 0) high = low;
        exchange(best, other);
        if (flat(line, found)) break;
    }
    return STATUS_OK;
}

status style_line_search(style_line *line, double step, style_place *best, style_place *other, error *err)
{
    point before = point_of(line->start);
    best->step = 0;
    best->loss = before.loss;
    best->slope = before.slope;
    for (size_t left = MOST_EVALUATIONS; left > 0; left--) {
        TRY(evaluate(line, step, other, err));
        point found = point_of(other);
        if (too_high(line, found) || (before.step > 0 && found.loss >= before.loss))
            return zoom(line, best, found, other, left - 1, err); /* *best is `before` */
        exchange(best, other);
        if (flat(line, found)) return STATUS_OK;
        if (found.slope >= 0) return zoom(line, best, before, other, left - 1, err);
        double least = found.step + 0.01 * (found.step - before.step), most = 10 * found.step;
        step = interpolate(before, found, least, most);
        before = found;
    }
    return STATUS_OK;
}
