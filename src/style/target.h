/* The style as Gram matrices: of a picture, the mean over a folder's, or a blend of several.
 *
 *     style_target *t;
 *     TRY(style_target_create(&settings, &log, &t, err));
 *     const float *grams[STYLE_MOST_LAYERS];
 *     TRY(style_target_grams(t, 256, NULL, grams, err));        for pictures whose shorter side is 256
 *
 * Every Gram matrix is over its picture's number of places, so sizes and shapes may differ. The mean is all that the
 * loss can tell: sum w_i |G - A_i|^2 = |G - sum w_i A_i|^2 + a constant, for weights that add up to 1.
 *
 * A folder's mean is kept in a file, .cyclegan-style-HASH.safetensors in the cache folder, whose name changes with the
 * network, the layers, the size, the colours asked for, and the pictures' names, sizes and times.
 */
#ifndef STYLE_TARGET_H
#define STYLE_TARGET_H

#include "base/log.h"
#include "style/colour.h"
#include "style/loss.h"

typedef struct style_target_settings {
    const char *paths, *blend; /* style.path and style.blend of the config */
    style_colour colour;
    const model_vgg *vgg; /* loaded */
    nn_backend *backend;
    const style_layers *layers;
    const char *cache; /* an existing folder; NULL: no cache */
} style_target_settings;

typedef struct style_target style_target;

/* Lists the pictures. The settings' texts are not needed after; what else they point to is. */
status style_target_create(const style_target_settings *settings, log_sink *log, style_target **out, error *err);
void style_target_destroy(style_target *t); /* accepts NULL */

/* grams: an array for each layer, (c, c), valid until the next call. side: shorter side that the pictures are brought
 * to. content: statistics of the content's colours, for the colours that depend on it, else NULL. A picture of a
 * folder that cannot be read is reported and left out; a picture named itself, or a folder without any left, is an
 * error. */
status style_target_grams(style_target *t, size_t side, const style_statistics *content, const float **grams,
                          error *err);
/* Changes when the pictures do: with their names, sizes and times of writing. */
uint64_t style_target_fingerprint(const style_target *t);
size_t style_target_count(const style_target *t);  /* pictures */
/* The first of them that is that file, or NULL. */
const char *style_target_find(const style_target *t, const char *path);
size_t style_target_broken(const style_target *t); /* those left out */

#endif
