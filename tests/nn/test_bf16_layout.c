/* Kernels whose tensors are in NN_LAYOUT_BF16, against the same kernels on the same numbers in floats, bit for bit: what
 * is read counts as it stands, and what is written is the float rounded. The kernels in floats have oracles of their own. */
#include "kernel_test.h"
#include "nn/cpu/conv2d.h"
#include "nn/cpu/kernels/bf16.h"
#include "nn/plan.h"
#include "nn/program.h"

typedef struct bench {
    nn_backend *backend; /* NULL: the kernel needs none */
    const nn_kernel *kernel;
    const char *name;
    nn_call call; /* operation, attributes, shapes */
    float *input[NN_MAX_INPUTS];
    unsigned may_read, may_write; /* bit i: input, output i */
    bool reads_as_it_writes;      /* in bf16 only to write it */
} bench;

/* Numbers of bf16, in floats. */
static float *numbers(size_t count, uint32_t stream)
{
    float *out = malloc(count * sizeof *out);
    for (size_t i = 0; i < count; i++) out[i] = cpu_from_bf16(cpu_to_bf16(rng_normal(5, RNG_TEST, stream, (uint32_t)i)));
    return out;
}

static void open_bench(bench *b, nn_op op, nn_attributes attr, size_t inputs, const nn_shape *shape, size_t outputs,
                       const nn_shape *result)
{
    *b = (bench){.call = {.op = op, .attr = attr, .input_count = inputs, .output_count = outputs, .threads = 2,
                          .precision = NN_BF16}};
    for (size_t i = 0; i < inputs; i++) {
        b->call.input_shape[i] = shape[i];
        b->input[i] = numbers(nn_count(shape[i]), (uint32_t)i);
    }
    for (size_t i = 0; i < outputs; i++) b->call.output_shape[i] = result[i];
}

static void close_bench(bench *b)
{
    for (size_t i = 0; i < b->call.input_count; i++) free(b->input[i]);
}

static size_t bytes_of(const bench *b, nn_shape s, nn_layout layout)
{
    if (b->backend) return b->backend->interface->layout_bytes(b->backend, layout, s);
    return nn_count(s) * (layout == NN_LAYOUT_BF16 ? sizeof(uint16_t) : sizeof(float));
}

/* Input i in its layout; weights in one of oneDNN's are its numbers again and again, whatever place each has. */
static void fill(const bench *b, const nn_call *call, size_t i, void *out)
{
    size_t count = nn_count(call->input_shape[i]);
    if (call->input_layout[i] == NN_LAYOUT_PLAIN) {
        memcpy(out, b->input[i], count * sizeof(float));
        return;
    }
    size_t numbers_there = bytes_of(b, call->input_shape[i], call->input_layout[i]) / sizeof(uint16_t);
    for (size_t k = 0; k < numbers_there; k++) ((uint16_t *)out)[k] = cpu_to_bf16(b->input[i][k % count]);
}

/* Inputs `reads` and outputs `writes` in bf16. The outputs, in bytes as they came, are the caller's to free. */
static void run(test *t, const bench *b, unsigned reads, unsigned writes, unsigned char *output[NN_MAX_OUTPUTS])
{
    nn_call call = b->call;
    unsigned char *in[NN_MAX_INPUTS], *out[NN_MAX_OUTPUTS], *work;
    error err = {0};
    call.run = b->kernel->run;
    call.backend = b->backend;
    for (size_t i = 0; i < call.input_count; i++) call.input_layout[i] = reads >> i & 1 ? NN_LAYOUT_BF16 : NN_LAYOUT_PLAIN;
    for (size_t i = 0; i < call.output_count; i++)
        call.output_layout[i] = writes >> i & 1 ? NN_LAYOUT_BF16 : NN_LAYOUT_PLAIN;
    if (b->kernel->prepare) REQUIRE_OK(t, b->kernel->prepare(b->backend, &call, &err), err);
    if (b->kernel->workspace) call.workspace_bytes = b->kernel->workspace(&call);
    for (size_t i = 0; i < call.input_count; i++) {
        call.input[i] = kernel_test_guarded(bytes_of(b, call.input_shape[i], call.input_layout[i]), &in[i]);
        fill(b, &call, i, nn_call_mutable(&call, i));
    }
    for (size_t i = 0; i < call.output_count; i++)
        call.output[i] = kernel_test_guarded(bytes_of(b, call.output_shape[i], call.output_layout[i]), &out[i]);
    call.workspace = kernel_test_guarded(call.workspace_bytes, &work);
    if (b->kernel->bind) REQUIRE_OK(t, b->kernel->bind(&call, &err), err);
    call.run(&call);
    for (size_t i = 0; i < call.output_count; i++) {
        size_t bytes = bytes_of(b, call.output_shape[i], call.output_layout[i]);
        output[i] = malloc(bytes);
        memcpy(output[i], call.output[i], bytes);
        CHECK(t, kernel_test_guards_hold(out[i], bytes));
        free(out[i]);
    }
    CHECK(t, kernel_test_guards_hold(work, call.workspace_bytes));
    for (size_t i = 0; i < call.input_count; i++) free(in[i]);
    free(work);
    if (b->kernel->release) b->kernel->release(&call);
}

static void compare(test *t, const bench *b, unsigned reads, unsigned writes, unsigned char *const *plain,
                    unsigned char *const *rounded)
{
    for (size_t i = 0; i < b->call.output_count; i++) {
        size_t count = nn_count(b->call.output_shape[i]);
        bool bf16 = writes >> i & 1;
        uint16_t *expected = malloc(count * sizeof *expected);
        if (bf16) cpu_narrow((const float *)(const void *)plain[i], count, expected);
        size_t bytes = count * (bf16 ? sizeof(uint16_t) : sizeof(float));
        if (memcmp(rounded[i], bf16 ? (const void *)expected : plain[i], bytes) != 0) {
            nn_shape_text x;
            test_failed(t, __FILE__, __LINE__, "op %d, %s, input %s, reads %x, writes %x: other bits in output %zu",
                        (int)b->call.op, b->name, nn_shape_print(b->call.input_shape[0], &x), reads, writes, i);
        }
        free(expected);
    }
}

/* Every choice of operands. */
static void check(test *t, const bench *b)
{
    unsigned char *plain[NN_MAX_OUTPUTS], *rounded[NN_MAX_OUTPUTS];
    run(t, b, 0, 0, plain);
    for (unsigned reads = 0; reads <= b->may_read; reads++)
        for (unsigned writes = 0; writes <= b->may_write; writes++) {
            if (reads & ~b->may_read || writes & ~b->may_write || !(reads | writes)) continue;
            if (b->reads_as_it_writes && reads && !writes) continue;
            run(t, b, reads, writes, rounded);
            compare(t, b, reads, writes, plain, rounded);
            for (size_t i = 0; i < b->call.output_count; i++) free(rounded[i]);
        }
    for (size_t i = 0; i < b->call.output_count; i++) free(plain[i]);
}

static void check_levels(test *t, bench *b)
{
    const cpu_kernel_table *table;
    for (size_t level = 0; (table = cpu_kernels_supported(level)); level++) {
        b->name = (const char *[]){"base", "v3", "v4"}[level];
        b->kernel = table->kernel[b->call.op];
        check(t, b);
    }
    close_bench(b);
}

static void rounding(test *t)
{
    CHECK(t, cpu_to_bf16(1.0f) == 0x3f80 && cpu_to_bf16(-2.0f) == 0xc000);
    CHECK(t, cpu_to_bf16(1.00390625f) == 0x3f80); /* halfway: to even */
    CHECK(t, cpu_to_bf16(1.01171875f) == 0x3f82);
    CHECK(t, cpu_to_bf16(1.0039064f) == 0x3f81);
    CHECK(t, cpu_to_bf16(3.4e38f) == 0x7f80 && cpu_to_bf16(INFINITY) == 0x7f80);
    CHECK(t, isnan(cpu_from_bf16(cpu_to_bf16(NAN))));
    uint32_t low = 0x7f800001; /* a NaN whose upper half is infinity's */
    float value;
    memcpy(&value, &low, sizeof value);
    CHECK(t, isnan(cpu_from_bf16(cpu_to_bf16(value))));
}

static const size_t channels[] = {1, 3, 17, 32, 40, 600};
enum { WIDTHS = sizeof channels / sizeof *channels };

static void padding(test *t)
{
    for (size_t i = 0; i < WIDTHS; i++)
        for (nn_pad_mode mode = NN_PAD_ZERO; mode <= NN_PAD_EDGE; mode++) {
            bench b;
            nn_shape x = nn_shape_of(2, 5, 7, channels[i]), y = nn_shape_of(2, 5 + 3, 7 + 5, channels[i]);
            open_bench(&b, NN_PAD, (nn_attributes){.mode = mode, .top = 2, .bottom = 1, .left = 3, .right = 2}, 1, &x, 1,
                       &y);
            b.may_read = b.may_write = 1;
            b.reads_as_it_writes = true;
            check_levels(t, &b);
        }
}

static void norms(test *t)
{
    for (size_t i = 0; i < WIDTHS; i++) {
        bench b;
        nn_shape x = nn_shape_of(2, 11, 13, channels[i]), statistics = nn_shape_of(2, 1, 2, channels[i]);
        nn_attributes attr = {.epsilon = 1e-5f, .activation = i % 2 ? NN_RELU : NN_LINEAR};
        open_bench(&b, NN_INSTANCE_NORM, attr, 1, &x, 2, (nn_shape[]){x, statistics});
        b.may_read = b.may_write = 1;
        check_levels(t, &b);
        open_bench(&b, NN_INSTANCE_NORM_GRAD, attr, 3, (nn_shape[]){x, statistics, x}, 1, &x);
        b.may_read = b.may_write = 1;
        check_levels(t, &b);
    }
}

/* x of `side`, through a kernel of the side and stride. */
static void check_convolution(test *t, nn_backend *backend, size_t side, size_t in, size_t out, size_t kernel,
                              size_t stride, size_t padding)
{
    size_t result = (side + 2 * padding - kernel) / stride + 1;
    nn_shape x = nn_shape_of(1, side, side, in), w = nn_shape_of(out, in, kernel, kernel);
    nn_shape y = nn_shape_of(1, result, result, out), operands[3][3] = {{x, w, y}, {y, w, x}, {x, y, w}};
    const nn_kernel *kernels[] = {&cpu_conv2d, &cpu_conv2d_data_grad, &cpu_conv2d_weight_grad};
    for (int i = 0; i < 3; i++) {
        bench b;
        nn_op op = (nn_op[]){NN_CONV2D, NN_CONV2D_DATA_GRAD, NN_CONV2D_WEIGHT_GRAD}[i];
        open_bench(&b, op, (nn_attributes){.stride = stride, .padding = padding}, 2, operands[i], 1, &operands[i][2]);
        b.backend = backend;
        b.kernel = kernels[i];
        b.name = "the backend";
        for (size_t n = 0; n < 2; n++)
            if (backend->interface->reads_bf16(backend, &b.call, n)) b.may_read |= 1u << n;
        if (backend->interface->writes_bf16(backend, &b.call, 0)) b.may_write = 1;
        nn_call mirrored = b.call; /* a ring is added to dx, in fp32 */
        mirrored.attr.mode = NN_PAD_REFLECT;
        CHECK(t, op != NN_CONV2D_DATA_GRAD || !backend->interface->writes_bf16(backend, &mirrored, 0));
        CHECK(t, b.may_read == (op == NN_CONV2D_WEIGHT_GRAD ? 3 : 1) && b.may_write == (op != NN_CONV2D_WEIGHT_GRAD));
        check(t, &b);
        close_bench(&b);
    }
}

/* From few channels to many: the kernel itself has no instructions of bf16. */
static void pictures(test *t)
{
    const cpu_kernel_table *table;
    for (size_t i = 0; i < 2; i++) {
        bench b;
        nn_shape few = nn_shape_of(2, 12, 21, 3), many = nn_shape_of(2, 12, 21, 48);
        open_bench(&b, i ? NN_CONV2D_DATA_GRAD : NN_CONV2D, (nn_attributes){.stride = 1, .padding = 3}, 2,
                   (nn_shape[]){few, i ? nn_shape_of(3, 48, 7, 7) : nn_shape_of(48, 3, 7, 7)}, 1, &many);
        b.may_write = 1;
        for (size_t level = 0; (table = cpu_kernels_supported(level)); level++) {
            b.name = (const char *[]){"base", "v3", "v4"}[level];
            b.kernel = table->to_many;
            check(t, &b);
        }
        close_bench(&b);
    }
}

/* NULL: skipped, or failed. */
static nn_backend *open_with_bf16(test *t)
{
    nn_backend *backend = NULL;
    error err = {0};
    if (nn_cpu_create(2, &backend, &err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
        return NULL;
    }
    if (nn_precision_check(backend, NN_BF16, NULL) == STATUS_OK) return backend;
    nn_backend_destroy(backend);
    t->skipped = "this CPU has no AVX512-BF16, or ONEDNN_MAX_CPU_ISA forbids it";
    return NULL;
}

static void convolutions(test *t)
{
    nn_backend *backend = open_with_bf16(t);
    if (!backend) return;
    const cpu_kernel_table *amx = ((cpu_backend *)backend)->tiles;
    for (int i = 0; i < (amx ? 3 : 2); i++) {
        ((cpu_backend *)backend)->tiles = i == 0 ? NULL : i == 1 ? &cpu_kernels_plain : amx;
        check_convolution(t, backend, 24, 16, 32, 3, 1, 1); /* Winograd's: whole tiles, parts of tiles, parts of panels */
        check_convolution(t, backend, 23, 40, 24, 3, 1, 1);
        check_convolution(t, backend, 30, 17, 19, 3, 1, 1);
        check_convolution(t, backend, 24, 16, 32, 3, 2, 1); /* oneDNN's */
        check_convolution(t, backend, 17, 64, 40, 4, 2, 1);
        check_convolution(t, backend, 9, 8, 16, 4, 1, 1);
        check_convolution(t, backend, 18, 32, 32, 3, 1, 0); /* which tiles read as it is, if it is in bf16 */
        check_convolution(t, backend, 33, 64, 32, 3, 2, 0);
    }
    nn_backend_destroy(backend);
}

static nn_value normalised(nn_graph *g, nn_value x) { return nn_relu(g, nn_instance_norm(g, x, 1e-5f)); }

/* The gradients of weights: a convolution, one of a mirrored picture, which can be read if `keep`, and a transposed one
 * with a bias, each with a norm behind it; and one of a mirrored picture to few channels, which reads it in fp32. */
static nn_graph *open_step(bool keep)
{
    nn_graph *g = nn_graph_create();
    nn_value w[4], gradients[4];
    for (size_t i = 0; i < 4; i++)
        w[i] = nn_input(g, (const char *[]){"w1", "w2", "w3", "w4"}[i], nn_shape_of(i < 3 ? 16 : 3, 16, 3, 3));
    nn_value x = nn_input(g, "x", nn_shape_of(1, 24, 24, 16)), bias = nn_input(g, "bias", nn_shape_vector(16));
    nn_value padded = nn_pad(g, normalised(g, nn_conv2d(g, x, w[0], 1, 1)), NN_PAD_REFLECT, 1);
    nn_value y = normalised(g, nn_conv2d(g, padded, w[1], 1, 0));
    y = normalised(g, nn_bias(g, nn_conv2d_transpose(g, y, w[2], 2, 1, 1), bias));
    y = nn_conv2d(g, nn_pad(g, y, NN_PAD_REFLECT, 1), w[3], 1, 0);
    nn_grad(g, nn_mean_square(g, y, NN_NONE, 0.5f), w, 4, gradients);
    for (size_t i = 0; i < 4; i++) nn_output(g, gradients[i]);
    if (keep) nn_output(g, padded);
    return g;
}

/* One node of such a step. */
static void check_planned(test *t, const nn_call *call)
{
    const cpu_backend *cpu = (const cpu_backend *)call->backend;
    const cpu_kernel_table *tiles = cpu->tiles;
    bool reads = call->input_layout[0] == NN_LAYOUT_BF16, writes = call->output_layout[0] == NN_LAYOUT_BF16;
    switch (call->op) {
    case NN_CONV2D:
    case NN_CONV2D_DATA_GRAD:
    case NN_CONV2D_WEIGHT_GRAD:
        if (tiles) CHECK(t, cpu_conv2d_is_tiled(cpu, call) == (call->run == tiles->tiles[call->op]->run));
        if (call->op == NN_CONV2D_DATA_GRAD && call->input_count == 3) CHECK(t, writes == (tiles != NULL));
        break;
    case NN_PAD: CHECK(t, reads == writes); break;
    case NN_INSTANCE_NORM_GRAD: CHECK(t, writes == (tiles != NULL)); break;
    default: break;
    }
}

/* What a program keeps in bf16, and which kernels it runs: where tiles round gradients as they read, norms write them so. */
static void plans(test *t)
{
    nn_backend *backend = open_with_bf16(t);
    if (!backend) return;
    for (int i = 0; i < 4; i++) {
        bool keep = i % 2;
        ((cpu_backend *)backend)->tiles = i < 2 ? NULL : &cpu_kernels_plain;
        nn_graph *g = open_step(keep);
        nn_draft d;
        error err = {0};
        status result = nn_draft_create(&d, g, backend, &err);
        d.precision = NN_BF16;
        if (result == STATUS_OK) result = nn_draft_prune(&d, &err);
        if (result == STATUS_OK) result = nn_draft_fuse(&d, &err);
        if (result == STATUS_OK) result = nn_draft_choose_layouts(&d, &err);
        if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
        size_t pads = 0, narrow = 0;
        for (size_t n = 0; result == STATUS_OK && n < d.node_count; n++) {
            check_planned(t, &d.calls[n]);
            pads += d.calls[n].op == NN_PAD;
            narrow += d.calls[n].op == NN_PAD && d.calls[n].output_layout[0] == NN_LAYOUT_BF16;
        }
        CHECK(t, pads == 2 && narrow == (keep ? 0 : 1));
        nn_draft_free(&d);
        nn_graph_destroy(g);
    }
    nn_backend_destroy(backend);
}

TEST_MAIN(TEST(rounding), TEST(padding), TEST(norms), TEST(pictures), TEST(convolutions), TEST(plans))
