#include <stdlib.h>

#include "fractal/scene.h"

enum { FIT = 64 };

void fractal_colouring_draw(fractal_colouring *c, fractal_dice *dice)
{
    palette_draw(&c->outer, dice);
    palette_draw_quiet(&c->inner, dice);
    c->cycles = dice_chance(dice, 0.5) ? dice_range(dice, 0.7, 1.3) : dice_range(dice, 1.3, 3.2);
    c->phase = dice_range(dice, 0, 1);
    c->equalise = dice_range(dice, 0.3, 0.9);
    c->texture = dice_range(dice, 0.2, 0.8);
    c->basin = dice_range(dice, 0.15, 0.4);
    c->relief = dice_chance(dice, 0.45) ? dice_range(dice, 0.35, 0.9) : 0;
    c->light = point_polar(1, dice_range(dice, 0, 2 * FRACTAL_PI));
    double rim = dice_range(dice, 0, 1);
    c->rim = rim < 0.35 ? 1 : rim < 0.42 ? -1 : 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void fractal_colouring_fit(fractal_scene *scene)
{
    double levels[FIT * FIT];
    double *knots = scene->colouring.knots;
    size_t count = 0;
    for (int y = 0; y < FIT; y++)
        for (int x = 0; x < FIT; x++) {
            fractal_sample sample;
            scene->family->sample(scene, fractal_view_point(scene, (x + 0.5) / FIT - 0.5, (y + 0.5) / FIT - 0.5),
                                  &sample);
            if (!sample.inside && isfinite(sample.level)) levels[count++] = sample.level;
        }
    if (!count) levels[count++] = 0;
    qsort(levels, count, sizeof *levels, compare_doubles);
    for (size_t i = 0; i < LEVEL_KNOTS; i++) {
        /* The lowest and highest hundredth are left to the ends. */
        double place = 0.01 + 0.98 * (double)i / (LEVEL_KNOTS - 1);
        knots[i] = levels[(size_t)(place * (double)(count - 1))];
        if (i && knots[i] <= knots[i - 1]) knots[i] = knots[i - 1] + 1e-9 * (1 + fabs(knots[i - 1]));
    }
}

/* 0 to 1 over the levels in view, a little beyond at its ends. */
static double place_of(const fractal_colouring *c, double level)
{
    const double *k = c->knots;
    double first = k[0], last = k[LEVEL_KNOTS - 1], soft = 0.25 * (k[LEVEL_KNOTS / 2] - first) + 1e-9;
    double logarithmic = log1p(fmax(level - first, -0.5 * soft) / soft) / log1p((last - first) / soft);
    double rank;
    if (level <= first) {
        rank = 0;
    } else if (level >= last) {
        rank = 1;
    } else {
        int low = 0, high = LEVEL_KNOTS - 1;
        while (high - low > 1) {
            int middle = (low + high) / 2;
            if (level < k[middle])
                high = middle;
            else
                low = middle;
        }
        rank = (low + (level - k[low]) / (k[high] - k[low])) / (LEVEL_KNOTS - 1);
    }
    return logarithmic + c->equalise * (rank - logarithmic);
}

static fractal_colour mix(fractal_colour a, fractal_colour b, float t)
{
    return (fractal_colour){a.r + (b.r - a.r) * t, a.g + (b.g - a.g) * t, a.b + (b.b - a.b) * t};
}

fractal_colour fractal_colour_of(const fractal_scene *scene, const fractal_sample *s)
{
    const fractal_colouring *c = &scene->colouring;
    if (s->inside) return palette_at(&c->inner, s->texture);
    double turns = c->cycles * place_of(c, s->level) + c->phase + c->texture * s->texture + c->basin * s->basin;
    fractal_colour colour = palette_at(&c->outer, turns);
    if (c->relief > 0 && (s->slope.x != 0 || s->slope.y != 0)) {
        double facing = s->slope.x * c->light.x + s->slope.y * c->light.y; /* -1 .. 1 */
        double shade = 1 + c->relief * (facing > 0 ? 0.35 * facing : 0.9 * facing);
        colour = (fractal_colour){colour.r * (float)shade, colour.g * (float)shade, colour.b * (float)shade};
        double gloss = facing > 0.75 ? (facing - 0.75) * c->relief : 0;
        colour = mix(colour, (fractal_colour){1, 1, 1}, (float)gloss);
    }
    if (c->rim != 0 && s->distance < HUGE_VAL) {
        /* A line as thick as a pixel of 286. */
        double near = exp(-fmax(s->distance, 0) * 286 * 0.9);
        float level = c->rim > 0 ? 0 : 1;
        colour = mix(colour, (fractal_colour){level, level, level}, (float)(near * (c->rim > 0 ? 0.85 : 0.5)));
    }
    return colour;
}

uint8_t fractal_encode(double linear)
{
    double v = linear <= 0 ? 0 : linear >= 1 ? 1 : linear;
    v = v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
    return (uint8_t)(v * 255 + 0.5);
}
