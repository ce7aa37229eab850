/* Kernels that move values against plain loops in double. */
#include "kernel_test.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The source of element i of a padded side, found by walking there from the edge; -1 for none. */
static int walk(int i, int size, nn_pad_mode mode)
{
    if (mode == NN_PAD_ZERO) return i >= 0 && i < size ? i : -1;
    if (mode == NN_PAD_EDGE) return i < 0 ? 0 : i < size ? i : size - 1;
    int at = 0, direction = 1, steps = i < 0 ? -i : i; /* reflection about element 0: i and -i have one source */
    for (int step = 0; step < steps && size > 1; step++) {
        if (at + direction < 0 || at + direction >= size) direction = -direction;
        at += direction;
    }
    return at;
}

typedef struct pad_case {
    nn_shape shape;
    size_t top, bottom, left, right;
} pad_case;

static const pad_case pads[] = {
    {{{1, 5, 7, 3}}, 3, 3, 3, 3},  {{{2, 3, 4, 1}}, 0, 7, 11, 2}, {{{2, 1, 3, 8}}, 3, 2, 0, 5}, {{{1, 4, 1, 5}}, 1, 0, 2, 2},
    {{{2, 3, 3, 17}}, 0, 0, 0, 0}, {{{3, 2, 2, 64}}, 9, 8, 7, 6}, {{{1, 33, 41, 3}}, 1, 2, 3, 4}};

/* op: NN_PAD or NN_PAD_GRAD. adds: the latter adds another gradient. */
static void check_pad(test *t, nn_op op, const pad_case *p, nn_pad_mode mode, bool adds)
{
    nn_shape s = p->shape, padded = s;
    padded.dim[NN_H] += p->top + p->bottom;
    padded.dim[NN_W] += p->left + p->right;
    nn_attributes attr = {.mode = mode, .top = p->top, .bottom = p->bottom, .left = p->left, .right = p->right};
    kernel_test k;
    nn_shape inputs[] = {op == NN_PAD ? s : padded, s};
    kernel_test_open(&k, op, attr, adds ? 2 : 1, inputs, 1, op == NN_PAD ? &padded : &s);
    kernel_test_fill(&k, 0, -1, 1);
    if (adds) kernel_test_fill(&k, 1, -1, 1);
    for (size_t i = 0; adds && i < nn_count(s); i++) k.expected[0][i] = k.input[1][i];
    size_t c = s.dim[NN_C];
    for (size_t n = 0; n < s.dim[NN_N]; n++)
        for (size_t row = 0; row < padded.dim[NN_H]; row++)
            for (size_t column = 0; column < padded.dim[NN_W]; column++) {
                int y = walk((int)row - (int)p->top, (int)s.dim[NN_H], mode);
                int x = walk((int)column - (int)p->left, (int)s.dim[NN_W], mode);
                if (y < 0 || x < 0) continue;
                size_t outer = ((n * padded.dim[NN_H] + row) * padded.dim[NN_W] + column) * c;
                size_t inner = ((n * s.dim[NN_H] + (size_t)y) * s.dim[NN_W] + (size_t)x) * c;
                for (size_t j = 0; j < c; j++) {
                    if (op == NN_PAD) k.expected[0][outer + j] = k.input[0][inner + j];
                    else k.expected[0][inner + j] += k.input[0][outer + j];
                }
            }
    k.bound = op == NN_PAD ? 0 : 1e-5; /* up to 80 addends */
    if (nn_shape_equal(s, padded)) k.aliases = KERNEL_TEST_OVER(0);
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

static void pads_all_modes(test *t)
{
    for (size_t i = 0; i < COUNT(pads); i++)
        for (nn_pad_mode mode = NN_PAD_ZERO; mode <= NN_PAD_EDGE; mode++) check_pad(t, NN_PAD, &pads[i], mode, false);
}

static void pad_gradient_is_the_adjoint(test *t)
{
    for (size_t i = 0; i < COUNT(pads); i++)
        for (nn_pad_mode mode = NN_PAD_ZERO; mode <= NN_PAD_EDGE; mode++)
            for (int adds = 0; adds < 2; adds++) check_pad(t, NN_PAD_GRAD, &pads[i], mode, adds);
}

/* PyTorch's documented example of reflection, and the wave that it is where padding is longer than the side. */
static void reflects_as_documented(test *t)
{
    nn_shape s = nn_shape_of(1, 1, 3, 1), y = nn_shape_of(1, 1, 11, 1);
    kernel_test k;
    kernel_test_open(&k, NN_PAD, (nn_attributes){.mode = NN_PAD_REFLECT, .left = 5, .right = 3}, 1, &s, 1, &y);
    for (size_t i = 0; i < 3; i++) k.input[0][i] = (float)i;
    static const double wave[] = {1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1};
    memcpy(k.expected[0], wave, sizeof wave);
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

/* Parts along n, and along c with a narrow part (copied float by float) and wide ones. */
static void concatenates(test *t)
{
    for (size_t axis = NN_N; axis <= NN_C; axis += NN_C - NN_N)
        for (size_t wide = 0; wide < 2; wide++) {
            size_t extent[] = {3, wide ? 64 : 1, 17}, total = extent[0] + extent[1] + extent[2], begin = 0;
            nn_shape in[3], out = nn_shape_of(2, 13, 17, 5);
            for (size_t i = 0; i < 3; i++) {
                in[i] = out;
                in[i].dim[axis] = extent[i];
            }
            out.dim[axis] = total;
            kernel_test k;
            kernel_test_open(&k, NN_CONCAT, (nn_attributes){.axis = axis}, 3, in, 1, &out);
            size_t inner = axis == NN_C ? 1 : 13 * 17 * 5;
            for (size_t i = 0; i < 3; begin += extent[i++]) {
                kernel_test_fill(&k, i, -1, 1);
                for (size_t j = 0; j < nn_count(in[i]); j++) {
                    size_t outer = j / (extent[i] * inner), at = j % (extent[i] * inner);
                    k.expected[0][(outer * total + begin) * inner + at] = k.input[i][j];
                }
            }
            k.bound = 0;
            kernel_test_run(t, &k);
            kernel_test_close(&k);
        }
}

/* Slices that start, lie within, end and fill the whole, and their gradients. */
static void slices(test *t)
{
    static const size_t cuts[][3] = {{20, 0, 3}, {20, 2, 17}, {20, 19, 1}, {20, 0, 20}}; /* whole, begin, extent */
    for (size_t axis = NN_N; axis <= NN_C; axis += NN_C - NN_N)
        for (size_t i = 0; i < COUNT(cuts) * 2; i++) {
            const size_t *cut = cuts[i / 2];
            nn_shape whole = nn_shape_of(2, 13, 17, 5), part;
            whole.dim[axis] = cut[0];
            part = whole;
            part.dim[axis] = cut[2];
            bool grad = i % 2 == 1;
            nn_attributes attr = {.axis = axis, .begin = cut[1], .extent = grad ? cut[0] : cut[2]};
            kernel_test k;
            kernel_test_open(&k, grad ? NN_SLICE_GRAD : NN_SLICE, attr, 1, grad ? &part : &whole, 1,
                             grad ? &whole : &part);
            kernel_test_fill(&k, 0, -1, 1);
            size_t inner = axis == NN_C ? 1 : 13 * 17 * 5;
            for (size_t j = 0; j < nn_count(part); j++) {
                size_t outer = j / (cut[2] * inner), at = (outer * cut[0] + cut[1]) * inner + j % (cut[2] * inner);
                if (grad) k.expected[0][at] = k.input[0][j];
                else k.expected[0][j] = k.input[0][at];
            }
            k.bound = 0;
            if (cut[0] == cut[2]) k.aliases = KERNEL_TEST_OVER(0);
            kernel_test_run(t, &k);
            kernel_test_close(&k);
        }
}

/* Colours of a pixel: draws[0..2] are brightness, saturation and contrast. */
static void recolour(const float *x, const float *draws, size_t c, double *y)
{
    double mean = 0;
    for (size_t k = 0; k < c; k++) mean += (double)x[k] / (double)c;
    for (size_t k = 0; k < c; k++)
        y[k] = (double)draws[2] * ((double)draws[1] * (x[k] - mean) + mean + (double)draws[0]);
}

typedef struct augment_case {
    nn_shape shape;
    size_t begin, hole;
    int most_shift;
} augment_case;

/* Forward each pixel goes to where it is shifted; backward from there. Draws before `begin` are another's. */
static void check_augment(test *t, const augment_case *c, bool grad)
{
    nn_shape s = c->shape, draws = nn_shape_of(c->begin + s.dim[NN_N] + 1, 1, 1, NN_DRAWS);
    const size_t channels = s.dim[NN_C];
    const int h = (int)s.dim[NN_H], w = (int)s.dim[NN_W];
    kernel_test k;
    kernel_test_open(&k, grad ? NN_AUGMENT_GRAD : NN_AUGMENT, (nn_attributes){.begin = c->begin, .extent = c->hole}, 2,
                     (nn_shape[]){s, draws}, 1, &s);
    kernel_test_fill(&k, 0, -1, 1);
    kernel_test_fill(&k, 1, -1, 1);
    for (size_t i = 0; i < nn_count(draws); i++)
        if (i % NN_DRAWS > 2) k.input[1][i] = roundf(k.input[1][i] * (float)c->most_shift);
    for (size_t i = 0; i < s.dim[NN_N] * s.dim[NN_H] * s.dim[NN_W]; i++) {
        const float *d = k.input[1] + (c->begin + i / (size_t)(h * w)) * NN_DRAWS, no_brightness[3] = {0, d[1], d[2]};
        int row = (int)(i / (size_t)w) % h + (int)d[3], column = (int)(i % (size_t)w) + (int)d[4];
        if (row < 0 || row >= h || column < 0 || column >= w) continue;
        int in_hole = row >= (int)d[5] && row < (int)d[5] + (int)c->hole && column >= (int)d[6] &&
                      column < (int)d[6] + (int)c->hole;
        size_t to = (i / (size_t)(h * w) * (size_t)h + (size_t)row) * (size_t)w + (size_t)column;
        if (in_hole) continue;
        if (grad) recolour(k.input[0] + to * channels, no_brightness, channels, k.expected[0] + i * channels);
        else recolour(k.input[0] + i * channels, d, channels, k.expected[0] + to * channels);
    }
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

static void augments(test *t)
{
    static const augment_case cases[] = {{{{1, 9, 11, 3}}, 0, 4, 3}, {{{3, 33, 17, 3}}, 2, 16, 20}, {{{2, 1, 1, 3}}, 1, 1, 1},
                                         {{{1, 7, 5, 1}}, 0, 0, 2},  {{{2, 65, 40, 5}}, 0, 7, 60}};
    for (size_t i = 0; i < COUNT(cases) * 2; i++) check_augment(t, &cases[i / 2], i % 2 == 1);
}

TEST_MAIN(TEST(augments), TEST(pads_all_modes), TEST(pad_gradient_is_the_adjoint), TEST(reflects_as_documented), TEST(concatenates),
          TEST(slices))
