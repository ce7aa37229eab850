/* conv2d and conv2d_data_grad by products of tiles: see conv_tiles.h. */
#include <omp.h>

#include "nn/cpu/kernels/border.h"
#include "nn/cpu/kernels/conv_tiles.h"
#include "nn/cpu/kernels/moments_take.h"
#include "nn/cpu/kernels/sizes.h"

enum {
    LANES = PRODUCT_LANES,
    PANEL = TILES_PANEL,
    ROWS = TILES_ROWS,
    SUMMED = TILES_SUMMED,
    ALL_TAPS = TILES_MOST_TAPS * TILES_MOST_TAPS,
    SUMS = ROWS * PANEL, /* of a tile of results: (2, ROWS, TILES_COLUMNS) */
    PANELS = 4           /* of a task, at most: their matrices stay near */
};

typedef product_vector vector;

/* The products of up to SUMMED tiles. */
typedef struct sums {
    const uint16_t *from[SUMMED]; /* the source's pixel for each tile's first result, channel 0 */
    size_t step;                  /* bytes from a result's pixel to the next result's */
    const uint16_t *weights;      /* of the panel */
    size_t groups, group_step;    /* numbers of the weights of a group */
    size_t taps;
    size_t offset[ALL_TAPS]; /* of a tap's pixel, in numbers */
    size_t matrix[ALL_TAPS]; /* of its matrix */
} sums;

/* Over all groups and taps: groups first, so that neighbouring taps meet the same pixels. */
#define EACH_TERM(s)                                                                                                  \
    for (size_t group = 0; group < (s)->groups; group++)                                                              \
        for (size_t tap = 0; tap < (s)->taps; tap++)
#define LEFT(s, tile) ((s)->from[tile] + (s)->offset[tap] + group * TILES_TERMS)
#define RIGHT(s) ((s)->weights + (s)->matrix[tap] + group * (s)->group_step)

static void sum_three(tiles_unit *t, const sums *s, float *to)
{
    TILES_ZERO(t, 0);
    TILES_ZERO(t, 1);
    TILES_ZERO(t, 2);
    TILES_ZERO(t, 3);
    TILES_ZERO(t, 4);
    TILES_ZERO(t, 5);
    EACH_TERM(s)
    {
        const uint16_t *right = RIGHT(s);
        TILES_LOAD(t, 6, right, TILES_BYTES);
        TILES_LOAD(t, 7, LEFT(s, 0), s->step);
        TILES_MULTIPLY(t, 0, 7, 6);
        TILES_LOAD(t, 7, LEFT(s, 1), s->step);
        TILES_MULTIPLY(t, 2, 7, 6);
        TILES_LOAD(t, 7, LEFT(s, 2), s->step);
        TILES_MULTIPLY(t, 4, 7, 6);
        TILES_LOAD(t, 6, right + TILES_STEP / 2, TILES_BYTES);
        TILES_MULTIPLY(t, 5, 7, 6);
        TILES_LOAD(t, 7, LEFT(s, 1), s->step);
        TILES_MULTIPLY(t, 3, 7, 6);
        TILES_LOAD(t, 7, LEFT(s, 0), s->step);
        TILES_MULTIPLY(t, 1, 7, 6);
    }
    TILES_STORE(t, 0, to, TILES_BYTES);
    TILES_STORE(t, 1, to + SUMS / 2, TILES_BYTES);
    TILES_STORE(t, 2, to + SUMS, TILES_BYTES);
    TILES_STORE(t, 3, to + 3 * SUMS / 2, TILES_BYTES);
    TILES_STORE(t, 4, to + 2 * SUMS, TILES_BYTES);
    TILES_STORE(t, 5, to + 5 * SUMS / 2, TILES_BYTES);
}

static void sum_two(tiles_unit *t, const sums *s, float *to)
{
    TILES_ZERO(t, 0);
    TILES_ZERO(t, 1);
    TILES_ZERO(t, 2);
    TILES_ZERO(t, 3);
    EACH_TERM(s)
    {
        const uint16_t *right = RIGHT(s);
        TILES_LOAD(t, 4, right, TILES_BYTES);
        TILES_LOAD(t, 5, right + TILES_STEP / 2, TILES_BYTES);
        TILES_LOAD(t, 6, LEFT(s, 0), s->step);
        TILES_LOAD(t, 7, LEFT(s, 1), s->step);
        TILES_MULTIPLY(t, 0, 6, 4);
        TILES_MULTIPLY(t, 1, 6, 5);
        TILES_MULTIPLY(t, 2, 7, 4);
        TILES_MULTIPLY(t, 3, 7, 5);
    }
    TILES_STORE(t, 0, to, TILES_BYTES);
    TILES_STORE(t, 1, to + SUMS / 2, TILES_BYTES);
    TILES_STORE(t, 2, to + SUMS, TILES_BYTES);
    TILES_STORE(t, 3, to + 3 * SUMS / 2, TILES_BYTES);
}

static void sum_one(tiles_unit *t, const sums *s, float *to)
{
    TILES_ZERO(t, 0);
    TILES_ZERO(t, 1);
    EACH_TERM(s)
    {
        const uint16_t *right = RIGHT(s);
        TILES_LOAD(t, 2, right, TILES_BYTES);
        TILES_LOAD(t, 3, right + TILES_STEP / 2, TILES_BYTES);
        TILES_LOAD(t, 4, LEFT(s, 0), s->step);
        TILES_MULTIPLY(t, 0, 4, 2);
        TILES_MULTIPLY(t, 1, 4, 3);
    }
    TILES_STORE(t, 0, to, TILES_BYTES);
    TILES_STORE(t, 1, to + SUMS / 2, TILES_BYTES);
}

static void sum_tiles(tiles_unit *t, const sums *s, size_t count, float *to)
{
    if (count == 3)
        sum_three(t, s, to);
    else if (count == 2)
        sum_two(t, s, to);
    else
        sum_one(t, s, to);
}

/* What a phase's sums have in common. Its weights have taps in the order of conv_tiles_plan.c; a side's are those among
 * them that the kernel's elements name. */
static sums sums_of(const tiles_plan *p, const tiles_phase *phase, const tiles_phase *with, const uint16_t *weights)
{
    size_t pixel = p->channels, row = p->padded_w * p->channels, all = with->rows.taps * with->columns.taps;
    size_t along = phase->down ? phase->rows.from_step * row : phase->columns.from_step * pixel;
    sums s = {.step = along * sizeof(uint16_t), .weights = weights, .groups = p->groups, .group_step = all * TILES_STEP};
    for (size_t i = 0; i < phase->rows.taps; i++)
        for (size_t j = 0; j < phase->columns.taps; j++) {
            tiles_tap r = phase->rows.tap[i], c = phase->columns.tap[j];
            s.offset[s.taps] = r.from * row + c.from * pixel;
            s.matrix[s.taps++] = (with == phase ? i * with->columns.taps + j : r.first * with->columns.taps + c.first) *
                                 TILES_STEP;
        }
    return s;
}

/* Where a tile lies in its phase. */
typedef struct tile_place {
    size_t row, column, count; /* the first result's; results that there are */
} tile_place;

static tile_place place_of(const tiles_phase *phase, size_t tile)
{
    size_t line = tile % phase->lines, begin = tile / phase->lines * ROWS;
    if (phase->down) return (tile_place){begin, line, cpu_least(ROWS, phase->rows.results - begin)};
    return (tile_place){line, begin, cpu_least(ROWS, phase->columns.results - begin)};
}

static const uint16_t *source_of(const tiles_plan *p, const tiles_phase *phase, const uint16_t *source, size_t image,
                                 tile_place at)
{
    size_t row = image * p->padded_h + at.row * phase->rows.from_step, column = at.column * phase->columns.from_step;
    return source + (row * p->padded_w + column) * p->channels;
}

/* Where a tile's results go. */
typedef struct results {
    const nn_call *call;
    const tiles_plan *p;
    size_t pixel, step; /* numbers from the tensor's begin to the first result's pixel, and to the next result's */
    size_t count;
} results;

/* LANES channels of them from channel c on, of which `width` exist. */
PRODUCT_INLINE void store_lanes(const results *r, const bool bf16, const vector *value, size_t c, size_t width)
{
    size_t at = r->pixel + c;
    for (size_t i = 0; i < r->count; i++, at += r->step)
        if (bf16) {
            uint16_t part[LANES], *to = (uint16_t *)(void *)r->call->output[0] + at;
            tiles_narrow(value[i], width == LANES ? to : part);
            if (width < LANES) memcpy(to, part, width * sizeof *to);
        } else {
            memcpy(r->call->output[0] + at, &value[i], width == LANES ? sizeof value[i] : width * sizeof(float));
        }
}

/* A tile's sums to the result. */
static void finish_tile(const results *r, const float *from, size_t panel, cpu_moments *moments)
{
    const tiles_plan *p = r->p;
    const float *bias = r->call->input_count > 2 ? r->call->input[2] : NULL;
    size_t channels = cpu_least(PANEL, p->out - panel * PANEL);
    if (moments) cpu_moments_expect(moments, r->count);
    for (size_t c = 0; c < channels; c += LANES) {
        size_t width = cpu_least(LANES, channels - c), channel = panel * PANEL + c;
        vector value[ROWS], add = {0};
        if (bias) memcpy(&add, bias + channel, width * sizeof *bias);
        const float *column = from + c / TILES_COLUMNS * (SUMS / 2) + c % TILES_COLUMNS;
        for (size_t i = 0; i < ROWS; i++)
            value[i] = *(const product_vector_in_memory *)(column + i * TILES_COLUMNS) + add;
        if (p->to_bf16)
            store_lanes(r, true, value, channel, width);
        else
            store_lanes(r, false, value, channel, width);
        if (!moments) continue;
        for (size_t i = r->count; i < ROWS; i++) value[i] = value[0];
        cpu_moments_take(moments, channel, value, ROWS);
    }
}

static void finish(const nn_call *call, const tiles_plan *p, const tiles_phase *phase, size_t image, tile_place at,
                   const float *from, size_t panel, cpu_moments *moments)
{
    size_t row = at.row * phase->rows.to_step + phase->rows.to;
    size_t column = at.column * phase->columns.to_step + phase->columns.to;
    results r = {.call = call, .p = p, .pixel = ((image * p->oh + row) * p->ow + column) * p->out, .count = at.count};
    r.step = (phase->down ? phase->rows.to_step * p->ow : phase->columns.to_step) * p->out;
    finish_tile(&r, from, panel, moments);
}

/* A chunk of an image's tiles, for one panel. */
static void convolve_chunk(tiles_unit *t, const nn_call *call, const tiles_plan *p, const tiles_phase *phase, size_t image,
                           size_t chunk, size_t panel, sums *s, const uint16_t *source)
{
    float sum[SUMMED * SUMS] __attribute__((aligned(TILES_BYTES)));
    size_t begin = chunk * phase->chunk, end = cpu_least(begin + phase->chunk, phase->tiles);
    cpu_moments moments = {.channels = p->out}, *taken = call->output_count > 1 ? &moments : NULL;
    if (taken)
        moments.to = call->output[1] + (image * p->parts + phase->first_part + chunk) * CPU_MOMENTS_ROWS * p->out;
    for (size_t first = begin; first < end; first += SUMMED) {
        size_t count = cpu_least(SUMMED, end - first);
        tile_place at[SUMMED];
        for (size_t i = 0; i < count; i++) {
            at[i] = place_of(phase, first + i);
            s->from[i] = source_of(p, phase, source, image, at[i]);
        }
        sum_tiles(t, s, count, sum);
        for (size_t i = 0; i < count; i++) finish(call, p, phase, image, at[i], sum + i * SUMS, panel, taken);
    }
}

/* Adds what a side's tile gives beside the picture to the pixels that it mirrors. */
static void add_mirrored(const tiles_plan *p, const tiles_phase *side, size_t image, tile_place at, const float *from,
                         size_t panel, float *dx)
{
    size_t channels = cpu_least(PANEL, p->out - panel * PANEL);
    for (size_t i = 0; i < at.count; i++) {
        size_t row = at.row + side->rows.to + (side->down ? i : 0);
        size_t column = at.column + side->columns.to + (side->down ? 0 : i);
        row = cpu_place_of(row, 1, p->oh, NN_PAD_REFLECT);
        column = cpu_place_of(column, 1, p->ow, NN_PAD_REFLECT);
        float *to = dx + ((image * p->oh + row) * p->ow + column) * p->out + panel * PANEL;
        for (size_t c = 0; c < channels; c++)
            to[c] += from[c / TILES_COLUMNS * (SUMS / 2) + i * TILES_COLUMNS + c % TILES_COLUMNS];
    }
}

/* All sides of an image, in order, for one panel. */
static void add_ring(tiles_unit *t, const tiles_plan *p, size_t image, size_t panel, const uint16_t *weights,
                     const uint16_t *source, float *dx)
{
    float sum[SUMMED * SUMS] __attribute__((aligned(TILES_BYTES)));
    for (const tiles_phase *side = p->side; side < p->side + TILES_SIDES; side++) {
        sums s = sums_of(p, side, &p->phase[0], weights);
        s.weights += panel * s.groups * s.group_step;
        for (size_t first = 0; first < side->tiles; first += SUMMED) {
            size_t count = cpu_least(SUMMED, side->tiles - first);
            for (size_t i = 0; i < count; i++)
                s.from[i] = source_of(p, side, source, image, place_of(side, first + i));
            sum_tiles(t, &s, count, sum);
            for (size_t i = 0; i < count; i++)
                add_mirrored(p, side, image, place_of(side, first + i), sum + i * SUMS, panel, dx);
        }
    }
}

static size_t source_bytes(const tiles_plan *p)
{
    return p->in_place ? 0 : cpu_round_up(p->source_numbers * sizeof(uint16_t), TILES_BYTES);
}

static size_t workspace(const nn_call *call)
{
    tiles_plan p = CPU_NAME(cpu_tiles_plan_of)(call);
    return source_bytes(&p) + p.weight_numbers * sizeof(uint16_t);
}

/* By all threads; whoever reads what is packed waits for it first. */
static void pack(const nn_call *call, const tiles_plan *p, const tiles_weight *w, uint16_t *source, uint16_t *weights)
{
    if (!p->in_place) {
#pragma omp for nowait
        for (size_t row = 0; row < p->images * p->padded_h; row++)
            CPU_NAME(cpu_tiles_pack_row)(p, call->input[0], row, source);
    }
#pragma omp for nowait
    for (size_t task = 0; task < p->phases * p->panels * p->groups; task++) {
        const tiles_phase *phase = &p->phase[task / p->groups / p->panels];
        size_t part = task % (p->panels * p->groups), taps = phase->rows.taps * phase->columns.taps;
        CPU_NAME(cpu_tiles_pack_weight)(p, phase, w, part / p->groups, part % p->groups,
                                        weights + phase->weights + part * taps * TILES_STEP);
    }
}

/* A phase of all images, by all threads. */
static void convolve_phase(tiles_unit *t, const nn_call *call, const tiles_plan *p, const tiles_phase *phase,
                           const uint16_t *weights, const uint16_t *source)
{
    size_t blocks = cpu_divide_up(p->panels, PANELS);
    sums s = sums_of(p, phase, phase, NULL);
#pragma omp for schedule(dynamic) nowait
    for (size_t task = 0; task < p->images * phase->chunks * blocks; task++) {
        size_t block = task % blocks, chunk = task / blocks % phase->chunks, image = task / blocks / phase->chunks;
        size_t end = cpu_least((block + 1) * PANELS, p->panels);
        for (size_t panel = block * PANELS; panel < end; panel++) {
            s.weights = weights + phase->weights + panel * s.groups * s.group_step;
            convolve_chunk(t, call, p, phase, image, chunk, panel, &s, source);
        }
    }
}

static void convolve(const nn_call *call, const tiles_weight *w)
{
    tiles_plan p = CPU_NAME(cpu_tiles_plan_of)(call);
    uint16_t *copy = call->workspace, *weights = copy + source_bytes(&p) / sizeof *copy;
    const uint16_t *source = p.in_place ? cpu_bf16_numbers(call->input[0]) : copy;
#pragma omp parallel num_threads(call->threads)
    {
        tiles_unit t;
        TILES_BEGIN(&t);
        pack(call, &p, w, copy, weights);
#pragma omp barrier
        for (size_t i = 0; i < p.phases; i++) convolve_phase(&t, call, &p, &p.phase[i], weights, source);
        if (p.has_ring) {
#pragma omp barrier
#pragma omp for schedule(dynamic)
            for (size_t task = 0; task < p.images * p.panels; task++)
                add_ring(&t, &p, task / p.panels, task % p.panels, weights, source, call->output[0]);
        }
        TILES_END(&t);
    }
}

/* Inputs x: (n, h, w, ic), w: (oc, ic, k, k)[, bias: (1, 1, 1, oc)]. Outputs y: (n, oh, ow, oc); with factor 2, k is 3 and y
 * is (n, 2 h, 2 w, oc)[, moments: see moments.h]. */
static void run_conv2d(const nn_call *call)
{
    nn_shape w = call->input_shape[1];
    size_t kernel = w.dim[NN_KH], taps = kernel * kernel;
    convolve(call, &(tiles_weight){.w = call->input[1], .kernel = kernel, .out_step = w.dim[NN_IN] * taps, .in_step = taps});
}

/* Inputs dy: (n, oh, ow, oc), w: (oc, ic, k, k)[, bias: (1, 1, 1, ic)]. Outputs dx: (n, h, w, ic)[, moments]. With mode
 * reflect, k is 3 and dx in fp32, and what beside it mirrors its pixels is added to them. */
static void run_conv2d_data_grad(const nn_call *call)
{
    nn_shape w = call->input_shape[1];
    size_t kernel = w.dim[NN_KH], taps = kernel * kernel;
    convolve(call, &(tiles_weight){.w = call->input[1], .kernel = kernel, .out_step = taps, .in_step = w.dim[NN_IN] * taps});
}

const nn_kernel CPU_NAME(cpu_conv2d_tiles) = {.run = run_conv2d, .workspace = workspace};
const nn_kernel CPU_NAME(cpu_conv2d_data_grad_tiles) = {.run = run_conv2d_data_grad, .workspace = workspace};
