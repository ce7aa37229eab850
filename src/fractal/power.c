/* z -> z^n + c: the Mandelbrot set, its Julia sets, and the same for higher powers.
 *
 * Smooth count, distance and slope: I. Quilez, "Distance rendering for fractals"; A. Cheritat, "Techniques for
 * computer generated pictures in complex dynamics". Stripes: J. Haerkoenen, "On smooth fractal coloring techniques"
 * (2007). Size of a small copy: C. Heiland-Allen, "Deep zoom theory and practice". */
#include "fractal/scene.h"

static const double bailout = 1e4; /* |z|^2 */

static double trap_distance(fractal_trap trap, fractal_point z, fractal_point at)
{
    switch (trap) {
    case TRAP_POINT: return sqrt(point_square(point_subtract(z, at)));
    case TRAP_CROSS: return fmin(fabs(z.x - at.x), fabs(z.y - at.y));
    case TRAP_CIRCLE: return fabs(sqrt(point_square(z)) - 0.2 - sqrt(point_square(at)));
    case TRAP_NONE:
    case TRAP_STRIPES: break;
    }
    return 1;
}

/* The sine of twice `stripes` times the angle of z, from 0 to 1; even multiples need no root. */
static double stripe(fractal_point z, int stripes)
{
    double square = point_square(z);
    if (square < 1e-300) return 0.5;
    fractal_point turn = point_scale(point_multiply(z, z), 1 / square), sum = turn;
    for (int i = 1; i < stripes; i++) sum = point_multiply(sum, turn);
    return 0.5 + 0.5 * sum.y;
}

/* Steps until |z|^2 passes the bailout (z is moved there), or -1. Brent's search for cycles ends points inside. */
static int count_steps(const fractal_scene *s, fractal_point c, fractal_point *start)
{
    fractal_point z = *start, mark = z;
    int next_mark = 16, n = s->power;
    double same = fmin(1e-12, 1e-10 * s->width * s->width); /* points beside a repelling cycle linger at a distance */
    for (int i = 0; i < s->limit; i++) {
        z = point_add(n == 2 ? point_multiply(z, z) : point_power(z, n), c);
        if (point_square(z) > bailout) {
            *start = z;
            return i + 1;
        }
        if (point_square(point_subtract(z, mark)) < same) return -1;
        if (i == next_mark) {
            mark = z;
            next_mark *= 2;
        }
    }
    return -1;
}

typedef struct orbit {
    fractal_point z, dz;
    double trap, stripes, last_stripe;
} orbit;

/* The same steps with all that colouring needs. */
static void follow(const fractal_scene *s, fractal_point c, int steps, orbit *o)
{
    int n = s->power;
    for (int i = 0; i < steps; i++) {
        fractal_point lower = n == 2 ? o->z : point_power(o->z, n - 1);
        o->dz = point_scale(point_multiply(lower, o->dz), n);
        if (!s->julia) o->dz.x += 1;
        o->z = point_add(point_multiply(lower, o->z), c);
        if (s->trap == TRAP_STRIPES)
            o->stripes += o->last_stripe = stripe(o->z, s->stripes);
        else if (s->trap != TRAP_NONE)
            o->trap = fmin(o->trap, trap_distance(s->trap, o->z, s->second));
    }
}

static void sample_power(const fractal_scene *s, fractal_point at, fractal_sample *out)
{
    enum { INSIDE_STEPS = 500 }; /* enough for a trap */
    fractal_point z = s->julia ? at : (fractal_point){0, 0}, c = s->julia ? s->constant : at;
    orbit o = {.z = z, .dz = {s->julia, 0}, .trap = 1e9};
    int steps = count_steps(s, c, &z);
    *out = (fractal_sample){.inside = steps < 0, .distance = HUGE_VAL};
    bool trapped = s->trap > TRAP_STRIPES;
    if (trapped || (steps > 0 && (s->trap != TRAP_NONE || s->colouring.relief > 0 || s->colouring.rim != 0)))
        follow(s, c, steps < 0 ? INSIDE_STEPS : steps, &o);
    if (trapped) out->texture = -0.25 * log(o.trap + 1e-6);
    if (steps < 0) return;
    double length = sqrt(point_square(z)), logarithm = log(length);
    double part = 1 - log(logarithm / (0.5 * log(bailout))) / log(s->power); /* 0 .. 1 of the last step */
    out->level = steps - 1 + part;
    if (s->trap == TRAP_STRIPES) {
        double all = o.stripes / steps, before = steps > 1 ? (o.stripes - o.last_stripe) / (steps - 1) : all;
        out->texture = before + part * (all - before);
    }
    double slope = point_square(o.dz);
    if (!(slope > 0) || !isfinite(slope)) return;
    fractal_point u = point_divide(o.z, o.dz);
    double size = sqrt(point_square(u));
    out->slope = point_scale(u, 1 / size);
    out->distance = size * logarithm / s->width;
}

static void draw_texture(fractal_scene *s, fractal_dice *dice)
{
    double kind = dice_range(dice, 0, 1);
    s->trap = kind < 0.4 ? TRAP_NONE : kind < 0.72 ? TRAP_STRIPES : kind < 0.82 ? TRAP_POINT :
              kind < 0.92 ? TRAP_CROSS : TRAP_CIRCLE;
    s->stripes = 1 + (int)dice_below(dice, 3);
    s->second = (fractal_point){dice_range(dice, -0.4, 0.4), dice_range(dice, -0.4, 0.4)};
    if (s->trap == TRAP_STRIPES) s->colouring.texture = dice_range(dice, 0.5, 1.4);
}

/* The period of the copy of the set that dominates the view: the step at which the orbit of its centre comes nearest
 * to 0. */
static int nearest_period(fractal_point c, int limit)
{
    fractal_point z = {0, 0};
    double nearest = 1e9;
    int period = 1;
    for (int i = 1; i <= limit; i++) {
        z = point_add(point_multiply(z, z), c);
        double square = point_square(z);
        if (square > 4) break;
        if (square < nearest) {
            nearest = square;
            period = i;
        }
    }
    return period;
}

/* Newton's method for the centre of the copy of that period. */
static bool find_nucleus(int period, fractal_point *c)
{
    for (int step = 0; step < 40; step++) {
        fractal_point z = {0, 0}, dz = {0, 0};
        for (int i = 0; i < period; i++) {
            dz = point_scale(point_multiply(z, dz), 2);
            dz.x += 1;
            z = point_add(point_multiply(z, z), *c);
        }
        if (!(point_square(dz) > 0) || !isfinite(point_square(z))) return false;
        fractal_point change = point_divide(z, dz);
        *c = point_subtract(*c, change);
        if (point_square(change) < 1e-30) return point_square(*c) < 4.5;
    }
    return false;
}

/* The copy's size and direction against the whole set's, as a complex factor. */
static fractal_point copy_size(int period, fractal_point c)
{
    fractal_point l = {1, 0}, b = {1, 0}, z = {0, 0};
    for (int i = 1; i < period; i++) {
        z = point_add(point_multiply(z, z), c);
        l = point_scale(point_multiply(z, l), 2);
        b = point_add(b, point_divide((fractal_point){1, 0}, l));
    }
    return point_divide((fractal_point){1, 0}, point_multiply(b, point_multiply(l, l)));
}

/* A small copy in the middle, with what surrounds it. */
static bool draw_copy(fractal_scene *s, fractal_dice *dice)
{
    fractal_point c;
    if (!fractal_find_edge(s, dice, (fractal_point){-0.6, 0}, 1.4, &c)) return false;
    double reach = pow(10, dice_range(dice, -4.5, -1.6));
    c = point_add(c, (fractal_point){reach * dice_normal(dice), reach * dice_normal(dice)});
    int period = nearest_period(c, 70);
    if (period < 4 || !find_nucleus(period, &c)) return false;
    fractal_point factor = copy_size(period, c);
    double size = sqrt(point_square(factor));
    if (!(size < 3e-3 && size > 1e-8)) return false;
    s->centre = c;
    s->width = dice_range(dice, 2.5, 5) * pow(size, dice_chance(dice, 0.3) ? 0.97 : dice_range(dice, 0.72, 0.9));
    s->turn = point_scale(factor, 1 / size);
    if (dice_chance(dice, 0.5)) fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
    s->limit = 2500;
    if (!fractal_view_is_rich(s)) return false;
    fractal_limit_to_view(s);
    return true;
}

/* Somewhere on the edge. */
static bool draw_edge(fractal_scene *s, fractal_dice *dice, fractal_point middle, double radius, double deepest)
{
    for (int i = 0; i < 24; i++) {
        fractal_point at;
        if (!fractal_find_edge(s, dice, middle, radius, &at)) return false;
        s->width = radius * pow(10, dice_range(dice, deepest, -1));
        s->centre = point_add(at, (fractal_point){s->width * dice_range(dice, -0.25, 0.25),
                                                  s->width * dice_range(dice, -0.25, 0.25)});
        s->limit = (int)(500 + 250 * log10(radius / s->width));
        if (!fractal_view_is_rich(s)) continue;
        fractal_limit_to_view(s);
        return true;
    }
    return false;
}

static bool draw_mandelbrot(fractal_scene *s, fractal_dice *dice)
{
    s->power = 2;
    s->limit = 800;
    draw_texture(s, dice);
    fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
    double kind = dice_range(dice, 0, 1);
    if (kind < 0.04) { /* the whole set */
        s->centre = (fractal_point){-0.6, 0};
        s->width = dice_range(dice, 2.6, 3.4);
        s->turn = (fractal_point){1, 0};
        s->colouring.equalise = 0.9;
        fractal_limit_to_view(s);
        return true;
    }
    if (kind < 0.5)
        for (int i = 0; i < 30; i++)
            if (draw_copy(s, dice)) return true;
    return draw_edge(s, dice, (fractal_point){-0.6, 0}, 1.4, -5.5);
}

static bool draw_julia(fractal_scene *s, fractal_dice *dice)
{
    draw_texture(s, dice);
    if (s->power == 0) s->power = 2;
    s->limit = 800;
    fractal_point c;
    bool square = s->power == 2;
    if (!fractal_find_edge(s, dice, (fractal_point){square ? -0.5 : 0, 0}, square ? 1.2 : 1.1, &c)) return false;
    double reach = pow(10, dice_range(dice, -3.2, -1.6));
    s->constant = point_add(c, (fractal_point){reach * dice_normal(dice), reach * dice_normal(dice)});
    s->julia = true;
    fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
    if (dice_chance(dice, 0.45)) {
        s->width = dice_range(dice, 1.6, 2.7);
        if (!fractal_view_is_rich(s)) return false;
        fractal_limit_to_view(s);
        return true;
    }
    for (int i = 0; i < 24; i++) {
        s->width = pow(10, dice_range(dice, -2.2, 0.1));
        /* Points of the set: backwards from anywhere, z = +-sqrt(z - c), for powers too by a random branch. */
        fractal_point z = {1, 0};
        for (int k = 0; k < 40; k++) {
            fractal_point difference = point_subtract(z, s->constant);
            double radius = pow(point_square(difference), 0.5 / s->power);
            double angle = atan2(difference.y, difference.x) + 2 * FRACTAL_PI * dice_below(dice, (unsigned)s->power);
            z = point_polar(radius, angle / s->power);
        }
        s->centre = z;
        if (!fractal_view_is_rich(s)) continue;
        fractal_limit_to_view(s);
        return true;
    }
    return false;
}

static bool draw_multibrot(fractal_scene *s, fractal_dice *dice)
{
    s->power = 3 + (int)dice_below(dice, 4);
    s->limit = 600;
    if (dice_chance(dice, 0.4)) return draw_julia(s, dice);
    draw_texture(s, dice);
    fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
    if (dice_chance(dice, 0.1)) {
        s->width = dice_range(dice, 2.6, 3.2);
        s->colouring.equalise = 0.9;
        fractal_limit_to_view(s);
        return true;
    }
    return draw_edge(s, dice, (fractal_point){0, 0}, 1.3, -4.5);
}

const fractal_family fractal_mandelbrot = {"mandelbrot", 4, draw_mandelbrot, sample_power, NULL};
const fractal_family fractal_julia = {"julia", 3, draw_julia, sample_power, NULL};
const fractal_family fractal_multibrot = {"multibrot", 2, draw_multibrot, sample_power, NULL};
