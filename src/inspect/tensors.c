#include <string.h>
#include <sys/stat.h>

#include "inspect/internal.h"

enum { TENSORS_SHOWN = 20 };

static const char *const type_names[] = {
    [SAFETENSORS_F32] = "F32", [SAFETENSORS_F16] = "F16", [SAFETENSORS_BF16] = "BF16",   [SAFETENSORS_F64] = "F64",
    [SAFETENSORS_I64] = "I64", [SAFETENSORS_I32] = "I32", [SAFETENSORS_U8] = "U8", [SAFETENSORS_OTHER] = "other",
};
enum { TYPES = sizeof type_names / sizeof *type_names };

status inspect_contents(const char *path, const safetensors_file *file, inspect_facts *facts, error *err)
{
    static const char checksum[] = "data_xxh64";
    struct stat info;
    size_t values = 0, types[TYPES] = {0};
    if (stat(path, &info) == 0) inspect_bytes(facts, "file_size", (double)info.st_size);
    inspect_count(facts, "tensors", safetensors_count(file));
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const safetensors_entry *entry = safetensors_at(file, i);
        types[entry->type]++;
        values += entry->count;
    }
    inspect_count(facts, "values", values);
    text names = {0};
    json_t *list = json_array();
    for (size_t i = 0; i < TYPES; i++) {
        if (types[i] == 0) continue;
        text_format(&names, "%s%s", names.length ? ", " : "", type_names[i]);
        if (json_array_append_new(list, json_string(type_names[i])) != 0) facts->failed = true;
    }
    inspect_value(facts, "storage", list, "%s", names.length ? text_get(&names) : "none");
    text_free(&names);
    TRY(safetensors_verify(file, err));
    bool has = safetensors_metadata_get(file, checksum) != NULL;
    inspect_value(facts, "checksum", json_string(has ? "agrees" : "none"), "%s",
                  has ? "agrees: the file is whole" : "none in the file");
    return STATUS_OK;
}

static json_t *tensor_json(const safetensors_entry *entry, text *shape)
{
    json_t *numbers = json_array(), *tensor = json_object();
    bool failed = false;
    text_clear(shape);
    for (size_t i = 0; i < entry->rank; i++) {
        text_format(shape, "%s%zu", i ? "x" : "", entry->shape[i]);
        failed |= json_array_append_new(numbers, json_integer((json_int_t)entry->shape[i])) != 0;
    }
    if (entry->rank == 0) text_add(shape, "a single value");
    failed |= json_object_set_new(tensor, "name", inspect_json_string(entry->name)) != 0;
    failed |= json_object_set_new(tensor, "type", json_string(type_names[entry->type])) != 0;
    failed |= json_object_set_new(tensor, "shape", numbers) != 0;
    if (!failed) return tensor;
    json_decref(tensor);
    return NULL;
}

void inspect_tensor_list(const safetensors_file *file, bool all, inspect_facts *facts)
{
    size_t count = safetensors_count(file), shown = all || count < TENSORS_SHOWN ? count : TENSORS_SHOWN;
    json_t *list = json_array();
    text shape = {0};
    if (shown < count)
        inspect_value(facts, "list", list, "the first %zu; --tensors lists all", shown);
    else
        inspect_value(facts, "list", list, "%s", count ? "all" : "none");
    for (size_t i = 0; i < shown; i++) {
        const safetensors_entry *entry = safetensors_at(file, i);
        if (json_array_append_new(list, tensor_json(entry, &shape)) != 0) facts->failed = true;
        inspect_note(facts, "%s  %s  %s", entry->name, type_names[entry->type], text_get(&shape));
    }
    text_free(&shape);
}

/* The convolution features.N.weight. */
static const safetensors_entry *convolution_at(const safetensors_file *file, size_t number)
{
    char name[48];
    snprintf(name, sizeof name, "features.%zu.weight", number);
    const safetensors_entry *entry = safetensors_find(file, name);
    return entry && entry->rank == 4 ? entry : NULL;
}

bool inspect_is_features(const safetensors_file *file) { return convolution_at(file, 0) != NULL; }

void inspect_features(const safetensors_file *file, inspect_facts *facts)
{
    /* conv, ReLU, (pooling): with batch norm there is one more between. */
    const safetensors_entry *norm = safetensors_find(file, "features.1.weight");
    const size_t most = 200, step = norm && norm->rank == 1 ? 3 : 2;
    json_t *widths = json_array();
    text shown = {0};
    size_t convolutions = 0;
    for (size_t i = 0, last = 0; i < most; i++) {
        const safetensors_entry *entry = convolution_at(file, i);
        if (!entry) continue;
        text_format(&shown, "%s%zu", i > last + step ? " | " : convolutions ? " " : "", entry->shape[0]);
        if (json_array_append_new(widths, json_integer((json_int_t)entry->shape[0])) != 0) facts->failed = true;
        convolutions++;
        last = i;
    }
    inspect_count(facts, "convolutions", convolutions);
    inspect_value(facts, "widths", widths, "%s (| where pictures are pooled)", text_get(&shown));
    inspect_value(facts, "batch_norm", json_boolean(step == 3), "%s", step == 3 ? "yes" : "no");
    text_free(&shown);
}
