/* The points of rows with few channels, along whose vectors tiles and channels run together: see conv_lines.h. */
#include <string.h>

#include "nn/cpu/kernels/border.h"
#include "nn/cpu/kernels/conv_lines.h"
#include "nn/cpu/kernels/sizes.h"

enum {
    LANES = PRODUCT_LANES,
    TILE = LINES_TILE,
    POINTS = LINES_POINTS,
    OVERLAP = (POINTS - 1) / TILE /* tiles: pixel i of a tile is pixel i % TILE of the one that is i / TILE further */
};

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;

size_t CPU_NAME(cpu_conv_lines_row_point)(const conv_lines_rows *r) { return cpu_round_up(r->tiles * r->channels, LANES); }

/* A row of pixels with what is beside it, (tiles + OVERLAP, TILE, channels), and the same as (TILE, tiles + OVERLAP,
 * channels), of each TILE a whole vector more, which is read. */
static size_t line_floats(const conv_lines_rows *r) { return (r->tiles + OVERLAP) * TILE * r->channels; }
static size_t dealt_floats(const conv_lines_rows *r) { return (r->tiles + OVERLAP) * r->channels + LANES; }

size_t CPU_NAME(cpu_conv_lines_row_scratch)(const conv_lines_rows *r)
{
    return cpu_round_up(line_floats(r) + TILE * dealt_floats(r), LANES);
}

static void pad_row(const conv_lines_rows *r, const float *from, float *line)
{
    const size_t c = r->channels, all = line_floats(r) / c, behind = r->before + r->w;
    memcpy(line + r->before * c, from, r->w * c * sizeof *from);
    for (size_t place = r->before ? 0 : behind; place < all; place = place + 1 == r->before ? behind : place + 1) {
        const size_t at = cpu_place_of(place, r->before, r->w, r->border);
        for (size_t k = 0; k < c; k++) line[place * c + k] = at == CPU_NOWHERE ? 0 : from[at * c + k];
    }
}

/* `channels` is a constant where this is inlined. */
PRODUCT_INLINE void deal_pixels(const conv_lines_rows *r, const size_t channels, const float *line, float *dealt)
{
    const size_t step = dealt_floats(r);
    for (size_t t = 0; t < r->tiles + OVERLAP; t++)
        for (size_t i = 0; i < TILE; i++)
            for (size_t c = 0; c < channels; c++)
                dealt[i * step + t * channels + c] = line[(t * TILE + i) * channels + c];
}

static void deal_row(const conv_lines_rows *r, const float *line, float *dealt)
{
    switch (r->channels) {
    case 1: deal_pixels(r, 1, line, dealt); break;
    case 2: deal_pixels(r, 2, line, dealt); break;
    case 3: deal_pixels(r, 3, line, dealt); break;
    default: deal_pixels(r, 4, line, dealt); break;
    }
    for (size_t i = 0; i < TILE; i++) /* behind the last tile */
        memset(dealt + (i + 1) * dealt_floats(r) - LANES, 0, LANES * sizeof *dealt);
}

void CPU_NAME(cpu_conv_lines_row)(const conv_lines_rows *r, size_t image, size_t row, float *scratch, float *v)
{
    const size_t from = cpu_place_of(row, r->before, r->h, r->border), point = CPU_NAME(cpu_conv_lines_row_point)(r);
    if (from == CPU_NOWHERE) {
        memset(v, 0, POINTS * point * sizeof *v);
        return;
    }
    float *dealt = scratch + line_floats(r);
    pad_row(r, r->pixels + (image * r->h + from) * r->w * r->channels, scratch);
    deal_row(r, scratch, dealt);
    for (size_t j = 0; j < point; j += LANES) {
        vector d[POINTS], t[POINTS];
#pragma GCC unroll 10
        for (size_t i = 0; i < POINTS; i++)
            d[i] = *(const vector_in_memory *)(dealt + i % TILE * dealt_floats(r) + i / TILE * r->channels + j);
        if (r->results)
            conv_lines_from_dy(d, t);
        else
            conv_lines_from_x(d, t);
#pragma GCC unroll 10
        for (size_t i = 0; i < POINTS; i++) *(vector_in_memory *)(v + i * point + j) = t[i];
    }
}
