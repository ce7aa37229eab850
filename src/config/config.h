/* Strict YAML configs into structs. The mechanism only: each owner brings a table of its fields, and parsing,
 * checking, --set, --help and the dump all come from that table.
 *
 *     typedef struct loss_options { double lambda_cycle; } loss_options;
 *     static const config_field fields[] = {
 *         {"loss.lambda_cycle", CONFIG_FLOAT, offsetof(loss_options, lambda_cycle), .fallback = "10",
 *          .minimum = 0, .maximum = 1000, .help = "weight of the cycle-consistency loss"},
 *     };
 *     loss_options loss;
 *     config_table table = {fields, sizeof fields / sizeof *fields, &loss};
 *     config *c;
 *     TRY(config_create(&table, 1, &c, err));             defaults are in place
 *     TRY(config_read_file(c, "configs/x.yaml", err));
 *     TRY(config_set(c, "loss.lambda_cycle=5", err));
 *     TRY(config_finish(c, err));                         required fields are there
 *     ... config_destroy(c) frees the strings that it put into the structs.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "base/text.h"

typedef enum config_type {
    CONFIG_BOOL,   /* bool */
    CONFIG_INT,    /* int64_t */
    CONFIG_FLOAT,  /* double */
    CONFIG_STRING, /* char *; NULL when not given and without default */
    CONFIG_CHOICE  /* int: index into choices */
} config_type;

enum {
    CONFIG_REQUIRED = 1,     /* must be given */
    CONFIG_MAY_CHANGE = 2    /* may differ when a run is resumed */
};

typedef struct config_field {
    const char *key; /* dotted: "domains.a.train" is key train of map a of map domains */
    config_type type;
    size_t offset;                /* of the field in the table's target */
    const char *fallback;         /* the default as text in a file; NULL: none */
    double minimum, maximum;      /* CONFIG_INT and CONFIG_FLOAT, inclusive; both 0: no limits */
    const char *const *choices;   /* CONFIG_CHOICE, ends with NULL */
    const char *help;             /* one line */
    unsigned flags;
} config_field;

typedef struct config_table {
    const config_field *fields;
    size_t count;
    void *target;
} config_table;

typedef struct config config;

/* Copies the table list (not the fields), writes the defaults into the targets. */
status config_create(const config_table *tables, size_t count, config **out, error *err);
void config_destroy(config *c); /* accepts NULL */

/* From here on keys that no table has are passed over with all that they hold: to look at one field before it is known
 * which tables the others are of. */
void config_pass_over_unknown(config *c);

/* Errors have status STATUS_USAGE and read "FILE:LINE:COLUMN: what": unknown key (with the nearest known one), wrong
 * type, out of range, duplicate key (naming the first line), malformed YAML, anchors and aliases, a second document. */
status config_read_file(config *c, const char *path, error *err);
/* `name` stands for the file in messages. */
status config_read_text(config *c, const char *name, const char *bytes, size_t size, error *err);
/* One "KEY=VALUE" of the command line; errors begin with "--set KEY=VALUE: ". */
status config_set(config *c, const char *assignment, error *err);
/* Checks that required fields were given. */
status config_finish(const config *c, error *err);

/* Whether a file or --set gave the key (as opposed to its default). */
bool config_was_given(const config *c, const char *key);
/* "FILE:LINE:COLUMN" of where the key was given, "--set" or "default", for the owners' own errors. */
const char *config_where(const config *c, const char *key);
/* The complete config as YAML that reads back to the same values. */
void config_dump(const config *c, text *out);
/* Lists the keys in which two configs over the same tables (other targets) differ, each as a line "key: old -> new":
 * those with CONFIG_MAY_CHANGE in `allowed`, others in `forbidden`. */
void config_difference(const config *old, const config *new_, text *allowed, text *forbidden);
/* All fields with type, range, default and help: as text for --help, as a Markdown table for docs/configuration.md. */
void config_help(const config_table *tables, size_t count, bool markdown, text *out);

#endif
