/* Points of the plane as complex numbers. C's own complex product checks for NaN in a library call, which costs more
 * than the product. */
#ifndef FRACTAL_POINT_H
#define FRACTAL_POINT_H

#include <math.h>

typedef struct fractal_point {
    double x, y;
} fractal_point;

#define FRACTAL_PI 3.14159265358979323846

static inline fractal_point point_add(fractal_point a, fractal_point b)
{
    return (fractal_point){a.x + b.x, a.y + b.y};
}
static inline fractal_point point_subtract(fractal_point a, fractal_point b)
{
    return (fractal_point){a.x - b.x, a.y - b.y};
}
static inline fractal_point point_scale(fractal_point a, double s) { return (fractal_point){a.x * s, a.y * s}; }
static inline fractal_point point_multiply(fractal_point a, fractal_point b)
{
    return (fractal_point){a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x};
}
static inline double point_square(fractal_point a) { return a.x * a.x + a.y * a.y; }
static inline fractal_point point_divide(fractal_point a, fractal_point b)
{
    double s = 1 / point_square(b);
    return (fractal_point){(a.x * b.x + a.y * b.y) * s, (a.y * b.x - a.x * b.y) * s};
}
/* n >= 0 */
static inline fractal_point point_power(fractal_point a, int n)
{
    fractal_point result = {1, 0};
    for (int i = 0; i < n; i++) result = point_multiply(result, a);
    return result;
}
static inline fractal_point point_polar(double radius, double angle)
{
    double x = radius * cos(angle), y = radius * sin(angle);
    return (fractal_point){x, y};
}

#endif
