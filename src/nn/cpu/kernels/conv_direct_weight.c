/* Weight gradients of strided convolutions by the direct sum: see conv_direct.h.
 *
 * The gradient is cut into units: a tap, a panel of channels in and one of channels out, WIDTH x WIDTH sums that belong
 * to one thread. All pixels pass by in blocks of rows, which each thread packs for itself: nobody waits, and the order
 * of every sum depends on the shape alone.
 */
#include <omp.h>
#include <string.h>

#include "nn/cpu/kernels/conv_direct.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/product.h"
#include "nn/cpu/kernels/sizes.h"

enum {
    WIDTH = PRODUCT_WIDTH,
    UNIT_STEP = WIDTH * WIDTH + 16, /* a cache line more keeps a unit's sums off the next one's sets */
    BLOCK_PIXELS = 128,             /* of dy in a block, at least */
    GROUP = 8                       /* channels in that are unpacked together */
};

typedef struct gradient {
    size_t n, h, w, ic, oh, ow, oc, kh, kw, stride, padding;
    size_t panels, x_panels, taps, units; /* units: (panel, x_panel, tap) */
    size_t rows, x_rows;                  /* of dy and of x in a block, at most */
    size_t x_phase;                       /* packed pixels of a row of x whose columns leave one remainder */
    const float *x, *dy;
    float *dw, *sums; /* sums: (units, WIDTH in, WIDTH out), UNIT_STEP apart */
} gradient;

/* Inputs x: (n, h, w, ic), dy: (n, oh, ow, oc). Output dw: (oc, ic, kh, kw). */
static gradient gradient_of(const nn_call *call)
{
    const size_t *x = call->input_shape[0].dim, *dy = call->input_shape[1].dim, *w = call->output_shape[0].dim;
    gradient g = {.n = x[NN_N], .h = x[NN_H], .w = x[NN_W], .ic = x[NN_C], .oh = dy[NN_H], .ow = dy[NN_W],
                  .oc = dy[NN_C], .kh = w[NN_KH], .kw = w[NN_KW], .stride = call->attr.stride,
                  .padding = call->attr.padding, .panels = cpu_divide_up(dy[NN_C], WIDTH),
                  .x_panels = cpu_divide_up(x[NN_C], WIDTH), .taps = w[NN_KH] * w[NN_KW],
                  .x_phase = cpu_divide_up(x[NN_W], call->attr.stride), .x = call->input[0], .dy = call->input[1],
                  .dw = call->output[0], .sums = call->workspace};
    g.units = g.panels * g.x_panels * g.taps;
    g.rows = cpu_least(cpu_divide_up(BLOCK_PIXELS, g.ow), g.oh);
    g.x_rows = cpu_least((g.rows - 1) * g.stride + g.kh, g.h);
    return g;
}

/* Floats of a thread's packed block: dy (panels, rows, ow, WIDTH), x (x_panels, x_rows, stride, x_phase, WIDTH). */
static size_t packed_dy(const gradient *g) { return g->panels * g->rows * g->ow * WIDTH; }
static size_t packed_x(const gradient *g) { return g->x_panels * g->x_rows * g->stride * g->x_phase * WIDTH; }

/* Threads that have units of their own. */
static size_t workers(const gradient *g, const nn_call *call) { return cpu_least((size_t)call->threads, g->units); }

static size_t workspace(const nn_call *call)
{
    gradient g = gradient_of(call);
    return (g.units * UNIT_STEP + workers(&g, call) * (packed_dy(&g) + packed_x(&g))) * sizeof(float);
}

/* Panel `panel` of a row of pixels: (column % stride, column / stride, WIDTH), zeros for channels that do not exist. */
static void pack_row(const float *from, size_t columns, size_t channels, size_t stride, size_t panel, float *to)
{
    size_t lanes = cpu_least(WIDTH, channels - panel * WIDTH), phase = cpu_divide_up(columns, stride);
    for (size_t remainder = 0; remainder < stride; remainder++) {
        float *line = to + remainder * phase * WIDTH;
        for (size_t j = remainder; j < columns; j += stride, line += WIDTH) {
            const float *pixel = from + j * channels + panel * WIDTH;
            if (lanes == WIDTH) {
                memcpy(line, pixel, WIDTH * sizeof *line);
            } else {
                memcpy(line, pixel, lanes * sizeof *line);
                memset(line + lanes, 0, (WIDTH - lanes) * sizeof *line);
            }
        }
    }
}

/* Rows [first, first + rows) of dy in an image, and of x those from x_first on that they touch. */
typedef struct block {
    size_t image, first, rows, x_first, x_rows;
    bool add; /* it is not the first */
    float *dy, *x; /* packed */
} block;

static block block_of(const gradient *g, size_t image, size_t first, float *packed)
{
    block b = {.image = image, .first = first, .rows = cpu_least(g->rows, g->oh - first), .add = image + first > 0,
               .dy = packed, .x = packed + packed_dy(g)};
    size_t begin = first * g->stride, end = begin + (b.rows - 1) * g->stride + g->kh; /* of padded x */
    b.x_first = begin > g->padding ? begin - g->padding : 0;
    size_t x_end = end > g->padding ? cpu_least(end - g->padding, g->h) : 0;
    b.x_rows = x_end > b.x_first ? x_end - b.x_first : 0;
    return b;
}

/* What the units [begin, end) read. */
static void pack_block(const gradient *g, const block *b, size_t begin, size_t end)
{
    size_t each = g->x_panels * g->taps, first = begin / each, last = cpu_divide_up(end, each);
    for (size_t panel = first; panel < last; panel++)
        pack_row(g->dy + (b->image * g->oh + b->first) * g->ow * g->oc, b->rows * g->ow, g->oc, 1, panel,
                 b->dy + panel * g->rows * g->ow * WIDTH);
    bool one = last - first == 1; /* of several panels, all of x */
    first = one ? begin % each / g->taps : 0;
    last = one ? cpu_divide_up((end - 1) % each + 1, g->taps) : g->x_panels;
    size_t row = g->stride * g->x_phase * WIDTH;
    for (size_t panel = first; panel < last; panel++)
        for (size_t i = 0; i < b->x_rows; i++)
            pack_row(g->x + (b->image * g->h + b->x_first + i) * g->w * g->ic, g->w, g->ic, g->stride, panel,
                     b->x + (panel * g->x_rows + i) * row);
}

/* Leaves of the pixels [*begin, *end) of a side of dy those whose tap u lies inside of x. */
static void clip(size_t u, size_t size, size_t stride, size_t padding, size_t *begin, size_t *end)
{
    size_t first = u < padding ? cpu_divide_up(padding - u, stride) : 0;
    size_t last = size + padding > u ? (size + padding - u - 1) / stride + 1 : 0;
    if (*begin < first) *begin = first;
    if (*end > last) *end = last;
    if (*end < *begin) *end = *begin;
}

static void add_unit(const gradient *g, const block *b, size_t unit)
{
    size_t tap = unit % g->taps, x_panel = unit / g->taps % g->x_panels, panel = unit / g->taps / g->x_panels;
    size_t u = tap / g->kw, v = tap % g->kw, i = b->first, i_end = b->first + b->rows, j = 0, j_end = g->ow;
    clip(u, g->h, g->stride, g->padding, &i, &i_end);
    clip(v, g->w, g->stride, g->padding, &j, &j_end);
    product p = {.a = b->x, .a_outer = g->stride * g->stride * g->x_phase * WIDTH, .row_step = 1, .k_step = WIDTH,
                 .b = b->dy, .b_outer = g->ow * WIDTH, .outer = i_end - i, .count = j_end - j,
                 .c = g->sums + unit * UNIT_STEP, .c_step = WIDTH, .add = b->add};
    if (p.count == 0) p.outer = 0;
    if (p.outer > 0) {
        size_t row = i * g->stride + u - g->padding - b->x_first, column = j * g->stride + v - g->padding;
        size_t phase = ((x_panel * g->x_rows + row) * g->stride + column % g->stride) * g->x_phase;
        p.a += (phase + column / g->stride) * WIDTH;
        p.b += ((panel * g->rows + i - b->first) * g->ow + j) * WIDTH;
    }
    for (size_t c = 0, rows; c < WIDTH; c += rows, p.a += rows, p.c += rows * WIDTH) {
        rows = product_next_rows(WIDTH - c);
        product_rows(rows, p);
    }
}

static void add_units(const gradient *g, size_t begin, size_t end, float *packed)
{
    for (size_t image = 0; image < g->n; image++)
        for (size_t first = 0; first < g->oh; first += g->rows) {
            block b = block_of(g, image, first, packed);
            pack_block(g, &b, begin, end);
            for (size_t unit = begin; unit < end; unit++) add_unit(g, &b, unit);
        }
}

static void unpack(const gradient *g, size_t panel, size_t x_panel)
{
    size_t lanes = cpu_least(WIDTH, g->oc - panel * WIDTH), inputs = cpu_least(WIDTH, g->ic - x_panel * WIDTH);
    const float *from = g->sums + (panel * g->x_panels + x_panel) * g->taps * UNIT_STEP;
    for (size_t group = 0; group < inputs; group += GROUP)
        for (size_t o = 0; o < lanes; o++) {
            float *to = g->dw + ((panel * WIDTH + o) * g->ic + x_panel * WIDTH + group) * g->taps;
            for (size_t c = group; c < cpu_least(group + GROUP, inputs); c++)
                for (size_t t = 0; t < g->taps; t++) *to++ = from[t * UNIT_STEP + c * WIDTH + o];
        }
}

static void run(const nn_call *call)
{
    gradient g = gradient_of(call);
#pragma omp parallel num_threads((int)workers(&g, call))
    {
        size_t thread = (size_t)omp_get_thread_num(), threads = (size_t)omp_get_num_threads();
        add_units(&g, g.units * thread / threads, g.units * (thread + 1) / threads,
                  g.sums + g.units * UNIT_STEP + thread * (packed_dy(&g) + packed_x(&g)));
#pragma omp barrier
#pragma omp for
        for (size_t task = 0; task < g.panels * g.x_panels; task++)
            unpack(&g, task / g.x_panels, task % g.x_panels);
    }
}

const nn_kernel CPU_NAME(cpu_conv2d_weight_grad_direct) = {.run = run, .workspace = workspace};
