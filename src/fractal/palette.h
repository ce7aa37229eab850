/* Cyclic colour gradients, made in OKLab (B. Ottosson, "A perceptual color space for image processing", 2020), so
 * that steps in lightness are steps to the eye. */
#ifndef FRACTAL_PALETTE_H
#define FRACTAL_PALETTE_H

#include "fractal/dice.h"

enum { PALETTE_COLOURS = 1024 };

/* Linear-light RGB. */
typedef struct fractal_colour {
    float r, g, b;
} fractal_colour;

typedef struct fractal_palette {
    fractal_colour colours[PALETTE_COLOURS];
} fractal_palette;

/* A gradient of strong contrast: five to seven colours of one of several harmonies. */
void palette_draw(fractal_palette *out, fractal_dice *dice);
/* A quiet one, dark or deep, for what lies inside of a set. */
void palette_draw_quiet(fractal_palette *out, fractal_dice *dice);
/* One turn of the gradient is from 0 to 1; any finite number. */
fractal_colour palette_at(const fractal_palette *palette, double turns);
/* OKLab's lightness, chroma and hue (in turns) as linear-light RGB; chroma is reduced to what a screen can show. */
fractal_colour palette_colour(double lightness, double chroma, double hue);

#endif
