#include "compare/result.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add(comparison_settings *s, const char *key, const char *value, bool block)
{
    comparison_setting *grown = realloc(s->items, (s->count + 1) * sizeof *grown);
    if (grown) {
        s->items = grown;
        grown[s->count] = (comparison_setting){text_copy(key), text_copy(value), block};
        if (grown[s->count].key && grown[s->count].value) {
            s->count++;
            return;
        }
        free(grown[s->count].key);
        free(grown[s->count].value);
    }
    s->failed = true;
}

void comparison_settings_add(comparison_settings *s, const char *key, const char *value) { add(s, key, value, false); }

void comparison_settings_add_block(comparison_settings *s, const char *key, const char *value)
{
    add(s, key, value, true);
}

void comparison_settings_free(comparison_settings *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].key);
        free(s->items[i].value);
    }
    free(s->items);
    *s = (comparison_settings){0};
}

status comparison_result_create(const comparison_options *options, const char *folder, comparison_result *out,
                                error *err)
{
    *out = (comparison_result){.options = options, .inputs = comparison_path(folder, COMPARISON_INPUT, NULL)};
    bool failed = !out->inputs;
    for (size_t i = 0; i < COMPARISON_METHODS; i++) {
        if (!options->methods[i].given) continue;
        comparison_method_result *m = &out->methods[out->count++];
        *m = (comparison_method_result){.options = &options->methods[i], .start_seconds = NAN,
                                        .training_seconds = NAN, .peak_bytes = NAN};
        m->folder = comparison_path(folder, m->options->name, NULL);
        failed = failed || !m->folder;
    }
    if (!failed) return STATUS_OK;
    comparison_result_free(out);
    return error_no_memory(err, "a comparison's results", 0);
}

status comparison_result_set_pictures(comparison_result *r, const comparison_pictures *pictures, error *err)
{
    r->pictures = pictures;
    for (size_t i = 0; i < r->count; i++) {
        comparison_output *outputs = r->methods[i].outputs = calloc(pictures->count, sizeof *outputs);
        if (!outputs) return error_no_memory(err, "a comparison's results", pictures->count * sizeof *outputs);
        for (size_t k = 0; k < pictures->count; k++)
            outputs[k] = (comparison_output){false, NAN, NAN, NAN, NAN, NULL, NAN, false};
    }
    return STATUS_OK;
}

void comparison_result_free(comparison_result *r)
{
    for (size_t i = 0; i < r->count; i++) {
        comparison_settings_free(&r->methods[i].settings);
        compare_evaluation_free(&r->methods[i].evaluation);
        free(r->methods[i].outputs);
        free(r->methods[i].folder);
    }
    free(r->inputs);
    *r = (comparison_result){0};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The greatest k for which the k-th smallest and the k-th greatest of n values enclose the median with at least 95 %:
 * P(Binomial(n, 1/2) <= k - 1) <= 2.5 %. 0: there is none. */
static size_t order_statistic(size_t n)
{
    double term = pow(0.5, (double)n), sum = 0;
    size_t k = 0;
    if (term == 0) return (size_t)fmax(0, floor((double)n / 2 - 0.98 * sqrt((double)n))); /* n is over 1000: normal */
    while (k < n && sum + term <= 0.025) {
        sum += term;
        term *= (double)(n - k) / (double)(k + 1);
        k++;
    }
    return k;
}

compare_estimate comparison_median(double *values, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i])) values[n++] = values[i];
    if (!n) return (compare_estimate){NAN, NAN, NAN, 0, 0};
    qsort(values, n, sizeof *values, ascending);
    size_t k = order_statistic(n);
    return (compare_estimate){(values[(n - 1) / 2] + values[n / 2]) / 2, k ? values[k - 1] : NAN,
                              k ? values[n - k] : NAN, n, 0};
}
