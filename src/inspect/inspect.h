/* What a thing is and holds: a folder of pictures, a run, a file with tensors, a picture.
 *
 *     inspect_options options = {.minimum = 128};
 *     inspect_facts facts = {0};
 *     TRY(inspect_path("checkpoints/snacks2fractals.safetensors", &options, &facts, err));
 *     fputs(text_get(&facts.lines), stdout);
 *     inspect_facts_free(&facts);
 */
#ifndef INSPECT_INSPECT_H
#define INSPECT_INSPECT_H

#include <signal.h>
#include <stddef.h>

#include "base/status.h"
#include "inspect/facts.h"

typedef struct inspect_options {
    size_t minimum;    /* pictures whose shorter side is below it are named as tiny */
    size_t most;       /* pictures of a folder to look at, evenly spread; 0: all */
    size_t max_pixels; /* of a picture; 0: the default of image.h */
    int threads;       /* 0: all cores */
    bool tensors;      /* list every tensor */
    const volatile sig_atomic_t *stop;
} inspect_options;

/* Fails with one line, and empty facts, when there is nothing to tell: not there, damaged, of an unknown kind. Where
 * only a part is damaged (a picture of a folder, a state of a run) the facts say so and `trouble` is set. Free the
 * facts with inspect_facts_free. */
status inspect_path(const char *path, const inspect_options *options, inspect_facts *facts, error *err);

#endif
