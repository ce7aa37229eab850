/* How much memory something would take, without taking it: the CPU's programs are planned, and what they ask for is
 * only address space that nothing touches.
 *
 *     inspect_planner *planner;
 *     TRY(inspect_planner_create(threads, &planner, err));
 *     TRY(inspect_plan_translation(planner, &generator, 1024, &bytes, err));
 *     inspect_planner_destroy(planner);
 */
#ifndef INSPECT_PLAN_H
#define INSPECT_PLAN_H

#include "models/generator.h"
#include "nn/backend.h"
#include "training/settings.h"

typedef struct inspect_planner inspect_planner;

/* threads 0: all cores; the kernels' scratch depends on it. */
status inspect_planner_create(int threads, inspect_planner **out, error *err);
void inspect_planner_destroy(inspect_planner *planner); /* accepts NULL */
/* A CPU backend whose memory reads as zeros, and whose programs must not run. */
nn_backend *inspect_planner_backend(inspect_planner *planner);

/* Bytes to translate a picture of side x side as a whole: program, weights, pictures. */
status inspect_plan_translation(inspect_planner *planner, const model_generator_options *generator, size_t side,
                                double *bytes, error *err);
/* What training by this config takes; the VGG of a style network is opened, pictures are not. */
status inspect_plan_training(inspect_planner *planner, const training_settings *settings, training_footprint *out,
                             error *err);

#endif
