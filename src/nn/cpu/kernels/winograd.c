/* Convolutions of stride 1 by F(4x4, 3x3) and F(3x3, 4x4): see winograd.h. conv2d.c says which shapes come here. */
#include <omp.h>

#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/sizes.h"
#include "nn/cpu/kernels/winograd.h"

enum {
    LANES = PRODUCT_LANES,
    WIDTH = PRODUCT_WIDTH,
    POINTS = WINOGRAD_POINTS,
    SHIFT = WINOGRAD_SHIFT,
    TAPS = 9,             /* of a kernel with a ring */
    BLOCK = 64,           /* tiles that a thread takes at once, at most */
    INPUTS = 32,          /* channels in of a task on weights */
    TASK_TILES = 8,       /* tiles that a task transforms, where it does nothing else */
    TASK_PANELS = 4,      /* panels of channels in of a weight gradient's task */
    PAIR = PRODUCT_PAIR,
    NEAR_BYTES = 5 << 18, /* of transformed x and dy: 1.25 MB, what the caches next to two cores hold */
    MOST_BYTES = 5 << 21  /* the most that a weight gradient keeps of them: 10 MB */
};

static void count_tiles(winograd_shape *s)
{
    s->tiles = s->images * s->tile_rows * s->tile_columns;
    s->runs = cpu_runs_of(s->images * s->tile_rows, s->tile_columns);
}

static winograd_shape shape_of(nn_shape x, nn_shape y, size_t kernel, size_t padding)
{
    size_t tile = WINOGRAD_PATCH + 1 - kernel;
    winograd_shape s = {.images = x.dim[NN_N], .h = x.dim[NN_H], .w = x.dim[NN_W], .ic = x.dim[NN_C],
                        .oh = y.dim[NN_H], .ow = y.dim[NN_W], .oc = y.dim[NN_C], .padding = padding,
                        .tile = tile, .tile_rows = cpu_divide_up(y.dim[NN_H], tile),
                        .tile_columns = cpu_divide_up(y.dim[NN_W], tile)};
    s.columns = s.oc;
    count_tiles(&s);
    return s;
}

/* A conv2d with a picture that it enlarges: a tile's results are twice its phase's side, from one pixel before it on. */
static winograd_shape enlarged_shape_of(const nn_call *call)
{
    winograd_shape s = shape_of(call->input_shape[0], call->output_shape[0], WINOGRAD_ENLARGED_TAPS, 1);
    s.border = NN_PAD_EDGE;
    s.enlarged = true;
    s.tile_rows = s.h / s.tile + 1;
    s.tile_columns = s.w / s.tile + 1;
    s.columns = WINOGRAD_PHASES * s.oc;
    count_tiles(&s);
    return s;
}

/* conv2d, or conv2d_data_grad as the convolution that it is. */
static winograd_shape shape_of_call(const nn_call *call)
{
    size_t padding = call->attr.padding, kernel = call->input_shape[1].dim[NN_KH];
    winograd_shape s = shape_of(call->input_shape[0], call->output_shape[0], kernel,
                                call->op == NN_CONV2D ? padding : kernel - 1 - padding);
    if (call->op == NN_CONV2D) s.border = call->attr.mode;
    if (call->attr.factor) s = enlarged_shape_of(call);
    s.x_bf16 = call->input_layout[0] == NN_LAYOUT_BF16;
    s.y_bf16 = call->output_layout[0] == NN_LAYOUT_BF16;
    return s;
}

/* Scratch of a convolution: transformed weights u (points, panels, ic, WIDTH), and a ring's operands, which all threads
 * share, and for each thread v (points, block, v_row), in numbers, and m (points, block, panels * WIDTH) and a ring's
 * sums, in floats. Where a thread would get one block alone, all share v and m: they divide the tiles, then the points,
 * then the tiles again in small tasks, so that none waits long, and each point's weights are read once. */
typedef struct plan {
    size_t panels, v_row, m_row;
    size_t block, blocks;          /* block: runs of one */
    bool together;                 /* all threads share one v and m, of all tiles */
    size_t u_step, v_step, m_step; /* from a point to the next */
    size_t ring_w, ring_dy;        /* numbers of a winograd_ring's; 0: there is none */
    size_t ring_sums;              /* floats of a thread */
    size_t threads;
} plan;

static bool has_ring(const nn_call *call)
{
    return call->op == NN_CONV2D_DATA_GRAD && call->attr.mode == NN_PAD_REFLECT;
}

static plan plan_of(const winograd_shape *s, int threads, bool ring)
{
    plan p = {.panels = cpu_divide_up(s->columns, WIDTH), .v_row = cpu_round_up(s->ic, LANES), .threads = (size_t)threads};
    p.m_row = p.panels * WIDTH;
    p.block = cpu_runs_block(&s->runs, BLOCK, p.threads);
    p.blocks = cpu_divide_up(s->runs.count, p.block);
    p.together = p.blocks <= p.threads;
    size_t rows = cpu_round_up(p.together ? s->tiles : p.block * s->runs.tiles, PRODUCT_UNIT);
    p.u_step = p.panels * cpu_round_up(s->ic, PAIR) * WIDTH + SHIFT;
    p.v_step = rows * p.v_row + SHIFT;
    p.m_step = rows * p.m_row + SHIFT;
    if (ring) {
        size_t row = CPU_NAME(cpu_winograd_ring_row)(s), line = CPU_NAME(cpu_winograd_ring_line)(s);
        p.ring_w = TAPS * p.panels * row * WIDTH;
        p.ring_dy = cpu_round_up(s->images * WINOGRAD_SIDES * line * row, SHIFT);
        p.ring_sums = line * WIDTH;
    }
    return p;
}

static size_t shared_bytes(const plan *p)
{
    return (POINTS * p->u_step + p->ring_w + p->ring_dy) * sizeof(product_number);
}

/* v and m. */
static size_t tile_bytes(const plan *p)
{
    return POINTS * (p->v_step * sizeof(product_number) + p->m_step * sizeof(float));
}

static size_t convolution_workspace(const nn_call *call)
{
    winograd_shape s = shape_of_call(call);
    plan p = plan_of(&s, call->threads, has_ring(call));
    return shared_bytes(&p) + (p.together ? 1 : p.threads) * tile_bytes(&p) + p.threads * p.ring_sums * sizeof(float);
}

/* What becomes of the products of `count` runs. */
static void to_y(const winograd_shape *s, const plan *p, const nn_call *call, const float *m, size_t first, size_t count)
{
    const winograd_result to = {.bias = call->input_count > 2 ? call->input[2] : NULL, .y = call->output[0],
                                .moments = call->output_count > 1 ? call->output[1] : NULL};
    if (s->enlarged)
        CPU_NAME(cpu_winograd_to_enlarged_y)(s, m, p->m_step, p->m_row, first, count, &to);
    else
        CPU_NAME(cpu_winograd_to_y)(s, m, p->m_step, p->m_row, first, count, &to);
}

static void convolve_block(const winograd_shape *s, const plan *p, const nn_call *call, size_t block,
                           const product_number *u, void *scratch)
{
    product_number *v = scratch;
    float *m = (float *)(void *)(v + POINTS * p->v_step);
    size_t run = block * p->block, runs = cpu_least(p->block, s->runs.count - run);
    size_t first = cpu_runs_begin(&s->runs, run), count = cpu_runs_begin(&s->runs, run + runs) - first;
    winograd_place to = {.data = v, .point_step = p->v_step, .panel = p->v_row};
    CPU_NAME(cpu_winograd_from_x)(s, call->input[0], first, count, to, p->v_row);
    for (size_t point = 0; point < POINTS; point++)
        CPU_NAME(cpu_winograd_multiply)(v + point * p->v_step, p->v_row, u + point * p->u_step, count, s->ic,
                                        p->panels, m + point * p->m_step);
    to_y(s, p, call, m, run, runs);
}

/* The same of all tiles, by all threads. */
static void convolve_together(const winograd_shape *s, const plan *p, const nn_call *call, const product_number *u,
                              void *scratch)
{
    product_number *v = scratch;
    float *m = (float *)(void *)(v + POINTS * p->v_step);
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < s->tiles; i += TASK_TILES) {
        winograd_place to = {.data = v + i * p->v_row, .point_step = p->v_step, .panel = p->v_row};
        CPU_NAME(cpu_winograd_from_x)(s, call->input[0], i, cpu_least(TASK_TILES, s->tiles - i), to, p->v_row);
    }
#pragma omp for schedule(dynamic)
    for (size_t point = 0; point < POINTS; point++)
        CPU_NAME(cpu_winograd_multiply)(v + point * p->v_step, p->v_row, u + point * p->u_step, s->tiles, s->ic,
                                        p->panels, m + point * p->m_step);
#pragma omp for schedule(dynamic)
    for (size_t run = 0; run < s->runs.count; run++)
        to_y(s, p, call, m + cpu_runs_begin(&s->runs, run) * p->m_row, run, 1);
}

/* By all threads; whoever reads the result waits for it first. */
static void transform_weights(const winograd_shape *s, const plan *p, const winograd_weight *w, product_number *u,
                              product_number *ring)
{
    size_t chunks = cpu_divide_up(s->ic, INPUTS);
#pragma omp for schedule(dynamic) nowait
    for (size_t task = 0; task < p->panels * chunks; task++) {
        size_t panel = task / chunks, begin = task % chunks * INPUTS, end = cpu_least(begin + INPUTS, s->ic);
        if (s->enlarged)
            CPU_NAME(cpu_winograd_from_enlarged_weight)(w, panel, begin, end, u, p->u_step);
        else
            CPU_NAME(cpu_winograd_from_weight)(w, panel, begin, end, u, p->u_step, ring);
    }
}

static void convolve(const nn_call *call, const winograd_weight *w)
{
    winograd_shape s = shape_of_call(call);
    bool has = has_ring(call);
    plan p = plan_of(&s, call->threads, has);
    product_number *u = call->workspace;
    winograd_ring ring = {.w = u + POINTS * p.u_step, .dy = u + POINTS * p.u_step + p.ring_w};
    unsigned char *tiles = (unsigned char *)call->workspace + shared_bytes(&p);
    float *sums = (float *)(void *)(tiles + (p.together ? 1 : p.threads) * tile_bytes(&p));
#pragma omp parallel num_threads(call->threads)
    {
        size_t thread = (size_t)omp_get_thread_num();
        if (has) {
#pragma omp for nowait
            for (size_t side = 0; side < s.images * WINOGRAD_SIDES; side++)
                CPU_NAME(cpu_winograd_pack_ring)(&s, call->input[0], side / WINOGRAD_SIDES, side % WINOGRAD_SIDES,
                                                 ring.dy);
        }
        transform_weights(&s, &p, w, u, has ? ring.w : NULL);
        if (p.together) {
            convolve_together(&s, &p, call, u, tiles);
        } else {
#pragma omp barrier
#pragma omp for schedule(dynamic)
            for (size_t block = 0; block < p.blocks; block++)
                convolve_block(&s, &p, call, block, u, tiles + thread * tile_bytes(&p));
        }
        if (has) {
#pragma omp for schedule(dynamic)
            for (size_t task = 0; task < s.images * p.panels; task++)
                CPU_NAME(cpu_winograd_add_ring)(&s, &ring, task / p.panels, task % p.panels,
                                                sums + thread * p.ring_sums, call->output[0]);
        }
    }
}

/* Inputs x: (n, h, w, ic), w: (oc, ic, k, k)[, bias: (1, 1, 1, oc)]. Outputs y: (n, oh, ow, oc); with factor 2, k is 3 and y
 * is (n, 2 h, 2 w, oc)[, moments: see moments.h]. */
static void run_conv2d(const nn_call *call)
{
    nn_shape w = call->input_shape[1];
    size_t in = w.dim[NN_IN], kernel = w.dim[NN_KH], taps = kernel * kernel;
    convolve(call, &(winograd_weight){.w = call->input[1], .kernel = kernel, .out_step = in * taps, .in_step = taps,
                                      .out = w.dim[NN_OUT], .in = in});
}

/* Inputs dy: (n, oh, ow, oc), w: (oc, ic, k, k)[, bias: (1, 1, 1, ic)]. Output dx: (n, h, w, ic). With mode reflect, k is
 * 3, and what beside dx mirrors its pixels is added to them. */
static void run_conv2d_data_grad(const nn_call *call)
{
    nn_shape w = call->input_shape[1];
    size_t out = w.dim[NN_IN], kernel = w.dim[NN_KH], taps = kernel * kernel;
    convolve(call, &(winograd_weight){.w = call->input[1], .kernel = kernel, .out_step = taps, .in_step = out * taps,
                                      .out = out, .in = w.dim[NN_OUT], .flip = true});
}

/* Scratch of a weight gradient: the sums du (points, x_panels, dy_panels, WIDTH, WIDTH) in floats, and of `block`
 * tiles x and dy transformed (points, panels, block / PAIR, WIDTH, PAIR) in numbers. Blocks follow each other, so that
 * the order of every sum depends on the shape alone. */
typedef struct gradient_plan {
    size_t x_panels, dy_panels;
    size_t block;
    size_t du_step, x_step, dy_step; /* from a point to the next */
    size_t groups;                   /* of TASK_PANELS panels of x */
} gradient_plan;

/* A block stays in the near caches, unless the sums, which every block reads and writes, would then outweigh it. */
static size_t gradient_block(const winograd_shape *s, size_t panels)
{
    size_t tile = POINTS * WIDTH * panels * sizeof(product_number), block = s->ic * s->oc / (s->ic + s->oc);
    if (block * tile < NEAR_BYTES) block = NEAR_BYTES / tile;
    if (block * tile > MOST_BYTES) block = MOST_BYTES / tile;
    return cpu_round_up(cpu_divide_up(s->tiles, cpu_divide_up(s->tiles, block > 0 ? block : 1)), PAIR);
}

static gradient_plan gradient_plan_of(const winograd_shape *s)
{
    gradient_plan p = {.x_panels = cpu_divide_up(s->ic, WIDTH), .dy_panels = cpu_divide_up(s->oc, WIDTH)};
    p.block = gradient_block(s, p.x_panels + p.dy_panels);
    p.du_step = p.x_panels * p.dy_panels * WIDTH * WIDTH + SHIFT;
    p.x_step = p.x_panels * p.block * WIDTH + SHIFT;
    p.dy_step = p.dy_panels * p.block * WIDTH + SHIFT;
    p.groups = cpu_divide_up(p.x_panels, TASK_PANELS);
    return p;
}

static winograd_shape shape_of_weight_grad(const nn_call *call)
{
    winograd_shape s = shape_of(call->input_shape[0], call->input_shape[1], call->output_shape[0].dim[NN_KH],
                                call->attr.padding);
    s.border = call->attr.mode;
    s.x_bf16 = call->input_layout[0] == NN_LAYOUT_BF16;
    s.y_bf16 = call->input_layout[1] == NN_LAYOUT_BF16;
    return s;
}

static size_t weight_grad_workspace(const nn_call *call)
{
    winograd_shape s = shape_of_weight_grad(call);
    gradient_plan p = gradient_plan_of(&s);
    return POINTS * (p.du_step * sizeof(float) + (p.x_step + p.dy_step) * sizeof(product_number));
}

/* Adds `count` tiles to the sums of one point and a group of x's panels. */
static void add_products(const gradient_plan *p, size_t group, const product_number *x, const product_number *dy,
                         size_t count, bool add, float *du)
{
    size_t begin = group * TASK_PANELS, end = cpu_least(begin + TASK_PANELS, p->x_panels);
    for (size_t j = 0; j < p->dy_panels; j++)
        for (size_t i = begin; i < end; i++)
            CPU_NAME(cpu_winograd_accumulate)(x + i * p->block * WIDTH, dy + j * p->block * WIDTH, count, add,
                                              du + (i * p->dy_panels + j) * WIDTH * WIDTH);
}

/* Inputs x: (n, h, w, ic), dy: (n, oh, ow, oc). Output dw: (oc, ic, k, k). */
static void run_conv2d_weight_grad(const nn_call *call)
{
    winograd_shape s = shape_of_weight_grad(call);
    gradient_plan p = gradient_plan_of(&s);
    float *du = call->workspace;
    product_number *x = (product_number *)(void *)(du + POINTS * p.du_step), *dy = x + POINTS * p.x_step;
    winograd_place x_place = {.data = x, .point_step = p.x_step, .panel = WIDTH, .panel_step = p.block * WIDTH,
                              .paired = PAIR > 1};
    winograd_place dy_place = x_place;
    dy_place.data = dy;
    dy_place.point_step = p.dy_step;
    size_t chunks = cpu_divide_up(s.ic, INPUTS);
#pragma omp parallel num_threads(call->threads)
    {
        for (size_t first = 0; first < s.tiles; first += p.block) {
            size_t count = cpu_least(p.block, s.tiles - first);
#pragma omp for
            for (size_t i = 0; i < count; i += TASK_TILES) {
                winograd_place x_to = x_place, dy_to = dy_place;
                size_t tiles = cpu_least(TASK_TILES, count - i);
                x_to.data += i * WIDTH;
                dy_to.data += i * WIDTH;
                CPU_NAME(cpu_winograd_from_x)(&s, call->input[0], first + i, tiles, x_to, WIDTH);
                CPU_NAME(cpu_winograd_from_dy)(&s, call->input[1], first + i, tiles, dy_to, WIDTH);
            }
#pragma omp for schedule(dynamic)
            for (size_t task = 0; task < POINTS * p.groups; task++) {
                size_t point = task / p.groups;
                add_products(&p, task % p.groups, x + point * p.x_step, dy + point * p.dy_step, count, first > 0,
                             du + point * p.du_step);
            }
        }
#pragma omp for
        for (size_t task = 0; task < p.dy_panels * chunks; task++) {
            size_t begin = task % chunks * INPUTS;
            CPU_NAME(cpu_winograd_to_weight)(&s, du, p.du_step, task / chunks, begin, cpu_least(begin + INPUTS, s.ic),
                                             call->output[0]);
        }
    }
}

const nn_kernel CPU_NAME(cpu_winograd) = {.run = run_conv2d, .workspace = convolution_workspace};
const nn_kernel CPU_NAME(cpu_winograd_data_grad) = {.run = run_conv2d_data_grad, .workspace = convolution_workspace};
const nn_kernel CPU_NAME(cpu_winograd_weight_grad) = {.run = run_conv2d_weight_grad,
                                                      .workspace = weight_grad_workspace};
