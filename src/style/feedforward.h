/* A feed-forward style network (Johnson, Alahi, Fei-Fei 2016): one generator, trained to give any picture of a folder
 * the style of other pictures.
 *
 *     style_feedforward *model;
 *     TRY(style_feedforward_create(&options, &setup, &model, err));
 *     TRY(training_loop_run(...style_feedforward_method(model)...));
 *     style_feedforward_destroy(model);
 *
 * A step minimises, for a batch x of n pictures and y = generator(x), with features F_l and Gram matrices G_l (over the
 * number of places) of a VGG:
 *
 *   content     sum over layers of w_l mean((F_l(y) - F_l(x))^2) / s_l     s_l: mean square of F_l over some pictures of a
 *   style       sum over layers of w_l mean((G_l(y) - A_l)^2) / mean(A_l^2)   A_l: mean Gram matrix of the style's pictures
 *   variation   w / (3 h w n) sum of (dx^2 + dy^2 + 1e-6)^(exponent / 2) of y
 *
 * Both divisions make weights independent of the network's scale. The style is domain b's folder, or one picture.
 */
#ifndef STYLE_FEEDFORWARD_H
#define STYLE_FEEDFORWARD_H

#include "style/feedforward_options.h"
#include "training/trainer.h"

typedef enum style_feedforward_loss {
    STYLE_FEEDFORWARD_CONTENT, /* each with its weights; 0 when off */
    STYLE_FEEDFORWARD_STYLE,
    STYLE_FEEDFORWARD_VARIATION,
    STYLE_FEEDFORWARD_LOSSES
} style_feedforward_loss;

typedef struct style_feedforward style_feedforward;

/* Opens the VGG, measures contents and style, draws the generator's weights from train.seed, compiles. Without a loader
 * (to plan memory) nothing is measured. Fails for a VGG that cannot be used, a layer that it does not have, crops too
 * small for it. Free with style_feedforward_destroy. */
status style_feedforward_create(const style_feedforward_options *options, const training_setup *setup,
                                style_feedforward **out, error *err);
void style_feedforward_destroy(style_feedforward *f); /* accepts NULL */

/* For the loop: lives as long as f. The generator's tensors are "G_A." in states, and generator_a.safetensors. */
const training_method *style_feedforward_method(style_feedforward *f);
/* "G_A.", with gradients and moments. */
nn_parameters *style_feedforward_generator(style_feedforward *f);
/* Takes the weights of a generator's file, or those of G_A.* of a training state; Adam's moments start afresh. */
status style_feedforward_start_from(style_feedforward *f, const char *path, log_sink *log, error *err);

/* Bytes of the arena, and of all else on the device. */
size_t style_feedforward_arena_bytes(const style_feedforward *f);
size_t style_feedforward_kept_bytes(const style_feedforward *f);
double style_feedforward_predict_seconds(style_feedforward *f);
/* Adds the time of every kernel of the following steps to `profile`; NULL stops it. */
void style_feedforward_set_profile(style_feedforward *f, nn_profile *profile);

#endif
