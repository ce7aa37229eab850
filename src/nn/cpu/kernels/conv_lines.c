/* What convolutions by filtered rows share: their shapes and weights. See conv_lines.h. */
#include "nn/cpu/kernels/conv_lines.h"

#include "nn/cpu/kernels/sizes.h"

/* Inputs x: (n, h, w, ic), w: (oc, ic, kh, 7)[, bias: (1, 1, 1, oc)]; output y. Of a data gradient dy, w[, bias] and dx. */
conv_lines CPU_NAME(cpu_conv_lines_of)(const nn_call *call)
{
    const size_t *x = call->input_shape[0].dim, *w = call->input_shape[1].dim, *y = call->output_shape[0].dim;
    const bool backwards = call->op == NN_CONV2D_DATA_GRAD;
    const size_t out_step = w[NN_IN] * w[NN_KH] * LINES_TAPS, in_step = w[NN_KH] * LINES_TAPS;
    return (conv_lines){.n = x[NN_N], .h = x[NN_H], .w = x[NN_W], .ic = x[NN_C], .oh = y[NN_H], .ow = y[NN_W],
                        .oc = y[NN_C], .kh = w[NN_KH], .border = backwards ? NN_PAD_ZERO : call->attr.mode,
                        .before = backwards ? LINES_TAPS - 1 - call->attr.padding : call->attr.padding,
                        .tiles = cpu_divide_up(y[NN_W], LINES_TILE), .x = call->input[0],
                        .bias = call->input_count > 2 ? call->input[2] : NULL, .y = call->output[0],
                        .y_bf16 = call->output_layout[0] == NN_LAYOUT_BF16,
                        .weight = call->input[1], .weight_out = backwards ? in_step : out_step,
                        .weight_in = backwards ? out_step : in_step, .backwards = backwards, .threads = call->threads};
}

/* Rows +p and -p of G. */
static void pair_from_weight(const double *w, double p, double a, double b, double c, float *plus, float *minus)
{
    const double s = p * p, scale = LINES_SCALE(s, a, b, c);
    const double even = w[0] + s * (w[2] + s * (w[4] + s * w[6])), odd = p * (w[1] + s * (w[3] + s * w[5]));
    *plus = (float)(scale * (even + odd));
    *minus = (float)(scale * (even - odd));
}

void CPU_NAME(cpu_conv_lines_from_weight)(const conv_lines *l, size_t o, size_t c, size_t u, float *to, size_t step)
{
    const float *from = l->weight + o * l->weight_out + c * l->weight_in + (l->backwards ? l->kh - 1 - u : u) * LINES_TAPS;
    double w[LINES_TAPS];
    for (size_t v = 0; v < LINES_TAPS; v++) w[v] = from[l->backwards ? LINES_TAPS - 1 - v : v];
    to[0] = (float)(LINES_SCALE_0 * w[0]);
    pair_from_weight(w, LINES_P0, LINES_S1, LINES_S2, LINES_S3, to + step, to + 2 * step);
    pair_from_weight(w, LINES_P1, LINES_S0, LINES_S2, LINES_S3, to + 3 * step, to + 4 * step);
    pair_from_weight(w, LINES_P2, LINES_S0, LINES_S1, LINES_S3, to + 5 * step, to + 6 * step);
    pair_from_weight(w, LINES_P3, LINES_S0, LINES_S1, LINES_S2, to + 7 * step, to + 8 * step);
    to[9 * step] = (float)w[6];
}
