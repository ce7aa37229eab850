/* Weight gradients of convolutions of stride 2 by phases: see conv_phases.h.
 *
 * The tiles are cut into parts, and each part's sums into units, a panel of channels in and one of channels out. A unit
 * belongs to one thread, which transforms for itself what its units read: nobody waits, and the order of every sum
 * depends on the shape alone.
 */
#include <omp.h>

#include "nn/cpu/kernels/conv_phases.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/sizes.h"
#include "nn/cpu/kernels/winograd.h"

enum {
    WIDTH = PRODUCT_WIDTH,
    STRIDE = PHASES_STRIDE,
    SHIFT = PHASES_SHIFT,
    UNIT_STEP = WIDTH * WIDTH + SHIFT,
    MOST_PARTS = 2,
    PART_BYTES = 1 << 21, /* sums that are more are in one part: they would crowd each other out of the caches */
    BLOCK = 48,           /* tiles that are transformed together, at most */
    INPUTS = 32           /* channels in of a task on weights */
};

/* Scratch: the sums du (parts, matrices, x_panels, dy_panels, WIDTH, WIDTH), and for each thread a phase of x and dy
 * transformed (matrices, panels, tiles and rows, WIDTH). */
typedef struct gradient {
    phases_tiles tiles;
    phase phases[PHASES];
    size_t x_panels, dy_panels, pairs;     /* of panels */
    size_t parts, part_tiles, block;       /* tiles of a part, of a block */
    size_t first_matrix[PHASES], matrices; /* of du */
    size_t du_step, part_step;             /* from a matrix, a part to the next */
    size_t x_floats, dy_floats;            /* of a thread */
    phases_weight weight;                  /* dw */
} gradient;

static void plan_tiles(gradient *g)
{
    bool one = g->part_step * sizeof(float) > PART_BYTES;
    g->part_tiles = cpu_divide_up(g->tiles.count, one ? 1 : MOST_PARTS);
    g->parts = cpu_divide_up(g->tiles.count, g->part_tiles);
    g->block = cpu_divide_up(g->part_tiles, cpu_divide_up(g->part_tiles, BLOCK));
    for (size_t i = 0; i < PHASES; i++) {
        size_t matrices = phases_matrices(&g->phases[i]), rows = g->block * phases_rows(&g->phases[i]);
        size_t x_floats = matrices * (g->x_panels * rows * WIDTH + SHIFT);
        size_t dy_floats = matrices * (g->dy_panels * rows * WIDTH + SHIFT);
        if (g->x_floats < x_floats) g->x_floats = x_floats;
        if (g->dy_floats < dy_floats) g->dy_floats = dy_floats;
    }
}

static gradient gradient_of(const nn_call *call)
{
    nn_shape x = call->input_shape[0], dy = call->input_shape[1], w = call->output_shape[0];
    size_t kernel = w.dim[NN_KH], taps = kernel * kernel;
    gradient g = {.tiles = {cpu_divide_up(dy.dim[NN_H], PHASES_TILE), cpu_divide_up(dy.dim[NN_W], PHASES_TILE), 0},
                  .x_panels = cpu_divide_up(x.dim[NN_C], WIDTH), .dy_panels = cpu_divide_up(dy.dim[NN_C], WIDTH),
                  .weight = {.kernel = kernel, .out_step = w.dim[NN_IN] * taps, .in_step = taps, .out = w.dim[NN_OUT],
                             .in = w.dim[NN_IN]}};
    g.tiles.count = dy.dim[NN_N] * g.tiles.rows * g.tiles.columns;
    g.pairs = g.x_panels * g.dy_panels;
    for (size_t i = 0; i < PHASES; i++) {
        g.phases[i] = phases_of_conv2d(x, w, dy, call->attr.padding, i / STRIDE, i % STRIDE);
        g.first_matrix[i] = g.matrices;
        g.matrices += phases_matrices(&g.phases[i]);
    }
    g.du_step = g.pairs * UNIT_STEP;
    g.part_step = g.matrices * g.du_step;
    plan_tiles(&g);
    return g;
}

/* Threads that have units of their own. */
static size_t workers(const gradient *g, const nn_call *call)
{
    return cpu_least((size_t)call->threads, g->parts * g->pairs);
}

static size_t workspace(const nn_call *call)
{
    gradient g = gradient_of(call);
    return (g.parts * g.part_step + workers(&g, call) * (g.x_floats + g.dy_floats)) * sizeof(float);
}

/* A thread's share of a part: pairs (panel of dy, panel of x) [begin, end), and the panels that they are of. */
typedef struct share {
    size_t begin, end;
    size_t dy_begin, dy_end, x_begin, x_end;
    float *x, *dy; /* transformed */
} share;

static share share_of(const gradient *g, size_t begin, size_t end, float *scratch)
{
    share s = {begin, end, begin / g->x_panels, cpu_divide_up(end, g->x_panels), 0, g->x_panels, scratch,
               scratch + g->x_floats};
    if (s.dy_end - s.dy_begin > 1) return s; /* of several panels, all of x */
    s.x_begin = begin % g->x_panels;
    s.x_end = (end - 1) % g->x_panels + 1;
    return s;
}

/* Adds a block of a phase's tiles to its sums, `du` of matrix 0. */
static void add_products(const gradient *g, const share *s, const phase *p, size_t count, bool add, float *du)
{
    size_t rows = g->block * phases_rows(p), terms = count * phases_rows(p), panel = rows * WIDTH;
    size_t x_step = g->x_panels * panel + SHIFT, dy_step = g->dy_panels * panel + SHIFT;
    for (size_t k = 0; k < phases_matrices(p); k++)
        for (size_t pair = s->begin; pair < s->end; pair++) {
            size_t j = pair / g->x_panels, i = pair % g->x_panels;
            CPU_NAME(cpu_winograd_accumulate)(s->x + k * x_step + (i - s->x_begin) * panel,
                                              s->dy + k * dy_step + (j - s->dy_begin) * panel, terms, add,
                                              du + k * g->du_step + (i * g->dy_panels + j) * UNIT_STEP);
        }
}

/* All blocks of a part. */
static void add_part(const gradient *g, const nn_call *call, const share *s, size_t part, float *du)
{
    size_t begin = part * g->part_tiles, end = cpu_least(begin + g->part_tiles, g->tiles.count);
    for (size_t first = begin; first < end; first += g->block)
        for (size_t i = 0; i < PHASES; i++) {
            const phase *p = &g->phases[i];
            size_t count = cpu_least(g->block, end - first), panel = g->block * phases_rows(p) * WIDTH;
            phases_place x = {s->x, g->x_panels * panel + SHIFT, WIDTH, panel};
            phases_place dy = {s->dy, g->dy_panels * panel + SHIFT, WIDTH, panel};
            phases_run of_x = {first, count, s->x_begin * WIDTH, s->x_end * WIDTH};
            phases_run of_dy = {first, count, s->dy_begin * WIDTH, s->dy_end * WIDTH};
            CPU_NAME(cpu_phases_from_picture)(&g->tiles, p, call->input[0], &of_x, &x);
            bool same = i > 0 && p->down == p[-1].down && p->along == p[-1].along;
            if (!same) CPU_NAME(cpu_phases_from_dy)(&g->tiles, p, call->input[1], &of_dy, &dy);
            add_products(g, s, p, count, first > begin, du + g->first_matrix[i] * g->du_step);
        }
}

/* Units [begin, end) of (part, pair). */
static void add_units(const gradient *g, const nn_call *call, size_t begin, size_t end, float *du, float *scratch)
{
    for (size_t part = begin / g->pairs; part * g->pairs < end; part++) {
        size_t first = part * g->pairs;
        share s = share_of(g, begin > first ? begin - first : 0, cpu_least(end - first, g->pairs), scratch);
        add_part(g, call, &s, part, du + part * g->part_step);
    }
}

/* Inputs x: (n, h, w, ic), dy: (n, oh, ow, oc). Output dw: (oc, ic, k, k). */
static void run(const nn_call *call)
{
    gradient g = gradient_of(call);
    float *du = call->workspace, *scratch = du + g.parts * g.part_step;
    phases_sums from[PHASES];
    for (size_t i = 0; i < PHASES; i++)
        from[i] = (phases_sums){.du = du + g.first_matrix[i] * g.du_step, .step = g.du_step, .unit_step = UNIT_STEP,
                                .part_step = g.part_step, .parts = g.parts, .panels = g.dy_panels};
    size_t units = g.parts * g.pairs, chunks = cpu_divide_up(g.weight.in, INPUTS);
#pragma omp parallel num_threads((int)workers(&g, call))
    {
        size_t thread = (size_t)omp_get_thread_num(), threads = (size_t)omp_get_num_threads();
        add_units(&g, call, units * thread / threads, units * (thread + 1) / threads, du,
                  scratch + thread * (g.x_floats + g.dy_floats));
#pragma omp barrier
#pragma omp for
        for (size_t task = 0; task < g.dy_panels * chunks; task++) {
            size_t begin = task % chunks * INPUTS;
            CPU_NAME(cpu_phases_to_weight)(&g.weight, g.phases, from, task / chunks, begin,
                                           cpu_least(begin + INPUTS, g.weight.in), call->output[0]);
        }
    }
}

const nn_kernel CPU_NAME(cpu_conv2d_weight_grad_phases) = {.run = run, .workspace = workspace};
