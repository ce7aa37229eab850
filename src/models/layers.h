/* What the networks' builders share: convolutions under the reference's tensor names, and the list of what is trained.
 *
 *     model_trainables trained = {0};
 *     nn_value fake = model_generator_build(graph, set, "G_A.", &options, real, &trained);
 *     nn_value *gradients = malloc(trained.count * sizeof *gradients);
 *     nn_grad(graph, loss, trained.values, trained.count, gradients);
 *     model_trainables_free(&trained);
 *
 * A bias in front of an instance norm without affine parameters is cancelled by it: the builders leave it out of the
 * graph and of the list, but keep its tensor in the set, because files carry it.
 */
#ifndef MODELS_LAYERS_H
#define MODELS_LAYERS_H

#include "nn/graph.h"

/* Tensors that take part in the graph. `{0}` is empty. A network that is built twice in one graph (its tensors are
 * shared then) is listed once. One list serves networks of one parameter set. */
typedef struct model_trainables {
    nn_value *values; /* for nn_grad */
    size_t *tensors;  /* values[i] is tensor number tensors[i] of the set */
    size_t count, capacity;
} model_trainables;

void model_trainables_free(model_trainables *trainables);

/* Where a network is built: its tensors are named prefix + key. */
typedef struct model_scope {
    nn_graph *graph;
    nn_parameters *set;
    const char *prefix;
    model_trainables *trainables; /* NULL: nobody asks */
} model_scope;

typedef struct model_convolution {
    const char *key; /* "model.1": the tensors are key.weight and key.bias */
    size_t channels; /* of the result */
    size_t kernel, stride, padding;
    bool transpose; /* weight (in, out, kh, kw) instead of (out, in, kh, kw) */
    size_t output_padding;
    bool normalised; /* instance norm follows, and the bias stays out of the graph */
} model_convolution;

extern const float model_instance_norm_epsilon; /* 1e-5, PyTorch's */

/* x: (n, h, w, c) -> (n, h', w', channels): convolution, then either bias or instance norm. NN_NONE passes through. */
nn_value model_convolve(const model_scope *scope, nn_value x, const model_convolution *layer);

#endif
