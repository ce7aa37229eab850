/* The CPU's convolutions as plain loops, under the names of oneDNN's: what the GPU is compared with on a machine that
 * has no oneDNN. Sums are in double; weights stay in PyTorch's order. */
#include "nn/cpu/cpu.h"
#include "nn/cpu/onednn.h"

struct cpu_onednn {
    int unused;
};
static struct cpu_onednn none;

struct cpu_onednn *cpu_onednn_create(int threads, error *err)
{
    (void)threads;
    (void)err;
    return &none;
}

void cpu_onednn_destroy(struct cpu_onednn *onednn) { (void)onednn; }

bool cpu_onednn_has_bf16(void) { return false; }

size_t cpu_onednn_layout_bytes(const struct cpu_onednn *onednn, nn_layout layout, nn_shape shape)
{
    (void)onednn;
    (void)layout;
    return nn_count(shape) * sizeof(float);
}

/* Where tap `tap` of y's place `at` meets x, or -1. */
static ptrdiff_t met(const nn_call *call, size_t at, size_t tap, size_t size)
{
    ptrdiff_t place = (ptrdiff_t)(at * call->attr.stride + tap) - (ptrdiff_t)call->attr.padding;
    return place >= 0 && place < (ptrdiff_t)size ? place : -1;
}

/* x: (n, h, w, c), w: (o, c, kh, kw), y: (n, h, w, o). */
static void run_conv2d(const nn_call *call)
{
    nn_shape xs = call->input_shape[0], ws = call->input_shape[1], ys = call->output_shape[0];
    const float *x = call->input[0], *w = call->input[1], *bias = call->input_count > 2 ? call->input[2] : NULL;
    size_t taps = ws.dim[NN_KH] * ws.dim[NN_KW], pixels = nn_count(ys) / ys.dim[NN_C];
#pragma omp parallel for num_threads(call->threads)
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        size_t n = pixel / (ys.dim[NN_H] * ys.dim[NN_W]), i = pixel / ys.dim[NN_W] % ys.dim[NN_H];
        size_t j = pixel % ys.dim[NN_W];
        for (size_t o = 0; o < ys.dim[NN_C]; o++) {
            double sum = bias ? bias[o] : 0;
            for (size_t tap = 0; tap < taps; tap++) {
                ptrdiff_t row = met(call, i, tap / ws.dim[NN_KW], xs.dim[NN_H]);
                ptrdiff_t column = met(call, j, tap % ws.dim[NN_KW], xs.dim[NN_W]);
                if (row < 0 || column < 0) continue;
                const float *from = x + ((n * xs.dim[NN_H] + (size_t)row) * xs.dim[NN_W] + (size_t)column) * xs.dim[NN_C];
                for (size_t c = 0; c < xs.dim[NN_C]; c++)
                    sum += (double)from[c] * w[(o * ws.dim[NN_IN] + c) * taps + tap];
            }
            call->output[0][pixel * ys.dim[NN_C] + o] = (float)sum;
        }
    }
}

/* The place of y whose tap `tap` meets x's place `at`, or -1. */
static ptrdiff_t meets(const nn_call *call, size_t at, size_t tap, size_t size)
{
    ptrdiff_t place = (ptrdiff_t)(at + call->attr.padding) - (ptrdiff_t)tap, stride = (ptrdiff_t)call->attr.stride;
    return place >= 0 && place % stride == 0 && place / stride < (ptrdiff_t)size ? place / stride : -1;
}

static void run_data_grad(const nn_call *call)
{
    nn_shape ys = call->input_shape[0], ws = call->input_shape[1], xs = call->output_shape[0];
    const float *dy = call->input[0], *w = call->input[1], *bias = call->input_count > 2 ? call->input[2] : NULL;
    size_t taps = ws.dim[NN_KH] * ws.dim[NN_KW], pixels = nn_count(xs) / xs.dim[NN_C];
#pragma omp parallel for num_threads(call->threads)
    for (size_t pixel = 0; pixel < pixels; pixel++) {
        size_t n = pixel / (xs.dim[NN_H] * xs.dim[NN_W]), i = pixel / xs.dim[NN_W] % xs.dim[NN_H];
        size_t j = pixel % xs.dim[NN_W];
        for (size_t c = 0; c < xs.dim[NN_C]; c++) {
            double sum = bias ? bias[c] : 0;
            for (size_t tap = 0; tap < taps; tap++) {
                ptrdiff_t row = meets(call, i, tap / ws.dim[NN_KW], ys.dim[NN_H]);
                ptrdiff_t column = meets(call, j, tap % ws.dim[NN_KW], ys.dim[NN_W]);
                if (row < 0 || column < 0) continue;
                const float *from = dy + ((n * ys.dim[NN_H] + (size_t)row) * ys.dim[NN_W] + (size_t)column) * ys.dim[NN_C];
                for (size_t o = 0; o < ys.dim[NN_C]; o++)
                    sum += (double)from[o] * w[(o * ws.dim[NN_IN] + c) * taps + tap];
            }
            call->output[0][pixel * xs.dim[NN_C] + c] = (float)sum;
        }
    }
}

static double weight_grad_of(const nn_call *call, size_t o, size_t c, size_t tap)
{
    nn_shape xs = call->input_shape[0], ys = call->input_shape[1], ws = call->output_shape[0];
    double sum = 0;
    for (size_t n = 0; n < ys.dim[NN_N]; n++)
        for (size_t i = 0; i < ys.dim[NN_H]; i++) {
            ptrdiff_t row = met(call, i, tap / ws.dim[NN_KW], xs.dim[NN_H]);
            if (row < 0) continue;
            const float *x = call->input[0] + (n * xs.dim[NN_H] + (size_t)row) * xs.dim[NN_W] * xs.dim[NN_C] + c;
            const float *dy = call->input[1] + (n * ys.dim[NN_H] + i) * ys.dim[NN_W] * ys.dim[NN_C] + o;
            for (size_t j = 0; j < ys.dim[NN_W]; j++) {
                ptrdiff_t column = met(call, j, tap % ws.dim[NN_KW], xs.dim[NN_W]);
                if (column >= 0) sum += (double)x[(size_t)column * xs.dim[NN_C]] * dy[j * ys.dim[NN_C]];
            }
        }
    return sum;
}

static void run_weight_grad(const nn_call *call)
{
    nn_shape ws = call->output_shape[0];
    size_t taps = ws.dim[NN_KH] * ws.dim[NN_KW], count = nn_count(ws);
#pragma omp parallel for num_threads(call->threads)
    for (size_t e = 0; e < count; e++)
        call->output[0][e] = (float)weight_grad_of(call, e / taps / ws.dim[NN_IN], e / taps % ws.dim[NN_IN], e % taps);
}

/* There is one layout: the planner asks for no reorder. */
static status no_reorder(nn_backend *backend, nn_call *call, error *err)
{
    (void)backend;
    (void)call;
    return error_set(err, STATUS_FAILED, "plain convolutions have no layouts to reorder");
}

const nn_kernel cpu_onednn_conv2d = {.run = run_conv2d}, cpu_onednn_conv2d_data_grad = {.run = run_data_grad},
                cpu_onednn_conv2d_weight_grad = {.run = run_weight_grad},
                cpu_onednn_reorder = {.prepare = no_reorder};
