/* The planner's working copy of a graph, for nn/ alone. A program is made in these phases, each a file:
 *
 *   draft.c     copy the graph, drop what no output needs
 *   fuse.c      named patterns become single nodes
 *   layout.c    which values are in bf16; ask each kernel which layouts it wants, insert reorders
 *   schedule.c  candidate orders of execution
 *   memory.c    lifetimes, in-place, offsets in the arena
 *   program.c   take the order that needs least memory, bind pointers, run
 */
#ifndef NN_PLAN_H
#define NN_PLAN_H

#include "nn/graph_internal.h"

#define NN_NO_STORAGE UINT32_MAX

typedef struct nn_draft {
    nn_backend *backend;
    nn_precision precision;
    nn_node *nodes;
    nn_call *calls; /* parallel to nodes; filled by layout.c */
    size_t node_count, node_capacity;
    nn_value_info *values;
    nn_layout *layout; /* parallel to values */
    size_t value_count, value_capacity;
    nn_value *resolved; /* for each value of the graph: the value of the draft that holds it in plain layout */
    size_t resolved_count;
} nn_draft;

status nn_draft_create(nn_draft *d, const nn_graph *g, nn_backend *backend, error *err);
void nn_draft_free(nn_draft *d);
/* Drops nodes that no output, stored value or effect needs. Values keep their numbers. */
status nn_draft_prune(nn_draft *d, error *err);
status nn_draft_add_value(nn_draft *d, nn_value_info value, nn_value *out, error *err);

/* A node's call, for a kernel or a backend to look at: everything but pointers, layouts plain. */
nn_call nn_draft_call(const nn_draft *d, const nn_node *node);

/* Patterns: instance_norm + relu or leaky_relu; activation_grad + instance_norm_grad; convolution + bias;
 * pad by reflection + convolution or its weight gradient, data gradient + gradient of such a pad, where the backend can.
 */
status nn_draft_fuse(nn_draft *d, error *err);
status nn_draft_choose_layouts(nn_draft *d, error *err);

/* order: node_count entries, the nodes in order of execution. */
typedef enum nn_order { NN_ORDER_APPENDED, NN_ORDER_LATEST_FIRST, NN_ORDER_LEAST_MEMORY, NN_ORDERS } nn_order;
status nn_draft_schedule(const nn_draft *d, nn_order kind, uint32_t *order, error *err);

typedef struct nn_memory_plan {
    uint32_t *storage_of; /* for each value, or NN_NO_STORAGE (lives in a block) */
    size_t *offset;       /* of each storage, in bytes */
    uint32_t *workspace;  /* storage of each node's workspace, or NN_NO_STORAGE */
    size_t bytes;
} nn_memory_plan;
status nn_memory_plan_create(nn_memory_plan *plan, const nn_draft *d, const uint32_t *order, bool reuse, error *err);
void nn_memory_plan_free(nn_memory_plan *plan);

/* Bytes of a value in its layout. */
size_t nn_draft_bytes(const nn_draft *d, nn_value v);

#endif
