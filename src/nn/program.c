#include "nn/program.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "nn/plan.h"

const char *const nn_precision_names[] = {"fp32", "bf16", NULL};

struct nn_program {
    nn_draft draft; /* owns what the kernels prepared */
    nn_memory_plan memory;
    nn_lane_plan lanes;
    nn_call *calls; /* in order of execution */
    uint32_t *order;
    char *base; /* of the arena it is bound to */
    char *own;  /* what is prepacked: NULL until it is bound, or when nothing is */
    bool is_packed;
    uint64_t packed_at; /* packed_changes() then */
    /* Where a backend records: the first run is as written, since the device prepares itself meanwhile; the second is
     * recorded, and from then on the recording is run. */
    void *recording;
    bool has_run, cannot_record;
};

status nn_precision_check(const nn_backend *backend, nn_precision precision, error *err)
{
    if (precision == NN_FP32) return STATUS_OK;
    const nn_backend_interface *interface = backend->interface;
    if (interface->check_precision) return interface->check_precision(backend, precision, err);
    return error_set(err, STATUS_FAILED, "precision %s: the %s backend computes in fp32 alone", nn_precision_names[precision],
                     interface->name);
}

/* Takes the candidate order whose plan needs least memory. */
static status choose_order(nn_program *p, bool reuse, error *err)
{
    size_t count = p->draft.node_count;
    uint32_t *order = malloc((count + 1) * sizeof *order);
    if (!order) return error_no_memory(err, "planning a graph", count * sizeof *order);
    status result = STATUS_OK;
    for (int kind = 0; kind < NN_ORDERS && result == STATUS_OK; kind++) {
        nn_memory_plan plan = {0};
        result = nn_draft_schedule(&p->draft, (nn_order)kind, order, err);
        if (result == STATUS_OK) result = nn_memory_plan_create(&plan, &p->draft, order, reuse, 0, err);
        if (result == STATUS_OK && (kind == 0 || plan.bytes < p->memory.bytes)) {
            nn_memory_plan_free(&p->memory);
            p->memory = plan;
            memcpy(p->order, order, count * sizeof *order);
        } else {
            nn_memory_plan_free(&plan);
        }
    }
    free(order);
    return result;
}

/* How many steps memory that a lane has done with rests; a plan with lanes may take this part of the free memory. */
enum { LANES_LINGER = 8, LANES_SHARE = 4 };

/* Whether any of these steps runs beside another. */
static bool has_lanes(const uint8_t *lane, size_t first, size_t end)
{
    for (size_t step = first + 1; step < end; step++)
        if (lane[step] != lane[first]) return true;
    return false;
}

/* Takes lanes where the backend has them, there are kernels for them and there is memory to spare: much more is alive
 * together. */
static status choose_lanes(nn_program *p, const nn_program_options *options, error *err)
{
    nn_backend *backend = p->draft.backend;
    size_t count = p->draft.node_count, lanes = backend->lanes;
    if (lanes < 2 || options->no_lanes) return STATUS_OK;
    uint32_t *order = malloc((count + 1) * sizeof *order);
    if (!order) return error_no_memory(err, "planning a graph", count * sizeof *order);
    nn_lane_plan plan = {0};
    nn_memory_plan memory = {0};
    status result = nn_lane_plan_create(&plan, count, err);
    if (result == STATUS_OK) result = nn_draft_schedule_lanes(&p->draft, lanes, order, plan.lane, err);
    bool wanted = result == STATUS_OK && has_lanes(plan.lane, p->draft.packing, count);
    if (wanted) result = nn_memory_plan_create(&memory, &p->draft, order, !options->no_reuse, LANES_LINGER, err);
    if (wanted && result == STATUS_OK && (double)memory.bytes * LANES_SHARE <= nn_backend_available(backend)) {
        nn_memory_plan_free(&p->memory);
        p->memory = memory;
        p->lanes = plan;
        memcpy(p->order, order, count * sizeof *order);
    } else {
        nn_memory_plan_free(&memory);
        nn_lane_plan_free(&plan);
    }
    free(order);
    return result;
}

/* What lives in blocks must lie within them. */
static status check_blocks(const nn_program *p, error *err)
{
    for (size_t v = 0; v < p->draft.value_count; v++) {
        const nn_value_info *value = &p->draft.values[v];
        const nn_block *block = value->block;
        if (!block) continue;
        if (!block->memory)
            return error_set(err, STATUS_FAILED, "program: a block that the graph uses is not allocated");
        nn_shape_text shape;
        if (value->offset > block->count || nn_count(value->shape) > block->count - value->offset)
            return error_set(err, STATUS_FAILED, "program: a value of %s at %zu of a block of %zu goes beyond its end",
                             nn_shape_print(value->shape, &shape), value->offset, block->count);
    }
    return STATUS_OK;
}

static status compile(nn_program *p, const nn_graph *g, nn_backend *backend, const nn_program_options *options,
                      error *err)
{
    TRY(nn_precision_check(backend, options->precision, err));
    TRY(nn_draft_create(&p->draft, g, backend, err));
    p->draft.precision = options->precision;
    TRY(nn_draft_prune(&p->draft, err));
    if (!options->no_fusion) TRY(nn_draft_fuse(&p->draft, err));
    TRY(nn_draft_choose_layouts(&p->draft, err));
    TRY(nn_draft_list_changes(&p->draft, err));
    if (options->prepack) TRY(nn_draft_prepack(&p->draft, err));
    size_t count = p->draft.node_count;
    p->order = malloc((count + 1) * sizeof *p->order);
    p->calls = malloc((count + 1) * sizeof *p->calls);
    if (!p->order || !p->calls) return error_no_memory(err, "a program", count * sizeof *p->calls);
    TRY(choose_order(p, !options->no_reuse, err));
    TRY(choose_lanes(p, options, err));
    return check_blocks(p, err);
}

status nn_program_create(const nn_graph *graph, nn_backend *backend, const nn_program_options *options,
                         nn_program **out, error *err)
{
    static const nn_program_options defaults = {0};
    *out = NULL;
    TRY(nn_graph_status(graph, err));
    nn_program *p = calloc(1, sizeof *p);
    if (!p) return error_no_memory(err, "a program", sizeof *p);
    status result = compile(p, graph, backend, options ? options : &defaults, err);
    if (result == STATUS_OK)
        *out = p;
    else
        nn_program_destroy(p);
    return result;
}

static void forget_recording(nn_program *p)
{
    if (p->recording) p->draft.backend->interface->forget(p->draft.backend, p->recording);
    p->recording = NULL;
    p->has_run = false;
}

void nn_program_destroy(nn_program *p)
{
    if (!p) return;
    forget_recording(p);
    if (p->own) p->draft.backend->interface->release(p->draft.backend, p->own);
    nn_draft_free(&p->draft);
    nn_memory_plan_free(&p->memory);
    nn_lane_plan_free(&p->lanes);
    free(p->calls);
    free(p->order);
    free(p);
}

size_t nn_program_bytes(const nn_program *p) { return p->memory.bytes; }
size_t nn_program_packed_bytes(const nn_program *p) { return p->memory.lasting_bytes; }
size_t nn_program_length(const nn_program *p) { return p->draft.node_count - p->draft.packing; }

double nn_program_operations(const nn_program *p)
{
    double total = 0;
    for (size_t n = 0; n < p->draft.node_count; n++) total += nn_draft_operations(&p->draft, &p->draft.nodes[n]);
    return total;
}

/* Where a value of the draft lies; NULL for one that the program dropped. */
static float *address(const nn_program *p, nn_value v)
{
    const nn_value_info *value = &p->draft.values[v];
    if (value->block) return value->block->memory + value->offset;
    uint32_t s = p->memory.storage_of[v];
    if (s == NN_NO_STORAGE) return NULL;
    return (float *)(void *)((p->memory.lasts[s] ? p->own : p->base) + p->memory.offset[s]);
}

static status allocate_own(nn_program *p, error *err)
{
    nn_backend *backend = p->draft.backend;
    size_t bytes = p->memory.lasting_bytes;
    if (p->own || bytes == 0) return STATUS_OK;
    p->own = backend->interface->allocate(backend, bytes);
    return p->own ? STATUS_OK : error_no_memory(err, "prepacked weights", bytes);
}

static status bind(nn_program *p, void *base, error *err)
{
    forget_recording(p);
    TRY(allocate_own(p, err));
    p->base = base;
    p->is_packed = false; /* blocks may have been allocated anew */
    for (size_t step = 0; step < p->draft.node_count; step++) {
        uint32_t n = p->order[step];
        const nn_node *node = &p->draft.nodes[n];
        nn_call *call = &p->draft.calls[n];
        for (size_t i = 0; i < node->input_count; i++) call->input[i] = address(p, node->input[i]);
        for (size_t i = 0; i < node->output_count; i++) call->output[i] = address(p, node->output[i]);
        uint32_t scratch = p->memory.workspace[n];
        call->workspace = scratch == NN_NO_STORAGE ? NULL : p->base + p->memory.offset[scratch];
        nn_backend *backend = p->draft.backend;
        const nn_kernel *kernel = backend->interface->kernel(backend, call->op);
        if (kernel->bind) TRY(kernel->bind(call, err));
        p->calls[step] = *call;
    }
    return p->lanes.lane ? nn_lane_plan_find_waits(&p->lanes, &p->draft, p->order, p->calls, err) : STATUS_OK;
}

status nn_arena_bind(nn_arena *arena, nn_backend *backend, nn_program *const *programs, size_t count, error *err)
{
    size_t bytes = 64;
    for (size_t i = 0; i < count; i++)
        if (nn_program_bytes(programs[i]) > bytes) bytes = nn_program_bytes(programs[i]);
    if (bytes > arena->bytes) {
        nn_arena_free(arena);
        arena->memory = backend->interface->allocate(backend, bytes);
        if (!arena->memory) return error_no_memory(err, "the arena", bytes);
        arena->backend = backend;
        arena->bytes = bytes;
    }
    for (size_t i = 0; i < count; i++) TRY(bind(programs[i], arena->memory, err));
    return STATUS_OK;
}

void nn_arena_free(nn_arena *arena)
{
    if (arena->memory) arena->backend->interface->release(arena->backend, arena->memory);
    *arena = (nn_arena){0};
}

static size_t elements(const nn_program *p, nn_value v)
{
    return nn_count(p->draft.values[p->draft.resolved[v]].shape);
}

/* Where the host may write a value: which counts as a change of lasting memory. */
static float *address_to_write(nn_program *p, nn_value v)
{
    nn_block *block = p->draft.values[p->draft.resolved[v]].block;
    if (block) block->changes++;
    return address(p, p->draft.resolved[v]);
}

void nn_program_write_part(nn_program *p, nn_value input, size_t first, size_t count, const float *host)
{
    float *device = address_to_write(p, input);
    nn_backend *backend = p->draft.backend;
    if (device) backend->interface->write(backend, device + first, host, count * sizeof *host);
}

void nn_program_read_part(const nn_program *p, nn_value output, size_t first, size_t count, float *host)
{
    const float *device = address(p, p->draft.resolved[output]);
    nn_backend *backend = p->draft.backend;
    if (device) backend->interface->read(backend, host, device + first, count * sizeof *host);
}

void nn_program_write(nn_program *p, nn_value input, const float *host)
{
    nn_program_write_part(p, input, 0, elements(p, input), host);
}

void nn_program_read(const nn_program *p, nn_value output, float *host)
{
    nn_program_read_part(p, output, 0, elements(p, output), host);
}

static size_t images(const nn_program *p, nn_value v)
{
    return p->draft.values[p->draft.resolved[v]].shape.dim[NN_N];
}

void nn_program_write_pixels(nn_program *p, nn_value input, const uint8_t *host)
{
    float *device = address_to_write(p, input);
    nn_backend *backend = p->draft.backend;
    if (device) backend->interface->write_pixels(backend, device, host, elements(p, input));
}

void nn_program_read_pixels(const nn_program *p, nn_value output, uint8_t *host, bool *finite)
{
    const float *device = address(p, p->draft.resolved[output]);
    nn_backend *backend = p->draft.backend;
    size_t count = images(p, output);
    if (device) backend->interface->read_pixels(backend, host, finite, device, count, elements(p, output) / count);
}

bool nn_program_begin_read_pixels(const nn_program *p, nn_value output)
{
    const float *device = address(p, p->draft.resolved[output]);
    nn_backend *backend = p->draft.backend;
    size_t count = images(p, output);
    if (!device || !backend->interface->begin_read_pixels) return false;
    return backend->interface->begin_read_pixels(backend, device, count, elements(p, output) / count);
}

bool nn_program_begin_read_scalars(const nn_program *p, const nn_value *outputs, size_t count)
{
    const float *device[NN_READ_SCALARS];
    nn_backend *backend = p->draft.backend;
    if (!backend->interface->begin_read_scalars || count > NN_READ_SCALARS) return false;
    for (size_t i = 0; i < count; i++) {
        device[i] = address(p, p->draft.resolved[outputs[i]]);
        if (!device[i]) return false;
    }
    return backend->interface->begin_read_scalars(backend, device, count);
}

nn_backend *nn_program_backend(const nn_program *p) { return p->draft.backend; }

status nn_program_check(const nn_program *p, error *err) { return nn_backend_check(p->draft.backend, err); }

/* A number that has grown when memory has changed that something is prepacked from: each count does nothing but grow. */
static uint64_t packed_changes(const nn_program *p)
{
    uint64_t changes = 0;
    for (size_t n = 0; n < p->draft.packing; n++)
        for (size_t i = 0; i < p->draft.nodes[n].input_count; i++) {
            const nn_block *block = p->draft.values[p->draft.nodes[n].input[i]].block;
            if (block) changes += block->changes;
        }
    return changes;
}

/* Before each run: packs anew what has changed since, and counts what the run will change itself. */
static void begin_run(nn_program *p)
{
    uint64_t changes = packed_changes(p);
    if (!p->is_packed || changes != p->packed_at)
        for (size_t step = 0; step < p->draft.packing; step++) p->calls[step].run(&p->calls[step]);
    p->is_packed = true;
    p->packed_at = changes;
    for (size_t i = 0; i < p->draft.changed_count; i++) p->draft.changed[i]->changes++;
}

static bool run_calls_until(nn_program *p, const volatile sig_atomic_t *stop)
{
    for (size_t step = p->draft.packing; step < p->draft.node_count; step++) {
        if (stop && *stop) return false;
        p->calls[step].run(&p->calls[step]);
    }
    return true;
}

/* Within a recording. */
static void run_calls(void *program) { run_calls_until(program, NULL); }

/* Within a recording: each step in its lane. */
static void run_lanes(void *program)
{
    nn_program *p = program;
    nn_backend *backend = p->draft.backend;
    const nn_lane_plan *lanes = &p->lanes;
    size_t wait = 0;
    for (size_t step = p->draft.packing; step < p->draft.node_count; step++) {
        backend->interface->use_lane(backend, lanes->lane[step]);
        for (; wait < lanes->wait_end[step]; wait++) backend->interface->await(backend, lanes->waits[wait]);
        p->calls[step].run(&p->calls[step]);
        if (lanes->waited_for[step]) backend->interface->mark(backend, step);
    }
}

bool nn_program_run_until(nn_program *p, const volatile sig_atomic_t *stop)
{
    nn_backend *backend = p->draft.backend;
    const nn_backend_interface *interface = backend->interface;
    begin_run(p);
    if (interface->record && p->has_run && !p->recording && !p->cannot_record) {
        p->recording = interface->record(backend, p->lanes.lane ? run_lanes : run_calls, p);
        p->cannot_record = !p->recording;
    }
    if (p->recording)
        interface->replay(backend, p->recording);
    else if (!run_calls_until(p, stop))
        return false;
    p->has_run = true;
    return true;
}

void nn_program_run(nn_program *p) { nn_program_run_until(p, NULL); }

void nn_program_run_profiled(nn_program *p, nn_profile *profile)
{
    nn_backend *backend = p->draft.backend;
    begin_run(p);
    for (size_t step = p->draft.packing; step < p->draft.node_count; step++) {
        const nn_call *call = &p->calls[step];
        double begin = log_clock();
        call->run(call);
        backend->interface->synchronise(backend);
        profile->seconds[call->op] += log_clock() - begin;
        profile->calls[call->op]++;
    }
}

void nn_program_print(const nn_program *p, FILE *stream)
{
    for (size_t step = 0; step < p->draft.node_count; step++) {
        const nn_node *node = &p->draft.nodes[p->order[step]];
        fprintf(stream, "%4zu %-20s", step, nn_op_name(node->op));
        for (size_t i = 0; i < node->input_count + node->output_count; i++) {
            nn_value v = i < node->input_count ? node->input[i] : node->output[i - node->input_count];
            nn_shape_text shape;
            fprintf(stream, "%s %u:%s", i == node->input_count ? " ->" : "", v,
                    nn_shape_print(p->draft.values[v].shape, &shape));
            uint32_t s = p->memory.storage_of[v];
            if (s != NN_NO_STORAGE) fprintf(stream, "%s%zu", p->memory.lasts[s] ? "=" : "@", p->memory.offset[s]);
        }
        fputc('\n', stream);
    }
    fprintf(stream, "%zu nodes, the first %zu for packing; %zu bytes, and %zu for what is packed\n", p->draft.node_count,
            p->draft.packing, p->memory.bytes, p->memory.lasting_bytes);
}
