#include "fractal/scene.h"

/* Differences that no eye sees, in sRGB steps. */
enum { AGREEMENT = 5 };

static fractal_colour colour_at(const fractal_scene *scene, double u, double v)
{
    fractal_sample sample;
    scene->family->sample(scene, fractal_view_point(scene, u, v), &sample);
    fractal_colour c = fractal_colour_of(scene, &sample);
    /* Clipped before averaging: one white-hot sample must not outshine its pixel. */
    return (fractal_colour){fminf(c.r, 1), fminf(c.g, 1), fminf(c.b, 1)};
}

static bool near(float a, float b)
{
    int first = fractal_encode((double)a), second = fractal_encode((double)b);
    return first - second <= AGREEMENT && second - first <= AGREEMENT;
}

/* Four samples spread over the pixel; the whole grid where they differ. */
static void render_pixel(const fractal_scene *scene, double left, double top, double side, int grid, uint8_t rgb[3])
{
    double sum[3] = {0};
    int count = 0;
    fractal_colour first = {0};
    bool agree = grid > 2;
    for (int pass = grid > 2 ? 0 : 1; pass < 2; pass++) {
        int n = pass ? grid : 2;
        sum[0] = sum[1] = sum[2] = 0;
        for (int i = 0; i < n * n; i++) {
            fractal_colour c = colour_at(scene, left + side * (i % n + 0.5) / n, top + side * (i / n + 0.5) / n);
            if (!i) first = c;
            agree = agree && near(c.r, first.r) && near(c.g, first.g) && near(c.b, first.b);
            sum[0] += (double)c.r;
            sum[1] += (double)c.g;
            sum[2] += (double)c.b;
        }
        count = n * n;
        if (agree) break;
    }
    for (int c = 0; c < 3; c++) rgb[c] = fractal_encode(sum[c] / count);
}

void fractal_render(const fractal_scene *scene, size_t size, int grid, int threads, uint8_t *rgb)
{
    double side = 1 / (double)size;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t y = 0; y < size; y++)
        for (size_t x = 0; x < size; x++)
            render_pixel(scene, (double)x * side - 0.5, (double)y * side - 0.5, side, grid, rgb + (y * size + x) * 3);
}
