/* How a shortage of memory is told.
 *
 *     TRY(training_memory_check(backend, need, pictures, "data.crop_size or train.batch_size", err));      before allocating
 */
#ifndef TRAINING_MEMORY_H
#define TRAINING_MEMORY_H

#include "nn/backend.h"

/* Memory that does not exist may be promised all the same, and touching it would end this program, or others.
 * STATUS_NO_MEMORY, naming the need, what is there and what to `lower`, when `need` bytes of the backend's memory and
 * `others` of the machine's are not there. */
status training_memory_check(nn_backend *backend, double need, double others, const char *lower, error *err);

#endif
