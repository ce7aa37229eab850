/* Gram matrices of features and their gradient: two matrix products in tiles.
 *
 * The innermost loops keep a block of ROWS x COLUMNS sums in registers; the vector type is GCC's, because whether
 * plain loops end up in registers differs from one compiler version to the next.
 */
#include <string.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/kernels.h"
#include "nn/cpu/kernels/sizes.h"

#if defined(__AVX512F__)
enum { LANES = 16 };
#elif defined(__AVX2__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif
typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
/* The same, in memory that is not aligned for it. */
typedef float vector_in_memory __attribute__((vector_size(LANES * sizeof(float)), aligned(sizeof(float)), may_alias));

enum {
    ROWS = 4,
    COLUMNS = 2 * LANES,
    TILE = 64,     /* channels by channels of the Gram matrix that a task computes */
    PIXELS = 128,  /* summed in float before they are added to the tile's doubles */
    PART = 2048,   /* pixels of a task, */
    MAX_PARTS = 64 /* unless the image would have more tasks than this for each tile */
};

typedef struct gram_plan {
    size_t images, pixels, channels;
    size_t tiles, pairs, parts, part; /* pairs of tiles on and above the diagonal; part: pixels of each part */
} gram_plan;

static gram_plan plan_of(nn_shape x)
{
    gram_plan plan = {.images = x.dim[NN_N], .pixels = x.dim[NN_H] * x.dim[NN_W], .channels = x.dim[NN_C]};
    plan.tiles = cpu_divide_up(plan.channels, TILE);
    plan.pairs = plan.tiles * (plan.tiles + 1) / 2;
    plan.part = cpu_divide_up(plan.pixels, cpu_least(cpu_divide_up(plan.pixels, PART), MAX_PARTS));
    plan.parts = cpu_divide_up(plan.pixels, plan.part);
    return plan;
}

/* One tile of doubles for each task; tasks are numbered (image, pair, part). */
static size_t gram_workspace(const nn_call *call)
{
    const gram_plan plan = plan_of(call->input_shape[0]);
    return plan.images * plan.pairs * plan.parts * TILE * TILE * sizeof(double);
}

/* Channels [0, width) of `pixels` pixels as strips (strip, pixel, COLUMNS), zero beyond the width. */
static void pack(const float *x, size_t channels, size_t width, size_t pixels, float *packed)
{
    size_t column = 0;
    for (; column + COLUMNS <= width; column += COLUMNS)
        for (size_t p = 0; p < pixels; p++, packed += COLUMNS)
            memcpy(packed, x + p * channels + column, COLUMNS * sizeof *packed);
    for (size_t p = 0; column < width && p < pixels; p++, packed += COLUMNS)
        for (size_t k = 0; k < COLUMNS; k++) packed[k] = column + k < width ? x[p * channels + column + k] : 0;
}

/* sums[r][k] = sum over i of a[r][i * step] * b[i * COLUMNS + k]. */
static inline void multiply_block(const float *const a[ROWS], size_t step, const float *b, size_t count,
                                  float sums[ROWS][COLUMNS])
{
    vector low[ROWS] = {{0}}, high[ROWS] = {{0}};
    for (size_t i = 0; i < count; i++) {
        vector left = *(const vector_in_memory *)(b + i * COLUMNS);
        vector right = *(const vector_in_memory *)(b + i * COLUMNS + LANES);
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; r++) {
            low[r] += a[r][i * step] * left;
            high[r] += a[r][i * step] * right;
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; r++) {
        *(vector_in_memory *)sums[r] = low[r];
        *(vector_in_memory *)(sums[r] + LANES) = high[r];
    }
}

/* Adds the products of the packed channels a (rows of the tile) and b (columns) to the tile. */
static void add_to_tile(const float *a, size_t rows, const float *b, size_t columns, size_t pixels, double *tile)
{
    float sums[ROWS][COLUMNS];
    for (size_t row = 0; row < rows; row += ROWS) {
        const float *from = a + row / COLUMNS * COLUMNS * pixels + row % COLUMNS;
        const float *const each[ROWS] = {from, from + 1, from + 2, from + 3};
        for (size_t column = 0; column < columns; column += COLUMNS) {
            multiply_block(each, COLUMNS, b + column * pixels, pixels, sums);
            for (size_t r = 0; r < ROWS; r++) {
                double *to = tile + (row + r) * TILE + column;
#pragma omp simd
                for (size_t k = 0; k < COLUMNS; k++) to[k] += (double)sums[r][k];
            }
        }
    }
}

/* The pair's tile of the sum over pixels [begin, end) of an image. */
static void gram_tile(const gram_plan *plan, const float *x, size_t row_tile, size_t column_tile, size_t begin,
                      size_t end, double *tile)
{
    float packed_rows[TILE * PIXELS], packed_columns[TILE * PIXELS];
    size_t c = plan->channels, row = row_tile * TILE, column = column_tile * TILE;
    size_t rows = cpu_least(c - row, TILE), columns = cpu_least(c - column, TILE);
    memset(tile, 0, TILE * TILE * sizeof *tile);
    for (size_t p = begin; p < end; p += PIXELS) {
        size_t pixels = cpu_least(end - p, PIXELS);
        const float *b = packed_rows;
        pack(x + p * c + row, c, rows, pixels, packed_rows);
        if (row != column) {
            pack(x + p * c + column, c, columns, pixels, packed_columns);
            b = packed_columns;
        }
        add_to_tile(packed_rows, rows, b, columns, pixels, tile);
    }
}

/* The pair's place among the tiles, row by row of the upper triangle. */
static void tiles_of_pair(size_t pair, size_t tiles, size_t *row, size_t *column)
{
    *row = 0;
    while (pair >= tiles - *row) pair -= tiles - (*row)++;
    *column = *row + pair;
}

/* Adds the parts of a pair of tiles in order and writes them to both triangles of the image's matrix. */
static void finish_pair(const gram_plan *plan, double *parts, size_t row_tile, size_t column_tile, float scale,
                        float *gram)
{
    size_t c = plan->channels, row = row_tile * TILE, column = column_tile * TILE;
    for (size_t part = 1; part < plan->parts; part++)
#pragma omp simd
        for (size_t k = 0; k < TILE * TILE; k++) parts[k] += parts[part * TILE * TILE + k];
    for (size_t i = 0; i < TILE && row + i < c; i++)
        for (size_t j = row == column ? i : 0; j < TILE && column + j < c; j++) {
            float value = (float)((double)scale * parts[i * TILE + j]);
            gram[(row + i) * c + column + j] = value;
            gram[(column + j) * c + row + i] = value;
        }
}

static void run_gram(const nn_call *call)
{
    const gram_plan plan = plan_of(call->input_shape[0]);
    size_t c = plan.channels, tasks = plan.images * plan.pairs;
    double *tiles = call->workspace;
#pragma omp parallel for num_threads(call->threads)
    for (size_t task = 0; task < tasks * plan.parts; task++) {
        size_t row, column, begin = task % plan.parts * plan.part;
        tiles_of_pair(task / plan.parts % plan.pairs, plan.tiles, &row, &column);
        gram_tile(&plan, call->input[0] + task / plan.parts / plan.pairs * plan.pixels * c, row, column, begin,
                  cpu_least(begin + plan.part, plan.pixels), tiles + task * TILE * TILE);
    }
#pragma omp parallel for num_threads(call->threads)
    for (size_t task = 0; task < tasks; task++) {
        size_t row, column;
        tiles_of_pair(task % plan.pairs, plan.tiles, &row, &column);
        finish_pair(&plan, tiles + task * plan.parts * TILE * TILE, row, column, call->attr.scale,
                    call->output[0] + task / plan.pairs * c * c);
    }
}

/* Gradient: dx = x S with S = scale * (dg + dg^T), kept as strips (image, strip, channel, COLUMNS). */
static size_t gram_grad_workspace(const nn_call *call)
{
    nn_shape x = call->input_shape[0];
    return x.dim[NN_N] * cpu_divide_up(x.dim[NN_C], COLUMNS) * COLUMNS * x.dim[NN_C] * sizeof(float);
}

static void pack_symmetric(const float *dg, size_t c, size_t column, float scale, float *strip)
{
    for (size_t i = 0; i < c; i++)
        for (size_t k = 0; k < COLUMNS; k++) {
            size_t j = column + k;
            strip[i * COLUMNS + k] = j < c ? scale * (dg[i * c + j] + dg[j * c + i]) : 0;
        }
}

/* Rows [0, count) of dx, COLUMNS of them from `column`. */
static void gradient_strip(const float *x, const float *strip, size_t c, size_t column, size_t count, float *dx)
{
    float sums[ROWS][COLUMNS];
    size_t width = cpu_least(c - column, COLUMNS);
    for (size_t p = 0; p < count; p += ROWS) {
        const float *rows[ROWS]; /* past the end: the last one again, its sums are dropped */
        for (size_t r = 0; r < ROWS; r++) rows[r] = x + cpu_least(p + r, count - 1) * c;
        multiply_block(rows, 1, strip, c, sums);
        for (size_t r = 0; r < ROWS && p + r < count; r++)
            memcpy(dx + (p + r) * c + column, sums[r], width * sizeof *dx);
    }
}

static void run_gram_grad(const nn_call *call)
{
    nn_shape s = call->input_shape[0];
    size_t c = s.dim[NN_C], images = s.dim[NN_N], pixels = s.dim[NN_H] * s.dim[NN_W];
    size_t strips = cpu_divide_up(c, COLUMNS), blocks = cpu_divide_up(pixels, PIXELS);
    float *packed = call->workspace;
#pragma omp parallel for num_threads(call->threads)
    for (size_t i = 0; i < images * strips; i++)
        pack_symmetric(call->input[1] + i / strips * c * c, c, i % strips * COLUMNS, call->attr.scale,
                       packed + i * c * COLUMNS);
#pragma omp parallel for num_threads(call->threads)
    for (size_t i = 0; i < images * blocks; i++) {
        size_t n = i / blocks, first = i % blocks * PIXELS, at = (n * pixels + first) * c;
        for (size_t strip = 0; strip < strips; strip++)
            gradient_strip(call->input[0] + at, packed + (n * strips + strip) * c * COLUMNS, c, strip * COLUMNS,
                           cpu_least(PIXELS, pixels - first), call->output[0] + at);
    }
}

const nn_kernel CPU_NAME(cpu_gram) = {.run = run_gram, .workspace = gram_workspace};
const nn_kernel CPU_NAME(cpu_gram_grad) = {.run = run_gram_grad, .workspace = gram_grad_workspace};
