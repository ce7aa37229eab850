#include "inspect/facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_WIDTH = 20 };

void inspect_begin(inspect_facts *facts, const char *path, const char *kind)
{
    char shown[4096];
    if (!facts->object) facts->object = json_object();
    if (json_object_set_new(facts->object, "path", inspect_json_string(path)) != 0) facts->failed = true;
    if (json_object_set_new(facts->object, "kind", json_string(kind)) != 0) facts->failed = true;
    text_format(&facts->lines, "%s: %s\n", text_printable(path, shown, sizeof shown), kind);
}

void inspect_facts_free(inspect_facts *facts)
{
    json_decref(facts->object);
    text_free(&facts->lines);
    *facts = (inspect_facts){0};
}

json_t *inspect_json_string(const char *string)
{
    json_t *value = json_string(string);
    if (value) return value;
    text escaped = {0};
    for (const unsigned char *p = (const unsigned char *)string; *p; p++)
        text_format(&escaped, *p < 128 ? "%c" : "\\x%02x", *p);
    if (!escaped.failed) value = json_string(text_get(&escaped));
    text_free(&escaped);
    return value;
}

/* Adds bytes with what a terminal would obey made visible. */
static void add_printable(text *out, const char *string)
{
    size_t size = 4 * strlen(string) + 8;
    char *shown = malloc(size);
    text_add(out, shown ? text_printable(string, shown, size) : "");
    out->failed = out->failed || !shown;
    free(shown);
}

static void add_formatted(text *out, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *whole = length < 0 ? NULL : malloc((size_t)length + 1);
    if (whole) {
        vsnprintf(whole, (size_t)length + 1, format, arguments);
        add_printable(out, whole);
    }
    out->failed = out->failed || !whole;
    free(whole);
}

void inspect_value(inspect_facts *facts, const char *key, json_t *value, const char *format, ...)
{
    if (json_object_set_new(facts->object, key, value) != 0) facts->failed = true;
    size_t begin = facts->lines.length + 2;
    text_format(&facts->lines, "  %-*s", KEY_WIDTH, key);
    bool is_word = key[0] >= 'a' && key[0] <= 'z'; /* not G_A */
    for (char *c = facts->lines.data + begin; is_word && !facts->lines.failed && *c; c++)
        if (*c == '_') *c = ' ';
    va_list arguments;
    va_start(arguments, format);
    add_formatted(&facts->lines, format, arguments);
    va_end(arguments);
    text_add(&facts->lines, "\n");
}

void inspect_note(inspect_facts *facts, const char *format, ...)
{
    text_format(&facts->lines, "  %*s", KEY_WIDTH, "");
    va_list arguments;
    va_start(arguments, format);
    add_formatted(&facts->lines, format, arguments);
    va_end(arguments);
    text_add(&facts->lines, "\n");
}

void inspect_string(inspect_facts *facts, const char *key, const char *string)
{
    if (string) inspect_value(facts, key, inspect_json_string(string), "%s", string);
}

void inspect_count(inspect_facts *facts, const char *key, size_t count)
{
    inspect_value(facts, key, json_integer((json_int_t)count), "%zu", count);
}

void inspect_bytes(inspect_facts *facts, const char *key, double bytes)
{
    char shown[32];
    inspect_value(facts, key, json_integer((json_int_t)bytes), "%s", text_bytes(bytes, shown, sizeof shown));
}

bool inspect_json_line(const inspect_facts *facts, text *out)
{
    /* ASCII, so that no byte of a name is one that a terminal obeys. */
    char *line = facts->failed ? NULL : json_dumps(facts->object, JSON_ENSURE_ASCII);
    if (line) text_add(out, line);
    free(line);
    return line && !out->failed;
}
