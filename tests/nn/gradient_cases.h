/* A case for every differentiable operation, and some for their kinds: what builds it, and shapes of its inputs. */
#ifndef TESTS_NN_GRADIENT_CASES_H
#define TESTS_NN_GRADIENT_CASES_H

#include "nn/graph.h"

enum { MOST_INPUTS = 3 };

typedef struct gradient_case {
    const char *name;
    size_t inputs;
    nn_shape shape[MOST_INPUTS];
    nn_value (*build)(nn_graph *g, const nn_value *x);
    double step;     /* of the difference; large where the operation is linear */
    double distance; /* inputs keep at least this from 0 (kinks) */
} gradient_case;

static nn_value conv(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 1, 1); }
static nn_value conv_strided(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 2, 1); }
static nn_value conv_wide(nn_graph *g, const nn_value *x) { return nn_conv2d(g, x[0], x[1], 1, 0); }
static nn_value conv_bias(nn_graph *g, const nn_value *x) { return nn_bias(g, nn_conv2d(g, x[0], x[1], 1, 1), x[2]); }
static nn_value transposed(nn_graph *g, const nn_value *x) { return nn_conv2d_transpose(g, x[0], x[1], 2, 1, 1); }
static nn_value transposed4(nn_graph *g, const nn_value *x) { return nn_conv2d_transpose(g, x[0], x[1], 2, 1, 0); }
static nn_value transposed_bias(nn_graph *g, const nn_value *x)
{
    return nn_bias(g, nn_conv2d_transpose(g, x[0], x[1], 2, 1, 0), x[2]);
}
static nn_value bias(nn_graph *g, const nn_value *x) { return nn_bias(g, x[0], x[1]); }
static nn_value norm(nn_graph *g, const nn_value *x) { return nn_instance_norm(g, x[0], 1e-5f); }
static nn_value norm_relu(nn_graph *g, const nn_value *x) { return nn_relu(g, nn_instance_norm(g, x[0], 1e-5f)); }
static nn_value norm_leaky(nn_graph *g, const nn_value *x)
{
    return nn_leaky_relu(g, nn_instance_norm(g, x[0], 1e-5f), 0.2f);
}
static nn_value norm_add(nn_graph *g, const nn_value *x) { return nn_add(g, norm(g, x), x[1]); }
static nn_value norm_add_relu(nn_graph *g, const nn_value *x) { return nn_relu(g, nn_add(g, x[1], norm(g, x))); }
static nn_value norm_relu_add(nn_graph *g, const nn_value *x) { return nn_add(g, norm_leaky(g, x), x[1]); }
static nn_value norm_add_itself(nn_graph *g, const nn_value *x) { return nn_add(g, x[0], norm(g, x)); }
static nn_value norm_add_norm(nn_graph *g, const nn_value *x)
{
    return nn_add(g, nn_instance_norm(g, x[0], 1e-5f), nn_instance_norm(g, x[1], 1e-5f));
}
static nn_value relu(nn_graph *g, const nn_value *x) { return nn_relu(g, x[0]); }
static nn_value leaky(nn_graph *g, const nn_value *x) { return nn_leaky_relu(g, x[0], 0.2f); }
static nn_value tanh_(nn_graph *g, const nn_value *x) { return nn_tanh(g, x[0]); }
static nn_value sigmoid(nn_graph *g, const nn_value *x) { return nn_sigmoid(g, x[0]); }
static nn_value add(nn_graph *g, const nn_value *x) { return nn_add(g, x[0], x[1]); }
static nn_value add_same(nn_graph *g, const nn_value *x) { return nn_add(g, x[0], x[0]); }
static nn_value multiply(nn_graph *g, const nn_value *x) { return nn_multiply(g, x[0], x[1]); }
static nn_value scale(nn_graph *g, const nn_value *x) { return nn_scale(g, x[0], -2.5f); }
static nn_value pad_zero(nn_graph *g, const nn_value *x) { return nn_pad_sides(g, x[0], NN_PAD_ZERO, 1, 2, 0, 3); }
static nn_value pad_reflect(nn_graph *g, const nn_value *x) { return nn_pad(g, x[0], NN_PAD_REFLECT, 3); }
static nn_value pad_reflect_far(nn_graph *g, const nn_value *x) { return nn_pad_sides(g, x[0], NN_PAD_REFLECT, 7, 0, 9, 11); }
static nn_value pad_edge(nn_graph *g, const nn_value *x) { return nn_pad(g, x[0], NN_PAD_EDGE, 2); }
static nn_value mean_of(nn_graph *g, nn_value x) { return nn_average_pool(g, nn_pad(g, x, NN_PAD_REFLECT, 1), 3, 1); }
static nn_value pad_skip(nn_graph *g, const nn_value *x) /* its gradient is a sum: of what the pad gives, and another */
{
    return nn_add(g, x[0], mean_of(g, x[0]));
}
static nn_value residual(nn_graph *g, const nn_value *x) /* a generator's block, with means in place of convolutions */
{
    nn_value y = nn_relu(g, nn_instance_norm(g, mean_of(g, x[0]), 1e-5f));
    return nn_add(g, x[0], nn_instance_norm(g, mean_of(g, y), 1e-5f));
}
static nn_value concat_c(nn_graph *g, const nn_value *x) { return nn_concat(g, x, 2, NN_C); }
static nn_value concat_n(nn_graph *g, const nn_value *x) { return nn_concat(g, x, 2, NN_N); }
static nn_value slice_c(nn_graph *g, const nn_value *x) { return nn_slice(g, x[0], NN_C, 1, 2); }
static nn_value slice_n(nn_graph *g, const nn_value *x) { return nn_slice(g, x[0], NN_N, 1, 1); }
static nn_value nearest(nn_graph *g, const nn_value *x) { return nn_resize_nearest(g, x[0], 2); }
static nn_value bilinear_up(nn_graph *g, const nn_value *x) { return nn_resize_bilinear(g, x[0], 7, 9); }
static nn_value bilinear_down(nn_graph *g, const nn_value *x) { return nn_resize_bilinear(g, x[0], 2, 3); }
static nn_value max_pool(nn_graph *g, const nn_value *x) { return nn_max_pool(g, x[0], 2, 2, true); }
static nn_value average_pool(nn_graph *g, const nn_value *x) { return nn_average_pool(g, x[0], 2, 2); }
static nn_value mean_abs(nn_graph *g, const nn_value *x) { return nn_mean_abs(g, x[0], nn_scale(g, x[1], -1), 0); }
static nn_value mean_abs_target(nn_graph *g, const nn_value *x) { return nn_mean_abs(g, x[0], NN_NONE, 0.1f); }
static nn_value mean_square(nn_graph *g, const nn_value *x) { return nn_mean_square(g, x[0], x[1], 0); }
static nn_value mean_square_target(nn_graph *g, const nn_value *x) { return nn_mean_square(g, x[0], NN_NONE, 1); }
static nn_value bce_one(nn_graph *g, const nn_value *x) { return nn_bce_logits(g, x[0], 1); }
static nn_value bce_zero(nn_graph *g, const nn_value *x) { return nn_bce_logits(g, x[0], 0); }
static nn_value gram(nn_graph *g, const nn_value *x) { return nn_gram(g, x[0], 0.05f); }
static nn_value variation(nn_graph *g, const nn_value *x) { return nn_total_variation(g, x[0], 0.05f, 1.25f, 1e-3f); }
static nn_value variation_keras(nn_graph *g, const nn_value *x) { return nn_total_variation(g, x[0], 0.05f, 2.5f, 0); }
static nn_value augment(nn_graph *g, const nn_value *x) /* all draws are 1: grey, a shift by 1, a hole but for two sides */
{
    return nn_augment(g, x[0], nn_constant(g, nn_shape_of(64, 1, 1, 8), 1), 1, 2);
}
/* One weight in two places: gradients add up. Beside one another, since two in a row have the roundings of two. */
static nn_value shared_twice(nn_graph *g, const nn_value *x)
{
    return nn_add(g, nn_conv2d(g, x[0], x[1], 1, 1), nn_conv2d(g, x[2], x[1], 1, 1));
}

#define S(a, b, c, d) {{a, b, c, d}}
static const gradient_case gradient_cases[] = {
    {"conv2d", 2, {S(2, 4, 5, 3), S(4, 3, 3, 3)}, conv, 0.1, 0},
    {"conv2d of stride 2", 2, {S(1, 7, 6, 8), S(9, 8, 4, 4)}, conv_strided, 0.1, 0},
    {"conv2d 7x7", 2, {S(1, 8, 9, 3), S(2, 3, 7, 7)}, conv_wide, 0.1, 0},
    {"conv2d with bias", 3, {S(1, 4, 3, 2), S(5, 2, 3, 3), S(1, 1, 1, 5)}, conv_bias, 0.1, 0},
    {"transposed 3", 2, {S(1, 3, 4, 5), S(5, 2, 3, 3)}, transposed, 0.1, 0},
    {"transposed 4", 2, {S(2, 3, 2, 4), S(4, 3, 4, 4)}, transposed4, 0.1, 0},
    {"transposed with bias", 3, {S(1, 3, 2, 4), S(4, 3, 4, 4), S(1, 1, 1, 3)}, transposed_bias, 0.1, 0},
    {"bias", 2, {S(2, 3, 4, 5), S(1, 1, 1, 5)}, bias, 0.1, 0},
    {"instance_norm", 1, {S(2, 5, 4, 3)}, norm, 0.01, 0},
    {"instance_norm + relu", 1, {S(1, 5, 4, 3)}, norm_relu, 0.002, 0},
    {"instance_norm + leaky_relu", 1, {S(1, 4, 4, 9)}, norm_leaky, 0.002, 0},
    {"instance_norm + add", 2, {S(2, 5, 4, 3), S(2, 5, 4, 3)}, norm_add, 0.01, 0},
    {"instance_norm + add + relu", 2, {S(1, 5, 4, 8), S(1, 5, 4, 8)}, norm_add_relu, 0.002, 0},
    {"instance_norm + leaky_relu + add", 2, {S(1, 4, 4, 9), S(1, 4, 4, 9)}, norm_relu_add, 0.002, 0},
    {"instance_norm + add of its input", 1, {S(2, 4, 3, 4)}, norm_add_itself, 0.01, 0},
    {"instance_norm + add of another", 2, {S(1, 4, 5, 3), S(1, 4, 5, 3)}, norm_add_norm, 0.01, 0},
    {"relu", 1, {S(1, 3, 4, 5)}, relu, 0.05, 0.1},
    {"leaky_relu", 1, {S(1, 3, 4, 5)}, leaky, 0.05, 0.1},
    {"tanh", 1, {S(1, 3, 4, 5)}, tanh_, 0.01, 0},
    {"sigmoid", 1, {S(1, 3, 4, 5)}, sigmoid, 0.02, 0},
    {"add", 2, {S(1, 3, 4, 5), S(1, 3, 4, 5)}, add, 0.1, 0},
    {"add to itself", 1, {S(1, 3, 4, 5)}, add_same, 0.1, 0},
    {"multiply", 2, {S(1, 3, 4, 5), S(1, 3, 4, 5)}, multiply, 0.1, 0},
    {"scale", 1, {S(1, 3, 4, 5)}, scale, 0.1, 0},
    {"pad zero", 1, {S(2, 3, 4, 2)}, pad_zero, 0.1, 0},
    {"pad reflect", 1, {S(1, 4, 5, 3)}, pad_reflect, 0.1, 0},
    {"pad reflect beyond the side", 1, {S(1, 3, 4, 2)}, pad_reflect_far, 0.1, 0},
    {"pad edge", 1, {S(1, 3, 4, 5)}, pad_edge, 0.1, 0},
    {"pad beside a skip", 1, {S(2, 4, 3, 5)}, pad_skip, 0.1, 0},
    {"residual block", 1, {S(1, 5, 4, 3)}, residual, 0.002, 0},
    {"concat c", 2, {S(2, 2, 3, 2), S(2, 2, 3, 5)}, concat_c, 0.1, 0},
    {"concat n", 2, {S(1, 2, 3, 2), S(2, 2, 3, 2)}, concat_n, 0.1, 0},
    {"slice c", 1, {S(2, 2, 3, 5)}, slice_c, 0.1, 0},
    {"slice n", 1, {S(3, 2, 3, 2)}, slice_n, 0.1, 0},
    {"resize_nearest", 1, {S(2, 3, 2, 5)}, nearest, 0.1, 0},
    {"resize_bilinear up", 1, {S(1, 4, 5, 3)}, bilinear_up, 0.1, 0},
    {"resize_bilinear down", 1, {S(1, 5, 7, 3)}, bilinear_down, 0.1, 0},
    {"max_pool", 1, {S(1, 5, 5, 3)}, max_pool, 1e-3, 0},
    {"average_pool", 1, {S(1, 4, 6, 3)}, average_pool, 0.1, 0},
    {"mean_abs", 2, {S(1, 3, 4, 5), S(1, 3, 4, 5)}, mean_abs, 1e-3, 0.1},
    {"mean_abs of a target", 1, {S(1, 3, 4, 5)}, mean_abs_target, 0.01, 0.2},
    {"mean_square", 2, {S(1, 3, 4, 5), S(1, 3, 4, 5)}, mean_square, 0.02, 0},
    {"mean_square of a target", 1, {S(1, 3, 4, 5)}, mean_square_target, 0.02, 0},
    {"bce_logits real", 1, {S(1, 3, 4, 5)}, bce_one, 0.05, 0},
    {"bce_logits fake", 1, {S(1, 3, 4, 5)}, bce_zero, 0.05, 0},
    {"gram", 1, {S(2, 4, 3, 5)}, gram, 0.02, 0},
    {"total_variation", 1, {S(1, 5, 4, 3)}, variation, 0.005, 0},
    {"total_variation 2.5", 1, {S(2, 4, 4, 2)}, variation_keras, 0.01, 0},
    {"augment", 1, {S(2, 5, 4, 3)}, augment, 0.1, 0},
    {"one weight twice", 3, {S(1, 4, 4, 3), S(3, 3, 3, 3), S(1, 4, 4, 3)}, shared_twice, 0.1, 0},
};
#undef S
enum { GRADIENT_CASES = sizeof gradient_cases / sizeof *gradient_cases };

#endif
