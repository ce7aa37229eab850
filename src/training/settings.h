/* The config of a training with the structs that it fills: the common options, and those of its trainer.
 *
 *     training_settings s;
 *     status result = training_settings_read(&s, &trainer, path, NULL, 0, err);
 *     ... s.training, s.options ...
 *     training_settings_free(&s);
 */
#ifndef TRAINING_SETTINGS_H
#define TRAINING_SETTINGS_H

#include "training/loop.h"
#include "training/trainer.h"

typedef struct training_settings {
    const training_trainer *trainer;
    training_options training;
    void *options; /* the trainer's */
    config_table tables[2];
    config *config;
} training_settings;

/* Which method a config asks for; its other keys are not looked at. settings: "KEY=VALUE", after the file. */
status training_settings_kind(const char *path, const char *const *settings, size_t count, training_kind *out,
                              error *err);
/* The same of the text that a file carries; `name` stands for it in messages. */
status training_settings_kind_of_text(const char *name, const char *bytes, training_kind *out, error *err);
/* The defaults alone, nothing checked. Free with training_settings_free, after a failure too. */
status training_settings_init(training_settings *s, const training_trainer *trainer, error *err);
/* Reads and checks all of it. Free with training_settings_free, after a failure too. */
status training_settings_read(training_settings *s, const training_trainer *trainer, const char *path,
                              const char *const *settings, size_t count, error *err);
status training_settings_read_text(training_settings *s, const training_trainer *trainer, const char *name,
                                   const char *bytes, error *err);
void training_settings_free(training_settings *s);

/* Loads the run's last good state into the method, and step and seconds into the loop (see training_restore). Fails with
 * STATUS_USAGE, naming the keys, when the config differs from the checkpoint's in what may not change; tells what may
 * and does, and where the folders' pictures changed. */
status training_resume(const training_settings *settings, training_loop *loop, error *err);

#endif
