/* Convolutions as matrix products, but for those that go to winograd.h or conv_bf16.h. Each has two forms, which gather
 * or fold along different grids:
 *
 *   gather  a row for each pixel of the result with all that it meets, times the weight as rows of the result's channels
 *   fold    each pixel of the source times the weight as rows of the source's channels, a product for each tap, and then
 *           every pixel of the result adds up the taps that it meets
 *
 * Both do the same work but for strides: a gather along a strided data gradient would meet mostly zeros, a fold along a
 * strided convolution would compute products that nobody meets. What they cost is the matrix between picture and
 * product, written and read once: pixels of the result x taps x channels of the source for a gather, pixels of the
 * source x taps x channels of the result for a fold. The smaller is taken. So a last layer of 64 channels to 3 folds
 * (49 x 3 numbers a pixel instead of 49 x 64), and so does the gradient of a first one.
 *
 * A weight gradient gathers along y's grid from x, or along x's from y, whichever has fewer channels, and multiplies by
 * what lies on the grid.
 *
 * Gathered rows, and folded products by whole pictures, are made and used in chunks that stay in the second-level cache.
 */
#include "nn/cuda/conv_bf16.h"
#include "nn/cuda/gather.h"
#include "nn/cuda/launch.h"
#include "nn/cuda/product.h"
#include "nn/cuda/winograd.h"

/* How one call is done. */
struct plan {
    cuda_mapping m;
    size_t images, source_c, c; /* c: channels on the destination's grid */
    size_t source_pixels, pixels; /* of all images */
    bool bf16, fold;
    size_t row;   /* elements of a row of the matrix */
    size_t chunk; /* rows of a gathered matrix, or pictures of a folded one, that exist at once */
};

static size_t element_bytes(const plan *p) { return p->bf16 ? sizeof(__nv_bfloat16) : sizeof(float); }
static size_t padded_to_cache_line(size_t bytes) { return (bytes + 255) / 256 * 256; }

/* Elements from row to row of a picture's pixels as an operand, and its bytes: converted, or where it lies. */
static size_t operand_stride(const plan *p, size_t c) { return p->bf16 ? cuda_padded(c) : c; }
static size_t operand_bytes(const plan *p, size_t rows, size_t c)
{
    return p->bf16 ? padded_to_cache_line(rows * cuda_padded(c) * sizeof(__nv_bfloat16)) : 0;
}

static const void *operand(const nn_call *call, const plan *p, const float *x, size_t rows, size_t c, void *space)
{
    if (!p->bf16) return x;
    cuda_to_bf16(call, x, rows, c, space);
    return space;
}

static void set_chunk(plan *p)
{
    p->row = cuda_padded(p->m.kh * p->m.kw * p->source_c);
    p->chunk = cuda_chunk_rows(p->row * element_bytes(p), p->pixels);
}

static plan plan_between(const nn_call *call, const cuda_mapping *m, nn_shape source, nn_shape destination)
{
    plan p = {};
    p.m = *m;
    p.images = source.dim[NN_N];
    p.source_c = source.dim[NN_C];
    p.c = destination.dim[NN_C];
    p.source_pixels = nn_count(source) / p.source_c;
    p.pixels = nn_count(destination) / p.c;
    p.bf16 = cuda_operands_of(call) == CUDA_BF16;
    return p;
}

/* conv2d and conv2d_data_grad: input 0 is the source. */
static plan plan_of(const nn_call *call)
{
    nn_shape source = call->input_shape[0], result = call->output_shape[0], w = call->input_shape[1];
    cuda_mapping m = call->op == NN_CONV2D ? cuda_mapping_to_x(source, result, w, &call->attr)
                                           : cuda_mapping_to_y(result, source, w, &call->attr);
    plan p = plan_between(call, &m, source, result);
    size_t taps = m.kh * m.kw, gathered = p.pixels * cuda_padded(taps * p.source_c) * element_bytes(&p);
    p.fold = cuda_fold_pays(p.images, p.source_pixels, taps, p.c, gathered);
    if (p.fold) {
        p.row = cuda_padded(taps * p.c);
        size_t each = p.source_pixels * p.row * sizeof(float) / p.images;
        p.chunk = each < CUDA_CHUNK_BYTES ? CUDA_CHUNK_BYTES / each : 1;
        if (p.chunk > p.images) p.chunk = p.images;
    } else {
        set_chunk(&p);
    }
    return p;
}

static size_t workspace_bytes(const plan *p)
{
    if (p->fold) {
        size_t rows = p->source_pixels / p->images * p->chunk;
        return operand_bytes(p, rows, p->source_c) + rows * p->row * sizeof(float);
    }
    return p->chunk * p->row * element_bytes(p);
}

bool cuda_can_reflect(const nn_backend *backend, const nn_call *call)
{
    (void)backend;
    if (call->op == NN_CONV2D_DATA_GRAD) return false;
    const nn_shape *w = call->op == NN_CONV2D ? &call->input_shape[1] : &call->output_shape[0];
    size_t kernel = 2 * call->attr.padding + 1;
    return w->dim[NN_KH] == kernel && w->dim[NN_KW] == kernel;
}

static void run(const nn_call *call);
static void run_weight_grad(const nn_call *call);

/* A gather wants the weight in rows of the result's channels, a fold in rows of the source's. */
static status prepare(nn_backend *backend, nn_call *call, error *err)
{
    (void)backend;
    (void)err;
    if (cuda_winograd_prepare(call) || cuda_conv_bf16_prepare(call)) return STATUS_OK;
    call->run = run;
    plan p = plan_of(call);
    bool out_rows = (call->op == NN_CONV2D) != p.fold;
    call->input_layout[1] = out_rows ? p.bf16 ? CUDA_OUT_ROWS_BF16 : CUDA_OUT_ROWS
                                     : p.bf16 ? CUDA_IN_ROWS_BF16 : CUDA_IN_ROWS;
    call->workspace_bytes = workspace_bytes(&p);
    return STATUS_OK;
}

static void run_fold(const nn_call *call, const plan *p, const float *bias)
{
    size_t rows = p->source_pixels / p->images, pixels = p->pixels / p->images; /* of a picture */
    char *space = (char *)call->workspace;
    float *products = (float *)(void *)(space + operand_bytes(p, rows * p->chunk, p->source_c));
    for (size_t first = 0; first < p->images; first += p->chunk) {
        size_t count = p->images - first < p->chunk ? p->images - first : p->chunk;
        cuda_product product = {};
        product.operands = cuda_operands_of(call);
        product.m = rows * count, product.n = p->row, product.k = p->source_c;
        product.a = operand(call, p, call->input[0] + first * rows * p->source_c, rows * count, p->source_c, space);
        product.lda = operand_stride(p, p->source_c);
        product.b = call->input[1], product.ldb = p->row;
        product.c = products, product.ldc = p->row;
        product.alpha = 1;
        cuda_multiply_matrices(call, &product);
        cuda_fold(call, &p->m, products, (unsigned)p->c, count, bias, call->output[0] + first * pixels * p->c);
    }
}

static void run_gather(const nn_call *call, const plan *p, const float *bias)
{
    for (size_t first = 0; first < p->pixels; first += p->chunk) {
        size_t count = p->pixels - first < p->chunk ? p->pixels - first : p->chunk;
        cuda_gather(call, &p->m, call->input[0], (unsigned)p->source_c, first, count, call->workspace, p->bf16);
        cuda_product product = {};
        product.operands = cuda_operands_of(call);
        product.transpose_b = true;
        product.m = count, product.n = p->c, product.k = p->row;
        product.a = call->workspace, product.lda = p->row;
        product.b = call->input[1], product.ldb = p->row;
        product.c = call->output[0] + first * p->c, product.ldc = p->c;
        product.alpha = 1;
        product.bias = bias;
        cuda_multiply_matrices(call, &product);
    }
}

static void run(const nn_call *call)
{
    plan p = plan_of(call);
    const float *bias = call->input_count > 2 ? call->input[2] : NULL;
    if (p.fold)
        run_fold(call, &p, bias);
    else
        run_gather(call, &p, bias);
}

/* Inputs x, dy. The gathered picture is the source, the other one lies on the destination's grid. */
static plan plan_of_weight_grad(const nn_call *call, bool *from_x)
{
    nn_shape x = call->input_shape[0], y = call->input_shape[1], w = call->output_shape[0];
    cuda_mapping to_x = cuda_mapping_to_x(x, y, w, &call->attr), to_y = cuda_mapping_to_y(x, y, w, &call->attr);
    *from_x = nn_count(y) / y.dim[NN_C] * x.dim[NN_C] <= nn_count(x) / x.dim[NN_C] * y.dim[NN_C];
    plan p = *from_x ? plan_between(call, &to_x, x, y) : plan_between(call, &to_y, y, x);
    set_chunk(&p);
    return p;
}

static status prepare_weight_grad(nn_backend *backend, nn_call *call, error *err)
{
    (void)backend;
    (void)err;
    bool from_x;
    if (cuda_winograd_prepare(call) || cuda_conv_bf16_prepare(call)) return STATUS_OK;
    call->run = run_weight_grad;
    plan p = plan_of_weight_grad(call, &from_x);
    call->output_layout[0] = from_x ? CUDA_OUT_ROWS : CUDA_IN_ROWS;
    call->workspace_bytes = padded_to_cache_line(p.chunk * p.row * element_bytes(&p)) + operand_bytes(&p, p.chunk, p.c);
    return STATUS_OK;
}

static void run_weight_grad(const nn_call *call)
{
    bool from_x;
    plan p = plan_of_weight_grad(call, &from_x);
    const float *source = call->input[from_x ? 0 : 1], *other = call->input[from_x ? 1 : 0];
    char *rows = (char *)call->workspace, *space = rows + padded_to_cache_line(p.chunk * p.row * element_bytes(&p));
    for (size_t first = 0; first < p.pixels; first += p.chunk) {
        size_t count = p.pixels - first < p.chunk ? p.pixels - first : p.chunk;
        cuda_gather(call, &p.m, source, (unsigned)p.source_c, first, count, rows, p.bf16);
        cuda_product product = {};
        product.operands = cuda_operands_of(call);
        product.transpose_a = true;
        product.m = p.c, product.n = p.row, product.k = count;
        product.a = operand(call, &p, other + first * p.c, count, p.c, space);
        product.lda = operand_stride(&p, p.c);
        product.b = rows, product.ldb = p.row;
        product.c = call->output[0], product.ldc = p.row;
        product.alpha = 1;
        product.beta = first > 0 ? 1 : 0;
        cuda_multiply_matrices(call, &product);
    }
}

const nn_kernel cuda_conv2d = {NULL, NULL, prepare}, cuda_conv2d_data_grad = {NULL, NULL, prepare},
                cuda_conv2d_weight_grad = {NULL, NULL, prepare_weight_grad};
