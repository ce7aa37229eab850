/* Fusion by named patterns. Each leaves the same result as the nodes that it replaces (a test compares them). A node
 * that is absorbed loses its outputs and is then pruned, since nothing uses it any more. */
#include <stdlib.h>

#include "nn/plan.h"

enum { MOMENTS = 3 }; /* of a part: see op.h */

/* How many node inputs read each value; outputs and stored values count as one more reader. The counts stay as
 * they were before any fusion: fuse_reflection and fuse_enlargement give a value more readers, but they are convolutions,
 * whose inputs no pattern asks about. */
static size_t *count_uses(const nn_draft *d)
{
    size_t *uses = calloc(d->value_count + 1, sizeof *uses);
    if (!uses) return NULL;
    for (size_t n = 0; n < d->node_count; n++)
        for (size_t i = 0; i < d->nodes[n].input_count; i++) uses[d->nodes[n].input[i]]++;
    for (size_t v = 0; v < d->value_count; v++)
        if (d->values[v].is_output || (d->values[v].kind == NN_VALUE_COMPUTED && d->values[v].block)) uses[v]++;
    return uses;
}

/* The node that computes input i of `node` as its first output when that is its only use, else NULL. */
static nn_node *sole_producer(nn_draft *d, const nn_node *node, size_t i, const size_t *uses)
{
    nn_value v = node->input[i];
    if (d->values[v].kind != NN_VALUE_COMPUTED || uses[v] != 1) return NULL;
    nn_node *producer = &d->nodes[d->values[v].producer];
    return producer->output[0] == v ? producer : NULL;
}

static bool rectifies(const nn_node *node)
{
    return node->attr.activation == NN_RELU || node->attr.activation == NN_LEAKY_RELU;
}

/* instance_norm -> relu or leaky_relu: the norm writes the activation's result. */
static void fuse_norm_activation(nn_draft *d, nn_node *node, const size_t *uses)
{
    if (node->op != NN_ACTIVATION || !rectifies(node)) return;
    nn_node *norm = sole_producer(d, node, 0, uses);
    if (!norm || norm->op != NN_INSTANCE_NORM || norm->input_count != 1 || norm->attr.activation != NN_LINEAR) return;
    norm->attr.activation = node->attr.activation;
    norm->attr.slope = node->attr.slope;
    norm->output[0] = node->output[0];
    d->values[norm->output[0]].producer = d->values[norm->output[1]].producer;
    node->output_count = 0;
}

/* activation_grad(y, dy) -> instance_norm_grad(x, statistics, .): y = act(norm(x)), whose sign x tells as well, so y
 * need not be kept for it. */
static void fuse_norm_activation_grad(nn_draft *d, nn_node *node, const size_t *uses)
{
    if (node->op != NN_INSTANCE_NORM_GRAD || node->attr.activation != NN_LINEAR) return;
    nn_node *activation = sole_producer(d, node, 2, uses);
    if (!activation || activation->op != NN_ACTIVATION_GRAD || !rectifies(activation)) return;
    const nn_value_info *y = &d->values[activation->input[0]];
    if (y->kind != NN_VALUE_COMPUTED) return;
    const nn_node *norm = &d->nodes[y->producer];
    bool same = norm->op == NN_INSTANCE_NORM && norm->output[0] == activation->input[0] &&
                norm->output[1] == node->input[1] && norm->attr.activation == activation->attr.activation;
    if (!same) return;
    node->attr.activation = activation->attr.activation;
    node->attr.slope = activation->attr.slope;
    node->input[2] = activation->input[1];
    activation->output_count = 0;
}

/* conv2d or conv2d_data_grad -> bias: the convolution adds it. */
static void fuse_conv_bias(nn_draft *d, nn_node *node, const size_t *uses)
{
    if (node->op != NN_BIAS) return;
    nn_node *conv = sole_producer(d, node, 0, uses);
    if (!conv || conv->input_count != 2 || (conv->op != NN_CONV2D && conv->op != NN_CONV2D_DATA_GRAD)) return;
    /* The bias takes part where the convolution stands, so it must be there by then: lasting memory is. */
    if (d->values[node->input[1]].kind == NN_VALUE_COMPUTED) return;
    conv->input[conv->input_count++] = node->input[1];
    uint32_t producer = d->values[conv->output[0]].producer;
    conv->output[0] = node->output[0];
    d->values[conv->output[0]].producer = producer;
    node->output_count = 0;
}

/* Whether the value is there before node number `n` runs. */
static bool precedes(const nn_draft *d, nn_value v, size_t n)
{
    return d->values[v].kind != NN_VALUE_COMPUTED || d->values[v].producer < n;
}

/* instance_norm or the gradient of a pad -> add: the former adds the other operand, as a residual block does to its
 * input's value and gradient. It does so where it stands, so the other must be there by then. */
static void fuse_addition(nn_draft *d, nn_node *node, const size_t *uses)
{
    if (node->op != NN_ADD) return;
    for (size_t i = 0; i < 2; i++) {
        nn_node *adder = sole_producer(d, node, i, uses);
        if (!adder || (adder->op != NN_INSTANCE_NORM && adder->op != NN_PAD_GRAD) || adder->input_count != 1) continue;
        if (!precedes(d, node->input[1 - i], (size_t)(adder - d->nodes))) continue;
        adder->input[adder->input_count++] = node->input[1 - i];
        adder->output[0] = node->output[0];
        d->values[adder->output[0]].producer = (uint32_t)(adder - d->nodes);
        node->output_count = 0;
        return;
    }
}

/* How many rows and columns the pad mirrors on each side, once: 0 for any other. */
static size_t reflected(const nn_attributes *a, nn_shape source)
{
    bool alike = a->bottom == a->top && a->left == a->top && a->right == a->top;
    bool once = a->top < source.dim[NN_H] && a->top < source.dim[NN_W];
    return a->mode == NN_PAD_REFLECT && alike && once ? a->top : 0;
}

/* Whether the backend can run the convolution `node` so. */
static bool can_reflect(const nn_draft *d, const nn_node *node)
{
    nn_call call = nn_draft_call(d, node);
    return d->backend->interface->can_reflect(d->backend, &call);
}

/* pad by reflected rows and columns -> conv2d, and the same pad's use by the weight gradient: they read the picture
 * and mirror what is beside it. The padded copy is not made, nor kept for the gradient, once nothing else reads it. */
static void fuse_reflection(nn_draft *d, nn_node *node)
{
    if (node->op != NN_CONV2D && node->op != NN_CONV2D_WEIGHT_GRAD) return;
    const nn_value_info *x = &d->values[node->input[0]];
    if (x->kind != NN_VALUE_COMPUTED || node->attr.stride != 1 || node->attr.padding != 0) return;
    const nn_node *pad = &d->nodes[x->producer];
    nn_node fused = *node;
    fused.input[0] = pad->input[0];
    fused.attr.padding = pad->op == NN_PAD ? reflected(&pad->attr, d->values[pad->input[0]].shape) : 0;
    fused.attr.mode = NN_PAD_REFLECT;
    if (fused.attr.padding > 0 && can_reflect(d, &fused)) *node = fused;
}

/* resize_nearest by 2 -> pad by one reflected row and column -> conv2d of 3x3: the convolution enlarges what it reads. */
static void fuse_enlargement(nn_draft *d, nn_node *node)
{
    const nn_value_info *x = &d->values[node->input[0]];
    if (node->op != NN_CONV2D || x->kind != NN_VALUE_COMPUTED || node->attr.stride != 1 || node->attr.padding != 0) return;
    const nn_node *pad = &d->nodes[x->producer];
    if (pad->op != NN_PAD || d->values[pad->input[0]].kind != NN_VALUE_COMPUTED) return;
    const nn_node *resize = &d->nodes[d->values[pad->input[0]].producer];
    if (resize->op != NN_RESIZE_NEAREST || resize->attr.factor != 2) return;
    nn_node fused = *node;
    fused.input[0] = resize->input[0];
    fused.attr.padding = reflected(&pad->attr, d->values[pad->input[0]].shape);
    fused.attr.mode = NN_PAD_REFLECT;
    fused.attr.factor = resize->attr.factor;
    nn_call call = nn_draft_call(d, &fused);
    if (fused.attr.padding == 1 && d->backend->interface->can_enlarge(d->backend, &call)) *node = fused;
}

/* conv2d_data_grad -> the gradient of such a pad: the convolution adds what lies beside the picture to it. */
static void fuse_reflection_grad(nn_draft *d, nn_node *node, const size_t *uses)
{
    if (node->op != NN_PAD_GRAD) return;
    nn_node *conv = sole_producer(d, node, 0, uses);
    if (!conv || conv->op != NN_CONV2D_DATA_GRAD || conv->input_count != 2) return;
    if (conv->attr.stride != 1 || conv->attr.padding != 0) return;
    nn_node fused = *conv;
    fused.output[0] = node->output[0];
    fused.attr.shape = d->values[node->output[0]].shape;
    fused.attr.padding = reflected(&node->attr, fused.attr.shape);
    fused.attr.mode = NN_PAD_REFLECT;
    if (fused.attr.padding == 0 || !can_reflect(d, &fused)) return;
    d->values[node->output[0]].producer = d->values[conv->output[0]].producer;
    *conv = fused;
    node->output_count = 0;
}

/* conv2d or conv2d_data_grad -> instance_norm: the convolution gives moments of its result, which the norm need not read for them. After all
 * other patterns: they are its last input. */
static status fuse_moments(nn_draft *d, nn_node *norm, error *err)
{
    const nn_value_info *x = &d->values[norm->input[0]];
    if (norm->op != NN_INSTANCE_NORM || x->kind != NN_VALUE_COMPUTED) return STATUS_OK;
    nn_node *conv = &d->nodes[x->producer];
    if (conv->op != NN_CONV2D && conv->op != NN_CONV2D_DATA_GRAD) return STATUS_OK;
    if (conv->output_count == 1) { /* else another norm reads them already */
        const nn_call call = nn_draft_call(d, conv);
        nn_value_info moments = {.kind = NN_VALUE_COMPUTED, .producer = x->producer};
        size_t parts = d->backend->interface->moment_parts(d->backend, &call);
        if (parts == 0) return STATUS_OK;
        moments.shape = nn_shape_of(x->shape.dim[NN_N], parts, MOMENTS, x->shape.dim[NN_C]);
        TRY(nn_draft_add_value(d, moments, &conv->output[1], err));
        conv->output_count = 2;
    }
    norm->input[norm->input_count++] = conv->output[1];
    norm->attr.has_moments = true;
    return STATUS_OK;
}

status nn_draft_fuse(nn_draft *d, error *err)
{
    size_t *uses = count_uses(d);
    if (!uses) return error_no_memory(err, "planning a graph", d->value_count * sizeof *uses);
    for (size_t n = 0; n < d->node_count; n++) {
        fuse_norm_activation(d, &d->nodes[n], uses);
        fuse_norm_activation_grad(d, &d->nodes[n], uses);
        fuse_conv_bias(d, &d->nodes[n], uses);
        fuse_addition(d, &d->nodes[n], uses);
        if (d->backend->interface->can_enlarge) fuse_enlargement(d, &d->nodes[n]);
        if (!d->backend->interface->can_reflect) continue;
        fuse_reflection(d, &d->nodes[n]);
        fuse_reflection_grad(d, &d->nodes[n], uses);
    }
    free(uses);
    for (size_t n = 0; n < d->node_count && d->backend->interface->moment_parts; n++)
        if (d->nodes[n].output_count > 0) TRY(fuse_moments(d, &d->nodes[n], err));
    return nn_draft_prune(d, err);
}
