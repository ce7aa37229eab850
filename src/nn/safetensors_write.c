#include <jansson.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "nn/safetensors.h"

enum { HEADER_LIMIT = 8 << 20, NAME_SHOWN = 200, CHUNK = 1024 };

/* The checksum is known only at the end: its digits are written over these. */
static const char checksum_key[] = "data_xxh64", checksum_room[] = "0000000000000000";

struct safetensors_writer {
    safetensors_entry *entries; /* in order of declaration */
    size_t count, capacity;
    json_t *header, *metadata;
    size_t end;        /* bytes of data declared */
    error problem;     /* the first one of declare and set_metadata */
    file_writer *file; /* NULL before begin */
    size_t current, done; /* which tensor is being given, and how many of its elements have been */
    hash64 checksum;          /* of the data so far */
    uint64_t checksum_offset; /* of its digits in the file */
};

status safetensors_writer_create(safetensors_writer **out, error *err)
{
    *out = NULL;
    safetensors_writer *w = calloc(1, sizeof *w);
    if (!w) return error_no_memory(err, "a safetensors writer", sizeof *w);
    w->header = json_object();
    w->metadata = json_object();
    if (!w->header || !w->metadata) {
        safetensors_writer_abort(w);
        return error_no_memory(err, "a safetensors writer", sizeof *w);
    }
    *out = w;
    return STATUS_OK;
}

void safetensors_writer_abort(safetensors_writer *w)
{
    if (!w) return;
    file_writer_abort(w->file);
    for (size_t i = 0; i < w->count; i++) free(w->entries[i].name);
    free(w->entries);
    json_decref(w->header);
    json_decref(w->metadata);
    free(w);
}

/* Keeps the first problem: begin reports it. */
static void keep(safetensors_writer *w, status code, const char *kind, const char *name, const char *what)
{
    char shown[NAME_SHOWN];
    if (w->problem.code == STATUS_OK)
        error_set(&w->problem, code, "%s '%s': %s", kind, text_printable(name, shown, sizeof shown), what);
}

static bool reserve(safetensors_writer *w)
{
    if (w->count < w->capacity) return true;
    size_t capacity = w->capacity ? 2 * w->capacity : 64;
    safetensors_entry *entries = realloc(w->entries, capacity * sizeof *entries);
    if (!entries) return false;
    w->entries = entries;
    w->capacity = capacity;
    return true;
}

static size_t element_bytes(safetensors_type type)
{
    return type == SAFETENSORS_U8 ? 1 : type == SAFETENSORS_BF16 ? 2 : 4;
}

/* Fills count, begin and bytes from type and shape; false when they overflow. The limit is that of JSON's signed
 * numbers, and zeros are left out of the product, as in reading. */
static bool place(safetensors_entry *entry, size_t begin)
{
    size_t element = element_bytes(entry->type), limit = ((size_t)INT64_MAX - begin) / element;
    bool empty = false;
    entry->count = 1;
    for (size_t i = 0; i < entry->rank; i++) {
        empty = empty || !entry->shape[i];
        if (!entry->shape[i]) continue;
        if (entry->count > limit / entry->shape[i]) return false;
        entry->count *= entry->shape[i];
    }
    if (empty) entry->count = 0;
    entry->begin = begin;
    entry->bytes = entry->count * element;
    return true;
}

/* The tensor's description in the header, or NULL without memory. */
static json_t *describe(const safetensors_entry *entry)
{
    json_t *shape = json_array();
    for (size_t i = 0; i < entry->rank && shape; i++) {
        if (json_array_append_new(shape, json_integer((json_int_t)entry->shape[i])) == 0) continue;
        json_decref(shape);
        shape = NULL;
    }
    if (!shape) return NULL;
    const char *type = entry->type == SAFETENSORS_U8 ? "U8" : entry->type == SAFETENSORS_BF16 ? "BF16" : "F32";
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", type, "shape", shape, "data_offsets", (json_int_t)entry->begin,
                     (json_int_t)(entry->begin + entry->bytes));
}

void safetensors_declare(safetensors_writer *w, const char *name, safetensors_type type, size_t rank,
                         const size_t *shape)
{
    if (w->problem.code != STATUS_OK) return;
    safetensors_entry entry = {.type = type, .rank = rank};
    if (type != SAFETENSORS_F32 && type != SAFETENSORS_BF16 && type != SAFETENSORS_U8) {
        keep(w, STATUS_FAILED, "tensor", name, "only F32, BF16 and U8 can be written");
        return;
    }
    if (rank > SAFETENSORS_MAX_RANK) {
        keep(w, STATUS_FAILED, "tensor", name, "has too many dimensions");
        return;
    }
    if (rank) memcpy(entry.shape, shape, rank * sizeof *shape);
    if (!place(&entry, w->end)) {
        keep(w, STATUS_FAILED, "tensor", name, "is too large");
        return;
    }
    if (strcmp(name, "__metadata__") == 0 || json_object_get(w->header, name)) {
        keep(w, STATUS_FAILED, "tensor", name, "the name is taken");
        return;
    }
    json_t *checked = json_string(name), *described = describe(&entry);
    if (!checked) {
        keep(w, STATUS_FAILED, "tensor", name, "the name is not valid UTF-8");
        json_decref(described);
    } else if (json_object_set_new(w->header, name, described) != 0 || !reserve(w) ||
               !(entry.name = text_copy(name))) {
        keep(w, STATUS_NO_MEMORY, "tensor", name, "out of memory");
    } else {
        w->entries[w->count++] = entry;
        w->end += entry.bytes;
    }
    json_decref(checked);
}

void safetensors_set_metadata(safetensors_writer *w, const char *key, const char *value)
{
    if (w->problem.code != STATUS_OK) return;
    json_t *key_checked = json_string(key), *value_checked = json_string(value);
    if (!key_checked || !value_checked)
        keep(w, STATUS_FAILED, "metadata", key, "is not valid UTF-8");
    else if (json_object_get(w->metadata, key))
        keep(w, STATUS_FAILED, "metadata", key, "set twice");
    else if (json_object_set(w->metadata, key, value_checked) != 0)
        keep(w, STATUS_NO_MEMORY, "metadata", key, "out of memory");
    json_decref(key_checked);
    json_decref(value_checked);
}

static void store(unsigned char *out, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) out[i] = (unsigned char)(value >> (8 * i));
}

/* The header's JSON, metadata first as in the files of others; the caller frees. NULL without memory. */
static char *print_header(const safetensors_writer *w)
{
    json_t *all = json_object();
    char *json = NULL;
    bool ok = all && (!json_object_size(w->metadata) || json_object_set(all, "__metadata__", w->metadata) == 0) &&
              json_object_update(all, w->header) == 0;
    if (ok) json = json_dumps(all, JSON_COMPACT);
    json_decref(all);
    return json;
}

/* Where the checksum's digits stand in the JSON: a quote inside of a string is escaped, so that only the key itself
 * reads like this. */
static size_t checksum_place(const char *json)
{
    char before[32];
    int length = snprintf(before, sizeof before, "\"%s\":\"", checksum_key);
    return (size_t)(strstr(json, before) - json) + (size_t)length;
}

status safetensors_begin(safetensors_writer *w, const char *path, error *err)
{
    if (w->problem.code != STATUS_OK)
        return error_set(err, w->problem.code, "%s: cannot write: %s", path, w->problem.message);
    if (w->file) return error_set(err, STATUS_FAILED, "%s: cannot write: the writer has begun already", path);
    safetensors_set_metadata(w, checksum_key, checksum_room);
    if (w->problem.code != STATUS_OK)
        return error_set(err, w->problem.code, "%s: cannot write: %s", path, w->problem.message);
    char *json = print_header(w);
    if (!json) return error_no_memory(err, path, w->count * sizeof *w->entries);
    size_t length = strlen(json), padded = (length + 7) / 8 * 8;
    status result = padded > HEADER_LIMIT
                        ? error_set(err, STATUS_FAILED, "%s: cannot write: a header of %zu bytes, the format allows %d",
                                    path, padded, HEADER_LIMIT)
                        : file_writer_create(path, &w->file, err);
    if (result == STATUS_OK) {
        unsigned char prefix[8];
        store(prefix, padded, sizeof prefix);
        file_write(w->file, prefix, sizeof prefix);
        file_write(w->file, json, length);
        file_write(w->file, "        ", padded - length);
        w->checksum = hash64_start(0);
        w->checksum_offset = sizeof prefix + checksum_place(json);
    }
    free(json);
    return result;
}

/* Round to nearest, ties to even; a NaN stays one whatever bits are dropped. */
static uint32_t bfloat_of_bits(uint32_t bits)
{
    if ((bits & 0x7fffffff) > 0x7f800000) return bits >> 16 | 0x40;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

static void write_values(safetensors_writer *w, safetensors_type type, const float *values, size_t count)
{
    unsigned char buffer[4 * CHUNK];
    size_t element = element_bytes(type);
    while (count) {
        size_t part = count < CHUNK ? count : CHUNK;
        for (size_t i = 0; i < part; i++) {
            uint32_t bits;
            memcpy(&bits, &values[i], sizeof bits);
            store(buffer + i * element, type == SAFETENSORS_BF16 ? bfloat_of_bits(bits) : bits, element);
        }
        file_write(w->file, buffer, part * element);
        hash64_add(&w->checksum, buffer, part * element);
        values += part;
        count -= part;
    }
}

/* The tensor that `count` values, bytes or not, belong to. */
static status take(safetensors_writer *w, size_t count, bool bytes, const safetensors_entry **out, error *err)
{
    if (!w->file) return error_set(err, STATUS_FAILED, "safetensors: values given before the header was written");
    while (w->current < w->count && w->done == w->entries[w->current].count) {
        w->current++;
        w->done = 0;
    }
    if (w->current == w->count)
        return error_set(err, STATUS_FAILED, "safetensors: %zu values given after the last tensor", count);
    const safetensors_entry *entry = &w->entries[w->current];
    char shown[NAME_SHOWN];
    if (count > entry->count - w->done)
        return error_set(err, STATUS_FAILED, "safetensors: tensor '%s': %zu values given, expected at most %zu",
                         text_printable(entry->name, shown, sizeof shown), count, entry->count - w->done);
    if (bytes != (entry->type == SAFETENSORS_U8))
        return error_set(err, STATUS_FAILED, "safetensors: tensor '%s': %s given, expected %s",
                         text_printable(entry->name, shown, sizeof shown), bytes ? "bytes" : "numbers",
                         bytes ? "numbers" : "bytes");
    w->done += count;
    *out = entry;
    return STATUS_OK;
}

status safetensors_put_f32(safetensors_writer *w, const float *values, size_t count, error *err)
{
    const safetensors_entry *entry;
    if (w->file && !count) return STATUS_OK;
    TRY(take(w, count, false, &entry, err));
    write_values(w, entry->type, values, count);
    return STATUS_OK;
}

status safetensors_put_u8(safetensors_writer *w, const void *bytes, size_t count, error *err)
{
    const safetensors_entry *entry;
    if (w->file && !count) return STATUS_OK;
    TRY(take(w, count, true, &entry, err));
    file_write(w->file, bytes, count);
    hash64_add(&w->checksum, bytes, count);
    return STATUS_OK;
}

status safetensors_commit(safetensors_writer *w, error *err)
{
    status result = STATUS_OK;
    if (!w->file) result = error_set(err, STATUS_FAILED, "safetensors: nothing to commit, the header was not written");
    for (size_t i = w->current; i < w->count && result == STATUS_OK; i++) {
        size_t given = i == w->current ? w->done : 0;
        char shown[NAME_SHOWN];
        if (given != w->entries[i].count)
            result = error_set(err, STATUS_FAILED, "safetensors: tensor '%s': %zu values given, expected %zu",
                               text_printable(w->entries[i].name, shown, sizeof shown), given, w->entries[i].count);
    }
    if (result == STATUS_OK) {
        char digits[sizeof checksum_room];
        snprintf(digits, sizeof digits, "%016" PRIx64, hash64_value(&w->checksum));
        file_rewrite(w->file, w->checksum_offset, digits, sizeof digits - 1);
        result = file_writer_commit(w->file, err);
        w->file = NULL;
    }
    safetensors_writer_abort(w);
    return result;
}
