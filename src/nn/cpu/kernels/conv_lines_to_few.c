/* Convolutions by filtered rows that go from many channels to few: see conv_lines.h. Vectors run along the channels in;
 * for each point, the sums of a block of tiles and channels out stay in registers, and only then are lanes added up. */
#include <omp.h>
#include <string.h>

#include "nn/cpu/kernels/conv_lines.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/sizes.h"

/* Tiles of a block for 1 to 4 channels, as many as registers hold beside their factors; those of two rows, times the
 * channels, are a whole number of vectors. */
#if defined(__AVX512F__)
enum { TILES_1 = 8, TILES_2 = 8, TILES_3 = 8, TILES_4 = 6, MOST_SUMS = 24 };
#else
enum { TILES_1 = 8, TILES_2 = 6, TILES_3 = 4, TILES_4 = 3, MOST_SUMS = 12 };
#endif

enum {
    LANES = PRODUCT_LANES,
    TILE = LINES_TILE,
    POINTS = LINES_POINTS,
    FEW = LINES_FEW,
    PAIR = 2,    /* rows whose lanes are added up together */
    BAND = 16,   /* rows of y between whose points the cache has to choose: a whole number of pairs */
    SEGMENT = 64 /* rows of y of a task, at most: BAND times a power of two */
};

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;
typedef int lane_numbers __attribute__((vector_size(LANES * sizeof(int))));

/* Scratch: weights u (points, kh, ic / LANES, oc, LANES) for all; of each thread a ring of rows of points, v (points,
 * slots, ic / LANES, tiles, LANES), and a band's sums (points, BAND, tiles, oc), of which a whole vector more is read. A
 * strip is a block of tiles. */
typedef struct plan {
    conv_lines_strips x;
    size_t tiles, strips, sums; /* tiles of a strip, strips of a row; sums: of a row of a strip */
    size_t slots;
    size_t segment, segments, tasks, workers; /* rows of y of a task, tasks of a strip, all; threads that get one */
    size_t u_point, v_slot, v_point, m_point; /* floats */
} plan;

/* Rows that two segments need are transformed twice: low ones are for threads that would have nothing to do. */
static void plan_tasks(const conv_lines *l, plan *p)
{
    for (p->segment = SEGMENT;; p->segment /= 2) {
        p->segments = cpu_divide_up(l->oh, p->segment);
        p->tasks = l->n * p->segments * p->strips;
        if (p->segment == BAND || p->tasks >= 2 * (size_t)l->threads) break;
    }
    p->workers = cpu_least((size_t)l->threads, p->tasks);
}

static plan plan_of(const conv_lines *l)
{
    static const size_t tiles[FEW] = {TILES_1, TILES_2, TILES_3, TILES_4};
    plan p = {.tiles = tiles[l->oc - 1], .slots = cpu_least(BAND, l->oh) + l->kh - 1, .u_point = l->kh * l->oc * l->ic};
    p.strips = cpu_divide_up(l->tiles, p.tiles);
    p.sums = p.tiles * l->oc;
    p.v_slot = p.tiles * l->ic;
    p.v_point = p.slots * p.v_slot;
    p.m_point = BAND * p.sums;
    p.x = (conv_lines_strips){.pixels = l->x, .h = l->h, .w = l->w, .channels = l->ic, .before = l->before,
                              .border = l->border, .tiles = p.tiles, .point = p.v_point, .step = p.tiles};
    plan_tasks(l, &p);
    return p;
}

static size_t thread_floats(const plan *p) { return cpu_round_up(POINTS * (p->v_point + p->m_point), LANES) + LANES; }

static size_t workspace(const nn_call *call)
{
    const conv_lines l = CPU_NAME(cpu_conv_lines_of)(call);
    const plan p = plan_of(&l);
    return (POINTS * p.u_point + p.workers * thread_floats(&p)) * sizeof(float);
}

/* One point's sums, (tiles, few) vectors, of a strip's row whose window begins at slot `first` of the ring. `few` and
 * `tiles` are constants where this is inlined. */
PRODUCT_INLINE void add_products(const conv_lines *l, const plan *p, const size_t few, const size_t tiles, const float *v,
                                 size_t first, const float *u, vector *sums)
{
    vector sum[LINES_STRIP][FEW] = {{{0}}};
    for (size_t row = 0; row < l->kh; row++) {
        const size_t slot = first + row < p->slots ? first + row : first + row - p->slots;
        const float *x = v + slot * p->v_slot;
        for (size_t c = 0; c < l->ic; c += LANES, x += tiles * LANES, u += few * LANES) {
            vector weight[FEW];
#pragma GCC unroll 4
            for (size_t f = 0; f < few; f++) weight[f] = product_load(u + f * LANES);
#pragma GCC unroll 8
            for (size_t t = 0; t < tiles; t++) {
                vector value = product_load(x + t * LANES);
                PRODUCT_IN_REGISTER(value);
#pragma GCC unroll 4
                for (size_t f = 0; f < few; f++) sum[t][f] += value * weight[f];
            }
        }
    }
#pragma GCC unroll 8
    for (size_t t = 0; t < tiles; t++)
#pragma GCC unroll 4
        for (size_t f = 0; f < few; f++) sums[t * few + f] = sum[t][f];
}

typedef void products(const conv_lines *l, const plan *p, const float *v, size_t first, const float *u, vector *sums);
#define PRODUCTS(few)                                                                                                 \
    static void products_##few(const conv_lines *l, const plan *p, const float *v, size_t first, const float *u,      \
                               vector *sums)                                                                          \
    {                                                                                                                 \
        add_products(l, p, few, TILES_##few, v, first, u, sums);                                                      \
    }
PRODUCTS(1)
PRODUCTS(2)
PRODUCTS(3)
PRODUCTS(4)
static products *const all_products[FEW] = {products_1, products_2, products_3, products_4};

/* Pairs of neighbours a and b to one vector each, whose lane i is a[i] + a[i + step] where i has not the bit `step`, and
 * otherwise b[i - step] + b[i]. */
#define KEPT(i, step) ((i) & (step) ? LANES + (i) : (i))
#define CROSSED(i, step) ((i) & (step) ? LANES + (i) - (step) : (i) + (step))
#define FOUR(f, i, step) f(i, step), f(i + 1, step), f(i + 2, step), f(i + 3, step)
#if defined(__AVX512F__)
#define ALL_LANES(f, step) FOUR(f, 0, step), FOUR(f, 4, step), FOUR(f, 8, step), FOUR(f, 12, step)
#elif defined(__AVX2__)
#define ALL_LANES(f, step) FOUR(f, 0, step), FOUR(f, 4, step)
#else
#define ALL_LANES(f, step) FOUR(f, 0, step)
#endif
#define ADD_PAIRS(v, step)                                                                                            \
    for (int pair = 0; pair < LANES / (2 * (step)); pair++)                                                           \
        v[pair] = __builtin_shuffle(v[2 * pair], v[2 * pair + 1], (lane_numbers){ALL_LANES(KEPT, step)}) +            \
                  __builtin_shuffle(v[2 * pair], v[2 * pair + 1], (lane_numbers){ALL_LANES(CROSSED, step)})

/* Lane i of the result is the sum of v[i]'s lanes. */
static inline vector lane_sums(vector *v)
{
    ADD_PAIRS(v, 1);
    ADD_PAIRS(v, 2);
    if (LANES > 4) ADD_PAIRS(v, 4);
    if (LANES > 8) ADD_PAIRS(v, 8);
    return v[0];
}

/* A band's products: `count` rows from the one whose window begins at slot `first`. */
static void multiply_band(const conv_lines *l, const plan *p, const float *u, const float *v, size_t first, size_t count,
                          float *m)
{
    for (size_t point = 0; point < POINTS; point++)
        for (size_t row = 0; row < count; row += PAIR) {
            vector sums[PAIR * MOST_SUMS];
            for (size_t i = 0; i < PAIR; i++) /* after an odd number of rows the last one again */
                all_products[l->oc - 1](l, p, v + point * p->v_point, (first + cpu_least(row + i, count - 1)) % p->slots,
                                        u + point * p->u_point, sums + i * p->sums);
            for (size_t i = 0; i < PAIR * p->sums; i += LANES)
                *(vector_in_memory *)(m + point * p->m_point + row * p->sums + i) = lane_sums(sums + i);
        }
}

/* Pixels of a strip's row from column `column` on: m has its sums, from point to point. */
static void row_to_y(const conv_lines *l, const plan *p, const float *m, size_t column, float *y)
{
    float pixels[TILE][MOST_SUMS + LANES];
    for (size_t j = 0; j < p->sums; j += LANES) {
        vector d[POINTS], t[TILE];
        for (size_t i = 0; i < POINTS; i++) d[i] = product_load(m + i * p->m_point + j);
        conv_lines_to_y(d, t);
        for (size_t i = 0; i < TILE; i++) *(vector_in_memory *)(pixels[i] + j) = t[i];
    }
    for (size_t tile = 0; tile < p->tiles; tile++)
        for (size_t i = 0; i < TILE && column + tile * TILE + i < l->ow; i++)
            for (size_t f = 0; f < l->oc; f++)
                y[(tile * TILE + i) * l->oc + f] = pixels[i][tile * l->oc + f] + (l->bias ? l->bias[f] : 0);
}

/* Rows [begin, end) of y in a strip. */
static void convolve_segment(const conv_lines *l, const plan *p, size_t image, size_t strip, size_t begin, size_t end,
                             const float *u, float *v)
{
    const size_t first = strip * p->tiles * TILE;
    float *m = v + POINTS * p->v_point;
    conv_lines_strip_columns column;
    CPU_NAME(cpu_conv_lines_columns)(&p->x, strip, column);
    size_t ready = begin; /* rows of the padded picture */
    for (size_t row = begin; row < end; row += BAND) {
        const size_t count = cpu_least(BAND, end - row);
        for (; ready < row + count + l->kh - 1; ready++)
            CPU_NAME(cpu_conv_lines_strip)(&p->x, column, image, ready, v + (ready - begin) % p->slots * p->v_slot);
        multiply_band(l, p, u, v, (row - begin) % p->slots, count, m);
        for (size_t i = 0; i < count; i++)
            row_to_y(l, p, m + i * p->sums, first, (float *)l->y + ((image * l->oh + row + i) * l->ow + first) * l->oc);
    }
}

/* Of a point. */
static size_t weight_place(const conv_lines *l, size_t row, size_t o, size_t c)
{
    return (row * l->ic / LANES + c / LANES) * l->oc * LANES + o * LANES + c % LANES;
}

static void run(const nn_call *call)
{
    const conv_lines l = CPU_NAME(cpu_conv_lines_of)(call);
    const plan p = plan_of(&l);
    float *u = call->workspace, *scratch = u + POINTS * p.u_point;
#pragma omp parallel num_threads((int)p.workers)
    {
        float *own = scratch + (size_t)omp_get_thread_num() * thread_floats(&p);
        memset(own + POINTS * p.v_point, 0, (POINTS * p.m_point + LANES) * sizeof *own); /* what is read beside sums */
#pragma omp for
        for (size_t row = 0; row < l.kh; row++)
            for (size_t o = 0; o < l.oc; o++)
                for (size_t c = 0; c < l.ic; c++)
                    CPU_NAME(cpu_conv_lines_from_weight)(&l, o, c, row, u + weight_place(&l, row, o, c), p.u_point);
#pragma omp for schedule(dynamic)
        for (size_t task = 0; task < p.tasks; task++) {
            const size_t begin = task / p.strips % p.segments * p.segment;
            convolve_segment(&l, &p, task / p.strips / p.segments, task % p.strips, begin,
                             cpu_least(begin + p.segment, l.oh), u, own);
        }
    }
}

const nn_kernel CPU_NAME(cpu_conv_lines_to_few) = {.run = run, .workspace = workspace};
