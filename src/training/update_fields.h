/* The rows of a config that say how a step changes weights (training/update.h), for trainers' tables whose struct has
 * beta1, beta2, adam_eps, ema and clip_norm, and whose file defines AT(field) as the field's offset.
 *
 *     const config_field fields[] = {..., TRAINING_UPDATE_FIELDS("0.5", "generators"), ...};
 */
#ifndef TRAINING_UPDATE_FIELDS_H
#define TRAINING_UPDATE_FIELDS_H

#include "config/config.h"

/* first: default of beta1; averaged: what the moving average is of. */
#define TRAINING_UPDATE_FIELDS(first, averaged)                                                                       \
    {"train.beta1", CONFIG_FLOAT, AT(beta1), first, 0, 0.9999, .help = "Adam's decay of the mean gradient"},         \
    {"train.beta2", CONFIG_FLOAT, AT(beta2), "0.999", 0, 0.999999,                                                   \
     .help = "Adam's decay of the mean squared gradient"},                                                           \
    {"train.adam_eps", CONFIG_FLOAT, AT(adam_eps), "1e-8", 1e-12, 1, .help = "Adam's epsilon"},                      \
    {"train.ema", CONFIG_FLOAT, AT(ema), "0", 0, 0.999999,                                                           \
     .help = "decay of an exponential moving average of the " averaged ", which is then what is exported (0: none)"}, \
    {"train.clip_norm", CONFIG_FLOAT, AT(clip_norm), "0", 0, 1e9, .flags = CONFIG_MAY_CHANGE,                        \
     .help = "greatest norm of a step's gradient (0: no clipping)"}

#endif
