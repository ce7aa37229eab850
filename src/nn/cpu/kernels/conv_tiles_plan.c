/* How results of a convolution fall into phases and tiles: see conv_tiles.h. */
#include "nn/cpu/kernels/conv_tiles.h"
#include "nn/cpu/kernels/sizes.h"

enum {
    MOST_CHUNK = 12, /* tiles whose source pixels stay near while one panel follows on another */
    ALIKE = 256      /* channels: at such distances pixels crowd into an eighth of a near cache's sets */
};

/* The results and taps of conv2d along a side of `length` results. */
static tiles_axis forward_axis(size_t length, size_t kernel, size_t stride)
{
    tiles_axis a = {.results = length, .to_step = 1, .from_step = stride, .taps = kernel};
    for (size_t k = 0; k < kernel; k++) a.tap[k] = (tiles_tap){.from = k, .first = k, .count = 1};
    return a;
}

/* Those of phase `phase` of a data gradient of `length`: line i of x met line (i + padding - k) / stride of y at k. */
static tiles_axis gradient_axis(size_t length, size_t kernel, size_t stride, size_t padding, size_t before, size_t phase)
{
    tiles_axis a = {.results = length > phase ? cpu_divide_up(length - phase, stride) : 0, .to = phase,
                    .to_step = stride, .from_step = 1};
    for (size_t k = (phase + padding) % stride; k < kernel; k += stride)
        a.tap[a.taps++] = (tiles_tap){.from = (before * stride + phase + padding - k) / stride, .first = k, .count = 1};
    return a;
}

/* Those of even (phase 0) or odd lines of a side of `length`, enlarged twofold, whose outermost pixels are repeated. */
static tiles_axis enlarged_axis(size_t length, size_t phase)
{
    tiles_axis a = {.results = length, .to = phase, .to_step = 2, .from_step = 1, .taps = 2};
    a.tap[0] = (tiles_tap){.from = phase, .first = 0, .count = 1 + phase};
    a.tap[1] = (tiles_tap){.from = phase + 1, .first = 1 + phase, .count = 2 - phase};
    return a;
}

/* Line -1 (number 0) or `length` (number length + 1) beside a data gradient of a mirrored picture: one tap reaches it. */
static tiles_axis ring_axis(size_t length, size_t kernel, size_t before, bool far)
{
    tiles_axis a = {.results = 1, .to = far ? length + 1 : 0, .to_step = 1, .from_step = 1, .taps = 1};
    a.tap[0] = (tiles_tap){.from = before + (far ? length - 1 : 0), .first = far ? kernel - 1 : 0, .count = 1};
    return a;
}

/* All `length` lines that are seen from there: with `beside`, those beside the picture too. */
static tiles_axis along_ring_axis(size_t length, size_t kernel, size_t before, bool beside)
{
    tiles_axis a = {.results = length + (beside ? 2 : 0), .to = beside ? 0 : 1, .to_step = 1, .from_step = 1,
                    .taps = kernel};
    for (size_t k = 0; k < kernel; k++)
        a.tap[k] = (tiles_tap){.from = before + (beside ? 0 : 1) - k, .first = k, .count = 1};
    return a;
}

static void divide(tiles_phase *phase)
{
    size_t across = cpu_divide_up(phase->columns.results, TILES_ROWS) * phase->rows.results;
    size_t down = cpu_divide_up(phase->rows.results, TILES_ROWS) * phase->columns.results;
    phase->down = down < across;
    phase->lines = phase->down ? phase->columns.results : phase->rows.results;
    phase->tiles = phase->down ? down : across;
    phase->chunks = cpu_divide_up(phase->tiles, MOST_CHUNK);
    phase->chunk = phase->chunks ? cpu_round_up(cpu_divide_up(phase->tiles, phase->chunks), TILES_SUMMED) : 0;
    phase->chunks = phase->chunks ? cpu_divide_up(phase->tiles, phase->chunk) : 0;
}

static void add_phase(tiles_plan *p, tiles_axis rows, tiles_axis columns)
{
    tiles_phase *phase = &p->phase[p->phases++];
    *phase = (tiles_phase){.rows = rows, .columns = columns, .first_part = p->parts, .weights = p->weight_numbers};
    divide(phase);
    p->parts += phase->chunks;
    p->weight_numbers += rows.taps * columns.taps * p->panels * p->groups * TILES_STEP;
}

static void add_phases(tiles_plan *p, const nn_call *call)
{
    size_t kernel = call->input_shape[1].dim[NN_KH], stride = call->attr.stride, padding = call->attr.padding;
    if (call->op == NN_CONV2D && !call->attr.factor) {
        add_phase(p, forward_axis(p->oh, kernel, stride), forward_axis(p->ow, kernel, stride));
        return;
    }
    size_t side = call->attr.factor ? call->attr.factor : stride;
    for (size_t i = 0; i < side * side; i++) {
        size_t row = i / side, column = i % side;
        if (call->attr.factor)
            add_phase(p, enlarged_axis(p->h, row), enlarged_axis(p->w, column));
        else
            add_phase(p, gradient_axis(p->oh, kernel, stride, padding, p->before, row),
                      gradient_axis(p->ow, kernel, stride, padding, p->before, column));
    }
}

static void add_ring(tiles_plan *p, size_t kernel)
{
    p->has_ring = true;
    for (size_t i = 0; i < TILES_SIDES; i++) {
        bool far = i % 2 == 1, row = i < 2; /* the corners are the rows' */
        p->side[i] = (tiles_phase){
            .rows = row ? ring_axis(p->oh, kernel, p->before, far) : along_ring_axis(p->oh, kernel, p->before, false),
            .columns = row ? along_ring_axis(p->ow, kernel, p->before, true) : ring_axis(p->ow, kernel, p->before, far)};
        divide(&p->side[i]);
    }
}

/* The line after the last that a tile reads, which may be beside what its phase has. */
static size_t reach(const tiles_axis *a, bool whole_tiles)
{
    size_t furthest = 0, results = whole_tiles ? cpu_round_up(a->results, TILES_ROWS) : a->results;
    for (size_t t = 0; t < a->taps; t++)
        if (a->tap[t].from > furthest) furthest = a->tap[t].from;
    return results ? (results - 1) * a->from_step + furthest + 1 : 0;
}

static size_t greater(size_t a, size_t b) { return a > b ? a : b; }

/* Whoever reads the source, a phase or a side of the ring: number i of `readers_of`. */
static size_t readers_of(const tiles_plan *p) { return p->phases + (p->has_ring ? TILES_SIDES : 0); }
static const tiles_phase *reader(const tiles_plan *p, size_t i)
{
    return i < p->phases ? &p->phase[i] : &p->side[i - p->phases];
}

/* The copy's size: what results read lies within it, and what whole tiles do within what is allocated, which need not be
 * written: a row of a product is nothing but its own result's. */
static void size_source(tiles_plan *p)
{
    p->padded_h = p->before + p->h;
    p->padded_w = p->before + p->w;
    for (size_t i = 0; i < readers_of(p); i++) {
        p->padded_h = greater(p->padded_h, reach(&reader(p, i)->rows, false));
        p->padded_w = greater(p->padded_w, reach(&reader(p, i)->columns, false));
    }
    size_t pixels = p->images * p->padded_h * p->padded_w, reached = pixels;
    for (size_t i = 0; i < readers_of(p); i++) {
        const tiles_phase *phase = reader(p, i);
        size_t rows = reach(&phase->rows, phase->down), columns = reach(&phase->columns, !phase->down);
        if (rows > 0 && columns > 0)
            reached = greater(reached, pixels - p->padded_h * p->padded_w + (rows - 1) * p->padded_w + columns);
    }
    p->in_place = p->from_bf16 && reached == pixels && p->padded_h == p->h && p->padded_w == p->w &&
                  p->in % TILES_TERMS == 0;
    p->channels = cpu_round_up(p->in, TILES_TERMS);
    if (!p->in_place && p->channels % ALIKE == 0) p->channels += TILES_TERMS;
    p->source_numbers = reached * p->channels;
}

tiles_plan CPU_NAME(cpu_tiles_plan_of)(const nn_call *call)
{
    const size_t *x = call->input_shape[0].dim, *y = call->output_shape[0].dim;
    size_t kernel = call->input_shape[1].dim[NN_KH], stride = call->attr.stride, padding = call->attr.padding;
    bool gradient = call->op == NN_CONV2D_DATA_GRAD, mirrors = call->attr.mode == NN_PAD_REFLECT;
    tiles_plan p = {.images = x[NN_N], .h = x[NN_H], .w = x[NN_W], .in = x[NN_C], .oh = y[NN_H], .ow = y[NN_W],
                    .out = y[NN_C], .groups = cpu_divide_up(x[NN_C], TILES_TERMS), .panels = cpu_divide_up(y[NN_C], TILES_PANEL),
                    .from_bf16 = call->input_layout[0] == NN_LAYOUT_BF16,
                    .to_bf16 = call->output_layout[0] == NN_LAYOUT_BF16};
    p.border = gradient ? NN_PAD_ZERO : call->attr.factor ? NN_PAD_EDGE : call->attr.mode;
    p.before = !gradient ? padding : mirrors ? kernel - 1 : cpu_divide_up(kernel - 1 - padding, stride);
    add_phases(&p, call);
    if (gradient && mirrors) add_ring(&p, kernel);
    size_source(&p);
    return p;
}

size_t CPU_NAME(cpu_tiles_parts)(const nn_call *call)
{
    tiles_plan p = CPU_NAME(cpu_tiles_plan_of)(call);
    return p.has_ring ? 0 : p.parts;
}
