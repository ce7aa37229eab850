/* What the files of evaluate.h share. */
#ifndef COMPARE_EVALUATE_INTERNAL_H
#define COMPARE_EVALUATE_INTERNAL_H

#include "compare/evaluate.h"
#include "compare/metrics/vectors.h"

/* Appends a number. */
void compare_add(compare_evaluation *e, const char *key, const char *meaning, compare_estimate estimate);

/* Memorisation from vectors of outputs and training pictures, into the outputs' matches (pixels or features, as
 * `offset` in compare_output says) and two numbers. */
typedef struct compare_memory_words {
    const char *distance_key, *distance, *close_key, *close;
    size_t offset;
} compare_memory_words;
status compare_add_memorisation(compare_evaluation *e, const compare_vectors *outputs, const compare_vectors *training,
                                const compare_memory_words *words, error *err);

/* Measures of features: evaluate_features.c. inputs: for each output, its picture in the content folder or SIZE_MAX. */
status compare_evaluate_features(compare_evaluation *e, const compare_request *request, const size_t *inputs,
                                 log_sink *log, error *err);

#endif
