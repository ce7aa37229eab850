/* conv2d and conv2d_data_grad by products of tiles against the direct sums in double: with AMX where the machine has it, and
 * with loops in place of its instructions anywhere. */
#include "convolution_test.h"

static const double BOUND = 4e-3; /* operands in bf16: conv_tiles.h */

static void check_everywhere(test *t, kernel_test *k)
{
    const cpu_kernel_table *amx = cpu_kernels_tiles();
    k->bound = 12 * BOUND; /* the worst element */
    run_convolution(t, k, cpu_kernels_plain.tiles[k->op], "plain", BOUND);
    if (amx) run_convolution(t, k, amx->tiles[k->op], "amx", BOUND);
}

static void check_all(test *t, const convolution *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (nn_op op = NN_CONV2D; op <= NN_CONV2D_DATA_GRAD; op++) {
            kernel_test k;
            open_direction(&k, &cases[i], op);
            check_everywhere(t, &k);
            kernel_test_close(&k);
        }
}
#define CHECK_ALL(t, cases) check_all(t, cases, sizeof(cases) / sizeof *(cases))

/* n, h, w, ic, oc, kernel, stride, padding, bias */

static void whole_tiles(test *t)
{
    static const convolution cases[] = {
        {1, 18, 18, 32, 32, 3, 1, 0, false}, {1, 16, 16, 32, 64, 3, 1, 1, true},  {2, 34, 18, 64, 32, 3, 1, 0, true},
        {1, 32, 32, 32, 32, 3, 2, 1, false}, {1, 64, 64, 16, 32, 4, 2, 1, true}, {1, 16, 16, 96, 160, 1, 1, 0, true}};
    CHECK_ALL(t, cases);
}

/* Pictures of every width to a tile's and two, in rows and in columns. */
static void parts_of_tiles(test *t)
{
    for (size_t side = 1; side <= 34; side += side < 18 ? 1 : 5) {
        const convolution cases[] = {{1, 5, side, 32, 32, 3, 1, 1, true}, {2, side, 3, 32, 32, 3, 1, 1, false},
                                     {1, side, side, 16, 16, 3, 2, 1, true}};
        CHECK_ALL(t, cases);
    }
}

static void kernels(test *t)
{
    for (size_t kernel = 1; kernel <= 7; kernel++)
        for (size_t stride = 1; stride <= 2; stride++)
            for (size_t padding = 0; padding < kernel; padding++) {
                const convolution cases[] = {{1, 9 + kernel, 12, 32, 16, kernel, stride, padding, padding % 2 == 0}};
                CHECK_ALL(t, cases);
            }
}

static void channel_tails(test *t)
{
    static const convolution cases[] = {
        {1, 8, 9, 40, 64, 3, 1, 0, true},  {1, 6, 10, 24, 128, 3, 1, 1, false}, {1, 7, 7, 128, 40, 3, 2, 0, true},
        {1, 6, 7, 17, 19, 3, 1, 1, true},  {1, 9, 6, 33, 21, 4, 2, 1, true},    {1, 6, 6, 3, 5, 3, 1, 2, true},
        {1, 7, 18, 1, 1, 3, 1, 1, true},   {1, 9, 7, 31, 300, 3, 1, 1, true},   {1, 9, 7, 290, 18, 3, 1, 1, true},
        {1, 9, 7, 256, 40, 4, 2, 1, true}, {1, 5, 21, 40, 512, 3, 1, 1, true}};
    CHECK_ALL(t, cases);
}

/* Several chunks of tiles, images, and blocks of panels. */
static void many_tiles(test *t)
{
    static const convolution cases[] = {{2, 79, 54, 16, 16, 3, 1, 1, true}, {3, 22, 31, 64, 160, 3, 1, 0, false},
                                        {1, 114, 110, 40, 24, 4, 2, 1, true}};
    CHECK_ALL(t, cases);
}

/* A ring is added to what there would be moments of. */
static void check_mirrored(test *t, kernel_test *k)
{
    nn_call call = {.op = k->op, .attr = k->attr, .input_shape = {k->input_shape[0], k->input_shape[1]},
                    .output_shape = {k->output_shape[0]}};
    check_everywhere(t, k);
    CHECK(t, (cpu_kernels_plain.tiles_parts(&call) == 0) == (k->op == NN_CONV2D_DATA_GRAD));
}

static void mirrored_pictures(test *t) { check_mirrored_pictures(t, NN_CONV2D_DATA_GRAD, check_mirrored); }

static void enlarged_pictures(test *t)
{
    check_enlarged_pictures(t, check_everywhere);
    check_enlarged_picture(t, &(convolution){3, 4, 6, 70, 20, 3, 1, 1, true}, check_everywhere); /* part of a vector */
}

/* Small integers are bf16 too: nothing is rounded, whatever the order of sums. */
static void exact_in_integers(test *t)
{
    static const convolution cases[] = {{2, 21, 18, 40, 24, 3, 1, 1, false}, {1, 20, 21, 40, 40, 4, 2, 1, false}};
    for (size_t i = 0; i < 2; i++)
        for (nn_op op = NN_CONV2D; op <= NN_CONV2D_DATA_GRAD; op++) {
            kernel_test k;
            open_direction(&k, &cases[i], op);
            memset(k.expected[0], 0, nn_count(k.output_shape[0]) * sizeof(double));
            for (size_t j = 0; j < 2; j++)
                for (size_t n = 0; n < nn_count(k.input_shape[j]); n++)
                    k.input[j][n] = (float)((n * (7 + j) + n / 16) % 9) - 4;
            each_term(&cases[i], op == NN_CONV2D ? add_to_y : add_to_x, &k);
            k.bound = 0;
            run_convolution(t, &k, cpu_kernels_plain.tiles[op], "plain", 1e-9);
            if (cpu_kernels_tiles()) run_convolution(t, &k, cpu_kernels_tiles()->tiles[op], "amx", 1e-9);
            kernel_test_close(&k);
        }
}

/* A picture in bf16 has no copy in the scratch, if whole tiles read nothing behind it. */
static void reads_where_it_lies(test *t)
{
    static const struct {
        convolution c;
        bool in_place;
    } cases[] = {
        {{1, 18, 18, 32, 32, 3, 1, 0, false}, true},  {{2, 18, 19, 32, 32, 3, 1, 0, false}, true},
        {{1, 19, 19, 32, 32, 3, 1, 0, false}, false}, {{1, 35, 35, 32, 32, 3, 2, 0, false}, false},
        {{1, 18, 18, 40, 32, 3, 1, 0, false}, false}, {{1, 16, 16, 32, 32, 3, 1, 1, false}, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const convolution *c = &cases[i].c;
        nn_call call = {.op = NN_CONV2D, .attr = {.stride = c->stride, .padding = c->padding}, .input_count = 2,
                        .output_count = 1, .input_shape = {x_shape(c), w_shape(c)}, .output_shape = {y_shape(c)}};
        size_t bytes = cpu_kernels_plain.tiles[NN_CONV2D]->workspace(&call);
        call.input_layout[0] = NN_LAYOUT_BF16;
        CHECK(t, (cpu_kernels_plain.tiles[NN_CONV2D]->workspace(&call) < bytes) == cases[i].in_place);
    }
}

/* Which calls come here: those in bf16 with channels and pixels enough, where there are tiles. */
static void dispatch(test *t)
{
    static const struct {
        convolution c;
        bool tiled;
    } cases[] = {
        {{1, 66, 66, 256, 256, 3, 1, 0, false}, true}, {{1, 64, 64, 64, 128, 3, 2, 1, false}, true},
        {{1, 16, 16, 16, 16, 7, 1, 3, false}, true},   {{1, 66, 66, 8, 64, 3, 1, 0, false}, false},
        {{1, 64, 64, 64, 3, 7, 1, 3, false}, false},   {{1, 6, 6, 256, 256, 3, 1, 1, false}, false},
        {{1, 64, 64, 32, 32, 3, 3, 1, false}, false},  {{1, 64, 64, 32, 32, 9, 1, 4, false}, false}};
    cpu_backend cpu = {.tiles = &cpu_kernels_plain}, without = {.tiles = NULL};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
            const convolution *c = &cases[i].c;
            nn_shape x = x_shape(c), w = w_shape(c), y = y_shape(c), all[3][3] = {{x, w, y}, {y, w, x}, {x, y, w}};
            nn_call call = {.op = op, .attr = {.stride = c->stride, .padding = c->padding}, .precision = NN_BF16,
                            .input_shape = {all[op][0], all[op][1]}, .output_shape = {all[op][2]}};
            CHECK(t, cpu_conv2d_is_tiled(&cpu, &call) == cases[i].tiled);
            CHECK(t, !cpu_conv2d_is_tiled(&without, &call));
            call.precision = NN_FP32;
            CHECK(t, !cpu_conv2d_is_tiled(&cpu, &call));
            nn_shape *weight = op == NN_CONV2D_WEIGHT_GRAD ? call.output_shape : &call.input_shape[1];
            call.precision = NN_BF16;
            weight->dim[NN_KW]++; /* one side longer than the other */
            CHECK(t, !cpu_conv2d_is_tiled(&cpu, &call));
        }
}

/* What norms give convolutions is rounded beforehand where there are tiles: nothing may go to Winograd there. */
static void leaves_winograd_nothing(test *t)
{
    cpu_backend cpu = {.tiles = &cpu_kernels_plain};
    size_t found = 0;
    for (size_t i = 0; i < 2 * 24 * 20 * 20; i++)
        for (nn_op op = NN_CONV2D; op <= NN_CONV2D_WEIGHT_GRAD; op++) {
            const convolution c = {1 + i / 2 % 24, 2 + i / 48 % 20, 2 + i / 960, 16, 16, 3 + i % 2, 1, 1, false};
            nn_shape x = x_shape(&c), w = w_shape(&c), y = y_shape(&c), all[3][3] = {{x, w, y}, {y, w, x}, {x, y, w}};
            nn_call call = {.op = op, .attr = {.stride = 1, .padding = 1}, .precision = NN_BF16,
                            .input_shape = {all[op][0], all[op][1]}, .output_shape = {all[op][2]}};
            if (!cpu_conv2d_is_winograd(&call)) continue;
            found++;
            CHECK(t, cpu_conv2d_is_tiled(&cpu, &call));
        }
    CHECK(t, found > 1000);
}

static void can_be_forbidden(test *t)
{
    static const struct {
        const char *most; /* of oneDNN's variable; NULL: it is not there */
        bool allowed;
    } cases[] = {{"AVX2", false}, {"avx512_core_bf16", false}, {"SSE41", false}, {"ALL", true}, {"AVX512_CORE_AMX", true},
                 {"", true},      {NULL, true}};
    const char *before = getenv("ONEDNN_MAX_CPU_ISA");
    char *kept = before ? strdup(before) : NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nn_backend *backend;
        error err = {0};
        if (cases[i].most)
            setenv("ONEDNN_MAX_CPU_ISA", cases[i].most, 1);
        else
            unsetenv("ONEDNN_MAX_CPU_ISA");
        REQUIRE_OK(t, nn_cpu_create(1, &backend, &err), err);
        CHECK(t, ((const cpu_backend *)backend)->tiles == (cases[i].allowed ? cpu_kernels_tiles() : NULL));
        nn_backend_destroy(backend);
    }
    if (kept) setenv("ONEDNN_MAX_CPU_ISA", kept, 1);
    free(kept);
}

TEST_MAIN(TEST(whole_tiles), TEST(parts_of_tiles), TEST(kernels), TEST(channel_tails), TEST(many_tiles),
          TEST(mirrored_pictures), TEST(enlarged_pictures), TEST(exact_in_integers), TEST(reads_where_it_lies),
          TEST(dispatch), TEST(leaves_winograd_nothing), TEST(can_be_forbidden))
