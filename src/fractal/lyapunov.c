/* Lyapunov fractals (M. Markus and B. Hess, 1989): the logistic map x' = r x (1 - x), whose r alternates between the
 * two coordinates of the point by a sequence of As and Bs. The level is minus the exponent where it is negative
 * (order); chaos is coloured by the inner palette. */
#include <stdio.h>
#include <string.h>

#include "fractal/scene.h"

enum { WARM_UP = 60, STEPS = 240, LOOK = 24 };

/* The mean of log |r (1 - 2 x)|; HUGE_VAL when x leaves [0, 1]. */
static double exponent(const fractal_scene *s, fractal_point at)
{
    double x = 0.5, product = 1, sum = 0;
    size_t length = strlen(s->sequence), place = 0;
    for (int i = 0; i < WARM_UP + STEPS; i++) {
        double r = s->sequence[place] == 'A' ? at.x : at.y;
        if (++place == length) place = 0;
        x = r * x * (1 - x);
        if (!(x >= 0 && x <= 1)) return HUGE_VAL;
        if (i < WARM_UP) continue;
        product *= fabs(r * (1 - 2 * x));
        /* One logarithm for several factors. */
        if (i % 8 == 7 || product < 1e-30) {
            sum += log(product + 1e-300);
            product = 1;
        }
    }
    return (sum + log(product + 1e-300)) / STEPS;
}

static void sample_lyapunov(const fractal_scene *s, fractal_point at, fractal_sample *out)
{
    double value = exponent(s, at);
    *out = (fractal_sample){.distance = HUGE_VAL};
    if (value > 0) {
        out->inside = true;
        out->texture = value == HUGE_VAL ? 0 : 0.55 * fmin(1.2 * value, 0.9);
    } else {
        out->level = sqrt(fmin(-value, 4));
    }
}

/* Order and chaos in a good mixture. */
static bool mixed(const fractal_scene *s)
{
    int chaos = 0, changes = 0;
    for (int y = 0; y < LOOK; y++) {
        bool before = false;
        for (int x = 0; x < LOOK; x++) {
            double value = exponent(s, fractal_view_point(s, (x + 0.5) / LOOK - 0.5, (y + 0.5) / LOOK - 0.5));
            if (value == HUGE_VAL) return false;
            chaos += value > 0;
            changes += x > 0 && before != (value > 0);
            before = value > 0;
        }
    }
    return chaos * 100 > 12 * LOOK * LOOK && chaos * 100 < 60 * LOOK * LOOK && changes > LOOK;
}

static bool draw_lyapunov(fractal_scene *s, fractal_dice *dice)
{
    static const char *const sequences[] = {"AB", "AAB", "AABB", "AABAB", "ABBB", "BBBBBBAAAAAA", "AAAB", "ABAABB"};
    fractal_palette *inner = &s->colouring.inner;
    for (int i = 0; i < 80; i++) {
        snprintf(s->sequence, sizeof s->sequence, "%s",
                 sequences[dice_below(dice, sizeof sequences / sizeof *sequences)]);
        s->width = dice_range(dice, 0.12, 0.9);
        s->centre = (fractal_point){dice_range(dice, 2.6, 3.85), dice_range(dice, 2.6, 3.85)};
        fractal_view_rotate(s, dice_range(dice, 0, 2 * FRACTAL_PI));
        if (mixed(s)) break;
        if (i == 79) return false;
    }
    double hue = dice_range(dice, 0, 1), deep = dice_range(dice, 0.25, 0.5);
    for (int i = 0; i < PALETTE_COLOURS; i++) {
        double t = (double)i / PALETTE_COLOURS;
        inner->colours[i] = palette_colour(0.05 + deep * fmin(2 * t, 1), 0.16 * fmin(3 * t, 1), hue + 0.1 * t);
    }
    s->colouring.cycles = dice_range(dice, 0.8, 1.6);
    return true;
}

const fractal_family fractal_lyapunov = {"lyapunov", 1, draw_lyapunov, sample_lyapunov, NULL};
