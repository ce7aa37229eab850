#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "compare/measures.h"

enum { VERSION = 1, DIGITS = 9 };

/* Bytes of the UTF-8 character at the string's beginning; 0: there is none. */
static size_t character(const char *string)
{
    for (size_t size = 1; size <= 4 && string[size - 1]; size++) {
        json_t *valid = json_stringn(string, size);
        json_decref(valid);
        if (valid) return size;
    }
    return 0;
}

/* A name need not be UTF-8, as JSON is: its other bytes are written as \xNN. */
static json_t *text_of(const char *string)
{
    json_t *value = json_string(string);
    if (value) return value;
    text readable = {0};
    for (size_t size; *string; string += size ? size : 1) {
        size = character(string);
        if (size)
            text_append(&readable, string, size);
        else
            text_format(&readable, "\\x%02x", (unsigned)(unsigned char)*string);
    }
    value = json_string(text_get(&readable));
    text_free(&readable);
    return value;
}

static json_t *optional(const char *string) { return string && string[0] ? text_of(string) : json_null(); }

/* null for what is not measured. */
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *estimate_object(const compare_estimate *e)
{
    json_t *object = json_pack("{s:o, s:o, s:o, s:I}", "value", number(e->value), "low", number(e->low), "high",
                               number(e->high), "n", (json_int_t)e->n);
    if (e->m) json_object_set_new(object, "m", json_integer((json_int_t)e->m));
    return object;
}

static json_t *settings_object(const comparison_settings *s)
{
    json_t *settings = json_object();
    for (size_t i = 0; i < s->count; i++) json_object_set_new(settings, s->items[i].key, text_of(s->items[i].value));
    return settings;
}

static json_t *measures_object(const compare_evaluation *e)
{
    json_t *measures = json_object();
    for (size_t i = 0; i < e->count; i++)
        json_object_set_new(measures, e->measures[i].key, estimate_object(&e->measures[i].estimate));
    return measures;
}

static json_t *output_object(const comparison_picture *picture, const comparison_output *o)
{
    json_t *object = json_pack("{s:o, s:b}", "input", text_of(picture->relative), "made", (int)o->made);
    for (size_t i = 0; i < comparison_column_count; i++)
        json_object_set_new(object, comparison_columns[i].key, number(comparison_columns[i].value(o)));
    json_object_set_new(object, "nearest_picture", optional(o->nearest));
    if (o->nearest) json_object_set_new(object, "copied", json_boolean(o->copied));
    return object;
}

static json_t *method_object(const comparison_result *r, const comparison_method_result *m)
{
    json_t *outputs = json_array();
    for (size_t i = 0; i < r->pictures->count; i++)
        json_array_append_new(outputs, output_object(&r->pictures->items[i], &m->outputs[i]));
    return json_pack("{s:o, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", text_of(m->options->name),
                     "kind", comparison_kind_names[m->options->kind], "failure", optional(m->failure), "unmeasured",
                     optional(m->unmeasured), "made", (json_int_t)m->made, "start_seconds", number(m->start_seconds),
                     "seconds_per_picture", estimate_object(&m->seconds), "training_seconds",
                     number(m->training_seconds), "peak_bytes", number(m->peak_bytes), "settings",
                     settings_object(&m->settings), "measures", measures_object(&m->evaluation), "outputs", outputs);
}

static json_t *document(const comparison_result *r)
{
    const comparison_options *o = r->options;
    json_t *methods = json_array();
    for (size_t i = 0; i < r->count; i++) json_array_append_new(methods, method_object(r, &r->methods[i]));
    return json_pack("{s:i, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:I, s:I, s:o}", "cyclegan_comparison", VERSION, "name",
                     text_of(o->name), "inputs", text_of(o->inputs), "targets", text_of(o->targets), "train",
                     optional(o->train), "pictures", (json_int_t)r->pictures->count, "left_out",
                     (json_int_t)r->pictures->left_out, "network", optional(r->network), "layer",
                     r->network[0] ? text_of(o->layer) : json_null(), "side", (json_int_t)o->side, "seed",
                     (json_int_t)o->seed, "methods", methods);
}

status comparison_write_json(const comparison_result *r, const char *path, error *err)
{
    json_t *root = document(r);
    char *bytes = root ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(DIGITS)) : NULL;
    json_decref(root);
    if (!bytes) return error_no_memory(err, "the comparison's numbers", 0);
    status result = file_write_all(path, bytes, strlen(bytes), err);
    free(bytes);
    return result;
}
