/* Fine-tuning: the weights that a new training starts from (train.init_from).
 *
 *     TRY(gan_start_from(model, "runs/x/checkpoints/latest.safetensors", log, err));
 */
#ifndef GAN_START_H
#define GAN_START_H

#include "base/log.h"
#include "gan/cyclegan.h"

/* Takes weights from a file, and tells `log` in one line which networks they are and which start afresh:
 *   - a training state, or any file with G_A.* and G_B.*: both generators, and both discriminators when it has them and
 *     theirs is the model's architecture;
 *   - a generator: G_B when its metadata says b_to_a, else G_A.
 * With a moving average, it starts at the same weights. Adam's moments, the pools and the step are not taken. Fails,
 * naming keys of the config, when the generators' architecture differs; the weights are then undefined. */
status gan_start_from(gan *g, const char *path, log_sink *log, error *err);

#endif
