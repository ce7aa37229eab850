/* YAML by libyaml's events, one at a time: nothing is built up, so that aliases have nothing to multiply, and each
 * event has its place. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/file.h"
#include "config/internal.h"

enum { SIZE_LIMIT = 1 << 20 };

/* A key or map that this document gave: the first `length` bytes of a field's key. */
typedef struct seen_key {
    const char *key;
    size_t length, line;
} seen_key;

typedef struct reader {
    config *c;
    const char *name, *bytes;
    size_t size;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; zeroed when there is none */
    char path[CONFIG_KEY_LIMIT];
    seen_key *seen;
    size_t seen_count;
    error *err;
} reader;

/* Line and column count from 0, as libyaml's do. */
__attribute__((format(printf, 4, 5))) static status fail_at(reader *r, size_t line, size_t column, const char *format,
                                                            ...)
{
    char message[sizeof r->err->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    error_set(r->err, STATUS_USAGE, "%s", message);
    error_prefix(r->err, "%s:%zu:%zu", r->name, line + 1, column + 1);
    return STATUS_USAGE;
}

#define FAIL(r, ...) fail_at(r, (r)->event.start_mark.line, (r)->event.start_mark.column, __VA_ARGS__)

/* Line and column of a byte; columns count characters. */
static void place_of(const reader *r, size_t offset, size_t *line, size_t *column)
{
    *line = *column = 0;
    for (size_t i = 0; i < offset && i < r->size; i++) {
        if (r->bytes[i] == '\n') {
            ++*line;
            *column = 0;
        } else if ((r->bytes[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

static bool tab_at(const reader *r, size_t line, size_t column)
{
    const char *p = r->bytes, *end = r->bytes + r->size;
    for (; line && p < end; p++) line -= *p == '\n';
    for (; p < end && *p != '\n'; p++)
        if ((*p & 0xc0) != 0x80 && column-- == 0) return *p == '\t';
    return false;
}

static status malformed(reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR) return error_no_memory(r->err, r->name, r->size);
    if (p->error == YAML_READER_ERROR) { /* knows its byte, not its line */
        size_t line, column;
        place_of(r, p->problem_offset, &line, &column);
        if (p->problem_value < 0) return fail_at(r, line, column, "malformed YAML: %s", p->problem);
        return fail_at(r, line, column, "malformed YAML: %s (byte 0x%02x)", p->problem, (unsigned)p->problem_value);
    }
    size_t line = p->problem_mark.line, column = p->problem_mark.column;
    if (tab_at(r, line, column))
        return fail_at(r, line, column, "malformed YAML: a tab stands here; indent with spaces");
    return fail_at(r, line, column, "malformed YAML: %s%s%s", p->problem ? p->problem : "unknown problem",
                   p->context ? " " : "", p->context ? p->context : "");
}

/* The next event, with what no config may hold refused. */
static status next(reader *r)
{
    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->parser, &r->event)) return malformed(r);
    const yaml_event_t *e = &r->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (e->type == YAML_ALIAS_EVENT) return FAIL(r, "aliases are not supported: write the value again");
    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    }
    if (anchor) return FAIL(r, "anchors are not supported: write the value again where it is needed");
    if (tag) return FAIL(r, "tags are not supported: write the value alone");
    return STATUS_OK;
}

/* What the current event is, for "expected ..., found ...". */
static const char *found(const reader *r, char buffer[128])
{
    if (r->event.type == YAML_MAPPING_START_EVENT) return "a map of keys";
    if (r->event.type == YAML_SEQUENCE_START_EVENT) return "a list";
    if (r->event.data.scalar.length == 0) return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? "nothing" : "''";
    char shown[96];
    snprintf(buffer, 128, "'%s'", text_printable((const char *)r->event.data.scalar.value, shown, sizeof shown));
    return buffer;
}

/* Remembers the current key, or refuses its second appearance. `known` begins with the path. */
static status note_key(reader *r, const char *known, size_t length)
{
    for (size_t i = 0; i < r->seen_count; i++)
        if (r->seen[i].length == length && memcmp(r->seen[i].key, known, length) == 0)
            return FAIL(r, "'%.*s' was given before, on line %zu", (int)length, known, r->seen[i].line);
    r->seen[r->seen_count++] = (seen_key){known, length, r->event.start_mark.line + 1};
    return STATUS_OK;
}

static status read_value(reader *r, config_entry *entry)
{
    char buffer[128];
    TRY(next(r));
    if (r->event.type != YAML_SCALAR_EVENT) {
        text expected = {0};
        config_describe(entry->field, &expected);
        status result = FAIL(r, "'%s' expects %s, found %s", entry->field->key, text_get(&expected), found(r, buffer));
        text_free(&expected);
        return result;
    }
    config_scalar scalar = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length,
                            r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE};
    if (strlen(scalar.text) != scalar.length) return FAIL(r, "'%s' holds a NUL character", entry->field->key);
    char *where = text_printf("%s:%zu:%zu", r->name, r->event.start_mark.line + 1, r->event.start_mark.column + 1);
    if (!where) return error_no_memory(r->err, "a place", strlen(r->name) + 32);
    status result = config_assign(entry, &scalar, r->err);
    if (result != STATUS_OK) {
        error_prefix(r->err, "%s", where);
        free(where);
        return result;
    }
    free(entry->where);
    entry->where = where;
    return STATUS_OK;
}

/* The value of a key that nobody asks for. */
static status pass_over(reader *r)
{
    size_t depth = 0;
    do {
        TRY(next(r));
        depth += r->event.type == YAML_MAPPING_START_EVENT || r->event.type == YAML_SEQUENCE_START_EVENT;
        depth -= r->event.type == YAML_MAPPING_END_EVENT || r->event.type == YAML_SEQUENCE_END_EVENT;
    } while (depth);
    return STATUS_OK;
}

/* Reads what follows a MAPPING_START up to its end; the map's dotted key is the first `length` bytes of r->path. The
 * recursion goes no deeper than the known keys have dots. */
static status read_map(reader *r, size_t length)
{
    for (;;) {
        char buffer[128];
        TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) return STATUS_OK;
        if (r->event.type != YAML_SCALAR_EVENT) return FAIL(r, "expected a key, found %s", found(r, buffer));
        const char *name = (const char *)r->event.data.scalar.value;
        size_t begin = length + (length != 0), size = r->event.data.scalar.length, end = begin + size;
        config_entry *entry = NULL;
        const char *map = NULL;
        /* A dot inside a key is no shorthand: 'loss.lambda_cycle' in a file is unknown. */
        if (size && end < sizeof r->path && !memchr(name, '.', size)) {
            if (length) r->path[length] = '.';
            memcpy(r->path + begin, name, size);
            entry = config_find(r->c, r->path, end);
            map = entry ? NULL : config_find_map(r->c, r->path, end);
        }
        if (!entry && !map && r->c->pass_over_unknown) {
            TRY(pass_over(r));
            continue;
        }
        if (!entry && !map) {
            r->path[length] = '\0';
            config_unknown_key(r->c, r->path, name, r->err);
            error_prefix(r->err, "%s:%zu:%zu", r->name, r->event.start_mark.line + 1, r->event.start_mark.column + 1);
            return STATUS_USAGE;
        }
        TRY(note_key(r, entry ? entry->field->key : map, end));
        if (entry) {
            TRY(read_value(r, entry));
            continue;
        }
        TRY(next(r));
        if (r->event.type != YAML_MAPPING_START_EVENT) {
            text keys = {0};
            config_list_map(r->c, map, end, &keys);
            status result = FAIL(r, "'%.*s' expects a map of keys (%s), found %s", (int)end, map, text_get(&keys),
                                 found(r, buffer));
            text_free(&keys);
            return result;
        }
        TRY(read_map(r, end));
    }
}

static status read_document(reader *r)
{
    char buffer[128];
    TRY(next(r)); /* the start of the stream */
    TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return STATUS_OK; /* nothing but comments */
    TRY(next(r));
    bool empty = r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0 &&
                 r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (r->event.type == YAML_MAPPING_START_EVENT)
        TRY(read_map(r, 0));
    else if (!empty)
        return FAIL(r, "expected a map of keys, found %s", found(r, buffer));
    TRY(next(r)); /* the end of the document */
    TRY(next(r));
    if (r->event.type != YAML_STREAM_END_EVENT) return FAIL(r, "a second document begins here; a config is one document");
    return STATUS_OK;
}

status config_read_text(config *c, const char *name, const char *bytes, size_t size, error *err)
{
    if (size > SIZE_LIMIT)
        return error_set(err, STATUS_USAGE, "%s: larger than the limit of %d bytes", name, SIZE_LIMIT);
    char *file = text_copy(name);
    if (!file) return error_no_memory(err, name, strlen(name) + 1);
    free(c->file);
    c->file = file;
    error unheard = {0};
    reader r = {.c = c, .name = name, .bytes = bytes ? bytes : "", .size = size, .err = err ? err : &unheard};
    if (size >= 3 && memcmp(r.bytes, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark is no column */
        r.bytes += 3;
        r.size -= 3;
    }
    size_t keys = 1; /* each field brings at most its own key and one map for each dot */
    for (size_t i = 0; i < c->count; i++) {
        keys++;
        for (const char *dot = strchr(c->entries[i].field->key, '.'); dot; dot = strchr(dot + 1, '.')) keys++;
    }
    r.seen = calloc(keys, sizeof *r.seen);
    if (!r.seen) return error_no_memory(r.err, name, keys * sizeof *r.seen);
    status result;
    if (yaml_parser_initialize(&r.parser)) {
        yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
        yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.bytes, r.size);
        result = read_document(&r);
        yaml_event_delete(&r.event);
    } else {
        result = error_no_memory(r.err, name, sizeof r.parser);
    }
    yaml_parser_delete(&r.parser);
    free(r.seen);
    return result;
}

status config_read_file(config *c, const char *path, error *err)
{
    char *bytes;
    size_t size;
    status result = file_read_all(path, SIZE_LIMIT, &bytes, &size, err);
    if (result == STATUS_FAILED) { /* naming a file that is not there is wrong usage */
        if (err) err->code = STATUS_USAGE;
        return STATUS_USAGE;
    }
    if (result != STATUS_OK) return result;
    result = config_read_text(c, path, bytes, size, err);
    free(bytes);
    return result;
}
