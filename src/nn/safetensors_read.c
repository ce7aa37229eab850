#include "nn/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/text.h"

enum { PREFIX_BYTES = 8, HEADER_LIMIT = 8 << 20, NAME_SHOWN = 200, CHUNK = 1 << 16 };

struct safetensors_file {
    char *name;
    int descriptor;             /* -1 when the bytes are the caller's */
    const unsigned char *bytes; /* else NULL */
    size_t size, data_begin;
    safetensors_entry *entries; /* by offset */
    size_t count;
    const safetensors_entry **by_name;
    safetensors_metadata *metadata;
    size_t metadata_count;
};

typedef struct type_row {
    const char *name;
    safetensors_type type;
    size_t bytes;
} type_row;

static const type_row types[] = {
    {"F32", SAFETENSORS_F32, 4},   {"F16", SAFETENSORS_F16, 2},       {"BF16", SAFETENSORS_BF16, 2},
    {"F64", SAFETENSORS_F64, 8},   {"I64", SAFETENSORS_I64, 8},       {"I32", SAFETENSORS_I32, 4},
    {"U8", SAFETENSORS_U8, 1},     {"BOOL", SAFETENSORS_OTHER, 1},    {"I8", SAFETENSORS_OTHER, 1},
    {"I16", SAFETENSORS_OTHER, 2}, {"U16", SAFETENSORS_OTHER, 2},     {"U32", SAFETENSORS_OTHER, 4},
    {"U64", SAFETENSORS_OTHER, 8}, {"F8_E4M3", SAFETENSORS_OTHER, 1}, {"F8_E5M2", SAFETENSORS_OTHER, 1},
    {"C64", SAFETENSORS_OTHER, 8},
};

static uint64_t load(const unsigned char *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

/* Reads by calls and not by a mapping, in which a file that is cut short meanwhile would end the program. */
static status read_bytes(const safetensors_file *file, size_t offset, void *out, size_t size, error *err)
{
    unsigned char *to = out;
    if (file->bytes) {
        memcpy(to, file->bytes + offset, size);
        return STATUS_OK;
    }
    while (size) {
        ssize_t n = pread(file->descriptor, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return error_set(err, STATUS_FAILED, "%s: cannot read: %s", file->name, strerror(errno));
        if (n == 0) return error_set(err, STATUS_FAILED, "%s: cut short while it was read", file->name);
        to += n;
        offset += (size_t)n;
        size -= (size_t)n;
    }
    return STATUS_OK;
}

/* a * b in *product, or false. */
static bool multiply(size_t a, size_t b, size_t *product)
{
    if (b && a > SIZE_MAX / b) return false;
    *product = a * b;
    return true;
}

/* One field of a tensor's description that holds whole numbers: shape or data_offsets. */
static status read_numbers(const char *where, const json_t *tensor, const char *key, size_t least, size_t most,
                           size_t *out, size_t *count, error *err)
{
    const json_t *list = json_object_get(tensor, key);
    if (!json_is_array(list)) return error_set(err, STATUS_FAILED, "%s: expected a list '%s'", where, key);
    *count = json_array_size(list);
    if (*count < least || *count > most)
        return error_set(err, STATUS_FAILED, "%s: '%s' has %zu numbers, expected %s%zu", where, key, *count,
                         least == most ? "" : "at most ", most);
    for (size_t i = 0; i < *count; i++) {
        const json_t *number = json_array_get(list, i);
        if (!json_is_integer(number) || json_integer_value(number) < 0 ||
            (uint64_t)json_integer_value(number) > SIZE_MAX)
            return error_set(err, STATUS_FAILED, "%s: '%s' holds something else than whole numbers from 0", where, key);
        out[i] = (size_t)json_integer_value(number);
    }
    return STATUS_OK;
}

/* Checks all that one entry says of itself; how entries lie beside each other is check_layout's. */
static status read_entry(const char *where, const json_t *tensor, size_t data_bytes, safetensors_entry *entry,
                         error *err)
{
    const char *type_name = json_string_value(json_object_get(tensor, "dtype"));
    if (!type_name) return error_set(err, STATUS_FAILED, "%s: expected an object with a text 'dtype'", where);
    const type_row *row = NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type_name) == 0) row = &types[i];
    char shown[NAME_SHOWN];
    if (!row)
        return error_set(err, STATUS_FAILED, "%s: unknown dtype '%s'", where,
                         text_printable(type_name, shown, sizeof shown));
    entry->type = row->type;
    TRY(read_numbers(where, tensor, "shape", 0, SAFETENSORS_MAX_RANK, entry->shape, &entry->rank, err));
    size_t offsets[2], two, bytes = row->bytes;
    TRY(read_numbers(where, tensor, "data_offsets", 2, 2, offsets, &two, err));

    /* Zeros are left out of the product: whoever multiplies some of the dimensions must not overflow either. */
    bool empty = false, fits = true;
    for (size_t i = 0; i < entry->rank && fits; i++) {
        if (entry->shape[i]) fits = multiply(bytes, entry->shape[i], &bytes);
        empty = empty || !entry->shape[i];
    }
    if (!fits) return error_set(err, STATUS_FAILED, "%s: its shape has more bytes than memory can hold", where);
    if (empty) bytes = 0;
    if (offsets[0] > offsets[1])
        return error_set(err, STATUS_FAILED, "%s: begins at %zu, after its end at %zu", where, offsets[0], offsets[1]);
    if (offsets[1] > data_bytes)
        return error_set(err, STATUS_FAILED, "%s: ends at %zu of %zu bytes of data", where, offsets[1], data_bytes);
    if (offsets[1] - offsets[0] != bytes)
        return error_set(err, STATUS_FAILED, "%s: has %zu bytes, its shape and dtype need %zu", where,
                         offsets[1] - offsets[0], bytes);
    entry->begin = offsets[0];
    entry->bytes = bytes;
    entry->count = bytes / row->bytes;
    return STATUS_OK;
}

static status read_metadata(safetensors_file *file, const json_t *object, error *err)
{
    if (!json_is_object(object))
        return error_set(err, STATUS_FAILED, "%s: __metadata__: expected an object of strings", file->name);
    size_t size = json_object_size(object);
    file->metadata = calloc(size + 1, sizeof *file->metadata);
    if (!file->metadata) return error_no_memory(err, file->name, (size + 1) * sizeof *file->metadata);
    json_t *from = (json_t *)(uintptr_t)object; /* the iteration does not write, but lacks const */
    for (void *i = json_object_iter(from); i; i = json_object_iter_next(from, i)) {
        const char *key = json_object_iter_key(i), *value = json_string_value(json_object_iter_value(i));
        char shown[NAME_SHOWN];
        if (!value)
            return error_set(err, STATUS_FAILED, "%s: __metadata__ '%s': expected a string", file->name,
                             text_printable(key, shown, sizeof shown));
        safetensors_metadata *pair = &file->metadata[file->metadata_count++];
        pair->key = text_copy(key);
        pair->value = text_copy(value);
        if (!pair->key || !pair->value) return error_no_memory(err, file->name, strlen(key) + strlen(value));
    }
    return STATUS_OK;
}

static int compare_offsets(const void *a, const void *b)
{
    const safetensors_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b)
{
    const safetensors_entry *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* Each tensor begins where the one before ends, and the last ends with the file. */
static status check_layout(const safetensors_file *file, error *err)
{
    size_t end = 0;
    char shown[NAME_SHOWN];
    for (size_t i = 0; i < file->count; i++) {
        const safetensors_entry *e = &file->entries[i];
        if (e->begin != end)
            return error_set(err, STATUS_FAILED, "%s: tensor '%s' begins at %zu, expected %zu: %s", file->name,
                             text_printable(e->name, shown, sizeof shown), e->begin, end,
                             e->begin < end ? "tensors overlap" : "there is a hole before it");
        end += e->bytes;
    }
    if (end != file->size - file->data_begin)
        return error_set(err, STATUS_FAILED, "%s: has %zu bytes of data, its tensors take %zu", file->name,
                         file->size - file->data_begin, end);
    return STATUS_OK;
}

static status read_entries(safetensors_file *file, json_t *header, error *err)
{
    size_t size = json_object_size(header);
    file->entries = calloc(size + 1, sizeof *file->entries);
    file->by_name = calloc(size + 1, sizeof *file->by_name);
    if (!file->entries || !file->by_name) return error_no_memory(err, file->name, size * sizeof *file->entries);
    for (void *i = json_object_iter(header); i; i = json_object_iter_next(header, i)) {
        const char *name = json_object_iter_key(i);
        const json_t *value = json_object_iter_value(i);
        if (strcmp(name, "__metadata__") == 0) {
            TRY(read_metadata(file, value, err));
            continue;
        }
        safetensors_entry *entry = &file->entries[file->count];
        entry->name = text_copy(name);
        if (!entry->name) return error_no_memory(err, file->name, strlen(name));
        file->count++;
        char shown[NAME_SHOWN], where[NAME_SHOWN + 16];
        snprintf(where, sizeof where, "tensor '%s'", text_printable(name, shown, sizeof shown));
        status result = read_entry(where, value, file->size - file->data_begin, entry, err);
        if (result != STATUS_OK) return error_prefix(err, "%s", file->name);
    }
    qsort(file->entries, file->count, sizeof *file->entries, compare_offsets);
    for (size_t i = 0; i < file->count; i++) file->by_name[i] = &file->entries[i];
    qsort(file->by_name, file->count, sizeof *file->by_name, compare_names);
    return check_layout(file, err);
}

static status parse_header(safetensors_file *file, const char *json, size_t length, error *err)
{
    json_error_t problem;
    json_t *header = json_loadb(json, length, JSON_REJECT_DUPLICATES, &problem);
    char shown[JSON_ERROR_TEXT_LENGTH * 4];
    if (!header)
        return error_set(err, STATUS_FAILED, "%s: its header is not valid JSON: %s", file->name,
                         text_printable(problem.text, shown, sizeof shown));
    status result = json_is_object(header)
                        ? read_entries(file, header, err)
                        : error_set(err, STATUS_FAILED, "%s: its header is not a JSON object", file->name);
    json_decref(header);
    return result;
}

static status read_header(safetensors_file *file, error *err)
{
    if (file->size < PREFIX_BYTES)
        return error_set(err, STATUS_FAILED, "%s: not a safetensors file: %zu bytes long, expected at least %d",
                         file->name, file->size, PREFIX_BYTES);
    unsigned char prefix[PREFIX_BYTES];
    TRY(read_bytes(file, 0, prefix, sizeof prefix, err));
    uint64_t length = load(prefix, PREFIX_BYTES);
    bool too_long = length > HEADER_LIMIT; /* as what follows would be */
    if (too_long && (memcmp(prefix, "PK\3\4", 4) == 0 || memcmp(prefix, "\x80\2", 2) == 0)) /* zip; once a pickle */
        return error_set(err, STATUS_FAILED, "%s: not a safetensors file but PyTorch's: tools/convert_pth.py converts it",
                         file->name);
    if (too_long)
        return error_set(err, STATUS_FAILED, "%s: not a safetensors file: a header of %" PRIu64 " bytes, at most %d are "
                         "read", file->name, length, HEADER_LIMIT);
    if (length > file->size - PREFIX_BYTES)
        return error_set(err, STATUS_FAILED, "%s: cut short: a header of %" PRIu64 " bytes in a file of %zu", file->name,
                         length, file->size);
    file->data_begin = PREFIX_BYTES + (size_t)length;
    char *json = malloc((size_t)length + 1);
    if (!json) return error_no_memory(err, file->name, (size_t)length + 1);
    status result = read_bytes(file, PREFIX_BYTES, json, (size_t)length, err);
    if (result == STATUS_OK) result = parse_header(file, json, (size_t)length, err);
    free(json);
    return result;
}

static safetensors_file *file_create(const char *name)
{
    safetensors_file *file = calloc(1, sizeof *file);
    if (file) file->descriptor = -1;
    if (file) file->name = text_copy(name);
    if (file && file->name) return file;
    free(file);
    return NULL;
}

status safetensors_open_memory(const char *name, const void *bytes, size_t size, safetensors_file **out, error *err)
{
    *out = NULL;
    safetensors_file *file = file_create(name);
    if (!file) return error_no_memory(err, name, sizeof *file);
    file->bytes = bytes;
    file->size = size;
    status result = read_header(file, err);
    if (result == STATUS_OK)
        *out = file;
    else
        safetensors_close(file);
    return result;
}

static status open_file(safetensors_file *file, error *err)
{
    struct stat info;
    /* Without waiting: a named pipe would keep the program here. */
    file->descriptor = open(file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->descriptor < 0)
        return error_set(err, STATUS_FAILED, "%s: cannot open: %s", file->name, strerror(errno));
    if (fstat(file->descriptor, &info) != 0 || !S_ISREG(info.st_mode))
        return error_set(err, STATUS_FAILED, "%s: cannot read: not a file", file->name);
    file->size = (size_t)info.st_size;
    return STATUS_OK;
}

status safetensors_open(const char *path, safetensors_file **out, error *err)
{
    *out = NULL;
    safetensors_file *file = file_create(path);
    if (!file) return error_no_memory(err, path, sizeof *file);
    status result = open_file(file, err);
    if (result == STATUS_OK) result = read_header(file, err);
    if (result == STATUS_OK)
        *out = file;
    else
        safetensors_close(file);
    return result;
}

void safetensors_close(safetensors_file *file)
{
    if (!file) return;
    for (size_t i = 0; i < file->count; i++) free(file->entries[i].name);
    for (size_t i = 0; i < file->metadata_count; i++) {
        free(file->metadata[i].key);
        free(file->metadata[i].value);
    }
    free(file->entries);
    free(file->by_name);
    free(file->metadata);
    if (file->descriptor >= 0) close(file->descriptor);
    free(file->name);
    free(file);
}

size_t safetensors_count(const safetensors_file *file) { return file->count; }

const safetensors_entry *safetensors_at(const safetensors_file *file, size_t index) { return &file->entries[index]; }

const safetensors_entry *safetensors_find(const safetensors_file *file, const char *name)
{
    size_t low = 0, high = file->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, file->by_name[middle]->name);
        if (order == 0) return file->by_name[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const char *safetensors_metadata_get(const safetensors_file *file, const char *key)
{
    for (size_t i = 0; i < file->metadata_count; i++)
        if (strcmp(file->metadata[i].key, key) == 0) return file->metadata[i].value;
    return NULL;
}

size_t safetensors_metadata_count(const safetensors_file *file) { return file->metadata_count; }

safetensors_metadata safetensors_metadata_at(const safetensors_file *file, size_t index)
{
    return file->metadata[index];
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_of_half(uint32_t half)
{
    uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    if (exponent == 31) return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float subnormal = (float)fraction * 0x1p-24f;
    return sign ? -subnormal : subnormal;
}

static float float_of_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

static float float_of(safetensors_type type, const unsigned char *from)
{
    switch (type) {
    case SAFETENSORS_F16: return float_of_half((uint32_t)load(from, 2));
    case SAFETENSORS_BF16: return float_of_bits((uint32_t)load(from, 2) << 16);
    case SAFETENSORS_F64: return float_of_double(load(from, 8));
    default: return float_of_bits((uint32_t)load(from, 4));
    }
}

status safetensors_read_f32(const safetensors_file *file, const safetensors_entry *entry, float *out, error *err)
{
    size_t element = entry->type == SAFETENSORS_F32 ? 4 : entry->type == SAFETENSORS_F64 ? 8 : 2;
    char shown[NAME_SHOWN];
    if (entry->type > SAFETENSORS_F64)
        return error_set(err, STATUS_FAILED, "%s: tensor '%s': expected floating-point numbers, found another dtype",
                         file->name, text_printable(entry->name, shown, sizeof shown));
    unsigned char buffer[CHUNK];
    size_t at = file->data_begin + entry->begin;
    for (size_t left = entry->count; left;) {
        size_t part = left < CHUNK / element ? left : CHUNK / element;
        TRY(read_bytes(file, at, buffer, part * element, err));
        for (size_t i = 0; i < part; i++) *out++ = float_of(entry->type, buffer + i * element);
        at += part * element;
        left -= part;
    }
    return STATUS_OK;
}

status safetensors_read_u8(const safetensors_file *file, const safetensors_entry *entry, void *out, error *err)
{
    char shown[NAME_SHOWN];
    if (entry->type == SAFETENSORS_U8) return read_bytes(file, file->data_begin + entry->begin, out, entry->bytes, err);
    return error_set(err, STATUS_FAILED, "%s: tensor '%s': expected bytes (U8), found another dtype", file->name,
                     text_printable(entry->name, shown, sizeof shown));
}

status safetensors_verify(const safetensors_file *file, error *err)
{
    const char *stored = safetensors_metadata_get(file, "data_xxh64");
    if (!stored) return STATUS_OK;
    unsigned char buffer[CHUNK];
    hash64 checksum = hash64_start(0);
    for (size_t at = file->data_begin; at < file->size;) {
        size_t part = file->size - at < CHUNK ? file->size - at : CHUNK;
        TRY(read_bytes(file, at, buffer, part, err));
        hash64_add(&checksum, buffer, part);
        at += part;
    }
    char found[17];
    snprintf(found, sizeof found, "%016" PRIx64, hash64_value(&checksum));
    if (strcmp(found, stored) == 0) return STATUS_OK;
    return error_set(err, STATUS_FAILED, "%s: damaged: its data do not have the checksum that they were written with",
                     file->name);
}
