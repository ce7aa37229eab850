/* How long a training is and how fast it learns at each step. */
#ifndef TRAINING_SCHEDULE_H
#define TRAINING_SCHEDULE_H

#include "training/options.h"

typedef struct training_schedule {
    const training_options *options;
    uint64_t steps_per_epoch; /* at least 1 */
} training_schedule;

/* Steps in all. */
uint64_t training_schedule_steps(const training_schedule *s);
/* Epoch of a step, both from 0. */
uint64_t training_schedule_epoch(const training_schedule *s, uint64_t step);
/* Learning rate of a step (from 0). With n units (epochs, or steps) at the full rate and d of decay, in unit e from 1:
 *   linear  lr * (1 - t), cosine  lr * (1 + cos(pi t)) / 2, constant  lr,  t = max(0, e - n) / (d + 1)
 * which for linear epochs is the reference's rule without its last epoch at 0. */
double training_schedule_rate(const training_schedule *s, uint64_t step);

#endif
