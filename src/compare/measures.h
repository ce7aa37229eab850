/* What the measures of evaluate.h are called for people, which way is better, and what they mean in plain words: rows of
 * the page's table, in its order.
 *
 *     for (size_t i = 0; i < comparison_measure_count; i++)
 *         estimate = comparison_estimate(&result.methods[0], &comparison_measures[i]);
 */
#ifndef COMPARE_MEASURES_H
#define COMPARE_MEASURES_H

#include "compare/result.h"

typedef enum comparison_better { COMPARISON_NEITHER, COMPARISON_LESS, COMPARISON_MORE, COMPARISON_REFERENCE } comparison_better;

typedef struct comparison_measure {
    const char *key;   /* of compare_evaluation's measures, or "seconds", "training", "memory" */
    const char *title; /* short, for a table's head */
    comparison_better better;
    bool percent;      /* a share: shown in per cent */
    const char *words;
} comparison_measure;

extern const comparison_measure comparison_measures[];
extern const size_t comparison_measure_count;

/* A method's number; n is 0 when there is none. */
compare_estimate comparison_estimate(const comparison_method_result *m, const comparison_measure *measure);
/* Whether a method has that number. */
bool comparison_is_measured(const comparison_result *r, const comparison_measure *measure);

/* A number of one output. */
typedef struct comparison_column {
    const char *key, *title;
    comparison_better better;
    double (*value)(const comparison_output *o);
} comparison_column;

extern const comparison_column comparison_columns[];
extern const size_t comparison_column_count;
bool comparison_is_filled(const comparison_result *r, const comparison_column *column);

#endif
