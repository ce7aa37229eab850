/* The points of rows with many channels, along whose vectors channels run, a strip of tiles at a time: see conv_lines.h. */
#include <string.h>

#include "nn/cpu/kernels/border.h"
#include "nn/cpu/kernels/conv_lines.h"

enum { LANES = PRODUCT_LANES, TILE = LINES_TILE, POINTS = LINES_POINTS };

typedef product_vector vector;
typedef product_vector_in_memory vector_in_memory;

void CPU_NAME(cpu_conv_lines_columns)(const conv_lines_strips *s, size_t strip, conv_lines_strip_columns column)
{
    for (size_t i = 0; i < s->tiles * TILE + POINTS - TILE; i++) {
        const size_t place = cpu_place_of(strip * s->tiles * TILE + i, s->before, s->w, s->border);
        column[i] = place == CPU_NOWHERE ? place : place * s->channels;
    }
}

/* From `row` of the picture. `results` is a constant where this is inlined. */
PRODUCT_INLINE void transform(const conv_lines_strips *s, const bool results, const size_t *column, const float *row,
                              float *to)
{
    const size_t pixels = results ? TILE : POINTS;
    const vector zero = {0};
    for (size_t tile = 0; tile < s->tiles; tile++, column += TILE, to += LANES)
        for (size_t c = 0; c < s->channels; c += LANES) {
            vector d[POINTS], t[POINTS];
#pragma GCC unroll 4
            for (size_t i = 0; i < TILE; i++) /* of the next row; after the last one in vain */
                __builtin_prefetch(row + (column[i] == CPU_NOWHERE ? 0 : column[i]) + s->w * s->channels + c);
#pragma GCC unroll 10
            for (size_t i = 0; i < pixels; i++)
                d[i] = column[i] == CPU_NOWHERE ? zero : product_load(row + column[i] + c);
            if (results)
                conv_lines_from_dy(d, t);
            else
                conv_lines_from_x(d, t);
#pragma GCC unroll 10
            for (size_t i = 0; i < POINTS; i++) *(vector_in_memory *)(to + i * s->point + c * s->step) = t[i];
        }
}

void CPU_NAME(cpu_conv_lines_strip)(const conv_lines_strips *s, const conv_lines_strip_columns column, size_t image,
                                    size_t row, float *to)
{
    const size_t from = cpu_place_of(row, s->before, s->h, s->border);
    const float *pixels = s->pixels + (image * s->h + (from == CPU_NOWHERE ? 0 : from)) * s->w * s->channels;
    if (from == CPU_NOWHERE) {
        for (size_t point = 0; point < POINTS; point++)
            for (size_t c = 0; c < s->channels; c += LANES)
                memset(to + point * s->point + c * s->step, 0, s->tiles * LANES * sizeof *to);
    } else if (s->results) {
        transform(s, true, column, pixels, to);
    } else {
        transform(s, false, column, pixels, to);
    }
}
