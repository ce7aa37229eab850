/* The convolutions by phases against the direct sums in double, on every instruction set, and which shapes get them. */
#include "convolution_test.h"

static void run(test *t, kernel_test *k)
{
    const cpu_kernel_table *table;
    k->bound = 5e-5; /* as Winograd's */
    for (size_t level = 0; (table = cpu_kernels_supported(level)); level++)
        run_convolution(t, k, table->phases[k->op], (const char *[]){"base", "v3", "v4"}[level], 1e-5);
}

static void check_all(test *t, const convolution *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
            kernel_test k;
            open_direction(&k, &cases[i], op);
            run(t, &k);
            kernel_test_close(&k);
        }
}
#define CHECK_ALL(t, cases) check_all(t, cases, sizeof(cases) / sizeof *(cases))

/* n, h, w, ic, oc, kernel, stride, padding, bias */

/* The layers of the networks: whole tiles and panels of channels. */
static void network_layers(test *t)
{
    static const convolution cases[] = {
        {1, 32, 32, 32, 64, 3, 2, 1, false}, {1, 32, 32, 64, 32, 4, 2, 1, true}, {2, 16, 16, 64, 32, 3, 2, 1, true},
        {2, 16, 16, 32, 64, 4, 2, 1, false}};
    CHECK_ALL(t, cases);
}

/* Sides that neither the stride nor the tiles divide; every padding, even and odd. */
static void partial_tiles(test *t)
{
    static const convolution cases[] = {
        {1, 7, 9, 16, 16, 3, 2, 1, true},    {2, 9, 6, 16, 16, 3, 2, 0, true},   {1, 13, 11, 16, 16, 3, 2, 2, true},
        {3, 18, 21, 16, 24, 3, 2, 1, false}, {1, 8, 13, 16, 16, 4, 2, 2, false}, {1, 9, 10, 16, 24, 4, 2, 3, true},
        {2, 11, 8, 24, 16, 4, 2, 0, true},   {1, 17, 23, 16, 16, 4, 2, 1, true}};
    CHECK_ALL(t, cases);
}

/* Pictures that are smaller than a tile, or all edge. */
static void small_pictures(test *t)
{
    static const convolution cases[] = {
        {1, 1, 1, 16, 16, 3, 2, 1, true},  {1, 3, 29, 16, 16, 3, 2, 1, false}, {1, 13, 3, 16, 16, 3, 2, 2, true},
        {3, 2, 2, 16, 16, 4, 2, 1, true},  {1, 5, 5, 16, 16, 4, 2, 3, true},   {1, 4, 30, 16, 16, 4, 2, 0, false},
        {2, 19, 2, 16, 16, 3, 2, 1, false}};
    CHECK_ALL(t, cases);
}

/* Numbers of channels that fill no panel of any instruction set; more of them than are transformed at once. */
static void channel_tails(test *t)
{
    static const convolution cases[] = {
        {1, 9, 9, 17, 19, 3, 2, 1, true},   {1, 6, 7, 24, 72, 3, 2, 1, false}, {2, 7, 7, 130, 33, 3, 2, 1, true},
        {1, 8, 10, 40, 24, 4, 2, 1, true}, {1, 10, 9, 3, 5, 4, 2, 1, false},  {1, 6, 6, 33, 70, 4, 2, 2, true}};
    CHECK_ALL(t, cases);
}

/* Several blocks of tiles, the last one shorter, over several images. */
static void many_tiles(test *t)
{
    static const convolution cases[] = {{2, 102, 74, 16, 16, 3, 2, 1, true}, {1, 40, 300, 16, 24, 4, 2, 1, false},
                                        {1, 62, 67, 128, 40, 3, 2, 1, false}};
    CHECK_ALL(t, cases);
}

/* Where no rounding happens, the transforms must be exact: small integers, a kernel of multiples of 36. */
static void exact_in_integers(test *t)
{
    for (size_t kernel = 3; kernel <= 4; kernel++) {
        convolution c = {1, 21, 18, 16, 16, kernel, 2, 1, false};
        nn_shape x = x_shape(&c), w = w_shape(&c), y = y_shape(&c);
        kernel_test k;
        kernel_test_open(&k, NN_CONV2D, (nn_attributes){.stride = 2, .padding = 1}, 2, (nn_shape[]){x, w}, 1, &y);
        for (size_t i = 0; i < nn_count(x); i++) k.input[0][i] = (float)((i * 7 + i / 16) % 5) - 2;
        for (size_t i = 0; i < nn_count(w); i++) k.input[1][i] = 36 * ((float)((i * 5 + i / 9) % 3) - 1);
        each_term(&c, add_to_y, &k);
        const cpu_kernel_table *table;
        for (size_t level = 0; (table = cpu_kernels_supported(level)); level++)
            run_convolution(t, &k, table->phases[k.op], "integers", 1e-6);
        kernel_test_close(&k);
    }
}

/* Scratch does not grow with the picture, nor with threads that have no work. */
static void scratch_is_bounded(test *t)
{
    const nn_kernel *kernel = cpu_kernels_supported(0)->phases[NN_CONV2D];
    nn_call call = {.op = NN_CONV2D, .attr = {.stride = 2, .padding = 1}, .input_count = 2, .output_count = 1,
                    .threads = 2};
    call.input_shape[1] = nn_shape_of(128, 64, 3, 3);
    size_t bytes[2];
    for (size_t i = 0; i < 2; i++) {
        size_t side = i ? 1500 : 150;
        call.input_shape[0] = nn_shape_of(1, 2 * side, 2 * side, 64);
        call.output_shape[0] = nn_shape_of(1, side, side, 128);
        bytes[i] = kernel->workspace(&call);
    }
    CHECK(t, bytes[1] <= bytes[0] + bytes[0] / 8);
    CHECK(t, bytes[1] < 4 << 20);
    nn_call gradient = {.op = NN_CONV2D_WEIGHT_GRAD, .attr = call.attr, .input_count = 2, .output_count = 1,
                        .input_shape = {call.input_shape[0], call.output_shape[0]},
                        .output_shape = {call.input_shape[1]}};
    kernel = cpu_kernels_supported(0)->phases[NN_CONV2D_WEIGHT_GRAD];
    gradient.threads = 2;
    CHECK(t, kernel->workspace(&gradient) < 8 << 20);
    gradient.threads = 512; /* of which 256 have work, with 4 lanes: 2 parts of 8 x 16 panels */
    size_t many = kernel->workspace(&gradient);
    gradient.threads = 256;
    CHECK(t, kernel->workspace(&gradient) == many);
}

static void dispatch(test *t)
{
    static const convolution phased[] = {{1, 256, 256, 64, 128, 3, 2, 1, false}, {1, 64, 64, 32, 64, 3, 2, 1, false},
                                         {1, 128, 128, 64, 128, 4, 2, 1, false}, {1, 64, 64, 16, 16, 4, 2, 1, false}};
    static const convolution other[] = {{1, 64, 64, 16, 64, 3, 2, 1, false},   /* few channels */
                                        {1, 16, 16, 256, 256, 4, 2, 1, false}, /* few pixels */
                                        {1, 256, 256, 3, 64, 4, 2, 1, false},  /* a picture */
                                        {1, 64, 64, 64, 64, 5, 2, 2, false},   {1, 66, 66, 64, 64, 3, 1, 0, false},
                                        {1, 64, 64, 256, 512, 3, 2, 1, false}}; /* many weights */
    for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
        for (size_t i = 0; i < sizeof phased / sizeof *phased; i++)
            CHECK(t, chosen_kernel(t, op, &phased[i]) == CHOSEN_PHASES);
        for (size_t i = 0; i < sizeof other / sizeof *other; i++)
            CHECK(t, chosen_kernel(t, op, &other[i]) != CHOSEN_PHASES);
    }
}

TEST_MAIN(TEST(network_layers), TEST(partial_tiles), TEST(small_pictures), TEST(channel_tails), TEST(many_tiles),
          TEST(exact_in_integers), TEST(scratch_is_bounded), TEST(dispatch))
