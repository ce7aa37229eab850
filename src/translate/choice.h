/* Which generator of a file is meant.
 *
 *     generator_choice choice;
 *     TRY(generator_choose(file, "fractals", &choice, err));
 *     TRY(model_generator_infer(file, choice.prefix, &options, err));
 */
#ifndef TRANSLATE_CHOICE_H
#define TRANSLATE_CHOICE_H

#include "nn/safetensors.h"

typedef struct generator_choice {
    const char *prefix;    /* of its tensors: "", "G_A.", "ema.G_B." */
    const char *from, *to; /* the domains' names, the file's; NULL when it does not tell */
} generator_choice;

/* Three kinds of file are told apart: a generator of ours, a whole training state (its averaged generators are
 * preferred when it has them), and bare tensors without metadata. That this program reads the file's version is the
 * caller's to check (models/format.h). `to` is a domain's name or, where no name matches, a or b; NULL: not given. Fails
 * with STATUS_USAGE when `to` is missing for a training state of two generators, contradicts the only one, or is given
 * for a file that does not name its domains. */
status generator_choose(const safetensors_file *file, const char *to, generator_choice *out, error *err);

#endif
