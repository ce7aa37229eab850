/* Reading an ONNX file back: a second hand's view of Protocol Buffers and of onnx.proto, which shares nothing with
 * src/nn/onnx*. Unknown fields are failures, since the program should write none.
 *
 *     onnx_model *m = onnx_read(t, "generator.onnx");
 *     const onnx_tensor *w = m ? onnx_find(m, "model.1.weight") : NULL;
 *     onnx_free(m);
 */
#ifndef TESTS_MODELS_ONNX_READER_H
#define TESTS_MODELS_ONNX_READER_H

#include <stdint.h>

#include "base/file.h"
#include "test.h"

enum { ONNX_TEXT = 160, ONNX_MOST = 256, ONNX_FIELDS = 16 };

typedef struct onnx_tensor {
    char name[ONNX_TEXT];
    uint64_t type; /* 1: float, 7: int64 */
    size_t rank, dims[4], count;
    double *values;
} onnx_tensor;

typedef struct onnx_attribute {
    char name[ONNX_TEXT], string[ONNX_TEXT];
    uint64_t type;
    int64_t integer, integers[8];
    size_t count; /* of integers */
    double number;
} onnx_attribute;

typedef struct onnx_node {
    char type[ONNX_TEXT], name[ONNX_TEXT], output[ONNX_TEXT], inputs[4][ONNX_TEXT];
    onnx_attribute attributes[8];
    size_t input_count, output_count, attribute_count;
} onnx_node;

/* A graph's input or output: "batch", "3", ... */
typedef struct onnx_port {
    char name[ONNX_TEXT], dims[4][ONNX_TEXT];
    size_t rank;
    uint64_t type;
} onnx_port;

typedef struct onnx_model {
    test *t;
    uint64_t ir_version, operator_set;
    char producer[ONNX_TEXT], version[ONNX_TEXT], description[4096], graph[ONNX_TEXT];
    char keys[ONNX_FIELDS][ONNX_TEXT], values[ONNX_FIELDS][2048];
    size_t property_count;
    onnx_node nodes[ONNX_MOST];
    onnx_tensor tensors[ONNX_MOST];
    size_t node_count, tensor_count;
    onnx_port input, output;
    size_t input_count, output_count;
} onnx_model;

typedef struct onnx_bytes {
    const unsigned char *at, *end;
} onnx_bytes;

typedef struct onnx_field {
    uint64_t number, kind, integer;
    onnx_bytes bytes;
} onnx_field;

static inline uint64_t onnx_varint(onnx_bytes *b)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && b->at < b->end; shift += 7) {
        value |= (uint64_t)(*b->at & 127) << shift;
        if (!(*b->at++ & 128)) return value;
    }
    b->at = b->end + 1; /* broken off */
    return 0;
}

static inline uint64_t onnx_little_endian(const unsigned char *at, int count)
{
    uint64_t value = 0;
    for (int i = count; i-- > 0;) value = value << 8 | at[i];
    return value;
}

/* The next field of a message; false at its end, or where it is damaged. */
static inline bool onnx_next(test *t, onnx_bytes *b, onnx_field *f)
{
    if (b->at == b->end) return false;
    uint64_t tag = onnx_varint(b);
    *f = (onnx_field){.number = tag >> 3, .kind = tag & 7};
    if (f->kind == 0) {
        f->integer = onnx_varint(b);
    } else {
        uint64_t length = f->kind == 5 ? 4 : f->kind == 2 ? onnx_varint(b) : UINT64_MAX;
        if (b->at > b->end || length > (uint64_t)(b->end - b->at)) {
            test_failed(t, __FILE__, __LINE__, "field %d: longer than its message", (int)f->number);
            return false;
        }
        f->bytes = (onnx_bytes){b->at, b->at + length};
        if (f->kind == 5) f->integer = onnx_little_endian(b->at, 4);
        b->at += length;
    }
    if (b->at <= b->end) return true;
    test_failed(t, __FILE__, __LINE__, "a number that does not end");
    return false;
}

static inline double onnx_float(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return value;
}

static inline void onnx_copy_text(test *t, const onnx_field *f, char *to, size_t size)
{
    size_t length = (size_t)(f->bytes.end - f->bytes.at);
    if (f->kind != 2 || length >= size || memchr(f->bytes.at, 0, length))
        test_failed(t, __FILE__, __LINE__, "field %d: expected a text of less than %zu bytes", (int)f->number, size);
    else
        memcpy(to, f->bytes.at, length), to[length] = '\0';
}
#define ONNX_COPY(t, f, to) onnx_copy_text(t, f, to, sizeof(to))

static inline void onnx_unknown(test *t, const char *message, const onnx_field *f)
{
    test_failed(t, __FILE__, __LINE__, "%s: field %d is not expected", message, (int)f->number);
}

static inline void onnx_read_tensor(test *t, onnx_bytes b, onnx_tensor *out)
{
    onnx_bytes raw = {0};
    out->count = 1;
    for (onnx_field f; onnx_next(t, &b, &f);) {
        if (f.number == 1 && f.kind == 0 && out->rank < 4) out->count *= out->dims[out->rank++] = f.integer;
        else if (f.number == 2 && f.kind == 0) out->type = f.integer;
        else if (f.number == 8) ONNX_COPY(t, &f, out->name);
        else if (f.number == 9 && f.kind == 2) raw = f.bytes;
        else onnx_unknown(t, "TensorProto", &f);
    }
    int size = out->type == 1 ? 4 : 8;
    CHECK(t, out->type == 1 || out->type == 7);
    REQUIRE(t, (size_t)(raw.end - raw.at) == out->count * (size_t)size);
    out->values = malloc((out->count + 1) * sizeof *out->values);
    for (size_t i = 0; i < out->count; i++) {
        uint64_t bits = onnx_little_endian(raw.at + i * (size_t)size, size);
        out->values[i] = size == 4 ? onnx_float(bits) : (double)(int64_t)bits;
    }
}

static inline void onnx_read_attribute(test *t, onnx_bytes b, onnx_attribute *out)
{
    for (onnx_field f; onnx_next(t, &b, &f);) {
        if (f.number == 1) ONNX_COPY(t, &f, out->name);
        else if (f.number == 2 && f.kind == 5) out->number = onnx_float(f.integer);
        else if (f.number == 3 && f.kind == 0) out->integer = (int64_t)f.integer;
        else if (f.number == 4) ONNX_COPY(t, &f, out->string);
        else if (f.number == 8 && f.kind == 0 && out->count < 8) out->integers[out->count++] = (int64_t)f.integer;
        else if (f.number == 20 && f.kind == 0) out->type = f.integer;
        else onnx_unknown(t, "AttributeProto", &f);
    }
}

static inline void onnx_read_node(test *t, onnx_bytes b, onnx_node *out)
{
    for (onnx_field f; onnx_next(t, &b, &f);) {
        if (f.number == 1 && out->input_count < 4) ONNX_COPY(t, &f, out->inputs[out->input_count++]);
        else if (f.number == 2 && !out->output_count++) ONNX_COPY(t, &f, out->output);
        else if (f.number == 3) ONNX_COPY(t, &f, out->name);
        else if (f.number == 4) ONNX_COPY(t, &f, out->type);
        else if (f.number == 5 && f.kind == 2 && out->attribute_count < 8)
            onnx_read_attribute(t, f.bytes, &out->attributes[out->attribute_count++]);
        else onnx_unknown(t, "NodeProto", &f);
    }
}

/* The bytes of the message in the one field that a message has besides, maybe, an integer `number`. */
static inline onnx_bytes onnx_inner(test *t, onnx_bytes b, uint64_t field, uint64_t number, uint64_t *integer)
{
    onnx_bytes inner = {0};
    for (onnx_field f; onnx_next(t, &b, &f);) {
        if (f.number == field && f.kind == 2) inner = f.bytes;
        else if (integer && f.number == number && f.kind == 0) *integer = f.integer;
        else onnx_unknown(t, "a message around another", &f);
    }
    return inner;
}

static inline void onnx_read_port(test *t, onnx_bytes b, onnx_port *out)
{
    onnx_bytes type = {0};
    for (onnx_field f; onnx_next(t, &b, &f);) {
        if (f.number == 1) ONNX_COPY(t, &f, out->name);
        else if (f.number == 2 && f.kind == 2) type = f.bytes;
        else onnx_unknown(t, "ValueInfoProto", &f);
    }
    onnx_bytes shape = onnx_inner(t, onnx_inner(t, type, 1, 0, NULL), 2, 1, &out->type);
    for (onnx_field f, d; onnx_next(t, &shape, &f);) {
        REQUIRE(t, f.number == 1 && f.kind == 2 && out->rank < 4 && onnx_next(t, &f.bytes, &d));
        char *dim = out->dims[out->rank++];
        if (d.number == 2) onnx_copy_text(t, &d, dim, ONNX_TEXT);
        else snprintf(dim, ONNX_TEXT, "%d", d.number == 1 && d.kind == 0 ? (int)d.integer : -1);
    }
}

static inline void onnx_read_graph(onnx_model *m, onnx_bytes b)
{
    test *t = m->t;
    for (onnx_field f; onnx_next(t, &b, &f);) {
        if (f.number == 1 && m->node_count < ONNX_MOST) onnx_read_node(t, f.bytes, &m->nodes[m->node_count++]);
        else if (f.number == 2) ONNX_COPY(t, &f, m->graph);
        else if (f.number == 5 && m->tensor_count < ONNX_MOST)
            onnx_read_tensor(t, f.bytes, &m->tensors[m->tensor_count++]);
        else if (f.number == 11 && !m->input_count++) onnx_read_port(t, f.bytes, &m->input);
        else if (f.number == 12 && !m->output_count++) onnx_read_port(t, f.bytes, &m->output);
        else onnx_unknown(t, "GraphProto", &f);
    }
}

static inline void onnx_read_property(onnx_model *m, onnx_bytes b)
{
    for (onnx_field f; onnx_next(m->t, &b, &f);) {
        if (f.number == 1) ONNX_COPY(m->t, &f, m->keys[m->property_count]);
        else if (f.number == 2) ONNX_COPY(m->t, &f, m->values[m->property_count]);
        else onnx_unknown(m->t, "StringStringEntryProto", &f);
    }
    m->property_count++;
}

static inline void onnx_read_model(onnx_model *m, onnx_bytes b)
{
    test *t = m->t;
    for (onnx_field f, set; onnx_next(t, &b, &f);) {
        if (f.number == 1 && f.kind == 0) m->ir_version = f.integer;
        else if (f.number == 2) ONNX_COPY(t, &f, m->producer);
        else if (f.number == 3) ONNX_COPY(t, &f, m->version);
        else if (f.number == 6) ONNX_COPY(t, &f, m->description);
        else if (f.number == 7 && f.kind == 2) onnx_read_graph(m, f.bytes);
        else if (f.number == 8 && onnx_next(t, &f.bytes, &set) && set.number == 2) m->operator_set = set.integer;
        else if (f.number == 14 && m->property_count < ONNX_FIELDS) onnx_read_property(m, f.bytes);
        else onnx_unknown(t, "ModelProto", &f);
    }
}

static inline void onnx_free(onnx_model *m)
{
    for (size_t i = 0; m && i < m->tensor_count; i++) free(m->tensors[i].values);
    free(m);
}

/* What is not as expected fails the test. NULL when there is no file. */
static inline onnx_model *onnx_read(test *t, const char *path)
{
    char *bytes;
    size_t size;
    error err = {0};
    if (file_read_all(path, 1 << 26, &bytes, &size, &err) != STATUS_OK) {
        test_failed(t, __FILE__, __LINE__, "%s", err.message);
        return NULL;
    }
    onnx_model *m = calloc(1, sizeof *m);
    m->t = t;
    onnx_read_model(m, (onnx_bytes){(unsigned char *)bytes, (unsigned char *)bytes + size});
    free(bytes);
    return m;
}

static inline const onnx_tensor *onnx_find(const onnx_model *m, const char *name)
{
    for (size_t i = 0; i < m->tensor_count; i++)
        if (strcmp(m->tensors[i].name, name) == 0) return &m->tensors[i];
    return NULL;
}

static inline const char *onnx_property(const onnx_model *m, const char *key)
{
    for (size_t i = 0; i < m->property_count; i++)
        if (strcmp(m->keys[i], key) == 0) return m->values[i];
    return "(none)";
}

#endif
