#include "fractal/palette.h"

#include <math.h>

#include "fractal/point.h"

enum { MAXIMUM_KNOTS = 8 };

typedef struct lab {
    double l, a, b;
} lab;

typedef struct knots {
    int count;
    double lightness[MAXIMUM_KNOTS], chroma[MAXIMUM_KNOTS], hue[MAXIMUM_KNOTS]; /* hue in turns */
} knots;

static void lab_to_linear(lab c, double rgb[3])
{
    double l = c.l + 0.3963377774 * c.a + 0.2158037573 * c.b;
    double m = c.l - 0.1055613458 * c.a - 0.0638541728 * c.b;
    double s = c.l - 0.0894841775 * c.a - 1.2914855480 * c.b;
    l = l * l * l;
    m = m * m * m;
    s = s * s * s;
    rgb[0] = 4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s;
    rgb[1] = -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s;
    rgb[2] = -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s;
}

static bool in_gamut(const double rgb[3])
{
    for (int i = 0; i < 3; i++)
        if (rgb[i] < -1e-6 || rgb[i] > 1 + 1e-6) return false;
    return true;
}

/* Pulls a colour towards grey until a screen can show it. */
static fractal_colour to_colour(lab c)
{
    double rgb[3], low = 0, high = 1;
    c.l = fmin(fmax(c.l, 0), 1);
    lab_to_linear(c, rgb);
    if (!in_gamut(rgb)) {
        for (int i = 0; i < 12; i++) {
            double middle = (low + high) / 2;
            lab_to_linear((lab){c.l, c.a * middle, c.b * middle}, rgb);
            if (in_gamut(rgb))
                low = middle;
            else
                high = middle;
        }
        lab_to_linear((lab){c.l, c.a * low, c.b * low}, rgb);
    }
    for (int i = 0; i < 3; i++) rgb[i] = fmin(fmax(rgb[i], 0), 1);
    return (fractal_colour){(float)rgb[0], (float)rgb[1], (float)rgb[2]};
}

static lab to_lab(double lightness, double chroma, double hue)
{
    return (lab){lightness, chroma * cos(2 * FRACTAL_PI * hue), chroma * sin(2 * FRACTAL_PI * hue)};
}

fractal_colour palette_colour(double lightness, double chroma, double hue)
{
    return to_colour(to_lab(lightness, chroma, hue));
}

static double spline(double p0, double p1, double p2, double p3, double t)
{
    return p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)));
}

/* A closed Catmull-Rom spline through the knots, evenly spaced. */
static void fill(fractal_palette *out, const knots *k)
{
    lab at[MAXIMUM_KNOTS];
    for (int i = 0; i < k->count; i++) at[i] = to_lab(k->lightness[i], k->chroma[i], k->hue[i]);
    for (int i = 0; i < PALETTE_COLOURS; i++) {
        double position = (double)i / PALETTE_COLOURS * k->count;
        int n = (int)position, c = k->count;
        double t = position - n;
        const lab *p0 = &at[(n + c - 1) % c], *p1 = &at[n], *p2 = &at[(n + 1) % c], *p3 = &at[(n + 2) % c];
        out->colours[i] = to_colour((lab){spline(p0->l, p1->l, p2->l, p3->l, t), spline(p0->a, p1->a, p2->a, p3->a, t),
                                          spline(p0->b, p1->b, p2->b, p3->b, t)});
    }
}

static void add(knots *k, double lightness, double chroma, double hue)
{
    k->lightness[k->count] = lightness;
    k->chroma[k->count] = chroma;
    k->hue[k->count++] = hue;
}

/* Colours in OKLab: hue 0.08 red, 0.15 orange, 0.29 yellow, 0.40 green, 0.54 cyan, 0.73 blue, 0.91 magenta. */
static void add_famous(knots *k, fractal_dice *d)
{
    switch (dice_below(d, 6)) {
    case 0: /* night blue, blue, white, orange, brown */
        add(k, 0.18, 0.10, 0.74), add(k, 0.48, 0.16, 0.72), add(k, 0.96, 0.03, 0.60), add(k, 0.78, 0.17, 0.20);
        add(k, 0.25, 0.08, 0.12);
        break;
    case 1: /* embers */
        add(k, 0.10, 0.04, 0.05), add(k, 0.42, 0.18, 0.07), add(k, 0.68, 0.21, 0.12), add(k, 0.90, 0.17, 0.27);
        add(k, 0.98, 0.04, 0.28), add(k, 0.50, 0.20, 0.08);
        break;
    case 2: /* sea */
        add(k, 0.14, 0.06, 0.70), add(k, 0.45, 0.10, 0.58), add(k, 0.80, 0.12, 0.50), add(k, 0.97, 0.04, 0.35);
        add(k, 0.62, 0.12, 0.62);
        break;
    case 3: /* crimson and gold */
        add(k, 0.35, 0.16, 0.02), add(k, 0.55, 0.21, 0.05), add(k, 0.80, 0.17, 0.21), add(k, 0.94, 0.12, 0.29);
        add(k, 0.58, 0.17, 0.12), add(k, 0.22, 0.10, 0.98);
        break;
    case 4: /* peacock */
        add(k, 0.16, 0.07, 0.76), add(k, 0.55, 0.15, 0.55), add(k, 0.86, 0.20, 0.38), add(k, 0.92, 0.14, 0.28);
        add(k, 0.50, 0.22, 0.90), add(k, 0.28, 0.17, 0.78);
        break;
    default: /* cream, terracotta, teal */
        add(k, 0.95, 0.05, 0.24), add(k, 0.70, 0.14, 0.14), add(k, 0.35, 0.09, 0.09), add(k, 0.50, 0.08, 0.54);
        add(k, 0.85, 0.07, 0.45), add(k, 0.22, 0.05, 0.60);
    }
    double turn = dice_chance(d, 0.5) ? dice_range(d, -0.07, 0.07) : 0;
    for (int i = 0; i < k->count; i++) k->hue[i] += turn;
}

/* Dark and bright in turn, the hues from a harmony. */
static void add_harmony(knots *k, fractal_dice *d)
{
    static const double harmonies[][3] = {{0, 0.5, 0.08}, {0, 0.33, 0.67}, {0, 0.08, 0.17}, {0, 0.42, 0.58},
                                          {0, 0.22, 0.5}, {0, 0.6, 0.12}};
    const double *harmony = harmonies[dice_below(d, sizeof harmonies / sizeof *harmonies)];
    double hue = dice_range(d, 0, 1);
    int count = 6 + 2 * (int)dice_below(d, 2);
    for (int i = 0; i < count; i++) {
        bool dark = i % 2 == 0;
        add(k, dark ? dice_range(d, 0.12, 0.45) : dice_range(d, 0.68, 0.97), dice_range(d, 0.08, dark ? 0.18 : 0.22),
            hue + harmony[i % 3] + dice_range(d, -0.03, 0.03));
    }
}

/* All hues, the lightness going up and down. */
static void add_rainbow(knots *k, fractal_dice *d)
{
    double hue = dice_range(d, 0, 1), direction = dice_chance(d, 0.5) ? 1 : -1;
    for (int i = 0; i < 8; i++)
        add(k, i % 2 ? dice_range(d, 0.70, 0.92) : dice_range(d, 0.35, 0.55), 0.21, hue + direction * i / 8.0);
}

/* Black, one strong colour, a glow. */
static void add_electric(knots *k, fractal_dice *d)
{
    double hue = dice_range(d, 0, 1), second = hue + dice_range(d, -0.15, 0.15);
    add(k, 0.06, 0.03, hue);
    add(k, 0.20, 0.12, hue);
    add(k, 0.55, 0.25, hue);
    add(k, 0.85, 0.14, second);
    add(k, 0.98, 0.02, second);
    add(k, 0.45, 0.22, second);
    add(k, 0.12, 0.08, hue);
}

/* Light tints with one dark line. */
static void add_bright(knots *k, fractal_dice *d)
{
    double hue = dice_range(d, 0, 1), other = hue + dice_range(d, 0.3, 0.7);
    add(k, 0.97, 0.04, hue);
    add(k, 0.84, 0.13, hue + 0.05);
    add(k, 0.68, 0.19, hue + 0.10);
    add(k, 0.30, 0.12, other);
    add(k, 0.72, 0.17, other + 0.05);
    add(k, 0.92, 0.10, other + 0.08);
}

/* One metal: near black to near white. */
static void add_metal(knots *k, fractal_dice *d)
{
    double hue = dice_chance(d, 0.6) ? dice_range(d, 0.12, 0.28) : dice_range(d, 0, 1);
    double chroma = dice_range(d, 0.06, 0.14);
    add(k, 0.10, 0.03, hue - 0.05);
    add(k, 0.38, chroma, hue - 0.05);
    add(k, 0.74, chroma + 0.03, hue);
    add(k, 0.97, 0.05, hue + 0.04);
    add(k, 0.60, chroma, hue);
    add(k, 0.86, chroma, hue + 0.03);
    add(k, 0.28, 0.05, hue + 0.5);
}

void palette_draw(fractal_palette *out, fractal_dice *dice)
{
    knots k = {0};
    double kind = dice_range(dice, 0, 1);
    if (kind < 0.24)
        add_famous(&k, dice);
    else if (kind < 0.52)
        add_harmony(&k, dice);
    else if (kind < 0.60)
        add_rainbow(&k, dice);
    else if (kind < 0.76)
        add_electric(&k, dice);
    else if (kind < 0.89)
        add_bright(&k, dice);
    else
        add_metal(&k, dice);
    fill(out, &k);
}

void palette_draw_quiet(fractal_palette *out, fractal_dice *dice)
{
    knots k = {0};
    double hue = dice_range(dice, 0, 1);
    if (dice_chance(dice, 0.45)) {
        add(&k, 0, 0, 0);
        add(&k, 0, 0, 0);
    } else {
        add(&k, 0.08, 0.03, hue);
        add(&k, 0.30, 0.12, hue + 0.04);
        add(&k, 0.55, 0.16, hue + 0.10);
        add(&k, 0.25, 0.10, hue + 0.16);
    }
    fill(out, &k);
}

fractal_colour palette_at(const fractal_palette *palette, double turns)
{
    double position = (turns - floor(turns)) * PALETTE_COLOURS;
    int n = (int)position % PALETTE_COLOURS, next = (n + 1) % PALETTE_COLOURS;
    float t = (float)(position - floor(position));
    const fractal_colour *a = &palette->colours[n], *b = &palette->colours[next];
    return (fractal_colour){a->r + (b->r - a->r) * t, a->g + (b->g - a->g) * t, a->b + (b->b - a->b) * t};
}
