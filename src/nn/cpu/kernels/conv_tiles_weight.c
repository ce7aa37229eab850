/* Weight gradients of convolutions in bf16 by products of tiles (tiles.h):
 *
 *     dw[o][i][ky][kx] = sum over images, rows r, columns c of x[r * stride + ky][c * stride + kx][i] * dy[r][c][o]
 *
 * A product's 32 terms are pixels that follow each other. The left operand is dy transposed: a row for each of 16
 * channels out. The right one has a line for each pair of pixels, 16 channels in of both side by side. x is packed
 * into such lines once for each row modulo the stride and each column modulo twice the stride, so that a tap's tiles
 * are those of its plane, some whole lines further on:
 *
 *     plane [ky % stride][kx % (2 stride)], row r + ky / stride, line c / 2 + kx / (2 stride)
 *
 * Zeros follow the last column of dy, so what x has there does not count, if it is finite. A row either takes whole
 * tiles, or the rows of dy follow each other at the distance that those of x have, and all are one run: whichever takes
 * fewer tiles.
 *
 * The work goes by chunks of rows. All threads share a chunk's dy; each packs for itself the 32 channels of x that it
 * multiplies with it, which stay in its core's cache. For 16 of these and 32 of dy, up to three taps at a time have
 * their sums in tiles for the whole chunk, while the next 32 of dy are on their way from the far cache. */
#include <omp.h>

#include "nn/cpu/kernels/border.h"
#include "nn/cpu/kernels/conv_tiles.h"
#include "nn/cpu/kernels/sizes.h"

enum {
    BLOCK = TILES_COLUMNS,             /* channels of a tile */
    PAIRS = TILES_TERMS / 2,           /* of pixels in a tile's row: lines of a tile of x */
    LINE = 2 * BLOCK,                  /* numbers of a line */
    TILE = TILES_ROWS * TILES_TERMS,   /* numbers of a tile of operands */
    SUMS = TILES_ROWS * TILES_COLUMNS, /* floats of a tile of sums */
    GROUP = 2,                         /* blocks of dy that are multiplied at once */
    TASK_BLOCKS = 2,                   /* blocks of x of a task: in bf16 they share lines of the caches */
    TAPS = 3,                          /* whose sums are in tiles at once, at most */
    AHEAD = 4,                         /* pixels of x are asked for so many lines before their turn */
    NEAR_BYTES = 9 << 17,              /* of a task's x and two groups of dy in a chunk: 1.1 MB */
    MOST_BYTES = 4 << 20               /* of a chunk's dy */
};

typedef struct plan {
    size_t images, h, w, ic, oh, ow, oc, kernel, stride, padding;
    nn_pad_mode border;
    bool x_bf16, dy_bf16;
    size_t phases, copies;        /* planes of a block of x: by rows, by columns */
    size_t behind;                /* rows of a plane more than dy's */
    size_t x_pitch, dy_pitch;     /* pairs of pixels from a row to the next */
    bool flat;                    /* the rows are one run */
    size_t rows, chunks;          /* of dy in a chunk, at most; chunks of an image */
    size_t x_plane, x_block;      /* numbers from a plane, a block to the next */
    size_t dy_block;              /* ... of dy */
    size_t x_blocks, groups;      /* of BLOCK channels; of GROUP such blocks of dy */
    size_t x_tasks, parts;        /* TASK_BLOCKS blocks of x each; parts of the groups, a task each */
    size_t sums;                  /* floats that a block of x and a group have */
    size_t kept;                  /* such sums: all, or one for each thread */
    size_t threads;
} plan;

/* Tiles of dy in `rows` rows. */
static size_t tiles_of(const plan *p, size_t rows) { return cpu_divide_up(rows * p->dy_pitch, PAIRS); }

/* Rows of whole tiles, or rows at the distance of x's lines. */
static void choose_pitch(plan *p)
{
    size_t whole = cpu_round_up(cpu_divide_up(p->ow, 2), PAIRS), shift = (p->kernel - 1) / (2 * p->stride);
    p->x_pitch = cpu_divide_up(p->ow, 2) + shift;
    p->dy_pitch = p->x_pitch;
    p->flat = tiles_of(p, p->oh) < p->oh * (whole / PAIRS);
    if (p->flat) return;
    p->x_pitch = whole + shift;
    p->dy_pitch = whole;
}

static void choose_rows(plan *p)
{
    size_t x_row = TASK_BLOCKS * p->phases * p->copies * p->x_pitch * TILES_BYTES;
    size_t group_row = GROUP * BLOCK * p->dy_pitch * 2 * sizeof(uint16_t);
    size_t rows = cpu_least(NEAR_BYTES / (x_row + 2 * group_row), MOST_BYTES / (p->groups * group_row));
    p->chunks = cpu_divide_up(p->oh, rows > 0 ? rows : 1);
    p->rows = cpu_divide_up(p->oh, p->chunks);
    p->chunks = cpu_divide_up(p->oh, p->rows);
}

/* Where few tasks would leave threads idle, several pack the same blocks of x, for groups of their own. */
static void choose_tasks(plan *p)
{
    p->x_tasks = cpu_divide_up(p->x_blocks, TASK_BLOCKS);
    p->parts = 1;
    while (p->parts < p->groups && p->x_tasks * p->parts < 4 * p->threads && p->x_tasks * p->parts % p->threads != 0)
        p->parts++;
}

static plan plan_of(const nn_call *call)
{
    nn_shape x = call->input_shape[0], dy = call->input_shape[1];
    plan p = {.images = x.dim[NN_N], .h = x.dim[NN_H], .w = x.dim[NN_W], .ic = x.dim[NN_C], .oh = dy.dim[NN_H],
              .ow = dy.dim[NN_W], .oc = dy.dim[NN_C], .kernel = call->output_shape[0].dim[NN_KH],
              .stride = call->attr.stride, .padding = call->attr.padding, .border = call->attr.mode,
              .x_bf16 = call->input_layout[0] == NN_LAYOUT_BF16, .dy_bf16 = call->input_layout[1] == NN_LAYOUT_BF16,
              .threads = (size_t)call->threads};
    p.phases = cpu_least(p.kernel, p.stride);
    p.copies = cpu_least(p.kernel, 2 * p.stride);
    p.behind = (p.kernel - 1) / p.stride;
    p.x_blocks = cpu_divide_up(p.ic, BLOCK);
    p.groups = cpu_divide_up(p.oc, GROUP * BLOCK);
    choose_pitch(&p);
    choose_rows(&p);
    choose_tasks(&p);
    /* The last tile of a tap may reach over its plane's end. Blocks that are an odd number of lines apart lie in
     * different sets of a cache. */
    p.x_plane = ((p.rows + p.behind) * p.x_pitch + PAIRS + p.kernel) * LINE;
    p.x_block = (p.phases * p.copies * p.x_plane / LINE | 1) * LINE;
    p.dy_block = tiles_of(&p, p.rows) * TILE + LINE;
    p.sums = p.kernel * p.kernel * GROUP * SUMS;
    p.kept = p.images * p.chunks > 1 ? p.x_blocks * p.groups : p.threads;
    return p;
}

/* Of packed x, for a thread, and of packed dy; whole cache lines. */
static size_t x_numbers(const plan *p) { return TASK_BLOCKS * p->x_block; }
static size_t dy_numbers(const plan *p) { return p->groups * GROUP * p->dy_block; }

static size_t workspace(const nn_call *call)
{
    plan p = plan_of(call);
    return (p.threads * x_numbers(&p) + dy_numbers(&p)) * sizeof(uint16_t) + p.kept * p.sums * sizeof(float);
}

/* The numbers of a tensor's pixel, in fp32 or bf16; NULL: zeros. */
typedef const unsigned char *pixel;

static pixel pixel_of(const float *tensor, bool bf16, size_t offset)
{
    return (pixel)tensor + offset * (bf16 ? sizeof(uint16_t) : sizeof(float));
}

/* A line of `count` channels, zeros behind them: even[0], odd[0], even[1], odd[1], ... */
#if defined(__AVX512BF16__)
PRODUCT_INLINE void pack_line(pixel even, pixel odd, size_t count, bool bf16, uint16_t *to)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __mmask16 some = (__mmask16)((1U << count) - 1), left = even ? some : 0, right = odd ? some : 0;
    __m512i both;
    if (bf16)
        both = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi16(left, even)),
                                  _mm256_maskz_loadu_epi16(right, odd), 1);
    else
        both = (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(right, odd), _mm512_maskz_loadu_ps(left, even));
    _mm512_store_si512(to, _mm512_permutexvar_epi16(order, both));
}
#else
static void pack_line(pixel even, pixel odd, size_t count, bool bf16, uint16_t *to)
{
    memset(to, 0, TILES_BYTES);
    for (size_t side = 0; side < 2; side++) {
        const void *from = side ? odd : even;
        for (size_t i = 0; from && i < count; i++)
            to[2 * i + side] = bf16 ? ((const uint16_t *)from)[i] : cpu_to_bf16(((const float *)from)[i]);
    }
}
#endif

typedef struct chunk {
    size_t image, first, rows; /* of dy, from row `first` on */
} chunk;

/* `count` channels from `channel` on. */
typedef struct part_of_x {
    const float *x;
    chunk c;
    size_t channel, count;
} part_of_x;

/* The pixel in column `place` of a padded row. */
static pixel x_pixel(const plan *p, const part_of_x *f, size_t row, size_t place)
{
    size_t column = cpu_place_of(place, p->padding, p->w, p->border);
    if (row == CPU_NOWHERE || column == CPU_NOWHERE) return NULL;
    return pixel_of(f->x, p->x_bf16, ((f->c.image * p->h + row) * p->w + column) * p->ic + f->channel);
}

/* Line `line` of each copy of a row of the picture, whose pixels may lie beside it. */
static void pack_border(const plan *p, const part_of_x *f, size_t row, size_t line, uint16_t *to)
{
    size_t bytes = BLOCK * (p->x_bf16 ? sizeof(uint16_t) : sizeof(float));
    for (size_t copy = 0; copy < p->copies; copy++, to += p->x_plane) {
        size_t place = copy + 2 * line * p->stride;
        pixel even = x_pixel(p, f, row, place), odd = x_pixel(p, f, row, place + p->stride);
        for (size_t block = 0; block * BLOCK < f->count; block++)
            pack_line(even ? even + block * bytes : NULL, odd ? odd + block * bytes : NULL,
                      cpu_least(BLOCK, f->count - block * BLOCK), p->x_bf16, to + block * p->x_block);
    }
}

/* `lines` lines of each copy, whose pixels are all there: copy 0 begins with `from`. */
PRODUCT_INLINE void pack_lines(const plan *p, bool bf16, pixel from, size_t lines, size_t count, uint16_t *to)
{
    size_t size = bf16 ? sizeof(uint16_t) : sizeof(float), column = p->ic * size, apart = p->stride * column;
    for (size_t j = 0; j < lines; j++, from += 2 * apart, to += LINE) {
        for (size_t i = 0; i < 2 * p->stride; i++)
            for (size_t byte = 0; byte < count * size; byte += 64)
                __builtin_prefetch(from + AHEAD * 2 * apart + i * column + byte);
        for (size_t copy = 0; copy < p->copies; copy++)
            for (size_t block = 0; block * BLOCK < count; block++) {
                pixel even = from + copy * column + block * BLOCK * size;
                pack_line(even, even + apart, cpu_least(BLOCK, count - block * BLOCK), bf16,
                          to + copy * p->x_plane + block * p->x_block);
            }
    }
}

/* All copies of a row of the picture. */
static void pack_x_row(const plan *p, const part_of_x *f, size_t row, uint16_t *to)
{
    size_t step = 2 * p->stride, begin = cpu_divide_up(p->padding, step), end = 0; /* lines that lie in the picture */
    size_t reach = p->copies - 1 + p->stride;                                      /* the last column of line 0 */
    if (p->padding + p->w > reach) end = cpu_least((p->padding + p->w - 1 - reach) / step + 1, p->x_pitch);
    if (row == CPU_NOWHERE || end < begin) begin = end = p->x_pitch;
    for (size_t line = 0; line < begin; line++) pack_border(p, f, row, line, to + line * LINE);
    if (begin < end) {
        pixel from = x_pixel(p, f, row, begin * step);
        if (p->x_bf16)
            pack_lines(p, true, from, end - begin, f->count, to + begin * LINE);
        else
            pack_lines(p, false, from, end - begin, f->count, to + begin * LINE);
    }
    for (size_t line = end; line < p->x_pitch; line++) pack_border(p, f, row, line, to + line * LINE);
}

/* Zeros follow the last row of each plane, as far as tiles may read. */
static void pack_x(const plan *p, const part_of_x *f, uint16_t *to)
{
    size_t rows = f->c.rows + p->behind;
    for (size_t place = 0; place < rows * p->stride; place++) {
        size_t phase = place % p->stride;
        size_t row = cpu_place_of(f->c.first * p->stride + place, p->padding, p->h, p->border);
        if (phase < p->phases)
            pack_x_row(p, f, row, to + phase * p->copies * p->x_plane + place / p->stride * p->x_pitch * LINE);
    }
    to += rows * p->x_pitch * LINE;
    for (size_t block = 0; block * BLOCK < f->count; block++)
        for (size_t plane = 0; plane < p->phases * p->copies; plane++)
            memset(to + block * p->x_block + plane * p->x_plane, 0, (PAIRS + p->kernel) * TILES_BYTES);
}

/* 16x16 numbers of 32 bits: pairs of bf16, or floats. */
typedef struct square {
    uint32_t at[16][16];
} __attribute__((aligned(64))) square;

#if defined(__AVX512F__)
static void store_some(const uint32_t *from, size_t count, float *to)
{
    _mm512_mask_storeu_epi32(to, (__mmask16)((1U << count) - 1), _mm512_load_si512(from));
}

/* to[i][j] = from[j][i] */
PRODUCT_INLINE void transpose(const uint32_t *const from[16], square *to)
{
    __m512i a[16], b[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        __m512i even = _mm512_loadu_si512(from[i]), odd = _mm512_loadu_si512(from[i + 1]);
        b[i] = _mm512_unpacklo_epi32(even, odd);
        b[i + 1] = _mm512_unpackhi_epi32(even, odd);
    }
    /* a[i + k]: in each quarter q, column 4 q + k of the rows i to i + 3 */
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) {
        __m512i low = _mm512_shuffle_i32x4(a[k], a[k + 4], 0x88);
        __m512i high = _mm512_shuffle_i32x4(a[k + 8], a[k + 12], 0x88);
        _mm512_store_si512(to->at[k], _mm512_shuffle_i32x4(low, high, 0x88));
        _mm512_store_si512(to->at[k + 8], _mm512_shuffle_i32x4(low, high, 0xDD));
        low = _mm512_shuffle_i32x4(a[k], a[k + 4], 0xDD);
        high = _mm512_shuffle_i32x4(a[k + 8], a[k + 12], 0xDD);
        _mm512_store_si512(to->at[k + 4], _mm512_shuffle_i32x4(low, high, 0x88));
        _mm512_store_si512(to->at[k + 12], _mm512_shuffle_i32x4(low, high, 0xDD));
    }
}
#else
static void store_some(const uint32_t *from, size_t count, float *to) { memcpy(to, from, count * sizeof *to); }

static void transpose(const uint32_t *const from[16], square *to)
{
    for (size_t i = 0; i < 16; i++)
        for (size_t j = 0; j < 16; j++) to->at[i][j] = from[j][i];
}
#endif

/* Pixel `number` of a chunk whose rows take dy_pitch pairs each. */
static pixel dy_pixel(const plan *p, const float *dy, const chunk *c, size_t number)
{
    size_t row = number / (2 * p->dy_pitch), column = number % (2 * p->dy_pitch);
    if (row >= c->rows || column >= p->ow) return NULL;
    return pixel_of(dy, p->dy_bf16, ((c->image * p->oh + c->first + row) * p->ow + column) * p->oc);
}

/* A tile of every block of channels; the next is asked for meanwhile. */
static void pack_dy_tile(const plan *p, const float *dy, const chunk *c, size_t tile, uint16_t *to)
{
    pixel from[TILES_TERMS];
    uint32_t lines[PAIRS][BLOCK] __attribute__((aligned(TILES_BYTES)));
    const uint32_t *line[PAIRS];
    size_t size = p->dy_bf16 ? sizeof(uint16_t) : sizeof(float), next = TILES_TERMS * p->oc * size;
    for (size_t i = 0; i < PAIRS; i++) line[i] = lines[i];
    for (size_t i = 0; i < TILES_TERMS; i++) from[i] = dy_pixel(p, dy, c, tile * TILES_TERMS + i);
    for (size_t block = 0; block < p->groups * GROUP; block++) {
        size_t count = cpu_least(BLOCK, p->oc - cpu_least(p->oc, block * BLOCK)), bytes = block * BLOCK * size;
        for (size_t j = 0; j < PAIRS; j++) {
            pixel side[2] = {from[2 * j], from[2 * j + 1]};
            for (size_t i = 0; i < 2; i++)
                if (side[i]) __builtin_prefetch((side[i] += bytes) + next, 0, 2);
            pack_line(side[0], side[1], count, p->dy_bf16, (uint16_t *)(void *)lines[j]);
        }
        transpose(line, (square *)(void *)(to + block * p->dy_block + tile * TILE));
    }
}

/* The i-th of the numbers below `count`, when those equal modulo `step` follow each other. */
static size_t ordered(size_t i, size_t count, size_t step)
{
    for (size_t first = 0;; first++) {
        size_t alike = cpu_divide_up(count - first, step);
        if (i < alike) return first + i * step;
        i -= alike;
    }
}

/* Taps in the order of their sums: those of one plane, whose rows are the same at other times, follow each other. */
static size_t tap_row(const plan *p, size_t tap) { return ordered(tap % p->kernel, p->kernel, p->stride); }
static size_t tap_column(const plan *p, size_t tap) { return ordered(tap / p->kernel, p->kernel, 2 * p->stride); }

/* Where a tap's first tile begins in its block of x. */
static size_t tap_offset(const plan *p, size_t tap)
{
    size_t ky = tap_row(p, tap), kx = tap_column(p, tap), plane = ky % p->stride * p->copies + kx % (2 * p->stride);
    return plane * p->x_plane + (ky / p->stride * p->x_pitch + kx / (2 * p->stride)) * LINE;
}

typedef struct operands {
    const uint16_t *x[TAPS], *dy[GROUP];
    size_t runs, tiles;   /* of a run */
    size_t x_skip;        /* numbers between runs of x */
    bool add;             /* to what the sums are */
    const uint16_t *next; /* what is asked for meanwhile, */
    size_t lines;         /* ... so many lines a tile */
} operands;

#define ZERO(s, t, sums) TILES_ZERO(s, t)
#define LOAD(s, t, sums) TILES_LOAD(s, t, (sums) + (t) * SUMS, TILES_BYTES)
#define STORE(s, t, sums) TILES_STORE(s, t, (sums) + (t) * SUMS, TILES_BYTES)
#define EACH_SUM(what, taps, s, sums)                                                                                \
    do {                                                                                                             \
        what(s, 0, sums);                                                                                            \
        what(s, 1, sums);                                                                                            \
        if ((taps) > 1) what(s, 2, sums);                                                                            \
        if ((taps) > 1) what(s, 3, sums);                                                                            \
        if ((taps) > 2) what(s, 4, sums);                                                                            \
        if ((taps) > 2) what(s, 5, sums);                                                                            \
    } while (0)

PRODUCT_INLINE void multiply_tile(const int taps, tiles_unit *s, const operands *o)
{
    (void)s; /* the processor has its tiles itself */
    TILES_LOAD(s, 7, o->x[0], TILES_BYTES);
    TILES_LOAD(s, 6, o->dy[0], TILES_BYTES);
    TILES_MULTIPLY(s, 0, 6, 7);
    TILES_LOAD(s, 6, o->dy[1], TILES_BYTES);
    TILES_MULTIPLY(s, 1, 6, 7);
    if (taps > 1) {
        TILES_LOAD(s, 7, o->x[1], TILES_BYTES);
        TILES_MULTIPLY(s, 3, 6, 7);
        TILES_LOAD(s, 6, o->dy[0], TILES_BYTES);
        TILES_MULTIPLY(s, 2, 6, 7);
    }
    if (taps > 2) {
        TILES_LOAD(s, 7, o->x[2], TILES_BYTES);
        TILES_MULTIPLY(s, 4, 6, 7);
        TILES_LOAD(s, 6, o->dy[1], TILES_BYTES);
        TILES_MULTIPLY(s, 5, 6, 7);
    }
}

/* sums[tap][block] of `taps` taps of x with two blocks of dy. */
PRODUCT_INLINE void multiply(const int taps, tiles_unit *s, operands o, float *sums)
{
    if (o.add)
        EACH_SUM(LOAD, taps, s, sums);
    else
        EACH_SUM(ZERO, taps, s, sums);
    for (size_t run = 0; run < o.runs; run++) {
        for (size_t tile = 0; tile < o.tiles; tile++) {
            multiply_tile(taps, s, &o);
            for (int i = 0; i < taps; i++) o.x[i] += TILE;
            for (int i = 0; i < GROUP; i++) o.dy[i] += TILE;
            for (size_t i = 0; i < o.lines; i++, o.next += LINE) __builtin_prefetch(o.next, 0, 2);
        }
        for (int i = 0; i < taps; i++) o.x[i] += o.x_skip;
    }
    EACH_SUM(STORE, taps, s, sums);
}

/* All taps of a block of x and a group of dy, in `rows` rows. The group behind it is asked for in `calls`
 * calls, of which this is number `call`. */
static void add_products(const plan *p, tiles_unit *s, const uint16_t *x, const uint16_t *dy, size_t rows, size_t call,
                         size_t calls, bool add, float *sums)
{
    size_t taps = p->kernel * p->kernel, parts = cpu_divide_up(taps, TAPS), all = tiles_of(p, rows);
    operands o = {.runs = p->flat ? 1 : rows, .x_skip = p->flat ? 0 : (p->x_pitch - p->dy_pitch) * LINE, .add = add,
                  .lines = cpu_divide_up(GROUP * TILES_ROWS, calls * parts)};
    o.tiles = all / o.runs;
    for (size_t part = 0; part < parts; part++) {
        size_t begin = taps * part / parts, count = taps * (part + 1) / parts - begin;
        for (size_t i = 0; i < count; i++) o.x[i] = x + tap_offset(p, begin + i);
        for (size_t i = 0; i < GROUP; i++) o.dy[i] = dy + i * p->dy_block;
        o.next = dy + GROUP * p->dy_block + (call * parts + part) * o.lines * all * LINE;
        float *to = sums + begin * GROUP * SUMS;
        if (count == 3)
            multiply(3, s, o, to);
        else if (count == 2)
            multiply(2, s, o, to);
        else
            multiply(1, s, o, to);
    }
}

/* The sums of a block and a group to dw (oc, ic, k, k), 16 taps of a channel out and 16 in at a time. */
static void write_weights(const plan *p, const float *sums, size_t block, size_t group, float *dw)
{
    size_t taps = p->kernel * p->kernel, ins = cpu_least(BLOCK, p->ic - block * BLOCK);
    size_t begin = group * GROUP * BLOCK, outs = cpu_least(GROUP * BLOCK, p->oc - begin);
    for (size_t first = 0; first < taps; first += 16) {
        size_t count = cpu_least(16, taps - first);
        const uint32_t *from[16];
        for (size_t i = count; i < 16; i++) from[i] = (const uint32_t *)(const void *)sums; /* any */
        for (size_t tap = 0; tap < taps; tap++) {
            size_t place = tap_row(p, tap) * p->kernel + tap_column(p, tap);
            if (place >= first && place - first < count)
                from[place - first] = (const uint32_t *)(const void *)(sums + tap * GROUP * SUMS);
        }
        for (size_t o = 0; o < outs; o++) {
            square columns;
            float *to = dw + ((begin + o) * p->ic + block * BLOCK) * taps + first;
            transpose(from, &columns);
            for (size_t i = 0; i < 16; i++) from[i] += BLOCK;
            for (size_t i = 0; i < ins; i++) store_some(columns.at[i], count, to + i * taps);
        }
    }
}

/* A task's blocks of x with its groups of dy. */
static void run_task(const plan *p, const nn_call *call, tiles_unit *s, const chunk *c, size_t task, uint16_t *x,
                     const uint16_t *dy, float *kept)
{
    size_t block = task / p->parts * TASK_BLOCKS, blocks = cpu_least(TASK_BLOCKS, p->x_blocks - block);
    size_t part = task % p->parts, end = p->groups * (part + 1) / p->parts;
    bool first = c->image == 0 && c->first == 0, last = c->image + 1 == p->images && c->first + c->rows == p->oh;
    part_of_x from = {.x = call->input[0], .c = *c, .channel = block * BLOCK,
                      .count = cpu_least(TASK_BLOCKS * BLOCK, p->ic - block * BLOCK)};
    pack_x(p, &from, x);
    for (size_t group = p->groups * part / p->parts; group < end; group++)
        for (size_t i = 0; i < blocks; i++) {
            size_t place = first && last ? (size_t)omp_get_thread_num() : (block + i) * p->groups + group;
            float *sums = kept + place * p->sums;
            add_products(p, s, x + i * p->x_block, dy + group * GROUP * p->dy_block, c->rows, i, blocks, !first,
                         sums);
            if (last) write_weights(p, sums, block + i, group, call->output[0]);
        }
}

/* Inputs x: (n, h, w, ic), dy: (n, oh, ow, oc). Output dw: (oc, ic, k, k). */
static void run(const nn_call *call)
{
    plan p = plan_of(call);
    uint16_t *dy = call->workspace, *x = dy + dy_numbers(&p);
    float *kept = (float *)(void *)(x + p.threads * x_numbers(&p));
#pragma omp parallel num_threads(call->threads)
    {
        tiles_unit s;
        TILES_BEGIN(&s);
        for (size_t i = 0; i < p.images * p.chunks; i++) {
            chunk c = {.image = i / p.chunks, .first = i % p.chunks * p.rows};
            c.rows = cpu_least(p.rows, p.oh - c.first);
#pragma omp for
            for (size_t tile = 0; tile < tiles_of(&p, c.rows); tile++) pack_dy_tile(&p, call->input[1], &c, tile, dy);
#pragma omp for schedule(dynamic)
            for (size_t task = 0; task < p.x_tasks * p.parts; task++)
                run_task(&p, call, &s, &c, task, x + (size_t)omp_get_thread_num() * x_numbers(&p), dy, kept);
        }
        TILES_END(&s);
    }
}

const nn_kernel CPU_NAME(cpu_conv2d_weight_grad_tiles) = {.run = run, .workspace = workspace};
