/* The config of a CycleGAN's training, and going on from a run's checkpoint under it. Shared by train.c and resume.c. */
#ifndef GAN_SETTINGS_H
#define GAN_SETTINGS_H

#include "gan/cyclegan.h"
#include "training/loop.h"

/* A config with the structs that it fills. */
typedef struct gan_settings {
    training_options training;
    gan_options gan;
    config_table tables[2];
    config *config;
} gan_settings;

/* Points the tables at the structs. */
static inline void gan_settings_tables(gan_settings *s)
{
    s->tables[0] = (config_table){training_fields, training_field_count, &s->training};
    s->tables[1] = (config_table){gan_fields, gan_field_count, &s->gan};
}

/* Loads the run's last good state into the model, and step and seconds into the loop (see training_restore). Fails with
 * STATUS_USAGE, naming the keys, when the config differs from the checkpoint's in what may not change; tells what may
 * and does, and where the folders' pictures changed. */
status gan_resume(gan *model, const gan_settings *settings, training_loop *loop, error *err);

#endif
