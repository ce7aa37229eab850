#include "training/schedule.h"

#include <math.h>

uint64_t training_schedule_steps(const training_schedule *s)
{
    const training_options *o = s->options;
    if (o->steps > 0) return (uint64_t)o->steps;
    return (uint64_t)(o->epochs + o->decay_epochs) * s->steps_per_epoch;
}

uint64_t training_schedule_epoch(const training_schedule *s, uint64_t step) { return step / s->steps_per_epoch; }

double training_schedule_rate(const training_schedule *s, uint64_t step)
{
    const training_options *o = s->options;
    double unit, full, decay;
    if (o->steps > 0) {
        unit = (double)step + 1;
        full = (double)(o->steps - o->decay_steps);
        decay = (double)o->decay_steps;
    } else {
        unit = (double)training_schedule_epoch(s, step) + 1;
        full = (double)o->epochs;
        decay = (double)o->decay_epochs;
    }
    double t = fmax(0, unit - full) / (decay + 1);
    switch ((training_schedule_kind)o->schedule) {
    case TRAINING_CONSTANT: return o->learning_rate;
    case TRAINING_COSINE: return o->learning_rate * 0.5 * (1 + cos(3.141592653589793 * t));
    case TRAINING_LINEAR: break;
    }
    return o->learning_rate * (1 - t);
}
