/* What fusing makes of a graph on a backend. */
#ifndef TESTS_NN_PLANNED_TEST_H
#define TESTS_NN_PLANNED_TEST_H

#include "nn/plan.h"
#include "test.h"

/* How many norms get moments, and of how many parts an image all together. */
typedef struct planned_moments {
    size_t norms, parts;
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
    if (result != STATUS_OK) test_failed(t, __FILE__, __LINE__, "%s", err.message);
    for (size_t i = 0; i < draft.node_count; i++) {
        const nn_node *node = &draft.nodes[i];
        if (node->op != NN_INSTANCE_NORM || !node->attr.has_moments) continue;
        found.norms++;
        found.parts += draft.values[node->input[node->input_count - 1]].shape.dim[NN_H];
    }
    nn_draft_free(&draft);
    return found;
}

#endif
