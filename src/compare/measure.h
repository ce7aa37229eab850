/* The measures of all methods' outputs, into their results.
 *
 *     TRY(comparison_measure_all(&result, threads, stop, log, err));
 */
#ifndef COMPARE_MEASURE_H
#define COMPARE_MEASURE_H

#include <signal.h>

#include "base/log.h"
#include "compare/result.h"

/* Whether the network for measures can be had, before anything takes time; its weights are not read. */
status comparison_network_check(const comparison_options *options, error *err);
/* Fills in result->network, and of each method that made pictures evaluation and outputs; a method whose outputs cannot
 * be measured (too few of them) gets `unmeasured`. STATUS_FAILED when nothing can be (say no targets). */
status comparison_measure_all(comparison_result *result, int threads, const volatile sig_atomic_t *stop, log_sink *log,
                              error *err);

#endif
