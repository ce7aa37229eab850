/* Pictures of where a walk goes. Its points are counted in fixed point by atomic additions, whose order does not
 * matter: the sums are the same for any number of threads. */
#include <stdlib.h>

#include "fractal/scene.h"

enum { WALKERS = 64, SETTLE = 30, PROBE = 6000, PROBE_BINS = 32, COLOUR_UNIT = 4096, HISTOGRAM = 1024 };

static const double far_away = 1e6;

typedef struct bin {
    uint32_t count;
    uint64_t colour; /* sum of the places in the palette, in COLOUR_UNITs */
} bin;

/* The walkers' numbers: their own steps of the draft's stream. */
static uint32_t walker_random(const fractal_dice *d, int walker, uint32_t step, uint32_t block[4])
{
    if (step % 4 == 0) rng_block(d->seed, RNG_FRACTAL, d->step | (uint64_t)(walker + 1) << 48, step / 4, block);
    return block[step % 4];
}

static void count(const fractal_scene *s, fractal_point at, double colour, size_t side, bin *bins)
{
    fractal_point offset = point_subtract(at, s->centre);
    double u = (offset.x * s->turn.x + offset.y * s->turn.y) / s->width + 0.5;
    double v = 0.5 - (offset.y * s->turn.x - offset.x * s->turn.y) / s->width;
    if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) return;
    bin *b = &bins[(size_t)(v * (double)side) * side + (size_t)(u * (double)side)];
    uint64_t place = (uint64_t)(fmin(fmax(colour, 0), 1) * COLOUR_UNIT);
#pragma omp atomic
    b->count++;
#pragma omp atomic
    b->colour += place;
}

static void walk(const fractal_scene *s, const fractal_dice *dice, int walker, uint64_t steps, size_t side, bin *bins)
{
    fractal_point at = {0.1 + 0.013 * walker, 0.2 - 0.007 * walker};
    double colour = 0.5;
    uint32_t block[4] = {0};
    int settle = SETTLE;
    for (uint64_t i = 0; i < steps; i++) {
        uint32_t random = walker_random(dice, walker, (uint32_t)i, block);
        s->family->walk(s, random, &at, &colour);
        if (!(point_square(at) < far_away)) {
            at = (fractal_point){(double)(random & 0xffff) / 65536 - 0.5, (double)(random >> 16) / 65536 - 0.5};
            settle = SETTLE;
        }
        if (settle > 0)
            settle--;
        else
            count(s, at, colour, side, bins);
    }
}

/* The count that all but the brightest few of the lit bins stay below. */
static double find_peak(const bin *bins, size_t bin_count)
{
    uint64_t histogram[HISTOGRAM] = {0}, lit = 0, seen = 0;
    for (size_t i = 0; i < bin_count; i++) {
        if (!bins[i].count) continue;
        histogram[(size_t)(log2(bins[i].count) * (HISTOGRAM / 33.0))]++;
        lit++;
    }
    for (size_t i = 0; i < HISTOGRAM; i++) {
        seen += histogram[i];
        if ((double)seen >= 0.995 * (double)lit) return exp2((double)(i + 1) * 33.0 / HISTOGRAM);
    }
    return 1;
}

static fractal_colour shade(const fractal_scene *s, const bin *b, double scale, double peak)
{
    if (!b->count) return s->ground;
    double amount = fmin(log1p(b->count * scale) / log1p(peak * scale), 1.1);
    double place = (double)b->colour / b->count / COLOUR_UNIT;
    fractal_colour colour = palette_at(&s->colouring.outer, s->colouring.phase + 0.8 * place);
    if (s->paper) {
        float cover = (float)fmin(s->exposure * pow(amount, 0.6 * s->gamma), 1);
        return (fractal_colour){s->ground.r + (colour.r - s->ground.r) * cover,
                                s->ground.g + (colour.g - s->ground.g) * cover,
                                s->ground.b + (colour.b - s->ground.b) * cover};
    }
    /* Light is added: dark colours of the palette count by their hue. */
    float brightest = fmaxf(fmaxf(colour.r, colour.g), fmaxf(colour.b, 0.02f));
    float lift = 0.3f + 0.7f * 0.85f / brightest, light = (float)(s->exposure * pow(amount, s->gamma));
    float white = (float)(0.6 * pow(amount, 3 * s->gamma));
    return (fractal_colour){s->ground.r + colour.r * lift * light + white,
                            s->ground.g + colour.g * lift * light + white,
                            s->ground.b + colour.b * lift * light + white};
}

static void resolve(const fractal_scene *s, const bin *bins, size_t size, size_t grid, double steps, int threads,
                    uint8_t *rgb)
{
    size_t side = size * grid;
    double scale = 40 / (steps / (double)(side * side)), peak = find_peak(bins, side * side);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t y = 0; y < size; y++)
        for (size_t x = 0; x < size; x++) {
            double sum[3] = {0};
            for (size_t j = 0; j < grid * grid; j++) {
                const bin *b = &bins[(y * grid + j / grid) * side + x * grid + j % grid];
                fractal_colour colour = shade(s, b, scale, peak);
                sum[0] += fmin(colour.r, 1);
                sum[1] += fmin(colour.g, 1);
                sum[2] += fmin(colour.b, 1);
            }
            for (size_t c = 0; c < 3; c++) rgb[(y * size + x) * 3 + c] = fractal_encode(sum[c] / (double)(grid * grid));
        }
}

status fractal_render_density(const fractal_scene *scene, const fractal_dice *dice, size_t size, int grid, int effort,
                              int threads, uint8_t *rgb, error *err)
{
    if (size > 1024) grid = 1; /* enough points fall on a bin as it is */
    size_t side = size * (size_t)grid;
    bin *bins = calloc(side * side, sizeof *bins);
    if (!bins) return error_no_memory(err, "a fractal's density", side * side * sizeof *bins);
    uint64_t steps = ((uint64_t)effort * size * size + 500000) / WALKERS;
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int walker = 0; walker < WALKERS; walker++) walk(scene, dice, walker, steps, side, bins);
    resolve(scene, bins, size, (size_t)grid, (double)steps * WALKERS, threads, rgb);
    free(bins);
    return STATUS_OK;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The 2nd and 98th hundredth. */
static void extent(double values[PROBE], double *low, double *high)
{
    qsort(values, PROBE, sizeof *values, compare_doubles);
    *low = values[PROBE / 50];
    *high = values[PROBE - 1 - PROBE / 50];
}

static void draw_ground(fractal_scene *s, fractal_dice *dice)
{
    double hue = dice_range(dice, 0, 1);
    s->paper = dice_chance(dice, 0.25);
    s->ground = s->paper ? palette_colour(dice_range(dice, 0.9, 0.98), 0.03, hue) :
                           palette_colour(dice_range(dice, 0.04, 0.2), 0.06, hue);
}

bool fractal_frame_walk(fractal_scene *s, fractal_dice *dice)
{
    double xs[PROBE], ys[PROBE], left, right, bottom, top, colour = 0.5;
    fractal_point points[PROBE], at = {0.1, 0.2};
    uint32_t block[4] = {0};
    for (int i = -SETTLE; i < PROBE; i++) {
        s->family->walk(s, walker_random(dice, WALKERS, (uint32_t)(i + SETTLE), block), &at, &colour);
        if (!(point_square(at) < far_away)) return false;
        if (i < 0) continue;
        points[i] = at;
        xs[i] = at.x * s->turn.x + at.y * s->turn.y;
        ys[i] = at.y * s->turn.x - at.x * s->turn.y;
    }
    extent(xs, &left, &right);
    extent(ys, &bottom, &top);
    s->width = fmax(right - left, top - bottom) * dice_range(dice, 0.8, 1.15);
    if (!(s->width > 0.05)) return false;
    s->centre = point_multiply((fractal_point){(left + right) / 2, (bottom + top) / 2}, s->turn);
    bool met[PROBE_BINS][PROBE_BINS] = {{false}};
    int bins = 0;
    for (int i = 0; i < PROBE; i++) {
        double u = (points[i].x - s->centre.x) / s->width + 0.5, v = (points[i].y - s->centre.y) / s->width + 0.5;
        if (!(u >= 0 && u < 1 && v >= 0 && v < 1)) continue;
        bool *bin_met = &met[(size_t)(v * PROBE_BINS)][(size_t)(u * PROBE_BINS)];
        bins += !*bin_met;
        *bin_met = true;
    }
    draw_ground(s, dice);
    return bins * 100 > 30 * PROBE_BINS * PROBE_BINS;
}
