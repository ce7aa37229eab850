/* Quadratic maps that are no functions of a complex number, or that look two steps back: the burning ship (M.
 * Michelitsch and O. Roessler, 1992) with its relatives, the tricorn, and the phoenix (S. Ushiki, 1988). */
#include "fractal/scene.h"

static const double bailout = 1e4; /* |z|^2 */

typedef enum fold { FOLD_SHIP, FOLD_CELTIC, FOLD_BUFFALO, FOLD_PERPENDICULAR, FOLD_TRICORN } fold;

static fractal_point fold_square(int variant, fractal_point z)
{
    double x = z.x * z.x - z.y * z.y, y = 2 * z.x * z.y;
    switch ((fold)variant) {
    case FOLD_SHIP: return (fractal_point){x, fabs(y)};
    case FOLD_CELTIC: return (fractal_point){fabs(x), y};
    case FOLD_BUFFALO: return (fractal_point){fabs(x), -fabs(y)};
    case FOLD_PERPENDICULAR: return (fractal_point){x, 2 * fabs(z.x) * z.y};
    case FOLD_TRICORN: return (fractal_point){x, -y};
    }
    return (fractal_point){x, y};
}

static double count_smoothly(int count, fractal_point z)
{
    return count + 1 - log2(0.5 * log(point_square(z)) / (0.5 * log(bailout)));
}

static double trap_texture(double nearest) { return -0.3 * log(nearest + 1e-6); }

static void sample_fold(const fractal_scene *s, fractal_point at, fractal_sample *out)
{
    fractal_point z = s->julia ? at : (fractal_point){0, 0}, c = s->julia ? s->constant : at, mark = z;
    double nearest = 1e9;
    int next_mark = 16;
    double same = fmin(1e-12, 1e-10 * s->width * s->width);
    *out = (fractal_sample){.inside = true, .distance = HUGE_VAL};
    for (int i = 0; i < s->limit; i++) {
        z = point_add(fold_square(s->variant, z), c);
        double square = point_square(z);
        if (s->trap == TRAP_POINT) nearest = fmin(nearest, square);
        if (s->trap == TRAP_CROSS) nearest = fmin(nearest, fmin(fabs(z.x), fabs(z.y)));
        if (square > bailout) {
            out->inside = false;
            out->level = count_smoothly(i, z);
            break;
        }
        if (point_square(point_subtract(z, mark)) < same) break;
        if (i == next_mark) {
            mark = z;
            next_mark *= 2;
        }
    }
    if (s->trap != TRAP_NONE) out->texture = trap_texture(nearest);
}

static void draw_trap(fractal_scene *s, fractal_dice *dice)
{
    double kind = dice_range(dice, 0, 1);
    s->trap = kind < 0.5 ? TRAP_NONE : kind < 0.75 ? TRAP_POINT : TRAP_CROSS;
}

static bool draw_fold(fractal_scene *s, fractal_dice *dice, fractal_point middle, double radius, double deepest)
{
    draw_trap(s, dice);
    s->limit = 700;
    for (int i = 0; i < 30; i++) {
        fractal_point at;
        if (!fractal_find_edge(s, dice, middle, radius, &at)) return false;
        s->width = radius * pow(10, dice_range(dice, deepest, -0.3));
        s->centre = point_add(at, (fractal_point){s->width * dice_range(dice, -0.2, 0.2),
                                                  s->width * dice_range(dice, -0.2, 0.2)});
        if (!fractal_view_is_rich(s)) continue;
        fractal_limit_to_view(s);
        return true;
    }
    return false;
}

static bool draw_ship(fractal_scene *s, fractal_dice *dice)
{
    static const fold folds[] = {FOLD_SHIP, FOLD_SHIP, FOLD_CELTIC, FOLD_BUFFALO, FOLD_PERPENDICULAR};
    s->variant = folds[dice_below(dice, sizeof folds / sizeof *folds)];
    s->turn = (fractal_point){-1, 0}; /* the ship upright, as it is always shown */
    if (s->variant != FOLD_SHIP) fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
    if (s->variant == FOLD_SHIP && dice_chance(dice, 0.6)) { /* the fleet on the antenna */
        s->limit = 600;
        draw_trap(s, dice);
        s->width = pow(10, dice_range(dice, -1.6, -0.6));
        s->centre = (fractal_point){dice_range(dice, -1.95, -1.55), 0.25 * s->width};
        if (fractal_view_is_rich(s)) {
            fractal_limit_to_view(s);
            return true;
        }
    }
    return draw_fold(s, dice, (fractal_point){-0.5, -0.2}, 1.5, -2.3);
}

static bool draw_tricorn(fractal_scene *s, fractal_dice *dice)
{
    s->variant = FOLD_TRICORN;
    fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
    return draw_fold(s, dice, (fractal_point){-0.2, 0}, 1.6, -2.8);
}

/* z' = z^2 + c + p z_before */
static void sample_phoenix(const fractal_scene *s, fractal_point at, fractal_sample *out)
{
    fractal_point z = at, before = {0, 0};
    double nearest = 1e9;
    *out = (fractal_sample){.inside = true, .distance = HUGE_VAL};
    for (int i = 0; i < s->limit; i++) {
        fractal_point next = point_add(point_add(point_multiply(z, z), s->constant), point_multiply(s->second, before));
        before = z;
        z = next;
        double square = point_square(z);
        nearest = fmin(nearest, s->trap == TRAP_POINT ? square : fabs(z.x));
        if (square > bailout) {
            out->inside = false;
            out->level = count_smoothly(i, z);
            break;
        }
    }
    if (s->trap != TRAP_NONE || out->inside) out->texture = trap_texture(nearest);
}

static bool draw_phoenix(fractal_scene *s, fractal_dice *dice)
{
    draw_trap(s, dice);
    s->limit = 300;
    s->turn = (fractal_point){0, 1}; /* the bird stands upright */
    for (int i = 0; i < 60; i++) {
        s->constant = (fractal_point){dice_range(dice, 0.15, 0.62), dice_chance(dice, 0.6) ? 0 :
                                      dice_range(dice, -0.15, 0.15)};
        s->second = (fractal_point){dice_range(dice, -0.62, 0.1), dice_chance(dice, 0.6) ? 0 :
                                    dice_range(dice, -0.2, 0.2)};
        s->centre = (fractal_point){0, 0};
        s->width = dice_range(dice, 2, 2.8);
        if (dice_chance(dice, 0.6)) {
            if (!fractal_find_edge(s, dice, (fractal_point){0, 0}, 1.2, &s->centre)) continue;
            s->width = pow(10, dice_range(dice, -1.3, 0));
        }
        if (fractal_view_is_rich(s)) return true;
    }
    return false;
}

const fractal_family fractal_burning_ship = {"burning ship", 2, draw_ship, sample_fold, NULL};
const fractal_family fractal_tricorn = {"tricorn", 1, draw_tricorn, sample_fold, NULL};
const fractal_family fractal_phoenix = {"phoenix", 1, draw_phoenix, sample_phoenix, NULL};
