#include "fractal/fractal.h"

#include <omp.h>
#include <stdlib.h>

#include "fractal/quality.h"
#include "fractal/scene.h"

/* A draft is judged at one size, so that a set shows the same at any. */
enum { DRAFT_SIZE = 64, DRAFT_GRID = 2, DRAFT_EFFORT = 80, GRID = 3, EFFORT = 200, DENSITY_GRID = 2 };
enum { CHOICE = 3, PATIENCE = 32, MAXIMUM_DRAFTS = 480, MAXIMUM_ROUND = 64 };

static const double too_alike = 0.82;

static const fractal_family *const families[] = {
    &fractal_mandelbrot, &fractal_julia,  &fractal_multibrot, &fractal_burning_ship, &fractal_tricorn,
    &fractal_phoenix,    &fractal_newton, &fractal_nova,      &fractal_magnet,       &fractal_sine,
    &fractal_lyapunov,   &fractal_flame,  &fractal_attractor,
};
enum { FAMILIES = sizeof families / sizeof *families };

typedef struct draft {
    fractal_scene scene;
    fractal_dice dice;
    fractal_thumbnail thumbnail;
    double score;
} draft;

struct fractal_set {
    fractal_options options;
    size_t count;                  /* pictures made */
    fractal_thumbnail *thumbnails; /* theirs */
    size_t capacity;
    draft drafts[2]; /* the best yet, and the next */
    uint8_t pixels[DRAFT_SIZE * DRAFT_SIZE * 3];
};

size_t fractal_family_count(void) { return FAMILIES; }
const char *fractal_family_name(size_t number) { return families[number]->name; }

size_t fractal_set_round(void)
{
    size_t sum = 0;
    for (size_t i = 0; i < FAMILIES; i++) sum += families[i]->share;
    return sum;
}

status fractal_set_create(const fractal_options *options, fractal_set **out, error *err)
{
    *out = NULL;
    if (options->size < FRACTAL_MINIMUM_SIZE || options->size > FRACTAL_MAXIMUM_SIZE)
        return error_set(err, STATUS_USAGE, "fractals have sides of %d to %d pixels, not %zu", FRACTAL_MINIMUM_SIZE,
                         FRACTAL_MAXIMUM_SIZE, options->size);
    fractal_set *set = calloc(1, sizeof *set);
    if (!set) return error_no_memory(err, "a set of fractals", sizeof *set);
    set->options = *options;
    if (set->options.threads <= 0) set->options.threads = omp_get_max_threads();
    *out = set;
    return STATUS_OK;
}

void fractal_set_destroy(fractal_set *set)
{
    if (!set) return;
    free(set->thumbnails);
    free(set);
}

/* Each round deals all families' shares in an order of its own. */
static size_t family_of(const fractal_set *set, size_t number)
{
    size_t round = fractal_set_round(), dealt = 0;
    uint32_t order[MAXIMUM_ROUND];
    rng_permutation(set->options.seed, RNG_FRACTAL, (UINT64_C(1) << 40) + number / round, (uint32_t)round, order);
    for (size_t i = 0; i < FAMILIES; i++) {
        dealt += families[i]->share;
        if (order[number % round] < dealt) return i;
    }
    return 0;
}

static status render(const fractal_set *set, const draft *d, bool whole, uint8_t *rgb, error *err)
{
    size_t size = whole ? set->options.size : DRAFT_SIZE;
    int threads = set->options.threads;
    if (d->scene.family->walk)
        return fractal_render_density(&d->scene, &d->dice, size, DENSITY_GRID,
                                      whole ? EFFORT : DRAFT_EFFORT, threads, rgb, err);
    fractal_render(&d->scene, size, whole ? GRID : DRAFT_GRID, threads, rgb);
    return STATUS_OK;
}

/* Draws one draft; *good: it is fit for the set. */
static status make_draft(fractal_set *set, size_t family, unsigned number, draft *d, bool *good, error *err)
{
    *good = false;
    d->dice = (fractal_dice){.seed = set->options.seed, .step = (uint64_t)set->count * 1024 + number};
    d->scene = (fractal_scene){.family = families[family], .turn = {1, 0}};
    fractal_colouring_draw(&d->scene.colouring, &d->dice);
    if (!d->scene.family->draw(&d->scene, &d->dice)) return STATUS_OK;
    if (d->scene.family->sample) fractal_colouring_fit(&d->scene);
    TRY(render(set, d, false, set->pixels, err));
    fractal_quality quality = fractal_measure(set->pixels, DRAFT_SIZE);
    if (!fractal_good_enough(&quality, &d->score)) return STATUS_OK;
    fractal_thumbnail_make(set->pixels, DRAFT_SIZE, &d->thumbnail);
    for (size_t i = 0; i < set->count; i++)
        if (fractal_likeness(&d->thumbnail, &set->thumbnails[i]) > too_alike) return STATUS_OK;
    *good = true;
    return STATUS_OK;
}

/* *out: the best of the first few drafts that are fit, in set->drafts. A family that has none gives way to the next. */
static status choose(fractal_set *set, fractal_info *info, const draft **out, error *err)
{
    size_t family = family_of(set, set->count);
    draft *best = &set->drafts[0], *next = &set->drafts[1];
    unsigned found = 0, number = 0;
    while (found < CHOICE && number < MAXIMUM_DRAFTS) {
        if (number % PATIENCE == PATIENCE - 1) {
            if (found) break;
            if (number >= 4 * PATIENCE) family = (family + 1) % FAMILIES;
        }
        bool good;
        TRY(make_draft(set, family, number++, next, &good, err));
        if (!good) continue;
        if (!found++ || next->score > best->score) {
            draft *swap = best;
            best = next;
            next = swap;
        }
    }
    if (!found)
        return error_set(err, STATUS_FAILED, "no new fractal found in %d drafts for picture %zu", MAXIMUM_DRAFTS,
                         set->count + 1);
    *info = (fractal_info){.family = best->scene.family->name, .drafts = number};
    *out = best;
    return STATUS_OK;
}

static status keep_thumbnail(fractal_set *set, const draft *d, error *err)
{
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 64;
        fractal_thumbnail *larger = realloc(set->thumbnails, capacity * sizeof *larger);
        if (!larger) return error_no_memory(err, "a set of fractals", capacity * sizeof *larger);
        set->thumbnails = larger;
        set->capacity = capacity;
    }
    set->thumbnails[set->count++] = d->thumbnail;
    return STATUS_OK;
}

status fractal_set_next(fractal_set *set, uint8_t *rgb, fractal_info *info, error *err)
{
    const draft *chosen = NULL;
    TRY(choose(set, info, &chosen, err));
    TRY(render(set, chosen, true, rgb, err));
    return keep_thumbnail(set, chosen, err);
}
