/* Every operation, forward and gradient, on the CUDA backend beside the CPU's: on fresh random inputs, at the sizes of
 * the gradient cases and at larger odd ones; launched, recorded and replayed, with the same bits. */
#include "cuda/check.h"

#include "nn/gradient_cases.h"

/* Of one case: y, then the gradient of every input, one after the other. */
typedef struct results {
    float *data;
    size_t count, part[MOST_INPUTS + 2]; /* part: where each begins, and the end */
} results;

typedef struct built {
    nn_graph *graph;
    nn_value x[MOST_INPUTS + 1], dx[MOST_INPUTS], y; /* x ends with r */
} built;

static bool is_convolution(const gradient_case *c)
{
    return strncmp(c->name, "conv", 4) == 0 || strncmp(c->name, "transposed", 10) == 0 || strncmp(c->name, "one w", 5) == 0;
}

static size_t grown(size_t size, size_t growth) { return size == 1 || growth == 1 ? size : growth * size + 2; }

/* Channels grow alike in all inputs, so that they still fit; images and the taps of weights stay. */
static gradient_case grow(const gradient_case *c, size_t growth)
{
    gradient_case larger = *c;
    for (size_t i = 0; i < c->inputs; i++) {
        size_t *dim = larger.shape[i].dim;
        bool weight = i == 1 && is_convolution(c);
        for (int d = weight ? 0 : 1; d < (weight ? 2 : 4); d++) dim[d] = grown(dim[d], growth);
    }
    return larger;
}

/* The loss is mean |y r + 10^4|, whose gradient with respect to y is r / count whatever y is. */
static built build(const gradient_case *c)
{
    built b = {.graph = nn_graph_create()};
    for (size_t i = 0; i < c->inputs; i++) b.x[i] = nn_input(b.graph, "x", c->shape[i]);
    b.y = c->build(b.graph, b.x);
    b.x[c->inputs] = nn_input(b.graph, "r", nn_shape_at(b.graph, b.y));
    nn_value loss = nn_mean_abs(b.graph, nn_multiply(b.graph, b.y, b.x[c->inputs]), NN_NONE, -1e4f);
    nn_grad(b.graph, loss, b.x, c->inputs, b.dx);
    nn_output(b.graph, b.y);
    for (size_t i = 0; i < c->inputs; i++) nn_output(b.graph, b.dx[i]);
    return b;
}

static results results_of(const gradient_case *c, const built *b)
{
    results r = {0};
    r.part[1] = nn_count(nn_shape_at(b->graph, b->y));
    for (size_t i = 0; i < c->inputs; i++) r.part[i + 2] = r.part[i + 1] + nn_count(c->shape[i]);
    r.count = r.part[c->inputs + 1];
    r.data = malloc((r.count + 1) * sizeof *r.data);
    return r;
}

/* draw: which random inputs. */
static void run(const gradient_case *c, const built *b, nn_program *p, uint32_t draw, results *r)
{
    for (size_t i = 0; i <= c->inputs; i++) {
        size_t count = nn_count(i < c->inputs ? c->shape[i] : nn_shape_at(b->graph, b->x[i]));
        float *host = malloc((count + 1) * sizeof *host);
        check_noise(host, count, draw * 16 + (uint32_t)i, c->distance);
        nn_program_write(p, b->x[i], host);
        free(host);
    }
    nn_program_run(p);
    nn_program_read(p, b->y, r->data);
    for (size_t i = 0; i < c->inputs; i++) nn_program_read(p, b->dx[i], r->data + r->part[i + 1]);
}

/* Of the first draw. On a device that records programs two runs more, of another draw, which is recorded, and of the first
 * again, which is a replay: it must repeat the first bit for bit. */
static status run_on(test *t, nn_backend *backend, nn_precision precision, const gradient_case *c, results *out,
                     error *err)
{
    const nn_program_options options = {.precision = precision};
    built b = build(c);
    nn_program *p = NULL;
    nn_arena arena = {0};
    *out = results_of(c, &b);
    status result = nn_graph_status(b.graph, err);
    if (result == STATUS_OK) result = nn_program_create(b.graph, backend, &options, &p, err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, backend, &p, 1, err);
    if (result == STATUS_OK) run(c, &b, p, 0, out);
    if (result == STATUS_OK && backend->interface->record && !check_setting("CHECK_LITTLE", 0)) {
        results again = results_of(c, &b);
        run(c, &b, p, 1, &again);
        run(c, &b, p, 0, &again);
        if (memcmp(again.data, out->data, out->count * sizeof *out->data) != 0)
            test_failed(t, __FILE__, __LINE__, "%s on %s: other bits the third time", c->name, backend->interface->name);
        free(again.data);
    }
    if (result == STATUS_OK) result = nn_backend_check(backend, err);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_graph_destroy(b.graph);
    return result;
}

static void compare(test *t, const gradient_case *c, const char *precision, double bound, const results *actual,
                    const results *expected)
{
    for (size_t i = 0; i <= c->inputs; i++) {
        size_t begin = expected->part[i], count = expected->part[i + 1] - begin;
        double relative = test_relative(actual->data + begin, expected->data + begin, count);
        if (!(relative <= bound))
            test_failed(t, __FILE__, __LINE__, "%s (%zu wide) in %s: %s %zu is off by %g, bound %g", c->name,
                        c->shape[0].dim[NN_W], precision, i == 0 ? "the result" : "the gradient of input",
                        i == 0 ? 0 : i - 1, relative, bound);
    }
}

/* The backends that a test compares. */
typedef struct sides {
    nn_backend *cpu, *device[CHECK_PRECISIONS]; /* NULL: not in this precision */
} sides;

static void close_sides(sides *s)
{
    for (int i = 0; i < CHECK_PRECISIONS; i++) nn_backend_destroy(s->device[i]);
    nn_backend_destroy(s->cpu);
}

enum { FP32, TF32, BF16 }; /* of check_precisions */

/* `first`: of check_precisions; those behind it too, but for tools TF32, which launches what fp32 does. False, and told: a
 * backend is missing. */
static bool open_sides(test *t, int first, sides *out)
{
    error err = {0};
    *out = (sides){0};
    status result = check_create_cpu(&out->cpu, &err);
    for (int i = first; i < CHECK_PRECISIONS && result == STATUS_OK; i++) {
        if (i == TF32 && check_setting("CHECK_LITTLE", 0)) continue;
        result = check_create_device(&check_precisions[i], &out->device[i], &err);
    }
    if (result == STATUS_OK) return true;
    test_failed(t, __FILE__, __LINE__, "%s", err.message);
    close_sides(out);
    return false;
}

static void check_case(test *t, const sides *s, const gradient_case *c)
{
    error err = {0};
    results expected = {0};
    bool products = is_convolution(c) || strncmp(c->name, "gram", 4) == 0;
    status result = run_on(t, s->cpu, NN_FP32, c, &expected, &err);
    for (int i = FP32; i < CHECK_PRECISIONS && result == STATUS_OK; i++) {
        const check_precision *p = &check_precisions[i];
        results actual = {0};
        if (!s->device[i]) continue;
        result = run_on(t, s->device[i], p->precision, c, &actual, &err);
        if (result == STATUS_OK)
            compare(t, c, p->name, products ? p->bound : check_precisions[0].bound, &actual, &expected);
        free(actual.data);
    }
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s: %s", c->name, err.message);
    free(expected.data);
}

/* For tools that take long in bf16 alone. */
static void operations(test *t)
{
    sides s;
    size_t growth = check_setting("CHECK_GROWTH", 2);
    if (!open_sides(t, check_setting("CHECK_LITTLE", 0) ? BF16 : FP32, &s)) return;
    for (size_t i = 0; i < GRADIENT_CASES; i++)
        for (int large = 0; large < (growth > 1 ? 2 : 1); large++) {
            gradient_case c = grow(&gradient_cases[i], large ? growth : 1);
            check_case(t, &s, &c);
        }
    close_sides(&s);
}

static nn_value conv_valid(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 1, 0); }
static nn_value conv_full(nn_graph *g, const nn_value *x) { return nn_bias(g, nn_conv2d(g, x[0], x[1], 1, 2), x[2]); }
static nn_value transposed3(nn_graph *g, const nn_value *x) { return nn_conv2d_transpose(g, x[0], x[1], 1, 1, 0); }

static nn_value conv_plain(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 1, 1); }

static nn_value conv_reflected(nn_graph *g, const nn_value *x)
{
    return nn_bias(g, nn_conv2d(g, nn_pad(g, x[0], NN_PAD_REFLECT, 1), x[1], 1, 0), x[2]);
}

static nn_value conv_reflected3(nn_graph *g, const nn_value *x)
{
    return nn_bias(g, nn_conv2d(g, nn_pad(g, x[0], NN_PAD_REFLECT, 3), x[1], 1, 0), x[2]);
}

static nn_value conv_strided_valid(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 2, 0); }
static nn_value conv_strided_bias(nn_graph *g, const nn_value *x) { return nn_bias(g, nn_conv2d(g, x[0], x[1], 2, 1), x[2]); }

static nn_value conv_strided_far(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 2, 3); }

static nn_value transposed_bias3(nn_graph *g, const nn_value *x)
{
    return nn_bias(g, nn_conv2d_transpose(g, x[0], x[1], 2, 1, 1), x[2]);
}

/* Channels enough for Winograd in fp32 and TF32, and odd sizes. */
#define S(a, b, c, d) {{a, b, c, d}}
static const gradient_case wide_cases[] = {
    {"conv2d wide", 3, {S(2, 9, 11, 20), S(24, 20, 3, 3), S(1, 1, 1, 24)}, conv_bias, 0, 0},
    {"conv2d 7x7, reflected", 3, {S(2, 9, 11, 10), S(12, 10, 7, 7), S(1, 1, 1, 12)}, conv_reflected3, 0, 0},
    {"conv2d 7x7, reflected, to few", 3, {S(2, 4, 13, 20), S(3, 20, 7, 7), S(1, 1, 1, 3)}, conv_reflected3, 0, 0},
    {"conv2d on tensor cores", 3, {S(2, 9, 19, 40), S(72, 40, 3, 3), S(1, 1, 1, 72)}, conv_bias, 0, 0},
    {"conv2d thin, from 3", 3, {S(2, 19, 11, 3), S(72, 3, 7, 7), S(1, 1, 1, 72)}, conv_reflected3, 0, 0},
    {"conv2d thin, to 3", 3, {S(2, 13, 9, 40), S(3, 40, 7, 7), S(1, 1, 1, 3)}, conv_reflected3, 0, 0},
    {"conv2d on tensor cores, 4x4", 2, {S(1, 10, 5, 33), S(35, 33, 4, 4)}, conv_plain, 0, 0},
    {"conv2d 7x7, reflected twice", 3, {S(1, 3, 9, 4), S(4, 4, 7, 7), S(1, 1, 1, 4)}, conv_reflected3, 0, 0},
    {"conv2d wide, full", 3, {S(3, 7, 7, 32), S(16, 32, 3, 3), S(1, 1, 1, 16)}, conv_full, 0, 0},
    {"conv2d on tensor cores, many pixels", 2, {S(2, 33, 31, 32), S(100, 32, 2, 2)}, conv_valid, 0, 0},
    {"conv2d thin, 4x4 to 1", 2, {S(1, 9, 7, 65), S(1, 65, 4, 4)}, conv_plain, 0, 0},
    {"transposed on tensor cores, odd", 2, {S(1, 17, 5, 40), S(40, 136, 3, 3)}, transposed4, 0, 0},
    {"conv2d on tensor cores, strided, 4x4", 2, {S(3, 21, 36, 33), S(136, 33, 4, 4)}, conv_strided, 0, 0},
    {"conv2d on tensor cores, strided, padded far", 2, {S(1, 5, 8, 32), S(33, 32, 3, 2)}, conv_strided_far, 0, 0},
    {"conv2d wide, reflected", 3, {S(2, 9, 11, 20), S(24, 20, 3, 3), S(1, 1, 1, 24)}, conv_reflected, 0, 0},
    {"conv2d 7x7, reflected, from few", 3, {S(2, 8, 5, 3), S(16, 3, 7, 7), S(1, 1, 1, 16)}, conv_reflected3, 0, 0},
    {"conv2d on tensor cores, reflected", 3, {S(1, 7, 17, 136), S(33, 136, 3, 3), S(1, 1, 1, 33)}, conv_reflected, 0, 0},
    {"transposed wide", 2, {S(1, 12, 9, 24), S(24, 20, 3, 3)}, transposed3, 0, 0},
    {"conv2d narrow, of two chunks", 2, {S(1, 6, 9, 72), S(2, 72, 4, 4)}, conv_plain, 0, 0},
    {"conv2d narrow, back to 3", 2, {S(1, 14, 28, 3), S(68, 3, 7, 7)}, conv_plain, 0, 0},
    {"conv2d on tensor cores, 160 of 192", 3, {S(1, 30, 14, 40), S(160, 40, 3, 3), S(1, 1, 1, 160)}, conv_bias, 0, 0},
    {"transposed on tensor cores", 3, {S(2, 9, 11, 72), S(72, 40, 3, 3), S(1, 1, 1, 40)}, transposed_bias3, 0, 0},
    {"conv2d thin, 3x3", 3, {S(1, 9, 18, 5), S(33, 5, 3, 3), S(1, 1, 1, 33)}, conv_bias, 0, 0},
    {"conv2d wide, valid", 2, {S(1, 13, 10, 17), S(19, 17, 3, 3)}, conv_valid, 0, 0},
    {"conv2d wide, reflected, to few", 3, {S(1, 8, 2, 150), S(16, 150, 3, 3), S(1, 1, 1, 16)}, conv_reflected, 0, 0},
    {"conv2d wide, reflected, from few", 3, {S(1, 3, 21, 16), S(130, 16, 3, 3), S(1, 1, 1, 130)}, conv_reflected, 0, 0},
    {"conv2d thin, reflected", 3, {S(1, 5, 2, 3), S(4, 3, 3, 3), S(1, 1, 1, 4)}, conv_reflected, 0, 0},
    {"conv2d on tensor cores, valid", 2, {S(1, 11, 18, 64), S(64, 64, 3, 3)}, conv_valid, 0, 0},
    {"conv2d narrow, of many tiles", 3, {S(2, 14, 61, 17), S(3, 17, 7, 7), S(1, 1, 1, 3)}, conv_reflected3, 0, 0},
    {"conv2d narrow, of long strips", 3, {S(5, 33, 10, 17), S(3, 17, 7, 7), S(1, 1, 1, 3)}, conv_reflected3, 0, 0},
    {"conv2d on tensor cores, 83 wide to 200", 2, {S(1, 5, 83, 72), S(200, 72, 3, 3)}, conv_plain, 0, 0},
    {"transposed on tensor cores, 4x4", 2, {S(3, 5, 19, 136), S(136, 33, 4, 4)}, transposed4, 0, 0},
    {"conv2d on tensor cores, strided", 2, {S(1, 35, 18, 40), S(72, 40, 3, 3)}, conv_strided, 0, 0},
    {"conv2d on tensor cores, strided, valid", 2, {S(2, 12, 9, 72), S(40, 72, 3, 3)}, conv_strided_valid, 0, 0},
    {"conv2d on tensor cores, strided, 2x2", 2, {S(1, 7, 38, 40), S(64, 40, 2, 2)}, conv_strided, 0, 0},
    {"conv2d on tensor cores, strided, one pixel", 2, {S(1, 1, 1, 32), S(32, 32, 4, 4)}, conv_strided_far, 0, 0},
    {"conv2d on tensor cores, strided, 5x7", 2, {S(1, 10, 11, 32), S(32, 32, 5, 7)}, conv_strided_far, 0, 0},
    {"conv2d on tensor cores, strided, 5x6", 2, {S(1, 19, 35, 130), S(72, 130, 5, 6)}, conv_strided_far, 0, 0},
    {"conv2d on tensor cores, strided, long sums", 2, {S(1, 9, 8, 200), S(40, 200, 4, 4)}, conv_strided, 0, 0},
};

/* The first of them launch every kernel that they all do, on a device of eight multiprocessors. */
enum { LITTLE_CASES = 14 };
enum { WIDE_CASES = sizeof wide_cases / sizeof *wide_cases };

/* From precision number `first` on. */
static void check_cases(test *t, int first, const gradient_case *cases, size_t count)
{
    sides s;
    if (!open_sides(t, first, &s)) return;
    for (size_t k = 0; k < count; k++) check_case(t, &s, &cases[k]);
    close_sides(&s);
}

static void wide_convolutions(test *t)
{
    check_cases(t, FP32, wide_cases, check_setting("CHECK_LITTLE", 0) ? LITTLE_CASES : WIDE_CASES);
}

/* A picture of more tiles and rows than a chunk has, which the emulated device has in fp32 alone: TF32 goes the same ways,
 * and in bf16 it is a single chunk. */
static void many_tiles(test *t)
{
    static const gradient_case c = {"conv2d of many tiles", 2, {S(1, 291, 289, 16), S(16, 16, 3, 3)}, conv, 0, 0};
    sides s;
    if (!open_sides(t, FP32, &s)) return;
    for (int i = TF32; i <= (check_is_emulated(s.device[FP32]) ? BF16 : TF32); i++) {
        nn_backend_destroy(s.device[i]);
        s.device[i] = NULL;
    }
    check_case(t, &s, &c);
    close_sides(&s);
}

/* Ampere's tensor cores multiply by warps. The other cases go other ways on both. */
static void wide_convolutions_on_ampere(test *t)
{
    setenv("CHECK_MAJOR", "8", 1);
    for (size_t i = 0; i < WIDE_CASES; i++)
        if (strncmp(wide_cases[i].name, "conv2d on tensor cores", 22) == 0)
            check_cases(t, BF16, &wide_cases[i], 1);
    unsetenv("CHECK_MAJOR");
}

/* As many tiles as the device has processors, 8 or up to 148; before Hopper blocks are of 128 channels then. */
static void wide_convolutions_that_fill_a_device(test *t)
{
    gradient_case c = {"conv2d that fills a device", 2, {S(2, 17, 9, 72), S(72, 72, 3, 3)}, conv, 0, 0};
    sides s;
    if (!open_sides(t, BF16, &s)) return;
    if (!check_is_emulated(s.device[BF16])) c.shape[0] = nn_shape_of(1, 137, 139, 72);
    check_case(t, &s, &c);
    close_sides(&s);
}

/* Compute capability 8.6 and its like, where 128 channels of the result are too many for a block. */
static void wide_convolutions_in_little_memory(test *t)
{
    static const gradient_case c = {"conv2d of many tiles, 72 wide", 2, {S(2, 9, 17, 72), S(72, 72, 3, 3)}, conv, 0, 0};
    if (check_setting("CHECK_LITTLE", 0)) SKIP(t, "wide_convolutions has the like");
    setenv("CHECK_MAJOR", "8", 1);
    setenv("CHECK_MINOR", "6", 1);
    check_cases(t, BF16, &c, 1);
    unsetenv("CHECK_MINOR");
    unsetenv("CHECK_MAJOR");
}

/* A weight gradient's shares on more multiprocessors than one cluster has blocks: three clusters, of which the last has one
 * block with tiles and seven without. */
static void wide_convolutions_of_many_shares(test *t)
{
    static const gradient_case c = {"conv2d of many shares", 2, {S(2, 70, 40, 40), S(64, 40, 3, 3)}, conv_valid, 0, 0};
    setenv("CHECK_MULTIPROCESSORS", "24", 1);
    check_cases(t, BF16, &c, 1);
    unsetenv("CHECK_MULTIPROCESSORS");
}

/* Large blocks, of one or two tiles each. */
static void strided_convolutions_in_large_blocks(test *t)
{
    static const gradient_case cases[] = {
        {"conv2d, strided", 3, {S(2, 61, 15, 72), S(128, 72, 3, 3), S(1, 1, 1, 128)}, conv_strided_bias, 0, 0},
        {"conv2d, strided, valid", 2, {S(1, 65, 31, 33), S(99, 33, 3, 3)}, conv_strided_valid, 0, 0},
        {"conv2d, strided, 4x4", 2, {S(1, 63, 16, 64), S(193, 64, 4, 4)}, conv_strided, 0, 0},
        {"conv2d, strided, 5x6", 2, {S(2, 62, 14, 40), S(72, 40, 5, 6)}, conv_strided_far, 0, 0},
        /* for which these have no room */
        {"conv2d, strided, 2x12", 2, {S(1, 62, 26, 40), S(72, 40, 2, 12)}, conv_strided_valid, 0, 0},
        {"conv2d, strided, 2x13", 2, {S(1, 62, 27, 40), S(72, 40, 2, 13)}, conv_strided_valid, 0, 0},
    };
    setenv("CHECK_MULTIPROCESSORS", "1", 1);
    check_cases(t, BF16, cases, check_setting("CHECK_LITTLE", 0) ? 2 : sizeof cases / sizeof *cases);
    unsetenv("CHECK_MULTIPROCESSORS");
}

/* Blocks for more than the 132 multiprocessors of a real Hopper, where some kernels take larger tiles, or all phases. The
 * emulated one has eight, and small pictures will do. */
static void convolutions_of_many_blocks(test *t)
{
    static const gradient_case cases[] = {
        {"conv2d on tensor cores, wide tiles", 3, {S(2, 64, 56, 64), S(512, 64, 3, 3), S(1, 1, 1, 512)}, conv_reflected, 0, 0},
        {"conv2d on tensor cores, wide runs", 2, {S(1, 66, 66, 64), S(896, 64, 3, 3)}, conv_plain, 0, 0},
        {"transposed on tensor cores, all phases", 2, {S(2, 40, 24, 64), S(64, 256, 3, 3)}, transposed4, 0, 0},
        {"conv2d on tensor cores, strided, large blocks", 3, {S(3, 128, 136, 72), S(256, 72, 3, 3), S(1, 1, 1, 256)},
         conv_strided_bias, 0, 0},
        {"conv2d on tensor cores, strided, all phases", 2, {S(2, 80, 48, 256), S(64, 256, 4, 4)}, conv_strided, 0, 0},
    };
    sides s;
    if (check_setting("CHECK_LITTLE", 0)) SKIP(t, "fewer multiprocessors are filled by small ones");
    if (!open_sides(t, BF16, &s)) return;
    bool emulated = check_is_emulated(s.device[BF16]);
    for (size_t k = 0; !emulated && k < sizeof cases / sizeof *cases; k++) check_case(t, &s, &cases[k]);
    close_sides(&s);
    if (emulated) SKIP(t, "an emulated device is filled by small ones");
}

/* Of blocks whose threads hand registers on: one that the compiler gave too few would hang, and is never launched. */
static void kernels_of_too_few_registers_are_refused(test *t)
{
    static const gradient_case cases[] = {{"conv2d", 2, {S(2, 17, 9, 72), S(72, 72, 3, 3)}, conv, 0, 0},
                                          {"conv2d, strided", 2, {S(1, 65, 31, 33), S(99, 33, 3, 3)}, conv_strided_valid, 0, 0}};
    setenv("CHECK_MULTIPROCESSORS", "1", 1);
    bool emulated = true;
    for (size_t i = 0; i < sizeof cases / sizeof *cases && emulated; i++) {
        nn_backend *device;
        error err = {0};
        results r = {0};
        REQUIRE_OK(t, check_create_device(&check_precisions[BF16], &device, &err), err);
        emulated = check_is_emulated(device);
        setenv("EMULATED_REGISTERS", "160", 1);
        if (emulated) CHECK(t, run_on(t, device, NN_BF16, &cases[i], &r, &err) == STATUS_FAILED);
        unsetenv("EMULATED_REGISTERS");
        if (emulated) CHECK_CONTAINS(t, err.message, "was compiled to 160 registers a thread and would hang with fewer than 168");
        free(r.data);
        nn_backend_destroy(device);
    }
    unsetenv("CHECK_MULTIPROCESSORS");
    if (!emulated) SKIP(t, "a real device has the registers that its compiler gave");
}

/* What a convolution to so many channels leaves in a block from number `offset` on. */
static float *run_into_block(test *t, nn_backend *device, size_t stride, size_t to, size_t offset, size_t *count)
{
    error err = {0};
    nn_program *p = NULL;
    nn_arena arena = {0};
    nn_block block = {0};
    nn_graph *g = nn_graph_create();
    nn_value x = nn_input(g, "x", nn_shape_of(1, 9, 10, 32)), w = nn_input(g, "w", nn_shape_of(to, 32, 3, 3));
    nn_value y = nn_conv2d(g, x, w, stride, 1);
    *count = nn_count(nn_shape_at(g, y));
    float *out = calloc(*count, sizeof *out);
    status result = nn_block_allocate(&block, device, offset + *count, &err);
    nn_store(g, y, &block, offset);
    if (result == STATUS_OK) result = nn_program_create(g, device, &(nn_program_options){.precision = NN_BF16}, &p, &err);
    if (result == STATUS_OK) result = nn_arena_bind(&arena, device, &p, 1, &err);
    if (result == STATUS_OK) {
        check_write_noise(p, g, x, 0);
        check_write_noise(p, g, w, 1);
        nn_program_run(p);
        nn_block_read(&block, offset, out, *count);
        result = nn_backend_check(device, &err);
    }
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "to number %zu of a block: %s", offset, err.message);
    nn_program_destroy(p);
    nn_arena_free(&arena);
    nn_block_free(&block);
    nn_graph_destroy(g);
    return out;
}

/* Wherever it begins, also where several numbers are not stored at once: by groups of threads, of stride 1 and 2, to few
 * channels; and before Hopper. */
static void convolutions_to_any_place(test *t)
{
    static const struct {
        const char *major;
        size_t stride, to;
    } cases[] = {{"9", 1, 64}, {"9", 2, 64}, {"9", 1, 4}, {"8", 1, 64}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        error err = {0};
        nn_backend *device;
        size_t count;
        setenv("CHECK_MAJOR", cases[k].major, 1);
        status result = check_create_device(&check_precisions[BF16], &device, &err);
        unsetenv("CHECK_MAJOR");
        REQUIRE_OK(t, result, err);
        float *whole = run_into_block(t, device, cases[k].stride, cases[k].to, 0, &count);
        for (size_t offset = 1; offset < 4; offset++) {
            float *y = run_into_block(t, device, cases[k].stride, cases[k].to, offset, &count);
            if (!(test_relative(y, whole, count) <= check_precisions[BF16].bound))
                test_failed(t, __FILE__, __LINE__, "stride %zu, to %zu channels, from number %zu of a block on: other numbers",
                            cases[k].stride, cases[k].to, offset);
            free(y);
        }
        free(whole);
        nn_backend_destroy(device);
    }
}

static nn_value bias_alone(nn_graph *g, const nn_value *x) { return nn_bias(g, x[0], x[1]); }

/* More chunks, parts of rows and blocks than small pictures have, four channels at once and one by one: sums that a kernel
 * of their own merges, chunks that take more than one round, folds of strided taps to many channels and to few. */
static const gradient_case long_cases[] = {
    {"instance_norm of many chunks", 1, {S(1, 70, 67, 5)}, norm_leaky, 0.002, 0},
    {"instance_norm of many chunks, wide", 1, {S(2, 70, 67, 68)}, norm_relu, 0.002, 0},
    {"instance_norm of long chunks", 1, {S(1, 200, 180, 4)}, norm, 0.01, 0},
    {"bias of many chunks", 2, {S(1, 200, 180, 4), S(1, 1, 1, 4)}, bias_alone, 0.1, 0},
    {"bias of many channels", 2, {S(1, 3, 5, 1100), S(1, 1, 1, 1100)}, bias_alone, 0.1, 0},
    {"pad reflect, wide", 1, {S(2, 9, 301, 8)}, pad_reflect, 0.1, 0},
    {"transposed of stride 2, wide", 2, {S(2, 5, 41, 24), S(24, 20, 3, 3)}, transposed, 0.1, 0},
    {"conv2d of stride 2, from few", 2, {S(2, 8, 301, 3), S(16, 3, 4, 4)}, conv_strided, 0.1, 0},
    {"conv2d of stride 2, from one", 2, {S(1, 6, 517, 1), S(9, 1, 4, 4)}, conv_strided, 0.1, 0},
    {"conv2d 7x7, to few", 2, {S(1, 9, 301, 16), S(3, 16, 7, 7)}, conv_wide, 0.1, 0},
    {"conv2d 7x7 reflected, long, to few", 3, {S(1, 5, 301, 16), S(3, 16, 7, 7), S(1, 1, 1, 3)}, conv_reflected3, 0, 0},
};

static void long_pictures(test *t)
{
    check_cases(t, BF16, long_cases, sizeof long_cases / sizeof *long_cases);
}

/* Kernels of a convolution of a padded picture, forward and backward. */
static size_t length_of(test *t, nn_backend *backend, const gradient_case *c, bool no_fusion)
{
    error err = {0};
    nn_program *p = NULL;
    built b = build(c);
    if (nn_program_create(b.graph, backend, &(nn_program_options){.no_fusion = no_fusion}, &p, &err) != STATUS_OK)
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
    size_t length = p ? nn_program_length(p) : 0;
    nn_program_destroy(p);
    nn_graph_destroy(b.graph);
    return length;
}

/* The bias and the pad are gone; the pad's own gradient stays. Where a side is mirrored twice the pad stays too. */
static void reflections_are_no_copies(test *t)
{
    static const gradient_case once[] = {
        {"", 3, {S(1, 6, 6, 20), S(24, 20, 3, 3), S(1, 1, 1, 24)}, conv_reflected, 0, 0},
        {"", 3, {S(1, 4, 6, 3), S(24, 3, 7, 7), S(1, 1, 1, 24)}, conv_reflected3, 0, 0},
        {"", 3, {S(1, 6, 4, 24), S(3, 24, 7, 7), S(1, 1, 1, 3)}, conv_reflected3, 0, 0},
    }, twice = {"", 3, {S(1, 6, 3, 3), S(24, 3, 7, 7), S(1, 1, 1, 24)}, conv_reflected3, 0, 0};
    error err = {0};
    nn_backend *device;
    REQUIRE_OK(t, check_create_device(&check_precisions[0], &device, &err), err);
    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        CHECK(t, length_of(t, device, &once[i], false) + 2 == length_of(t, device, &once[i], true));
    CHECK(t, length_of(t, device, &twice, false) + 1 == length_of(t, device, &twice, true));
    nn_backend_destroy(device);
}

#undef S

TEST_MAIN(TEST(operations), TEST(wide_convolutions), TEST(many_tiles), TEST(wide_convolutions_on_ampere),
          TEST(wide_convolutions_that_fill_a_device), TEST(wide_convolutions_in_little_memory),
          TEST(wide_convolutions_of_many_shares), TEST(strided_convolutions_in_large_blocks),
          TEST(convolutions_of_many_blocks), TEST(kernels_of_too_few_registers_are_refused), TEST(convolutions_to_any_place),
          TEST(long_pictures), TEST(reflections_are_no_copies))
