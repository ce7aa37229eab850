/* The CycleGAN for the command `train`.
 *
 *     training_request request = {.config_path = "configs/snacks2fractals.yaml"};
 *     TRY(training_train(&request, &gan_trainer, &log, &err));
 */
#ifndef GAN_TRAIN_H
#define GAN_TRAIN_H

#include "training/train.h"

extern const training_trainer gan_trainer;

#endif
