/* Layers' features of pictures, or their Gram matrices, for pictures of any size.
 *
 *     style_extractor x = {.vgg = vgg, .backend = backend, .layers = &loss.style, .grams = true};
 *     TRY(style_extract(&x, picture, height, width, results, err));
 *     style_extractor_free(&x);
 */
#ifndef STYLE_FEATURES_H
#define STYLE_FEATURES_H

#include "style/loss.h"

/* Set the first four, the rest to zeros. The compiled network of the last size is kept. */
typedef struct style_extractor {
    const model_vgg *vgg;
    nn_backend *backend;
    const style_layers *layers;
    bool grams; /* (c, c), over the number of places; else features, (h', w', c) */
    size_t height, width;
    nn_program *program;
    nn_arena arena;
    nn_value picture, results[STYLE_MOST_LAYERS];
    size_t counts[STYLE_MOST_LAYERS];
} style_extractor;

/* picture: (h, w, 3), RGB in [-1, 1]. results: one array for each layer, new; the caller frees each. None after a
 * failure. */
status style_extract(style_extractor *x, const float *picture, size_t height, size_t width, float **results,
                     error *err);
void style_extractor_free(style_extractor *x);

#endif
