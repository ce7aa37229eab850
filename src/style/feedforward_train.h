/* Feed-forward style networks for the command `train` (method: feedforward).
 *
 *     training_request request = {.config_path = "configs/feedforward.yaml"};
 *     TRY(training_train(&request, &style_feedforward_trainer, &log, &err));
 */
#ifndef STYLE_FEEDFORWARD_TRAIN_H
#define STYLE_FEEDFORWARD_TRAIN_H

#include "training/train.h"

extern const training_trainer style_feedforward_trainer;

#endif
