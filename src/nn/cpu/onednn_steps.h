/* A call prepared for oneDNN: a short list of its primitives over memories, each of which is one of the call's inputs
 * or outputs or a part of its workspace. Shared by the files that include oneDNN, and by no others.
 *
 *     onednn_steps steps = {.onednn = onednn};
 *     TRY(onednn_add_memory(&steps, &plain, ONEDNN_INPUT, 0, &from, err));
 *     TRY(onednn_add_memory(&steps, &blocked, ONEDNN_WORKSPACE, 0, &to, err));
 *     TRY(onednn_add_reorder(&steps, from, to, err));
 *     onednn_steps_bind(&steps, call, err); onednn_steps_run(&steps, call); onednn_steps_free(&steps);
 */
#ifndef NN_CPU_ONEDNN_STEPS_H
#define NN_CPU_ONEDNN_STEPS_H

#include <oneapi/dnnl/dnnl.h>

#include "nn/cpu/onednn.h"

struct cpu_onednn {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_attr_t attributes; /* scratchpad by the caller */
    int threads;
    dnnl_memory_desc_t *layout; /* of number i + 1 */
    size_t layout_count, layout_capacity;
};

typedef enum onednn_place { ONEDNN_INPUT, ONEDNN_OUTPUT, ONEDNN_WORKSPACE } onednn_place;

enum { ONEDNN_MEMORIES = 12, ONEDNN_STEPS = 4, ONEDNN_ARGUMENTS = 6 };

typedef struct onednn_steps {
    struct cpu_onednn *onednn;
    struct {
        dnnl_memory_t memory;
        onednn_place place;
        size_t at; /* number of the input or output, or byte of the workspace */
    } memory[ONEDNN_MEMORIES];
    struct {
        dnnl_primitive_t primitive;
        dnnl_exec_arg_t argument[ONEDNN_ARGUMENTS];
        int argument_count;
    } step[ONEDNN_STEPS];
    size_t memory_count, step_count, workspace_bytes;
} onednn_steps;

/* `at` is the input's or output's number; a part of the workspace is found by itself. *out belongs to the steps. */
status onednn_add_memory(onednn_steps *steps, const dnnl_memory_desc_t *desc, onednn_place place, size_t at,
                         dnnl_memory_t *out, error *err);
/* The primitive of `desc`, and its scratchpad in the workspace. */
status onednn_add_step(onednn_steps *steps, const_dnnl_primitive_desc_t desc, const dnnl_exec_arg_t *arguments,
                       int count, error *err);
status onednn_add_reorder(onednn_steps *steps, dnnl_memory_t from, dnnl_memory_t to, error *err);
/* Takes the call's pointers. */
status onednn_steps_bind(onednn_steps *steps, const nn_call *call, error *err);
/* Should the library fail, output 0 becomes NaN, for the program's test of finiteness to find. */
void onednn_steps_run(const onednn_steps *steps, const nn_call *call);
void onednn_steps_free(onednn_steps *steps);

/* oneDNN takes its number of threads from OpenMP, when a primitive is made and when it runs. Returns the old one. */
int onednn_use_threads(int threads);

/* The number of the layout that `desc` describes, a new one if need be. */
status onednn_layout_number(struct cpu_onednn *onednn, const dnnl_memory_desc_t *desc, nn_layout *out, error *err);
/* The reverse, for a weight of `shape`. */
status onednn_layout_desc(const struct cpu_onednn *onednn, nn_layout layout, nn_shape shape, dnnl_memory_desc_t *out,
                          error *err);

/* Fills `err` and returns its code: "oneDNN: <what>: <the library's status>". */
status onednn_failed(error *err, dnnl_status_t code, const char *what);

#endif
