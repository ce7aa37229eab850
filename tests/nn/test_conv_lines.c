/* The convolutions that filter rows against the direct sums in double, on every instruction set, and which shapes get
 * them. */
#include "convolution_test.h"

static const double BOUND = 1e-5; /* conv_lines.h */

static const nn_kernel *kernel_of(const kernel_test *k, const cpu_kernel_table *table)
{
    if (k->op == NN_CONV2D_WEIGHT_GRAD) return table->lines_weight;
    return k->output_shape[0].dim[NN_C] <= 4 ? table->to_few : table->to_many;
}

static void run_all(test *t, kernel_test *k)
{
    const cpu_kernel_table *table;
    k->bound = 5 * BOUND; /* the worst of many elements */
    for (size_t level = 0; (table = cpu_kernels_supported(level)); level++)
        run_convolution(t, k, kernel_of(k, table), (const char *[]){"base", "v3", "v4"}[level], BOUND);
}

static void check_all(test *t, const convolution *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
            kernel_test k;
            open_direction(&k, &cases[i], op);
            run_all(t, &k);
            kernel_test_close(&k);
        }
}
#define CHECK_ALL(t, cases) check_all(t, cases, sizeof(cases) / sizeof *(cases))

/* n, h, w, ic, oc, kernel, stride, padding, bias */

static void network_layers(test *t)
{
    static const convolution cases[] = {{1, 38, 38, 3, 32, 7, 1, 0, false}, {1, 38, 38, 32, 3, 7, 1, 0, true},
                                        {1, 32, 32, 64, 3, 7, 1, 3, true},  {2, 32, 32, 3, 64, 7, 1, 3, false}};
    CHECK_ALL(t, cases);
}

/* Each number of channels on the small side; channels that end in half a panel, and whole ones. */
static void channels(test *t)
{
    for (size_t few = 1; few <= 4; few++)
        for (size_t many = 16; many <= 80; many += 16) {
            convolution cases[] = {{1, 9, 21, few, many, 7, 1, 3, few % 2}, {1, 9, 21, many, few, 7, 1, 3, few % 2}};
            CHECK_ALL(t, cases);
        }
}

/* Rows that end in a part of a tile, pictures of a row or column, all paddings. */
static void odd_sides(test *t)
{
    for (size_t padding = 0; padding < 7; padding++) {
        size_t least = padding < 3 ? 7 - 2 * padding : 1;
        convolution cases[] = {
            {1, least, least, 3, 16, 7, 1, padding, true},      {2, least, least + 18, 16, 3, 7, 1, padding, false},
            {1, least + 4, least + 1, 2, 32, 7, 1, padding, true}, {1, least + 11, least + 2, 16, 4, 7, 1, padding, true},
            {3, least + 2, least + 7, 16, 1, 7, 1, padding, false}};
        CHECK_ALL(t, cases);
    }
}

/* Several bands and segments of rows, the last one shorter, several strips of columns, several images. */
static void many_rows(test *t)
{
    static const convolution cases[] = {{2, 75, 43, 3, 16, 7, 1, 3, true},  {2, 83, 39, 16, 3, 7, 1, 3, true},
                                        {1, 135, 24, 32, 2, 7, 1, 0, true}, {1, 23, 150, 4, 48, 7, 1, 6, false},
                                        {1, 17, 301, 16, 4, 7, 1, 2, true}};
    CHECK_ALL(t, cases);
}

static void mirrored_pictures(test *t)
{
    static const convolution cases[] = {
        {1, 32, 32, 3, 32, 7, 1, 3, true}, {1, 32, 32, 32, 3, 7, 1, 3, true},  {2, 5, 9, 16, 4, 7, 1, 4, false},
        {2, 9, 5, 2, 16, 7, 1, 4, true},   {1, 70, 13, 16, 1, 7, 1, 3, false}, {1, 4, 66, 1, 48, 7, 1, 3, false},
        {1, 7, 7, 16, 3, 7, 1, 6, true}};
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        const convolution *c = &cases[i / 2];
        const bool of_w = i % 2;
        kernel_test k;
        nn_shape x = x_shape(c), w = w_shape(c), y = y_shape(c), in[3] = {x, of_w ? y : w, nn_shape_vector(c->oc)};
        nn_attributes attr = {.stride = 1, .padding = c->padding, .mode = NN_PAD_REFLECT};
        kernel_test_open(&k, of_w ? NN_CONV2D_WEIGHT_GRAD : NN_CONV2D, attr, c->bias && !of_w ? 3 : 2, in, 1,
                         of_w ? &w : &y);
        for (size_t j = 0; j < k.input_count; j++) kernel_test_fill(&k, j, -1, 1);
        for (size_t j = 0; k.input_count > 2 && j < nn_count(y); j++) k.expected[0][j] = k.input[2][j % c->oc];
        each_mirrored_term(c, of_w ? add_to_w : add_to_y, &k);
        k.floor = root_mean_square(k.expected[0], nn_count(k.output_shape[0]));
        run_all(t, &k);
        kernel_test_close(&k);
    }
}

/* Pixels on a large level, whose products cancel: the error is one of the terms' size, not more. */
static void large_mean(test *t)
{
    convolution c = {1, 20, 20, 16, 3, 7, 1, 3, false};
    kernel_test k;
    nn_shape x = x_shape(&c), w = w_shape(&c), y = y_shape(&c);
    kernel_test_open(&k, NN_CONV2D, (nn_attributes){.stride = 1, .padding = 3}, 2, (nn_shape[]){x, w}, 1, &y);
    kernel_test_fill(&k, 0, 100, 101);
    kernel_test_fill(&k, 1, -1, 1);
    each_term(&c, add_to_y, &k);
    k.floor = root_mean_square(k.expected[0], nn_count(y));
    run_all(t, &k);
    kernel_test_close(&k);
}

/* Scratch does not grow with the height of the picture. */
static void scratch_is_bounded(test *t)
{
    const cpu_kernel_table *table = cpu_kernels_supported(0);
    for (size_t i = 0; i < 2; i++) {
        size_t in = i ? 32 : 3, out = i ? 3 : 32, bytes[2];
        for (size_t j = 0; j < 2; j++) {
            convolution c = {1, j ? 5000 : 500, 500, in, out, 7, 1, 3, false};
            nn_call call = {.op = NN_CONV2D, .attr = {.stride = 1, .padding = 3}, .input_count = 2, .output_count = 1,
                            .threads = 2, .input_shape = {x_shape(&c), w_shape(&c)}, .output_shape = {y_shape(&c)}};
            bytes[j] = (i ? table->to_few : table->to_many)->workspace(&call);
        }
        CHECK(t, bytes[0] == bytes[1]);
        CHECK(t, bytes[0] < 2 << 20);
    }
}

/* Nor with threads that get nothing to do: a strip of a wide picture has one band. */
static void scratch_of_threads(test *t)
{
    const cpu_kernel_table *table;
    for (size_t level = 0; (table = cpu_kernels_supported(level)); level++)
        for (size_t i = 0; i < 3; i++) {
            convolution c = {1, 8, i == 1 ? 16 : 4000, i == 1 ? 64 : 3, i == 1 ? 3 : 64, 7, 1, 3, false};
            const nn_kernel *kernel = ((const nn_kernel *[]){table->to_many, table->to_few, table->lines_weight})[i];
            nn_shape w = w_shape(&c), y = y_shape(&c);
            nn_call call = {.op = i < 2 ? NN_CONV2D : NN_CONV2D_WEIGHT_GRAD, .attr = {.stride = 1, .padding = 3},
                            .input_count = 2, .output_count = 1, .input_shape = {x_shape(&c), i < 2 ? w : y},
                            .output_shape = {i < 2 ? y : w}};
            size_t bytes[2];
            for (size_t j = 0; j < 2; j++) {
                call.threads = j ? 64 : 1;
                bytes[j] = kernel->workspace(&call);
            }
            CHECK(t, bytes[0] == bytes[1]);
        }
}

static void dispatch(test *t)
{
    static const convolution lines[] = {{1, 70, 70, 3, 64, 7, 1, 0, false}, {1, 70, 70, 64, 3, 7, 1, 0, false}};
    static const convolution other[] = {{1, 70, 70, 16, 16, 7, 1, 0, false}, /* many channels on both sides */
                                        {1, 70, 70, 3, 24, 7, 1, 0, false},  /* no whole vectors */
                                        {1, 70, 70, 3, 64, 5, 1, 0, false},
                                        {1, 70, 70, 64, 3, 7, 2, 3, false},
                                        {1, 16, 16, 3, 64, 7, 1, 0, false}}; /* few pixels */
    for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
        for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
            CHECK(t, chosen_kernel(t, op, &lines[i]) == CHOSEN_LINES);
        for (size_t i = 0; i < sizeof other / sizeof *other; i++)
            CHECK(t, chosen_kernel(t, op, &other[i]) != CHOSEN_LINES);
    }
}

TEST_MAIN(TEST(network_layers), TEST(channels), TEST(odd_sides), TEST(many_rows), TEST(mirrored_pictures),
          TEST(large_mean), TEST(scratch_is_bounded), TEST(scratch_of_threads), TEST(dispatch))
