/* Looking at the pictures before the first step.
 *
 *     double largest;
 *     TRY(training_check_pictures(loader, &options, threads, log, &largest, err));
 */
#ifndef TRAINING_CHECK_H
#define TRAINING_CHECK_H

#include "base/log.h"
#include "training/loader.h"

/* Looks at data.check training pictures of each domain, evenly spread, and warns of those that are unreadable,
 * duplicate, tiny (smaller than the crop), sideways or nearly constant: a line a kind with a few names. largest: pixels
 * of the largest seen, or what load_size says when none was. threads: 0: one a processor. */
status training_check_pictures(const training_loader *loader, const training_options *options, int threads,
                               log_sink *log, double *largest, error *err);

#endif
