/* Resizing and pooling against plain double loops, and bilinear against numbers from torch. */
#include "nn/kernel_test.h"

static size_t at(nn_shape s, size_t n, size_t y, size_t x, size_t c)
{
    return ((n * s.dim[NN_H] + y) * s.dim[NN_W] + x) * s.dim[NN_C] + c;
}

/* Calls `visit` with each element (n, y, x, c) of `s`. */
typedef void visitor(kernel_test *k, size_t n, size_t y, size_t x, size_t c);
static void each(kernel_test *k, nn_shape s, visitor *visit)
{
    for (size_t n = 0; n < s.dim[NN_N]; n++)
        for (size_t y = 0; y < s.dim[NN_H]; y++)
            for (size_t x = 0; x < s.dim[NN_W]; x++)
                for (size_t c = 0; c < s.dim[NN_C]; c++) visit(k, n, y, x, c);
}

static void check(test *t, nn_op op, const nn_attributes *attr, nn_shape from, nn_shape to, nn_shape visited,
                  visitor *visit)
{
    kernel_test k;
    kernel_test_open(&k, op, *attr, 1, &from, 1, &to);
    kernel_test_fill(&k, 0, -2, 2);
    each(&k, visited, visit);
    kernel_test_run(t, &k);
    kernel_test_close(&k);
}

static void nearest_of(kernel_test *k, size_t n, size_t y, size_t x, size_t c)
{
    size_t factor = k->attr.factor;
    k->expected[0][at(k->output_shape[0], n, y, x, c)] =
        k->input[0][at(k->input_shape[0], n, y / factor, x / factor, c)];
}

static void nearest_grad_of(kernel_test *k, size_t n, size_t y, size_t x, size_t c)
{
    size_t factor = k->attr.factor;
    k->expected[0][at(k->output_shape[0], n, y / factor, x / factor, c)] +=
        k->input[0][at(k->input_shape[0], n, y, x, c)];
}

static void nearest(test *t)
{
    const nn_shape shapes[] = {{{2, 3, 5, 7}}, {{1, 1, 1, 1}}, {{1, 7, 4, 33}}};
    for (size_t i = 0; i < 3; i++)
        for (size_t factor = 1; factor <= 3; factor++) {
            nn_shape s = shapes[i], large = s;
            large.dim[NN_H] *= factor;
            large.dim[NN_W] *= factor;
            const nn_attributes attr = {.factor = factor};
            check(t, NN_RESIZE_NEAREST, &attr, s, large, large, nearest_of);
            check(t, NN_RESIZE_NEAREST_GRAD, &attr, large, s, large, nearest_grad_of);
        }
}

/* The weight of input pixel i for output pixel o, from the definition: a tent of width 1 around the place. */
static double tent(size_t o, size_t out, size_t i, size_t in)
{
    double place = ((double)o + 0.5) * (double)in / (double)out - 0.5;
    if (place < 0) place = 0;
    if (place > (double)(in - 1)) place = (double)(in - 1);
    double distance = fabs(place - (double)i);
    return distance < 1 ? 1 - distance : 0;
}

/* Of input pixel (iy, ix) in output pixel (y, x), both of the forward operation. */
static double weight(nn_shape in, nn_shape out, size_t y, size_t x, size_t iy, size_t ix)
{
    return tent(y, out.dim[NN_H], iy, in.dim[NN_H]) * tent(x, out.dim[NN_W], ix, in.dim[NN_W]);
}

static void bilinear_of(kernel_test *k, size_t n, size_t y, size_t x, size_t c)
{
    nn_shape in = k->input_shape[0], out = k->output_shape[0];
    for (size_t iy = 0; iy < in.dim[NN_H]; iy++)
        for (size_t ix = 0; ix < in.dim[NN_W]; ix++)
            k->expected[0][at(out, n, y, x, c)] += weight(in, out, y, x, iy, ix) * k->input[0][at(in, n, iy, ix, c)];
}

static void bilinear_grad_of(kernel_test *k, size_t n, size_t y, size_t x, size_t c)
{
    nn_shape in = k->output_shape[0], out = k->input_shape[0];
    for (size_t iy = 0; iy < in.dim[NN_H]; iy++)
        for (size_t ix = 0; ix < in.dim[NN_W]; ix++)
            k->expected[0][at(in, n, iy, ix, c)] += weight(in, out, y, x, iy, ix) * k->input[0][at(out, n, y, x, c)];
}

static void bilinear(test *t)
{
    const size_t sizes[][4] = {{3, 5, 7, 11}, {7, 11, 3, 5}, {4, 4, 4, 4}, {1, 1, 3, 5},
                               {5, 3, 1, 1},  {6, 1, 13, 1}, {8, 8, 16, 4}, {9, 2, 5, 6}};
    const size_t channels[] = {1, 3, 18};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t c = 0; c < 3; c++) {
            nn_shape in = nn_shape_of(2, sizes[i][0], sizes[i][1], channels[c]);
            nn_shape out = nn_shape_of(2, sizes[i][2], sizes[i][3], channels[c]);
            const nn_attributes attr = {.shape = out};
            check(t, NN_RESIZE_BILINEAR, &attr, in, out, out, bilinear_of);
            check(t, NN_RESIZE_BILINEAR_GRAD, &attr, out, in, out, bilinear_grad_of);
        }
}

/* torch.nn.functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=False) of
 * [[1, -2, 4], [8, 0.5, -1]], and its gradient for an output weighted by 1, 2, 3, ... */
static void bilinear_of_torch(test *t)
{
    static const double wide[] = {1, -0.2, -2, 1.6, 4, 4.5, 2.4, -0.75, 0.6, 1.5, 8, 5, 0.5, -0.4, -1};
    static const double tall[] = {1, -2, 4, 1.7, -1.75, 3.5, 4.5, -0.75, 1.5, 7.3, 0.25, -0.5, 8, 0.5, -1};
    static const double small[] = {3.1875, 0.9375};
    static const double wide_grad[] = {7.3, 12.6, 15.1, 23.3, 30.6, 31.1};
    static const double small_grad[] = {0.375, 0.375, 0.75, 0.375, 0.375, 0.75};
    static const float x[] = {1, -2, 4, 8, 0.5f, -1};
    static const struct {
        size_t h, w;
        const double *y, *dx;
    } cases[] = {{3, 5, wide, wide_grad}, {5, 3, tall, NULL}, {1, 2, small, small_grad}};
    const nn_shape in = {{1, 2, 3, 1}};
    for (size_t i = 0; i < 3; i++) {
        nn_shape out = nn_shape_of(1, cases[i].h, cases[i].w, 1);
        kernel_test k;
        kernel_test_open(&k, NN_RESIZE_BILINEAR, (nn_attributes){.shape = out}, 1, &in, 1, &out);
        memcpy(k.input[0], x, sizeof x);
        memcpy(k.expected[0], cases[i].y, nn_count(out) * sizeof(double));
        kernel_test_run(t, &k);
        kernel_test_close(&k);
        if (!cases[i].dx) continue;
        kernel_test_open(&k, NN_RESIZE_BILINEAR_GRAD, (nn_attributes){.shape = in}, 1, &out, 1, &in);
        for (size_t e = 0; e < nn_count(out); e++) k.input[0][e] = (float)(e + 1);
        memcpy(k.expected[0], cases[i].dx, sizeof x / sizeof *x * sizeof(double));
        kernel_test_run(t, &k);
        kernel_test_close(&k);
    }
}

typedef struct pool_case {
    size_t kernel, stride;
    bool ceil_mode;
    nn_shape in, out;
} pool_case;

/* Sizes from torch: VGG's pools, overlapping windows, gaps between windows, windows over the edge. */
static const pool_case pools[] = {
    {2, 2, false, {{2, 6, 8, 5}}, {{2, 3, 4, 5}}},   {2, 2, false, {{1, 7, 5, 70}}, {{1, 3, 2, 70}}},
    {2, 2, true, {{2, 5, 6, 3}}, {{2, 3, 3, 3}}},    {3, 2, true, {{1, 8, 8, 17}}, {{1, 4, 4, 17}}},
    {3, 2, false, {{2, 9, 7, 3}}, {{2, 4, 3, 3}}},   {3, 1, false, {{1, 7, 9, 130}}, {{1, 5, 7, 130}}},
    {2, 3, false, {{1, 8, 11, 4}}, {{1, 3, 4, 4}}},  {1, 1, false, {{1, 3, 3, 2}}, {{1, 3, 3, 2}}},
    {5, 2, false, {{1, 11, 13, 3}}, {{1, 4, 5, 3}}}, {4, 3, true, {{1, 9, 12, 2}}, {{1, 3, 4, 2}}},
};
enum { POOLS = sizeof pools / sizeof *pools };

static nn_attributes pool_attributes(const pool_case *p)
{
    return (nn_attributes){.kernel = p->kernel, .stride = p->stride, .ceil_mode = p->ceil_mode};
}

/* Finds a window's first maximum in row order, its sum and the number of its elements inside the image. */
typedef struct window {
    size_t place, count;
    double sum;
} window;

static window look(const kernel_test *k, const float *x, nn_shape s, size_t n, size_t y, size_t column, size_t c)
{
    window found = {.place = SIZE_MAX};
    for (size_t iy = y * k->attr.stride; iy < y * k->attr.stride + k->attr.kernel; iy++)
        for (size_t ix = column * k->attr.stride; ix < column * k->attr.stride + k->attr.kernel; ix++) {
            if (iy >= s.dim[NN_H] || ix >= s.dim[NN_W]) continue;
            size_t i = at(s, n, iy, ix, c);
            if (found.place == SIZE_MAX || x[i] > x[found.place]) found.place = i;
            found.sum += x[i];
            found.count++;
        }
    return found;
}

static void max_of(kernel_test *k, size_t n, size_t y, size_t x, size_t c)
{
    window w = look(k, k->input[0], k->input_shape[0], n, y, x, c);
    k->expected[0][at(k->output_shape[0], n, y, x, c)] = k->input[0][w.place];
}

static void average_of(kernel_test *k, size_t n, size_t y, size_t x, size_t c)
{
    window w = look(k, k->input[0], k->input_shape[0], n, y, x, c);
    k->expected[0][at(k->output_shape[0], n, y, x, c)] = w.sum / (double)w.count;
}

static void max_grad_of(kernel_test *k, size_t n, size_t y, size_t x, size_t c)
{
    window w = look(k, k->input[0], k->input_shape[0], n, y, x, c);
    k->expected[0][w.place] += k->input[1][at(k->input_shape[1], n, y, x, c)];
}

static void average_grad_of(kernel_test *k, size_t n, size_t y, size_t x, size_t c)
{
    nn_shape s = k->output_shape[0];
    window w = look(k, k->output[0], s, n, y, x, c);
    double share = k->input[0][at(k->input_shape[0], n, y, x, c)] / (double)w.count;
    for (size_t iy = y * k->attr.stride; iy < s.dim[NN_H] && iy < y * k->attr.stride + k->attr.kernel; iy++)
        for (size_t ix = x * k->attr.stride; ix < s.dim[NN_W] && ix < x * k->attr.stride + k->attr.kernel; ix++)
            k->expected[0][at(s, n, iy, ix, c)] += share;
}

static void pooling(test *t)
{
    for (size_t i = 0; i < POOLS; i++) {
        const nn_attributes attr = pool_attributes(&pools[i]);
        check(t, NN_MAX_POOL, &attr, pools[i].in, pools[i].out, pools[i].out, max_of);
        check(t, NN_AVERAGE_POOL, &attr, pools[i].in, pools[i].out, pools[i].out, average_of);
        check(t, NN_AVERAGE_POOL_GRAD, &attr, pools[i].out, pools[i].in, pools[i].out, average_grad_of);
    }
}

/* With few distinct values most windows have several maxima. */
static void max_pool_gradient(test *t)
{
    for (size_t i = 0; i < POOLS; i++)
        for (int ties = 0; ties < 2; ties++) {
            nn_shape in = pools[i].in, out = pools[i].out;
            kernel_test k;
            kernel_test_open(&k, NN_MAX_POOL_GRAD, pool_attributes(&pools[i]), 2, (nn_shape[]){in, out}, 1, &in);
            kernel_test_fill(&k, 0, -2, 2);
            kernel_test_fill(&k, 1, -2, 2);
            for (size_t e = 0; ties && e < nn_count(in); e++) k.input[0][e] = floorf(k.input[0][e]);
            each(&k, out, max_grad_of);
            kernel_test_run(t, &k);
            kernel_test_close(&k);
        }
}

/* NaN wins in every window that holds it, wherever it stands. */
static void pooling_shows_nan(test *t)
{
    const nn_shape in = {{1, 4, 4, 1}}, out = {{1, 2, 2, 1}};
    const nn_attributes attr = {.kernel = 2, .stride = 2};
    const nn_op ops[] = {NN_MAX_POOL, NN_AVERAGE_POOL};
    for (size_t i = 0; i < 2; i++)
        for (size_t place = 0; place < 16; place++) {
            kernel_test k;
            kernel_test_open(&k, ops[i], attr, 1, &in, 1, &out);
            k.input[0][place] = NAN;
            k.expected[0][place / 8 * 2 + place % 4 / 2] = NAN;
            kernel_test_run(t, &k);
            kernel_test_close(&k);
        }
}

TEST_MAIN(TEST(nearest), TEST(bilinear), TEST(bilinear_of_torch), TEST(pooling), TEST(max_pool_gradient),
          TEST(pooling_shows_nan))
