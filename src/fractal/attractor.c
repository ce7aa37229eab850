/* Strange attractors: the maps of P. de Jong and C. Pickover (Clifford), J. Svensson's, and the symmetric icons of M.
 * Field and M. Golubitsky ("Symmetry in Chaos", 1992). */
#include "fractal/scene.h"

typedef enum attractor { CLIFFORD, DE_JONG, SVENSSON, ICON, ATTRACTORS } attractor;

static fractal_point icon(const fractal_scene *s, fractal_point z)
{
    const double *p = s->parameters; /* lambda, alpha, beta, gamma, omega */
    fractal_point lower = point_power(z, s->power - 1);
    double real = lower.x * z.x - lower.y * z.y;
    double factor = p[0] + p[1] * point_square(z) + p[2] * real;
    return (fractal_point){factor * z.x + p[3] * lower.x - p[4] * z.y, factor * z.y - p[3] * lower.y + p[4] * z.x};
}

static void walk_attractor(const fractal_scene *s, uint32_t random, fractal_point *at, double *colour)
{
    (void)random;
    const double *p = s->parameters;
    double x = at->x, y = at->y;
    switch ((attractor)s->variant) {
    case CLIFFORD:
        *at = (fractal_point){sin(p[0] * y) + p[2] * cos(p[0] * x), sin(p[1] * x) + p[3] * cos(p[1] * y)};
        break;
    case DE_JONG:
        *at = (fractal_point){sin(p[0] * y) - cos(p[1] * x), sin(p[2] * x) - cos(p[3] * y)};
        break;
    case SVENSSON:
        *at = (fractal_point){p[3] * sin(p[0] * x) - sin(p[1] * y), p[2] * cos(p[0] * x) + cos(p[1] * y)};
        break;
    case ICON:
    case ATTRACTORS: *at = icon(s, *at);
    }
    double step = sqrt((at->x - x) * (at->x - x) + (at->y - y) * (at->y - y));
    *colour = 0.6 * *colour + 0.4 * (0.5 + 0.5 * sin(s->parameters[5] * step));
}

static bool draw_attractor(fractal_scene *s, fractal_dice *dice)
{
    /* lambda, alpha, beta, gamma, omega, n: from the book, to be varied a little. */
    static const double icons[][6] = {{-2.5, 5, -1.9, 1, 0.188, 5}, {1.56, -1, 0.1, -0.82, 0, 3},
                                      {-1.806, 1.806, 0, 1, 0, 5}, {2.409, -2.5, 0, 0.9, 0, 23},
                                      {-2.08, 1, -0.1, 0.167, 0, 7}, {-2.7, 5, 1.5, 1, 0, 6},
                                      {2.6, -2, 0, -0.5, 0, 5}, {-2.195, 10, -12, 1, 0, 3},
                                      {2.5, -2.5, 0, 0.9, 0, 3}, {-2.05, 3, -16.79, 1, 0, 9}};
    for (int i = 0; i < 60; i++) {
        s->variant = (int)dice_below(dice, ATTRACTORS);
        for (int k = 0; k < 4; k++)
            s->parameters[k] = (dice_chance(dice, 0.5) ? 1 : -1) * dice_range(dice, s->variant == CLIFFORD && k > 1 ?
                                                                              0.3 : 1.2, 2.4);
        if (s->variant == ICON) {
            const double *known = icons[dice_below(dice, sizeof icons / sizeof *icons)];
            for (int k = 0; k < 5; k++) s->parameters[k] = known[k] * dice_range(dice, 0.995, 1.005);
            s->power = (int)known[5];
        }
        s->parameters[5] = dice_range(dice, 1.5, 5);
        s->gamma = dice_range(dice, 2.2, 3.2);
        s->exposure = dice_range(dice, 0.9, 1.5);
        fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
        if (fractal_frame_walk(s, dice)) return true;
    }
    return false;
}

const fractal_family fractal_attractor = {"attractor", 1, draw_attractor, NULL, walk_attractor};
