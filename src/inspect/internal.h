/* What the files of this folder share. */
#ifndef INSPECT_INTERNAL_H
#define INSPECT_INTERNAL_H

#include "inspect/inspect.h"
#include "inspect/plan.h"
#include "models/discriminator.h"
#include "nn/safetensors.h"

/* pictures.c */
status inspect_picture(const char *path, const inspect_options *options, inspect_facts *facts, error *err);
status inspect_picture_folder(const char *path, const inspect_options *options, inspect_facts *facts, error *err);

/* run.c */
bool inspect_is_run(const char *path);
status inspect_run(const char *path, const inspect_options *options, inspect_facts *facts, error *err);

/* weights.c */
status inspect_weights(const char *path, const inspect_options *options, inspect_facts *facts, error *err);

/* tensors.c: how many, of which types, the file's size and checksum; the list of them; layers of VGG's features. Files
 * whose bytes are not those of their checksum are an error. */
status inspect_contents(const char *path, const safetensors_file *file, inspect_facts *facts, error *err);
void inspect_tensor_list(const safetensors_file *file, bool all, inspect_facts *facts);
bool inspect_is_features(const safetensors_file *file);
void inspect_features(const safetensors_file *file, inspect_facts *facts);

/* networks.c: recognising a network under a prefix, and loading it as strictly as training and translation do, though
 * nowhere. parameters: its number of weights. */
typedef struct inspect_network {
    bool is_generator;
    model_generator_options generator;
    model_discriminator_options discriminator;
    size_t parameters;
} inspect_network;
status inspect_generator(inspect_planner *planner, const safetensors_file *file, const char *prefix,
                         inspect_network *out, error *err);
status inspect_discriminator(inspect_planner *planner, const safetensors_file *file, const char *prefix,
                             inspect_network *out, error *err);
/* key: how it is called among the facts. */
void inspect_network_facts(const inspect_network *network, const char *key, inspect_facts *facts);

/* settings.c: a config, its main fields and what is not as by default. `name` stands for it in messages. Free with
 * training_settings_free, after a failure too. */
status inspect_settings_read(training_settings *settings, const char *name, const char *yaml, error *err);
void inspect_settings_facts(const training_settings *settings, inspect_facts *facts);

#endif
