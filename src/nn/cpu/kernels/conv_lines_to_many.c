/* Convolutions by filtered rows that go from few channels to many: see conv_lines.h. Vectors run along the channels out;
 * for each point, a matrix product over the kernel's rows and the channels in has tiles as its rows. */
#include <omp.h>
#include <string.h>

#include "nn/cpu/kernels/bf16.h"
#include "nn/cpu/kernels/conv_lines.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/sizes.h"

enum {
    LANES = PRODUCT_LANES,
    WIDTH = PRODUCT_WIDTH,
    ROWS = PRODUCT_ROWS,
    TILE = LINES_TILE,
    POINTS = LINES_POINTS,
    BAND = 8 /* rows of y of a task */
};

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;

/* Scratch: weights u (panels, points, kh, ic, WIDTH) for all; of each thread what conv_lines_rows needs, points v (rows,
 * points, tiles, ic), and a block's products m (points, ROWS, WIDTH). */
typedef struct plan {
    conv_lines_rows rows; /* tiles: up to a whole number of units */
    size_t panels;
    size_t u_point, v_point, v_row; /* floats from a point to the next, from a row to the next */
    size_t row, v, m;               /* floats of each */
} plan;

static plan plan_of(const conv_lines *l)
{
    plan p = {.rows = {.pixels = l->x, .h = l->h, .w = l->w, .channels = l->ic, .before = l->before, .border = l->border,
                       .tiles = cpu_round_up(l->tiles, PRODUCT_UNIT)},
              .panels = cpu_divide_up(l->oc, WIDTH), .u_point = l->kh * l->ic * WIDTH, .m = POINTS * ROWS * WIDTH};
    p.row = CPU_NAME(cpu_conv_lines_row_scratch)(&p.rows);
    p.v_point = CPU_NAME(cpu_conv_lines_row_point)(&p.rows);
    p.v_row = POINTS * p.v_point;
    p.v = (cpu_least(BAND, l->oh) + l->kh - 1) * p.v_row;
    return p;
}

static size_t thread_floats(const plan *p) { return p->row + p->v + p->m; }
static size_t tasks_of(const conv_lines *l) { return l->n * cpu_divide_up(l->oh, BAND); }
/* Those that get a task: of a low strip of a wide picture there are few, and each has much scratch. */
static size_t workers(const conv_lines *l) { return cpu_least((size_t)l->threads, tasks_of(l)); }

static size_t workspace(const nn_call *call)
{
    const conv_lines l = CPU_NAME(cpu_conv_lines_of)(call);
    const plan p = plan_of(&l);
    return (p.panels * POINTS * p.u_point + workers(&l) * thread_floats(&p)) * sizeof(float);
}

/* Channels [begin, end) of a panel's outputs; beside the last one there are zeros. */
static void transform_weights(const conv_lines *l, const plan *p, size_t panel, float *u)
{
    const size_t begin = panel * WIDTH, count = cpu_least(WIDTH, l->oc - begin);
    memset(u, 0, POINTS * p->u_point * sizeof *u);
    for (size_t o = 0; o < count; o++)
        for (size_t row = 0; row < l->kh; row++)
            for (size_t c = 0; c < l->ic; c++)
                CPU_NAME(cpu_conv_lines_from_weight)(l, begin + o, c, row, u + (row * l->ic + c) * WIDTH + o, p->u_point);
}

/* A tile's products to LANES channels from c of its pixels, the first of which is number `pixel` of y and in `column`. */
static inline void tile_to_y(const conv_lines *l, const float *m, size_t c, size_t pixel, size_t column)
{
    vector d[POINTS], y[TILE], bias = {0};
    if (l->bias) bias = product_load(l->bias + c);
#pragma GCC unroll 10
    for (size_t i = 0; i < POINTS; i++) d[i] = product_load(m + i * ROWS * WIDTH);
    conv_lines_to_y(d, y);
    for (size_t i = 0; i < TILE && column + i < l->ow; i++) {
        const size_t element = (pixel + i) * l->oc + c;
        float sums[LANES];
        float *to = l->y_bf16 ? sums : (float *)l->y + element;
        *(vector_in_memory *)to = y[i] + bias;
        if (l->y_bf16) cpu_narrow(sums, LANES, (uint16_t *)l->y + element);
    }
}

/* A row of y, from pixel number `first` on, from the rows of points that its window has. */
static void convolve_row(const conv_lines *l, const plan *p, const float *u, const float *v, float *m, size_t first)
{
    for (size_t t = 0, rows; t < l->tiles; t += rows) {
        rows = product_next_rows(l->tiles - t);
        const size_t count = cpu_least(rows, l->tiles - t);
        for (size_t panel = 0; panel < p->panels; panel++) {
            for (size_t point = 0; point < POINTS; point++)
                product_rows(rows, (product){.a = v + point * p->v_point + t * l->ic, .a_outer = p->v_row, .row_step = l->ic,
                                             .k_step = 1, .b = u + (panel * POINTS + point) * p->u_point,
                                             .b_outer = l->ic * WIDTH, .outer = l->kh, .count = l->ic,
                                             .c = m + point * ROWS * WIDTH, .c_step = WIDTH});
            for (size_t r = 0; r < count; r++)
                for (size_t lane = 0; lane < WIDTH && panel * WIDTH + lane < l->oc; lane += LANES)
                    tile_to_y(l, m + r * WIDTH + lane, panel * WIDTH + lane, first + (t + r) * TILE, (t + r) * TILE);
        }
    }
}

/* Rows [begin, end) of y. */
static void convolve_band(const conv_lines *l, const plan *p, size_t image, size_t begin, size_t end, const float *u,
                          float *scratch)
{
    float *v = scratch + p->row, *m = v + p->v;
    for (size_t row = begin; row < end + l->kh - 1; row++)
        CPU_NAME(cpu_conv_lines_row)(&p->rows, image, row, scratch, v + (row - begin) * p->v_row);
    for (size_t row = begin; row < end; row++)
        convolve_row(l, p, u, v + (row - begin) * p->v_row, m, (image * l->oh + row) * l->ow);
}

static void run(const nn_call *call)
{
    const conv_lines l = CPU_NAME(cpu_conv_lines_of)(call);
    const plan p = plan_of(&l);
    const size_t bands = cpu_divide_up(l.oh, BAND);
    float *u = call->workspace, *scratch = u + p.panels * POINTS * p.u_point;
#pragma omp parallel num_threads((int)workers(&l))
    {
        float *own = scratch + (size_t)omp_get_thread_num() * thread_floats(&p);
#pragma omp for
        for (size_t panel = 0; panel < p.panels; panel++)
            transform_weights(&l, &p, panel, u + panel * POINTS * p.u_point);
#pragma omp for schedule(dynamic)
        for (size_t task = 0; task < tasks_of(&l); task++) {
            const size_t begin = task % bands * BAND;
            convolve_band(&l, &p, task / bands, begin, cpu_least(begin + BAND, l.oh), u, own);
        }
    }
}

const nn_kernel CPU_NAME(cpu_conv_lines_to_many) = {.run = run, .workspace = workspace};
