/* The data gradient of a 3x3 convolution of a picture with one mirrored row and column on each side: see winograd.h.
 *
 * Pixel (r, c) of the padded picture's gradient is the sum over a, b < 3 of dy[r - 1 + a, c - 1 + b] times tap (a, b) of
 * the rotated kernel; those of the ring, r or c = -1 or the side's length, meet one row or column of dy and three taps.
 */
#include <string.h>

#include "nn/cpu/kernels/bf16.h"
#include "nn/cpu/kernels/winograd.h"

enum { WIDTH = PRODUCT_WIDTH, PAIR = PRODUCT_PAIR, BEFORE = 2, TAPS = 3 };

/* For each side: its taps of the rotated kernel. */
static const struct {
    size_t first, step;
} taps[WINOGRAD_SIDES] = {{6, 1}, {0, 1}, {2, 3}, {0, 3}};

static inline bool is_row(size_t side) { return side < 2; }
static inline bool is_far(size_t side) { return side % 2 == 1; }
static inline size_t length_of(const winograd_shape *s, size_t side) { return is_row(side) ? s->w : s->h; }

size_t CPU_NAME(cpu_winograd_ring_line)(const winograd_shape *s)
{
    size_t longest = s->h > s->w ? s->h : s->w;
    return longest + 2 * BEFORE + PRODUCT_ROWS;
}

size_t CPU_NAME(cpu_winograd_ring_row)(const winograd_shape *s) { return (s->ic + PAIR - 1) / PAIR * PAIR; }

/* The pixel of dy (n, h, w, ic) in place k of a side. */
static size_t pixel_of(const winograd_shape *s, size_t image, size_t side, size_t k)
{
    size_t across = is_far(side) ? (is_row(side) ? s->h : s->w) - 1 : 0;
    return is_row(side) ? (image * s->h + across) * s->w + k : (image * s->h + k) * s->w + across;
}

static void copy_pixel(const winograd_shape *s, const void *dy, size_t pixel, product_number *to)
{
#if defined(WINOGRAD_BF16)
    if (s->x_bf16)
        memcpy(to, (const product_number *)dy + pixel * s->ic, s->ic * sizeof *to);
    else
        cpu_narrow((const float *)dy + pixel * s->ic, s->ic, to);
#else
    memcpy(to, (const float *)dy + pixel * s->ic, s->ic * sizeof *to);
#endif
}

void CPU_NAME(cpu_winograd_pack_ring)(const winograd_shape *s, const void *dy, size_t image, size_t side,
                                      product_number *to)
{
    size_t row = CPU_NAME(cpu_winograd_ring_row)(s), line = CPU_NAME(cpu_winograd_ring_line)(s);
    to += (image * WINOGRAD_SIDES + side) * line * row;
    memset(to, 0, line * row * sizeof *to);
    for (size_t k = 0; k < length_of(s, side); k++)
        copy_pixel(s, dy, pixel_of(s, image, side, k), to + (BEFORE + k) * row);
}

/* sums (places, WIDTH): of place k, whose first tap meets place k - BEFORE of dy. */
static void multiply_side(const winograd_shape *s, const winograd_ring *r, size_t image, size_t side, size_t panel,
                          float *sums)
{
    size_t row = CPU_NAME(cpu_winograd_ring_row)(s), line = CPU_NAME(cpu_winograd_ring_line)(s);
    size_t panels = (s->oc + WIDTH - 1) / WIDTH, places = length_of(s, side) + BEFORE;
    product p = {.a = r->dy + (image * WINOGRAD_SIDES + side) * line * row, .a_outer = row, .row_step = row,
                 .k_step = PAIR, .b = r->w + (taps[side].first * panels + panel) * row * WIDTH,
                 .b_outer = taps[side].step * panels * row * WIDTH, .outer = TAPS, .count = row / PAIR, .c = sums,
                 .c_step = WIDTH};
    for (size_t k = 0, rows; k < places; k += rows, p.a += rows * row, p.c += rows * WIDTH) {
        rows = product_next_rows(places - k);
        product_rows(rows, p);
    }
}

/* What pixel i of a side of `length` mirrors, beside which i - 1 = -1 and `length` lie. */
static size_t mirrored(size_t i, size_t length) { return i == 0 ? 1 : i > length ? length - 2 : i - 1; }

void CPU_NAME(cpu_winograd_add_ring)(const winograd_shape *s, const winograd_ring *r, size_t image, size_t panel,
                                     float *sums, float *dx)
{
    size_t lanes = s->oc - panel * WIDTH < WIDTH ? s->oc - panel * WIDTH : WIDTH;
    for (size_t side = 0; side < WINOGRAD_SIDES; side++) {
        multiply_side(s, r, image, side, panel, sums);
        size_t length = length_of(s, side), other = is_row(side) ? s->oh : s->ow;
        size_t across = is_far(side) ? other - 2 : 1;
        /* The corners are the rows'. */
        for (size_t i = is_row(side) ? 0 : 1; i < length + (is_row(side) ? 2 : 1); i++) {
            size_t along = mirrored(i, length);
            size_t pixel = is_row(side) ? (image * s->oh + across) * s->ow + along
                                        : (image * s->oh + along) * s->ow + across;
            float *to = dx + pixel * s->oc + panel * WIDTH;
            const float *from = sums + i * WIDTH;
            for (size_t c = 0; c < lanes; c++) to[c] += from[c];
        }
    }
}
