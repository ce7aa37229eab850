#include <math.h>
#include <string.h>

#include "base/file.h"
#include "compare/measures.h"

/* RFC 4180: quoted when it must be, quotes doubled. */
static void add_field(text *out, const char *string)
{
    if (!strpbrk(string, ",\"\r\n")) {
        text_add(out, string);
        return;
    }
    text_add(out, "\"");
    for (; *string; string++) {
        if (*string == '"') text_add(out, "\"");
        text_append(out, string, 1);
    }
    text_add(out, "\"");
}

/* Nothing for what is not known. */
static void add_number(text *out, double value)
{
    if (isfinite(value)) text_format(out, "%.9g", value);
}

static void add_row(text *out, const char *input, const char *method, const char *measure, const compare_estimate *e)
{
    if (!isfinite(e->value)) return;
    add_field(out, input);
    text_add(out, ",");
    add_field(out, method);
    text_format(out, ",%s,", measure);
    add_number(out, e->value);
    text_add(out, ",");
    add_number(out, e->low);
    text_add(out, ",");
    add_number(out, e->high);
    text_format(out, ",%zu\r\n", e->n);
}

static void add_method(text *out, const comparison_result *r, const comparison_method_result *m)
{
    const struct { const char *key; compare_estimate estimate; } of_process[] = {
        {"seconds", m->seconds},
        {"training", {m->training_seconds, NAN, NAN, 1, 0}},
        {"memory", {m->peak_bytes, NAN, NAN, 1, 0}}};
    for (size_t i = 0; i < sizeof of_process / sizeof *of_process; i++)
        add_row(out, "", m->options->name, of_process[i].key, &of_process[i].estimate);
    for (size_t i = 0; i < m->evaluation.count; i++)
        add_row(out, "", m->options->name, m->evaluation.measures[i].key, &m->evaluation.measures[i].estimate);
    for (size_t i = 0; i < r->pictures->count; i++)
        for (size_t k = 0; k < comparison_column_count; k++) {
            compare_estimate e = {comparison_columns[k].value(&m->outputs[i]), NAN, NAN, 1, 0};
            add_row(out, r->pictures->items[i].relative, m->options->name, comparison_columns[k].key, &e);
        }
}

status comparison_write_csv(const comparison_result *r, const char *path, error *err)
{
    text out = {0};
    text_add(&out, "input,method,measure,value,low,high,n\r\n");
    for (size_t i = 0; i < r->count; i++) add_method(&out, r, &r->methods[i]);
    status result = out.failed ? error_no_memory(err, "the comparison's numbers", out.length)
                               : file_write_all(path, text_get(&out), out.length, err);
    text_free(&out);
    return result;
}
