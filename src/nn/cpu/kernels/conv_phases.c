/* Convolutions of stride 2 and their data gradients by phases: see conv_phases.h. */
#include "nn/cpu/kernels/conv_phases.h"

#include <omp.h>

#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/sizes.h"
#include "nn/cpu/kernels/winograd.h"

enum {
    LANES = PRODUCT_LANES,
    WIDTH = PRODUCT_WIDTH,
    STRIDE = PHASES_STRIDE,
    TILE = PHASES_TILE,
    SHIFT = PHASES_SHIFT,
    BLOCK = 32, /* tiles that a thread takes at once, at most */
    INPUTS = 32 /* channels in of a task on weights */
};

/* Scratch: transformed weights u, shared, and for each thread v and m of a block of tiles, phase after phase. Where the
 * phases are summed, v has all of them, side by side in its rows. */
typedef struct filtering {
    phases_tiles tiles;
    cpu_runs runs;                         /* of all tiles */
    phase phases[PHASES];
    phases_weight weight;
    bool adds, summed;                     /* phases: to each other's results; before they are transformed */
    size_t panels, depth;                  /* depth: rows of a matrix of u, which a sum runs over */
    size_t first_matrix[PHASES], matrices; /* of each of u's panels */
    size_t block_runs, block, blocks;      /* runs and, at most, tiles of a block */
    size_t u_step, v_row;                  /* from a matrix of u, a row of v to the next */
    size_t v_floats, m_floats;             /* of a thread */
} filtering;

/* A side of dx: pixels q, q + STRIDE, ... have the taps `first`, first - STRIDE, ..., of which the first one meets
 * pixel `start` of dy. */
typedef struct side {
    size_t taps, first;
    ptrdiff_t start;
} side;

static side side_of(size_t q, size_t kernel, size_t padding)
{
    size_t remainder = (q + padding) % STRIDE;
    side s = {.taps = phases_taps(remainder, kernel)};
    s.first = remainder + (s.taps - 1) * STRIDE;
    s.start = ((ptrdiff_t)(q + padding) - (ptrdiff_t)s.first) / STRIDE;
    return s;
}

static phase phase_of_data_grad(const nn_call *call, size_t i, size_t j)
{
    const size_t *dy = call->input_shape[0].dim, *w = call->input_shape[1].dim, *dx = call->output_shape[0].dim;
    side down = side_of(i, w[NN_KH], call->attr.padding), along = side_of(j, w[NN_KW], call->attr.padding);
    return (phase){.down = down.taps, .along = along.taps, .row = down.first, .column = along.first,
                   .tap_step = -STRIDE,
                   .in = {.h = dy[NN_H], .w = dy[NN_W], .channels = dy[NN_C], .step = 1, .top = down.start,
                          .left = along.start},
                   .out = {.h = dx[NN_H], .w = dx[NN_W], .channels = dx[NN_C], .step = STRIDE, .top = (ptrdiff_t)i,
                           .left = (ptrdiff_t)j}};
}

static void plan_blocks(filtering *f, size_t threads)
{
    f->runs = cpu_runs_of(f->tiles.count / f->tiles.columns, f->tiles.columns);
    f->block_runs = cpu_runs_block(&f->runs, BLOCK, threads);
    f->block = f->block_runs * f->runs.tiles;
    f->blocks = cpu_divide_up(f->runs.count, f->block_runs);
    for (size_t i = 0; i < PHASES; i++) {
        size_t rows = cpu_round_up(f->block * phases_rows(&f->phases[i]), PRODUCT_UNIT);
        size_t matrices = phases_matrices(&f->phases[i]);
        size_t v = matrices * (rows * f->v_row + SHIFT), m = matrices * (rows * WIDTH + SHIFT);
        if (f->v_floats < v) f->v_floats = v;
        if (f->m_floats < m) f->m_floats = m;
    }
}

static filtering filtering_of(const nn_call *call)
{
    const size_t *in = call->input_shape[0].dim, *w = call->input_shape[1].dim, *out = call->output_shape[0].dim;
    bool forward = call->op == NN_CONV2D;
    size_t kernel = w[NN_KH], taps = kernel * kernel, step = forward ? 1 : STRIDE;
    filtering f = {.tiles = {cpu_divide_up(out[NN_H], step * TILE), cpu_divide_up(out[NN_W], step * TILE), 0},
                   .weight = {call->input[1], kernel, forward ? w[NN_IN] * taps : taps,
                              forward ? taps : w[NN_IN] * taps, out[NN_C], in[NN_C]},
                   .adds = forward, .summed = forward && kernel % STRIDE == 0,
                   .panels = cpu_divide_up(out[NN_C], WIDTH)};
    f.tiles.count = out[NN_N] * f.tiles.rows * f.tiles.columns;
    for (size_t i = 0; i < PHASES; i++) {
        phase *p = &f.phases[i];
        *p = forward ? phases_of_conv2d(call->input_shape[0], call->input_shape[1], call->output_shape[0],
                                        call->attr.padding, i / STRIDE, i % STRIDE)
                     : phase_of_data_grad(call, i / STRIDE, i % STRIDE);
        if (!f.summed) f.first_matrix[i] = f.matrices;
        f.matrices = f.first_matrix[i] + phases_matrices(p);
    }
    f.depth = f.summed ? PHASES * in[NN_C] : in[NN_C];
    f.u_step = f.depth * WIDTH + SHIFT;
    /* After the channels of a phase come zeros, which the next one overwrites. */
    f.v_row = f.depth - in[NN_C] + cpu_round_up(in[NN_C], LANES);
    plan_blocks(&f, (size_t)call->threads);
    return f;
}

static size_t workspace(const nn_call *call)
{
    filtering f = filtering_of(call);
    return (f.panels * f.matrices * f.u_step + (size_t)call->threads * (f.v_floats + f.m_floats)) * sizeof(float);
}

static void transform_weights(const filtering *f, float *u)
{
    size_t chunks = cpu_divide_up(f->weight.in, INPUTS);
    phases_matrix to[PHASES];
    for (size_t i = 0; i < PHASES; i++)
        to[i] = (phases_matrix){.u = u + f->panels * f->first_matrix[i] * f->u_step, .step = f->u_step,
                                .panel_step = phases_matrices(&f->phases[i]) * f->u_step,
                                .row = f->summed ? i * f->weight.in : 0};
#pragma omp for schedule(dynamic)
    for (size_t task = 0; task < f->panels * chunks; task++) {
        size_t begin = task % chunks * INPUTS;
        CPU_NAME(cpu_phases_from_weight)(&f->weight, f->phases, to, task / chunks, begin,
                                         cpu_least(begin + INPUTS, f->weight.in));
    }
}

/* Phase number i of a block from v to the result, panel by panel: m stays in the caches. */
static void filter_phase(const filtering *f, const nn_call *call, size_t i, size_t first, size_t count, const float *u,
                         phases_place v, float *m)
{
    const phase *p = &f->phases[i];
    size_t rows = count * phases_rows(p), matrices = phases_matrices(p);
    phases_place sums = {m, cpu_round_up(f->block * phases_rows(p), PRODUCT_UNIT) * WIDTH + SHIFT, WIDTH, WIDTH};
    bool later = f->adds && !f->summed && i > 0, last = !f->adds || i == PHASES - 1;
    const phases_result to = {.picture = call->output[0], .bias = call->input_count > 2 && !later ? call->input[2] : NULL,
                              .add = later, .runs = &f->runs, .more = !f->adds && i > 0,
                              .moments = call->output_count > 1 && last ? call->output[1] : NULL};
    u += f->panels * f->first_matrix[i] * f->u_step;
    for (size_t panel = 0; panel < f->panels; panel++) {
        for (size_t k = 0; k < matrices; k++, u += f->u_step)
            CPU_NAME(cpu_winograd_multiply)(v.data + k * v.matrix_step, f->v_row, u, rows, f->depth, 1,
                                            m + k * sums.matrix_step);
        phases_run run = {first, count, panel * WIDTH, cpu_least((panel + 1) * WIDTH, p->out.channels)};
        CPU_NAME(cpu_phases_to_picture)(&f->tiles, p, &sums, &run, &to);
    }
}

static void filter_block(const filtering *f, const nn_call *call, size_t block, const float *u, float *v, float *m)
{
    size_t run = block * f->block_runs, runs = cpu_least(f->block_runs, f->runs.count - run);
    size_t first = cpu_runs_begin(&f->runs, run), count = cpu_runs_begin(&f->runs, run + runs) - first;
    for (size_t i = 0; i < PHASES; i++) {
        const phase *p = &f->phases[i];
        size_t rows = cpu_round_up(f->block * phases_rows(p), PRODUCT_UNIT);
        phases_place to = {v + (f->summed ? i * f->weight.in : 0), rows * f->v_row + SHIFT, f->v_row, WIDTH};
        phases_run all = {first, count, 0, cpu_round_up(f->weight.in, LANES)};
        CPU_NAME(cpu_phases_from_picture)(&f->tiles, p, call->input[0], &all, &to);
        to.data = v;
        if (!f->summed || i == PHASES - 1) filter_phase(f, call, i, first, count, u, to, m);
    }
}

/* conv2d: inputs x: (n, h, w, ic), w: (oc, ic, k, k)[, bias: (1, 1, 1, oc)]. Outputs y: (n, oh, ow, oc)[, moments:
 * see moments.h]. conv2d_data_grad: inputs dy: (n, oh, ow, oc), w[, bias: (1, 1, 1, ic)]. Outputs dx: (n, h, w, ic)[, moments].
 */
static void run(const nn_call *call)
{
    filtering f = filtering_of(call);
    float *u = call->workspace, *scratch = u + f.panels * f.matrices * f.u_step;
#pragma omp parallel num_threads(call->threads)
    {
        transform_weights(&f, u);
        float *v = scratch + (size_t)omp_get_thread_num() * (f.v_floats + f.m_floats);
#pragma omp for schedule(dynamic)
        for (size_t block = 0; block < f.blocks; block++) filter_block(&f, call, block, u, v, v + f.v_floats);
    }
}

const nn_kernel CPU_NAME(cpu_conv2d_phases) = {.run = run, .workspace = workspace};
const nn_kernel CPU_NAME(cpu_conv2d_data_grad_phases) = {.run = run, .workspace = workspace};
