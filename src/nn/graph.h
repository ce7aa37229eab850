/* Building a graph: values, operations, gradients.
 *
 *     nn_graph *g = nn_graph_create();
 *     nn_value x = nn_input(g, "x", nn_shape_of(1, 64, 64, 3));
 *     nn_value w = nn_parameter(g, set, "model.1.weight", nn_shape_of(8, 3, 7, 7));
 *     nn_value y = nn_tanh(g, nn_conv2d(g, nn_pad(g, x, NN_PAD_REFLECT, 3), w, 1, 0));
 *     nn_value loss = nn_mean_abs(g, y, x, 0), dw;
 *     nn_grad(g, loss, &w, 1, &dw);
 *     if (nn_graph_status(g, &err) != STATUS_OK) ...
 *
 * An error (a shape that does not fit) is kept in the graph, whatever follows returns NN_NONE, and nn_graph_status
 * reports the first one with the operation, the expected and the actual shape. So building code needs no checks.
 */
#ifndef NN_GRAPH_H
#define NN_GRAPH_H

#include "base/status.h"
#include "nn/op.h"
#include "nn/parameters.h"

typedef struct nn_graph nn_graph;
typedef uint32_t nn_value;
#define NN_NONE UINT32_MAX

/* NULL without memory. */
nn_graph *nn_graph_create(void);
void nn_graph_destroy(nn_graph *g); /* accepts NULL */
/* The first error of the building, or STATUS_OK. */
status nn_graph_status(const nn_graph *g, error *err);
/* For model builders: records an error of their own; returns NN_NONE. */
nn_value nn_graph_fail(nn_graph *g, const char *format, ...) __attribute__((format(printf, 2, 3)));
nn_shape nn_shape_at(const nn_graph *g, nn_value v);

/* Leaves. Names are copied. */
nn_value nn_input(nn_graph *g, const char *name, nn_shape shape);
/* A tensor of a parameter set, added to the set when it is not there yet; the same value for the same name. */
nn_value nn_parameter(nn_graph *g, nn_parameters *set, const char *name, nn_shape shape);
/* Memory that outlives the program: `count(shape)` floats of `block` from element `offset`. */
nn_value nn_memory(nn_graph *g, const char *name, nn_shape shape, nn_block *block, size_t offset);
nn_value nn_constant(nn_graph *g, nn_shape shape, float fill);
/* From here on nn_parameter takes tensors from this slot of their set: NN_AVERAGE builds a network of averaged
 * weights. NN_DATA at first. */
void nn_graph_use_slot(nn_graph *g, nn_slot slot);

/* The value stays readable after the run (nn_program_read). */
void nn_output(nn_graph *g, nn_value v);
/* The value is left in `block` from element `offset`. */
void nn_store(nn_graph *g, nn_value v, nn_block *block, size_t offset);

/* Operations; see ops/ for their definitions. */
nn_value nn_conv2d(nn_graph *g, nn_value x, nn_value w, size_t stride, size_t padding);
nn_value nn_conv2d_transpose(nn_graph *g, nn_value x, nn_value w, size_t stride, size_t padding,
                             size_t output_padding);
nn_value nn_bias(nn_graph *g, nn_value x, nn_value b);
nn_value nn_instance_norm(nn_graph *g, nn_value x, float epsilon);
nn_value nn_relu(nn_graph *g, nn_value x);
nn_value nn_leaky_relu(nn_graph *g, nn_value x, float slope);
nn_value nn_tanh(nn_graph *g, nn_value x);
nn_value nn_sigmoid(nn_graph *g, nn_value x);
nn_value nn_add(nn_graph *g, nn_value a, nn_value b);
nn_value nn_multiply(nn_graph *g, nn_value a, nn_value b);
nn_value nn_scale(nn_graph *g, nn_value x, float factor);
nn_value nn_pad(nn_graph *g, nn_value x, nn_pad_mode mode, size_t amount);
nn_value nn_pad_sides(nn_graph *g, nn_value x, nn_pad_mode mode, size_t top, size_t bottom, size_t left, size_t right);
nn_value nn_concat(nn_graph *g, const nn_value *parts, size_t count, size_t axis);
nn_value nn_slice(nn_graph *g, nn_value x, size_t axis, size_t begin, size_t extent);
/* For discriminators: see ops/augment.c. first: the row of `draws` that is x's first picture's; hole: its side in pixels. */
nn_value nn_augment(nn_graph *g, nn_value x, nn_value draws, size_t first, size_t hole);
nn_value nn_resize_nearest(nn_graph *g, nn_value x, size_t factor);
nn_value nn_resize_bilinear(nn_graph *g, nn_value x, size_t height, size_t width);
nn_value nn_max_pool(nn_graph *g, nn_value x, size_t kernel, size_t stride, bool ceil_mode);
nn_value nn_average_pool(nn_graph *g, nn_value x, size_t kernel, size_t stride);
/* Losses; b may be NN_NONE where a second operand is optional, `target` is then what a is compared with. */
nn_value nn_mean_abs(nn_graph *g, nn_value a, nn_value b, float target);
nn_value nn_mean_square(nn_graph *g, nn_value a, nn_value b, float target);
nn_value nn_bce_logits(nn_graph *g, nn_value x, float target);
nn_value nn_gram(nn_graph *g, nn_value x, float scale);
nn_value nn_total_variation(nn_graph *g, nn_value x, float scale, float exponent, float epsilon);

/* Effects (see op.h). Inputs that they change must be nn_memory values. */
nn_value nn_squared_norm(nn_graph *g, nn_value gradient);
nn_value nn_all_finite(nn_graph *g, const nn_value *scalars, size_t count);
typedef struct nn_adam_options {
    double beta1, beta2;
    float epsilon;
    float clip; /* greatest L2 norm of the gradient; 0: no clipping */
} nn_adam_options;
/* One Adam step (Kingma and Ba 2015, PyTorch's form: eps added to the corrected root). rates: (lr / (1 - beta1^t),
 * 1 / sqrt(1 - beta2^t)). */
void nn_adam(nn_graph *g, nn_value p, nn_value gradient, nn_value m, nn_value v, nn_value rates, nn_value flag,
             nn_value squared_norm, const nn_adam_options *options);
void nn_ema(nn_graph *g, nn_value average, nn_value p, nn_value rate, nn_value flag);
/* decision[i] for image i: 0 passes x[i] on; k+1 stores it at k and passes it on; -(k+1) passes the stored k on and
 * stores x[i] there (the image pool of Shrivastava et al. 2017). Changes `pool`, nn_memory that nothing else of the graph
 * may use: it does not wait for the end, since others go on with what is passed on. */
nn_value nn_pool_swap(nn_graph *g, nn_value pool, nn_value x, nn_value decision);

/* Appends the nodes that compute d loss / d wrt[i] into gradients[i]; NN_NONE where loss does not depend on it. `loss`
 * is a scalar. The gradients flow only towards the values asked for. */
void nn_grad(nn_graph *g, nn_value loss, const nn_value *wrt, size_t count, nn_value *gradients);

#endif
