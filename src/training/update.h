/* What follows the losses in a step's graph: gradients, Adam, the moving average.
 *
 *     training_update_append(graph, generators, &trained, total, &options, &update);
 *     ... each step:
 *     training_update_write(&update, program, &options, step->number, step->learning_rate);
 *     nn_program_run(program);
 *     TRY(training_update_check(&update, program, names, values, losses, count, err));
 */
#ifndef TRAINING_UPDATE_H
#define TRAINING_UPDATE_H

#include "models/layers.h"
#include "nn/program.h"

typedef struct training_update_options {
    double beta1, beta2, epsilon; /* Adam's */
    double clip_norm; /* greatest norm of the gradient; 0: none */
    double ema;       /* decay of the averaged weights; 0: none */
} training_update_options;

/* Inputs and outputs of the program. */
typedef struct training_update {
    nn_value rates, ema_rate; /* ema_rate: NN_NONE without an average */
    nn_value flag;
} training_update;

/* Differentiates `total`, leaves each gradient in the set's block, and appends flag, norm, Adam, and average. The set
 * must have what it needs when the graph is compiled: NN_TRAINED, and NN_AVERAGED with an average. */
void training_update_append(nn_graph *graph, nn_parameters *set, const model_trainables *trained, nn_value total,
                            const training_update_options *options, training_update *out);
/* number: of the step, from 0. Before the run. */
void training_update_write(const training_update *u, nn_program *program, const training_update_options *options,
                           uint64_t number, double learning_rate);
/* After the run. Reads the losses that are there (values[i] is not NN_NONE). STATUS_NOT_FINITE, naming the loss, when
 * one or a gradient is NaN or infinite: the weights are then as they were. */
status training_update_check(const training_update *u, const nn_program *program, const char *const *names,
                             const nn_value *values, float *losses, size_t count, error *err);

/* Seconds that `operations` of arithmetic (nn_program_operations) will take: one run of a program on made pictures is
 * timed (after one that is not, when that was quick), and scaled. 0 without memory. picture: its input of `count`. */
double training_predict_seconds(nn_program *sampler, nn_value picture, size_t count, double operations);

#endif
