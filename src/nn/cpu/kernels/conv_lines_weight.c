/* Weight gradients of the convolutions of conv_lines.h, by the transposed algorithm: F(7, 4) gives seven taps from tiles
 * of four results,
 *
 *     dw = G^T [sum over rows and tiles (B^T x) . (A dy)]
 *
 * ten products for 28. One side has many channels, along which vectors run, the other few. With rows of x counted from
 * the first in front of the picture, row i of dy meets rows i + u of x, u < kh: a row of the side with many channels meets
 * kh neighbouring rows of the other, `offsets`, whose sums stay in registers over a strip's rows and tiles. The sums of
 * rows and strips are then added up in few, so that they lose few bits: the error is 5e-6 and below 1e-5.
 */
#include <omp.h>
#include <string.h>

#include "nn/cpu/kernels/conv_lines.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/sizes.h"

/* Offsets whose sums registers hold at once, for 1 to 4 channels. */
#if defined(__AVX512F__)
enum { OFFSETS_1 = 7, OFFSETS_2 = 7, OFFSETS_3 = 7, OFFSETS_4 = 7 };
#else
enum { OFFSETS_1 = 7, OFFSETS_2 = 5, OFFSETS_3 = 4, OFFSETS_4 = 3 };
#endif

enum {
    LANES = PRODUCT_LANES,
    TAPS = LINES_TAPS,
    TILE = LINES_TILE,
    POINTS = LINES_POINTS,
    FEW = LINES_FEW,
    MOST_OFFSETS = 7,
    STRIP = LINES_STRIP,
    BAND = 8,       /* rows of the side with many channels */
    SHIFT = 16,     /* floats, a cache line: keeps the points off each other's sets */
    MOST_PARTS = 32 /* sums that are added up at the end */
};

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;

/* Scratch: of each part sums m (points, many / LANES, offsets, few, LANES); of each thread the few channels' rows of
 * points (rows, points, tiles, few), what they need, and a strip of the many channels' (points, many / LANES, BAND, STRIP,
 * LANES). */
typedef struct gradient {
    conv_lines_rows few;
    conv_lines_strips many;
    size_t n;
    bool many_is_x;
    size_t rows, strips;         /* of `many`: rows with what is beside them that dy meets */
    size_t kh, at_once, offsets; /* kernel's rows; offsets at once; all, a whole number of those */
    size_t few_point, few_row, few_rows, m;
    size_t bands, parts;
} gradient;

static gradient gradient_of(const nn_call *call)
{
    static const size_t at_once[FEW] = {OFFSETS_1, OFFSETS_2, OFFSETS_3, OFFSETS_4};
    const size_t *x = call->input_shape[0].dim, *y = call->input_shape[1].dim, *w = call->output_shape[0].dim;
    const bool many_is_x = x[NN_C] > y[NN_C];
    const size_t tiles = cpu_round_up(cpu_divide_up(y[NN_W], TILE), STRIP), padding = call->attr.padding;
    const size_t *few = many_is_x ? y : x, *many = many_is_x ? x : y;
    gradient g = {.n = x[NN_N], .many_is_x = many_is_x, .strips = tiles / STRIP, .kh = w[NN_KH],
                  .at_once = at_once[few[NN_C] - 1]};
    g.many = (conv_lines_strips){.pixels = call->input[!many_is_x], .h = many[NN_H], .w = many[NN_W],
                                 .channels = many[NN_C], .tiles = STRIP, .results = !many_is_x,
                                 .point = BAND * STRIP * many[NN_C] + SHIFT, .step = BAND * STRIP};
    g.few = (conv_lines_rows){.pixels = call->input[many_is_x], .h = few[NN_H], .w = few[NN_W], .channels = few[NN_C],
                              .tiles = tiles, .results = many_is_x};
    g.rows = y[NN_H] + (many_is_x ? g.kh - 1 : 0);
    *(many_is_x ? &g.many.before : &g.few.before) = padding;
    *(many_is_x ? &g.many.border : &g.few.border) = call->attr.mode;
    g.offsets = cpu_round_up(g.kh, g.at_once);
    g.few_point = CPU_NAME(cpu_conv_lines_row_point)(&g.few);
    g.few_row = POINTS * g.few_point;
    g.few_rows = BAND + g.offsets - 1;
    g.m = POINTS * g.many.channels * g.offsets * few[NN_C];
    g.bands = g.n * cpu_divide_up(g.rows, BAND);
    g.parts = cpu_least(g.bands, MOST_PARTS);
    return g;
}

static size_t thread_floats(const gradient *g)
{
    return g->few_rows * g->few_row + CPU_NAME(cpu_conv_lines_row_scratch)(&g->few) + POINTS * g->many.point;
}

/* Those that get a part, and with it scratch. */
static size_t workers(const gradient *g, const nn_call *call) { return cpu_least((size_t)call->threads, g->parts); }

static size_t workspace(const nn_call *call)
{
    const gradient g = gradient_of(call);
    return (g.parts * g.m + workers(&g, call) * thread_floats(&g)) * sizeof(float);
}

/* Adds to sums (at_once, few, LANES) the products of `rows` rows of a strip, (rows, STRIP, LANES), with those rows of
 * the few channels that lie 0 to at_once - 1 further. `few` and `at_once` are constants where this is inlined. */
PRODUCT_INLINE void add_rows(const size_t few, const size_t at_once, const float *many, const float *other, size_t row_step,
                             size_t rows, float *sums)
{
    vector sum[MOST_OFFSETS][FEW] = {{{0}}};
    for (size_t row = 0; row < rows; row++, other += row_step)
        for (size_t tile = 0; tile < STRIP; tile++, many += LANES) {
            vector value = product_load(many);
            PRODUCT_IN_REGISTER(value);
#pragma GCC unroll 7
            for (size_t o = 0; o < at_once; o++)
#pragma GCC unroll 4
                for (size_t f = 0; f < few; f++) sum[o][f] += other[o * row_step + tile * few + f] * value;
        }
#pragma GCC unroll 7
    for (size_t o = 0; o < at_once; o++)
#pragma GCC unroll 4
        for (size_t f = 0; f < few; f++) *(vector_in_memory *)(sums + (o * few + f) * LANES) += sum[o][f];
}

typedef void row_sums(const float *many, const float *other, size_t row_step, size_t rows, float *sums);
#define ROW_SUMS(few)                                                                                                 \
    static void row_sums_##few(const float *many, const float *other, size_t row_step, size_t rows, float *sums)      \
    {                                                                                                                 \
        add_rows(few, OFFSETS_##few, many, other, row_step, rows, sums);                                              \
    }
ROW_SUMS(1)
ROW_SUMS(2)
ROW_SUMS(3)
ROW_SUMS(4)
static row_sums *const all_row_sums[FEW] = {row_sums_1, row_sums_2, row_sums_3, row_sums_4};

static void add_strip(const gradient *g, size_t strip, size_t rows, const float *few_points, const float *many_points,
                      float *m)
{
    row_sums *add = all_row_sums[g->few.channels - 1];
    for (size_t point = 0; point < POINTS; point++)
        for (size_t c = 0; c < g->many.channels; c += LANES)
            for (size_t o = 0; o < g->offsets; o += g->at_once, m += g->at_once * g->few.channels * LANES)
                add(many_points + point * g->many.point + c * g->many.step,
                    few_points + o * g->few_row + point * g->few_point + strip * STRIP * g->few.channels, g->few_row,
                    rows, m);
}

/* Of dy, rows of a band of x begin as many before its own as there are offsets beside the first; of x, with its own. */
static void add_band(const gradient *g, size_t image, size_t begin, float *scratch, float *m)
{
    const size_t rows = cpu_least(BAND, g->rows - begin), first = g->many_is_x ? begin + 1 - g->offsets : begin;
    float *few_points = scratch, *line = few_points + g->few_rows * g->few_row;
    float *many_points = line + CPU_NAME(cpu_conv_lines_row_scratch)(&g->few);
    for (size_t i = 0; i < rows + g->offsets - 1; i++) /* rows before the first wrap around, and are nowhere */
        CPU_NAME(cpu_conv_lines_row)(&g->few, image, first + i, line, few_points + i * g->few_row);
    for (size_t strip = 0; strip < g->strips; strip++) {
        conv_lines_strip_columns column;
        CPU_NAME(cpu_conv_lines_columns)(&g->many, strip, column);
        for (size_t i = 0; i < rows; i++)
            CPU_NAME(cpu_conv_lines_strip)(&g->many, column, image, begin + i, many_points + i * STRIP * LANES);
        add_strip(g, strip, rows, few_points, many_points, m);
    }
}

/* G^T: ten points to seven taps. */
static inline void taps_of_pair(const vector *m, double p, double a, double b, double c, vector *dw)
{
    const double s = p * p, scale = LINES_SCALE(s, a, b, c);
    const vector even = (float)scale * (m[0] + m[1]), odd = (float)(scale * p) * (m[0] - m[1]);
    for (size_t v = 0; v < TAPS; v++) {
        const double power = (v < 2 ? 1 : v < 4 ? s : v < 6 ? s * s : s * s * s);
        dw[v] += (float)power * (v % 2 ? odd : even);
    }
}

static void taps_of(const vector *m, vector *dw)
{
    for (size_t v = 0; v < TAPS; v++) dw[v] = (vector){0};
    dw[0] += (float)LINES_SCALE_0 * m[0];
    taps_of_pair(m + 1, LINES_P0, LINES_S1, LINES_S2, LINES_S3, dw);
    taps_of_pair(m + 3, LINES_P1, LINES_S0, LINES_S2, LINES_S3, dw);
    taps_of_pair(m + 5, LINES_P2, LINES_S0, LINES_S1, LINES_S3, dw);
    taps_of_pair(m + 7, LINES_P3, LINES_S0, LINES_S1, LINES_S2, dw);
    dw[TAPS - 1] += m[9];
}

/* Sums number `number` of a point, those of one offset and channel, to LANES rows of taps. */
static void finish(const gradient *g, const float *m, size_t number, float *dw)
{
    const size_t f = number % g->few.channels, offset = number / g->few.channels % g->offsets;
    const size_t c = number / g->few.channels / g->offsets * LANES, u = g->many_is_x ? g->offsets - 1 - offset : offset;
    if (u >= g->kh) return;
    vector sum[POINTS] = {{0}}, taps[TAPS];
    for (size_t part = 0; part < g->parts; part++)
        for (size_t point = 0; point < POINTS; point++)
            sum[point] += product_load(m + part * g->m + (point * (g->m / POINTS / LANES) + number) * LANES);
    taps_of(sum, taps);
    for (size_t lane = 0; lane < LANES; lane++) {
        const size_t pair = g->many_is_x ? f * g->many.channels + c + lane : (c + lane) * g->few.channels + f;
        for (size_t v = 0; v < TAPS; v++) dw[(pair * g->kh + u) * TAPS + v] = taps[v][lane];
    }
}

static void run(const nn_call *call)
{
    const gradient g = gradient_of(call);
    const size_t each = g.bands / g.n;
    float *m = call->workspace, *scratch = m + g.parts * g.m;
#pragma omp parallel num_threads((int)workers(&g, call))
    {
        float *own = scratch + (size_t)omp_get_thread_num() * thread_floats(&g);
#pragma omp for schedule(dynamic)
        for (size_t part = 0; part < g.parts; part++) {
            memset(m + part * g.m, 0, g.m * sizeof *m);
            for (size_t band = g.bands * part / g.parts; band < g.bands * (part + 1) / g.parts; band++)
                add_band(&g, band / each, band % each * BAND, own, m + part * g.m);
        }
#pragma omp for
        for (size_t number = 0; number < g.m / POINTS / LANES; number++) finish(&g, m, number, call->output[0]);
    }
}

const nn_kernel CPU_NAME(cpu_conv_lines_weight) = {.run = run, .workspace = workspace};
