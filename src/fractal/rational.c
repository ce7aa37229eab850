/* Maps with several attractors, and the sine: Newton's method, Nova (P. Derbyshire, 1996), the first magnet (H.-O.
 * Peitgen and P. Richter, "The Beauty of Fractals", 1986), c sin z.
 *
 * Their levels are sums of exp(-1 / |step|) or exp(-|z|) over the orbit (R. Stevens' exponential smoothing), which
 * are smooth wherever the orbit ends. */
#include "fractal/scene.h"

/* f / f' of the polynomial with the scene's roots. */
static fractal_point newton_step(const fractal_scene *s, fractal_point z)
{
    fractal_point sum = {0, 0};
    for (int i = 0; i < s->root_count; i++) {
        fractal_point difference = point_subtract(z, s->roots[i]);
        if (point_square(difference) < 1e-28) return (fractal_point){0, 0};
        sum = point_add(sum, point_divide((fractal_point){1, 0}, difference));
    }
    if (point_square(sum) < 1e-20) return (fractal_point){1e10, 0};
    return point_divide((fractal_point){1, 0}, sum);
}

static unsigned nearest_root(const fractal_scene *s, fractal_point z)
{
    unsigned nearest = 0;
    for (int i = 1; i < s->root_count; i++)
        if (point_square(point_subtract(z, s->roots[i])) < point_square(point_subtract(z, s->roots[nearest])))
            nearest = (unsigned)i;
    return nearest;
}

static void sample_newton(const fractal_scene *s, fractal_point at, fractal_sample *out)
{
    fractal_point z = at;
    double nearest = 1e9;
    *out = (fractal_sample){.inside = true, .distance = HUGE_VAL};
    for (int i = 0; i < s->limit; i++) {
        fractal_point step = point_multiply(s->constant, newton_step(s, z));
        z = point_subtract(z, step);
        double square = point_square(step);
        if (square < 1e-12) {
            out->inside = false;
            break;
        }
        out->level += exp(-1 / sqrt(square) - 0.1 * sqrt(square)) + 0.4 * fmin(square, 1);
        if (s->trap == TRAP_CROSS) nearest = fmin(nearest, fmin(fabs(z.x), fabs(z.y)));
        if (s->trap == TRAP_CIRCLE) nearest = fmin(nearest, fabs(sqrt(point_square(z)) - 0.6));
    }
    out->basin = nearest_root(s, z);
    if (s->trap != TRAP_NONE) out->texture = -0.25 * log(nearest + 1e-4);
}

static bool draw_newton(fractal_scene *s, fractal_dice *dice)
{
    s->root_count = 3 + (int)dice_below(dice, 5);
    s->limit = 150;
    bool regular = dice_chance(dice, 0.5);
    double start = dice_range(dice, 0, 2 * FRACTAL_PI);
    for (int i = 0; i < s->root_count; i++)
        s->roots[i] = point_polar(regular ? 1 : dice_range(dice, 0.35, 1.3),
                                  start + 2 * FRACTAL_PI * (i + (regular ? 0 : dice_range(dice, -0.3, 0.3))) /
                                      s->root_count);
    /* Over-relaxed, the basins' borders swell into chains. */
    s->constant = dice_chance(dice, 0.35) ? (fractal_point){1, 0} :
                  (fractal_point){dice_range(dice, 0.7, 1.65), dice_range(dice, -0.45, 0.45)};
    double kind = dice_range(dice, 0, 1);
    s->trap = kind < 0.55 ? TRAP_NONE : kind < 0.8 ? TRAP_CROSS : TRAP_CIRCLE;
    s->width = pow(10, dice_range(dice, -0.6, 0.5));
    double away = dice_chance(dice, 0.4) ? 0 : dice_range(dice, 0.1, 0.9);
    s->centre = point_polar(away, dice_range(dice, 0, 2 * FRACTAL_PI));
    fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
    s->colouring.cycles *= 0.8;
    return true;
}

/* z' = z - a (z^n - 1) / (n z^(n-1)) + c, from z = 1 (c in the plane) or from the plane (c fixed) */
static void sample_nova(const fractal_scene *s, fractal_point at, fractal_sample *out)
{
    fractal_point z = s->julia ? at : (fractal_point){1, 0}, c = s->julia ? s->second : at;
    double nearest = 1e9;
    *out = (fractal_sample){.inside = true, .distance = HUGE_VAL};
    for (int i = 0; i < s->limit; i++) {
        fractal_point lower = point_power(z, s->power - 1), value = point_multiply(lower, z);
        value.x -= 1;
        fractal_point step = point_multiply(s->constant, point_divide(value, point_scale(lower, s->power)));
        step = point_subtract(step, c);
        z = point_subtract(z, step);
        double square = point_square(step);
        if (square < 1e-14) {
            out->inside = false;
            break;
        }
        if (!isfinite(square)) break;
        out->level += exp(-1 / sqrt(square)) + 0.15 * fmin(sqrt(square), 1);
        nearest = fmin(nearest, fabs(z.y));
    }
    if (s->trap != TRAP_NONE || out->inside) out->texture = -0.2 * log(nearest + 1e-5);
}

static bool draw_nova(fractal_scene *s, fractal_dice *dice)
{
    s->power = 3 + (int)dice_below(dice, 2);
    s->limit = 250;
    s->trap = dice_chance(dice, 0.4) ? TRAP_CROSS : TRAP_NONE;
    for (int i = 0; i < 40; i++) {
        s->constant = (fractal_point){dice_range(dice, 0.85, 1.6), dice_chance(dice, 0.6) ? 0 :
                                      dice_range(dice, -0.2, 0.2)};
        s->julia = dice_chance(dice, 0.4);
        s->second = (fractal_point){dice_range(dice, -0.6, 0.5), dice_range(dice, -0.4, 0.4)};
        s->width = pow(10, dice_range(dice, -1.6, 0.2));
        s->centre = point_polar(dice_range(dice, 0, 0.9), dice_range(dice, 0, 2 * FRACTAL_PI));
        if (s->julia) s->width = dice_range(dice, 0.8, 3);
        fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
        if (fractal_view_is_rich(s)) return true;
    }
    return false;
}

/* z' = ((z^2 + c - 1) / (2 z + c - 2))^2, which ends at 1 or at infinity */
static void sample_magnet(const fractal_scene *s, fractal_point at, fractal_sample *out)
{
    fractal_point z = s->julia ? at : (fractal_point){0, 0}, c = s->julia ? s->constant : at;
    *out = (fractal_sample){.inside = true, .distance = HUGE_VAL};
    double nearest = 1e9;
    for (int i = 0; i < s->limit; i++) {
        fractal_point above = point_add(point_multiply(z, z), (fractal_point){c.x - 1, c.y});
        fractal_point below = point_add(point_scale(z, 2), (fractal_point){c.x - 2, c.y});
        fractal_point root = point_divide(above, below);
        z = point_multiply(root, root);
        double square = point_square(z), left = point_square((fractal_point){z.x - 1, z.y});
        if (!(square < 1e6) || left < 1e-8) {
            out->inside = false;
            out->basin = left < 1e-8;
            break;
        }
        out->level += exp(-sqrt(square)) * (1 - exp(-4 * left)) + 0.3;
        nearest = fmin(nearest, square);
    }
    /* The last step counts in part, so that the steps do not show. */
    if (!out->inside) {
        double square = point_square(z), left = point_square((fractal_point){z.x - 1, z.y});
        out->level -= out->basin ? 0.3 * (log2(fmax(log(left) / log(1e-8), 1e-3))) :
                                   0.3 * (log2(fmin(log(square) / log(1e6), 1e3)));
        if (!isfinite(out->level)) out->level = 0;
    }
    out->texture = out->inside ? -0.2 * log(nearest + 1e-5) : 0;
}

static bool draw_magnet(fractal_scene *s, fractal_dice *dice)
{
    s->limit = 250;
    for (int i = 0; i < 40; i++) {
        fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
        s->julia = false;
        if (dice_chance(dice, 0.12)) {
            s->centre = (fractal_point){1.3, 0};
            s->width = 5;
        } else {
            if (!fractal_find_edge(s, dice, (fractal_point){1.5, 0}, 2, &s->centre)) continue;
            s->width = pow(10, dice_range(dice, -2.5, 0.2));
        }
        if (dice_chance(dice, 0.35)) {
            s->constant = s->centre;
            s->julia = true;
            s->centre = (fractal_point){dice_range(dice, -0.5, 1), dice_range(dice, -0.5, 0.5)};
            s->width = dice_range(dice, 1.5, 5);
        }
        if (fractal_view_is_rich(s)) return true;
    }
    return false;
}

/* z' = c sin z, or c cos z */
static void sample_sine(const fractal_scene *s, fractal_point at, fractal_sample *out)
{
    fractal_point z = at;
    double nearest = 1e9;
    *out = (fractal_sample){.inside = true, .distance = HUGE_VAL};
    for (int i = 0; i < s->limit; i++) {
        double grow = exp(z.y), cosh_y = 0.5 * (grow + 1 / grow), sinh_y = 0.5 * (grow - 1 / grow);
        fractal_point value = s->variant ? (fractal_point){cos(z.x) * cosh_y, -sin(z.x) * sinh_y} :
                                           (fractal_point){sin(z.x) * cosh_y, cos(z.x) * sinh_y};
        z = point_multiply(s->constant, value);
        out->level += exp(-0.5 * fabs(z.y));
        nearest = fmin(nearest, fabs(z.x));
        if (fabs(z.y) > 50) {
            out->inside = false;
            break;
        }
    }
    if (s->trap != TRAP_NONE || out->inside) out->texture = -0.2 * log(nearest + 1e-5);
}

static bool draw_sine(fractal_scene *s, fractal_dice *dice)
{
    s->limit = 150;
    for (int i = 0; i < 40; i++) {
        s->variant = (int)dice_below(dice, 2);
        s->trap = dice_chance(dice, 0.4) ? TRAP_CROSS : TRAP_NONE;
        s->constant = s->variant ? point_polar(dice_range(dice, 0.6, 3), dice_range(dice, 0, 2 * FRACTAL_PI)) :
                                   point_polar(dice_range(dice, 0.95, 1.6), dice_range(dice, -1.2, 1.2));
        s->width = pow(10, dice_range(dice, -0.5, 0.9));
        s->centre = (fractal_point){dice_range(dice, -2, 2), dice_range(dice, -1.5, 1.5)};
        fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
        if (fractal_view_is_rich(s)) return true;
    }
    return false;
}

const fractal_family fractal_newton = {"newton", 2, draw_newton, sample_newton, NULL};
const fractal_family fractal_nova = {"nova", 1, draw_nova, sample_nova, NULL};
const fractal_family fractal_magnet = {"magnet", 1, draw_magnet, sample_magnet, NULL};
const fractal_family fractal_sine = {"sine", 1, draw_sine, sample_sine, NULL};
