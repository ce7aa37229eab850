/* Convolutions by oneDNN, and the choice between its ways of computing them.
 *
 * Operands are NHWC outside. Inside, oneDNN's kernels are fastest on channels in blocks. Of one AVX2 core's 100
 * GFLOP/s, 3x3 layers of 32 to 256 channels reach 30 to 90 on NHWC, the large pictures least, and 80 to 90 on blocked
 * copies in the workspace, with the reorders that make and unmake them; weight gradients 10 to 60 and 50 to 75. With
 * three channels on a side blocks are mostly padding and plain NHWC wins. Where few channels come out of many, the
 * library gives 5 to 30 either way, and kernels/conv_thin.c takes the call (30 to 80).
 */
#include <stdlib.h>
#include <string.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/kernels/conv_thin.h"
#include "nn/cpu/onednn_steps.h"

enum {
    BLOCK = 8,                 /* channels: fewer are not worth blocked copies */
    GREATEST_COPIES = 1u << 30 /* bytes of blocked copies: larger pictures stay as they are */
};

typedef struct convolution {
    const nn_kernel *thin; /* serves the call by itself; NULL: the steps do */
    onednn_steps steps;
} convolution;

/* oneDNN's view: dims of x and y are (n, c, h, w), of w (out, in, kh, kw). */
typedef struct geometry {
    dnnl_dims_t x, w, y, bias, strides, padding;
    bool has_bias; /* of conv2d; that of a data gradient is added afterwards */
} geometry;

static const nn_shape *shape_x(const nn_call *call)
{
    return call->op == NN_CONV2D_DATA_GRAD ? &call->output_shape[0] : &call->input_shape[0];
}

static const nn_shape *shape_w(const nn_call *call)
{
    return call->op == NN_CONV2D_WEIGHT_GRAD ? &call->output_shape[0] : &call->input_shape[1];
}

static const nn_shape *shape_y(const nn_call *call)
{
    return call->op == NN_CONV2D             ? &call->output_shape[0]
           : call->op == NN_CONV2D_DATA_GRAD ? &call->input_shape[0]
                                             : &call->input_shape[1];
}

static nn_layout layout_x(const nn_call *call)
{
    return call->op == NN_CONV2D_DATA_GRAD ? call->output_layout[0] : call->input_layout[0];
}

static nn_layout layout_y(const nn_call *call)
{
    return call->op == NN_CONV2D             ? call->output_layout[0]
           : call->op == NN_CONV2D_DATA_GRAD ? call->input_layout[0]
                                             : call->input_layout[1];
}

static dnnl_data_type_t type_of(nn_layout activations) { return activations == NN_LAYOUT_BF16 ? dnnl_bf16 : dnnl_f32; }

static status cannot(const nn_call *call, error *err)
{
    nn_shape_text x, w, y;
    return error_set(err, STATUS_FAILED,
                     "no such convolution: input %s, weight %s, output %s, stride %zu, padding %zu",
                     nn_shape_print(*shape_x(call), &x), nn_shape_print(*shape_w(call), &w),
                     nn_shape_print(*shape_y(call), &y), call->attr.stride, call->attr.padding);
}

/* y's size must be (x + 2 padding - kernel) / stride + 1, rounded down: there are data gradients of several sizes. */
static bool fits(const nn_call *call)
{
    const size_t *x = shape_x(call)->dim, *w = shape_w(call)->dim, *y = shape_y(call)->dim;
    size_t stride = call->attr.stride, padding = call->attr.padding;
    if (stride == 0 || nn_count(*shape_x(call)) == 0 || nn_count(*shape_w(call)) == 0) return false;
    if (x[NN_N] != y[NN_N] || x[NN_C] != w[NN_IN] || y[NN_C] != w[NN_OUT]) return false;
    for (int i = 0; i < 2; i++) {
        size_t whole = x[NN_H + i] + 2 * padding, kernel = w[NN_KH + i];
        if (whole < kernel || (whole - kernel) / stride + 1 != y[NN_H + i]) return false;
    }
    if (call->op == NN_CONV2D_WEIGHT_GRAD || call->input_count < 3) return true;
    return nn_shape_equal(call->input_shape[2], nn_shape_vector(call->output_shape[0].dim[NN_C]));
}

static void activation_dims(const nn_shape *s, dnnl_dims_t dims)
{
    const int order[4] = {NN_N, NN_C, NN_H, NN_W};
    for (int i = 0; i < 4; i++) dims[i] = (dnnl_dim_t)s->dim[order[i]];
}

static geometry geometry_of(const nn_call *call)
{
    geometry g = {.has_bias = call->op == NN_CONV2D && call->input_count > 2};
    activation_dims(shape_x(call), g.x);
    activation_dims(shape_y(call), g.y);
    for (int i = 0; i < 4; i++) g.w[i] = (dnnl_dim_t)shape_w(call)->dim[i];
    g.bias[0] = g.y[1];
    for (int i = 0; i < 2; i++) {
        g.strides[i] = (dnnl_dim_t)call->attr.stride;
        g.padding[i] = (dnnl_dim_t)call->attr.padding;
    }
    return g;
}

/* Choosing a primitive. */

typedef struct way {
    dnnl_data_type_t factors;      /* of the operands; the result and a bias are fp32 */
    dnnl_format_tag_t activations; /* of x and y */
    dnnl_alg_kind_t algorithm;
} way;

/* x, w and y for one of the operations. */
static bool describe_operands(const geometry *g, nn_op op, way with, dnnl_memory_desc_t out[3])
{
    const dnnl_data_type_t x = op == NN_CONV2D_DATA_GRAD ? dnnl_f32 : with.factors;
    const dnnl_data_type_t w = op == NN_CONV2D_WEIGHT_GRAD ? dnnl_f32 : with.factors;
    const dnnl_data_type_t y = op == NN_CONV2D ? dnnl_f32 : with.factors;
    return dnnl_memory_desc_init_by_tag(&out[0], 4, g->x, x, with.activations) == dnnl_success &&
           dnnl_memory_desc_init_by_tag(&out[1], 4, g->w, w, dnnl_format_tag_any) == dnnl_success &&
           dnnl_memory_desc_init_by_tag(&out[2], 4, g->y, y, with.activations) == dnnl_success;
}

/* NULL: the library has none. */
static dnnl_primitive_desc_t describe_forward(const struct cpu_onednn *o, const geometry *g, way with)
{
    dnnl_memory_desc_t operand[3], bias;
    dnnl_convolution_desc_t desc;
    dnnl_primitive_desc_t result = NULL;
    bool described = describe_operands(g, NN_CONV2D, with, operand) &&
                     dnnl_memory_desc_init_by_tag(&bias, 1, g->bias, dnnl_f32, dnnl_x) == dnnl_success &&
                     dnnl_convolution_forward_desc_init(&desc, dnnl_forward_training, with.algorithm, &operand[0],
                                                        &operand[1], g->has_bias ? &bias : NULL, &operand[2],
                                                        g->strides, g->padding, g->padding) == dnnl_success;
    if (!described || dnnl_primitive_desc_create(&result, &desc, o->attributes, o->engine, NULL) != dnnl_success)
        return NULL;
    return result;
}

/* The same for any of the operations. */
static dnnl_primitive_desc_t describe(const struct cpu_onednn *o, const geometry *g, nn_op op, way with)
{
    dnnl_primitive_desc_t forward = describe_forward(o, g, with), result = NULL;
    if (op == NN_CONV2D || !forward) return forward;
    /* A gradient is described with the forward one as a hint. */
    dnnl_memory_desc_t operand[3];
    dnnl_convolution_desc_t desc;
    dnnl_status_t code = dnnl_invalid_arguments;
    if (describe_operands(g, op, with, operand))
        code = op == NN_CONV2D_DATA_GRAD
                   ? dnnl_convolution_backward_data_desc_init(&desc, with.algorithm, &operand[0], &operand[1],
                                                              &operand[2], g->strides, g->padding, g->padding)
                   : dnnl_convolution_backward_weights_desc_init(&desc, with.algorithm, &operand[0], &operand[1], NULL,
                                                                 &operand[2], g->strides, g->padding, g->padding);
    if (code == dnnl_success) code = dnnl_primitive_desc_create(&result, &desc, o->attributes, o->engine, forward);
    dnnl_primitive_desc_destroy(forward);
    return code == dnnl_success ? result : NULL;
}

/* A weight gradient gains by blocks even when x has three channels. In bf16 NHWC is as fast or up to a tenth faster. */
static bool prefers_blocks(const nn_call *call)
{
    const nn_shape *x = shape_x(call), *y = shape_y(call);
    if (call->precision == NN_BF16) return false;
    if ((nn_count(*x) + nn_count(*y)) * sizeof(float) > GREATEST_COPIES) return false;
    return call->op == NN_CONV2D_WEIGHT_GRAD || (x->dim[NN_C] >= BLOCK && y->dim[NN_C] >= BLOCK);
}

static bool is_reference(const_dnnl_primitive_desc_t desc)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name) == dnnl_success &&
           strstr(name, "ref") != NULL;
}

/* The first that is not the library's plain loops, or these; NULL: there are none. bf16 comes first where it is asked
 * for, and fp32 serves the shapes that the library has no other kernel for. */
static dnnl_primitive_desc_t choose(const struct cpu_onednn *o, const nn_call *call)
{
    const geometry g = geometry_of(call);
    const bool blocks = prefers_blocks(call);
    const dnnl_format_tag_t first = blocks ? dnnl_format_tag_any : dnnl_nhwc;
    const dnnl_format_tag_t second = blocks ? dnnl_nhwc : dnnl_format_tag_any;
    const way candidate[] = {
        {dnnl_bf16, first, dnnl_convolution_direct}, {dnnl_bf16, second, dnnl_convolution_direct},
        {dnnl_f32, first, dnnl_convolution_direct},  {dnnl_f32, second, dnnl_convolution_direct},
        {dnnl_f32, dnnl_nhwc, dnnl_convolution_auto},
    };
    dnnl_primitive_desc_t last = NULL;
    for (size_t i = call->precision == NN_BF16 ? 0 : 2; i < sizeof candidate / sizeof *candidate; i++) {
        dnnl_primitive_desc_t desc = describe(o, &g, call->op, candidate[i]);
        if (!desc) continue;
        if (last) dnnl_primitive_desc_destroy(last);
        last = desc;
        if (!is_reference(desc)) break;
    }
    return last;
}

/* From a primitive to steps. */

typedef struct operand {
    int argument; /* of the primitive */
    onednn_place place;
    size_t number;               /* of the call's input or output */
    const dnnl_memory_desc_t *desc; /* as the primitive wants it */
    dnnl_memory_t memory, plain; /* the primitive's, the call's; one and the same without a copy */
} operand;

/* `nhwc` is NULL for what has the primitive's layout outside too. */
static status add_operand(onednn_steps *steps, operand *one, const dnnl_memory_desc_t *nhwc, error *err)
{
    bool copy = nhwc && !dnnl_memory_desc_equal(nhwc, one->desc);
    TRY(onednn_add_memory(steps, copy ? nhwc : one->desc, one->place, one->number, &one->plain, err));
    one->memory = one->plain;
    if (!copy) return STATUS_OK;
    TRY(onednn_add_memory(steps, one->desc, ONEDNN_WORKSPACE, 0, &one->memory, err));
    return one->place == ONEDNN_INPUT ? onednn_add_reorder(steps, one->plain, one->memory, err) : STATUS_OK;
}

/* x, w, y, bias of the three operations. */
static void operands_of(nn_op op, const_dnnl_primitive_desc_t desc, operand out[4])
{
    static const operand table[3][3] = {
        {{DNNL_ARG_SRC, ONEDNN_INPUT, 0, NULL, NULL, NULL},
         {DNNL_ARG_WEIGHTS, ONEDNN_INPUT, 1, NULL, NULL, NULL},
         {DNNL_ARG_DST, ONEDNN_OUTPUT, 0, NULL, NULL, NULL}},
        {{DNNL_ARG_DIFF_SRC, ONEDNN_OUTPUT, 0, NULL, NULL, NULL},
         {DNNL_ARG_WEIGHTS, ONEDNN_INPUT, 1, NULL, NULL, NULL},
         {DNNL_ARG_DIFF_DST, ONEDNN_INPUT, 0, NULL, NULL, NULL}},
        {{DNNL_ARG_SRC, ONEDNN_INPUT, 0, NULL, NULL, NULL},
         {DNNL_ARG_DIFF_WEIGHTS, ONEDNN_OUTPUT, 0, NULL, NULL, NULL},
         {DNNL_ARG_DIFF_DST, ONEDNN_INPUT, 1, NULL, NULL, NULL}},
    };
    memcpy(out, table[op == NN_CONV2D ? 0 : op == NN_CONV2D_DATA_GRAD ? 1 : 2], sizeof table[0]);
    for (int i = 0; i < 3; i++)
        out[i].desc = dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, out[i].argument);
    out[3] = (operand){.argument = DNNL_ARG_BIAS, .place = ONEDNN_INPUT, .number = 2,
                       .desc = dnnl_primitive_desc_query_md(desc, dnnl_query_exec_arg_md, DNNL_ARG_BIAS)};
}

static status add_convolution(onednn_steps *steps, const_dnnl_primitive_desc_t desc, nn_call *call, error *err)
{
    const geometry g = geometry_of(call);
    dnnl_memory_desc_t nhwc[2]; /* of x, y */
    dnnl_status_t code = dnnl_memory_desc_init_by_tag(&nhwc[0], 4, g.x, type_of(layout_x(call)), dnnl_nhwc);
    if (code == dnnl_success)
        code = dnnl_memory_desc_init_by_tag(&nhwc[1], 4, g.y, type_of(layout_y(call)), dnnl_nhwc);
    if (code != dnnl_success) return onednn_failed(err, code, "an activation's layout");
    operand operands[4];
    operands_of(call->op, desc, operands);
    const dnnl_memory_desc_t *outside[4] = {&nhwc[0], NULL, &nhwc[1], NULL};
    dnnl_exec_arg_t arguments[4];
    int count = g.has_bias ? 4 : 3;
    for (int i = 0; i < count; i++) {
        TRY(add_operand(steps, &operands[i], outside[i], err));
        arguments[i] = (dnnl_exec_arg_t){operands[i].argument, operands[i].memory};
    }
    TRY(onednn_add_step(steps, desc, arguments, count, err));
    for (int i = 0; i < count; i++)
        if (operands[i].place == ONEDNN_OUTPUT && operands[i].memory != operands[i].plain)
            TRY(onednn_add_reorder(steps, operands[i].memory, operands[i].plain, err));
    nn_layout *layout = call->op == NN_CONV2D_WEIGHT_GRAD ? &call->output_layout[0] : &call->input_layout[1];
    return onednn_layout_number(steps->onednn, operands[1].desc, layout, err);
}

/* The kernel. */

static void convolution_run(const nn_call *call)
{
    const convolution *conv = call->prepared;
    if (conv->thin) {
        conv->thin->run(call);
        return;
    }
    onednn_steps_run(&conv->steps, call);
    if (call->op != NN_CONV2D_DATA_GRAD || call->input_count < 3) return;
    const size_t channels = call->output_shape[0].dim[NN_C], pixels = nn_count(call->output_shape[0]) / channels;
    const float *bias = call->input[2];
#pragma omp parallel for num_threads(call->threads) schedule(static)
    for (size_t p = 0; p < pixels; p++) {
        float *dx = call->output[0] + p * channels;
#pragma omp simd
        for (size_t c = 0; c < channels; c++) dx[c] += bias[c];
    }
}

static status convolution_bind(nn_call *call, error *err)
{
    convolution *conv = call->prepared;
    return conv->thin ? STATUS_OK : onednn_steps_bind(&conv->steps, call, err);
}

static void convolution_release(nn_call *call)
{
    convolution *conv = call->prepared;
    if (!conv) return;
    onednn_steps_free(&conv->steps);
    free(conv);
    call->prepared = NULL;
}

static status convolution_steps(convolution *conv, nn_call *call, error *err)
{
    dnnl_primitive_desc_t desc = choose(conv->steps.onednn, call);
    if (!desc) return cannot(call, err);
    status result = add_convolution(&conv->steps, desc, call, err);
    dnnl_primitive_desc_destroy(desc);
    call->workspace_bytes = conv->steps.workspace_bytes;
    return result;
}

static status convolution_prepare(nn_backend *backend, nn_call *call, error *err)
{
    if (!fits(call)) return cannot(call, err);
    const cpu_backend *cpu = (const cpu_backend *)backend;
    convolution *conv = calloc(1, sizeof *conv);
    if (!conv) return error_no_memory(err, "a convolution", sizeof *conv);
    call->prepared = conv;
    conv->steps.onednn = cpu->onednn;
    if (cpu_conv_thin_fits(call)) {
        conv->thin = cpu->kernels->thin[call->op];
        call->workspace_bytes = conv->thin->workspace(call);
        return STATUS_OK;
    }
    int before = onednn_use_threads(cpu->onednn->threads);
    status result = convolution_steps(conv, call, err);
    onednn_use_threads(before);
    if (result != STATUS_OK) convolution_release(call);
    return result;
}

#define CONVOLUTION                                                                                                   \
    {                                                                                                                 \
        .run = convolution_run, .prepare = convolution_prepare, .bind = convolution_bind,                             \
        .release = convolution_release,                                                                               \
    }
const nn_kernel cpu_onednn_conv2d = CONVOLUTION;
const nn_kernel cpu_onednn_conv2d_data_grad = CONVOLUTION;
const nn_kernel cpu_onednn_conv2d_weight_grad = CONVOLUTION;
