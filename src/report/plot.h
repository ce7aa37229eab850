/* A small scatter plot as inline SVG: named points with intervals, the axes in numbers that people read easily.
 *
 *     report_point points[] = {{"gan", 0.4, 0.3, 0.5, 1.2, 1.1, 1.3}, {"gatys", 41, NAN, NAN, 0.6, 0.5, 0.7}};
 *     report_plot plot = {"Time and style distance", "seconds per picture", "style distance", true, points, 2};
 *     report_plot_svg(&plot, &page);
 */
#ifndef REPORT_PLOT_H
#define REPORT_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

typedef struct report_point {
    const char *name;
    double x, x_low, x_high; /* an interval that is NAN is not drawn */
    double y, y_low, y_high;
} report_point;

typedef struct report_plot {
    const char *title, *x_title, *y_title;
    bool x_logarithmic; /* where all points are above 0 */
    const report_point *points;
    size_t count;
} report_plot;

/* Appends <svg>...</svg> with classes "axis", "grid", "interval", "point" (and "series-0" to "series-7", which repeat)
 * for the page's style sheet, and a description in words for those who cannot see it. Points with a coordinate that is
 * not finite are left out; without any point nothing is appended. Returns whether something was. */
bool report_plot_svg(const report_plot *plot, text *out);

#endif
