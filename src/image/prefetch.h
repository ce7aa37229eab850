/* Making the next things in threads while the present one is used.
 *
 *     prefetch *p;
 *     TRY(prefetch_create(&(prefetch_options){.produce = load_batch, .context = loader, .slot_bytes = bytes,
 *                         .depth = 4, .threads = 2, .first = step, .end = steps}, &p, err));
 *     for (uint64_t i = step; i < steps; i++) {
 *         const void *batch;
 *         TRY(prefetch_take(p, &batch, err));    the slot of number i; blocks until it is made
 *         ...
 *         prefetch_release(p);                   the slot may be reused
 *     }
 *     prefetch_destroy(p);
 *
 * What is produced depends on its number alone, so the result is the same for any number of threads.
 */
#ifndef IMAGE_PREFETCH_H
#define IMAGE_PREFETCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct prefetch prefetch;
/* Fills `slot` with thing `number`. Called from several threads at once, each with its own slot. */
typedef status (*prefetch_produce)(void *context, uint64_t number, void *slot, error *err);

typedef struct prefetch_options {
    prefetch_produce produce;
    void *context;
    size_t slot_bytes;
    size_t depth, threads; /* slots, and threads that fill them; both at least 1 */
    uint64_t first, end;   /* numbers first .. end-1, in order */
} prefetch_options;

/* Starts the threads. The options are copied; `context` must outlive the prefetch. End with prefetch_destroy. */
status prefetch_create(const prefetch_options *options, prefetch **out, error *err);
/* The next slot in order, aligned to 64 bytes, or the error of its production; after an error the next take gives the
 * next number. One is held at a time: taking before the release, or past the end, fails. From one thread. */
status prefetch_take(prefetch *p, const void **slot, error *err);
void prefetch_release(prefetch *p);
void prefetch_destroy(prefetch *p); /* at any time; waits for what is being made; accepts NULL */

#endif
