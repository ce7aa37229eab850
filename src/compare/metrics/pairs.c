#include "compare/metrics/pairs.h"

#include <math.h>
#include <stdlib.h>

#include "compare/metrics/interval.h"

static status start(size_t n, size_t m, compare_pairs *out, error *err)
{
    *out = (compare_pairs){.n = n, .m = m, .without = calloc(n + m, sizeof *out->without)};
    return out->without ? STATUS_OK : error_no_memory(err, "a mean over pairs", (n + m) * sizeof *out->without);
}

void compare_pairs_free(compare_pairs *p)
{
    free(p->without);
    *p = (compare_pairs){0};
}

status compare_pairs_within(const double *matrix, size_t n, compare_pairs *out, error *err)
{
    TRY(start(n, 0, out, err));
    double *row = out->without, sum = 0, squares = 0, count = (double)n;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            if (j != i) row[i] += matrix[i * n + j];
        sum += row[i];
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            if (j == i) continue;
            double centred = matrix[i * n + j] - (row[i] + row[j]) / (count - 2) + sum / ((count - 1) * (count - 2));
            squares += centred * centred;
        }
    double delta = squares / (count * (count - 3)); /* variance of one pair's own part */
    out->counted = 2 * delta / (count * (count - 1));
    out->excess = 2 * delta / ((count - 1) * (count - 2));
    out->mean = sum / (count * (count - 1));
    for (size_t i = 0; i < n; i++) row[i] = (sum - 2 * row[i]) / ((count - 1) * (count - 2));
    return STATUS_OK;
}

status compare_pairs_between(const double *matrix, size_t n, size_t m, compare_pairs *out, error *err)
{
    TRY(start(n, m, out, err));
    double *row = out->without, *column = out->without + n, sum = 0, squares = 0, rows = (double)n, columns = (double)m;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            row[i] += matrix[i * m + j];
            column[j] += matrix[i * m + j];
            sum += matrix[i * m + j];
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++) {
            double centred = matrix[i * m + j] - row[i] / columns - column[j] / rows + sum / (rows * columns);
            squares += centred * centred;
        }
    double delta = squares / ((rows - 1) * (columns - 1));
    out->counted = out->excess = delta / (rows * columns); /* once in the rows' jackknife, once in the columns' */
    out->mean = sum / (rows * columns);
    for (size_t i = 0; i < n; i++) row[i] = (sum - row[i]) / ((rows - 1) * columns);
    for (size_t j = 0; j < m; j++) column[j] = (sum - column[j]) / (rows * (columns - 1));
    return STATUS_OK;
}

double compare_pairs_variance(const compare_pairs *p)
{
    double found = compare_jackknife(p->without, p->n);
    if (p->m) found += compare_jackknife(p->without + p->n, p->m);
    return fmax(found - p->excess, p->counted);
}
