/* First values of the networks' tensors, as the reference draws them (init_weights, "normal", gain 0.02).
 *
 *     TRY(nn_parameters_allocate(generators, backend, NN_TRAINED, err));
 *     TRY(model_initialise(generators, seed, 0, err));
 *     TRY(model_initialise(discriminators, seed, generators->count, err));
 */
#ifndef MODELS_INITIALISE_H
#define MODELS_INITIALISE_H

#include "nn/parameters.h"

/* Weights: normal with mean 0 and deviation 0.02; biases ("*.bias"): 0. Tensor i takes its numbers from the stream
 * RNG_INIT at step first + i, so that two sets of one seed are kept apart by `first`. The average (NN_AVERAGE), where
 * it is allocated, gets the same values. */
status model_initialise(nn_parameters *set, uint64_t seed, uint64_t first, error *err);

#endif
