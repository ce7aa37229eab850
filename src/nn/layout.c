/* Layouts: each kernel says in `prepare` which it wants; where a value comes in another, a reorder is inserted. A
 * value is reordered once for each layout, however many nodes want it. Before all that, in a program of bf16, values
 * that every kernel which touches them can take in bf16 get that layout; and values whose readers all ask for the same
 * layout get it, where the kernel that writes them can; where some readers want it plain, it may be written in both. */
#include <stdlib.h>
#include <string.h>

#include "nn/plan.h"

enum { BOTH_OUTPUTS = 3 }; /* of a node that writes its first value in another layout too: the plain one is the last */

typedef struct builder {
    nn_draft *d;
    nn_node *nodes; /* the new list */
    nn_call *calls;
    size_t count, capacity;
    error *err;
} builder;

nn_call nn_draft_call(const nn_draft *d, const nn_node *node)
{
    nn_call call = {.op = node->op, .attr = node->attr, .input_count = node->input_count,
                    .output_count = node->output_count, .threads = d->backend->threads, .precision = d->precision,
                    .backend = d->backend};
    for (size_t i = 0; i < node->input_count; i++) call.input_shape[i] = d->values[node->input[i]].shape;
    for (size_t i = 0; i < node->output_count; i++) call.output_shape[i] = d->values[node->output[i]].shape;
    return call;
}

/* Appends node and call (whose kernel is prepared already); the builder owns the call from here. */
static status append(builder *b, const nn_node *node, const nn_call *call)
{
    if (b->count == b->capacity) {
        size_t capacity = 2 * b->capacity + 64;
        nn_node *nodes = realloc(b->nodes, capacity * sizeof *nodes);
        if (nodes) b->nodes = nodes;
        nn_call *calls = realloc(b->calls, capacity * sizeof *calls);
        if (calls) b->calls = calls;
        if (!nodes || !calls) return error_no_memory(b->err, "planning a graph", capacity * sizeof *calls);
        b->capacity = capacity;
    }
    for (size_t i = 0; i < node->output_count; i++) b->d->values[node->output[i]].producer = (uint32_t)b->count;
    b->nodes[b->count] = *node;
    b->calls[b->count++] = *call;
    return STATUS_OK;
}

static const nn_kernel *kernel_of(const builder *b, nn_op op)
{
    const nn_kernel *kernel = b->d->backend->interface->kernel(b->d->backend, op);
    if (!kernel)
        error_set(b->err, STATUS_FAILED, "the %s backend has no kernel for %s", b->d->backend->interface->name,
                  nn_op_name(op));
    return kernel;
}

static void release_call(const nn_kernel *kernel, nn_call *call)
{
    if (kernel->release) kernel->release(call);
}

/* Lets the kernel choose; call->input_layout and output_layout say what it wants. */
static status prepare(const builder *b, nn_call *call, const nn_kernel *kernel)
{
    call->run = kernel->run;
    if (kernel->workspace) call->workspace_bytes = kernel->workspace(call);
    if (!kernel->prepare) return STATUS_OK;
    status result = kernel->prepare(b->d->backend, call, b->err);
    if (result != STATUS_OK) error_prefix(b->err, "%s", nn_op_name(call->op));
    return result;
}

/* Whether output 0 of the node is `v` in another layout: a reorder of it, or written beside it. */
static bool has_copy(const nn_node *node, nn_value v)
{
    if (node->op == NN_REORDER) return node->input[0] == v;
    return node->output_count == BOTH_OUTPUTS && node->output[BOTH_OUTPUTS - 1] == v;
}

/* The value `v` in layout `wanted`: itself, an earlier copy of it, or a new reorder. */
static status in_layout(builder *b, nn_value v, nn_layout wanted, nn_value *out)
{
    nn_draft *d = b->d;
    *out = v;
    if (d->layout[v] == wanted) return STATUS_OK;
    for (size_t n = 0; n < b->count; n++)
        if (has_copy(&b->nodes[n], v) && d->layout[b->nodes[n].output[0]] == wanted) {
            *out = b->nodes[n].output[0];
            return STATUS_OK;
        }
    nn_node node = {.op = NN_REORDER, .input_count = 1, .output_count = 1, .input = {v},
                    .attr = {.from_layout = d->layout[v], .to_layout = wanted}};
    nn_value_info value = {.kind = NN_VALUE_COMPUTED, .shape = d->values[v].shape};
    TRY(nn_draft_add_value(d, value, out, b->err));
    node.output[0] = *out;
    d->layout[*out] = wanted;
    const nn_kernel *kernel = kernel_of(b, NN_REORDER);
    if (!kernel) return STATUS_FAILED;
    nn_call call = nn_draft_call(d, &node);
    call.input_layout[0] = node.attr.from_layout;
    call.output_layout[0] = wanted;
    status result = prepare(b, &call, kernel);
    if (result == STATUS_OK) result = append(b, &node, &call);
    if (result != STATUS_OK) release_call(kernel, &call);
    return result;
}

/* Elementwise operations follow their operands when those agree. */
static void follow_operands(const builder *b, const nn_node *node, nn_call *call)
{
    nn_layout first = b->d->layout[node->input[0]];
    for (size_t i = 1; i < node->input_count; i++)
        if (b->d->layout[node->input[i]] != first) return; /* all plain then, as initialised */
    for (size_t i = 0; i < node->input_count; i++) call->input_layout[i] = first;
    call->output_layout[0] = first;
}

/* A value that is read from outside must end in plain layout, under its own number or another. */
static status make_plain(builder *b, nn_value v)
{
    nn_draft *d = b->d;
    bool stored = d->values[v].block != NULL;
    if (d->layout[v] == NN_LAYOUT_PLAIN || (!stored && !d->values[v].is_output)) return STATUS_OK;
    nn_value plain;
    TRY(in_layout(b, v, NN_LAYOUT_PLAIN, &plain));
    d->values[plain].block = d->values[v].block;
    d->values[plain].offset = d->values[v].offset;
    d->values[plain].is_output = d->values[v].is_output;
    d->values[v].block = NULL;
    d->values[v].is_output = false;
    for (size_t i = 0; i < d->resolved_count; i++)
        if (d->resolved[i] == v) d->resolved[i] = plain;
    return STATUS_OK;
}

static status place_node(builder *b, const nn_node *original)
{
    nn_node node = *original;
    const nn_kernel *kernel = kernel_of(b, node.op);
    if (!kernel) return STATUS_FAILED;
    nn_call call = nn_draft_call(b->d, &node);
    for (size_t i = 0; i < node.input_count; i++)
        if (b->d->layout[node.input[i]] == NN_LAYOUT_BF16) call.input_layout[i] = NN_LAYOUT_BF16;
    for (size_t i = 0; i < node.output_count; i++) call.output_layout[i] = b->d->layout[node.output[i]];
    if (nn_op_def_of(node.op)->layout_agnostic) follow_operands(b, &node, &call);
    status result;
    TRY_OR(error, prepare(b, &call, kernel));
    for (size_t i = 0; i < node.input_count; i++)
        TRY_OR(error, in_layout(b, node.input[i], call.input_layout[i], &node.input[i]));
    TRY_OR(error, append(b, &node, &call));
    for (size_t i = 0; i < node.output_count; i++) {
        b->d->layout[node.output[i]] = call.output_layout[i];
        TRY(make_plain(b, node.output[i]));
    }
    return STATUS_OK;
error:
    release_call(kernel, &call);
    return result;
}

/* Whether nothing but kernels reads or writes the value. */
static bool is_private(const nn_value_info *v)
{
    return v->kind == NN_VALUE_COMPUTED && !v->block && !v->is_output;
}

static void choose_bf16(nn_draft *d)
{
    const nn_backend_interface *interface = d->backend->interface;
    if (d->precision != NN_BF16 || !interface->reads_bf16 || !interface->writes_bf16) return;
    for (size_t v = 0; v < d->value_count; v++)
        if (is_private(&d->values[v])) d->layout[v] = NN_LAYOUT_BF16;
    for (size_t n = d->node_count; n-- > 0;) { /* readers before who writes: what they chose is known then */
        const nn_node *node = &d->nodes[n];
        nn_call call = nn_draft_call(d, node);
        for (size_t i = 0; i < node->output_count; i++) {
            if (!interface->writes_bf16(d->backend, &call, i)) d->layout[node->output[i]] = NN_LAYOUT_PLAIN;
            call.output_layout[i] = d->layout[node->output[i]];
        }
        for (size_t i = 0; i < node->input_count; i++)
            if (!interface->reads_bf16(d->backend, &call, i)) d->layout[node->input[i]] = NN_LAYOUT_PLAIN;
    }
}

/* The layout that the kernel of `node` asks for input `number` in, when all are plain: what prepare chooses. */
static nn_layout asked_layout(const nn_draft *d, const nn_node *node, size_t number)
{
    const nn_kernel *kernel = d->backend->interface->kernel(d->backend, node->op);
    if (!kernel || !kernel->prepare) return NN_LAYOUT_PLAIN;
    nn_call call = nn_draft_call(d, node);
    error err = {0};
    status result = kernel->prepare(d->backend, &call, &err);
    release_call(kernel, &call);
    return result == STATUS_OK ? call.input_layout[number] : NN_LAYOUT_PLAIN;
}

/* What those who read a value ask for: the layout of all who do not want it plain (plain when they differ, or there are
 * none), and whether others do. */
typedef struct wish {
    nn_layout layout;
    bool plain;
} wish;

/* Of a value of node `producer`. */
static wish wish_of(const nn_draft *d, size_t producer, nn_value v)
{
    wish w = {NN_LAYOUT_PLAIN, false};
    for (size_t n = producer + 1; n < d->node_count; n++)
        for (size_t i = 0; i < d->nodes[n].input_count; i++) {
            if (d->nodes[n].input[i] != v) continue;
            nn_layout layout = asked_layout(d, &d->nodes[n], i);
            if (layout == NN_LAYOUT_PLAIN)
                w.plain = true;
            else if (w.layout == NN_LAYOUT_PLAIN)
                w.layout = layout;
            else if (layout != w.layout)
                return (wish){NN_LAYOUT_PLAIN, true};
        }
    return w;
}

/* The value that the node writes first becomes its last, and a copy in `layout` its first: not one that takes the place of
 * an input, since whoever writes a border reads what others write. */
static status write_both(nn_draft *d, nn_node *node, nn_layout layout, error *err)
{
    nn_value plain = node->output[0], copy;
    nn_value_info value = {.kind = NN_VALUE_COMPUTED, .shape = d->values[plain].shape};
    TRY(nn_draft_add_value(d, value, &copy, err));
    d->layout[copy] = layout;
    node->output[0] = copy;
    node->output[node->output_count++] = plain;
    return STATUS_OK;
}

/* Results that are written as they will be read: no plain value, or one beside it, and no reorder of it. */
static status choose_written(nn_draft *d, error *err)
{
    const nn_backend_interface *interface = d->backend->interface;
    if (!interface->can_write_layout || !interface->can_write_both) return STATUS_OK;
    for (size_t n = 0; n < d->node_count; n++)
        for (size_t i = 0; i < d->nodes[n].output_count; i++) {
            nn_node *node = &d->nodes[n];
            nn_value v = node->output[i];
            if (!is_private(&d->values[v]) || d->layout[v] != NN_LAYOUT_PLAIN) continue;
            const wish w = wish_of(d, n, v);
            if (w.layout == NN_LAYOUT_PLAIN) continue;
            const nn_call call = nn_draft_call(d, node);
            if (!w.plain && interface->can_write_layout(d->backend, &call, i, w.layout))
                d->layout[v] = w.layout;
            else if (w.plain && i == 0 && interface->can_write_both(d->backend, &call, w.layout))
                TRY(write_both(d, node, w.layout, err));
        }
    return STATUS_OK;
}

status nn_draft_choose_layouts(nn_draft *d, error *err)
{
    builder b = {.d = d, .err = err};
    choose_bf16(d);
    status result = choose_written(d, err);
    for (size_t n = 0; n < d->node_count && result == STATUS_OK; n++) result = place_node(&b, &d->nodes[n]);
    free(d->nodes); /* what was placed goes to the draft even after a failure: nn_draft_free releases its calls */
    d->nodes = b.nodes;
    d->calls = b.calls;
    d->node_count = b.count;
    d->node_capacity = b.capacity;
    return result;
}
