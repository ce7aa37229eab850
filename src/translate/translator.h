/* A trained generator that translates pictures of any size.
 *
 *     translator *t;
 *     TRY(translator_create(backend, "generator_a.safetensors", NULL, &t, err));
 *     TRY(translate_image(t, &snack, &fractal, err));
 *     translator_destroy(t);
 */
#ifndef TRANSLATE_TRANSLATOR_H
#define TRANSLATE_TRANSLATOR_H

#include <signal.h>
#include <stdint.h>

#include "image/image.h"
#include "models/generator.h"
#include "nn/program.h"

typedef struct translator translator;

/* Loads the generator of a file: see translate/choice.h for the kinds of file and for `to`, which may be NULL. The
 * network is recognised by the tensors. `backend` must outlive the translator. Messages begin with `path`. */
status translator_create(nn_backend *backend, const char *path, const char *to, translator **out, error *err);
void translator_destroy(translator *t); /* accepts NULL */

/* fp32 at first. Fails, and changes nothing, where the backend cannot. */
status translator_set_precision(translator *t, nn_precision precision, error *err);
nn_precision translator_precision(const translator *t);

/* The domains' names; NULL when the file does not tell. */
const char *translator_from(const translator *t);
const char *translator_to(const translator *t);
const model_generator_options *translator_generator(const translator *t);
/* xxHash64 (base/hash.h) of the network's kind and weights: equal for equal results. */
uint64_t translator_fingerprint(const translator *t);

typedef struct translator_limits {
    double max_memory;                 /* bytes that the process may take; 0: half of the machine's memory */
    const volatile sig_atomic_t *stop; /* becomes non-zero when pictures are to be given up; may be NULL */
    void (*progressed)(void *context, double share); /* told how far a picture in strips is; may be NULL */
    void *context;
} translator_limits;
/* Those of all pictures from now on; {0} at first. An eighth of the memory is left to whoever reads the next pictures
 * and writes the results meanwhile. */
void translator_limit(translator *t, const translator_limits *limits);

/* Bytes that the process takes while a picture is read and none is translated, beside those that reading takes. */
double translator_idle_bytes(const translator *t);
/* STATUS_NO_MEMORY when a result as large as `in`, and `bytes` for each of its pixels to write it with, are more than the
 * limits allow or than there is. The limit that it asks for suffices to translate as well. */
status translator_check_writing(translator *t, const image *in, double bytes, error *err);

/* The max_memory that a picture of this size, without alpha, needs at least: in strips, but for a U-Net. Memory for the
 * generator's weights is asked from the backend; nothing is run. */
status translator_least_memory(nn_backend *backend, const model_generator_options *generator, size_t width,
                               size_t height, double *bytes, error *err);

/* out: as large as in, for any size from 1x1; the caller frees it with image_free. Where the sides do not divide by
 * the network's stride, the picture is continued to the right and below by reflection (again and again if need be)
 * and the result is cropped; nothing is resized. Alpha and profile are those of `in`.
 *
 * A picture that would take more memory than the limits allow, or than there is, is translated in strips, with the
 * result of the whole but for rounding (translate/large.h). STATUS_NO_MEMORY when that does not fit either, and for a
 * U-Net, which cannot be taken in strips; STATUS_NOT_FINITE when the network gives NaN or infinity; STATUS_INTERRUPTED
 * after *stop. Not from two threads at once. */
status translate_image(translator *t, const image *in, image *out, error *err);

/* Several pictures at a time, and more on their way meanwhile, as a GPU needs it, and as threads of a CPU like it:
 *
 *     translate_begin(t, first, 8);
 *     translate_begin(t, second, 8);
 *     translate_result results[TRANSLATE_MOST];
 *     translate_finish(t, results);                     first's; the device, or threads, compute second's
 */
enum { TRANSLATE_MOST = 8 };

typedef struct translate_result {
    image picture; /* where `result` is STATUS_OK; to be freed */
    status result;
    error problem;
} translate_result;

/* How many pictures it can be worth to translate at a time. */
size_t translate_most(const translator *t);
/* How many of this size are worth a batch: on a CPU, where each has a thread to itself, 1 when so many threads would take
 * too much memory. */
size_t translate_batch(const translator *t, size_t width, size_t height);
/* Whether two pictures can be of one batch: each has a thread to itself, or their sizes are the same after padding. */
bool translate_alike(const translator *t, const image *a, const image *b);
/* Begins with `count` pictures, 1 to TRANSLATE_MOST, all alike, which must stay until translate_finish. One more batch may
 * be begun before the first is finished; what translate_image refuses and whatever fails is in the results. */
void translate_begin(translator *t, const image *in, size_t count);
/* Waits for the batch that was begun first. Each picture's result is that of translate_image: the same but for the last
 * digits before rounding, which may depend on the size of the batch. */
void translate_finish(translator *t, translate_result *results);

#endif
