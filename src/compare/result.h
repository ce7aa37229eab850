/* What a comparison found, for the files and the page that are made of it.
 *
 *     comparison_result r;
 *     TRY(comparison_result_create(&options, "runs/x", &r, err));
 *     TRY(comparison_result_set_pictures(&r, &pictures, err));
 *     ... fill in r.methods[i] ...
 *     TRY(comparison_write_json(&r, "runs/x/metrics.json", err));
 *     comparison_result_free(&r);
 */
#ifndef COMPARE_RESULT_H
#define COMPARE_RESULT_H

#include <stdbool.h>

#include "compare/evaluate.h"
#include "compare/options.h"
#include "compare/pictures.h"

typedef struct comparison_setting {
    char *key, *value;
    bool block; /* several lines */
} comparison_setting;

typedef struct comparison_settings {
    comparison_setting *items;
    size_t count;
    bool failed; /* no memory for one */
} comparison_settings;

void comparison_settings_add(comparison_settings *s, const char *key, const char *value);
void comparison_settings_add_block(comparison_settings *s, const char *key, const char *value);
void comparison_settings_free(comparison_settings *s);

/* The numbers of one output; NAN: not measured. */
typedef struct comparison_output {
    bool made;
    double seconds;
    double style, content, ssim;
    const char *nearest; /* training picture that is most alike; NULL: none */
    double distance;     /* from it */
    bool copied;         /* closer than training pictures are to each other */
} comparison_output;

typedef struct comparison_method_result {
    const comparison_method_options *options;
    char *folder; /* of its pictures */
    comparison_settings settings;
    char failure[1024];        /* why the method, or some of its pictures, failed; "": nothing did */
    char unmeasured[1024];     /* why there are no measures; "": there are */
    size_t made, missing;
    double start_seconds;      /* loading it; NAN: it was not */
    compare_estimate seconds;  /* median of a picture's, see comparison_median; n is 0 without any */
    double training_seconds;   /* NAN: not known */
    double peak_bytes;         /* of its process; NAN: not known */
    compare_evaluation evaluation;
    comparison_output *outputs; /* (pictures) */
} comparison_method_result;

typedef struct comparison_result {
    const comparison_options *options;
    const comparison_pictures *pictures;
    char *inputs; /* folder of the inputs as the methods got them */
    comparison_method_result methods[COMPARISON_METHODS];
    size_t count;
    char network[256]; /* description of what measures looked through; "": nothing */
} comparison_result;

/* One entry for each method that was given. folder: the comparison's. */
status comparison_result_create(const comparison_options *options, const char *folder, comparison_result *out,
                                error *err);
/* Makes room for the outputs; pictures must outlive the result. */
status comparison_result_set_pictures(comparison_result *r, const comparison_pictures *pictures, error *err);
void comparison_result_free(comparison_result *r);

/* The median of those values that are no NAN (which it sorts to the front), with the interval of order statistics that
 * holds the distribution's median with 95 % or more (binomial; needs no assumption about the distribution). Fewer than
 * six values have no such interval: low and high are NAN. */
compare_estimate comparison_median(double *values, size_t count);

/* Everything as one JSON object, and as rows input, method, measure, value, low, high, n (docs/formats.md). */
status comparison_write_json(const comparison_result *r, const char *path, error *err);
status comparison_write_csv(const comparison_result *r, const char *path, error *err);

#endif
