/* The rows of a config that say which perceptual network is looked through, for tables whose struct has features,
 * input, padding, pool and network_seed, and whose file defines AT(field) as the field's offset.
 *
 *     const config_field fields[] = {STYLE_NETWORK_FIELDS(0), ...};
 */
#ifndef STYLE_NETWORK_FIELDS_H
#define STYLE_NETWORK_FIELDS_H

#include "config/config.h"
#include "models/vgg.h"

/* file_flags: of `features`. */
#define STYLE_NETWORK_FIELDS(file_flags)                                                                              \
    {"features", CONFIG_STRING, AT(features), "random", .flags = (file_flags),                                       \
     .help = "a VGG-16 or VGG-19 (.safetensors); random: a VGG-19 with random weights, which needs no file"},        \
    {"network.input", CONFIG_CHOICE, AT(input), "auto", .choices = model_vgg_input_names,                            \
     .help = "what it takes: torchvision's mean and deviation; caffe's BGR in [0,255]; RGB in [0,1] (unit) or "      \
             "[-1,1] (signed); auto: as the file says, else torchvision"},                                           \
    {"network.padding", CONFIG_CHOICE, AT(padding), "auto", .choices = model_vgg_padding_names,                      \
     .help = "around its layers; auto: as the file says, else zero"},                                                \
    {"network.pool", CONFIG_CHOICE, AT(pool), "auto", .choices = model_vgg_pool_names,                               \
     .help = "its pooling; auto: as the file says, else max; average if it is random"},                              \
    {"network.seed", CONFIG_INT, AT(network_seed), "1", 0, 9e15, .help = "of random weights"}

#endif
