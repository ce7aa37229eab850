/* What a comparison has in its config.
 *
 *     comparison_options o;
 *     comparison_options_table(&o, &table);
 *     TRY(config_create(&table, 1, &c, err));
 *     TRY(config_read_file(c, "configs/compare.yaml", err));
 *     TRY(config_finish(c, err));
 *     TRY(comparison_options_check(&o, c, err));
 *
 * Up to eight methods stand in the maps methods.1 to methods.8; a map that is not given is no method.
 */
#ifndef COMPARE_OPTIONS_H
#define COMPARE_OPTIONS_H

#include <stdbool.h>

#include "config/config.h"

enum { COMPARISON_METHODS = 8 };

typedef enum comparison_kind { COMPARISON_GAN, COMPARISON_GATYS, COMPARISON_FEEDFORWARD } comparison_kind;

typedef struct comparison_method_options {
    bool given;
    int kind; /* comparison_kind */
    char *name;
    char *model, *to;                /* a GAN or a feed-forward network */
    char *settings, *style, *features; /* Gatys: a config of `cyclegan gatys`, and what is changed in it */
    int64_t iterations;              /* 0: as the config says */
    double content_weight, style_weight; /* NAN likewise */
    double training_seconds;         /* NAN: as the model's file says */
} comparison_method_options;

typedef struct comparison_options {
    char *name, *inputs, *targets, *train;
    int64_t size;
    char *features, *layer;
    int64_t side, seed;
    char *folder;
    comparison_method_options methods[COMPARISON_METHODS];
} comparison_options;

extern const char *const comparison_kind_names[]; /* ends with NULL */

/* The whole table; for --help, `methods` of them may be enough, since all are alike. */
void comparison_options_table(comparison_options *target, size_t methods, config_table *out);

/* Notes which methods were given, and checks what one row cannot: names that are folders' and differ, what each kind
 * needs, at least one method. Messages tell where in the file. */
status comparison_options_check(comparison_options *options, const config *c, error *err);

#endif
