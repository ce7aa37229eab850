/* What there is to say of a method before it runs: its settings and what its training took.
 *
 *     TRY(comparison_describe(&result, i, err));       fills in settings and training_seconds of result.methods[i]
 */
#ifndef COMPARE_DESCRIBE_H
#define COMPARE_DESCRIBE_H

#include "compare/result.h"

/* STATUS_USAGE for what the config's writer must change; STATUS_FAILED for files that cannot be used. */
status comparison_describe(comparison_method_result *m, const comparison_options *options, error *err);
/* The part of it for Gatys. */
status comparison_describe_gatys(comparison_method_result *m, const comparison_options *options, error *err);

#endif
