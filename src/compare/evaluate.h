/* All measures of a folder of outputs against a folder of real pictures of the target domain; docs/metrics.md defines
 * each.
 *
 *     compare_request request = {.real = "fractals/test", .fake = "out", .content = "snacks/test", .side = 256,
 *                                .network = network};
 *     compare_evaluation e;
 *     TRY(compare_evaluate(&request, log, &e, err));
 *     for (size_t i = 0; i < e.count; i++) printf("%s %g\n", e.measures[i].key, e.measures[i].estimate.value);
 *     compare_evaluation_free(&e);
 */
#ifndef COMPARE_EVALUATE_H
#define COMPARE_EVALUATE_H

#include "base/log.h"
#include "base/text.h"
#include "compare/folder.h"
#include "compare/metrics/interval.h"
#include "compare/network.h"

enum { COMPARE_REAL, COMPARE_FAKE, COMPARE_CONTENT, COMPARE_TRAIN, COMPARE_FOLDERS, COMPARE_MEASURES = 32 };

/* What the network saw in one folder's pictures. */
typedef struct compare_features {
    float *pooled, *grams;      /* (count, ...); the latter scaled by `factors` */
    size_t count;
    uint64_t pixels;            /* checksum of the pictures; the features are theirs */
} compare_features;

/* Features of the real and the training pictures, which evaluations with one network share; {0} before the first.
 * Pictures that have changed since are looked at again. */
typedef struct compare_cache {
    compare_features sets[COMPARE_FOLDERS];
    double factors[COMPARE_STYLE_LAYERS]; /* of the real pictures' Gram matrices */
} compare_cache;

void compare_cache_free(compare_cache *cache);

typedef struct compare_request {
    const char *real, *fake;    /* folders */
    const char *content;        /* the outputs' inputs under the same relative names, any extension; NULL: none */
    const char *train;          /* training pictures of the target domain; NULL: none */
    size_t side;                /* pictures become squares of this side, a power of two from 16 to 2048 */
    uint64_t seed;              /* of patches and directions */
    compare_network *network;   /* made for that side; NULL: no measures of features */
    compare_cache *cache;       /* NULL: nothing is kept for another evaluation */
    bool few;                   /* 2 or 3 outputs will do: what needs more (KID, diversity, the distance to the mean
                                   style) is then left out */
} compare_request;

/* One number. */
typedef struct compare_measure {
    char key[32];        /* "kid"; "swd_128" */
    const char *meaning; /* for people, a few words */
    compare_estimate estimate;
} compare_measure;

/* The training picture that is nearest to an output. */
typedef struct compare_match {
    const char *name; /* relative; NULL: not measured */
    double distance;
    bool close; /* closer than training pictures are to each other */
} compare_match;

/* The numbers of one output; NAN: not measured. */
typedef struct compare_output {
    const char *name; /* relative */
    double ssim, content, style;
    compare_match pixels, features;
} compare_output;

typedef struct compare_evaluation {
    compare_folder folders[COMPARE_FOLDERS]; /* names are theirs; {0}: not given */
    compare_measure measures[COMPARE_MEASURES];
    size_t count;
    compare_output *outputs; /* (fake's pictures) */
    size_t output_count, pairs, left_out; /* pairs with an input; pictures of all folders that could not be read */
    size_t side;
    uint64_t seed;
} compare_evaluation;

/* Pictures that cannot be read, and outputs without an input, are warned of and left out. Fails when fewer than
 * COMPARE_FEWEST pictures of real or fake (with `few`, 2 of fake) are left, or 2 of train, or 2 pairs. The request's strings must outlive the
 * evaluation. After a failure there is nothing to free. */
status compare_evaluate(const compare_request *request, log_sink *log, compare_evaluation *out, error *err);
void compare_evaluation_free(compare_evaluation *e);
/* The number of that key, or NULL. */
const compare_estimate *compare_evaluation_find(const compare_evaluation *e, const char *key);

/* A table for people, a line a number; network may be NULL. Failed memory is in the text. */
void compare_evaluation_print(const compare_evaluation *e, const compare_network *network, const char *layer,
                              text *out);
/* One JSON object (docs/formats.md) in new memory, which the caller frees. */
status compare_evaluation_json(const compare_evaluation *e, const compare_network *network, const char *layer,
                               char **out, error *err);

#endif
