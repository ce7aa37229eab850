/* What a checkpoint consists of: the whole state, and the networks that users take away. */
#ifndef TRAINING_SAVE_H
#define TRAINING_SAVE_H

#include "training/loop.h"

/* Writes the exports, then the state as the run's latest; the one that was latest becomes previous. After a failure the
 * states that were there still are. */
status training_save(const training_loop *loop, uint64_t step, double seconds, error *err);
/* Writes the exports again unless those in the run are of this step: after a fallback to an older state they would be
 * newer than it. */
status training_save_stale_exports(const training_loop *loop, uint64_t step, double seconds, error *err);

#endif
