/* Fractal flames: S. Draves and E. Reckase, "The fractal flame algorithm" (2003); the numbers of the variations are
 * those of its appendix. */
#include "fractal/scene.h"

enum { LINEAR, SINUSOIDAL, SPHERICAL, SWIRL, HORSESHOE, POLAR, HEART, DISC, SPIRAL, HYPERBOLIC, DIAMOND, JULIA, BENT,
       FISHEYE, BUBBLE, CYLINDER, VARIATIONS };

static fractal_point vary(int variation, fractal_point p, uint32_t random)
{
    double square = point_square(p) + 1e-12, r = sqrt(square), angle;
    switch (variation) {
    case SINUSOIDAL: return (fractal_point){sin(p.x), sin(p.y)};
    case SPHERICAL: return point_scale(p, 1 / square);
    case SWIRL: {
        double s = sin(square), c = cos(square);
        return (fractal_point){p.x * s - p.y * c, p.x * c + p.y * s};
    }
    case HORSESHOE: return (fractal_point){(p.x - p.y) * (p.x + p.y) / r, 2 * p.x * p.y / r};
    case POLAR: return (fractal_point){atan2(p.x, p.y) / FRACTAL_PI, r - 1};
    case HEART: {
        fractal_point turned = point_polar(r, r * atan2(p.x, p.y));
        return (fractal_point){turned.y, -turned.x};
    }
    case DISC: {
        fractal_point turned = point_polar(atan2(p.x, p.y) / FRACTAL_PI, FRACTAL_PI * r);
        return (fractal_point){turned.y, turned.x};
    }
    case SPIRAL: return (fractal_point){(p.y / r + sin(r)) / r, (p.x / r - cos(r)) / r};
    case HYPERBOLIC: return (fractal_point){p.x / square, p.y};
    case DIAMOND: return (fractal_point){p.x / r * cos(r), p.y / r * sin(r)};
    case JULIA:
        angle = atan2(p.x, p.y) / 2 + (random & 1 ? FRACTAL_PI : 0);
        return point_polar(sqrt(r), angle);
    case BENT: return (fractal_point){p.x < 0 ? 2 * p.x : p.x, p.y < 0 ? p.y / 2 : p.y};
    case FISHEYE: return point_scale((fractal_point){p.y, p.x}, 2 / (r + 1));
    case BUBBLE: return point_scale(p, 4 / (square + 4));
    case CYLINDER: return (fractal_point){sin(p.x), p.y};
    default: return p; /* linear */
    }
}

static void walk_flame(const fractal_scene *s, uint32_t random, fractal_point *at, double *colour)
{
    /* The symmetry's turns change no colour. */
    if (s->symmetry > 1 && (random >> 28) < 7) {
        unsigned turn = (random & 0xffff) % (unsigned)s->symmetry;
        *at = point_multiply(*at, point_polar(1, 2 * FRACTAL_PI * turn / s->symmetry));
        return;
    }
    double chosen = (double)(random & 0xffffff) / 0x1000000;
    const flame_transform *t = s->transforms;
    while (t < s->transforms + s->transform_count - 1 && chosen >= t->share) t++;
    const double *a = t->affine;
    fractal_point p = {a[0] * at->x + a[1] * at->y + a[2], a[3] * at->x + a[4] * at->y + a[5]}, sum = {0, 0};
    for (int i = 0; i < FLAME_VARIATIONS; i++)
        if (t->weights[i] != 0)
            sum = point_add(sum, point_scale(vary(t->variations[i], p, random >> 24), t->weights[i]));
    *at = sum;
    *colour = 0.5 * (*colour + t->colour);
}

static void draw_transform(flame_transform *t, fractal_dice *dice)
{
    double angle = dice_range(dice, 0, 2 * FRACTAL_PI), skew = angle + dice_range(dice, 0.9, 2.2);
    double first = dice_range(dice, 0.35, 1.05), second = dice_range(dice, 0.35, 1.05);
    t->affine[0] = first * cos(angle);
    t->affine[3] = first * sin(angle);
    t->affine[1] = second * cos(skew);
    t->affine[4] = second * sin(skew);
    t->affine[2] = dice_range(dice, -1, 1);
    t->affine[5] = dice_range(dice, -1, 1);
    unsigned count = 1 + dice_below(dice, 2);
    double left = 1;
    for (unsigned i = 0; i < FLAME_VARIATIONS; i++) {
        t->variations[i] = (int)dice_below(dice, VARIATIONS);
        t->weights[i] = i + 1 == count ? left : i < count ? left * dice_range(dice, 0.3, 0.8) : 0;
        left -= t->weights[i];
    }
}

static bool draw_flame(fractal_scene *s, fractal_dice *dice)
{
    for (int i = 0; i < 60; i++) {
        s->transform_count = 2 + (int)dice_below(dice, 3);
        s->symmetry = dice_chance(dice, 0.45) ? 2 + (int)dice_below(dice, 5) : 1;
        double total = 0;
        for (int k = 0; k < s->transform_count; k++) {
            draw_transform(&s->transforms[k], dice);
            s->transforms[k].colour = (double)k / (s->transform_count - 1);
            s->transforms[k].share = total += dice_range(dice, 0.3, 1);
        }
        for (int k = 0; k < s->transform_count; k++) s->transforms[k].share /= total;
        s->gamma = dice_range(dice, 2.2, 3.4);
        s->exposure = dice_range(dice, 1, 1.7);
        fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
        if (fractal_frame_walk(s, dice)) return true;
    }
    return false;
}

const fractal_family fractal_flame = {"flame", 2, draw_flame, NULL, walk_flame};
