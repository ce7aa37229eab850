/* Keeping the content's colours (Gatys, Bethge, Hertzmann, Shechtman 2016, "Preserving color in neural artistic style
 * transfer"). Pictures are (count, 3) floats, RGB in [-1, 1].
 *
 *     style_statistics wanted = style_statistics_of(content, count);
 *     style_match_colours(style, style_count, &wanted);
 */
#ifndef STYLE_COLOUR_H
#define STYLE_COLOUR_H

#include <stddef.h>

/* Mean and covariance of the colours. */
typedef struct style_statistics {
    double mean[3], covariance[3][3];
} style_statistics;

style_statistics style_statistics_of(const float *pixels, size_t count);
/* The linear map of colours that gives a picture the wanted statistics: wanted^(1/2) own^(-1/2) of the covariances
 * (Image Analogies, Hertzmann 2001: of all such maps the one without a turn). What has no variation gets none. */
void style_match_colours(float *pixels, size_t count, const style_statistics *wanted);
/* Grey of the same luminance, 0.299 R + 0.587 G + 0.114 B. */
void style_make_grey(float *pixels, size_t count);
/* The content with the luminance of `pixels`, which becomes it: its colour differences (I and Q of YIQ) stay. */
void style_take_colours(float *pixels, const float *content, size_t count);

#endif
