#include <stdlib.h>

#include "fractal/scene.h"

enum { LOOK = 24, CELLS = 4, BISECTIONS = 44, EDGE_TRIES = 60 };

fractal_point fractal_view_point(const fractal_scene *scene, double u, double v)
{
    fractal_point offset = {u * scene->width, -v * scene->width};
    return point_add(scene->centre, point_multiply(offset, scene->turn));
}

void fractal_view_rotate(fractal_scene *scene, double angle) { scene->turn = point_polar(1, angle); }

static bool is_inside(const fractal_scene *scene, fractal_point at)
{
    fractal_sample sample;
    scene->family->sample(scene, at, &sample);
    return sample.inside;
}

bool fractal_find_edge(const fractal_scene *scene, fractal_dice *dice, fractal_point centre, double radius,
                       fractal_point *out)
{
    fractal_point inside = {0}, outside = {0};
    bool has_inside = false, has_outside = false;
    for (int i = 0; i < EDGE_TRIES && !(has_inside && has_outside); i++) {
        fractal_point at = {centre.x + dice_range(dice, -radius, radius), centre.y + dice_range(dice, -radius, radius)};
        if (is_inside(scene, at)) {
            inside = at;
            has_inside = true;
        } else {
            outside = at;
            has_outside = true;
        }
    }
    if (!has_inside || !has_outside) return false;
    for (int i = 0; i < BISECTIONS; i++) {
        fractal_point middle = point_scale(point_add(inside, outside), 0.5);
        if (is_inside(scene, middle))
            inside = middle;
        else
            outside = middle;
    }
    *out = outside;
    return true;
}

/* The sample in the middle of one of LOOK x LOOK cells. */
static void look(const fractal_scene *scene, int x, int y, fractal_sample *out)
{
    scene->family->sample(scene, fractal_view_point(scene, (x + 0.5) / LOOK - 0.5, (y + 0.5) / LOOK - 0.5), out);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool fractal_view_is_rich(const fractal_scene *scene)
{
    double levels[LOOK * LOOK], sorted[LOOK * LOOK];
    size_t inside = 0, outside = 0, jumps = 0;
    for (int y = 0; y < LOOK; y++)
        for (int x = 0; x < LOOK; x++) {
            fractal_sample sample;
            look(scene, x, y, &sample);
            levels[y * LOOK + x] = sample.inside ? -1 : log(sample.level + 1);
            if (sample.inside)
                inside++;
            else
                sorted[outside++] = levels[y * LOOK + x];
        }
    if (inside * 100 > 25 * LOOK * LOOK) return false;
    qsort(sorted, outside, sizeof *sorted, compare_doubles);
    double low = sorted[outside / 10], spread = sorted[outside * 9 / 10] - low;
    if (!(spread > 0.16)) return false;
    size_t cells[CELLS][CELLS] = {{0}}, busy = 0;
    for (int y = 0; y < LOOK; y++)
        for (int x = 1; x < LOOK; x++) {
            double a = levels[y * LOOK + x - 1], b = levels[y * LOOK + x];
            bool jump = fabs(a - b) > 0.35 * spread;
            jumps += jump;
            cells[y * CELLS / LOOK][x * CELLS / LOOK] += jump;
        }
    for (int i = 0; i < CELLS * CELLS; i++) busy += cells[i / CELLS][i % CELLS] > 0;
    return busy * 10 >= 6 * CELLS * CELLS && jumps * 100 > 12 * LOOK * LOOK && jumps * 100 < 50 * LOOK * LOOK;
}

void fractal_limit_to_view(fractal_scene *scene)
{
    double highest = 0;
    for (int i = 0; i < LOOK * LOOK; i++) {
        fractal_sample sample;
        look(scene, i % LOOK, i / LOOK, &sample);
        if (!sample.inside) highest = fmax(highest, sample.level);
    }
    /* Between the points that were looked at some need more. */
    if (1.5 * highest + 100 < scene->limit) scene->limit = (int)(1.5 * highest + 100);
}
