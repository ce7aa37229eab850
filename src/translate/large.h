/* A ResNet over a picture that as a whole would take too much memory: strip by strip, each layer's instance norm with
 * the statistics of the whole picture, so that no seam shows and the result is the whole picture's but for rounding.
 *
 *     large_network network = {.backend = backend, .generator = &options, .weights = set, .width = 6000,
 *                              .height = 4000};
 *     large_plan plan;
 *     TRY(large_plan_create(&network, 1e9, &plan, err));
 *     TRY(large_translate(&network, &plan, &in, &out, err));
 *
 * A norm's statistics depend on all layers before it, so the network is gone through layer by layer (large.c). What is
 * kept of the whole picture are two values of the trunk's size, a quarter of the sides, in memory or in a temporary
 * file; the layers before and behind it are computed again for each norm that waits for statistics.
 */
#ifndef TRANSLATE_LARGE_H
#define TRANSLATE_LARGE_H

#include <signal.h>

#include "image/image.h"
#include "models/generator.h"
#include "nn/backend.h"
#include "nn/parameters.h"
#include "nn/program.h"

typedef struct large_network {
    nn_backend *backend;
    const model_generator_options *generator; /* a ResNet */
    nn_parameters *weights;                   /* its tensors, allocated; not changed */
    size_t width, height;                     /* that the network runs on: multiples of MODEL_RESNET_STRIDE */
    nn_precision precision;
    const volatile sig_atomic_t *stop;        /* becomes non-zero when it should end; may be NULL */
    void (*progressed)(void *context, double share); /* told after each strip what share of all is done; may be NULL */
    void *context;
} large_network;

typedef struct large_plan {
    size_t rows;  /* of the trunk that a strip yields, at least 1 */
    bool in_file; /* the trunk's values */
    double bytes; /* of memory, beside the pictures and the network's weights */
} large_plan;

/* The highest strips that `budget` bytes allow, and the trunk in memory if that leaves room for strips that are high
 * enough. The same for the same budget. STATUS_NO_MEMORY, with out->bytes the least that is needed, when it does not
 * suffice; out->bytes is 0 after other failures. */
status large_plan_create(const large_network *network, double budget, large_plan *out, error *err);

/* in: any size up to the network's, continued to it by reflection. out: as large as in, its pixels allocated.
 * STATUS_NOT_FINITE as translate_image; STATUS_INTERRUPTED after *stop. */
status large_translate(const large_network *network, const large_plan *plan, const image *in, image *out, error *err);

#endif
