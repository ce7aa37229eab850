#include "models/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

bool model_is_bias(const char *name)
{
    size_t length = strlen(name);
    return length >= 5 && strcmp(name + length - 5, ".bias") == 0;
}

/* Whether tensor `index` is one of them. */
static bool chosen(const model_weights *weights, size_t index)
{
    return text_starts_with(weights->set->tensors[index].name, weights->set_prefix);
}

static const char *key_of(const model_weights *weights, size_t index)
{
    return weights->set->tensors[index].name + strlen(weights->set_prefix);
}

size_t model_weights_elements(const model_weights *weights)
{
    size_t count = 0;
    for (size_t i = 0; i < weights->set->count; i++)
        if (chosen(weights, i)) count += nn_count(weights->set->tensors[i].shape);
    return count;
}

/* Host memory for the largest tensor; NULL without memory. */
static float *largest_buffer(const model_weights *weights, error *err)
{
    size_t largest = 1;
    for (size_t i = 0; i < weights->set->count; i++) {
        size_t count = nn_count(weights->set->tensors[i].shape);
        if (chosen(weights, i) && count > largest) largest = count;
    }
    float *buffer = malloc(largest * sizeof *buffer);
    if (!buffer) error_no_memory(err, "a tensor's values", largest * sizeof *buffer);
    return buffer;
}

status model_weights_declare(const model_weights *weights, safetensors_writer *w, safetensors_type type, error *err)
{
    text name = {0};
    for (size_t i = 0; i < weights->set->count; i++) {
        if (!chosen(weights, i)) continue;
        const nn_tensor *tensor = &weights->set->tensors[i];
        bool bias = model_is_bias(tensor->name);
        text_clear(&name);
        text_format(&name, "%s%s", weights->file_prefix, key_of(weights, i));
        if (name.failed) break;
        safetensors_declare(w, text_get(&name), type, bias ? 1 : 4, bias ? &tensor->shape.dim[3] : tensor->shape.dim);
    }
    bool failed = name.failed;
    text_free(&name);
    return failed ? error_no_memory(err, "the names of tensors", 0) : STATUS_OK;
}

status model_weights_put(const model_weights *weights, safetensors_writer *w, error *err)
{
    float *values = largest_buffer(weights, err);
    if (!values) return STATUS_NO_MEMORY;
    status result = STATUS_OK;
    for (size_t i = 0; result == STATUS_OK && i < weights->set->count; i++) {
        if (!chosen(weights, i)) continue;
        nn_parameters_read(weights->set, weights->slot, i, values);
        result = nn_backend_check(weights->set->blocks[weights->slot].backend, err);
        if (result == STATUS_OK)
            result = safetensors_put_f32(w, values, nn_count(weights->set->tensors[i].shape), err);
    }
    free(values);
    return result;
}

status model_weights_save(const char *path, const model_weights *weights, const safetensors_metadata *metadata,
                          size_t metadata_count, safetensors_type type, error *err)
{
    safetensors_writer *w;
    status result;
    TRY(safetensors_writer_create(&w, err));
    for (size_t i = 0; i < metadata_count; i++) safetensors_set_metadata(w, metadata[i].key, metadata[i].value);
    TRY_OR(error, model_weights_declare(weights, w, type, err));
    TRY_OR(error, safetensors_begin(w, path, err));
    TRY_OR(error, model_weights_put(weights, w, err));
    return safetensors_commit(w, err);
error:
    safetensors_writer_abort(w);
    return result;
}

/* What an import found. */
typedef struct import {
    const safetensors_file *file;
    const model_weights *weights;
    const safetensors_entry **sources; /* for each tensor of the set; NULL: none yet */
    bool *used;                        /* for each entry of the file */
} import;

static void import_free(import *m)
{
    free(m->sources);
    free(m->used);
}

/* The entry's key without file_prefix and "module."; NULL when it lies elsewhere in the file. */
static const char *entry_key(const import *m, const safetensors_entry *entry)
{
    if (!text_starts_with(entry->name, m->weights->file_prefix)) return NULL;
    const char *key = entry->name + strlen(m->weights->file_prefix);
    return text_starts_with(key, "module.") ? key + strlen("module.") : key;
}

/* Length of the name before a normalisation's ".running_mean" and the like; 0 for other tensors. */
static size_t statistics_stem(const char *name)
{
    static const char *const suffixes[] = {".running_mean", ".running_var", ".num_batches_tracked"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = strlen(suffixes[i]);
        if (length > n && strcmp(name + length - n, suffixes[i]) == 0) return length - n;
    }
    return 0;
}

/* Marks running statistics as used, or refuses them. */
static status import_statistics(import *m, error *err)
{
    for (size_t i = 0; i < safetensors_count(m->file); i++) {
        const char *name = safetensors_at(m->file, i)->name;
        size_t stem = statistics_stem(name);
        if (!stem || !entry_key(m, safetensors_at(m->file, i))) continue;
        char *weight = text_printf("%.*s.weight", (int)stem, name);
        if (!weight) return error_no_memory(err, "a tensor's name", stem);
        bool affine = safetensors_find(m->file, weight) != NULL;
        free(weight);
        if (affine) {
            char shown[200];
            return error_set(err, STATUS_FAILED,
                             "batch norm is not supported: expected instance norm without weights, found %s beside "
                             "an affine weight", text_printable(name, shown, sizeof shown));
        }
        m->used[i] = true;
    }
    return STATUS_OK;
}

/* The set's tensor for a key, SIZE_MAX when there is none; with `dropout`, conv_block.6 stands for conv_block.5. */
static status find_tensor(const import *m, const char *key, bool dropout, size_t *index, error *err)
{
    static const char with_dropout[] = ".conv_block.6.";
    const char *place = strstr(key, with_dropout);
    *index = SIZE_MAX;
    if (dropout && !place) return STATUS_OK;
    text name = {0};
    text_add(&name, m->weights->set_prefix);
    if (dropout)
        text_format(&name, "%.*s.conv_block.5.%s", (int)(place - key), key, place + strlen(with_dropout));
    else
        text_add(&name, key);
    bool failed = name.failed;
    if (!failed) *index = nn_parameters_find(m->weights->set, text_get(&name));
    text_free(&name);
    return failed ? error_no_memory(err, "a tensor's name", strlen(key)) : STATUS_OK;
}

/* Gives the entries that are left to the tensors that have none. */
static status import_match(import *m, bool dropout, error *err)
{
    for (size_t i = 0; i < safetensors_count(m->file); i++) {
        const safetensors_entry *entry = safetensors_at(m->file, i);
        const char *key = entry_key(m, entry);
        if (!key || m->used[i]) continue;
        size_t index;
        TRY(find_tensor(m, key, dropout, &index, err));
        if (index == SIZE_MAX || m->sources[index]) continue;
        m->sources[index] = entry;
        m->used[i] = true;
    }
    return STATUS_OK;
}

static bool same_shape(const safetensors_entry *entry, const nn_tensor *tensor)
{
    if (model_is_bias(tensor->name)) return entry->rank == 1 && entry->shape[0] == tensor->shape.dim[3];
    return entry->rank == 4 && memcmp(entry->shape, tensor->shape.dim, sizeof tensor->shape.dim) == 0;
}

static void add_shape(text *line, const size_t *shape, size_t rank)
{
    if (rank == 0) text_add(line, "a scalar");
    for (size_t i = 0; i < rank; i++) text_format(line, "%s%zu", i ? "x" : "", shape[i]);
}

enum { NAMES_SHOWN = 3 };

/* One kind of trouble: how many, and the first few names. */
typedef struct trouble {
    size_t count;
    text names;
} trouble;

/* The line to go on with, or NULL when the name is not shown. */
static text *trouble_next(trouble *kind, const char *name)
{
    if (++kind->count > NAMES_SHOWN) {
        if (kind->count == NAMES_SHOWN + 1) text_add(&kind->names, ", ...");
        return NULL;
    }
    char shown[160];
    text_format(&kind->names, "%s%s", kind->count > 1 ? ", " : "", text_printable(name, shown, sizeof shown));
    return &kind->names;
}

static void add_trouble(text *line, const trouble *kind, const char *what)
{
    if (kind->count)
        text_format(line, "%s%zu %s (%s)", line->length ? "; " : "", kind->count, what, text_get(&kind->names));
}

static void add_misfit(trouble *kind, const char *key, const safetensors_entry *entry, const nn_tensor *tensor)
{
    text *line = trouble_next(kind, key);
    if (!line) return;
    bool bias = model_is_bias(tensor->name);
    text_add(line, ": expected ");
    add_shape(line, bias ? &tensor->shape.dim[3] : tensor->shape.dim, bias ? 1 : 4);
    text_add(line, ", found ");
    add_shape(line, entry->shape, entry->rank);
}

/* STATUS_OK when every tensor has a source of its shape and nothing is left over. */
static status import_check(const import *m, error *err)
{
    trouble missing = {0}, misfit = {0}, unexpected = {0};
    size_t wanted = 0;
    for (size_t i = 0; i < m->weights->set->count; i++) {
        if (!chosen(m->weights, i)) continue;
        const char *key = key_of(m->weights, i);
        wanted++;
        if (!m->sources[i])
            trouble_next(&missing, key);
        else if (!same_shape(m->sources[i], &m->weights->set->tensors[i]))
            add_misfit(&misfit, key, m->sources[i], &m->weights->set->tensors[i]);
    }
    for (size_t i = 0; i < safetensors_count(m->file); i++)
        if (!m->used[i] && entry_key(m, safetensors_at(m->file, i)))
            trouble_next(&unexpected, safetensors_at(m->file, i)->name);
    text line = {0};
    add_trouble(&line, &missing, "missing");
    add_trouble(&line, &unexpected, "unexpected");
    add_trouble(&line, &misfit, "of another shape");
    status result = STATUS_OK;
    if (missing.count || unexpected.count || misfit.count)
        result = error_set(err, STATUS_FAILED, "the weights do not fit the network, which has %zu tensors: %s", wanted,
                           text_get(&line));
    text_free(&line);
    text_free(&missing.names);
    text_free(&unexpected.names);
    text_free(&misfit.names);
    return result;
}

/* Before anything is written: a file with a type that cannot be read must leave the set as it was. */
static status import_check_types(const import *m, error *err)
{
    for (size_t i = 0; i < m->weights->set->count; i++) {
        const safetensors_entry *entry = chosen(m->weights, i) ? m->sources[i] : NULL;
        if (entry && entry->type != SAFETENSORS_F32 && entry->type != SAFETENSORS_F16 &&
            entry->type != SAFETENSORS_BF16 && entry->type != SAFETENSORS_F64)
            return error_set(err, STATUS_FAILED, "%s: expected values of type F32, F16, BF16 or F64, found another",
                             key_of(m->weights, i));
    }
    return STATUS_OK;
}

/* With `keep` false, only looks for values that no training leaves: they would make all pictures black. */
static status import_read(const import *m, bool keep, error *err)
{
    float *values = largest_buffer(m->weights, err);
    if (!values) return STATUS_NO_MEMORY;
    status result = STATUS_OK;
    for (size_t i = 0; result == STATUS_OK && i < m->weights->set->count; i++) {
        if (!chosen(m->weights, i)) continue;
        result = safetensors_read_f32(m->file, m->sources[i], values, err);
        if (result == STATUS_OK && keep) nn_parameters_write(m->weights->set, m->weights->slot, i, values);
        for (size_t k = 0; result == STATUS_OK && !keep && k < m->sources[i]->count; k++)
            if (!isfinite(values[k]))
                result = error_set(err, STATUS_FAILED, "%s: expected finite values, found %g", key_of(m->weights, i),
                                   (double)values[k]);
    }
    free(values);
    return result;
}

status model_weights_load(const safetensors_file *file, const model_weights *weights, error *err)
{
    size_t tensors = weights->set->count, entries = safetensors_count(file);
    import m = {.file = file, .weights = weights, .sources = calloc(tensors + 1, sizeof *m.sources),
                .used = calloc(entries + 1, sizeof *m.used)};
    status result = STATUS_OK;
    if (!m.sources || !m.used) {
        result = error_no_memory(err, "the list of tensors", tensors * sizeof *m.sources + entries);
        goto error;
    }
    TRY_OR(error, import_statistics(&m, err));
    TRY_OR(error, import_match(&m, false, err));
    TRY_OR(error, import_match(&m, true, err));
    TRY_OR(error, import_check(&m, err));
    TRY_OR(error, import_check_types(&m, err));
    TRY_OR(error, import_read(&m, false, err));
    result = import_read(&m, true, err);
error:
    import_free(&m);
    return result;
}
