/* How a shortage of memory is told.
 *
 *     TRY(training_memory_check(need, "data.crop_size or train.batch_size", err));      before allocating
 */
#ifndef TRAINING_MEMORY_H
#define TRAINING_MEMORY_H

#include "base/status.h"

/* Memory that does not exist may be promised all the same, and touching it would end this program, or others.
 * STATUS_NO_MEMORY, naming the need, what is there and what to `lower`, when `need` bytes are not there. */
status training_memory_check(double need, const char *lower, error *err);

#endif
