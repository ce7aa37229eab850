/* The pictures of two domains as batches of pixels: which picture in which step, decoding, resizing, cropping,
 * flipping. A batch is a function of the seed and the step alone; any number of threads may make batches at once.
 *
 *     training_loader *loader;
 *     TRY(training_loader_create(&options, &loader, err));
 *     prefetch options: .produce = training_loader_produce, .context = loader,
 *                       .slot_bytes = training_loader_slot_bytes(loader)
 */
#ifndef TRAINING_LOADER_H
#define TRAINING_LOADER_H

#include "base/log.h"
#include "image/folder.h"
#include "training/options.h"

typedef struct training_loader training_loader;

/* Lists the folders; an empty one is an error. `options` must outlive the loader. */
status training_loader_create(const training_options *options, training_loader **out, error *err);
void training_loader_destroy(training_loader *loader); /* accepts NULL */

/* Training pictures of domain 0 (a) or 1 (b). */
size_t training_loader_count(const training_loader *loader, int domain);
const image_list *training_loader_pictures(const training_loader *loader, int domain);
/* max(|a|, |b|) / batch, at least 1; of a one-way training |a| / batch. */
uint64_t training_loader_steps_per_epoch(const training_loader *loader);

/* Count and names of a domain's training pictures in their order: "61 af63dc4c8601ec8c" (base/hash.h of the names
 * relative to the folder, each with its NUL). The order of a run follows from them. Returns `buffer`. */
const char *training_loader_fingerprint(const training_loader *loader, int domain, char *buffer, size_t size);
/* Warns, in one line a domain, where the pictures are not those of the fingerprint that a checkpoint has. `before` may
 * be NULL. */
void training_loader_compare(const training_loader *loader, int domain, const char *before, log_sink *log);

/* A slot holds two batches of (batch, crop, crop, 3) bytes: a, then b; of a one-way training a alone. */
size_t training_loader_slot_bytes(const training_loader *loader);
/* What the loader will have in memory at most, slots left out: kept pictures, and those being decoded, of which the
 * largest has `largest` pixels. */
double training_loader_bytes(const training_loader *loader, double largest);
/* A prefetch_produce. In each epoch the larger domain is gone through once in a shuffled order, pictures of the other
 * are drawn at random (as the reference does). A picture that cannot be used is remembered for the report, and the one
 * that follows in the folder's order takes its place; only when none is left is it an error. */
status training_loader_produce(void *loader, uint64_t step, void *slot, error *err);

/* Warns of the pictures that were found unusable since the last report. For one thread, the log's. */
void training_loader_report(training_loader *loader, log_sink *log);

/* Sample picture `index` of `of`, spread over a domain's test folder (else its training pictures), resized and cropped
 * in the middle. pixels: (crop, crop, 3). */
status training_loader_sample(training_loader *loader, int domain, size_t index, size_t of, uint8_t *pixels, error *err);

#endif
