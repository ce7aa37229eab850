#include "translate/choice.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/text.h"
#include "models/format.h"

enum { NO_SIDE = -1, SIDE_A, SIDE_B };

typedef struct domains {
    const char *name[2]; /* of a and b */
} domains;

static int side_of(const domains *d, const char *word)
{
    static const char *const letters[] = {"a", "b"};
    for (int side = SIDE_A; side <= SIDE_B; side++)
        if (strcmp(d->name[side], word) == 0) return side;
    for (int side = SIDE_A; side <= SIDE_B; side++)
        if (strcmp(letters[side], word) == 0) return side;
    return NO_SIDE;
}

static bool has_tensors(const safetensors_file *file, const char *prefix)
{
    for (size_t i = 0; i < safetensors_count(file); i++)
        if (text_starts_with(safetensors_at(file, i)->name, prefix)) return true;
    return false;
}

static status choose_of_generator(const safetensors_file *file, const char *to, generator_choice *out, error *err)
{
    const char *direction = safetensors_metadata_get(file, "direction");
    bool forward = direction && strcmp(direction, "a_to_b") == 0;
    if (!forward && (!direction || strcmp(direction, "b_to_a") != 0))
        return error_set(err, STATUS_FAILED, "metadata 'direction': expected a_to_b or b_to_a, found %.80s",
                         direction ? direction : "none");
    const char *from = safetensors_metadata_get(file, "from"), *made = safetensors_metadata_get(file, "to");
    *out = (generator_choice){.prefix = "", .from = from ? from : forward ? "a" : "b",
                              .to = made ? made : forward ? "b" : "a"};
    if (!to) return STATUS_OK;
    domains d = {{forward ? out->from : out->to, forward ? out->to : out->from}};
    if (side_of(&d, to) == (forward ? SIDE_B : SIDE_A)) return STATUS_OK;
    return error_set(err, STATUS_USAGE, "--to %.80s: this generator makes %.80s from %.80s", to, out->to, out->from);
}

static status choose_of_training(const safetensors_file *file, const char *to, generator_choice *out, error *err)
{
    const char *a = safetensors_metadata_get(file, "domain_a"), *b = safetensors_metadata_get(file, "domain_b");
    domains d = {{a ? a : "a", b ? b : "b"}};
    a = d.name[SIDE_A];
    b = d.name[SIDE_B];
    bool one_way = !has_tensors(file, "G_B."); /* a feed-forward style network's */
    if (!to && one_way) to = b;
    if (!to)
        return error_set(err, STATUS_USAGE,
                         "a training state holds two generators; choose one with --to %.80s or --to %.80s", b, a);
    int side = side_of(&d, to);
    if (side == NO_SIDE)
        return error_set(err, STATUS_USAGE, "--to %.80s: expected one of the domains %.80s (a) and %.80s (b)", to, a,
                         b);
    if (side == SIDE_A && one_way)
        return error_set(err, STATUS_USAGE, "--to %.80s: this generator makes %.80s from %.80s", to, b, a);
    if (side == SIDE_B)
        *out = (generator_choice){has_tensors(file, "ema.G_A.") ? "ema.G_A." : "G_A.", a, b};
    else
        *out = (generator_choice){has_tensors(file, "ema.G_B.") ? "ema.G_B." : "G_B.", b, a};
    return STATUS_OK;
}

static status choose_of_bare(const char *to, generator_choice *out, error *err)
{
    *out = (generator_choice){.prefix = ""};
    if (!to) return STATUS_OK;
    return error_set(err, STATUS_USAGE, "--to %.80s: the file does not name its domains; leave --to out", to);
}

status generator_choose(const safetensors_file *file, const char *to, generator_choice *out, error *err)
{
    const char *kind = safetensors_metadata_get(file, "kind");
    if (!safetensors_metadata_get(file, MODEL_FORMAT_KEY))
        return has_tensors(file, "G_A.") ? choose_of_training(file, to, out, err) : choose_of_bare(to, out, err);
    if (kind && strcmp(kind, "generator") == 0) return choose_of_generator(file, to, out, err);
    if (kind && strcmp(kind, "training_state") == 0) return choose_of_training(file, to, out, err);
    return error_set(err, STATUS_FAILED, "metadata 'kind': expected generator or training_state, found %.80s",
                     kind ? kind : "none");
}
