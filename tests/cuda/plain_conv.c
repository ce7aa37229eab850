/* The CPU's convolutions as plain loops, under the names of oneDNN's: what the GPU is compared with on a machine that
 * has no oneDNN. Sums are in double; weights stay in PyTorch's order. */
#include <stdlib.h>
#include <string.h>

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
bool cpu_onednn_allows_tiles(void) { return false; }

size_t cpu_onednn_layout_bytes(const struct cpu_onednn *onednn, nn_layout layout, nn_shape shape)
{
    (void)onednn;
    (void)layout;
    return nn_count(shape) * sizeof(float);
}

/* Channels whose sums are taken together, neighbours in memory. */
enum { LANES = 8 };

static size_t groups_of(size_t channels) { return (channels + LANES - 1) / LANES; }

/* Where tap `tap` of y's place `at` meets x, or -1. */
static ptrdiff_t met(const nn_call *call, size_t at, size_t tap, size_t size)
{
    ptrdiff_t place = (ptrdiff_t)(at * call->attr.stride + tap) - (ptrdiff_t)call->attr.padding;
    return place >= 0 && place < (ptrdiff_t)size ? place : -1;
}

/* The place of y whose tap `tap` meets x's place `at`, or -1. */
static ptrdiff_t meets(const nn_call *call, size_t at, size_t tap, size_t size)
{
    ptrdiff_t place = (ptrdiff_t)(at + call->attr.padding) - (ptrdiff_t)tap, stride = (ptrdiff_t)call->attr.stride;
    return place >= 0 && place % stride == 0 && place / stride < (ptrdiff_t)size ? place / stride : -1;
}

/* sums += from[c] w[c], `channels` of them; w: (channels, LANES). */
static void add(double *sums, const float *from, const double *w, size_t channels)
{
    double s[LANES];
    memcpy(s, sums, sizeof s);
    for (size_t c = 0; c < channels; c++, w += LANES)
#pragma omp simd
        for (size_t k = 0; k < LANES; k++) s[k] += (double)from[c] * w[k];
    memcpy(sums, s, sizeof s);
}

/* w, (o, c, kh, kw), as (groups, kh, kw, from, LANES) of double: from and to are c and o, or with `back` o and c. Zeros
 * are behind the last channel. */
static double *packed(const float *w, nn_shape ws, bool back)
{
    size_t from = ws.dim[back ? NN_OUT : NN_IN], to = ws.dim[back ? NN_IN : NN_OUT], taps = ws.dim[NN_KH] * ws.dim[NN_KW];
    double *out = calloc(groups_of(to) * taps * from * LANES, sizeof *out);
    for (size_t j = 0; j < to; j++)
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t i = 0; i < from; i++)
                out[((j / LANES * taps + tap) * from + i) * LANES + j % LANES] =
                    w[back ? (i * to + j) * taps + tap : (j * from + i) * taps + tap];
    return out;
}

/* One pixel, LANES channels of the result. */
static void sum_taps(const nn_call *call, bool back, size_t pixel, const double *w, double *sums)
{
    nn_shape source = call->input_shape[0], ws = call->input_shape[1], result = call->output_shape[0];
    size_t h = source.dim[NN_H], width = source.dim[NN_W], channels = source.dim[NN_C];
    size_t n = pixel / (result.dim[NN_H] * result.dim[NN_W]), i = pixel / result.dim[NN_W] % result.dim[NN_H];
    size_t j = pixel % result.dim[NN_W];
    for (size_t a = 0; a < ws.dim[NN_KH]; a++) {
        ptrdiff_t row = back ? meets(call, i, a, h) : met(call, i, a, h);
        for (size_t b = 0; row >= 0 && b < ws.dim[NN_KW]; b++) {
            ptrdiff_t column = back ? meets(call, j, b, width) : met(call, j, b, width);
            const float *from = call->input[0] + ((n * h + (size_t)row) * width + (size_t)column) * channels;
            if (column >= 0) add(sums, from, w + (a * ws.dim[NN_KW] + b) * channels * LANES, channels);
        }
    }
}

static void run_gathering(const nn_call *call, bool back)
{
    nn_shape source = call->input_shape[0], ws = call->input_shape[1], result = call->output_shape[0];
    size_t channels = result.dim[NN_C], pixels = nn_count(result) / channels;
    size_t weights = ws.dim[NN_KH] * ws.dim[NN_KW] * source.dim[NN_C] * LANES; /* of a group */
    double *w = packed(call->input[1], ws, back);
#pragma omp parallel for num_threads(call->threads)
    for (size_t pixel = 0; pixel < pixels; pixel++)
        for (size_t group = 0; group < groups_of(channels); group++) {
            double sums[LANES] = {0};
            size_t first = group * LANES, count = channels - first < LANES ? channels - first : LANES;
            for (size_t k = 0; call->input_count > 2 && k < count; k++) sums[k] = call->input[2][first + k];
            sum_taps(call, back, pixel, w + group * weights, sums);
            for (size_t k = 0; k < count; k++) call->output[0][pixel * channels + first + k] = (float)sums[k];
        }
    free(w);
}

/* x: (n, h, w, c), w: (o, c, kh, kw), y: (n, h, w, o). */
static void run_conv2d(const nn_call *call) { run_gathering(call, false); }
static void run_data_grad(const nn_call *call) { run_gathering(call, true); }

/* (groups, pixels, LANES) of double; zeros behind the last channel. */
static double *packed_picture(const float *x, size_t pixels, size_t channels)
{
    double *out = calloc(groups_of(channels) * pixels * LANES, sizeof *out);
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < channels; c++) out[(c / LANES * pixels + p) * LANES + c % LANES] = x[p * channels + c];
    return out;
}

/* Of tap (a, b) and channel c of x, for LANES channels of y; dy: (pixels, LANES). */
static void sum_pixels(const nn_call *call, size_t a, size_t b, size_t c, const double *dy, double *sums)
{
    nn_shape xs = call->input_shape[0], ys = call->input_shape[1];
    double s[LANES] = {0};
    for (size_t n = 0; n < ys.dim[NN_N]; n++)
        for (size_t i = 0; i < ys.dim[NN_H]; i++) {
            ptrdiff_t row = met(call, i, a, xs.dim[NN_H]);
            const float *x = call->input[0] + (n * xs.dim[NN_H] + (size_t)row) * xs.dim[NN_W] * xs.dim[NN_C] + c;
            const double *from = dy + (n * ys.dim[NN_H] + i) * ys.dim[NN_W] * LANES;
            for (size_t j = 0; row >= 0 && j < ys.dim[NN_W]; j++, from += LANES) {
                ptrdiff_t column = met(call, j, b, xs.dim[NN_W]);
                double factor = column >= 0 ? x[(size_t)column * xs.dim[NN_C]] : 0;
#pragma omp simd
                for (size_t k = 0; k < LANES; k++) s[k] += factor * from[k];
            }
        }
    memcpy(sums, s, sizeof s);
}

static void run_weight_grad(const nn_call *call)
{
    nn_shape ys = call->input_shape[1], ws = call->output_shape[0];
    size_t taps = ws.dim[NN_KH] * ws.dim[NN_KW], in = ws.dim[NN_IN], out = ws.dim[NN_OUT], pixels = nn_count(ys) / out;
    double *dy = packed_picture(call->input[1], pixels, out);
#pragma omp parallel for num_threads(call->threads)
    for (size_t e = 0; e < groups_of(out) * taps * in; e++) {
        size_t first = e / (taps * in) * LANES, tap = e / in % taps, c = e % in;
        double sums[LANES];
        sum_pixels(call, tap / ws.dim[NN_KW], tap % ws.dim[NN_KW], c, dy + first * pixels, sums);
        for (size_t k = 0; k < LANES && first + k < out; k++)
            call->output[0][((first + k) * in + c) * taps + tap] = (float)sums[k];
    }
    free(dy);
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
