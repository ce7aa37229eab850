/* What the files of this folder share: one entry for each field of the tables, and how a scalar becomes its value. */
#ifndef CONFIG_INTERNAL_H
#define CONFIG_INTERNAL_H

#include "config/config.h"

enum { CONFIG_KEY_LIMIT = 256 }; /* bytes of a dotted key with its NUL; longer ones cannot be known */

typedef struct config_entry {
    const config_field *field;
    void *value;   /* inside the owner's struct */
    char *where;   /* "FILE:LINE:COLUMN" or "--set"; NULL: only the default */
    bool assigned; /* by default or given */
} config_entry;

struct config {
    config_entry *entries; /* in the order of the tables */
    size_t count;
    bool pass_over_unknown;
    char *file; /* the last one read, for config_finish; may be NULL */
};

/* A value as it stands in a file. `text` has a NUL after its `length` bytes, and none inside. */
typedef struct config_scalar {
    const char *text;
    size_t length;
    bool plain; /* neither quoted nor a block: only such a one may be a number, a bool or null */
} config_scalar;

/* keys.c: finding keys; keys are not NUL-terminated, so that a part of a longer one can be looked up. */
config_entry *config_find(const config *c, const char *key, size_t length);
/* The first field key that continues `key` with a dot, or NULL when `key` is no map. "" is the map of everything. */
const char *config_find_map(const config *c, const char *key, size_t length);
/* Appends the last components of what the map `key` holds: "lambda_cycle, lambda_identity". */
void config_list_map(const config *c, const char *key, size_t length, text *out);
/* STATUS_USAGE: "unknown key 'NAME' in 'MAP'; did you mean ...?". `map` is "" at the top. */
status config_unknown_key(const config *c, const char *map, const char *name, error *err);
/* The same for a dotted key. */
status config_unknown_path(const config *c, const char *path, error *err);

/* value.c. Errors are STATUS_USAGE and begin with the key, not with a place. */
status config_assign(config_entry *entry, const config_scalar *scalar, error *err);
/* False for a string that is NULL, and for another field without default until it is given. */
bool config_has_value(const config_entry *entry);
/* "an integer from 1 to 100". */
void config_describe(const config_field *field, text *out);
/* The shortest decimal text that reads back to the same double. */
const char *config_double_text(double number, char buffer[32]);
/* The size of the UTF-8 character at `bytes`, its code in *code; 0 when it is invalid, cut short or NUL. */
size_t config_utf8(const char *bytes, size_t length, unsigned long *code);

/* dump.c: the value as a YAML scalar, quoted when needed; "null" without one. */
void config_value_text(const config_entry *entry, text *out);

#endif
