/* What was found out of a thing, as lines for people and as JSON for machines.
 *
 *     inspect_facts facts = {0};
 *     inspect_begin(&facts, path, "generator");
 *     inspect_count(&facts, "parameters", 1968003);
 *     fputs(text_get(&facts.lines), stdout);
 *     inspect_facts_free(&facts);
 *
 * Whatever comes from a file is made printable here. What finds no memory sets `failed`, for one check at the end.
 */
#ifndef INSPECT_FACTS_H
#define INSPECT_FACTS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/text.h"

typedef struct inspect_facts {
    json_t *object; /* "path", "kind", then the facts in their order */
    text lines;     /* "PATH: kind", then "  key  value" for each */
    bool failed;
    bool trouble; /* something of the thing is damaged: the exit status should say so */
} inspect_facts;

void inspect_begin(inspect_facts *facts, const char *path, const char *kind);
void inspect_facts_free(inspect_facts *facts);

/* Keys are words with '_' between; a key is given once. The string may be any bytes, or NULL: then there is no fact. */
void inspect_string(inspect_facts *facts, const char *key, const char *string);
void inspect_count(inspect_facts *facts, const char *key, size_t count);
void inspect_bytes(inspect_facts *facts, const char *key, double bytes);
/* Takes the value, which may be NULL for want of memory. The text need not be printable. */
void inspect_value(inspect_facts *facts, const char *key, json_t *value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A line for people that belongs to the fact before it. */
void inspect_note(inspect_facts *facts, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A JSON string of any bytes: where they are no UTF-8, those over 127 become \xNN. NULL without memory. */
json_t *inspect_json_string(const char *string);
/* One line of ASCII; false without memory. */
bool inspect_json_line(const inspect_facts *facts, text *out);

#endif
