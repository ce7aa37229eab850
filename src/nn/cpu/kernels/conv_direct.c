/* Strided convolutions and their data gradients by the direct sum: see conv_direct.h. */
#include "nn/cpu/kernels/conv_direct.h"

#include <omp.h>
#include <string.h>

#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/product.h"
#include "nn/cpu/kernels/sizes.h"

enum {
    WIDTH = PRODUCT_WIDTH,
    ROWS = PRODUCT_ROWS,
    LINE = 16, /* floats of a cache line */
    MOST_PHASES = CPU_DIRECT_STRIDE * CPU_DIRECT_STRIDE,
    GROUP = 8,         /* channels in, and ... */
    GROUP_TAPS = 16,   /* ... taps of weights that are packed together */
    PACKED_INPUTS = 32 /* channels in of a task on weights */
};

/* out[i, j, o] = bias[o] + the sum over a, b, c of in[i stride + top + a, j stride + left + b, c] w[a, b, c, o], for
 * `rows` x `columns` pixels of out; in is 0 beside the picture. Tap (a, b) is the weight's
 * (first_u +- a tap_step, first_v +- b tap_step). */
typedef struct phase {
    size_t rows, columns;
    ptrdiff_t top, left;
    size_t kh, kw, first_u, first_v, tap_step;
    size_t first_out; /* of an image, the number of its first element */
    size_t packed;    /* where its w begins: (panels, kh, kw, channels, WIDTH) */
} phase;

/* A convolution has one phase. The data gradient of one of stride s has s * s, for the pixels of dx whose row and column
 * leave its remainders. */
typedef struct direct {
    size_t n, h, w, channels, stride; /* of in */
    const float *in;
    float *out;
    size_t image_step, row_step, pixel_step; /* of a phase's pixels */
    size_t outputs, panels;
    const float *bias;
    phase phases[MOST_PHASES];
    size_t count;
    const float *weight; /* element (o, c, u, v) is at o * weight_out + c * weight_in + u * weight_row + v */
    size_t weight_out, weight_in, weight_row;
    bool backwards; /* taps */
    float *packed;
    size_t packed_floats, window_floats; /* the latter for each thread */
} direct;

static void add_phase(direct *d, phase p)
{
    p.packed = d->packed_floats;
    d->packed_floats += d->panels * p.kh * p.kw * d->channels * WIDTH;
    size_t window = cpu_round_up(p.kh * ((ROWS - 1) * d->stride + p.kw) * d->channels, LINE) + ROWS * WIDTH;
    if (d->window_floats < window) d->window_floats = window;
    d->phases[d->count++] = p;
}

/* Inputs x: (n, h, w, ic), w: (oc, ic, kh, kw)[, bias: (1, 1, 1, oc)]. Output y: (n, oh, ow, oc). */
static direct direct_of_conv2d(const nn_call *call)
{
    const size_t *x = call->input_shape[0].dim, *w = call->input_shape[1].dim, *y = call->output_shape[0].dim;
    direct d = {.n = x[NN_N], .h = x[NN_H], .w = x[NN_W], .channels = x[NN_C], .stride = call->attr.stride,
                .in = call->input[0], .out = call->output[0], .image_step = y[NN_H] * y[NN_W] * y[NN_C],
                .row_step = y[NN_W] * y[NN_C], .pixel_step = y[NN_C], .outputs = y[NN_C],
                .panels = cpu_divide_up(y[NN_C], WIDTH), .bias = call->input_count > 2 ? call->input[2] : NULL,
                .weight = call->input[1], .weight_out = w[NN_IN] * w[NN_KH] * w[NN_KW],
                .weight_in = w[NN_KH] * w[NN_KW], .weight_row = w[NN_KW], .packed = call->workspace};
    ptrdiff_t before = -(ptrdiff_t)call->attr.padding;
    add_phase(&d, (phase){.rows = y[NN_H], .columns = y[NN_W], .top = before, .left = before, .kh = w[NN_KH],
                          .kw = w[NN_KW], .tap_step = 1});
    return d;
}

/* One side of dx: pixels remainder + i stride, i < count, have the taps first, first - stride, ..., which meet the
 * pixels start + i, start + i + 1, ... of dy. */
typedef struct phase_side {
    size_t count, taps, first;
    ptrdiff_t start;
} phase_side;

static phase_side side_of(size_t remainder, size_t size, size_t stride, size_t padding, size_t kernel)
{
    phase_side s = {.count = size > remainder ? cpu_divide_up(size - remainder, stride) : 0};
    size_t last = (remainder + padding) % stride;
    s.taps = kernel > last ? cpu_divide_up(kernel - last, stride) : 0;
    s.first = s.taps > 0 ? last + (s.taps - 1) * stride : last;
    s.start = ((ptrdiff_t)(remainder + padding) - (ptrdiff_t)s.first) / (ptrdiff_t)stride;
    return s;
}

/* Inputs dy: (n, oh, ow, oc), w: (oc, ic, kh, kw)[, bias: (1, 1, 1, ic)]. Output dx: (n, h, w, ic). */
static direct direct_of_data_grad(const nn_call *call)
{
    const size_t *dy = call->input_shape[0].dim, *w = call->input_shape[1].dim, *dx = call->output_shape[0].dim;
    size_t stride = call->attr.stride, padding = call->attr.padding;
    direct d = {.n = dy[NN_N], .h = dy[NN_H], .w = dy[NN_W], .channels = dy[NN_C], .stride = 1, .in = call->input[0],
                .out = call->output[0], .image_step = dx[NN_H] * dx[NN_W] * dx[NN_C],
                .row_step = stride * dx[NN_W] * dx[NN_C], .pixel_step = stride * dx[NN_C], .outputs = dx[NN_C],
                .panels = cpu_divide_up(dx[NN_C], WIDTH), .bias = call->input_count > 2 ? call->input[2] : NULL,
                .weight = call->input[1], .weight_out = w[NN_KH] * w[NN_KW],
                .weight_in = w[NN_IN] * w[NN_KH] * w[NN_KW], .weight_row = w[NN_KW], .backwards = true,
                .packed = call->workspace};
    for (size_t i = 0; i < stride; i++)
        for (size_t j = 0; j < stride; j++) {
            phase_side down = side_of(i, dx[NN_H], stride, padding, w[NN_KH]);
            phase_side along = side_of(j, dx[NN_W], stride, padding, w[NN_KW]);
            add_phase(&d, (phase){.rows = down.count, .columns = along.count, .top = down.start, .left = along.start,
                                  .kh = down.taps, .kw = along.taps, .first_u = down.first, .first_v = along.first,
                                  .tap_step = stride, .first_out = (i * dx[NN_W] + j) * dx[NN_C]});
        }
    return d;
}

/* Packs channels in [begin, end) of a panel of outputs, by way of small blocks: the weight has the taps side by side. */
static void pack_weight(const direct *d, const phase *p, size_t panel, size_t begin, size_t end)
{
    size_t lanes = cpu_least(WIDTH, d->outputs - panel * WIDTH), taps = p->kh * p->kw, tap_step = d->channels * WIDTH;
    ptrdiff_t along = d->backwards ? -(ptrdiff_t)p->tap_step : (ptrdiff_t)p->tap_step;
    ptrdiff_t down = along * (ptrdiff_t)d->weight_row;
    const float *first = d->weight + panel * WIDTH * d->weight_out + p->first_u * d->weight_row + p->first_v;
    float *to = d->packed + p->packed + panel * taps * tap_step;
    for (size_t c = begin; c < end; c += GROUP)
        for (size_t tap = 0; tap < taps; tap += GROUP_TAPS) {
            size_t inputs = cpu_least(GROUP, end - c), count = cpu_least(GROUP_TAPS, taps - tap);
            float block[GROUP_TAPS][GROUP][WIDTH];
            ptrdiff_t offset[GROUP_TAPS];
            if (lanes < WIDTH) memset(block, 0, sizeof block);
            for (size_t t = 0; t < count; t++)
                offset[t] = (ptrdiff_t)((tap + t) / p->kw) * down + (ptrdiff_t)((tap + t) % p->kw) * along;
            for (size_t o = 0; o < lanes; o++)
                for (size_t k = 0; k < inputs; k++) {
                    const float *from = first + o * d->weight_out + (c + k) * d->weight_in;
                    for (size_t t = 0; t < count; t++) block[t][k][o] = from[offset[t]];
                }
            for (size_t t = 0; t < count; t++)
                memcpy(to + (tap + t) * tap_step + c * WIDTH, block[t], inputs * sizeof block[t][0]);
        }
}

/* A row of a phase in an image: taps [first, last) down meet rows of the picture, from `in` on. */
typedef struct row {
    const float *in;
    size_t first, last;
    float *out;
} row;

static row row_of(const direct *d, const phase *p, size_t image, size_t i)
{
    ptrdiff_t top = (ptrdiff_t)(i * d->stride) + p->top, h = (ptrdiff_t)d->h, taps = (ptrdiff_t)p->kh;
    ptrdiff_t first = top < 0 ? -top : 0, last = h - top < taps ? h - top : taps;
    row r = {.in = d->in + image * d->h * d->w * d->channels,
             .out = d->out + image * d->image_step + i * d->row_step + p->first_out};
    if (first >= last) return r; /* all beside the picture */
    r.in += (size_t)(top + first) * d->w * d->channels;
    r.first = (size_t)first;
    r.last = (size_t)last;
    return r;
}

/* Columns [left, left + count) of the row's taps, with zeros beside the picture: (taps, count, channels). */
static void gather_window(const direct *d, const row *r, ptrdiff_t left, size_t count, float *window)
{
    size_t bytes = d->channels * sizeof *window;
    for (size_t a = 0; a < r->last - r->first; a++)
        for (size_t k = 0; k < count; k++, window += d->channels) {
            ptrdiff_t column = left + (ptrdiff_t)k;
            if (column >= 0 && column < (ptrdiff_t)d->w)
                memcpy(window, r->in + (a * d->w + (size_t)column) * d->channels, bytes);
            else
                memset(window, 0, bytes);
        }
}

/* `count` pixels from column j, at most `rows` (see product_rows), by a panel of outputs: `p` has the weights. */
static void multiply_pixels(const direct *d, const phase *f, const row *r, size_t j, size_t count, size_t rows,
                            size_t panel, product p, float *window)
{
    size_t columns = (rows - 1) * d->stride + f->kw, lanes = cpu_least(WIDTH, d->outputs - panel * WIDTH);
    ptrdiff_t left = (ptrdiff_t)(j * d->stride) + f->left;
    if (left >= 0 && left + (ptrdiff_t)columns <= (ptrdiff_t)d->w) {
        p.a = r->in + (size_t)left * d->channels;
        p.a_outer = d->w * d->channels;
    } else {
        gather_window(d, r, left, columns, window);
        p.a = window;
        p.a_outer = columns * d->channels;
    }
    float *out = r->out + j * d->pixel_step + panel * WIDTH, *sums = window + d->window_floats - ROWS * WIDTH;
    bool whole = lanes == WIDTH && count == rows;
    p.c = whole ? out : sums;
    p.c_step = whole ? d->pixel_step : WIDTH;
    product_rows(rows, p);
    if (whole) return;
    for (size_t i = 0; i < count; i++) memcpy(out + i * d->pixel_step, sums + i * WIDTH, lanes * sizeof *out);
}

static void correlate_row(const direct *d, const phase *f, size_t image, size_t i, float *window)
{
    row r = row_of(d, f, image, i);
    size_t run = f->kw * d->channels;
    for (size_t panel = 0; panel < d->panels; panel++) {
        float start[WIDTH] = {0};
        if (d->bias)
            memcpy(start, d->bias + panel * WIDTH, cpu_least(WIDTH, d->outputs - panel * WIDTH) * sizeof *start);
        product p = {.row_step = d->stride * d->channels, .k_step = 1,
                     .b = d->packed + f->packed + (panel * f->kh + r.first) * run * WIDTH, .b_outer = run * WIDTH,
                     .outer = r.last - r.first, .count = run, .start = start};
        for (size_t j = 0, rows; j < f->columns; j += rows) {
            rows = product_next_rows(f->columns - j);
            multiply_pixels(d, f, &r, j, cpu_least(rows, f->columns - j), rows, panel, p, window);
        }
    }
}

static void correlate(const direct *d, int threads)
{
    size_t chunks = cpu_divide_up(d->channels, PACKED_INPUTS), rows = d->phases[0].rows; /* which has the most */
#pragma omp parallel num_threads(threads)
    {
#pragma omp for
        for (size_t task = 0; task < d->count * d->panels * chunks; task++) {
            size_t begin = task % chunks * PACKED_INPUTS;
            pack_weight(d, &d->phases[task / chunks / d->panels], task / chunks % d->panels, begin,
                        cpu_least(begin + PACKED_INPUTS, d->channels));
        }
        float *window = d->packed + d->packed_floats + (size_t)omp_get_thread_num() * d->window_floats;
#pragma omp for schedule(dynamic)
        for (size_t task = 0; task < d->n * rows; task++)
            for (size_t i = 0; i < d->count; i++)
                if (task % rows < d->phases[i].rows)
                    correlate_row(d, &d->phases[i], task / rows, task % rows, window);
    }
}

static direct direct_of(const nn_call *call)
{
    return call->op == NN_CONV2D ? direct_of_conv2d(call) : direct_of_data_grad(call);
}

static size_t workspace(const nn_call *call)
{
    direct d = direct_of(call);
    return (d.packed_floats + (size_t)call->threads * d.window_floats) * sizeof(float);
}

static void run(const nn_call *call)
{
    direct d = direct_of(call);
    correlate(&d, call->threads);
}

const nn_kernel CPU_NAME(cpu_conv2d_direct) = {.run = run, .workspace = workspace};
const nn_kernel CPU_NAME(cpu_conv2d_data_grad_direct) = {.run = run, .workspace = workspace};
