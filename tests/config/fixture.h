/* Two tables of fields as two owners would bring them, for the tests of configs. */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include "config/config.h"

#include "test.h"

typedef struct options {
    char *name, *note, *source;
    bool flip;
    int64_t epochs, seed, later;
    double lambda_cycle, rate;
    int upsample;
} options;

typedef struct more_options {
    int64_t workers;
    char *kind;
} more_options;

static const char *const upsamplings[] = {"resize_conv", "transpose", "off", NULL};

static const config_field fields[] = {
    {"name", CONFIG_STRING, offsetof(options, name), .fallback = "run", .help = "name of the run"},
    {"note", CONFIG_STRING, offsetof(options, note), .help = "a | b", .flags = CONFIG_MAY_CHANGE},
    {"domains.a.train", CONFIG_STRING, offsetof(options, source), .help = "folder", .flags = CONFIG_REQUIRED},
    {"data.flip", CONFIG_BOOL, offsetof(options, flip), .fallback = "true", .help = "mirror"},
    {"model.upsample", CONFIG_CHOICE, offsetof(options, upsample), .fallback = "resize_conv", .choices = upsamplings},
    {"loss.lambda_cycle", CONFIG_FLOAT, offsetof(options, lambda_cycle), .fallback = "10", .minimum = 0,
     .maximum = 1000, .help = "weight of the cycle-consistency loss"},
    {"train.epochs", CONFIG_INT, offsetof(options, epochs), .fallback = "100", .minimum = 1, .maximum = 100000,
     .help = "epochs", .flags = CONFIG_MAY_CHANGE},
    {"train.seed", CONFIG_INT, offsetof(options, seed), .fallback = "0", .help = "seed"},
    {"train.learning_rate", CONFIG_FLOAT, offsetof(options, rate), .fallback = "2e-4", .minimum = 0,
     .maximum = INFINITY, .help = "step size"},
    {"train.later", CONFIG_INT, offsetof(options, later), .help = "no default"},
};
/* A second owner, whose keys share a map with the first's. */
static const config_field more_fields[] = {
    {"data.workers", CONFIG_INT, offsetof(more_options, workers), .fallback = "2", .minimum = 0, .maximum = 64},
    {"data.cache.kind", CONFIG_STRING, offsetof(more_options, kind), .help = "where"},
};

typedef struct fixture {
    options o;
    more_options m;
    config *c;
    error err;
} fixture;

static inline bool setup(fixture *f)
{
    *f = (fixture){0};
    config_table tables[] = {{fields, sizeof fields / sizeof *fields, &f->o},
                             {more_fields, sizeof more_fields / sizeof *more_fields, &f->m}};
    return config_create(tables, 2, &f->c, &f->err) == STATUS_OK;
}

static inline status read_bytes(fixture *f, const char *bytes, size_t size)
{
    f->err = (error){0};
    return config_read_text(f->c, "x.yaml", bytes, size, &f->err);
}

static inline status read_yaml(fixture *f, const char *yaml) { return read_bytes(f, yaml, strlen(yaml)); }

#endif
