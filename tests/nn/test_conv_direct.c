/* The direct convolutions against the direct sums in double, on every instruction set, and which shapes get them. */
#include "convolution_test.h"

static void check_all(test *t, const convolution *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
            kernel_test k;
            open_direction(&k, &cases[i], op);
            k.bound = 5e-6;
            const cpu_kernel_table *table;
            for (size_t level = 0; (table = cpu_kernels_supported(level)); level++)
                run_convolution(t, &k, table->direct[op], (const char *[]){"base", "v3", "v4"}[level], 1e-6);
            kernel_test_close(&k);
        }
}
#define CHECK_ALL(t, cases) check_all(t, cases, sizeof(cases) / sizeof *(cases))

/* n, h, w, ic, oc, kernel, stride, padding, bias */

/* The layers of the networks: blocks of pixels and panels of channels that come out even. */
static void network_layers(test *t)
{
    static const convolution cases[] = {
        {1, 32, 32, 32, 64, 3, 2, 1, false}, {1, 32, 32, 32, 64, 4, 2, 1, true}, {2, 16, 16, 64, 32, 4, 2, 1, false}};
    CHECK_ALL(t, cases);
}

/* Sides that the stride does not divide, rows and columns that no tap meets, edges that are wider than a block. */
static void odd_sides(test *t)
{
    static const convolution cases[] = {
        {1, 7, 9, 16, 16, 3, 2, 1, true},  {2, 9, 6, 16, 16, 3, 2, 0, true},  {1, 8, 13, 16, 16, 4, 2, 2, false},
        {1, 5, 5, 16, 16, 4, 2, 3, true},  {1, 13, 3, 16, 16, 3, 2, 2, true}, {1, 3, 29, 16, 16, 3, 2, 1, false},
        {1, 1, 1, 16, 16, 3, 2, 1, true},  {3, 2, 2, 16, 16, 4, 2, 1, true},  {1, 9, 50, 16, 16, 5, 2, 2, true},
        {1, 12, 11, 16, 16, 7, 2, 3, true}};
    CHECK_ALL(t, cases);
}

/* A kernel that is smaller than the stride: pixels of the data gradient that get the bias alone. */
static void small_kernels(test *t)
{
    static const convolution cases[] = {
        {1, 8, 9, 16, 16, 1, 2, 0, true}, {1, 7, 6, 16, 24, 2, 2, 0, true}, {1, 7, 8, 16, 16, 1, 2, 1, true}};
    CHECK_ALL(t, cases);
}

static void stride_1(test *t)
{
    static const convolution cases[] = {
        {1, 9, 14, 16, 16, 3, 1, 1, true}, {1, 8, 8, 16, 32, 4, 1, 1, false}, {1, 9, 7, 16, 16, 7, 1, 3, true}};
    CHECK_ALL(t, cases);
}

/* Numbers of channels that fill no panel of any instruction set; more of them than are packed at once. */
static void channel_tails(test *t)
{
    static const convolution cases[] = {
        {1, 9, 9, 17, 19, 3, 2, 1, true}, {1, 8, 10, 40, 24, 4, 2, 1, true}, {1, 6, 7, 24, 72, 3, 2, 1, false},
        {2, 7, 7, 130, 33, 3, 2, 1, true}};
    CHECK_ALL(t, cases);
}

/* Several blocks of rows of a weight gradient, the last one shorter, over several images. */
static void many_rows(test *t)
{
    static const convolution cases[] = {{2, 70, 46, 16, 16, 3, 2, 1, true}, {1, 10, 300, 16, 16, 4, 2, 1, false}};
    CHECK_ALL(t, cases);
}

/* Threads that get no unit of a weight gradient need no scratch. */
static void scratch_is_bounded(test *t)
{
    const nn_kernel *kernel = cpu_kernels_supported(0)->direct[NN_CONV2D_WEIGHT_GRAD];
    convolution c = {1, 64, 64, 16, 16, 1, 2, 0, false};
    nn_call call = {.op = NN_CONV2D_WEIGHT_GRAD, .attr = {.stride = 2}, .input_count = 2, .output_count = 1};
    call.input_shape[0] = x_shape(&c);
    call.input_shape[1] = y_shape(&c);
    call.output_shape[0] = w_shape(&c);
    call.threads = 64; /* of which 4 get one, with 4 lanes */
    size_t many = kernel->workspace(&call);
    call.threads = 4;
    CHECK(t, many == kernel->workspace(&call));
}

static void dispatch(test *t)
{
    static const convolution direct[] = {{1, 64, 64, 16, 64, 3, 2, 1, false}, {1, 64, 64, 32, 64, 5, 2, 2, false}};
    static const convolution other[] = {{1, 256, 256, 3, 64, 4, 2, 1, false},  /* a picture */
                                        {1, 16, 16, 256, 256, 4, 2, 1, false}, /* few pixels */
                                        {1, 64, 64, 64, 64, 5, 1, 1, false}};
    for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
        for (size_t i = 0; i < sizeof direct / sizeof *direct; i++)
            CHECK(t, chosen_kernel(t, op, &direct[i]) == CHOSEN_DIRECT);
        for (size_t i = 0; i < sizeof other / sizeof *other; i++)
            CHECK(t, chosen_kernel(t, op, &other[i]) == CHOSEN_ONEDNN);
    }
}

TEST_MAIN(TEST(network_layers), TEST(odd_sides), TEST(small_kernels), TEST(stride_1), TEST(channel_tails),
          TEST(many_rows), TEST(scratch_is_bounded), TEST(dispatch))
