/* Engine, layouts, lists of primitives, and reorder. */
#include "nn/cpu/onednn.h"

#include <math.h>
#include <omp.h>
#include <oneapi/dnnl/dnnl_debug.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "nn/cpu/cpu.h"
#include "nn/cpu/onednn_steps.h"

enum { ALIGNMENT = 64 };

status onednn_failed(error *err, dnnl_status_t code, const char *what)
{
    return error_set(err, code == dnnl_out_of_memory ? STATUS_NO_MEMORY : STATUS_FAILED, "oneDNN: %s: %s", what,
                     dnnl_status2str(code));
}

int onednn_use_threads(int threads)
{
    int before = omp_get_max_threads();
    if (threads != before) omp_set_num_threads(threads);
    return before;
}

/* The library keeps kernels that it has made, half a megabyte each, for whoever asks for the same again: 1024 of them, which
 * nobody does. Programs hold their own; only those of strips, pass after pass, find a few of the last ones again. */
enum { KEPT_KERNELS = 16 };

/* As the library takes it, in letters of any case: what it does not know forbids nothing. */
bool cpu_onednn_allows_tiles(void)
{
    static const char *const below[] = {"SSE41",           "AVX",         "AVX2",             "AVX2_VNNI",       "AVX512_MIC",
                                        "AVX512_MIC_4OPS", "AVX512_CORE", "AVX512_CORE_VNNI", "AVX512_CORE_BF16"};
    const char *most = getenv("ONEDNN_MAX_CPU_ISA");
    if (!most) most = getenv("DNNL_MAX_CPU_ISA");
    for (size_t i = 0; most && i < sizeof below / sizeof *below; i++)
        if (strcasecmp(most, below[i]) == 0) return false;
    return true;
}

struct cpu_onednn *cpu_onednn_create(int threads, error *err)
{
    /* Not with AMX: what generates such kernels in version 2.6 reads beside its memory, and ours take what matters. The first
     * call of a process counts, and the library's refusal of others changes nothing. */
    if (cpu_onednn_allows_tiles()) dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx512_core_bf16);
    struct cpu_onednn *onednn = calloc(1, sizeof *onednn);
    if (!onednn) {
        error_no_memory(err, "oneDNN", sizeof *onednn);
        return NULL;
    }
    onednn->threads = threads;
    dnnl_status_t code = dnnl_set_primitive_cache_capacity(KEPT_KERNELS);
    if (code == dnnl_success) code = dnnl_engine_create(&onednn->engine, dnnl_cpu, 0);
    if (code == dnnl_success)
        code = dnnl_stream_create(&onednn->stream, onednn->engine, dnnl_stream_default_flags);
    if (code == dnnl_success) code = dnnl_primitive_attr_create(&onednn->attributes);
    if (code == dnnl_success)
        code = dnnl_primitive_attr_set_scratchpad_mode(onednn->attributes, dnnl_scratchpad_mode_user);
    if (code == dnnl_success) return onednn;
    onednn_failed(err, code, "starting");
    cpu_onednn_destroy(onednn);
    return NULL;
}

void cpu_onednn_destroy(struct cpu_onednn *onednn)
{
    if (!onednn) return;
    if (onednn->attributes) dnnl_primitive_attr_destroy(onednn->attributes);
    if (onednn->stream) dnnl_stream_destroy(onednn->stream);
    if (onednn->engine) dnnl_engine_destroy(onednn->engine);
    free(onednn->layout);
    free(onednn);
}

bool cpu_onednn_has_bf16(void)
{
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

/* Layouts. */

status onednn_layout_number(struct cpu_onednn *onednn, const dnnl_memory_desc_t *desc, nn_layout *out, error *err)
{
    dnnl_memory_desc_t plain;
    dnnl_status_t code = dnnl_memory_desc_init_by_tag(&plain, 4, desc->dims, dnnl_f32, dnnl_oihw);
    if (code != dnnl_success) return onednn_failed(err, code, "a weight's layout");
    *out = NN_LAYOUT_PLAIN;
    if (dnnl_memory_desc_equal(&plain, desc)) return STATUS_OK;
    for (size_t i = 0; i < onednn->layout_count; i++) {
        *out = (nn_layout)(i + 1);
        if (dnnl_memory_desc_equal(&onednn->layout[i], desc)) return STATUS_OK;
    }
    if (onednn->layout_count == onednn->layout_capacity) {
        size_t capacity = 2 * onednn->layout_capacity + 16;
        dnnl_memory_desc_t *layout = realloc(onednn->layout, capacity * sizeof *layout);
        if (!layout) return error_no_memory(err, "the table of layouts", capacity * sizeof *layout);
        onednn->layout = layout;
        onednn->layout_capacity = capacity;
    }
    onednn->layout[onednn->layout_count++] = *desc;
    *out = (nn_layout)onednn->layout_count;
    return STATUS_OK;
}

status onednn_layout_desc(const struct cpu_onednn *onednn, nn_layout layout, nn_shape shape, dnnl_memory_desc_t *out,
                          error *err)
{
    nn_shape_text text;
    if (layout == NN_LAYOUT_PLAIN) {
        dnnl_dims_t dims;
        for (int i = 0; i < 4; i++) dims[i] = (dnnl_dim_t)shape.dim[i];
        dnnl_status_t code = dnnl_memory_desc_init_by_tag(out, 4, dims, dnnl_f32, dnnl_oihw);
        return code == dnnl_success ? STATUS_OK : onednn_failed(err, code, "a weight's plain layout");
    }
    if (layout > onednn->layout_count)
        return error_set(err, STATUS_FAILED, "layout: expected a number up to %zu, found %u", onednn->layout_count,
                         layout);
    *out = onednn->layout[layout - 1];
    nn_shape belongs = nn_shape_of((size_t)out->dims[0], (size_t)out->dims[1], (size_t)out->dims[2],
                                   (size_t)out->dims[3]);
    if (nn_shape_equal(belongs, shape)) return STATUS_OK;
    nn_shape_text expected;
    return error_set(err, STATUS_FAILED, "layout %u: expected a weight of %s, found %s", layout,
                     nn_shape_print(belongs, &expected), nn_shape_print(shape, &text));
}

size_t cpu_onednn_layout_bytes(const struct cpu_onednn *onednn, nn_layout layout, nn_shape shape)
{
    if (layout == NN_LAYOUT_PLAIN || layout > onednn->layout_count) return nn_count(shape) * sizeof(float);
    return dnnl_memory_desc_get_size(&onednn->layout[layout - 1]);
}

/* Lists of primitives. */

status onednn_add_memory(onednn_steps *steps, const dnnl_memory_desc_t *desc, onednn_place place, size_t at,
                         dnnl_memory_t *out, error *err)
{
    if (steps->memory_count == ONEDNN_MEMORIES) return onednn_failed(err, dnnl_invalid_arguments, "too many memories");
    if (place == ONEDNN_WORKSPACE) {
        at = (steps->workspace_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        steps->workspace_bytes = at + dnnl_memory_desc_get_size(desc);
    }
    dnnl_status_t code = dnnl_memory_create(out, desc, steps->onednn->engine, DNNL_MEMORY_NONE);
    if (code != dnnl_success) return onednn_failed(err, code, "a memory");
    steps->memory[steps->memory_count].memory = *out;
    steps->memory[steps->memory_count].place = place;
    steps->memory[steps->memory_count++].at = at;
    return STATUS_OK;
}

status onednn_add_step(onednn_steps *steps, const_dnnl_primitive_desc_t desc, const dnnl_exec_arg_t *arguments,
                       int count, error *err)
{
    if (steps->step_count == ONEDNN_STEPS || count >= ONEDNN_ARGUMENTS)
        return onednn_failed(err, dnnl_invalid_arguments, "too many steps or arguments");
    dnnl_exec_arg_t *argument = steps->step[steps->step_count].argument;
    memcpy(argument, arguments, (size_t)count * sizeof *argument);
    const dnnl_memory_desc_t *scratchpad = dnnl_primitive_desc_query_md(desc, dnnl_query_scratchpad_md, 0);
    if (scratchpad && dnnl_memory_desc_get_size(scratchpad) > 0) {
        argument[count].arg = DNNL_ARG_SCRATCHPAD;
        TRY(onednn_add_memory(steps, scratchpad, ONEDNN_WORKSPACE, 0, &argument[count].memory, err));
        count++;
    }
    steps->step[steps->step_count].argument_count = count;
    dnnl_status_t code = dnnl_primitive_create(&steps->step[steps->step_count].primitive, desc);
    if (code != dnnl_success) return onednn_failed(err, code, "a primitive");
    steps->step_count++;
    return STATUS_OK;
}

status onednn_add_reorder(onednn_steps *steps, dnnl_memory_t from, dnnl_memory_t to, error *err)
{
    const dnnl_memory_desc_t *from_desc, *to_desc;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_engine_t engine = steps->onednn->engine;
    dnnl_status_t code = dnnl_memory_get_memory_desc(from, &from_desc);
    if (code == dnnl_success) code = dnnl_memory_get_memory_desc(to, &to_desc);
    if (code == dnnl_success)
        code = dnnl_reorder_primitive_desc_create(&desc, from_desc, engine, to_desc, engine, steps->onednn->attributes);
    if (code != dnnl_success) return onednn_failed(err, code, "a reorder");
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    status result = onednn_add_step(steps, desc, arguments, 2, err);
    dnnl_primitive_desc_destroy(desc);
    return result;
}

status onednn_steps_bind(onednn_steps *steps, const nn_call *call, error *err)
{
    int before = onednn_use_threads(steps->onednn->threads);
    dnnl_status_t code = dnnl_success;
    for (size_t i = 0; i < steps->memory_count && code == dnnl_success; i++) {
        size_t at = steps->memory[i].at;
        void *handle = steps->memory[i].place == ONEDNN_INPUT ? (void *)nn_call_mutable(call, at)
                       : steps->memory[i].place == ONEDNN_OUTPUT
                           ? (void *)call->output[at]
                           : (void *)((unsigned char *)call->workspace + at);
        code = dnnl_memory_set_data_handle(steps->memory[i].memory, handle);
    }
    onednn_use_threads(before);
    return code == dnnl_success ? STATUS_OK : onednn_failed(err, code, "binding memories");
}

void onednn_steps_run(const onednn_steps *steps, const nn_call *call)
{
    int before = onednn_use_threads(steps->onednn->threads);
    dnnl_status_t code = dnnl_success;
    for (size_t i = 0; i < steps->step_count && code == dnnl_success; i++)
        code = dnnl_primitive_execute(steps->step[i].primitive, steps->onednn->stream, steps->step[i].argument_count,
                                      steps->step[i].argument);
    onednn_use_threads(before);
    if (code == dnnl_success) return;
    /* All bits set is NaN in both. */
    size_t number = call->output_layout[0] == NN_LAYOUT_BF16 ? sizeof(uint16_t) : sizeof(float);
    memset(call->output[0], 0xff, nn_count(call->output_shape[0]) * number);
}

void onednn_steps_free(onednn_steps *steps)
{
    for (size_t i = 0; i < steps->step_count; i++) dnnl_primitive_destroy(steps->step[i].primitive);
    for (size_t i = 0; i < steps->memory_count; i++) dnnl_memory_destroy(steps->memory[i].memory);
    *steps = (onednn_steps){0};
}

/* Reorder: a weight of input_shape[0] from attr.from_layout to attr.to_layout. */

static void reorder_run(const nn_call *call) { onednn_steps_run(call->prepared, call); }

static status reorder_bind(nn_call *call, error *err) { return onednn_steps_bind(call->prepared, call, err); }

static void reorder_release(nn_call *call)
{
    if (!call->prepared) return;
    onednn_steps_free(call->prepared);
    free(call->prepared);
    call->prepared = NULL;
}

static status reorder_steps(onednn_steps *steps, const nn_call *call, error *err)
{
    dnnl_memory_desc_t from_desc, to_desc;
    dnnl_memory_t from, to;
    TRY(onednn_layout_desc(steps->onednn, call->attr.from_layout, call->input_shape[0], &from_desc, err));
    TRY(onednn_layout_desc(steps->onednn, call->attr.to_layout, call->input_shape[0], &to_desc, err));
    TRY(onednn_add_memory(steps, &from_desc, ONEDNN_INPUT, 0, &from, err));
    TRY(onednn_add_memory(steps, &to_desc, ONEDNN_OUTPUT, 0, &to, err));
    return onednn_add_reorder(steps, from, to, err);
}

static status reorder_prepare(nn_backend *backend, nn_call *call, error *err)
{
    onednn_steps *steps = calloc(1, sizeof *steps);
    if (!steps) return error_no_memory(err, "a reorder", sizeof *steps);
    call->prepared = steps;
    steps->onednn = ((cpu_backend *)backend)->onednn;
    int before = onednn_use_threads(steps->onednn->threads);
    status result = reorder_steps(steps, call, err);
    onednn_use_threads(before);
    if (result != STATUS_OK) {
        reorder_release(call);
        return result;
    }
    call->input_layout[0] = call->attr.from_layout;
    call->output_layout[0] = call->attr.to_layout;
    call->workspace_bytes = steps->workspace_bytes;
    return STATUS_OK;
}

const nn_kernel cpu_onednn_reorder = {
    .run = reorder_run,
    .prepare = reorder_prepare,
    .bind = reorder_bind,
    .release = reorder_release,
};
