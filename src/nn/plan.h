/* The planner's working copy of a graph, for nn/ alone. A program is made in these phases, each a file:
 *
 *   draft.c     copy the graph, drop what no output needs
 *   fuse.c      named patterns become single nodes
 *   layout.c    which values are in bf16; ask each kernel which layouts it wants, insert reorders
 *   pack.c      what depends on lasting memory alone goes first, to be run when that has changed
 *   schedule.c  candidate orders of execution
 *   lanes.c     one more, for kernels beside one another, and what waits for what then
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
    size_t packing; /* of the nodes, the first so many run when lasting memory has changed, and not in each run */
    nn_block **changed; /* what a run changes of lasting memory */
    size_t changed_count;
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

/* Patterns: instance_norm + relu or leaky_relu; activation_grad + instance_norm_grad; convolution + bias; instance_norm or
 * gradient of a pad + add; where the backend can, pad by reflection + convolution or its weight gradient, data gradient +
 * gradient of such a pad, enlargement by 2 + such a pad + convolution, convolution + instance_norm. */
status nn_draft_fuse(nn_draft *d, error *err);
status nn_draft_choose_layouts(nn_draft *d, error *err);

/* Lists what a run changes of lasting memory. */
status nn_draft_list_changes(nn_draft *d, error *err);
/* After it: moves the nodes that depend on lasting memory alone, which no run changes, to the front, in their order. */
status nn_draft_prepack(nn_draft *d, error *err);
/* Whether the value is computed by one of them. */
bool nn_draft_is_packed(const nn_draft *d, nn_value v);

/* order: node_count entries, the nodes in order of execution; those for packing are the first, in their own order. */
typedef enum nn_order { NN_ORDER_APPENDED, NN_ORDER_LATEST_FIRST, NN_ORDER_LEAST_MEMORY, NN_ORDERS } nn_order;
status nn_draft_schedule(const nn_draft *d, nn_order kind, uint32_t *order, error *err);

/* For the orders of execution with lanes. */
typedef struct nn_lane_plan {
    uint8_t *lane; /* of each step of the order; NULL: there is but one */
    /* What a step waits for, earlier steps in other lanes: waits[wait_end[step - 1]] to waits[wait_end[step] - 1]. */
    uint32_t *waits, *wait_end;
    size_t wait_count;
    bool *waited_for; /* for each step, whether another waits for it */
} nn_lane_plan;
status nn_lane_plan_create(nn_lane_plan *plan, size_t steps, error *err);
void nn_lane_plan_free(nn_lane_plan *plan);
/* order, lane: node_count entries, the nodes in a possible order of execution and the lane of each, below `lanes`. Those
 * for packing, which are over when lanes begin, come first, and nobody waits for them. */
status nn_draft_schedule_lanes(const nn_draft *d, size_t lanes, uint32_t *order, uint8_t *lane, error *err);
/* calls: in that order, with their pointers. */
status nn_lane_plan_find_waits(nn_lane_plan *plan, const nn_draft *d, const uint32_t *order, const nn_call *calls,
                               error *err);

typedef struct nn_memory_plan {
    uint32_t *storage_of; /* for each value, or NN_NO_STORAGE (lives in a block) */
    size_t *offset;       /* of each storage, in bytes */
    bool *lasts;          /* for each storage, whether it is kept from run to run: in memory of its own, not in the arena */
    uint32_t *workspace;  /* storage of each node's workspace, or NN_NO_STORAGE */
    size_t bytes, lasting_bytes; /* of the arena; of that memory */
} nn_memory_plan;
/* linger: how many steps memory is left alone after its last use, so that what takes it over need not wait in a lane. */
status nn_memory_plan_create(nn_memory_plan *plan, const nn_draft *d, const uint32_t *order, bool reuse, size_t linger,
                             error *err);
void nn_memory_plan_free(nn_memory_plan *plan);

/* Arithmetic of a node, if it is a convolution: nn_program_operations. */
double nn_draft_operations(const nn_draft *d, const nn_node *node);

/* Bytes of a value in its layout. */
size_t nn_draft_bytes(const nn_draft *d, nn_value v);

#endif
