/* Ways of one sum: by conv_tensor.h, or of stride 2 conv_stride.h, where there are channels enough on both sides, by
 * conv_thin.h and conv_narrow.h where there are on one and hardly any on the other, else as the product of a gathered matrix.
 * The data gradient of a convolution of stride 1 is the convolution of dy, with a border of kernel - 1 - padding zeros, by the
 * weight backwards; that of one of stride 2 four smaller ones of dy (conv_group.cu). A weight gradient gathers from x, or from
 * dy along all pixels of x with its border, whichever has fewer channels, and multiplies by the other picture as it lies there.
 */
#include "nn/cuda/conv_bf16.h"

#include "nn/cuda/conv_narrow.h"
#include "nn/cuda/conv_stride.h"
#include "nn/cuda/conv_thin.h"
#include "nn/cuda/gather.h"
#include "nn/cuda/product.h"

static bool fits_border(size_t border) { return border <= PICTURE_MOST_BORDER; }

static nn_layout layout_of(size_t top, size_t left, bool reflect, bool planes)
{
    picture_border border = {(unsigned)top, (unsigned)left, reflect};
    return picture_layout(border, planes ? PICTURE_PLANES : PICTURE_PIXELS);
}

static size_t chunk_of(size_t row, size_t rows) { return cuda_chunk_rows(row * sizeof(__nv_bfloat16), rows); }

/* Convolution, or data gradient: source input 0, weight input 1, result y. */
struct convolution {
    size_t kh, kw, stride, top, left; /* top, left: the source's border */
    size_t source_c, c, pixels;       /* of the result */
    bool backwards, reflect;
    bool phases;  /* a data gradient of stride 2 that is conv_tensor.h's; others of a stride are conv2d.cu's */
    bool strided; /* a convolution of stride 2 that is conv_stride.h's */
};

/* As wide and high as a picture of the layout that the call has as yet. */
static tensor_conv direct_convolution(const nn_call *call, const convolution &v)
{
    nn_shape y = call->output_shape[0];
    tensor_conv conv = {};
    conv.p = picture_of(call, 0);
    conv.weight = call->input[1];
    conv.bias = call->input_count > 2 ? call->input[2] : NULL;
    conv.y = call->output[0];
    conv.halves = call->output_layout[0] == NN_LAYOUT_BF16;
    conv.h = (unsigned)y.dim[NN_H], conv.w = (unsigned)y.dim[NN_W], conv.c = (unsigned)v.c;
    conv.kh = (unsigned)v.kh, conv.kw = (unsigned)v.kw;
    conv.stride = (unsigned)v.stride, conv.padding = (unsigned)call->attr.padding;
    conv.backwards = v.backwards;
    conv.moments = call->output_count > 1 ? call->output[1] : NULL;
    return conv;
}

static convolution convolution_of(const nn_call *call)
{
    const nn_attributes *attr = &call->attr;
    nn_shape w = call->input_shape[1], y = call->output_shape[0];
    convolution v = {};
    v.kh = w.dim[NN_KH], v.kw = w.dim[NN_KW], v.stride = attr->stride;
    v.backwards = call->op == NN_CONV2D_DATA_GRAD;
    v.source_c = call->input_shape[0].dim[NN_C], v.c = y.dim[NN_C];
    v.phases = v.backwards && v.stride == 2 && tensor_phases_suit(call, v.source_c, v.c, v.kh, v.kw);
    if (!v.phases) {
        v.top = v.backwards ? v.kh - 1 - attr->padding : attr->padding;
        v.left = v.backwards ? v.kw - 1 - attr->padding : attr->padding;
    }
    v.reflect = !v.backwards && attr->mode == NN_PAD_REFLECT;
    v.pixels = nn_count(y) / v.c;
    const tensor_conv conv = direct_convolution(call, v);
    v.strided = !v.backwards && v.stride == 2 && stride_conv_suits(call, &conv);
    return v;
}

static bool is_direct(const convolution *v)
{
    return v->phases || v->strided || (v->stride == 1 && tensor_conv_suits(v->source_c, v->c, v->kh, v->kw));
}

/* Whether that is conv2d.cu's: its products of taps, folded. */
static bool folds(const convolution *v, nn_shape source)
{
    size_t taps = v->kh * v->kw, gathered = v->pixels * taps * cuda_padded(v->source_c) * sizeof(__nv_bfloat16);
    return cuda_fold_pays(source.dim[NN_N], nn_count(source) / v->source_c, taps, v->c, gathered);
}

static bool is_thin(const nn_call *call, const convolution *v)
{
    return v->stride == 1 && thin_suits(call, v->source_c, v->c, v->kh, v->kw);
}

static bool is_narrow(const nn_call *call, const convolution *v)
{
    return v->stride == 1 && narrow_suits(call, v->source_c, v->c, v->kh, v->kw);
}

static void run_direct(const nn_call *call)
{
    convolution v = convolution_of(call);
    tensor_conv conv = direct_convolution(call, v);
    if (is_thin(call, &v))
        thin_conv_run(call, &conv);
    else if (is_narrow(call, &v))
        narrow_conv_run(call, &conv);
    else if (v.strided)
        stride_conv_run(call, &conv);
    else
        tensor_conv_run(call, &conv);
}

static void run_gather(const nn_call *call)
{
    convolution v = convolution_of(call);
    picture p = picture_of(call, 0);
    nn_shape y = call->output_shape[0];
    picture_grid grid = {(unsigned)y.dim[NN_H], (unsigned)y.dim[NN_W], (unsigned)v.kh, (unsigned)v.kw,
                         (unsigned)v.stride, 0, 0, v.backwards};
    size_t row = v.kh * v.kw * p.c, chunk = chunk_of(row, v.pixels);
    for (size_t first = 0; first < v.pixels; first += chunk) {
        size_t count = v.pixels - first < chunk ? v.pixels - first : chunk;
        picture_gather(call, &p, &grid, first, count, call->workspace);
        cuda_product product = {};
        product.operands = CUDA_BF16;
        product.transpose_b = true;
        product.m = count, product.n = v.c, product.k = row;
        product.a = call->workspace, product.lda = row;
        product.b = call->input[1], product.ldb = row;
        product.c = call->output[0] + first * v.c, product.ldc = v.c;
        product.alpha = 1;
        product.bias = call->input_count > 2 ? call->input[2] : NULL;
        cuda_multiply_matrices(call, &product);
    }
}

/* Borders that fit a picture, of a convolution and not of one that no picture is made for. */
static bool has_picture(const convolution *v, size_t padding)
{
    if (v->backwards && !v->phases && (v->stride != 1 || padding >= v->kh || padding >= v->kw)) return false;
    return fits_border(v->top) && fits_border(v->left);
}

bool cuda_conv_writes_bf16(const nn_call *call)
{
    if (cuda_operands_of(call) != CUDA_BF16) return false;
    convolution v = convolution_of(call);
    bool thin = is_thin(call, &v);
    return has_picture(&v, call->attr.padding) && (thin || (is_direct(&v) && !is_narrow(call, &v)));
}

static bool prepare_convolution(nn_call *call)
{
    convolution v = convolution_of(call);
    if (!has_picture(&v, call->attr.padding)) return false;
    bool thin = is_thin(call, &v), narrow = !thin && is_narrow(call, &v), direct = thin || narrow || is_direct(&v);
    if (!direct && folds(&v, call->input_shape[0])) return false;
    bool blocks = direct && tensor_by_groups(call);
    call->input_layout[0] = layout_of(v.top, v.left, v.reflect, blocks && v.stride == 1);
    call->input_layout[1] = thin          ? v.backwards ? CUDA_IN_THIN : CUDA_OUT_THIN
                            : narrow      ? v.backwards ? CUDA_IN_NARROW : CUDA_OUT_NARROW
                            : blocks      ? v.backwards ? CUDA_IN_BLOCKS : CUDA_OUT_BLOCKS
                            : v.backwards ? CUDA_IN_TAPS_BF16
                                          : CUDA_OUT_TAPS_BF16;
    call->run = direct ? run_direct : run_gather;
    size_t row = v.kh * v.kw * cuda_padded(v.source_c);
    call->workspace_bytes = direct ? 0 : chunk_of(row, v.pixels) * row * sizeof(__nv_bfloat16);
    return true;
}

size_t cuda_conv_moment_parts(const nn_call *call)
{
    nn_call asked = *call; /* the border is known when it has chosen its layouts */
    if (cuda_operands_of(call) != CUDA_BF16 || !tensor_by_groups(call) || !prepare_convolution(&asked)) return 0;
    convolution v = convolution_of(call);
    tensor_conv conv = direct_convolution(&asked, v);
    if (is_thin(call, &v)) return thin_conv_parts(&conv);
    if (v.strided) return stride_conv_parts(call, &conv);
    return is_direct(&v) && !is_narrow(call, &v) ? tensor_conv_parts(call, &conv) : 0;
}

/* Weight gradients: inputs x, dy. */
struct weight_gradient {
    size_t kh, kw, stride, padding;
    nn_shape x, dy;
    size_t x_c, dy_c;
    bool reflect, direct, from_x, thin;
    bool narrow; /* the data gradient is conv_narrow.h's */
    size_t rows, row; /* of the gathered matrix */
};

static weight_gradient weight_gradient_of(const nn_call *call)
{
    weight_gradient v = {};
    nn_shape w = call->output_shape[0];
    v.kh = w.dim[NN_KH], v.kw = w.dim[NN_KW], v.stride = call->attr.stride, v.padding = call->attr.padding;
    v.x = call->input_shape[0], v.dy = call->input_shape[1];
    v.x_c = v.x.dim[NN_C], v.dy_c = v.dy.dim[NN_C];
    v.reflect = call->attr.mode == NN_PAD_REFLECT;
    v.direct = v.stride == 1 && tensor_weight_grad_suits(v.x_c, v.dy_c, v.kh, v.kw);
    size_t y_pixels = nn_count(v.dy) / v.dy_c;
    size_t x_pixels = v.x.dim[NN_N] * (v.x.dim[NN_H] + 2 * v.padding) * (v.x.dim[NN_W] + 2 * v.padding);
    v.from_x = v.stride > 1 || y_pixels * cuda_padded(v.x_c) <= x_pixels * cuda_padded(v.dy_c) ||
               !fits_border(v.kh - 1) || !fits_border(v.kw - 1);
    v.thin = v.stride == 1 && thin_suits(call, v.from_x ? v.x_c : v.dy_c, v.from_x ? v.dy_c : v.x_c, v.kh, v.kw);
    v.narrow = v.stride == 1 && narrow_suits(call, v.dy_c, v.x_c, v.kh, v.kw);
    v.rows = v.from_x ? y_pixels : x_pixels;
    v.row = v.kh * v.kw * cuda_padded(v.from_x ? v.x_c : v.dy_c);
    return v;
}

/* dy's border: what the data gradient asks for, so that one copy serves both; as a product's operand it has none. */
static size_t dy_border(const weight_gradient *v, size_t kernel)
{
    if (v->direct || (v->thin && v->from_x && v->narrow)) return v->reflect || v->padding >= kernel ? kernel - 1 : kernel - 1 - v->padding;
    return v->from_x ? 0 : kernel - 1;
}

static tensor_weight_grad direct_of(const nn_call *call)
{
    weight_gradient v = weight_gradient_of(call);
    tensor_weight_grad grad = {};
    grad.x = picture_of(call, 0), grad.dy = picture_of(call, 1);
    grad.dw = call->output[0];
    grad.h = (unsigned)v.dy.dim[NN_H], grad.w = (unsigned)v.dy.dim[NN_W], grad.dy_c = (unsigned)v.dy_c;
    grad.top = (unsigned)dy_border(&v, v.kh), grad.left = (unsigned)dy_border(&v, v.kw);
    return grad;
}

static void run_direct_weight(const nn_call *call)
{
    tensor_weight_grad grad = direct_of(call);
    tensor_weight_grad_run(call, &grad);
}

/* The wide picture's pixels: dy's own, or all of x with its border. */
static thin_weight_grad thin_of(const nn_call *call)
{
    weight_gradient v = weight_gradient_of(call);
    thin_weight_grad grad = {};
    grad.wide = picture_of(call, v.from_x ? 1 : 0), grad.thin = picture_of(call, v.from_x ? 0 : 1);
    grad.sums = call->output[0];
    grad.h = v.from_x ? (unsigned)v.dy.dim[NN_H] : grad.wide.h;
    grad.w = v.from_x ? (unsigned)v.dy.dim[NN_W] : grad.wide.w;
    if (v.from_x) grad.top = (unsigned)dy_border(&v, v.kh), grad.left = (unsigned)dy_border(&v, v.kw);
    grad.wide_c = (unsigned)(v.from_x ? v.dy_c : v.x_c);
    grad.kh = (unsigned)v.kh;
    return grad;
}

static void run_thin_weight(const nn_call *call)
{
    thin_weight_grad grad = thin_of(call);
    thin_weight_grad_run(call, &grad);
}

static void run_gather_weight(const nn_call *call)
{
    weight_gradient v = weight_gradient_of(call);
    picture source = picture_of(call, v.from_x ? 0 : 1), other = picture_of(call, v.from_x ? 1 : 0);
    picture_grid grid = {(unsigned)v.dy.dim[NN_H], (unsigned)v.dy.dim[NN_W], (unsigned)v.kh, (unsigned)v.kw,
                         (unsigned)v.stride, 0, 0, false};
    if (!v.from_x) grid.h = other.h, grid.w = other.w, grid.stride = 1, grid.backwards = true;
    size_t chunk = chunk_of(v.row, v.rows);
    for (size_t first = 0; first < v.rows; first += chunk) {
        size_t count = v.rows - first < chunk ? v.rows - first : chunk;
        picture_gather(call, &source, &grid, first, count, call->workspace);
        cuda_product product = {};
        product.operands = CUDA_BF16;
        product.transpose_a = true;
        product.m = v.from_x ? v.dy_c : v.x_c, product.n = v.row, product.k = count;
        product.a = other.data + first * other.c, product.lda = other.c;
        product.b = call->workspace, product.ldb = v.row;
        product.c = call->output[0], product.ldc = v.row;
        product.alpha = 1;
        product.beta = first > 0 ? 1 : 0;
        cuda_multiply_matrices(call, &product);
    }
}

static bool prepare_weight_gradient(nn_call *call)
{
    weight_gradient v = weight_gradient_of(call);
    size_t top = dy_border(&v, v.kh), left = dy_border(&v, v.kw);
    if (!fits_border(v.padding) || !fits_border(top) || !fits_border(left)) return false;
    bool planes = v.thin || (v.direct && tensor_by_groups(call));
    call->input_layout[0] = layout_of(v.padding, v.padding, v.reflect, planes);
    call->input_layout[1] = layout_of(top, left, false, planes);
    call->output_layout[0] = v.thin                 ? v.from_x ? CUDA_OUT_THIN_SUMS : CUDA_IN_THIN_SUMS
                             : v.direct || v.from_x ? CUDA_OUT_TAPS
                                                    : CUDA_IN_TAPS;
    call->run = v.thin ? run_thin_weight : v.direct ? run_direct_weight : run_gather_weight;
    if (v.thin) {
        thin_weight_grad grad = thin_of(call);
        call->workspace_bytes = thin_weight_grad_workspace(call, &grad);
    } else if (v.direct) {
        tensor_weight_grad grad = direct_of(call);
        call->workspace_bytes = tensor_weight_grad_workspace(call, &grad);
    } else {
        call->workspace_bytes = chunk_of(v.row, v.rows) * v.row * sizeof(__nv_bfloat16);
    }
    return true;
}

bool cuda_conv_bf16_prepare(nn_call *call)
{
    if (cuda_operands_of(call) != CUDA_BF16) return false;
    return call->op == NN_CONV2D_WEIGHT_GRAD ? prepare_weight_gradient(call) : prepare_convolution(call);
}
