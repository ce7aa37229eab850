/* Weight gradients by products of tiles against the direct sums in double: with loops in place of the instructions,
 * which run anywhere, and with the instructions where this machine has them. */
#include "convolution_test.h"
#include "nn/cpu/kernels/bf16.h"

static const double BOUND = 4e-3; /* both operands are rounded to 8 bits */

static const nn_kernel *kernel_of(size_t i)
{
    const cpu_kernel_table *tables[] = {&cpu_kernels_plain, cpu_kernels_tiles()};
    return tables[i] ? tables[i]->tiles[NN_CONV2D_WEIGHT_GRAD] : NULL;
}

enum { KERNELS = 2 };
static const char *const names[KERNELS] = {"plain", "amx"};

static void run(test *t, kernel_test *k)
{
    for (size_t i = 0; i < KERNELS; i++)
        if (kernel_of(i)) run_convolution(t, k, kernel_of(i), names[i], BOUND);
}

static void check(test *t, const convolution *c)
{
    kernel_test k;
    open_direction(&k, c, NN_CONV2D_WEIGHT_GRAD);
    k.bound = 5 * BOUND; /* the worst of many elements */
    run(t, &k);
    kernel_test_close(&k);
}

static void check_all(test *t, const convolution *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) check(t, &cases[i]);
}
#define CHECK_ALL(t, cases) check_all(t, cases, sizeof(cases) / sizeof *(cases))

/* n, h, w, ic, oc, kernel, stride, padding, bias */

static void kernels_and_strides(test *t)
{
    static const size_t kernels[] = {1, 2, 3, 4, 5, 7};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        for (size_t stride = 1; stride <= 3; stride++)
            for (size_t padding = 0; padding < kernels[i] && padding <= 3; padding += 1 + padding)
                check(t, &(convolution){1, 13, 18, 16, 32, kernels[i], stride, padding, false});
}

/* Rows that take a tile, less than one, a little more, and less and more than half of the last one. */
static void widths(test *t)
{
    for (size_t w = 1; w <= 70; w += w < 20 || w % 16 < 3 || w % 16 > 12 ? 1 : 3) {
        check(t, &(convolution){1, 3, w, 2, 3, 3, 1, 1, false});
        check(t, &(convolution){1, 5, w, 3, 2, 4, 2, 2, false});
        check(t, &(convolution){2, 1, w, 9, 8, 1, 1, 0, false});
    }
}

static void channel_tails(test *t)
{
    static const size_t counts[] = {1, 3, 16, 17, 33, 40, 100};
    enum { COUNTS = sizeof counts / sizeof *counts };
    for (size_t i = 0; i < COUNTS * COUNTS; i++)
        check(t, &(convolution){1, 5, 6, counts[i / COUNTS], counts[i % COUNTS], 3, 1 + i % 2, 1, false});
}

static void several_images(test *t)
{
    static const convolution cases[] = {{3, 6, 7, 17, 20, 3, 1, 1, false}, {2, 8, 33, 16, 16, 4, 2, 1, false},
                                        {4, 1, 1, 24, 16, 1, 1, 0, false}, {2, 9, 9, 3, 33, 7, 1, 3, false}};
    CHECK_ALL(t, cases);
}

/* Several chunks of rows, the last one shorter; rows that are more than a chunk should have. */
static void large_pictures(test *t)
{
    static const convolution cases[] = {
        {1, 149, 101, 1, 33, 3, 1, 1, false}, {1, 301, 202, 3, 70, 4, 2, 1, false},
        {1, 145, 63, 20, 33, 3, 1, 1, false}, {1, 3, 12001, 2, 1, 3, 1, 1, false},
        {1, 7, 6400, 1, 40, 3, 2, 1, false}};
    CHECK_ALL(t, cases);
}

static void mirrored_pictures(test *t)
{
    static const convolution cases[] = {{1, 32, 32, 16, 32, 3, 1, 1, false}, {2, 9, 14, 16, 16, 3, 1, 1, false},
                                        {1, 2, 2, 16, 16, 3, 1, 1, false},   {1, 4, 41, 17, 19, 7, 1, 3, false},
                                        {1, 12, 8, 40, 70, 4, 2, 2, false},  {3, 5, 6, 20, 33, 3, 2, 1, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kernel_test k;
        open_mirrored(&k, &cases[i], NN_CONV2D_WEIGHT_GRAD);
        k.bound = 5 * BOUND;
        run(t, &k);
        kernel_test_close(&k);
    }
}

/* Small integers are numbers of bf16, and sums of their products are exact. */
static void exact_in_integers(test *t)
{
    static const convolution cases[] = {{1, 11, 10, 16, 16, 3, 1, 1, false}, {2, 70, 67, 20, 40, 4, 2, 1, false},
                                        {1, 149, 101, 3, 100, 3, 1, 0, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        kernel_test k;
        open_direction(&k, &cases[i], NN_CONV2D_WEIGHT_GRAD);
        for (size_t j = 0; j < nn_count(k.input_shape[0]); j++) k.input[0][j] = (float)((j * 7 + j / 16) % 5) - 2;
        for (size_t j = 0; j < nn_count(k.input_shape[1]); j++) k.input[1][j] = (float)((j * 5 + j / 9) % 7) - 3;
        memset(k.expected[0], 0, nn_count(k.output_shape[0]) * sizeof(double));
        each_term(&cases[i], add_to_w, &k);
        k.bound = 0;
        run(t, &k);
        kernel_test_close(&k);
    }
}

/* The result of a run in which input i is in bf16 if bit i of `narrow` is set. */
static float *run_narrow(const nn_kernel *kernel, const kernel_test *k, unsigned narrow)
{
    nn_call call = {.op = k->op, .attr = k->attr, .input_count = 2, .output_count = 1, .threads = 2};
    float *result = malloc(nn_count(k->output_shape[0]) * sizeof *result);
    memcpy(call.input_shape, k->input_shape, sizeof call.input_shape);
    memcpy(call.output_shape, k->output_shape, sizeof call.output_shape);
    for (size_t i = 0; i < 2; i++) {
        call.input[i] = k->input[i];
        if (!(narrow >> i & 1)) continue;
        size_t count = nn_count(k->input_shape[i]);
        uint16_t *numbers = malloc(count * sizeof *numbers);
        cpu_narrow(k->input[i], count, numbers);
        call.input[i] = (const float *)(const void *)numbers;
        call.input_layout[i] = NN_LAYOUT_BF16;
    }
    unsigned char *block;
    call.output[0] = result;
    call.workspace_bytes = kernel->workspace(&call);
    call.workspace = kernel_test_guarded(call.workspace_bytes, &block);
    kernel->run(&call);
    free(block);
    for (size_t i = 0; i < 2; i++)
        if (narrow >> i & 1) free(nn_call_mutable(&call, i));
    return result;
}

/* Numbers that bf16 has: the same bits whatever the operands are kept in. */
static void narrow_operands(test *t)
{
    static const convolution cases[] = {{1, 9, 12, 16, 32, 3, 1, 1, false}, {2, 13, 7, 17, 40, 4, 2, 1, false},
                                        {1, 66, 65, 3, 100, 3, 1, 0, false}, {1, 9, 35, 33, 1, 7, 1, 3, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t j = 0; j < KERNELS; j++) {
            kernel_test k;
            if (!kernel_of(j)) continue;
            open_direction(&k, &cases[i], NN_CONV2D_WEIGHT_GRAD);
            for (size_t n = 0; n < 2; n++)
                for (size_t e = 0; e < nn_count(k.input_shape[n]); e++)
                    k.input[n][e] = cpu_from_bf16(cpu_to_bf16(k.input[n][e]));
            float *wide = run_narrow(kernel_of(j), &k, 0);
            for (unsigned narrow = 1; narrow < 4; narrow++) {
                float *result = run_narrow(kernel_of(j), &k, narrow);
                CHECK(t, memcmp(wide, result, nn_count(k.output_shape[0]) * sizeof(float)) == 0);
                free(result);
            }
            free(wide);
            kernel_test_close(&k);
        }
}

/* Scratch does not grow with the picture's height, and stays small at the sizes that generators have. */
static void scratch_is_bounded(test *t)
{
    nn_call call = {.op = NN_CONV2D_WEIGHT_GRAD, .attr = {.stride = 1}, .input_count = 2, .output_count = 1,
                    .threads = 2};
    size_t bytes[2];
    call.output_shape[0] = nn_shape_of(128, 128, 3, 3);
    for (size_t i = 0; i < 2; i++) {
        size_t side = i ? 3000 : 600;
        call.input_shape[0] = nn_shape_of(1, side + 2, 302, 128);
        call.input_shape[1] = nn_shape_of(1, side, 300, 128);
        bytes[i] = kernel_of(0)->workspace(&call);
    }
    CHECK(t, bytes[1] <= bytes[0] + bytes[0] / 8);
    CHECK(t, bytes[1] < 8 << 20);
    call.input_shape[0] = nn_shape_of(1, 66, 66, 256);
    call.input_shape[1] = nn_shape_of(1, 64, 64, 256);
    call.output_shape[0] = nn_shape_of(256, 256, 3, 3);
    CHECK(t, kernel_of(0)->workspace(&call) < 8 << 20);
}

TEST_MAIN(TEST(kernels_and_strides), TEST(widths), TEST(channel_tails), TEST(several_images), TEST(large_pictures),
          TEST(mirrored_pictures), TEST(exact_in_integers), TEST(narrow_operands), TEST(scratch_is_bounded))
