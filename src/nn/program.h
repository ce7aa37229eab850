/* A compiled graph: fused, ordered, placed in memory, ready to run again and again.
 *
 *     nn_program *p;
 *     TRY(nn_program_create(graph, backend, NULL, &p, err));      graph may be destroyed afterwards
 *     nn_arena arena = {0};
 *     nn_program *all[] = {p};
 *     TRY(nn_arena_bind(&arena, backend, all, 1, err));           one arena for all programs of a run
 *     nn_program_write(p, x, pixels);
 *     nn_program_run(p);
 *     nn_program_read(p, y, result);
 *
 * Options left out are zero: fp32, memory shared, nodes fused.
 */
#ifndef NN_PROGRAM_H
#define NN_PROGRAM_H

#include <signal.h>
#include <stdio.h>

#include "base/status.h"
#include "nn/backend.h"
#include "nn/graph.h"

typedef struct nn_program nn_program;

/* "fp32", "bf16", NULL: in the order of nn_precision. */
extern const char *const nn_precision_names[];

typedef struct nn_program_options {
    nn_precision precision; /* a backend that cannot is an error that says why */
    bool no_reuse;  /* every value has memory of its own: for tests and debugging */
    bool no_fusion; /* every node as it was built */
    bool no_lanes;  /* one kernel after another */
    /* What depends on lasting memory alone (parameters in their kernels' layouts) is not computed by each run, but by the
     * next one after that memory has changed, and kept in memory of the program's own. For programs that run often with the
     * same weights; results have the same bits. */
    bool prepack;
} nn_program_options;

/* Whether programs of this precision run on the backend, before anything is built: the error that
 * nn_program_create would give. */
status nn_precision_check(const nn_backend *backend, nn_precision precision, error *err);

/* Plans; allocates no tensor memory. options may be NULL. Parameter sets must be allocated. */
status nn_program_create(const nn_graph *graph, nn_backend *backend, const nn_program_options *options,
                         nn_program **out, error *err);
void nn_program_destroy(nn_program *p); /* accepts NULL */
/* Bytes of arena that the program needs. */
size_t nn_program_bytes(const nn_program *p);
/* Bytes that it has of its own beside it, from when it is bound: what is prepacked. */
size_t nn_program_packed_bytes(const nn_program *p);
/* Number of kernels that one run calls, when no memory has changed that others are prepacked from. */
size_t nn_program_length(const nn_program *p);
/* Arithmetic of the convolutions of one run, which is nearly all there is: two operations for each product of an output
 * (of a gradient with respect to the input: of each element of dy) with the weights, as the definition has it, whatever
 * the kernels save. For predictions of time. */
double nn_program_operations(const nn_program *p);

typedef struct nn_arena {
    nn_backend *backend;
    void *memory;
    size_t bytes;
} nn_arena;

/* Allocates the largest need of the programs and binds them to it, in place of what was bound before; and to each what it
 * has of its own, which others do not touch. */
status nn_arena_bind(nn_arena *arena, nn_backend *backend, nn_program *const *programs, size_t count, error *err);
void nn_arena_free(nn_arena *arena);

/* An input, before a run. It must be written before each run: its memory may serve others during it. Lasting memory may be
 * written so too, and stays. */
void nn_program_write(nn_program *p, nn_value input, const float *host);
void nn_program_run(nn_program *p);
/* The same, given up between two kernels when *stop becomes non-zero: false, and the outputs are none. stop may be NULL. For
 * programs that change nothing but their arena: no effects, nothing stored. A recording runs to its end. */
bool nn_program_run_until(nn_program *p, const volatile sig_atomic_t *stop);
/* An output, after a run and before another program of the same arena runs. */
void nn_program_read(const nn_program *p, nn_value output, float *host);
/* The same for pictures as bytes (base/pixels.h): as many as the value has elements. finite: for each image of the batch,
 * whether its elements are. */
void nn_program_write_pixels(nn_program *p, nn_value input, const uint8_t *host);
void nn_program_read_pixels(const nn_program *p, nn_value output, uint8_t *host, bool *finite);
/* The same for `count` elements from element `first` on, so that a large value need not be on the host as a whole. All
 * of an input must be written before each run. */
void nn_program_write_part(nn_program *p, nn_value input, size_t first, size_t count, const float *host);
void nn_program_read_part(const nn_program *p, nn_value output, size_t first, size_t count, float *host);
/* Outputs of one element each, NN_READ_SCALARS at most, and pictures, read in two parts: other programs of the arena may run
 * between them. False: not here (nn/backend.h), read them at once. They end, the oldest first, with the backend's
 * end_read_scalars or end_read_pixels. */
bool nn_program_begin_read_scalars(const nn_program *p, const nn_value *outputs, size_t count);
bool nn_program_begin_read_pixels(const nn_program *p, nn_value output);
nn_backend *nn_program_backend(const nn_program *p);
/* After reading: STATUS_OK, or why what was read is none (nn_backend_check). */
status nn_program_check(const nn_program *p, error *err);

/* For `--profile`. Runs add to it. */
typedef struct nn_profile {
    double seconds[NN_OP_COUNT];
    uint64_t calls[NN_OP_COUNT];
} nn_profile;
/* Runs with a clock around each kernel; synchronises the device after each. */
void nn_program_run_profiled(nn_program *p, nn_profile *profile);
/* One line a node in order of execution: operation, shapes, offsets. For people. */
void nn_program_print(const nn_program *p, FILE *stream);

#endif
