/* Reading and writing .safetensors (https://github.com/huggingface/safetensors): 8 bytes of little-endian header
 * length, a JSON header, the tensors' bytes.
 *
 *     safetensors_file *file;
 *     TRY(safetensors_open("model.safetensors", &file, err));
 *     const safetensors_entry *e = safetensors_find(file, "model.1.weight");
 *     TRY(safetensors_read_f32(file, e, buffer, err));
 *     safetensors_close(file);
 *
 * Every length, offset and shape in the header is checked before use: nothing outside the file is read, tensors do not
 * overlap, and their sizes agree with their shapes. Headers of up to 8 MiB are read and written (the format allows 100
 * MB; the largest models have less than one).
 */
#ifndef NN_SAFETENSORS_H
#define NN_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { SAFETENSORS_MAX_RANK = 8 };

typedef enum safetensors_type { SAFETENSORS_F32, SAFETENSORS_F16, SAFETENSORS_BF16, SAFETENSORS_F64, SAFETENSORS_I64,
                                SAFETENSORS_I32, SAFETENSORS_U8, SAFETENSORS_OTHER } safetensors_type;

typedef struct safetensors_entry {
    char *name;
    safetensors_type type;
    size_t rank;
    size_t shape[SAFETENSORS_MAX_RANK];
    size_t count;        /* elements */
    size_t begin, bytes; /* within the data section */
} safetensors_entry;

typedef struct safetensors_metadata {
    char *key, *value;
} safetensors_metadata;

typedef struct safetensors_file safetensors_file;

/* Reads and checks the header; the tensors are read when they are asked for. Free with safetensors_close. */
status safetensors_open(const char *path, safetensors_file **out, error *err);
/* The same from memory, which must outlive the file; `name` is for messages. For fuzzing and embedding. */
status safetensors_open_memory(const char *name, const void *bytes, size_t size, safetensors_file **out, error *err);
void safetensors_close(safetensors_file *file); /* accepts NULL */
/* In the order of their offsets. */
size_t safetensors_count(const safetensors_file *file);
const safetensors_entry *safetensors_at(const safetensors_file *file, size_t index);
const safetensors_entry *safetensors_find(const safetensors_file *file, const char *name); /* NULL when absent */
const char *safetensors_metadata_get(const safetensors_file *file, const char *key);       /* NULL when absent */
size_t safetensors_metadata_count(const safetensors_file *file);
safetensors_metadata safetensors_metadata_at(const safetensors_file *file, size_t index);
/* Converts F32, F16, BF16 and F64 to floats; out: entry->count floats. Other types are an error. */
status safetensors_read_f32(const safetensors_file *file, const safetensors_entry *entry, float *out, error *err);
/* As they lie in the file; out: entry->bytes. Of U8 alone: other types are an error. */
status safetensors_read_u8(const safetensors_file *file, const safetensors_entry *entry, void *out, error *err);
/* Reads all tensors' bytes and compares them with the checksum that the writer below leaves in the metadata, as
 * "data_xxh64": xxHash64 with seed 0 of the data section, in 16 hexadecimal digits. STATUS_OK too for a file without
 * one (safetensors_metadata_get tells). */
status safetensors_verify(const safetensors_file *file, error *err);

/* Writing, atomically (base/file.h). Tensors are declared first, then given in the order of declaration:
 *
 *     safetensors_writer *w;
 *     TRY(safetensors_writer_create(&w, err));
 *     safetensors_declare(w, "model.1.weight", SAFETENSORS_F32, 4, shape);
 *     safetensors_set_metadata(w, "cyclegan_format", "1");
 *     TRY(safetensors_begin(w, path, err));              writes the header
 *     TRY(safetensors_put_f32(w, values, count, err));   once for each tensor; converts to the declared type
 *     TRY(safetensors_commit(w, err));                   frees w whatever happens
 *
 * A checksum is added to the metadata (safetensors_verify). Errors of declare and set_metadata (no memory, a name
 * twice) are reported by begin. On any failure call
 * safetensors_writer_abort. The header is padded with spaces to a multiple of 8 bytes; tensors follow without holes in
 * order of declaration (all F32 or all BF16 keeps them aligned; U8 last).
 */
typedef struct safetensors_writer safetensors_writer;
status safetensors_writer_create(safetensors_writer **out, error *err);
void safetensors_declare(safetensors_writer *w, const char *name, safetensors_type type, size_t rank,
                         const size_t *shape); /* F32, BF16 or U8 */
void safetensors_set_metadata(safetensors_writer *w, const char *key, const char *value);
status safetensors_begin(safetensors_writer *w, const char *path, error *err);
/* `count` may be a part of the tensor: parts follow each other. */
status safetensors_put_f32(safetensors_writer *w, const float *values, size_t count, error *err);
/* The same for a tensor of U8. */
status safetensors_put_u8(safetensors_writer *w, const void *bytes, size_t count, error *err);
status safetensors_commit(safetensors_writer *w, error *err);
void safetensors_writer_abort(safetensors_writer *w); /* accepts NULL */

#endif
