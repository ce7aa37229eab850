/* Norms whose convolutions give moments: which of a graph's they are on a backend, and what they should make. */
#ifndef TESTS_NN_MOMENTS_TEST_H
#define TESTS_NN_MOMENTS_TEST_H

#include <float.h>

#include "nn/plan.h"
#include "test.h"

/* How many norms get moments, and of how many parts an image all together; how many read bf16. */
typedef struct planned_moments {
    size_t norms, parts, halves;
} planned_moments;

static inline planned_moments planned_moments_of(test *t, const nn_graph *graph, nn_backend *backend, nn_precision precision)
{
    nn_draft draft;
    error err = {0};
    planned_moments found = {0};
    status result = nn_draft_create(&draft, graph, backend, &err);
    draft.precision = precision;
    if (result == STATUS_OK) result = nn_draft_prune(&draft, &err);
    if (result == STATUS_OK) result = nn_draft_fuse(&draft, &err);
    if (result == STATUS_OK) result = nn_draft_choose_layouts(&draft, &err);
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    for (size_t i = 0; i < draft.node_count; i++) {
        const nn_node *node = &draft.nodes[i];
        if (node->op != NN_INSTANCE_NORM) continue;
        found.halves += draft.layout[node->input[0]] == NN_LAYOUT_BF16;
        if (!node->attr.has_moments) continue;
        found.norms++;
        found.parts += draft.values[node->input[node->input_count - 1]].shape.dim[NN_H];
    }
    nn_draft_free(&draft);
    return found;
}

/* The greatest error of z = relu (norm y) + added, over 1 + |z|, with statistics by their definition, in double. mean_rounds:
 * but for what rounding a mean to float does. */
static inline double norm_error_of(nn_shape shape, const float *y, const float *added, const float *z, double epsilon,
                                   bool mean_rounds)
{
    size_t c = shape.dim[NN_C], pixels = shape.dim[NN_H] * shape.dim[NN_W];
    double greatest = 0;
    for (size_t i = 0; i < shape.dim[NN_N] * c; i++) {
        size_t first = i / c * pixels * c + i % c;
        double mean = 0, squares = 0;
        for (size_t p = 0; p < pixels; p++) mean += y[first + p * c] / (double)pixels;
        for (size_t p = 0; p < pixels; p++) squares += (y[first + p * c] - mean) * (y[first + p * c] - mean);
        double rstd = 1 / sqrt(squares / (double)pixels + epsilon);
        double allowed = mean_rounds ? fabs(mean) * (double)FLT_EPSILON * rstd : 0;
        for (size_t p = first; p < first + pixels * c; p += c) {
            double xhat = (y[p] - mean) * rstd, expected = (xhat > 0 ? xhat : 0) + added[p];
            double off = (fabs(z[p] - expected) - allowed) / (1 + fabs(expected));
            if (!(off <= greatest)) greatest = off; /* NaN, too */
        }
    }
    return greatest;
}

#endif
