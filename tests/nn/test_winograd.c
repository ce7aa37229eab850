/* Winograd's convolutions against the direct sums in double, on every instruction set, and which shapes get them. */
#include "nn/cpu/onednn.h"
#include "convolution_test.h"

static const double BF16_BOUND = 2e-2; /* winograd.h */

/* Every instruction set in fp32. */
static void run(test *t, kernel_test *k)
{
    const cpu_kernel_table *table;
    for (size_t level = 0; (table = cpu_kernels_supported(level)); level++)
        run_convolution(t, k, table->winograd[k->op], (const char *[]){"base", "v3", "v4"}[level], 1e-5);
}

static void check_everywhere(test *t, kernel_test *k)
{
    k->bound = 5e-5; /* the worst of many elements is allowed five times the bound of all together */
    run(t, k);
    k->bound = 12 * BF16_BOUND; /* the worst element: small 4x4 pictures */
    if (cpu_kernels_bf16()) run_convolution(t, k, cpu_kernels_bf16()->winograd[k->op], "bf16", BF16_BOUND);
}

static void check_direction(test *t, const convolution *c, nn_op op)
{
    kernel_test k;
    open_direction(&k, c, op);
    check_everywhere(t, &k);
    kernel_test_close(&k);
}

static void check_all(test *t, const convolution *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        check_direction(t, &cases[i], NN_CONV2D);
        check_direction(t, &cases[i], NN_CONV2D_DATA_GRAD);
        check_direction(t, &cases[i], NN_CONV2D_WEIGHT_GRAD);
    }
}
#define CHECK_ALL(t, cases) check_all(t, cases, sizeof(cases) / sizeof *(cases))

/* n, h, w, ic, oc, kernel, stride, padding, bias */

static void whole_tiles(test *t)
{
    static const convolution cases[] = {
        {1, 6, 6, 16, 16, 3, 1, 0, false}, {1, 10, 18, 32, 64, 3, 1, 0, true}, {2, 8, 8, 64, 32, 3, 1, 1, true},
        {1, 34, 34, 16, 32, 3, 1, 0, false}};
    CHECK_ALL(t, cases);
}

static void partial_tiles(test *t)
{
    static const convolution cases[] = {
        {1, 5, 9, 16, 16, 3, 1, 0, true}, {1, 7, 6, 16, 24, 3, 1, 0, false}, {1, 7, 11, 16, 16, 3, 1, 1, true},
        {2, 9, 5, 24, 40, 3, 1, 2, true}, {1, 13, 14, 40, 24, 3, 1, 1, false}, {3, 12, 7, 16, 16, 3, 1, 2, false}};
    CHECK_ALL(t, cases);
}

/* Images that are smaller than a tile, or all edge. */
static void small_images(test *t)
{
    static const convolution cases[] = {
        {1, 3, 3, 16, 16, 3, 1, 0, true}, {1, 1, 1, 16, 16, 3, 1, 1, true}, {1, 1, 1, 16, 24, 3, 1, 2, false},
        {1, 1, 9, 24, 16, 3, 1, 1, true}, {2, 10, 1, 16, 16, 3, 1, 2, true}, {1, 2, 3, 16, 16, 3, 1, 1, false}};
    CHECK_ALL(t, cases);
}

/* More channels than panels of any instruction set, and numbers of them that fill none. */
static void channel_tails(test *t)
{
    static const convolution cases[] = {
        {1, 8, 9, 40, 64, 3, 1, 0, true}, {1, 6, 10, 24, 128, 3, 1, 1, false}, {1, 7, 7, 128, 40, 3, 1, 0, true},
        {1, 6, 7, 17, 19, 3, 1, 1, true}, {1, 9, 6, 33, 21, 3, 1, 0, true},   {1, 6, 6, 3, 5, 3, 1, 2, true}};
    CHECK_ALL(t, cases);
}

/* Several blocks of tiles in every direction, the last one shorter. */
static void many_tiles(test *t)
{
    static const convolution cases[] = {{2, 79, 54, 16, 16, 3, 1, 1, true}, {1, 22, 31, 128, 128, 3, 1, 0, false},
                                        {1, 114, 110, 40, 24, 3, 1, 0, true}};
    CHECK_ALL(t, cases);
}

static void mirrored_pictures(test *t) { check_mirrored_pictures(t, NN_CONV2D_WEIGHT_GRAD, check_everywhere); }

static void enlarged_pictures(test *t) { check_enlarged_pictures(t, check_everywhere); }

/* F(3x3, 4x4): the same of each. */
static void kernels_of_4(test *t)
{
    static const convolution cases[] = {
        {1, 6, 6, 16, 16, 4, 1, 0, false},   {1, 9, 12, 32, 64, 4, 1, 0, true},  {2, 8, 8, 64, 32, 4, 1, 2, true},
        {1, 16, 16, 32, 48, 4, 1, 1, false}, {1, 5, 9, 16, 16, 4, 1, 0, true},   {1, 7, 11, 16, 24, 4, 1, 3, false},
        {1, 4, 4, 16, 16, 4, 1, 0, true},    {1, 1, 9, 24, 16, 4, 1, 2, true},   {1, 6, 7, 17, 19, 4, 1, 1, true},
        {2, 61, 43, 16, 16, 4, 1, 1, true},  {1, 17, 24, 128, 128, 4, 1, 0, false}};
    CHECK_ALL(t, cases);
}

/* Where no rounding happens, the transforms must be exact: small integers, a kernel of multiples of 576. */
static void exact_in_integers(test *t)
{
    convolution c = {1, 11, 10, 16, 16, 3, 1, 1, false};
    nn_shape x = x_shape(&c), w = w_shape(&c), y = y_shape(&c);
    kernel_test k;
    kernel_test_open(&k, NN_CONV2D, (nn_attributes){.stride = 1, .padding = 1}, 2, (nn_shape[]){x, w}, 1, &y);
    for (size_t i = 0; i < nn_count(x); i++) k.input[0][i] = (float)((i * 7 + i / 16) % 5) - 2;
    for (size_t i = 0; i < nn_count(w); i++) k.input[1][i] = 576 * ((float)((i * 5 + i / 9) % 3) - 1);
    each_term(&c, add_to_y, &k);
    k.bound = 1e-6;
    run(t, &k);
    kernel_test_close(&k);
}

/* Scratch does not grow with the image, and stays small at the channels that generators have. */
static void scratch_is_bounded(test *t)
{
    const nn_kernel *kernel = cpu_kernels_supported(0)->winograd[NN_CONV2D];
    nn_call call = {.op = NN_CONV2D, .attr = {.stride = 1}, .input_count = 2, .output_count = 1, .threads = 2};
    call.input_shape[1] = nn_shape_of(128, 128, 3, 3);
    size_t bytes[2];
    for (size_t i = 0; i < 2; i++) {
        size_t side = i ? 3000 : 300;
        call.input_shape[0] = nn_shape_of(1, side + 2, side + 2, 128);
        call.output_shape[0] = nn_shape_of(1, side, side, 128);
        bytes[i] = kernel->workspace(&call);
    }
    CHECK(t, bytes[1] <= bytes[0] + bytes[0] / 8);
    CHECK(t, bytes[1] < 10 << 20);
    call.op = NN_CONV2D_WEIGHT_GRAD;
    call.input_shape[0] = nn_shape_of(1, 66, 66, 256);
    call.input_shape[1] = nn_shape_of(1, 64, 64, 256);
    call.output_shape[0] = nn_shape_of(256, 256, 3, 3);
    CHECK(t, cpu_kernels_supported(0)->winograd[NN_CONV2D_WEIGHT_GRAD]->workspace(&call) < 20 << 20);
}

static void dispatch(test *t)
{
    static const convolution winograd[] = {{1, 34, 34, 128, 128, 3, 1, 0, false}, {1, 66, 66, 256, 256, 3, 1, 0, false},
                                           {1, 130, 130, 64, 32, 3, 1, 0, false},
                                           {1, 16, 16, 128, 256, 4, 1, 1, false}};
    static const convolution other[] = {{1, 66, 66, 8, 64, 3, 1, 0, false},   /* few channels */
                                        {1, 64, 64, 32, 3, 3, 1, 1, false},   /* a picture */
                                        {1, 6, 6, 256, 256, 3, 1, 0, false},  /* one tile */
                                        {1, 34, 34, 128, 128, 3, 2, 0, false}, {1, 34, 34, 128, 128, 5, 1, 0, false}};
    for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
        for (size_t i = 0; i < sizeof winograd / sizeof *winograd; i++)
            CHECK(t, chosen_kernel(t, op, &winograd[i]) == CHOSEN_WINOGRAD);
        for (size_t i = 0; i < sizeof other / sizeof *other; i++)
            CHECK(t, chosen_kernel(t, op, &other[i]) != CHOSEN_WINOGRAD);
    }
}

TEST_MAIN(TEST(whole_tiles), TEST(partial_tiles), TEST(small_images), TEST(channel_tails), TEST(many_tiles),
          TEST(kernels_of_4), TEST(mirrored_pictures), TEST(enlarged_pictures), TEST(exact_in_integers),
          TEST(scratch_is_bounded), TEST(dispatch))
