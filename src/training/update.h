/* What follows the losses in a step's graph: gradients, Adam, the moving average.
 *
 *     training_update_append(graph, generators, &trained, total, NULL, &options, &update);
 *     ... each step:
 *     training_update_write(&update, program, &options, step->number, step->learning_rate);
 *     nn_program_run(program);
 *     training_update_begin_read(&update, program, values, count, &reading);
 *     ... other programs may run meanwhile ...
 *     TRY(training_update_end_read(&reading, names, losses, err));
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
    nn_value total, norm;     /* of the losses; of the gradient, squared: finite where all of them are */
    nn_value flag;
} training_update;

/* Differentiates `total`, leaves each gradient in the set's block, and appends flag, norm, Adam, and average. The set
 * must have what it needs when the graph is compiled: NN_TRAINED, and NN_AVERAGED with an average. first: another one of the
 * graph, without whose learning this set does not learn either; NULL: none. */
void training_update_append(nn_graph *graph, nn_parameters *set, const model_trainables *trained, nn_value total,
                            const training_update *first, const training_update_options *options, training_update *out);
/* number: of the step, from 0. Before the run. */
void training_update_write(const training_update *u, nn_program *program, const training_update_options *options,
                           uint64_t number, double learning_rate);
enum { TRAINING_NUMBERS = NN_READ_SCALARS - 1 }; /* losses of a program, at most */

/* Losses that are on their way from the device, or here. */
typedef struct training_reading {
    const nn_program *program;
    const nn_value *values;
    size_t count, listed;
    float number[TRAINING_NUMBERS + 1]; /* the flag, then the losses that are there: `listed` */
    bool open; /* not here yet */
} training_reading;

/* After the run: begins to read the losses that are there (values[i] is not NN_NONE; count is TRAINING_NUMBERS at most).
 * Readings end in the order in which they began. */
void training_update_begin_read(const training_update *u, const nn_program *program, const nn_value *values, size_t count,
                                training_reading *reading);
/* STATUS_NOT_FINITE, naming the loss, when one or a gradient is NaN or infinite: the weights are then as they were. */
status training_update_end_read(training_reading *reading, const char *const *names, float *losses, error *err);

/* Seconds that `operations` of arithmetic (nn_program_operations) will take: runs of a program on made pictures are timed,
 * six if half a second allows, and the quickest is scaled. 0 without memory. picture, translated: its input and its output,
 * of `count` each. */
double training_predict_seconds(nn_program *sampler, nn_value picture, nn_value translated, size_t count, double operations);

#endif
