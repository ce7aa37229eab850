/* Copies of a source and of weights for products of tiles: see conv_tiles.h. */
#include <string.h>

#include "nn/cpu/kernels/border.h"
#include "nn/cpu/kernels/conv_tiles.h"

enum { LANES = PRODUCT_LANES };

static void narrow(const float *from, size_t count, uint16_t *to)
{
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) tiles_narrow(*(const product_vector_in_memory *)(from + i), to + i);
    cpu_narrow(from + i, count - i, to + i);
}

/* `pixels` pixels from number `first` of the source. */
static void copy_pixels(const tiles_plan *p, const void *source, size_t first, size_t pixels, uint16_t *to)
{
    bool whole = p->channels == p->in; /* else pixel by pixel, with zeros between */
    size_t runs = whole ? 1 : pixels, count = whole ? pixels * p->in : p->in;
    for (size_t i = 0; i < runs; i++, to += p->channels) {
        size_t element = first * p->in + i * count;
        if (p->from_bf16)
            memcpy(to, (const uint16_t *)source + element, count * sizeof *to);
        else
            narrow((const float *)source + element, count, to);
        if (!whole) memset(to + p->in, 0, (p->channels - p->in) * sizeof *to);
    }
}

void CPU_NAME(cpu_tiles_pack_row)(const tiles_plan *p, const void *source, size_t row, uint16_t *copy)
{
    uint16_t *to = copy + row * p->padded_w * p->channels;
    size_t from = cpu_place_of(row % p->padded_h, p->before, p->h, p->border);
    if (from == CPU_NOWHERE) {
        memset(to, 0, p->padded_w * p->channels * sizeof *to);
        return;
    }
    size_t first = (row / p->padded_h * p->h + from) * p->w;
    copy_pixels(p, source, first, p->w, to + p->before * p->channels);
    for (size_t c = 0; c < p->padded_w; c++) {
        if (c == p->before) c += p->w;
        if (c >= p->padded_w) break;
        size_t column = cpu_place_of(c, p->before, p->w, p->border);
        if (column == CPU_NOWHERE)
            memset(to + c * p->channels, 0, p->channels * sizeof *to);
        else
            copy_pixels(p, source, first + column, 1, to + c * p->channels);
    }
}

/* The sum of a tap's kernel elements for TILES_COLUMNS channels out and one in, of which `count` exist. */
typedef struct tap_sum {
    const float *first; /* of the first channel out */
    size_t kernel, rows, columns, step; /* step: to the next channel out */
    size_t count;
} tap_sum;

#if defined(CPU_AMX)

static inline __m512 sum_of(const tap_sum *s, __m512i places, __mmask16 there)
{
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < s->rows; i++)
        for (size_t j = 0; j < s->columns; j++) {
            const float *from = s->first + i * s->kernel + j;
            sum = _mm512_add_ps(sum, _mm512_mask_i32gather_ps(_mm512_setzero_ps(), there, places, from, sizeof(float)));
        }
    return sum;
}

/* Two channels in, side by side; `second` may have a count of 0. */
static inline void pack_pair(const tap_sum *first, const tap_sum *second, uint16_t *to)
{
    const __m512i number = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512i places = _mm512_mullo_epi32(number, _mm512_set1_epi32((int)first->step));
    __m512 low = sum_of(first, places, (__mmask16)((1U << first->count) - 1));
    __m512 high = sum_of(second, places, (__mmask16)((1U << second->count) - 1));
    __m512i even = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(low));
    __m512i odd = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(high));
    _mm512_storeu_si512(to, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
}

#else

static float sum_of(const tap_sum *s, size_t number)
{
    float sum = 0;
    if (number >= s->count) return sum;
    for (size_t i = 0; i < s->rows; i++)
        for (size_t j = 0; j < s->columns; j++) sum += s->first[number * s->step + i * s->kernel + j];
    return sum;
}

static inline void pack_pair(const tap_sum *first, const tap_sum *second, uint16_t *to)
{
    for (size_t j = 0; j < TILES_COLUMNS; j++) {
        to[2 * j] = cpu_to_bf16(sum_of(first, j));
        to[2 * j + 1] = cpu_to_bf16(sum_of(second, j));
    }
}

#endif

/* The part of a tap's matrix that has the channels out from `out`. */
static void pack_half(const tiles_plan *p, const tiles_weight *w, tap_sum tap, size_t out, size_t group, uint16_t *to)
{
    size_t left = out < p->out ? p->out - out : 0;
    tap.step = w->out_step;
    for (size_t pair = 0; pair < TILES_TERMS / 2; pair++, to += 2 * TILES_COLUMNS) {
        tap_sum terms[2] = {tap, tap};
        for (size_t i = 0; i < 2; i++) {
            size_t in = group * TILES_TERMS + 2 * pair + i;
            terms[i].count = in >= p->in ? 0 : left < TILES_COLUMNS ? left : TILES_COLUMNS;
            if (terms[i].count) terms[i].first += out * w->out_step + in * w->in_step;
        }
        pack_pair(&terms[0], &terms[1], to);
    }
}

void CPU_NAME(cpu_tiles_pack_weight)(const tiles_plan *p, const tiles_phase *phase, const tiles_weight *w, size_t panel,
                                     size_t group, uint16_t *to)
{
    for (size_t i = 0; i < phase->rows.taps; i++)
        for (size_t j = 0; j < phase->columns.taps; j++) {
            tiles_tap row = phase->rows.tap[i], column = phase->columns.tap[j];
            tap_sum tap = {.first = w->w + row.first * w->kernel + column.first, .kernel = w->kernel, .rows = row.count,
                           .columns = column.count};
            for (size_t half = 0; half < 2; half++, to += TILES_STEP / 2)
                pack_half(p, w, tap, panel * TILES_PANEL + half * TILES_COLUMNS, group, to);
        }
}
